//! What an HTTP answer means for the payment it was given for.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{Data, Found, Outcome, Payment, Settlement};

/// The body of a submission.
#[derive(Debug, Serialize)]
pub(super) struct Instruction<'a> {
    payment_id: String,
    account_id: &'a str,
    beneficiary_id: &'a str,
    amount: i64,
    currency: &'a str,
    scheduled_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
}

impl<'a> Instruction<'a> {
    /// Equal on every attempt, because everything in it is the payment's own. `None` when
    /// only the digest of its blob is at hand: it is not submitted without it.
    pub(super) fn of(payment: &'a Payment) -> Option<Self> {
        let data = match &payment.data {
            None => None,
            Some(Data::Whole(blob)) => Some(blob.as_str()),
            Some(Data::Beside(_)) => return None,
        };
        Some(Self {
            payment_id: payment.id.to_string(),
            account_id: payment.account.as_str(),
            beneficiary_id: payment.beneficiary.as_str(),
            amount: payment.amount.minor_units(),
            currency: payment.currency.code(),
            scheduled_date: payment.due.to_string(),
            data,
        })
    }
}

#[derive(Deserialize)]
struct Settled {
    transaction_id: String,
    settled_at: Timestamp,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    #[serde(default)]
    reason: String,
}

/// What a 404 says when nothing was settled under the key (`docs/transaction-service.yaml`).
const UNKNOWN_KEY: &str = "unknown_key";

/// Classes an answer. What is not clearly one of the contract's answers is unknown, never
/// settled and never rejected.
pub(super) fn outcome(status: u16, retry_after: Option<&str>, body: &[u8]) -> Outcome {
    match status {
        200 | 201 => settled(status, body),
        202 => Outcome::Accepted,
        409 => Outcome::InProgress,
        // Nothing was done: too busy, or asked too early or too slowly.
        408 | 425 | 429 | 503 => Outcome::NotDone {
            retry_after: retry_after.and_then(seconds),
            reason: words(status, body),
        },
        // These say something of dueflow's address or credentials, nothing of the payment:
        // an expired token must not dead-letter a million payments.
        401 | 403 | 404 | 405 | 407 | 421 => {
            Outcome::NotDone { retry_after: None, reason: words(status, body) }
        }
        400..=499 => Outcome::Rejected { reason: words(status, body) },
        _ => Outcome::Unknown { reason: words(status, body) },
    }
}

/// Classes the answer to the question for a key. Only a 404 that says so itself means that
/// nothing is known of it: one from a proxy with a wrong path would have payments submitted
/// again that were settled.
pub(super) fn found(status: u16, retry_after: Option<&str>, body: &[u8]) -> Found {
    let no_answer = |reason| Found::NoAnswer { retry_after: None, reason };
    match status {
        404 if says_unknown_key(body) => Found::Nothing,
        // Without the contract's body they may come from a gateway on the way, and say nothing
        // of the payment. A 409 promises nothing: what is under way may still come to nothing.
        422 if refusal(body).is_none() => no_answer(words(status, body)),
        201 | 400 | 404 | 409 => no_answer(words(status, body)),
        _ => match outcome(status, retry_after, body) {
            Outcome::Settled(settlement) => Found::Settled(settlement),
            Outcome::Accepted => Found::UnderWay,
            Outcome::Rejected { reason } if status == 422 => Found::Rejected { reason },
            Outcome::NotDone { retry_after, reason } => Found::NoAnswer { retry_after, reason },
            Outcome::Rejected { reason } | Outcome::Unknown { reason } => no_answer(reason),
            Outcome::InProgress => no_answer(words(status, body)),
        },
    }
}

fn says_unknown_key(body: &[u8]) -> bool {
    refusal(body).is_some_and(|refusal| refusal.code == UNKNOWN_KEY)
}

fn refusal(body: &[u8]) -> Option<Refusal> {
    serde_json::from_slice(body).ok()
}

