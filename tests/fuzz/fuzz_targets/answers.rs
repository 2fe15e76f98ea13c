//! Answers of the transaction service, or of whatever stands before it.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use shared::domain::{Amount, Asked, Failure, FailureCode, Found, Outcome, Settlement};
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
    assert_eq!(whole["status"], "settled");
    assert_echo(&whole);
}

/// The payment that all answers are taken for: 12.50 € under this id.
const ID: &str = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";

fn asked() -> Asked {
    let money = (Amount::from_minor_units(1_250).unwrap(), "EUR".parse().unwrap());
    Asked { key: ID.parse().unwrap(), money: Some(money) }
}

fn assert_echo(whole: &Value) {
    assert_eq!(whole["payment_id"], ID);
    assert_eq!((whole["amount"].as_i64(), whole["currency"].as_str()), (Some(1_250), Some("EUR")));
}

fn is_acceptance(status: u16, body: &[u8]) {
    assert_eq!(status, 202);
    let whole: Value = serde_json::from_slice(body).expect("a body that is no JSON accepts");
    assert_eq!(whole["status"], "accepted");
    assert_echo(&whole);
}

/// A payment that was taken, and refused since.
fn is_refusal(status: u16, body: &[u8]) {
    assert_eq!(status, 422);
    let whole: Value = serde_json::from_slice(body).expect("a body that is no JSON is final");
    assert!(whole["code"].is_string() && whole["status"] == "rejected");
    assert_echo(&whole);
}

fn code(body: &[u8]) -> Option<String> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    whole["code"].as_str().map(str::to_owned)
}

fuzz_target!(|answer: Answer<'_>| {
    let Answer { status, retry_after, body } = answer;
    match outcome(status, retry_after, body, &asked()) {
        Outcome::Settled(settlement) => is_settlement(status, body, &settlement),
        Outcome::Accepted => is_acceptance(status, body),
        Outcome::InProgress => assert_eq!(status, 409),
        Outcome::Refused { .. } => is_refusal(status, body),
        Outcome::Rejected { code: told, reason } => {
            assert!([400, 413, 422].contains(&status), "{status} rejects");
            assert_eq!(code(body).as_deref(), Some(told.as_str()), "rejects without a code");
            let failure = Failure::new(FailureCode::Rejected, reason);
            assert!(failure.reason.len() <= 256);
        }
        Outcome::NotDone { .. } => assert!((400..500).contains(&status) || status == 503),
        Outcome::Unknown { .. } => {}
    }
    match found(status, retry_after, body, &asked()) {
        Found::Settled(settlement) => is_settlement(status, body, &settlement),
        Found::UnderWay => is_acceptance(status, body),
        Found::Rejected { .. } => is_refusal(status, body),
        Found::Nothing => {
            assert_eq!(status, 404);
            assert_eq!(code(body).as_deref(), Some("unknown_key"));
        }
        Found::NoAnswer { .. } => {}
    }
});
