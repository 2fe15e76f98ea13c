//! The claimed payments of one account, worked on one after the other.

use std::time::Duration;

use shared::clock::Clock;
use shared::domain::{Attempt, Failure, NextStep, redelivery_pause};
use shared::payments::{Applied, Change, PaymentStore};
use shared::queue::{Consumer, DeadLetterQueue, Delivery};
use shared::shutdown::Shutdown;
use std::sync::Arc;
use tokio::sync::mpsc;

use crate::attempt::{Attempts, Finding};
use crate::events;
use crate::job::{Claimed, Job, Received};
use crate::past::Before;
use crate::recorder::{Done, End};
use crate::verdict::Verdict;

/// The delivery from which on such a pause does not grow: 16 seconds.
const LAST_GROWTH: u32 = 5;

/// What working on a group needs.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) attempts: Attempts,
    pub(crate) store: Arc<dyn PaymentStore>,
    pub(crate) queue: Consumer,
    pub(crate) dead_letters: DeadLetterQueue,
    pub(crate) done: mpsc::Sender<Done>,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
}

impl Group {
    /// Works on payments in order. A rejected payment does not hold up those after it; one
    /// that must be delivered again takes the rest of the group back with it (INV-6).
    pub(crate) async fn work(self, claimed: Vec<Claimed>) {
        let mut rest = claimed.into_iter();
        while let Some(Claimed { job, claim }) = rest.next() {
            let finding = self.attempts.make(&job, claim, &self.shutdown).await;
            let held_up = match finding {
                Finding::Step(NextStep::Confirm(settlement), attempt) => {
                    self.hand_on(job, attempt, End::Settled(settlement)).await;
                    continue;
                }
                Finding::Step(NextStep::Await, attempt) => {
                    self.hand_on(job, attempt, End::Accepted).await;
                    continue;
                }
                Finding::Step(NextStep::Fail(failure), attempt) => {
                    self.fail(job, failure, attempt).await
                }
                Finding::Step(NextStep::Redeliver(pause), _) => Err((job, pause)),
                Finding::Ended(verdict) => self.close(job, verdict).await,
                Finding::Undecided => Err(later(job)),
                Finding::Stopped => Err((job, Duration::ZERO)),
                Finding::Withdrawn => {
                    events::withdrawn(&job.payment);
                    // Somebody else may have this one; the queue holds back the rest.
                    drop(job);
                    return self.give_back_rest(rest).await;
                }
            };
            if let Err((job, pause)) = held_up {
                return self.give_back(job, pause, rest).await;
            }
        }
    }

    async fn hand_on(&self, job: Job, attempt: Attempt, end: End) {
        // The recorder ends only after all groups.
        let _ = self.done.send(Done { job, attempt: attempt.number, end }).await;
    }

    /// Deals with a message whose payment has ended, or is not what the message says.
    ///
    /// # Errors
    /// The job, and how long it should stay away, when that could not be done.
    pub(crate) async fn close(&self, job: Job, verdict: Verdict) -> Result<(), (Job, Duration)> {
        match verdict {
            Verdict::Leftover(_) => {
                self.queue.acknowledge(vec![job.received.delivery]).await;
                Ok(())
            }
            Verdict::BuryAgain(failure) => self.bury(job, failure).await,
            Verdict::Absent(failure) => self.close_absent(job, failure).await,
            Verdict::Contradicted(failure) => self.bury_whole(job, failure).await,
            Verdict::Work(_) | Verdict::Retry { .. } => Err(later(job)),
        }
    }

    /// Deals with a message whose payment the table does not hold: a leftover if the payment was
    /// settled and archived, else something for a person.
    async fn close_absent(&self, job: Job, failure: Failure) -> Result<(), (Job, Duration)> {
        match self.attempts.past.of(&job.payment).await {
            Ok(Before::Settled(_)) => {
                events::archived(&job.payment);
                self.queue.acknowledge(vec![job.received.delivery]).await;
                Ok(())
            }
            Ok(Before::Nothing) => self.bury_whole(job, failure).await,
            Ok(Before::Contradicted(failure)) => self.bury_whole(job, failure).await,
            Err(error) => {
                events::error("archive", &error);
                Err(later(job))
            }
        }
    }

