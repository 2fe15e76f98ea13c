//! What a claim's result means for the delivered payment: pure.

use domain::{Attempt, Failure, FailureCode, Status};
use shared::payments::{ApplyResult, ChangeError, StoredPayment};

use crate::job::{ClaimState, Versions};

/// What to do with a delivered payment after its claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimResult {
    /// Work on it when its turn comes (INV-2).
    Work(ClaimState),
    /// Close its message: it is not worked on.
    Close(CloseReason),
    /// The database could not say: deliver it again.
    Undecided {
        /// Its words.
        reason: String,
    },
}

/// Why a delivered payment is not worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// It was settled before; the message is a leftover.
    Processed,
    /// It was cancelled; the message is a leftover.
    Cancelled,
    /// It FAILED before and has its dead letter; the message is a leftover.
    Failed,
    /// It FAILED before, and the process that failed it died before the dead letter was written:
    /// write it, then the message is a leftover.
    FailedWithoutDeadLetter(Versions),
    /// It is SCHEDULED, and the table holds another instruction than the message: it becomes
    /// FAILED, and a person decides (INV-16).
    Withhold(Box<StoredPayment>),
    /// The table holds no such payment. It may have been settled and archived, and the message
    /// be a leftover; if not, this is what is wrong.
    Missing(Failure),
    /// The table contradicts the message.
    Contradicted(Failure),
}

impl ClaimResult {
    /// What follows from the result of the change that makes the attempt `made`: a first claim,
    /// or the one with which a later turn begins.
    pub(crate) fn of(result: Result<ApplyResult, ChangeError>, made: Attempt) -> Self {
        let stored = match result {
            Ok(ApplyResult::Now | ApplyResult::Before) => return Self::Work(ClaimState::New(made)),
            Err(ChangeError::InStatus(stored)) => stored,
            Err(ChangeError::Mismatch(stored)) => return Self::of_differing(stored),
            Err(error @ ChangeError::Missing) => {
                let failure = Failure::new(FailureCode::Missing, error.to_string());
                return Self::Close(CloseReason::Missing(failure));
            }
            Err(error @ ChangeError::Item(_)) => return contradicted(FailureCode::Missing, &error),
            Err(error @ ChangeError::Database { .. }) => {
                return Self::Undecided { reason: error.to_string() };
            }
        };
        match stored.status {
            Status::Pending => Self::Work(ClaimState::Pending(stored.attempt())),
            Status::Processed => Self::Close(CloseReason::Processed),
            Status::Cancelled => Self::Close(CloseReason::Cancelled),
            Status::Failed if stored.dead_letters.last.is_some() => {
                Self::Close(CloseReason::Failed)
            }
            Status::Failed => Self::Close(CloseReason::FailedWithoutDeadLetter(Versions::Same)),
            Status::Scheduled if stored.attempts > 0 => {
                Self::Work(ClaimState::Replayed(stored.attempt()))
            }
            // The condition failed on a status that would have met it: it changed in between.
            Status::Scheduled => Self::Undecided { reason: "SCHEDULED again".to_owned() },
        }
    }

    /// What follows for a payment of which the table holds another instruction than its message.
    /// What was never claimed, or was replayed, is withheld; what is PENDING or has ended keeps
    /// its status.
    fn of_differing(stored: Box<StoredPayment>) -> Self {
        let code = stored.failure.as_ref().map(|failure| failure.code);
        match stored.status {
            Status::Scheduled => Self::Close(CloseReason::Withhold(stored)),
            Status::Pending => {
                let before = stored.attempt();
                Self::Work(ClaimState::Disputed { before, table: Box::new(stored.payment) })
            }
            Status::Failed if stored.dead_letters.last.is_none() => {
                Self::Close(CloseReason::FailedWithoutDeadLetter(Versions::Differ))
            }
            // Its dead letter has both.
            Status::Failed if code == Some(FailureCode::Mismatch) => {
                Self::Close(CloseReason::Failed)
            }
            Status::Failed | Status::Processed | Status::Cancelled => {
                contradicted(FailureCode::Mismatch, &ChangeError::Mismatch(stored))
            }
        }
    }

    /// Its label in the metric of claims.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Work(ClaimState::New(_)) => "claimed",
            Self::Work(ClaimState::Pending(_)) => "pending",
            Self::Work(ClaimState::Replayed(_)) => "replayed",
            Self::Work(ClaimState::Disputed { .. }) => "disputed",
            Self::Close(CloseReason::Processed) => "processed",
            Self::Close(CloseReason::Cancelled) => "cancelled",
            Self::Close(CloseReason::Failed | CloseReason::FailedWithoutDeadLetter(_)) => "failed",
            Self::Close(CloseReason::Withhold(_)) => "withheld",
            Self::Close(CloseReason::Missing(_)) => "absent",
            Self::Close(CloseReason::Contradicted(_)) => "contradicted",
            Self::Undecided { .. } => "error",
        }
    }
}

