//! How many payments are in hand: those that were delivered and have not ended here.

use tokio::sync::OwnedSemaphorePermit;

use crate::events;

/// One payment in hand: a delivered one, not a permit that a receive keeps for what may come.
/// Dropping it, in a panic too, ends that.
#[derive(Debug)]
pub(crate) struct InHandPermit {
    _permit: OwnedSemaphorePermit,
}

impl InHandPermit {
    /// A payment was delivered.
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        events::in_hand(1.0);
        Self { _permit: permit }
    }
}

impl Drop for InHandPermit {
    fn drop(&mut self) {
        events::in_hand(-1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn only_a_delivered_payment_is_in_hand_and_an_idle_dispatcher_has_none() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = recorder.handle();
        let in_hand = |count: u32| {
            let line = format!("dueflow_dispatcher_payments_in_hand {count}\n");
            assert!(page.render().contains(&line), "not {count}: {}", page.render());
        };
        metrics::with_local_recorder(&recorder, || {
            let permits = Arc::new(Semaphore::new(10));
            let mut reserved = Arc::clone(&permits).try_acquire_many_owned(10).unwrap();
            let taken: Vec<_> =
                (0..3).map(|_| InHandPermit::new(reserved.split(1).unwrap())).collect();
            drop(reserved);
            assert_eq!(permits.available_permits(), 7);
            in_hand(3);
            drop(taken);
            assert_eq!(permits.available_permits(), 10);
            in_hand(0);
        });
    }
}