    /// PENDING → FAILED, then the dead letter, then the message goes. A process that dies in
    /// between leaves the message: delivered again, the payment is found PENDING and asked
    /// for, or found FAILED and buried again.
    async fn fail(
        &self,
        job: Job,
        failure: Failure,
        attempt: Attempt,
    ) -> Result<(), (Job, Duration)> {
        if !job.received.delivery.is_held() {
            // Another worker may be settling it: only who holds it may fail it (INV-10).
            events::withdrawn(&job.payment);
            return Err(later(job));
        }
        let reference = job.payment.reference();
        let change = [Change::Fail(&reference, &failure, attempt.number)];
        let changed = self.store.apply(&change, self.clock.now()).await;
        match changed.map(|results| results.into_iter().collect::<Result<Vec<_>, _>>()) {
            Ok(Ok(applied)) => {
                if applied == [Applied::Now] {
                    events::failed(&job.payment, &failure);
                }
                self.bury(job, failure).await
            }
            Ok(Err(refused)) => {
                events::error("fail", &refused);
                Err(later(job))
            }
            Err(error) => {
                events::error("fail", &error);
                Err(later(job))
            }
        }
    }

    /// Writes the dead letter of a payment that is FAILED, then deletes its message.
    ///
    /// # Errors
    /// The job, and how long it should stay away, when the letter could not be written.
    async fn bury(&self, job: Job, failure: Failure) -> Result<(), (Job, Duration)> {
        let message_id = &job.received.delivery.message_id;
        let buried = self.dead_letters.bury(message_id, &job.payment, None, failure);
        match buried.await {
            Ok(()) => {
                self.queue.acknowledge(vec![job.received.delivery]).await;
                Ok(())
            }
            Err(error) => {
                events::error("bury", &error);
                Err(later(job))
            }
        }
    }

    async fn bury_whole(&self, job: Job, failure: Failure) -> Result<(), (Job, Duration)> {
        let Job { payment, blob, received } = job;
        self.bury_message(received, failure)
            .await
            .map_err(|received| later(Job { payment, blob, received }))
    }

    /// Puts a message whole into the dead-letter queue, then deletes it.
    ///
    /// # Errors
    /// The message, when the letter could not be written.
    pub(crate) async fn bury_message(
        &self,
        received: Received,
        failure: Failure,
    ) -> Result<(), Received> {
        let delivery = &received.delivery;
        events::buried(&delivery.message_id, &failure);
        let raw = delivery.body.clone();
        match self.dead_letters.bury_raw(&delivery.message_id, raw, failure).await {
            Ok(()) => {
                self.queue.acknowledge(vec![received.delivery]).await;
                Ok(())
            }
            Err(error) => {
                events::error("bury", &error);
                Err(received)
            }
        }
    }

    /// Releases a job after `pause` and the rest of its group at once. The group stays
    /// blocked until the first of them is visible again, so none overtakes it.
    async fn give_back(&self, job: Job, pause: Duration, rest: impl Iterator<Item = Claimed>) {
        let rest = rest.map(|claimed| (claimed.job.received.delivery, Duration::ZERO));
        let first = std::iter::once((job.received.delivery, pause));
        let all: Vec<_> = first.chain(rest).collect();
        events::released(all.len());
        self.queue.release(all).await;
    }

    async fn give_back_rest(&self, mut rest: impl Iterator<Item = Claimed>) {
        if let Some(Claimed { job, .. }) = rest.next() {
            self.give_back(job, Duration::ZERO, rest).await;
        }
    }
}

fn later(job: Job) -> (Job, Duration) {
    let pause = undecided_pause(&job.received.delivery);
    (job, pause)
}

/// How long a message stays away about which nothing could be decided: the longer the more
/// often it was delivered, but never for long, because it may have been delivered for others'
/// sake.
pub(crate) fn undecided_pause(delivery: &Delivery) -> Duration {
    redelivery_pause(delivery.receive_count.min(LAST_GROWTH))
}
