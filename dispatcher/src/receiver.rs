//! Receives payments: never more than may be in hand, nothing while the transaction service is
//! down, dispatching is stopped, or the confirmer is behind.

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::queue::{Consumer, InStep, MAX_BATCH};
use shared::retry;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Calls;
use tokio::sync::Semaphore;

use crate::calls::limiter::CallLimiter;
use crate::claimer::Claimer;
use crate::events;
use crate::in_hand::InHandPermit;
use crate::job::InHandMessage;

/// Time between two checks of a clock that was set: it is confirmed, or the process ends, within
/// a minute or so.
const CLOCK_PAUSE: Duration = Duration::from_secs(5);

/// What must allow it before anything is received.
#[derive(Debug, Clone)]
pub(crate) struct ReceiveConditions {
    pub(crate) limiter: CallLimiter,
    /// The confirmer keeps up with the settlements.
    pub(crate) in_step: InStep,
}

impl ReceiveConditions {
    /// Waits until payments may be received. Dropping it is safe.
    async fn met(&self) {
        self.in_step.wait().await;
        self.limiter.until_receivable().await;
    }
}

/// A receiver of payments. Cloned for each receive loop.
#[derive(Debug, Clone)]
pub(crate) struct PaymentReceiver {
    pub(crate) queue: Consumer,
    pub(crate) claimer: Claimer,
    pub(crate) conditions: ReceiveConditions,
    pub(crate) clock: Clock,
    /// One permit for each payment that may be in hand.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) receiving: Calls,
}

impl PaymentReceiver {
    /// Receives until shutdown.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            if shutdown.unless_requested(self.conditions.met()).await.is_none() {
                return;
            }
            if self.clock.sure().is_none() {
                events::clock_in_doubt();
                if shutdown.pause(CLOCK_PAUSE).await {
                    return;
                }
                continue;
            }
            let permits = Arc::clone(&self.permits).acquire_many_owned(MAX_BATCH as u32);
            let Some(Ok(mut permits)) = shutdown.unless_requested(permits).await else {
                return;
            };
            let Some(result) = self.queue.receive_until(&shutdown).await else {
                return;
            };
            self.receiving.note(&result);
            match result {
                Ok(deliveries) => {
                    events::succeeded("receive");
                    pauses = retry::NEVER_GIVE_UP.pauses();
                    let received = deliveries.into_iter().filter_map(|delivery| {
                        let permit = InHandPermit::new(permits.split(1)?);
                        Some(InHandMessage { delivery, permit })
                    });
                    let received: Vec<_> = received.collect();
                    if self.conditions.limiter.is_stopped() {
                        // The receive was under way already. Nothing is claimed, so it costs no
                        // attempt.
                        self.claimer.give_back_at_once(received).await;
                    } else if !received.is_empty() {
                        self.claimer.spawn(received);
                    }
                }
                Err(error) => {
                    events::error("receive", &error);
                    if shutdown.pause(pauses.next().unwrap_or_default()).await {
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
