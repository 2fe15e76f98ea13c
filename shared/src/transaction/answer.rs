//! What an HTTP answer means for the payment it was given for (INV-15): settled and rejected
//! only in the contract's words, about this payment; whatever else it is, it is unknown.

use std::time::Duration;

use super::body::{self, What};
use super::terms::Terms;
use domain::{Asked, CERTAIN_STATUSES, Certainty, Doubt, Found, Outcome};

/// What a 404 says when nothing was settled under the key (`docs/transaction-service.yaml`).
const UNKNOWN_KEY: &str = "unknown_key";

/// What a 409 says when another request under the key is under way.
const IN_PROGRESS: &str = "in_progress";

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Classes the answer to a submission. What is not clearly one of the contract's answers is
/// unknown, never settled and never rejected.
pub(super) fn outcome(answer: &Answer, asked: &Asked, terms: &Terms) -> Outcome {
    let status = answer.status;
    match status {
        200 | 201 => match body::settlement(&answer.body, asked, terms) {
            Ok(settlement) => Outcome::Settled(settlement),
            Err(wrong) => unknown(Doubt::Answer, unlike(status, &wrong)),
        },
        202 => match body::acceptance(&answer.body, asked, terms) {
            Ok(()) => Outcome::Accepted,
            Err(wrong) => unknown(Doubt::Answer, unlike(status, &wrong)),
        },
        // Of dueflow's address or credentials, or a gateway's impatience: nothing of the payment.
        // An expired token must not dead-letter a million payments.
        401 | 403 | 404 | 405 | 407 | 408 | 421 | 425 | 429 | 503 => Outcome::NotDone {
            certainty: certainty(answer, asked, terms),
            retry_after: hint(answer),
            reason: words(answer, asked, terms),
        },
        400..=499 => refusal(answer, asked, terms),
        _ => unknown(Doubt::Status, words(answer, asked, terms)),
    }
}

/// A 4xx that speaks of the payment, if it is in the contract's words.
fn refusal(answer: &Answer, asked: &Asked, terms: &Terms) -> Outcome {
    let status = answer.status;
    let told = match body::error(&answer.body, asked, terms) {
        Ok(told) => told,
        Err(wrong) => return unknown(Doubt::Refusal, bare(status, &wrong)),
    };
    let reason = format!("{status} {}: {}", told.code, told.reason);
    match (status, told.what) {
        (409, What::Request) if told.code.as_str() == IN_PROGRESS => Outcome::InProgress,
        (422, What::Taken) => Outcome::Refused { code: told.code, reason },
        (_, What::Request) if CERTAIN_STATUSES.contains(&status) => {
            Outcome::Rejected { code: told.code, reason }
        }
        (_, What::Request | What::Taken) => unknown(Doubt::Refusal, reason),
    }
}

/// Classes the answer to the question for a key. Only a 404 that says so itself means that
/// nothing is known of it: one from a proxy with a wrong path would have payments submitted
/// again that were settled. Only a 422 that says itself that the payment was taken is a
/// rejection: any other may come from a gateway, or speak of the question.
pub(super) fn found(answer: &Answer, asked: &Asked, terms: &Terms) -> Found {
    let status = answer.status;
    let no_answer = |reason| Found::NoAnswer { retry_after: hint(answer), reason };
    match status {
        200 => match body::settlement(&answer.body, asked, terms) {
            Ok(settlement) => Found::Settled(settlement),
            Err(wrong) => no_answer(unlike(status, &wrong)),
        },
        202 => match body::acceptance(&answer.body, asked, terms) {
            Ok(()) => Found::UnderWay,
            Err(wrong) => no_answer(unlike(status, &wrong)),
        },
        404 | 422 => match body::error(&answer.body, asked, terms) {
            Ok(told) => match (status, told.what) {
                (404, What::Request) if told.code.as_str() == UNKNOWN_KEY => Found::Nothing,
                (422, What::Taken) => {
                    Found::Rejected { reason: format!("{status} {}: {}", told.code, told.reason) }
                }
                (422, What::Request) => no_answer(format!(
                    "422 {}: it does not say that the payment was taken (status: rejected, and \
                     payment_id, amount, currency)",
                    told.code
                )),
                (_, What::Request | What::Taken) => no_answer(words(answer, asked, terms)),
            },
            Err(wrong) => no_answer(bare(status, &wrong)),
        },
        _ => no_answer(words(answer, asked, terms)),
    }
}

/// Whether who turned the request away did nothing for certain. Only 429 and 503 promise that,
/// and only in the service's own words: a gateway answers 503 for a service that is at work.
fn certainty(answer: &Answer, asked: &Asked, terms: &Terms) -> Certainty {
    match answer.status {
        429 | 503 if body::error(&answer.body, asked, terms).is_ok() => Certainty::Certain,
        _ => Certainty::Uncertain,
    }
}

fn unknown(doubt: Doubt, reason: String) -> Outcome {
    Outcome::Unknown { doubt, reason }
}

fn hint(answer: &Answer) -> Option<Duration> {
    let seconds = answer.retry_after.as_deref()?.trim().parse().ok()?;
    matches!(answer.status, 408 | 425 | 429 | 503).then(|| Duration::from_secs(seconds))
}

fn words(answer: &Answer, asked: &Asked, terms: &Terms) -> String {
    let status = answer.status;
    match body::error(&answer.body, asked, terms) {
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
