//! Claims what one receive brought, and starts the work on each account's payments.

use std::time::Duration;

use domain::{Attempt, Failure, FailureCode, Status};
use jiff::Timestamp;
use shared::payments::{Change, ChangeError, refused_change};
use shared::telemetry::admin::Calls;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::account_worker::AccountWorker;
use crate::blobs;
use crate::claim_result::ClaimResult;
use crate::closing::{MessageCloser, Redelivery};
use crate::early::{ByDueDate, by_due_date};
use crate::events;
use crate::job::{ClaimState, ClaimedPayment, InHandMessage, Job, ReceivedBatch, by_group, sort};

/// What claiming needs.
#[derive(Debug, Clone)]
pub(crate) struct Claimer {
    pub(crate) account_worker: AccountWorker,
    pub(crate) tasks: TaskTracker,
    pub(crate) claiming: Calls,
}

impl Claimer {
    fn closer(&self) -> &MessageCloser {
        &self.account_worker.closer
    }

    /// Claims what was received, beside the receive loop.
    pub(crate) fn spawn(&self, received: Vec<InHandMessage>) {
        self.tasks.spawn(self.clone().work(received));
    }

    pub(crate) async fn work(self, received: Vec<InHandMessage>) {
        let ReceivedBatch { jobs, duplicates, malformed } = sort(received);
        // Behind its own payment in the group, which is in hand: delivered again, it finds that
        // one ended.
        self.give_back_at_once(duplicates).await;
        for (received, reason) in malformed {
            let failure = Failure::new(FailureCode::MalformedMessage, reason);
            let dead_lettered = self.closer().dead_letter_whole(received, failure).await;
            if let Err(Redelivery { received, .. }) = dead_lettered {
                self.give_back(vec![received]).await;
            }
        }
        let jobs = self.still_held(jobs).await;
        let Some(now) = self.closer().clock.sure() else {
            return self.give_back(jobs.into_iter().map(|job| job.received).collect()).await;
        };
        let ByDueDate { due, soon, behind, ahead } =
            by_due_date(jobs, now, &self.closer().archive.zone);
        self.delay(soon, behind).await;
        let pending = self.close_ahead(ahead, now).await;
        let mut claimed = self.claim(due, now).await;
        claimed.extend(pending);
        let groups = by_group(claimed).into_iter();
        let (complete, mut others): (Vec<_>, Vec<_>) = groups.partition(|g| blobs::is_complete(g));
        self.start(complete);
        blobs::read(&*self.closer().store, &mut others).await;
        self.start(others);
    }

    fn start(&self, groups: Vec<Vec<ClaimedPayment>>) {
        for group in groups {
            self.tasks.spawn(self.account_worker.clone().work(group));
        }
    }

    /// The jobs that are still this worker's: a process that was stopped since the receive may
    /// no longer have them (INV-10). What follows a lost one in its group goes back.
    async fn still_held(&self, jobs: Vec<Job>) -> Vec<Job> {
        let (mut held, mut behind): (Vec<Job>, Vec<InHandMessage>) = (Vec::new(), Vec::new());
        let mut lost: Vec<InHandMessage> = Vec::new();
        for job in jobs {
            if lost.iter().any(|before| before.same_group(&job.received)) {
                behind.push(job.received);
            } else if job.received.delivery.is_held() {
                held.push(job);
            } else {
                events::visibility_lost(&job.payment);
                lost.push(job.received);
            }
        }
        self.give_back_at_once(behind).await;
        held
    }

    /// Gives payments back until their day begins, and what must not overtake them at once.
    async fn delay(&self, soon: Vec<(Job, Duration)>, behind: Vec<Job>) {
        let behind = behind.into_iter().map(|job| (job.received.delivery, Duration::ZERO));
        let soon = soon.into_iter().map(|(job, pause)| {
            events::early(&job.payment, "delayed");
            (job.received.delivery, pause)
        });
        self.closer().release(soon.chain(behind).collect()).await;
    }

