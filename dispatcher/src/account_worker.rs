//! The claimed payments of one account, worked on one after the other.

use std::time::Duration;

use domain::{Attempt, DueTiming, Failure, FailureCode, NextStep, Settlement, redelivery_pause};
use shared::clock::Clock;
use shared::dead_letters::{DeadLetterResult, dead_letter};
use shared::payments::{ApplyResult, Change, ChangeError, PaymentStore, StoredPayment};
use shared::queue::{Consumer, DeadLetterQueue, DeadLetterSource, Delivery};
use shared::shutdown::Shutdown;
use std::sync::Arc;
use tokio::sync::mpsc;

use crate::archive_lookup::Before;
use crate::attempt::{Attempts, Finding};
use crate::claim_result::{Verdict, Versions};
use crate::events;
use crate::job::{Claimed, Job, Received};
use crate::recorder::{Done, End};

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
                    if let Err(job) = self.tell_of_settled(job, attempt, settlement).await {
                        Err(later(job))
                    } else {
                        continue;
                    }
                }
                // The message is the only one that knows of the other version.
                Finding::Step(NextStep::Await, attempt) if job.table.is_some() => {
                    Err((job, redelivery_pause(attempt.tries())))
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
                Finding::Early(DueTiming::Ahead) => {
                    // The opening of its day, or the sweep for PENDING payments, sends it.
                    events::early(&job.payment, "left_to_day_opening");
                    self.queue.acknowledge(vec![job.received.delivery]).await;
                    continue;
                }
                Finding::Early(DueTiming::BeginsIn(rest)) => {
                    events::early(&job.payment, "delayed");
                    Err((job, rest))
                }
                Finding::Early(DueTiming::Begun) => Err((job, Duration::ZERO)),
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
            Verdict::DeadLetter(versions) => self.dead_letter(job, versions).await,
            Verdict::Withhold(stored) => self.withhold(job, &stored).await,
            Verdict::Absent(failure) => self.close_absent(job, failure).await,
            Verdict::Contradicted(failure) => self.bury_whole(job, failure).await,
            Verdict::Work(_) | Verdict::Disputed(_) | Verdict::Retry { .. } => Err(later(job)),
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

    /// SCHEDULED → FAILED, then the dead letter with both versions, then the message goes. A
    /// process that dies in between leaves the message: delivered again, the payment is found
    /// SCHEDULED and withheld, or found FAILED without its dead letter.
    async fn withhold(&self, job: Job, stored: &StoredPayment) -> Result<(), (Job, Duration)> {
        let reference = job.payment.reference();
        let error = ChangeError::Mismatch(Box::new(stored.clone()));
        let failure = Failure::new(FailureCode::Mismatch, error.to_string());
        let change = match stored.attempts {
            0 => Change::Withhold(&reference, &failure),
            attempts => Change::WithholdReplayed(&reference, &failure, attempts),
        };
        self.end(job, &change, &failure, Versions::Differ).await
    }

    /// PENDING → FAILED, then the dead letter, then the message goes. A process that dies in
    /// between leaves the message: delivered again, the payment is found PENDING and asked
    /// for, or found FAILED without its dead letter.
    async fn fail(
        &self,
        job: Job,
        failure: Failure,
        attempt: Attempt,
    ) -> Result<(), (Job, Duration)> {
        let reference = job.payment.reference();
        let change = Change::Fail(&reference, &failure, attempt.number);
        let versions = job.table.as_ref().map_or(Versions::Same, |_| Versions::Differ);
        self.end(job, &change, &failure, versions).await
    }

    /// Makes a change to FAILED and writes its dead letter.
    async fn end(
        &self,
        job: Job,
        change: &Change<'_>,
        failure: &Failure,
        versions: Versions,
    ) -> Result<(), (Job, Duration)> {
        if !job.received.delivery.is_held() {
            // Another worker may be settling it: only who holds it may fail it (INV-10).
            events::withdrawn(&job.payment);
            return Err(later(job));
        }
        let changed = self.store.apply(std::slice::from_ref(change), self.clock.now()).await;
        match changed.map(|results| results.into_iter().collect::<Result<Vec<_>, _>>()) {
            Ok(Ok(applied)) => {
                if applied == [ApplyResult::Now] {
                    events::failed(&job.payment, failure);
                }
                self.dead_letter(job, versions).await
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

    /// Writes the dead letter of a payment that is FAILED unless it has one, then deletes its
    /// message.
    ///
    /// # Errors
    /// The job, and how long it should stay away, when the dead letter could not be written.
    async fn dead_letter(&self, job: Job, versions: Versions) -> Result<(), (Job, Duration)> {
        let (store, queue, now) = (&*self.store, &self.dead_letters, self.clock.now());
        let raw = match versions {
            Versions::Same => None,
            Versions::Differ => Some(job.received.delivery.body.as_str()),
        };
        match dead_letter(store, queue, &job.payment.reference(), raw, now).await {
            Ok(DeadLetterResult::Now | DeadLetterResult::Before) => {
                self.queue.acknowledge(vec![job.received.delivery]).await;
                Ok(())
            }
            // Somebody has sent it again, or it is gone: the next delivery judges anew.
            Ok(DeadLetterResult::NotFailed(_) | DeadLetterResult::Missing) => Err(later(job)),
            Err(error) => {
                events::error("dead_letter", &error);
                Err(later(job))
            }
        }
    }

    async fn bury_whole(&self, job: Job, failure: Failure) -> Result<(), (Job, Duration)> {
        let Job { payment, blob, table, received } = job;
        self.bury_message(received, failure)
            .await
            .map_err(|received| later(Job { payment, blob, table, received }))
    }

    /// Hands a settlement on. Of one whose table holds another instruction than was submitted
    /// a person hears first: money has moved, and the table says otherwise.
    async fn tell_of_settled(
        &self,
        job: Job,
        attempt: Attempt,
        settlement: Settlement,
    ) -> Result<(), Job> {
        if job.table.is_some() {
            let Delivery { message_id, body, .. } = &job.received.delivery;
            let reason = format!(
                "settled as {}, and the table holds another instruction than the message",
                settlement.transaction_id
            );
            let failure = Failure::new(FailureCode::Mismatch, reason);
            let source = DeadLetterSource::Message(message_id);
            events::buried(message_id, &failure);
            if let Err(error) =
                self.dead_letters.send_unreadable(source, body.clone(), failure).await
            {
                events::error("dead_letter", &error);
                return Err(job);
            }
        }
        self.hand_on(job, attempt, End::Settled(settlement)).await;
        Ok(())
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
        let source = DeadLetterSource::Message(&delivery.message_id);
        match self.dead_letters.send_unreadable(source, raw, failure).await {
            Ok(()) => {
                self.queue.acknowledge(vec![received.delivery]).await;
                Ok(())
            }
            Err(error) => {
                events::error("dead_letter", &error);
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
