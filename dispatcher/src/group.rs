//! The claimed payments of one account, submitted one after the other.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shared::domain::{Failure, NextStep, next_step, redelivery_pause};
use shared::payments::{Applied, Change, PaymentsTable};
use shared::queue::{Consumer, DeadLetterQueue};
use shared::shutdown::Shutdown;
use shared::transaction::TransactionClient;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::events;
use crate::job::Job;
use crate::recorder::Settled;

/// What submitting needs.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) transactions: TransactionClient,
    pub(crate) table: Arc<PaymentsTable>,
    pub(crate) queue: Consumer,
    pub(crate) dead_letters: DeadLetterQueue,
    pub(crate) settled: mpsc::Sender<Settled>,
    pub(crate) shutdown: Shutdown,
}

impl Group {
    /// Submits `jobs` in order. A rejected payment does not hold up those after it; one that
    /// must be delivered again takes the rest of the group back with it (INV-6).
    pub(crate) async fn work(self, jobs: Vec<Job>) {
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            if self.shutdown.is_requested() {
                // Nothing was sent for it yet: another dispatcher need not wait.
                return self.give_back(job, Duration::ZERO, jobs.collect()).await;
            }
            let asked_at = Instant::now();
            let outcome = self.transactions.submit(&job.payment).await;
            events::submitted(&job.payment, &outcome, asked_at.elapsed());
            match next_step(outcome, job.received.delivery.receive_count) {
                NextStep::Confirm(settlement) => {
                    // The recorder ends only after all groups.
                    let _ = self.settled.send(Settled { job, settlement }).await;
                }
                NextStep::Fail(failure) => self.fail(job, failure).await,
                NextStep::Redeliver(pause) => {
                    return self.give_back(job, pause, jobs.collect()).await;
                }
            }
        }
    }

    /// PENDING → FAILED, then the dead letter, then the message goes. A process that dies in
    /// between leaves the message: delivered again, the payment is found PENDING and
    /// rejected again, or found FAILED and buried again.
    async fn fail(&self, job: Job, failure: Failure) {
        let reference = job.payment.reference();
        let change = [Change::Fail(&reference, &failure)];
        let changed = self.table.apply(&change, Timestamp::now()).await;
        match changed.map(|results| results.into_iter().collect::<Result<Vec<_>, _>>()) {
            Ok(Ok(applied)) => {
                if applied == [Applied::Now] {
                    events::failed(&job.payment, &failure);
                }
                self.bury(job, failure).await;
            }
            Ok(Err(refused)) => {
                events::error("fail", &refused);
                self.retry_later(job).await;
            }
            Err(error) => {
                events::error("fail", &error);
                self.retry_later(job).await;
            }
        }
    }

    /// Writes the dead letter of a payment that is FAILED, then deletes its message.
    pub(crate) async fn bury(&self, job: Job, failure: Failure) {
        let message_id = &job.received.delivery.message_id;
        let buried = self.dead_letters.bury(message_id, &job.payment, None, failure);
        match buried.await {
            Ok(()) => self.queue.acknowledge(vec![job.received.delivery]).await,
            Err(error) => {
                events::error("bury", &error);
                self.retry_later(job).await;
            }
        }
    }

    async fn retry_later(&self, job: Job) {
        let pause = redelivery_pause(job.received.delivery.receive_count);
        self.give_back(job, pause, Vec::new()).await;
    }

    /// Releases a job after `pause` and the rest of its group at once. The group stays
    /// blocked until the first of them is visible again, so none overtakes it.
    async fn give_back(&self, job: Job, pause: Duration, rest: Vec<Job>) {
        events::released(1 + rest.len());
        let rest = rest.into_iter().map(|job| (job.received.delivery, Duration::ZERO));
        let first = std::iter::once((job.received.delivery, pause));
        self.queue.release(first.chain(rest).collect()).await;
    }
}
