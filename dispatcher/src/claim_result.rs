//! What a claim's result means for the delivered payment: pure.

use domain::{Attempt, Failure, FailureCode, Status};
use shared::payments::{ApplyResult, ChangeError, StoredPayment};

use crate::job::Claim;

/// What to do with a delivered payment after its claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Work on it when its turn comes (INV-2).
    Work(Claim),
    /// It ended before; the message is a leftover.
    Leftover(Status),
    /// It FAILED before, and whoever failed it died before the dead letter was written: write
    /// it, then the message is a leftover.
    DeadLetter(Versions),
    /// It is SCHEDULED, and the table holds another instruction than the message: it becomes
    /// FAILED, and a person decides (INV-16).
    Withhold(Box<StoredPayment>),
    /// It is PENDING, and the table holds another instruction than the message: it is asked
    /// for, and never submitted before a person has decided.
    Disputed(Box<StoredPayment>),
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

/// Whether message and table say the same of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    /// They do.
    Same,
    /// They do not: the dead letter holds both.
    Differ,
}

impl Verdict {
    /// Its label in the metric of claims.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Work(Claim::Made(_)) => "claimed",
            Self::Work(Claim::Found(_)) => "pending",
            Self::Work(Claim::Replayed(_)) => "replayed",
            Self::Work(Claim::Disputed(_)) | Self::Disputed(_) => "disputed",
            Self::Withhold(_) => "withheld",
            Self::Leftover(Status::Cancelled) => "cancelled",
            Self::Leftover(Status::Failed) | Self::DeadLetter(_) => "failed",
            Self::Leftover(_) => "processed",
            Self::Absent(_) => "absent",
            Self::Contradicted(_) => "contradicted",
            Self::Retry { .. } => "error",
        }
    }
}

/// Judges the result of the change that makes the attempt `made`: a first claim, or the one
/// with which a later turn begins.
pub(crate) fn judge(result: Result<ApplyResult, ChangeError>, made: Attempt) -> Verdict {
    let stored = match result {
        Ok(ApplyResult::Now | ApplyResult::Before) => return Verdict::Work(Claim::Made(made)),
        Err(ChangeError::InStatus(stored)) => stored,
        Err(ChangeError::Mismatch(stored)) => return judge_differing(stored),
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
        Status::Failed if stored.dead_letters.last.is_some() => Verdict::Leftover(Status::Failed),
        Status::Failed => Verdict::DeadLetter(Versions::Same),
        Status::Scheduled if stored.attempts > 0 => {
            Verdict::Work(Claim::Replayed(stored.attempt()))
        }
        // The condition failed on a status that would have met it: it changed in between.
        Status::Scheduled => Verdict::Retry { reason: "SCHEDULED again".to_owned() },
    }
}

/// Judges a payment of which the table holds another instruction than its message. What was
/// never claimed, or was replayed, is withheld; what is PENDING or has ended keeps its status.
fn judge_differing(stored: Box<StoredPayment>) -> Verdict {
    let code = stored.failure.as_ref().map(|failure| failure.code);
    match stored.status {
        Status::Scheduled => Verdict::Withhold(stored),
        Status::Pending => Verdict::Disputed(stored),
        Status::Failed if stored.dead_letters.last.is_none() => {
            Verdict::DeadLetter(Versions::Differ)
        }
        // Its dead letter has both.
        Status::Failed if code == Some(FailureCode::Mismatch) => Verdict::Leftover(Status::Failed),
        Status::Failed | Status::Processed | Status::Cancelled => {
            contradicted(FailureCode::Mismatch, &ChangeError::Mismatch(stored))
        }
    }
}

fn contradicted(code: FailureCode, error: &ChangeError) -> Verdict {
    Verdict::Contradicted(Failure::new(code, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AccountId, Amount, BeneficiaryId, Payment, PaymentId, TraceKey};

    fn made() -> Attempt {
        Attempt {
            number: 1,
            before_replay: 0,
            not_done: 0,
            claimed_at: "2026-11-23T01:00:00Z".parse().unwrap(),
        }
    }

    fn in_status(status: Status) -> Result<ApplyResult, ChangeError> {
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
        assert_eq!(judge(Ok(ApplyResult::Now), made()), Verdict::Work(Claim::Made(made())));
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
    fn a_failed_payment_has_its_dead_letter_written_unless_it_has_one() {
        let failed = judge(in_status(Status::Failed), made());
        assert_eq!(failed, Verdict::DeadLetter(Versions::Same));
        let Err(ChangeError::InStatus(mut stored)) = in_status(Status::Failed) else { panic!() };
        stored.dead_letters.last = Some(stored.updated_at);
        let has_one = judge(Err(ChangeError::InStatus(stored)), made());
        assert_eq!(has_one, Verdict::Leftover(Status::Failed));
    }

    #[test]
    fn what_differs_from_its_message_waits_for_a_person_whatever_its_status() {
        let differing = |status| {
            let Err(ChangeError::InStatus(stored)) = in_status(status) else { panic!() };
            judge(Err(ChangeError::Mismatch(stored)), made())
        };
        assert!(matches!(differing(Status::Scheduled), Verdict::Withhold(_)));
        assert!(matches!(differing(Status::Pending), Verdict::Disputed(_)));
        assert_eq!(differing(Status::Failed), Verdict::DeadLetter(Versions::Differ));
        for ended in [Status::Processed, Status::Cancelled] {
            assert!(matches!(differing(ended), Verdict::Contradicted(_)), "{ended}");
        }
    }

    #[test]
    fn what_the_table_contradicts_is_never_submitted_and_never_dropped() {
        assert!(matches!(judge(Err(ChangeError::Missing), made()), Verdict::Absent(_)));
    }
}
