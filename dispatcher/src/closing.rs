//! Closes messages whose payments are not worked on: leftovers are deleted, the others are
//! dead-lettered first.

use std::sync::Arc;
use std::time::Duration;

use domain::{Attempt, Failure, FailureCode, Payment, redelivery_pause};
use shared::clock::Clock;
use shared::dead_letters::{DeadLetterResult, dead_letter};
use shared::payments::{ApplyResult, Change, ChangeError, PaymentStore, StoredPayment};
use shared::queue::{Consumer, DeadLetterQueue, DeadLetterSource, Delivery, SendError};

use crate::archive_lookup::{ArchiveCheck, ArchiveFinding};
use crate::claim_result::CloseReason;
use crate::events;
use crate::job::{InHandMessage, Job, Versions};

/// The delivery from which on the pause after an undecided one does not grow: 16 seconds.
const LAST_GROWTH: u32 = 5;

/// A message that is to be delivered again.
#[derive(Debug)]
pub(crate) struct Redelivery {
    pub(crate) received: InHandMessage,
    /// How long it stays hidden.
    pub(crate) pause: Duration,
}

impl Redelivery {
    /// Of a message about which nothing could be decided: it stays hidden the longer the more
    /// often it was delivered, but never for long, because it may have been delivered for
    /// others' sake.
    pub(crate) fn undecided(received: InHandMessage) -> Self {
        let pause = redelivery_pause(received.delivery.receive_count.min(LAST_GROWTH));
        Self { received, pause }
    }
}

/// Closes messages.
#[derive(Debug, Clone)]
pub(crate) struct MessageCloser {
    pub(crate) store: Arc<dyn PaymentStore>,
    pub(crate) archive: ArchiveCheck,
    pub(crate) queue: Consumer,
    pub(crate) dead_letters: DeadLetterQueue,
    pub(crate) clock: Clock,
}

impl MessageCloser {
    /// Deals with a message whose payment has ended, or is not what the message says.
    ///
    /// # Errors
    /// The payment is to be delivered again: that could not be done.
    pub(crate) async fn close(&self, job: Job, reason: CloseReason) -> Result<(), Redelivery> {
        match reason {
            CloseReason::Processed | CloseReason::Cancelled | CloseReason::Failed => {
                self.queue.acknowledge(vec![job.received.delivery]).await;
                Ok(())
            }
            CloseReason::FailedWithoutDeadLetter(versions) => self.dead_letter(job, versions).await,
            CloseReason::Withhold(stored) => self.withhold(job, &stored).await,
            CloseReason::Missing(failure) => self.close_missing(job, failure).await,
            CloseReason::Contradicted(failure) => {
                self.dead_letter_whole(job.received, failure).await
            }
        }
    }

    /// Deals with a message whose payment the table does not hold: a leftover if the payment was
    /// settled and archived, else something for a person.
    async fn close_missing(&self, job: Job, failure: Failure) -> Result<(), Redelivery> {
        match self.archive.of(&job.payment).await {
            Ok(ArchiveFinding::Settled(_)) => {
                events::archived(&job.payment);
                self.queue.acknowledge(vec![job.received.delivery]).await;
                Ok(())
            }
            Ok(ArchiveFinding::NotArchived) => self.dead_letter_whole(job.received, failure).await,
            Ok(ArchiveFinding::Contradicted(failure)) => {
                self.dead_letter_whole(job.received, failure).await
            }
            Err(error) => {
                events::error("archive", &error);
                Err(Redelivery::undecided(job.received))
            }
        }
    }

    /// SCHEDULED → FAILED, then the dead letter with both versions, then the message is deleted.
    /// A process that dies in between leaves the message: delivered again, the payment is found
    /// SCHEDULED and withheld, or found FAILED without its dead letter.
    async fn withhold(&self, job: Job, stored: &StoredPayment) -> Result<(), Redelivery> {
        let reference = job.payment.reference();
        let error = ChangeError::Mismatch(Box::new(stored.clone()));
        let failure = Failure::new(FailureCode::Mismatch, error.to_string());
        let change = match stored.attempts {
            0 => Change::Withhold(&reference, &failure),
            attempts => Change::WithholdReplayed(&reference, &failure, attempts),
        };
        self.end(job, &change, &failure, Versions::Differ).await
    }

