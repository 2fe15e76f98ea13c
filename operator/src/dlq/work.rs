//! What a plan writes and sends: pure.

use domain::{Payment, PaymentId, PaymentRef, Status};
use shared::payments::{Change, FirstClaim, OperatorDecision, RightVersion, StoredPayment};
use shared::queue::{
    Confirmation, ConfirmationSource, DeduplicationId, OutgoingMessage, payment_message,
};

use super::plan::ReplayPlan;
use super::versions::PaidVersion;

/// What is written and sent for a payment.
#[derive(Debug)]
pub(super) enum ReplayWork {
    /// FAILED → SCHEDULED, then a message for the dispatchers; or FAILED → CANCELLED.
    Write(ReplayWrite),
    /// A message for the dispatchers: the payment is under way already.
    SendAgain(Box<StoredPayment>),
    /// A message for the confirmers.
    Confirm(Box<Confirmation>),
}

/// The change of a payment that FAILED.
#[derive(Debug)]
pub(super) struct ReplayWrite {
    /// Which payment.
    pub(super) reference: PaymentRef,
    stored: Box<StoredPayment>,
    /// The fence of the write.
    attempts: u32,
    to: WrittenStatus,
}

/// What it is changed to.
#[derive(Debug)]
enum WrittenStatus {
    /// SCHEDULED.
    Scheduled(FirstClaim, PaidVersion),
    /// CANCELLED.
    Cancelled,
}

impl ReplayWrite {
    /// As the table takes it.
    pub(super) fn change(&self) -> Change<'_> {
        let Self { reference, stored, attempts, to } = self;
        let (table, attempts) = (&stored.payment, *attempts);
        let decide = |first_claim, right| {
            Change::Decide(OperatorDecision { table, attempts, first_claim, right })
        };
        match to {
            WrittenStatus::Scheduled(first_claim, PaidVersion::Unquestioned) => {
                Change::Replay(reference, attempts, *first_claim)
            }
            WrittenStatus::Scheduled(first_claim, PaidVersion::Table) => {
                decide(*first_claim, RightVersion::Table)
            }
            WrittenStatus::Scheduled(first_claim, PaidVersion::Message(other)) => {
                decide(*first_claim, RightVersion::Message(other))
            }
            WrittenStatus::Cancelled => Change::Discard(reference, attempts),
        }
    }

    /// Whether the table holds what this write would have made: the payment is under way, or was
    /// given up by another after as many attempts.
    pub(super) fn is_made(&self, now: &StoredPayment) -> bool {
        match &self.to {
            WrittenStatus::Scheduled(_, version) => {
                matches!(now.status, Status::Scheduled | Status::Pending)
                    && now.payment.same_instruction(self.payment(version))
            }
            WrittenStatus::Cancelled => {
                now.status == Status::Cancelled && now.attempts == self.attempts
            }
        }
    }

    /// The version that is to be paid.
    fn payment<'a>(&'a self, version: &'a PaidVersion) -> &'a Payment {
        match version {
            PaidVersion::Unquestioned | PaidVersion::Table => &self.stored.payment,
            PaidVersion::Message(other) => other,
        }
    }
}

/// A message, by its queue.
#[derive(Debug)]
pub(super) enum ReplayMessage {
    /// To the dispatchers.
    Payment(PaymentRef, OutgoingMessage),
    /// To the confirmers.
    Confirmation(OutgoingMessage),
}

impl ReplayWork {
    /// What a plan asks for; `None` when nothing is written or sent. `stored` is what the table
    /// holds of the payment, if it was read.
    pub(super) fn of(plan: &ReplayPlan, stored: Option<Box<StoredPayment>>) -> Option<Self> {
        match plan {
            ReplayPlan::Replay { attempts, first_claim, version, .. } => {
                let to = WrittenStatus::Scheduled(*first_claim, version.clone());
                Self::writing(stored?, *attempts, to)
            }
            ReplayPlan::Discard { attempts, .. } => {
                Self::writing(stored?, *attempts, WrittenStatus::Cancelled)
            }
            ReplayPlan::SendAgain(_) => stored.map(Self::SendAgain),
            ReplayPlan::ConfirmAgain(confirmation) => Some(Self::Confirm(confirmation.clone())),
            ReplayPlan::Delete | ReplayPlan::Close(_) | ReplayPlan::Refuse(_) => None,
        }
    }

    fn writing(stored: Box<StoredPayment>, attempts: u32, to: WrittenStatus) -> Option<Self> {
        let reference = stored.payment.reference();
        Some(Self::Write(ReplayWrite { reference, stored, attempts, to }))
    }

    /// What it writes.
    pub(super) fn write(&self) -> Option<&ReplayWrite> {
        match self {
            Self::Write(write) => Some(write),
            Self::SendAgain(_) | Self::Confirm(_) => None,
        }
    }

    /// Its message, if it sends one; `message_id` is the dead letter's, if there is one.
    pub(super) fn message(&self, message_id: Option<&str>) -> Option<ReplayMessage> {
        Some(match self {
            Self::Write(write) => match &write.to {
                WrittenStatus::Scheduled(_, version) => {
                    replay_message(message_id, write.payment(version), write.attempts)
                }
                WrittenStatus::Cancelled => return None,
            },
            Self::SendAgain(stored) => replay_message(message_id, &stored.payment, stored.attempts),
            Self::Confirm(confirmation) => {
                let source = source(message_id, confirmation.payment.id);
                ReplayMessage::Confirmation(
                    confirmation.message(ConfirmationSource::Replay(&source)),
                )
            }
        })
    }
}

/// What a replay comes from: the dead letter, or the payment that was named.
fn source(message_id: Option<&str>, payment: PaymentId) -> String {
    message_id.map_or_else(|| payment.to_string(), ToOwned::to_owned)
}

/// The payment as the table holds it now. The deduplication id is that of this dead letter and of
/// this many attempts: a run that is repeated within five minutes sends one message, and none is
/// swallowed by one that led to a failure since (INV-7).
fn replay_message(message_id: Option<&str>, payment: &Payment, attempts: u32) -> ReplayMessage {
    let source = source(message_id, payment.id);
    let outgoing = payment_message(DeduplicationId::Replay(&source, attempts), payment);
    ReplayMessage::Payment(payment.reference(), outgoing)
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, Amount};
    use shared::testing::sample_payment;

    use super::*;

    #[test]
    fn each_replay_has_an_id_of_its_own_for_its_dead_letter_and_its_attempts() {
        let payment = Payment {
            id: PaymentId::generate(),
            account: AccountId::parse("ACC").unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(1).unwrap(),
            created_at: "2026-11-23T12:00:00Z".parse().unwrap(),
            ..sample_payment()
        };
        let id = |message_id, attempts| match replay_message(Some(message_id), &payment, attempts) {
            ReplayMessage::Payment(_, outgoing) => outgoing.deduplication,
            ReplayMessage::Confirmation(other) => panic!("{other:?}"),
        };
        assert_eq!(id("m", 1), id("m", 1));
        assert!(id("m", 1) != id("m", 2) && id("m", 1) != id("n", 1));
    }
}
