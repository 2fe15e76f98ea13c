//! Which payments the sweep may queue again: pure.
//!
//! What a message carries is written nowhere, so a payment that nobody knows of may well have one:
//! dispatchers may be stopped, or stand still. To queue it again at every sweep would fill the
//! queue without bound. Two things bound it, over all confirmers and all their sweeps:
//!
//! - While the queue holds at most [`FEW`] messages, all P payments that are stuck may be queued.
//!   Then it holds more than FEW, or P is small, and nothing is queued again before it has drained.
//!   So the sweeps leave at most FEW + P messages in it. Confirmers that sweep within the minute by
//!   which the count lags send the same messages, which SQS drops (it remembers five minutes).
//! - While it holds more, because of a backlog or of one account that stands still, each confirmer
//!   has at most [`BESIDE`] payments queued regardless that are still stuck, so that no backlog
//!   hides a payment for ever.
//!
//! And a confirmer queues no payment twice that it queued before, or that was attempted since, as
//! long as the queue holds as many messages as it has queued: they may carry it.

use std::collections::HashMap;
use std::time::Duration;

use domain::{DueDate, PaymentId};
use shared::payments::StoredPayment;
use tokio::time::Instant;

/// So many messages are few: they hide no payment that has none.
pub(super) const FEW: u64 = 1_000;
/// Most stuck payments that one confirmer has queued in spite of more messages.
pub(super) const BESIDE: usize = 100;
/// Most payments that are remembered, with about 60 bytes each. Those beyond are bounded by FEW.
const REMEMBERED: usize = 10_000;
/// What was sent so long ago is counted, and no longer dropped by SQS when it is sent again.
const SETTLED: Duration = Duration::from_secs(6 * 60);

/// What this confirmer has queued again, and may.
#[derive(Debug, Default)]
pub(super) struct RequeueLimit {
    known: HashMap<PaymentId, RequeuedPayment>,
    /// Messages in the queue when the sweep began; `None` when they could not be counted, and
    /// nothing is queued then.
    queued: Option<u64>,
    sweep: u64,
}

#[derive(Debug, Clone, Copy)]
struct RequeuedPayment {
    due: DueDate,
    attempts: u32,
    /// When this confirmer queued it, or saw that it had been attempted since.
    carried: Option<Instant>,
    /// Whether it was queued in spite of more than FEW messages.
    beside: bool,
    /// The sweep that last met it.
    met: u64,
}

impl RequeueLimit {
    /// A sweep begins, while the queue holds so many messages.
    pub(super) fn begin(&mut self, queued: Option<u64>) {
        (self.sweep, self.queued) = (self.sweep + 1, queued);
        let settled =
            |known: &RequeuedPayment| known.carried.is_some_and(|at| at.elapsed() >= SETTLED);
        let carried = self.known.values().filter(|known| settled(known)).count();
        // Fewer messages than were sent: some of them are lost again.
        if queued.is_some_and(|queued| queued < carried as u64) {
            self.known.values_mut().filter(|known| settled(known)).for_each(|known| {
                (known.carried, known.beside) = (None, false);
            });
        }
    }

    /// Whether a payment of which nothing was settled is queued now.
    pub(super) fn take(&mut self, stored: &StoredPayment) -> bool {
        let (id, due, attempts) = (stored.payment.id, stored.payment.due, stored.attempts);
        let (sweep, now) = (self.sweep, Instant::now());
        if let Some(known) = self.known.get_mut(&id) {
            known.met = sweep;
            if known.attempts != attempts {
                // A message has carried it since, and comes again.
                (known.attempts, known.carried) = (attempts, Some(now));
            }
            if known.carried.is_some() {
                return false;
            }
        }
        let Some(queued) = self.queued else { return false };
        let room = self.known.len() < REMEMBERED || self.known.contains_key(&id);
        let beside = queued > FEW;
        if beside && (!room || self.beside() >= BESIDE) {
            return false;
        }
        if room {
            let known = RequeuedPayment { due, attempts, carried: Some(now), beside, met: sweep };
            self.known.insert(id, known);
        }
        true
    }

