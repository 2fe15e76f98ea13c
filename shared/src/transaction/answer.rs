//! What an HTTP answer means for the payment it was given for (INV-15): settled and rejected
//! only in the contract's words, about this payment; whatever else it is, it is unknown.

use std::time::Duration;

use super::body::{self, ErrorSubject};
use super::contract::ContractSettings;
use domain::{CERTAIN_STATUSES, Certainty, KeyQuery, KeyStatus, Outcome, UnknownCause};

/// What a 404 says when nothing was settled under the key (`docs/transaction-service.yaml`).
const UNKNOWN_KEY: &str = "unknown_key";

/// What a 409 says when another request under the key is under way.
const IN_PROGRESS: &str = "in_progress";

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(super) struct ServiceResponse {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Classes the answer to a submission. What is not clearly one of the contract's answers is
/// unknown, never settled and never rejected.
pub(super) fn outcome(
    answer: &ServiceResponse,
    asked: &KeyQuery,
    contract: &ContractSettings,
) -> Outcome {
    let status = answer.status;
    match status {
        200 | 201 => match body::settlement(&answer.body, asked, contract) {
            Ok(settlement) => Outcome::Settled(settlement),
            Err(wrong) => unknown(UnknownCause::Answer, unlike(status, &wrong)),
        },
        202 => match body::acceptance(&answer.body, asked, contract) {
            Ok(()) => Outcome::Accepted,
            Err(wrong) => unknown(UnknownCause::Answer, unlike(status, &wrong)),
        },
        // Of dueflow's address or credentials, or a gateway's impatience: nothing of the payment.
        // An expired token must not dead-letter a million payments.
        401 | 403 | 404 | 405 | 407 | 408 | 421 | 425 | 429 | 503 => Outcome::NotDone {
            certainty: certainty(answer, asked, contract),
            retry_after: hint(answer),
            reason: words(answer, asked, contract),
        },
        400..=499 => refusal(answer, asked, contract),
        _ => unknown(UnknownCause::Status, words(answer, asked, contract)),
    }
}

/// A 4xx that speaks of the payment, if it is in the contract's words.
fn refusal(answer: &ServiceResponse, asked: &KeyQuery, contract: &ContractSettings) -> Outcome {
    let status = answer.status;
    let told = match body::error(&answer.body, asked, contract) {
        Ok(told) => told,
        Err(wrong) => return unknown(UnknownCause::Refusal, bare(status, &wrong)),
    };
    let reason = format!("{status} {}: {}", told.code, told.reason);
    match (status, told.what) {
        (409, ErrorSubject::Request) if told.code.as_str() == IN_PROGRESS => Outcome::InProgress,
        (422, ErrorSubject::Taken) => Outcome::Refused { code: told.code, reason },
        (_, ErrorSubject::Request) if CERTAIN_STATUSES.contains(&status) => {
            Outcome::Rejected { code: told.code, reason }
        }
        (_, ErrorSubject::Request | ErrorSubject::Taken) => unknown(UnknownCause::Refusal, reason),
    }
}

/// Classes the answer to the question for a key. Only a 404 that says so itself means that
/// nothing is known of it: one from a proxy with a wrong path would have payments submitted
/// again that were settled. Only a 422 that says itself that the payment was taken is a
/// rejection: any other may come from a gateway, or speak of the question.
pub(super) fn key_status(
    answer: &ServiceResponse,
    asked: &KeyQuery,
    contract: &ContractSettings,
) -> KeyStatus {
    let status = answer.status;
    let no_answer = |reason| KeyStatus::NoAnswer { retry_after: hint(answer), reason };
    match status {
        200 => match body::settlement(&answer.body, asked, contract) {
            Ok(settlement) => KeyStatus::Settled(settlement),
            Err(wrong) => no_answer(unlike(status, &wrong)),
        },
        202 => match body::acceptance(&answer.body, asked, contract) {
            Ok(()) => KeyStatus::UnderWay,
            Err(wrong) => no_answer(unlike(status, &wrong)),
        },
        404 | 422 => match body::error(&answer.body, asked, contract) {
            Ok(told) => match (status, told.what) {
                (404, ErrorSubject::Request) if told.code.as_str() == UNKNOWN_KEY => {
                    KeyStatus::Nothing
                }
                (422, ErrorSubject::Taken) => KeyStatus::Rejected {
                    reason: format!("{status} {}: {}", told.code, told.reason),
                },
                (422, ErrorSubject::Request) => no_answer(format!(
                    "422 {}: it does not say that the payment was taken (status: rejected, and \
                     payment_id, amount, currency)",
                    told.code
                )),
                (_, ErrorSubject::Request | ErrorSubject::Taken) => {
                    no_answer(words(answer, asked, contract))
                }
            },
            Err(wrong) => no_answer(bare(status, &wrong)),
        },
        _ => no_answer(words(answer, asked, contract)),
    }
}

/// Whether who turned the request away did nothing for certain. Only 429 and 503 promise that,
/// and only in the service's own words: a gateway answers 503 for a service that is at work.
fn certainty(answer: &ServiceResponse, asked: &KeyQuery, contract: &ContractSettings) -> Certainty {
    match answer.status {
        429 | 503 if body::error(&answer.body, asked, contract).is_ok() => Certainty::Certain,
        _ => Certainty::Uncertain,
    }
}

fn unknown(doubt: UnknownCause, reason: String) -> Outcome {
    Outcome::Unknown { doubt, reason }
}

fn hint(answer: &ServiceResponse) -> Option<Duration> {
    let seconds = answer.retry_after.as_deref()?.trim().parse().ok()?;
    matches!(answer.status, 408 | 425 | 429 | 503).then(|| Duration::from_secs(seconds))
}

fn words(answer: &ServiceResponse, asked: &KeyQuery, contract: &ContractSettings) -> String {
    let status = answer.status;
    match body::error(&answer.body, asked, contract) {
        Ok(told) => format!("{status} {}: {}", told.code, told.reason),
        Err(wrong) => bare(status, &wrong),
    }
}

fn bare(status: u16, wrong: &str) -> String {
    format!("{status} without the contract's body: {wrong}")
}

fn unlike(status: u16, wrong: &str) -> String {
    format!("{status} that is not the contract's: {wrong}")
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
