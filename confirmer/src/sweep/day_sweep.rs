//! One sweep: day by day, in order.

use std::sync::Arc;
use std::time::Duration;

use domain::{DueDate, KeyStatus, PaymentRef, Status};
use shared::clock::Clock;
use shared::payments::{DueDay, DuePayments, DueTable, StoredPayment};
use shared::queue::{OutgoingMessage, Producer};
use shared::retry;
use shared::shutdown::Shutdown;
use shared::transaction::TransactionService;
use tokio::task::JoinSet;

use super::memory::{SweepInterrupted, SweepMemory};
use super::plan::{SweepAction, is_stuck, step};
use crate::events;

/// Questions asked side by side.
const QUESTIONS: usize = 40;

/// What a sweep reads and writes.
#[derive(Debug, Clone)]
pub(crate) struct SweepPorts {
    pub(crate) table: Arc<dyn DueTable>,
    pub(crate) transactions: Arc<dyn TransactionService>,
    pub(crate) payments: Producer,
    pub(crate) confirmations: Producer,
    pub(crate) clock: Clock,
}

/// One sweep, day by day.
#[derive(Debug)]
pub(super) struct DaySweep<'a> {
    pub(super) ports: &'a SweepPorts,
    /// How long a payment may be PENDING.
    pub(super) limit: Duration,
    pub(super) shutdown: &'a Shutdown,
    /// What the sweeps before have left.
    pub(super) memory: &'a mut SweepMemory,
    /// The last payment that was asked for, once too many had no answer.
    pub(super) last: Option<PaymentRef>,
}

impl DaySweep<'_> {
    /// Sweeps one day. Every call to the table is tried until it succeeds: what comes later
    /// must not be queued before what could not be read.
    ///
    /// A day that a sweep before has read up to `position` is read from there.
    pub(super) async fn day(
        &mut self,
        day: DueDate,
        position: Option<&PaymentRef>,
    ) -> Result<(), SweepInterrupted> {
        let table = Arc::clone(&self.ports.table);
        let mut day = match position.filter(|position| position.due == day) {
            Some(position) => DueDay::after(table, day, Status::Pending, position),
            None => DueDay::new(table, day, Status::Pending),
        };
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            match self.shutdown.unless_requested(day.next()).await.ok_or(SweepInterrupted)? {
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
                        return Err(SweepInterrupted);
                    }
                }
            }
        }
    }

    fn stuck(&self, found: DuePayments) -> Vec<StoredPayment> {
        let now = self.ports.clock.now();
        let mut stuck = Vec::new();
        for (reference, stored) in found {
            match stored {
                Ok(stored) if is_stuck(&stored, now, self.limit) => stuck.push(stored),
                Ok(_) => {}
                Err(error) => {
                    // Without the account: logs hold none.
                    let (due, payment_id) = (reference.due, reference.id);
                    tracing::error!(%due, %payment_id, %error, "an item of the payments table is no payment: the sweep skips it, run dueflow payments audit");
                    events::error("sweep", &error);
                }
            }
        }
        stuck
    }

    /// Asks for all of them at once and sends what follows, in their order. What is being
    /// sent is sent to the end.
    async fn settle(&mut self, stuck: &[StoredPayment]) -> Result<(), SweepInterrupted> {
        let answers =
            self.shutdown.unless_requested(self.ask(stuck)).await.ok_or(SweepInterrupted)?;
        let (mut reports, mut again, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let mut taken = Vec::new();
        for (stored, found) in stuck.iter().zip(answers) {
            let label = match step(stored, found) {
                SweepAction::Report(label, message) => {
                    reports.push(message);
                    label
                }
                SweepAction::Requeue(_) if !self.memory.requeues.take(stored) => "already_queued",
                SweepAction::Requeue(message) => {
                    taken.push(stored.payment.id);
                    again.push(message);
                    "requeued"
                }
                SweepAction::Leave => "under_way",
                SweepAction::NoAnswer(reason) => {
                    events::unanswered(stored, &reason);
                    self.memory.outages.unanswered(stored.payment.id);
                    continue;
                }
            };
            labels.push((stored, label));
            self.memory.outages.answered();
        }
        let mut sent = send(&self.ports.confirmations, &reports).await;
        if sent.is_ok() {
            sent = send(&self.ports.payments, &again).await;
        }
        if sent.is_err() {
            self.memory.requeues.not_sent(taken);
            return sent;
        }
        // What was not sent is found again by the next sweep, and counted there.
        labels.into_iter().for_each(|(stored, label)| events::stuck(stored, label));
        if !self.memory.outages.is_outage() {
            return Ok(());
        }
        self.last = stuck.last().map(|stored| stored.payment.reference());
        Err(SweepInterrupted)
    }

    /// The answers in the order of the payments.
    async fn ask(&self, stuck: &[StoredPayment]) -> Vec<KeyStatus> {
        let mut asking = JoinSet::new();
        for (index, stored) in stuck.iter().enumerate() {
            let (transactions, asked) = (self.ports.transactions.clone(), (&stored.payment).into());
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

async fn send(queue: &Producer, messages: &[OutgoingMessage]) -> Result<(), SweepInterrupted> {
    queue.send(messages).await.map_err(|unsent| {
        events::error("sweep", &unsent);
        SweepInterrupted
    })
}
