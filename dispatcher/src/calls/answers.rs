//! What an answer shows of the transaction service, rather than of its payment: pure.

use domain::{AccountId, KeyStatus, Outcome, UnknownCause};
use shared::dispatch_stop::ObservedAnswer;

use crate::calls::concurrency_limit::Health;

/// How a submission ended, for the limit and the breaker.
pub(crate) fn health(outcome: &Outcome) -> Health {
    match outcome {
        Outcome::Settled(_) | Outcome::Accepted => Health::Settled,
        Outcome::InProgress | Outcome::Rejected { .. } | Outcome::Refused { .. } => {
            Health::Answered
        }
        Outcome::NotDone { .. } | Outcome::Unknown { .. } => Health::Failed,
    }
}

/// How a question ended.
pub(crate) fn health_of_answer(found: &KeyStatus) -> Health {
    match found {
        KeyStatus::Settled(_)
        | KeyStatus::UnderWay
        | KeyStatus::Rejected { .. }
        | KeyStatus::Nothing => Health::Answered,
        KeyStatus::NoAnswer { .. } => Health::Failed,
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
pub(crate) fn of_question<'a>(
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
        assert_eq!(health(&Outcome::Accepted), Health::Settled);
        let rejected = Outcome::Rejected { code: code(), reason: reason() };
        assert_eq!(health(&rejected), Health::Answered);
        let refused = Outcome::Refused { code: code(), reason: reason() };
        assert_eq!(health(&refused), Health::Answered);
        assert_eq!(health(&Outcome::InProgress), Health::Answered);
        assert_eq!(health(&unknown(UnknownCause::Lost)), Health::Failed);
        for found in
            [KeyStatus::Nothing, KeyStatus::UnderWay, KeyStatus::Rejected { reason: reason() }]
        {
            assert_eq!(health_of_answer(&found), Health::Answered, "{found:?}");
        }
        let silent = KeyStatus::NoAnswer { retry_after: None, reason: reason() };
        assert_eq!(health_of_answer(&silent), Health::Failed);
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
    fn a_rejection_within_the_contract_has_its_code() {
        let account = AccountId::parse("ACC").unwrap();
        let within = Outcome::Rejected { code: code(), reason: reason() };
        let expected = ObservedAnswer::Rejected { account: &account, code: "limit" };
        assert_eq!(of_submission(&account, &within), Some(expected));
        let found = KeyStatus::Rejected { reason: reason() };
        let expected = ObservedAnswer::Rejected { account: &account, code: "422 limit" };
        assert_eq!(of_question(&account, &found), Some(expected));
    }
}
