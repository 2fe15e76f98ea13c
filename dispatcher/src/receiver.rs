//! One receive after the other: claim what it brought, then each group goes its way.

use std::sync::Arc;
use std::time::Duration;

use domain::{Attempt, Failure, FailureCode};
use jiff::Timestamp;
use shared::clock::Clock;
use shared::payments::{Change, PaymentStore};
use shared::queue::{Consumer, Delivery, MAX_BATCH};
use shared::retry;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Calls;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::account_worker::{Group, undecided_pause};
use crate::blobs;
use crate::calls::limiter::Gate;
use crate::claim_result::{Verdict, judge};
use crate::events;
use crate::in_hand::Place;
use crate::job::{Claim, Claimed, Job, Received, Sorted, by_group, sort};

/// Time between two looks at a clock that was set: it is confirmed, or the process ends, within
/// a minute or so.
const CLOCK_PAUSE: Duration = Duration::from_secs(5);

/// A receiver of payments. Cloned for each receive loop.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) queue: Consumer,
    pub(crate) store: Arc<dyn PaymentStore>,
    pub(crate) group: Group,
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
    /// Places for payments in hand.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) receiving: Calls,
    pub(crate) claiming: Calls,
}

impl Worker {
    /// Receives until shutdown: never more than there are places for, and nothing while the
    /// transaction service is down or dispatching is stopped.
    pub(crate) async fn receive(self, shutdown: Shutdown) {
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            if shutdown.unless_requested(self.gate.receivable()).await.is_none() {
                return;
            }
            if self.clock.sure().is_none() {
                events::clock_in_doubt();
                if shutdown.pause(CLOCK_PAUSE).await {
                    return;
                }
                continue;
            }
            let places = Arc::clone(&self.places).acquire_many_owned(MAX_BATCH as u32);
            let Some(Ok(mut places)) = shutdown.unless_requested(places).await else {
                return;
            };
            let Some(result) = self.queue.receive_until(&shutdown).await else {
                return;
            };
            self.receiving.note(&result);
            match result {
                Ok(deliveries) => {
                    pauses = retry::NEVER_GIVE_UP.pauses();
                    let received = deliveries.into_iter().filter_map(|delivery| {
                        Some(Received { delivery, place: Place::taken(places.split(1)?) })
                    });
                    let received: Vec<_> = received.collect();
                    if self.gate.is_stopped() {
                        // The receive was under way already. Nothing is claimed, so it costs no
                        // attempt.
                        self.give_back_at_once(received).await;
                    } else if !received.is_empty() {
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
        }
    }

    pub(crate) async fn work(self, received: Vec<Received>) {
        let Sorted { jobs, duplicates, malformed } = sort(received);
        // Behind its own payment in the group, which is in hand: delivered again, it finds that
        // one ended.
        self.give_back_at_once(duplicates).await;
        for (received, reason) in malformed {
            let failure = Failure::new(FailureCode::MalformedMessage, reason);
            if let Err(received) = self.group.bury_message(received, failure).await {
                self.give_back(vec![received]).await;
            }
        }
        let jobs = self.still_held(jobs).await;
        let Some(now) = self.clock.sure() else {
            return self.give_jobs_back(jobs).await;
        };
        let (jobs, pending) = self.due(jobs, now).await;
        let mut claimed = self.claim(jobs, now).await;
        claimed.extend(pending);
        let groups = by_group(claimed).into_iter();
        let (complete, mut others): (Vec<_>, Vec<_>) = groups.partition(|g| blobs::is_complete(g));
        self.start(complete);
        blobs::read(&*self.store, &mut others).await;
        self.start(others);
    }

    fn start(&self, groups: Vec<Vec<Claimed>>) {
        for group in groups {
            self.tasks.spawn(self.group.clone().work(group));
        }
    }

    /// The jobs that are still this worker's: a process that was stopped since the receive may
    /// no longer have them (INV-10). What follows a lost one in its group goes back.
    async fn still_held(&self, jobs: Vec<Job>) -> Vec<Job> {
        let (mut held, mut behind): (Vec<Job>, Vec<Received>) = (Vec::new(), Vec::new());
        let mut lost: Vec<Job> = Vec::new();
        for job in jobs {
            if lost.iter().any(|before| before.same_group(&job)) {
                behind.push(job.received);
            } else if job.received.delivery.is_held() {
                held.push(job);
            } else {
                events::withdrawn(&job.payment);
                lost.push(job);
            }
        }
        self.give_back_at_once(behind).await;
        held
    }

    /// Claims payments, in one request, and returns what is to be worked on, in their order.
    async fn claim(&self, jobs: Vec<Job>, now: Timestamp) -> Vec<Claimed> {
        if jobs.is_empty() {
            return Vec::new();
        }
        let changes: Vec<_> = jobs.iter().map(|job| Change::Claim(&job.payment)).collect();
        let results = self.store.apply(&changes, now).await;
        self.claiming.note(&results);
        let results = match results {
            Ok(results) => results,
            Err(error) => {
                events::error("claim", &error);
                self.give_jobs_back(jobs).await;
                return Vec::new();
            }
        };
        let made = Attempt { number: 1, before_replay: 0, not_done: 0, claimed_at: now };
        let verdicts = results.into_iter().map(|result| judge(result, made));
        self.carry_out(jobs.into_iter().zip(verdicts).collect()).await
    }

    /// Does what each verdict says, and returns what is to be worked on.
    pub(crate) async fn carry_out(&self, judged: Vec<(Job, Verdict)>) -> Vec<Claimed> {
        let mut claimed = Vec::with_capacity(judged.len());
        let mut undecided: Vec<Job> = Vec::new();
        for (mut job, verdict) in judged {
            events::claim(verdict.as_str());
            // Nothing overtakes an undecided payment of its own account (INV-6).
            let waits = undecided.iter().any(|before| before.same_group(&job));
            match verdict {
                Verdict::Work(_) | Verdict::Disputed(_) if waits => undecided.push(job),
                Verdict::Work(claim) => claimed.push(Claimed { job, claim }),
                Verdict::Disputed(stored) => {
                    let claim = Claim::Disputed(stored.attempt());
                    job.table = Some(Box::new(stored.payment));
                    claimed.push(Claimed { job, claim });
                }
                ended @ (Verdict::Leftover(_)
                | Verdict::DeadLetter(_)
                | Verdict::Withhold(_)
                | Verdict::Absent(_)
                | Verdict::Contradicted(_)) => {
                    if let Err((job, _)) = self.group.close(job, ended).await {
                        undecided.push(job);
                    }
                }
                Verdict::Retry { reason } => {
                    tracing::warn!(payment_id = %job.payment.id, reason, "a claim was not decided");
                    undecided.push(job);
                }
            }
        }
        self.give_jobs_back(undecided).await;
        claimed
    }

    async fn give_jobs_back(&self, jobs: Vec<Job>) {
        self.give_back(jobs.into_iter().map(|job| job.received).collect()).await;
    }

    /// Gives messages back that nothing could be decided about: the first of each group after
    /// a pause, the others at once, because they wait for the first anyway.
    pub(crate) async fn give_back(&self, received: Vec<Received>) {
        let mut groups: Vec<String> = Vec::new();
        let paused = received.into_iter().map(|Received { delivery, .. }| {
            let pause = if groups.contains(&delivery.group) {
                Duration::ZERO
            } else {
                groups.push(delivery.group.clone());
                undecided_pause(&delivery)
            };
            (delivery, pause)
        });
        self.release(paused.collect()).await;
    }

    async fn give_back_at_once(&self, received: Vec<Received>) {
        let now = received.into_iter().map(|received| (received.delivery, Duration::ZERO));
        self.release(now.collect()).await;
    }

    pub(crate) async fn release(&self, deliveries: Vec<(Delivery, Duration)>) {
        if !deliveries.is_empty() {
            events::released(deliveries.len());
            self.queue.release(deliveries).await;
        }
    }
}