fn settled(status: u16, body: &[u8]) -> Outcome {
    match serde_json::from_slice::<Settled>(body) {
        Ok(Settled { transaction_id, settled_at }) => {
            let unusable = || format!("{status} with an unusable transaction id");
            Settlement::new(transaction_id, settled_at)
                .map_or_else(|| Outcome::Unknown { reason: unusable() }, Outcome::Settled)
        }
        Err(error) => {
            Outcome::Unknown { reason: format!("{status} with an unreadable body: {error}") }
        }
    }
}

fn seconds(retry_after: &str) -> Option<Duration> {
    retry_after.trim().parse().ok().map(Duration::from_secs)
}

fn words(status: u16, body: &[u8]) -> String {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { code, reason }) => format!("{status} {code}: {reason}"),
        Err(_) => format!("{status} without a readable reason"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLED: &[u8] =
        br#"{"transaction_id":"T1","status":"settled","settled_at":"2026-11-23T01:02:03.004Z"}"#;

    #[test]
    fn a_settled_answer_carries_the_transaction_id() {
        for status in [200, 201] {
            assert!(matches!(
                outcome(status, None, SETTLED),
                Outcome::Settled(Settlement { transaction_id, .. }) if transaction_id == "T1"
            ));
        }
    }

    #[test]
    fn a_success_that_cannot_be_read_is_unknown() {
        let long = format!(
            r#"{{"transaction_id":"{}","settled_at":"2026-11-23T01:02:03Z"}}"#,
            "x".repeat(65)
        );
        let bodies: [&[u8]; 4] = [b"", b"{}", b"<html>", long.as_bytes()];
        for body in bodies {
            assert!(matches!(outcome(200, None, body), Outcome::Unknown { .. }));
        }
    }

    #[test]
    fn only_answers_about_the_payment_itself_reject_it() {
        for status in [400, 410, 413, 415, 422, 451] {
            assert!(matches!(outcome(status, None, b""), Outcome::Rejected { .. }), "{status}");
        }
        for status in [401, 403, 404, 405, 407, 408, 421, 425, 429, 503] {
            assert!(matches!(outcome(status, None, b""), Outcome::NotDone { .. }), "{status}");
        }
        for status in [100, 204, 301, 500, 502, 504, 599] {
            assert!(matches!(outcome(status, None, b""), Outcome::Unknown { .. }), "{status}");
        }
        assert_eq!(outcome(202, None, b""), Outcome::Accepted);
        assert_eq!(outcome(409, None, b""), Outcome::InProgress);
    }

    #[test]
    fn the_services_words_and_hint_are_kept() {
        let body = br#"{"code":"limit","reason":"daily limit reached"}"#;
        assert_eq!(
            outcome(422, None, body),
            Outcome::Rejected { reason: "422 limit: daily limit reached".to_owned() }
        );
        assert_eq!(
            outcome(503, Some("7"), b"busy"),
            Outcome::NotDone {
                retry_after: Some(Duration::from_secs(7)),
                reason: "503 without a readable reason".to_owned()
            }
        );
    }

    #[test]
    fn only_a_404_that_says_so_means_that_nothing_was_settled() {
        let unknown = br#"{"code":"unknown_key","reason":"nothing was settled under this key"}"#;
        assert_eq!(found(404, None, unknown), Found::Nothing);
        let others: [&[u8]; 3] = [b"", b"<html>", br#"{"code":"no_such_path","reason":"x"}"#];
        for body in others {
            assert!(matches!(found(404, None, body), Found::NoAnswer { .. }));
        }
        for status in [100, 201, 301, 400, 401, 403, 405, 409, 410, 429, 500, 502, 503, 504] {
            assert!(matches!(found(status, None, unknown), Found::NoAnswer { .. }), "{status}");
        }
    }

    #[test]
    fn what_is_found_under_a_key_is_its_settlement_its_rejection_or_that_it_is_under_way() {
        assert!(matches!(found(200, None, SETTLED), Found::Settled(_)));
        assert_eq!(found(202, None, b""), Found::UnderWay);
        let refused = br#"{"code":"limit","reason":"daily limit reached"}"#;
        assert!(matches!(found(422, None, refused), Found::Rejected { .. }));
        assert!(matches!(found(422, None, b"<html>"), Found::NoAnswer { .. }));
        assert!(matches!(found(200, None, b"<html>"), Found::NoAnswer { .. }));
    }
}
