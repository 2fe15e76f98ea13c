//! What an answer shows of the transaction service, rather than of its payment: pure.

use domain::{AccountId, Certainty, KeyStatus, Outcome, UnknownCause};
use shared::dispatch_stop::ObservedAnswer;

use crate::calls::concurrency_limit::CallHealth;

/// How a submission ended, for the concurrency limit and the circuit breaker.
pub(crate) fn submission_health(outcome: &Outcome) -> CallHealth {
    match outcome {
        Outcome::Settled(_) | Outcome::Accepted => CallHealth::Settled,
        Outcome::InProgress | Outcome::Rejected { .. } | Outcome::Refused { .. } => {
            CallHealth::Answered
        }
        Outcome::NotDone { .. } | Outcome::Unknown { .. } => CallHealth::Failed,
    }
}

/// How a question ended.
pub(crate) fn query_health(found: &KeyStatus) -> CallHealth {
    match found {
        KeyStatus::Settled(_)
        | KeyStatus::UnderWay
        | KeyStatus::Rejected { .. }
        | KeyStatus::Nothing => CallHealth::Answered,
        KeyStatus::NoAnswer { .. } => CallHealth::Failed,
    }
}

/// What a submission's answer says for or against a stop. What the circuit breaker waits out
/// (a service that is down or busy, an answer that was lost) says nothing.
pub(crate) fn of_submission<'a>(
    account: &'a AccountId,
    outcome: &'a Outcome,
) -> Option<ObservedAnswer<'a>> {
    match outcome {
        Outcome::Settled(_) | Outcome::Accepted => Some(ObservedAnswer::Taken(account)),
        Outcome::Rejected { code, .. } | Outcome::Refused { code, .. } => {
            Some(ObservedAnswer::Rejected { account, code: code.as_str() })
        }
        Outcome::Unknown { doubt, reason } => match doubt {
            UnknownCause::Refusal | UnknownCause::Answer | UnknownCause::Reused => {
                Some(ObservedAnswer::OutOfContract { account, words: reason })
            }
            UnknownCause::Lost | UnknownCause::Status => None,
        },
        Outcome::InProgress | Outcome::NotDone { .. } => None,
    }
}

/// The same of a question's answer. That a payment was settled before does not show that the
/// service takes payments now.
pub(crate) fn of_query<'a>(
    account: &'a AccountId,
    found: &'a KeyStatus,
) -> Option<ObservedAnswer<'a>> {
    match found {
        // Its words begin with the status and the code.
        KeyStatus::Rejected { reason } => {
            let code = reason.split(':').next().unwrap_or(reason);
            Some(ObservedAnswer::Rejected { account, code })
        }
        KeyStatus::Settled(_)
        | KeyStatus::UnderWay
        | KeyStatus::Nothing
        | KeyStatus::NoAnswer { .. } => None,
    }
}

/// Whether an answer fails its payment, so that it must not be believed when too many do.
pub(crate) fn is_refusal(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Rejected { .. } | Outcome::Refused { .. } => true,
        Outcome::Settled(_)
        | Outcome::Accepted
        | Outcome::InProgress
        | Outcome::NotDone { .. }
        | Outcome::Unknown { .. } => false,
    }
}

/// The same of a question's answer.
pub(crate) fn is_refusal_found(found: &KeyStatus) -> bool {
    match found {
        KeyStatus::Rejected { .. } => true,
        KeyStatus::Settled(_)
        | KeyStatus::UnderWay
        | KeyStatus::Nothing
        | KeyStatus::NoAnswer { .. } => false,
    }
}

/// Whether a submission did nothing, for certain.
pub(crate) fn is_certainly_not_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotDone { certainty: Certainty::Certain, .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{RefusalCode, RefusalCodes};

    fn reason() -> String {
        "422 limit: x".to_owned()
    }

    fn code() -> RefusalCode {
        RefusalCodes::Form.take("limit").unwrap()
    }

    fn unknown(doubt: UnknownCause) -> Outcome {
        Outcome::Unknown { doubt, reason: reason() }
    }

    #[test]
    fn only_a_submission_that_was_taken_tells_the_latency_of_the_service() {
        assert_eq!(submission_health(&Outcome::Accepted), CallHealth::Settled);
        let rejected = Outcome::Rejected { code: code(), reason: reason() };
        assert_eq!(submission_health(&rejected), CallHealth::Answered);
        let refused = Outcome::Refused { code: code(), reason: reason() };
        assert_eq!(submission_health(&refused), CallHealth::Answered);
        assert_eq!(submission_health(&Outcome::InProgress), CallHealth::Answered);
        assert_eq!(submission_health(&unknown(UnknownCause::Lost)), CallHealth::Failed);
        for found in
            [KeyStatus::Nothing, KeyStatus::UnderWay, KeyStatus::Rejected { reason: reason() }]
        {
            assert_eq!(query_health(&found), CallHealth::Answered, "{found:?}");
        }
        let silent = KeyStatus::NoAnswer { retry_after: None, reason: reason() };
        assert_eq!(query_health(&silent), CallHealth::Failed);
    }

    #[test]
    fn a_whole_answer_that_is_not_the_contracts_is_out_of_it_and_a_lost_one_shows_nothing() {
        let account = AccountId::parse("ACC").unwrap();
        for doubt in [UnknownCause::Refusal, UnknownCause::Answer, UnknownCause::Reused] {
            let outcome = unknown(doubt);
            let shown = of_submission(&account, &outcome);
            assert!(matches!(shown, Some(ObservedAnswer::OutOfContract { .. })), "{shown:?}");
        }
        for doubt in [UnknownCause::Lost, UnknownCause::Status] {
            assert_eq!(of_submission(&account, &unknown(doubt)), None);
        }
    }

    #[test]
    fn only_an_answer_that_fails_its_payment_is_a_refusal() {
        let rejected = Outcome::Rejected { code: code(), reason: reason() };
        let refused = Outcome::Refused { code: code(), reason: reason() };
        assert!(is_refusal(&rejected) && is_refusal(&refused));
        for other in [Outcome::Accepted, Outcome::InProgress, unknown(UnknownCause::Refusal)] {
            assert!(!is_refusal(&other), "{other:?}");
        }
        assert!(is_refusal_found(&KeyStatus::Rejected { reason: reason() }));
        assert!(!is_refusal_found(&KeyStatus::Nothing) && !is_refusal_found(&KeyStatus::UnderWay));
    }

    #[test]
    fn a_rejection_within_the_contract_has_its_code() {
        let account = AccountId::parse("ACC").unwrap();
        let within = Outcome::Rejected { code: code(), reason: reason() };
        let expected = ObservedAnswer::Rejected { account: &account, code: "limit" };
        assert_eq!(of_submission(&account, &within), Some(expected));
        let found = KeyStatus::Rejected { reason: reason() };
        let expected = ObservedAnswer::Rejected { account: &account, code: "422 limit" };
        assert_eq!(of_query(&account, &found), Some(expected));
    }
}
