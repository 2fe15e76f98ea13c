//! How many payments are in hand: those that were delivered and have not ended here. A place that
//! a receive keeps free for what may come is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::OwnedSemaphorePermit;

use crate::events;

/// Counts payments in hand. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct InHand(Arc<AtomicUsize>);

/// The place of one payment among those in hand; dropping it, in a panic too, frees it.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    in_hand: InHand,
}

impl InHand {
    /// A payment was delivered into the place that `permit` stands for.
    pub(crate) fn take(&self, permit: OwnedSemaphorePermit) -> Place {
        events::in_hand(self.0.fetch_add(1, Ordering::Relaxed) + 1);
        Place { _permit: permit, in_hand: self.clone() }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        events::in_hand(self.in_hand.0.fetch_sub(1, Ordering::Relaxed).saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn only_a_delivered_payment_is_in_hand_and_only_until_its_place_is_free() {
        let (places, in_hand) = (Arc::new(Semaphore::new(10)), InHand::default());
        let mut kept_free = Arc::clone(&places).acquire_many_owned(10).await.unwrap();
        assert_eq!(in_hand.count(), 0, "a receive that waits has nothing in hand");
        let taken: Vec<_> = (0..3).map(|_| in_hand.take(kept_free.split(1).unwrap())).collect();
        drop(kept_free);
        assert_eq!((in_hand.count(), places.available_permits()), (3, 7));
        drop(taken);
        assert_eq!((in_hand.count(), places.available_permits()), (0, 10));
    }
}