    /// Messages could not be sent: what was taken in this sweep is taken again in the next.
    pub(super) fn not_sent(&mut self, payments: impl IntoIterator<Item = PaymentId>) {
        for payment in payments {
            self.known.remove(&payment);
        }
    }

    /// A sweep over the days that `covers` names is complete: what it did not meet is stuck no
    /// more.
    pub(super) fn end(&mut self, covers: impl Fn(DueDate) -> bool) {
        let sweep = self.sweep;
        self.known.retain(|_, known| known.met == sweep || !covers(known.due));
    }

    fn beside(&self) -> usize {
        self.known.values().filter(|known| known.beside).count()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::sweep::simulation::stored;

    fn taken(requeues: &mut RequeueLimit, queued: u64, payments: &[StoredPayment]) -> usize {
        requeues.begin(Some(queued));
        let taken = payments.iter().filter(|stored| requeues.take(stored)).count();
        requeues.end(|_| true);
        taken
    }

    fn some(count: u32) -> Vec<StoredPayment> {
        (0..count).map(stored).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_message_may_carry_is_not_queued_again() {
        let (mut requeues, payments) = (RequeueLimit::default(), some(300));
        assert_eq!(taken(&mut requeues, 0, &payments), 300);
        for _ in 0..20 {
            advance(SETTLED).await;
            assert_eq!(taken(&mut requeues, 300, &payments), 0);
        }
        assert_eq!(taken(&mut requeues, 299, &payments), 300, "one message was lost");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_just_now_is_not_missed_by_a_count_that_lags() {
        let (mut requeues, payments) = (RequeueLimit::default(), some(10));
        assert_eq!(taken(&mut requeues, 0, &payments), 10);
        advance(Duration::from_secs(60)).await;
        assert_eq!(taken(&mut requeues, 0, &payments), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn behind_a_backlog_a_hundred_are_queued_and_others_once_those_have_moved_on() {
        let (mut requeues, payments) = (RequeueLimit::default(), some(350));
        assert_eq!(taken(&mut requeues, FEW + 1, &payments), BESIDE);
        advance(SETTLED).await;
        assert_eq!(taken(&mut requeues, FEW + 1, &payments), 0, "a hundred stand still");
        let others = &payments[BESIDE..];
        assert_eq!(taken(&mut requeues, FEW + 1, others), 0, "at its end the sweep knows");
        assert_eq!(taken(&mut requeues, FEW + 1, others), BESIDE);
        assert_eq!(taken(&mut requeues, FEW, &payments[BESIDE..]), 150, "the backlog has drained");
    }

    #[tokio::test(start_paused = true)]
    async fn a_payment_that_was_attempted_since_has_a_message() {
        let (mut requeues, mut payments) = (RequeueLimit::default(), some(3));
        assert_eq!(taken(&mut requeues, 0, &payments), 3);
        payments[0].attempts += 1;
        advance(SETTLED).await;
        assert_eq!(taken(&mut requeues, 3, &payments), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_queued_while_nobody_can_count_and_what_was_not_sent_is_taken_again() {
        let (mut requeues, payments) = (RequeueLimit::default(), some(2));
        requeues.begin(None);
        assert!(!requeues.take(&payments[0]));
        requeues.begin(Some(0));
        assert!(requeues.take(&payments[0]));
        requeues.not_sent([payments[0].payment.id]);
        requeues.begin(Some(0));
        assert!(requeues.take(&payments[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_what_is_not_remembered_is_bounded_by_the_count() {
        let (mut requeues, payments) = (RequeueLimit::default(), some(REMEMBERED as u32 + 5));
        assert_eq!(taken(&mut requeues, 0, &payments), payments.len());
        assert_eq!(requeues.known.len(), REMEMBERED);
        assert_eq!(taken(&mut requeues, FEW + 1, &payments), 0);
        requeues.begin(Some(0));
        requeues.end(|due| due != payments[0].payment.due);
        assert_eq!(requeues.known.len(), REMEMBERED, "their day was not swept");
        requeues.end(|_| true);
        assert_eq!(requeues.known.len(), 0);
    }
}
