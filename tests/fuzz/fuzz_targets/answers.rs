//! Answers of the transaction service, or of whatever stands before it.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use shared::domain::{Failure, FailureCode, Found, Outcome, Settlement};
use shared::transaction::fuzzing::{found, outcome};

#[derive(Debug, Arbitrary)]
struct Answer<'a> {
    status: u16,
    retry_after: Option<&'a str>,
    body: &'a [u8],
}

fn is_settlement(status: u16, body: &[u8], settlement: &Settlement) {
    assert!(status == 200 || status == 201, "{status} settles");
    let length = settlement.transaction_id.len();
    assert!((1..=Settlement::MAX_TRANSACTION_ID_BYTES).contains(&length), "{length}");
    let whole: Value = serde_json::from_slice(body).expect("a body that is no JSON settles");
    assert_eq!(whole["transaction_id"], settlement.transaction_id.as_str());
}

fn code(body: &[u8]) -> Option<String> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    whole["code"].as_str().map(str::to_owned)
}

fuzz_target!(|answer: Answer<'_>| {
    let Answer { status, retry_after, body } = answer;
    match outcome(status, retry_after, body) {
        Outcome::Settled(settlement) => is_settlement(status, body, &settlement),
        Outcome::Accepted => assert_eq!(status, 202),
        Outcome::InProgress => assert_eq!(status, 409),
        Outcome::Rejected { reason } => {
            assert!((400..500).contains(&status), "{status} rejects");
            let failure = Failure::new(FailureCode::Rejected, reason);
            assert!(failure.reason.len() <= 256);
        }
        Outcome::NotDone { .. } => assert!((400..500).contains(&status) || status == 503),
        Outcome::Unknown { .. } => {}
    }
    match found(status, retry_after, body) {
        Found::Settled(settlement) => is_settlement(status, body, &settlement),
        Found::UnderWay => assert_eq!(status, 202),
        Found::Rejected { .. } => {
            assert_eq!(status, 422);
            assert!(code(body).is_some(), "a 422 without a code is final");
        }
        Found::Nothing => {
            assert_eq!(status, 404);
            assert_eq!(code(body).as_deref(), Some("unknown_key"));
        }
        Found::NoAnswer { .. } => {}
    }
});
