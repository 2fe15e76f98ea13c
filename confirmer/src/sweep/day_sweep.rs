//! One sweep: day by day, in order.

use std::sync::Arc;

use domain::{DueDate, KeyStatus, PaymentRef, Status};
use shared::payments::{DueDay, DuePayments, StoredPayment};
use shared::queue::{OutgoingMessage, Producer};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::task::JoinSet;

use super::plan::{Step, is_stuck, step};
use super::sweeper::{Interrupted, Memory, Sweeper};
use crate::events;

/// Questions asked side by side.
const QUESTIONS: usize = 40;

/// One sweep.
#[derive(Debug)]
pub(super) struct Round<'a> {
    pub(super) sweeper: &'a Sweeper,
    pub(super) shutdown: &'a Shutdown,
    /// What the sweeps before have left.
    pub(super) memory: &'a mut Memory,
    /// The last payment that was asked for, once too many had no answer.
    pub(super) last: Option<PaymentRef>,
}

impl Round<'_> {
    /// Sweeps one day. Every call to the table is tried until it succeeds: what comes later
    /// must not be queued before what could not be read.
    ///
    /// A day that a sweep before has read up to `place` is read from there.
    pub(super) async fn day(
        &mut self,
        day: DueDate,
        place: Option<&PaymentRef>,
    ) -> Result<(), Interrupted> {
        let table = Arc::clone(&self.sweeper.table);
        let mut day = match place.filter(|place| place.due == day) {
            Some(place) => DueDay::after(table, day, Status::Pending, place),
            None => DueDay::new(table, day, Status::Pending),
        };
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            match self.shutdown.unless_requested(day.next()).await.ok_or(Interrupted)? {
                Ok(Some(found)) => {
                    pauses = retry::NEVER_GIVE_UP.pauses();
                    for stuck in self.stuck(found).chunks(QUESTIONS) {
                        self.settle(stuck).await?;
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    events::error("sweep", &error);
                    if self.shutdown.pause(pauses.next().unwrap_or_default()).await {
                        return Err(Interrupted);
                    }
                }
            }
        }
    }

    fn stuck(&self, found: DuePayments) -> Vec<StoredPayment> {
        let now = self.sweeper.clock.now();
        let mut stuck = Vec::new();
        for (reference, stored) in found {
            match stored {
                Ok(stored) if is_stuck(&stored, now, self.sweeper.limit()) => stuck.push(stored),
                Ok(_) => {}
                Err(error) => {
                    // Without the account: logs hold none.
                    let (due, payment_id) = (reference.due, reference.id);
                    tracing::error!(%due, %payment_id, %error, "an item of the payments table is no payment");
                    events::error("sweep", &error);
                }
            }
        }
        stuck
    }

    /// Asks for all of them at once and sends what follows, in their order. What is being
    /// sent is sent to the end.
    async fn settle(&mut self, stuck: &[StoredPayment]) -> Result<(), Interrupted> {
        let answers = self.shutdown.unless_requested(self.ask(stuck)).await.ok_or(Interrupted)?;
        let (mut reports, mut again, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let mut taken = Vec::new();
        for (stored, found) in stuck.iter().zip(answers) {
            let label = match step(stored, found) {
                Step::Report(label, message) => {
                    reports.push(message);
                    label
                }
                Step::Requeue(_) if !self.memory.requeues.take(stored) => "already_queued",
                Step::Requeue(message) => {
                    taken.push(stored.payment.id);
                    again.push(message);
                    "requeued"
                }
                Step::Leave => "under_way",
                Step::NoAnswer(reason) => {
                    events::unanswered(stored, &reason);
                    self.memory.silence.unanswered(stored.payment.id);
                    continue;
                }
            };
            labels.push((stored, label));
            self.memory.silence.answered();
        }
        let mut sent = send(&self.sweeper.confirmations, &reports).await;
        if sent.is_ok() {
            sent = send(&self.sweeper.payments, &again).await;
        }
        if sent.is_err() {
            self.memory.requeues.not_sent(taken);
            return sent;
        }
        // What was not sent is found again by the next sweep, and counted there.
        labels.into_iter().for_each(|(stored, label)| events::stuck(stored, label));
        if !self.memory.silence.is_complete() {
            return Ok(());
        }
        self.last = stuck.last().map(|stored| stored.payment.reference());
        Err(Interrupted)
    }

    /// The answers in the order of the payments.
    async fn ask(&self, stuck: &[StoredPayment]) -> Vec<KeyStatus> {
        let mut asking = JoinSet::new();
        for (index, stored) in stuck.iter().enumerate() {
            let (transactions, asked) =
                (self.sweeper.transactions.clone(), (&stored.payment).into());
            asking.spawn(async move { (index, transactions.find(asked).await) });
        }
        let panicked =
            || KeyStatus::NoAnswer { retry_after: None, reason: "asking failed".to_owned() };
        let mut answers: Vec<KeyStatus> = stuck.iter().map(|_| panicked()).collect();
        while let Some(ended) = asking.join_next().await {
            if let Ok((index, found)) = ended {
                answers[index] = found;
            }
        }
        answers
    }
}

async fn send(queue: &Producer, messages: &[OutgoingMessage]) -> Result<(), Interrupted> {
    queue.send(messages).await.map_err(|unsent| {
        events::error("sweep", &unsent);
        Interrupted
    })
}
