//! What a claim's result means for the delivered payment: pure.

use shared::domain::{Attempt, Failure, FailureCode, Status};
use shared::payments::{Applied, ChangeError};

use crate::job::Claim;

/// What to do with a delivered payment after its claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Work on it when its turn comes (INV-2).
    Work(Claim),
    /// It ended before; the message is a leftover.
    Leftover(Status),
    /// It FAILED before, and whoever failed it may have died before the dead letter was
    /// written: write it (again), then the message is a leftover.
    BuryAgain(Failure),
    /// The table holds no such payment. It may have been settled and archived, and the message
    /// be a leftover; if not, this is what is wrong.
    Absent(Failure),
    /// The table contradicts the message.
    Contradicted(Failure),
    /// The database could not say: deliver it again.
    Retry {
        /// Its words.
        reason: String,
    },
}

impl Verdict {
    /// Its label in the metric of claims.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Work(Claim::Made(_)) => "claimed",
            Self::Work(Claim::Found(_)) => "again",
            Self::Work(Claim::Replayed(_)) => "replayed",
            Self::Leftover(Status::Cancelled) => "cancelled",
            Self::Leftover(_) => "ended",
            Self::BuryAgain(_) => "failed",
            Self::Absent(_) => "absent",
            Self::Contradicted(_) => "contradicted",
            Self::Retry { .. } => "error",
        }
    }
}

/// Judges the result of the change that makes the attempt `made`: a first claim, or the one
/// with which a later turn begins.
pub(crate) fn judge(result: Result<Applied, ChangeError>, made: Attempt) -> Verdict {
    let stored = match result {
        Ok(Applied::Now | Applied::Before) => return Verdict::Work(Claim::Made(made)),
        Err(ChangeError::InStatus(stored)) => stored,
        Err(error @ ChangeError::Mismatch(_)) => {
            return contradicted(FailureCode::Mismatch, &error);
        }
        Err(error @ ChangeError::Missing) => {
            return Verdict::Absent(Failure::new(FailureCode::Missing, error.to_string()));
        }
        Err(error @ ChangeError::Item(_)) => return contradicted(FailureCode::Missing, &error),
        Err(error @ ChangeError::Database { .. }) => {
            return Verdict::Retry { reason: error.to_string() };
        }
    };
    match stored.status {
        Status::Pending => Verdict::Work(Claim::Found(stored.attempt())),
        Status::Processed | Status::Cancelled => Verdict::Leftover(stored.status),
        Status::Failed => Verdict::BuryAgain(stored.failure.unwrap_or_else(|| {
            Failure::new(FailureCode::Rejected, "the item is FAILED without a reason")
        })),
        Status::Scheduled if stored.attempts > 0 => {
            Verdict::Work(Claim::Replayed(stored.attempt()))
        }
        // The condition failed on a status that would have met it: it changed in between.
        Status::Scheduled => Verdict::Retry { reason: "SCHEDULED again".to_owned() },
    }
}

fn contradicted(code: FailureCode, error: &ChangeError) -> Verdict {
    Verdict::Contradicted(Failure::new(code, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::domain::{AccountId, Amount, BeneficiaryId, Payment, PaymentId, TraceKey};
    use shared::payments::StoredPayment;

    fn made() -> Attempt {
        Attempt {
            number: 1,
            before_replay: 0,
            not_done: 0,
            claimed_at: "2026-11-23T01:00:00Z".parse().unwrap(),
        }
    }

    fn in_status(status: Status) -> Result<Applied, ChangeError> {
        let now = "2026-11-23T01:00:00Z".parse().unwrap();
        let payment = Payment {
            id: PaymentId::generate(),
            account: AccountId::parse("ACC").unwrap(),
            due: "2026-11-23".parse().unwrap(),
            amount: Amount::from_minor_units(1).unwrap(),
            currency: "EUR".parse().unwrap(),
            beneficiary: BeneficiaryId::parse("B").unwrap(),
            data: None,
            trace_key: TraceKey::generate(),
            created_at: now,
        };
        Err(ChangeError::InStatus(Box::new(StoredPayment {
            payment,
            status,
            updated_at: now,
            attempts: 1,
            attempts_before: 0,
            not_done: 0,
            claimed_at: Some(now),
            transaction_id: None,
            settled_at: None,
            failure: Some(Failure::new(FailureCode::Rejected, "no funds")),
            dead_letters: shared::payments::DeadLetters::default(),
        })))
    }

    #[test]
    fn only_a_claimed_or_pending_payment_is_submitted() {
        assert_eq!(judge(Ok(Applied::Now), made()), Verdict::Work(Claim::Made(made())));
        let pending = judge(in_status(Status::Pending), made());
        assert_eq!(pending, Verdict::Work(Claim::Found(made())));
        for status in [Status::Processed, Status::Failed, Status::Cancelled] {
            let verdict = judge(in_status(status), made());
            assert!(!matches!(verdict, Verdict::Work(_)), "{status}");
        }
    }

    #[test]
    fn a_replayed_payment_is_claimed_when_its_turn_comes() {
        let replayed = judge(in_status(Status::Scheduled), made());
        assert_eq!(replayed, Verdict::Work(Claim::Replayed(made())));
    }

    #[test]
    fn a_message_of_an_ended_payment_is_a_leftover() {
        for status in [Status::Processed, Status::Cancelled] {
            assert_eq!(judge(in_status(status), made()), Verdict::Leftover(status));
        }
    }

    #[test]
    fn a_failed_payment_is_buried_again_with_its_own_reason() {
        let failure = Failure::new(FailureCode::Rejected, "no funds");
        assert_eq!(judge(in_status(Status::Failed), made()), Verdict::BuryAgain(failure));
    }

    #[test]
    fn what_the_table_contradicts_is_never_submitted_and_never_dropped() {
        let Err(ChangeError::InStatus(stored)) = in_status(Status::Scheduled) else { panic!() };
        let differs = Err(ChangeError::Mismatch(stored));
        assert!(matches!(judge(differs, made()), Verdict::Contradicted(_)));
        assert!(matches!(judge(Err(ChangeError::Missing), made()), Verdict::Absent(_)));
    }
}