    /// PENDING → FAILED, then the dead letter, then the message is deleted. A process that dies
    /// in between leaves the message: delivered again, the payment is found PENDING and asked
    /// for, or found FAILED without its dead letter.
    ///
    /// # Errors
    /// The payment is to be delivered again: that could not be done.
    pub(crate) async fn fail(
        &self,
        job: Job,
        versions: Versions,
        failure: Failure,
        attempt: Attempt,
    ) -> Result<(), Redelivery> {
        let reference = job.payment.reference();
        let change = Change::Fail(&reference, &failure, attempt.number);
        self.end(job, &change, &failure, versions).await
    }

    /// How long ago a payment could first be worked on.
    pub(crate) fn time_since_due(&self, payment: &Payment) -> Duration {
        payment.due.time_since_due(payment.created_at, self.clock.now(), &self.archive.zone)
    }

    /// Makes a change to FAILED and writes its dead letter.
    async fn end(
        &self,
        job: Job,
        change: &Change<'_>,
        failure: &Failure,
        versions: Versions,
    ) -> Result<(), Redelivery> {
        if !job.received.delivery.is_held() {
            // Another worker may be settling it: only the holder of the message may fail the
            // payment (INV-10).
            events::visibility_lost(&job.payment);
            return Err(Redelivery::undecided(job.received));
        }
        let changed = self.store.apply(std::slice::from_ref(change), self.clock.now()).await;
        match changed.map(|results| results.into_iter().collect::<Result<Vec<_>, _>>()) {
            Ok(Ok(applied)) => {
                if applied == [ApplyResult::Now] {
                    let after = self.time_since_due(&job.payment);
                    events::failed(&job.payment, failure, after);
                }
                self.dead_letter(job, versions).await
            }
            Ok(Err(refused)) => {
                events::error("fail", &refused);
                Err(Redelivery::undecided(job.received))
            }
            Err(error) => {
                events::error("fail", &error);
                Err(Redelivery::undecided(job.received))
            }
        }
    }

    /// Writes the dead letter of a payment that is FAILED unless it has one, then deletes its
    /// message.
    async fn dead_letter(&self, job: Job, versions: Versions) -> Result<(), Redelivery> {
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
            // An operator has replayed it, or it is gone: the next delivery decides.
            Ok(DeadLetterResult::NotFailed(_) | DeadLetterResult::Missing) => {
                Err(Redelivery::undecided(job.received))
            }
            Err(error) => {
                events::error("dead_letter", &error);
                Err(Redelivery::undecided(job.received))
            }
        }
    }

    /// Puts a message whole into the dead-letter queue, then deletes it.
    ///
    /// # Errors
    /// It is to be delivered again: its dead letter could not be written.
    pub(crate) async fn dead_letter_whole(
        &self,
        received: InHandMessage,
        failure: Failure,
    ) -> Result<(), Redelivery> {
        match self.send_whole(&received.delivery, failure).await {
            Ok(()) => {
                self.queue.acknowledge(vec![received.delivery]).await;
                Ok(())
            }
            Err(_) => Err(Redelivery::undecided(received)),
        }
    }

    /// Puts a message whole into the dead-letter queue and leaves it in its own.
    ///
    /// # Errors
    /// The dead letter could not be written; the error is counted and logged.
    pub(crate) async fn send_whole(
        &self,
        delivery: &Delivery,
        failure: Failure,
    ) -> Result<(), SendError> {
        let Delivery { message_id, body, .. } = delivery;
        let source = DeadLetterSource::Message(message_id);
        let sent = self.dead_letters.send_unreadable(source, body.clone(), failure.clone()).await;
        match &sent {
            Ok(()) => events::dead_lettered(message_id, &failure),
            Err(error) => events::error("dead_letter", error),
        }
        sent
    }

    /// Gives messages back, each to be delivered again after its pause.
    pub(crate) async fn release(&self, deliveries: Vec<(Delivery, Duration)>) {
        if !deliveries.is_empty() {
            let count = deliveries.len();
            self.queue.release(deliveries).await;
            events::released(count);
        }
    }
}