fn contradicted(code: FailureCode, error: &ChangeError) -> ClaimResult {
    ClaimResult::Close(CloseReason::Contradicted(Failure::new(code, error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AccountId, Amount, Payment, PaymentId};
    use shared::testing::{sample_payment, scheduled};

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
            created_at: now,
            ..sample_payment()
        };
        Err(ChangeError::InStatus(Box::new(StoredPayment {
            status,
            attempts: 1,
            claimed_at: Some(now),
            failure: Some(Failure::new(FailureCode::Rejected, "no funds")),
            ..scheduled(payment)
        })))
    }

    #[test]
    fn only_a_claimed_or_pending_payment_is_submitted() {
        assert_eq!(
            ClaimResult::of(Ok(ApplyResult::Now), made()),
            ClaimResult::Work(ClaimState::New(made()))
        );
        let pending = ClaimResult::of(in_status(Status::Pending), made());
        assert_eq!(pending, ClaimResult::Work(ClaimState::Pending(made())));
        for status in [Status::Processed, Status::Failed, Status::Cancelled] {
            let result = ClaimResult::of(in_status(status), made());
            assert!(!matches!(result, ClaimResult::Work(_)), "{status}");
        }
    }

    #[test]
    fn a_replayed_payment_is_claimed_when_its_turn_comes() {
        let replayed = ClaimResult::of(in_status(Status::Scheduled), made());
        assert_eq!(replayed, ClaimResult::Work(ClaimState::Replayed(made())));
        // One that nobody has tried would have met the condition: it changed in between.
        let Err(ChangeError::InStatus(mut untried)) = in_status(Status::Scheduled) else {
            panic!()
        };
        untried.attempts = 0;
        let untried = ClaimResult::of(Err(ChangeError::InStatus(untried)), made());
        assert!(matches!(untried, ClaimResult::Undecided { .. }), "{untried:?}");
    }

    #[test]
    fn a_message_of_an_ended_payment_is_a_leftover() {
        for (status, reason) in [
            (Status::Processed, CloseReason::Processed),
            (Status::Cancelled, CloseReason::Cancelled),
        ] {
            let result = ClaimResult::of(in_status(status), made());
            assert_eq!(result, ClaimResult::Close(reason));
        }
    }

    #[test]
    fn a_failed_payment_has_its_dead_letter_written_unless_it_has_one() {
        let failed = ClaimResult::of(in_status(Status::Failed), made());
        let without = CloseReason::FailedWithoutDeadLetter(Versions::Same);
        assert_eq!(failed, ClaimResult::Close(without));
        let Err(ChangeError::InStatus(mut stored)) = in_status(Status::Failed) else { panic!() };
        stored.dead_letters.last = Some(stored.updated_at);
        let has_one = ClaimResult::of(Err(ChangeError::InStatus(stored)), made());
        assert_eq!(has_one, ClaimResult::Close(CloseReason::Failed));
    }

    #[test]
    fn what_differs_from_its_message_waits_for_a_person_whatever_its_status() {
        let differing = |status| {
            let Err(ChangeError::InStatus(stored)) = in_status(status) else { panic!() };
            ClaimResult::of(Err(ChangeError::Mismatch(stored)), made())
        };
        assert!(matches!(
            differing(Status::Scheduled),
            ClaimResult::Close(CloseReason::Withhold(_))
        ));
        assert!(matches!(
            differing(Status::Pending),
            ClaimResult::Work(ClaimState::Disputed { .. })
        ));
        let without = CloseReason::FailedWithoutDeadLetter(Versions::Differ);
        assert_eq!(differing(Status::Failed), ClaimResult::Close(without));
        // With a dead letter: one of `mismatch` has both versions, another only one of them.
        let dead_lettered = |code| {
            let Err(ChangeError::InStatus(mut stored)) = in_status(Status::Failed) else {
                panic!()
            };
            stored.dead_letters.last = Some(stored.updated_at);
            stored.failure = Some(Failure::new(code, "x"));
            ClaimResult::of(Err(ChangeError::Mismatch(stored)), made())
        };
        let both = dead_lettered(FailureCode::Mismatch);
        assert_eq!(both, ClaimResult::Close(CloseReason::Failed));
        let one = dead_lettered(FailureCode::Rejected);
        assert!(matches!(one, ClaimResult::Close(CloseReason::Contradicted(_))), "{one:?}");
        for ended in [Status::Processed, Status::Cancelled] {
            assert!(
                matches!(differing(ended), ClaimResult::Close(CloseReason::Contradicted(_))),
                "{ended}"
            );
        }
    }

    #[test]
    fn what_the_table_contradicts_is_never_submitted_and_never_dropped() {
        assert!(matches!(
            ClaimResult::of(Err(ChangeError::Missing), made()),
            ClaimResult::Close(CloseReason::Missing(_))
        ));
    }
}