    /// Closes the messages of payments whose day lies far ahead, so that they block nobody in
    /// their accounts until then: the opening of the day sends them. What is wrong with one is
    /// reported now. Returns those that are PENDING all the same: they may have been settled,
    /// and are asked for. What follows an undecided one in its account goes back with it (INV-6).
    async fn close_ahead(&self, jobs: Vec<Job>, now: Timestamp) -> Vec<ClaimedPayment> {
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            let result = match self.closer().store.get(&job.payment.reference()).await {
                Ok(Some(stored)) => refused_change(&Change::Claim(&job.payment), stored),
                Ok(None) => Err(ChangeError::Missing),
                Err(error) => {
                    events::error("claim", &error);
                    results.push((job, ClaimResult::Undecided { reason: error.to_string() }));
                    continue;
                }
            };
            if let Err(ChangeError::InStatus(stored)) = &result
                && stored.status == Status::Scheduled
            {
                self.closer().queue.acknowledge(vec![job.received.delivery]).await;
                events::early(&job.payment, "left_to_day_opening");
                continue;
            }
            results.push((job, ClaimResult::of(result, first_attempt(now))));
        }
        self.carry_out(results).await
    }

    /// Claims payments, in one request, and returns what is to be worked on, in their order.
    async fn claim(&self, jobs: Vec<Job>, now: Timestamp) -> Vec<ClaimedPayment> {
        if jobs.is_empty() {
            return Vec::new();
        }
        let changes: Vec<_> = jobs.iter().map(|job| Change::Claim(&job.payment)).collect();
        let began_at = Instant::now();
        let results = self.closer().store.apply(&changes, now).await;
        let took = began_at.elapsed();
        self.claiming.note(&results);
        let results = match results {
            Ok(results) => results,
            Err(error) => {
                events::error("claim", &error);
                self.give_back(jobs.into_iter().map(|job| job.received).collect()).await;
                return Vec::new();
            }
        };
        let results = results.into_iter().map(|result| ClaimResult::of(result, first_attempt(now)));
        let results: Vec<_> = jobs.into_iter().zip(results).collect();
        for (job, result) in &results {
            if let ClaimResult::Work(ClaimState::New(_)) = result {
                let _ = job.times.claim.set(took);
                events::pending(self.closer().time_since_due(&job.payment));
            }
        }
        self.carry_out(results).await
    }

    /// Does what each result says, and returns what is to be worked on.
    async fn carry_out(&self, results: Vec<(Job, ClaimResult)>) -> Vec<ClaimedPayment> {
        let mut claimed = Vec::with_capacity(results.len());
        let mut undecided: Vec<InHandMessage> = Vec::new();
        for (job, result) in results {
            events::claim(result.as_str());
            // Nothing overtakes an undecided payment of its own account (INV-6).
            let waits = undecided.iter().any(|before| before.same_group(&job.received));
            match result {
                ClaimResult::Work(_) if waits => undecided.push(job.received),
                ClaimResult::Work(state) => claimed.push(ClaimedPayment { job, state }),
                ClaimResult::Close(reason) => {
                    let closed = self.closer().close(job, reason).await;
                    if let Err(Redelivery { received, .. }) = closed {
                        undecided.push(received);
                    }
                }
                ClaimResult::Undecided { reason } => {
                    events::claim_undecided(&job.payment, &reason);
                    undecided.push(job.received);
                }
            }
        }
        self.give_back(undecided).await;
        claimed
    }

    /// Gives messages back that nothing could be decided about: the first of each group after
    /// a pause, the others at once, because they wait for the first anyway.
    async fn give_back(&self, received: Vec<InHandMessage>) {
        let mut groups: Vec<String> = Vec::new();
        let paused = received.into_iter().map(|received| {
            let Redelivery { received, mut pause } = Redelivery::undecided(received);
            if groups.contains(&received.delivery.group) {
                pause = Duration::ZERO;
            } else {
                groups.push(received.delivery.group.clone());
            }
            (received.delivery, pause)
        });
        self.closer().release(paused.collect()).await;
    }

    pub(crate) async fn give_back_at_once(&self, received: Vec<InHandMessage>) {
        let now = received.into_iter().map(|received| (received.delivery, Duration::ZERO));
        self.closer().release(now.collect()).await;
    }
}

fn first_attempt(now: Timestamp) -> Attempt {
    Attempt { number: 1, before_replay: 0, not_done: 0, claimed_at: now }
}
