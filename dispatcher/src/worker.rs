//! One receive after the other: claim what it brought, then each group goes its way.

use std::sync::Arc;

use jiff::Timestamp;
use shared::domain::{Failure, FailureCode};
use shared::payments::{Change, PaymentsTable};
use shared::queue::{Consumer, DeadLetterQueue, MAX_BATCH};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::events;
use crate::group::Group;
use crate::job::{Job, Received, Sorted, by_group, sort};
use crate::verdict::{Verdict, judge};

/// A receiver of payments. Cloned for each receive loop.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) queue: Consumer,
    pub(crate) table: Arc<PaymentsTable>,
    pub(crate) dead_letters: DeadLetterQueue,
    pub(crate) group: Group,
    /// Places for payments in hand.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) concurrency: usize,
    pub(crate) tasks: TaskTracker,
}

impl Worker {
    /// Receives until shutdown: never more than there are places for.
    pub(crate) async fn receive(self, shutdown: Shutdown) {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            let places = Arc::clone(&self.places).acquire_many_owned(MAX_BATCH as u32);
            let Some(Ok(mut places)) = shutdown.unless_requested(places).await else {
                return;
            };
            let Some(result) = self.queue.receive_until(&shutdown).await else {
                return;
            };
            match result {
                Ok(deliveries) => {
                    pauses = retry::NEVER_GIVE_UP.pauses();
                    let received = deliveries.into_iter().filter_map(|delivery| {
                        Some(Received { delivery, place: places.split(1)? })
                    });
                    let received: Vec<_> = received.collect();
                    if !received.is_empty() {
                        self.tasks.spawn(self.clone().work(received));
                    }
                }
                Err(error) => {
                    events::error("receive", &error);
                    if shutdown.pause(pauses.next().unwrap_or_default()).await {
                        return;
                    }
                }
            }
            drop(places);
            events::in_hand(self.concurrency.saturating_sub(self.places.available_permits()));
        }
    }

    async fn work(self, received: Vec<Received>) {
        let Sorted { jobs, duplicates, malformed } = sort(received);
        // Behind its own payment in the group: delivered again, it finds that one ended.
        self.give_back(duplicates).await;
        for (received, reason) in malformed {
            self.bury_message(received, Failure::new(FailureCode::MalformedMessage, reason)).await;
        }
        let jobs = self.claim(jobs).await;
        for group in by_group(jobs) {
            self.tasks.spawn(self.group.clone().work(group));
        }
    }

    /// Claims payments and returns those to submit.
    async fn claim(&self, jobs: Vec<Job>) -> Vec<Job> {
        let changes: Vec<_> = jobs.iter().map(|job| Change::Claim(&job.payment)).collect();
        let results = match self.table.apply(&changes, Timestamp::now()).await {
            Ok(results) => results,
            Err(error) => {
                events::error("claim", &error);
                self.give_back(jobs.into_iter().map(|job| job.received).collect()).await;
                return Vec::new();
            }
        };
        let mut claimed = Vec::with_capacity(jobs.len());
        let mut undecided: Vec<Job> = Vec::new();
        for (job, result) in jobs.into_iter().zip(results) {
            let verdict = judge(result);
            events::claim(verdict.as_str());
            // Nothing overtakes an undecided payment of its own account (INV-6).
            let waits = undecided.iter().any(|before| before.same_group(&job));
            match verdict {
                Verdict::Submit | Verdict::SubmitAgain if waits => undecided.push(job),
                Verdict::Submit | Verdict::SubmitAgain => claimed.push(job),
                Verdict::Leftover(_) => self.queue.acknowledge(vec![job.received.delivery]).await,
                Verdict::BuryAgain(failure) => self.group.bury(job, failure).await,
                Verdict::Contradicted(failure) => self.bury_message(job.received, failure).await,
                Verdict::Retry { reason } => {
                    tracing::warn!(payment_id = %job.payment.id, reason, "a claim was not decided");
                    undecided.push(job);
                }
            }
        }
        self.give_back(undecided.into_iter().map(|job| job.received).collect()).await;
        claimed
    }

    async fn give_back(&self, received: Vec<Received>) {
        if received.is_empty() {
            return;
        }
        events::released(received.len());
        let deliveries = received.into_iter().map(|received| received.delivery);
        self.queue.retry_later(deliveries.collect()).await;
    }

    /// Puts a message whole into the dead-letter queue, then deletes it.
    async fn bury_message(&self, received: Received, failure: Failure) {
        let Received { delivery, place } = received;
        events::buried(&delivery.message_id, &failure);
        let raw = delivery.body.clone();
        match self.dead_letters.bury_raw(&delivery.message_id, raw, failure).await {
            Ok(()) => self.queue.acknowledge(vec![delivery]).await,
            Err(error) => {
                events::error("bury", &error);
                self.give_back(vec![Received { delivery, place }]).await;
            }
        }
    }
}
