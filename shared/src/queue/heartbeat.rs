//! The heartbeat: messages in hand stay hidden from others while work on them goes on, and
//! whoever loses one loses the right to act on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::api::{MAX_BATCH, QueueApi, Visibility};

/// The messages in hand, each with the time its visibility was last set.
#[derive(Debug)]
pub(super) struct InFlightMessages {
    visibility: Duration,
    // Sorted, so that equal runs make equal calls.
    messages: Mutex<BTreeMap<Arc<str>, Instant>>,
}

impl InFlightMessages {
    /// Nothing in hand; what will be is hidden for `visibility` at a time.
    pub(super) fn new(visibility: Duration) -> Self {
        Self { visibility, messages: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Instant>> {
        // Every critical section is one call of the map: a panic cannot leave it half done.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the heartbeat of a message received at `at`; it ends when the guard is dropped.
    pub(super) fn hold(self: &Arc<Self>, receipt: &str, at: Instant) -> InFlightMessage {
        let receipt: Arc<str> = receipt.into();
        self.lock().insert(Arc::clone(&receipt), at);
        InFlightMessage { receipt, in_hand: Arc::clone(self) }
    }

    /// The messages whose visibility was last set a third of its time or longer ago, so that
    /// a few beats may fail before a message is lost.
    fn due(&self, now: Instant) -> Vec<Arc<str>> {
        let messages = self.lock();
        let age = self.visibility / 3;
        let due = messages.iter().filter(|(_, set)| now.duration_since(**set) >= age);
        due.map(|(receipt, _)| Arc::clone(receipt)).collect()
    }

    /// Notes that a message's visibility was set again at `at`, unless it has left the hand.
    fn extended(&self, receipt: &str, at: Instant) {
        if let Some(set) = self.lock().get_mut(receipt) {
            *set = at;
        }
    }

    /// Whether a message is in hand, and hidden from others for sure.
    fn holds(&self, receipt: &str, now: Instant) -> bool {
        self.lock().get(receipt).is_some_and(|set| now.duration_since(*set) < self.visibility)
    }

    /// Stops the heartbeat of a message that others may have by now.
    fn lost(&self, receipt: &str) {
        self.lock().remove(receipt);
    }
}

/// A message in hand; dropping it stops its heartbeat, in a panic too.
#[derive(Debug)]
pub(super) struct InFlightMessage {
    receipt: Arc<str>,
    in_hand: Arc<InFlightMessages>,
}

impl InFlightMessage {
    pub(super) fn receipt(&self) -> &str {
        &self.receipt
    }

    /// Whether the message is still this worker's alone, by its own monotonic clock: a
    /// process that was stopped for longer than a visibility timeout finds out here.
    pub(super) fn is_held(&self) -> bool {
        self.in_hand.holds(&self.receipt, Instant::now())
    }

    /// Stops the heartbeat before the message is given back.
    pub(super) fn stop(&self) {
        self.in_hand.lost(&self.receipt);
    }
}

impl Drop for InFlightMessage {
    fn drop(&mut self) {
        self.in_hand.lost(&self.receipt);
    }
}

/// Extends what is in hand, for ever. The batches of a beat go side by side, each under a
/// limit of its own: one that hangs must not cost the others their messages.
pub(super) async fn beat(queue: Arc<dyn QueueApi>, in_hand: Arc<InFlightMessages>) {
    let visibility = in_hand.visibility;
    let mut ticks = tokio::time::interval(visibility / 12);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut batches = JoinSet::new();
        for batch in in_hand.due(Instant::now()).chunks(MAX_BATCH) {
            let (queue, in_hand, batch) =
                (Arc::clone(&queue), Arc::clone(&in_hand), batch.to_vec());
            batches.spawn(async move {
                let limit = visibility / 6;
                let extending = extend(queue.as_ref(), &in_hand, &batch);
                if tokio::time::timeout(limit, extending).await.is_err() {
                    let queue = queue.name();
                    tracing::warn!(queue, ?limit, "extending the visibility of messages hung");
                }
            });
        }
        while batches.join_next().await.is_some() {}
    }
}

/// Extends one batch. A message that the queue refuses for good may be somebody else's by
/// now; one refused for another reason is tried again with the next beat.
async fn extend(queue: &dyn QueueApi, in_hand: &InFlightMessages, batch: &[Arc<str>]) {
    let at = Instant::now();
    let entries: Vec<_> = batch.iter().map(|receipt| (&**receipt, in_hand.visibility)).collect();
    let refused = match queue.change_visibility(&entries, Visibility::Extend).await {
        Ok(refused) => refused,
        Err(error) => {
            let queue = queue.name();
            tracing::warn!(queue, %error, "extending the visibility of messages failed");
            return;
        }
    };
    for (index, receipt) in batch.iter().enumerate() {
        match refused.iter().find(|entry| entry.index == index) {
            None => in_hand.extended(receipt, at),
            Some(entry) => {
                let (queue, reason) = (queue.name(), &entry.reason);
                if in_hand.holds(receipt, at) {
                    tracing::warn!(queue, reason, "extending the visibility of a message failed");
                }
                if entry.for_good {
                    in_hand.lost(receipt);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISIBILITY: Duration = Duration::from_secs(60);
    const THIRD: Duration = Duration::from_secs(20);

    fn in_hand() -> Arc<InFlightMessages> {
        Arc::new(InFlightMessages::new(VISIBILITY))
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_extended_again_and_again_until_it_is_dropped() {
        let in_hand = in_hand();
        let held = in_hand.hold("r1", Instant::now());
        assert!(in_hand.due(Instant::now()).is_empty());
        for _ in 0..3 {
            tokio::time::advance(THIRD).await;
            assert_eq!(in_hand.due(Instant::now()), [Arc::from("r1")]);
            in_hand.extended("r1", Instant::now());
            assert!(in_hand.due(Instant::now()).is_empty());
        }
        drop(held);
        tokio::time::advance(THIRD).await;
        assert!(in_hand.due(Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_extension_that_comes_after_the_work_ended_does_not_bring_the_message_back() {
        let in_hand = in_hand();
        drop(in_hand.hold("r1", Instant::now()));
        in_hand.extended("r1", Instant::now());
        tokio::time::advance(THIRD * 2).await;
        assert!(in_hand.due(Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_was_not_extended_in_time_is_no_longer_held() {
        let in_hand = in_hand();
        let held = in_hand.hold("r1", Instant::now());
        tokio::time::advance(VISIBILITY - Duration::from_millis(1)).await;
        assert!(held.is_held());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!held.is_held());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_the_queue_refuses_to_extend_for_good_is_no_longer_held() {
        let in_hand = in_hand();
        let held = in_hand.hold("r1", Instant::now());
        in_hand.lost("r1");
        assert!(!held.is_held());
    }
}
