//! The heartbeat: messages in hand stay hidden from others while work on them goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The messages in hand, each with the time its visibility was last set.
#[derive(Debug, Default)]
pub(super) struct InHand {
    messages: Mutex<HashMap<Arc<str>, Instant>>,
}

impl InHand {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Instant>> {
        // Every critical section is one call of the map: a panic cannot leave it half done.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the heartbeat of a message received at `at`; it ends when the guard is dropped.
    pub(super) fn hold(self: &Arc<Self>, receipt: &str, at: Instant) -> Held {
        let receipt: Arc<str> = receipt.into();
        self.lock().insert(Arc::clone(&receipt), at);
        Held { receipt, in_hand: Arc::clone(self) }
    }

    /// The messages whose visibility was last set `age` or longer before `now`.
    pub(super) fn older_than(&self, age: Duration, now: Instant) -> Vec<Arc<str>> {
        let messages = self.lock();
        let due = messages.iter().filter(|(_, set)| now.duration_since(**set) >= age);
        due.map(|(receipt, _)| Arc::clone(receipt)).collect()
    }

    /// Notes that a message's visibility was set again at `at`, unless it has left the hand.
    pub(super) fn extended(&self, receipt: &str, at: Instant) {
        if let Some(set) = self.lock().get_mut(receipt) {
            *set = at;
        }
    }

    /// Whether a message is still in hand.
    pub(super) fn holds(&self, receipt: &str) -> bool {
        self.lock().contains_key(receipt)
    }

    /// Stops the heartbeat of a message that others may have by now.
    pub(super) fn lost(&self, receipt: &str) {
        self.lock().remove(receipt);
    }
}

/// A message in hand; dropping it stops its heartbeat, in a panic too.
#[derive(Debug)]
pub(super) struct Held {
    receipt: Arc<str>,
    in_hand: Arc<InHand>,
}

impl Held {
    pub(super) fn receipt(&self) -> &str {
        &self.receipt
    }

    /// Stops the heartbeat before the message is given back.
    pub(super) fn stop(&self) {
        self.in_hand.lost(&self.receipt);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_hand.lost(&self.receipt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIRD: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn a_message_is_extended_again_and_again_until_it_is_dropped() {
        let in_hand = Arc::new(InHand::default());
        let held = in_hand.hold("r1", Instant::now());
        assert!(in_hand.older_than(THIRD, Instant::now()).is_empty());
        for _ in 0..3 {
            tokio::time::advance(THIRD).await;
            assert_eq!(in_hand.older_than(THIRD, Instant::now()), [Arc::from("r1")]);
            in_hand.extended("r1", Instant::now());
            assert!(in_hand.older_than(THIRD, Instant::now()).is_empty());
        }
        drop(held);
        tokio::time::advance(THIRD).await;
        assert!(in_hand.older_than(THIRD, Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_extension_that_comes_after_the_work_ended_does_not_bring_the_message_back() {
        let in_hand = Arc::new(InHand::default());
        drop(in_hand.hold("r1", Instant::now()));
        in_hand.extended("r1", Instant::now());
        tokio::time::advance(THIRD * 2).await;
        assert!(in_hand.older_than(THIRD, Instant::now()).is_empty());
    }
}
