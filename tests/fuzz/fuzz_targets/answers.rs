//! Answers of the transaction service, or of whatever stands before it: three digits of a status,
//! then the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use domain::{
    Amount, KeyQuery, Certainty, Failure, FailureCode, KeyStatus, Outcome, RefusalCode, Settlement,
};
use shared::transaction::fuzzing::{found, outcome};

const ID: &str = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";

fn asked() -> KeyQuery {
    let money = (Amount::from_minor_units(1250).unwrap(), "EUR".parse().unwrap());
    KeyQuery { key: ID.parse().unwrap(), money: Some(money), item: 0 }
}

/// A body that speaks of the payment that was asked for.
fn echoes(body: &[u8]) -> Value {
    let whole: Value = serde_json::from_slice(body).expect("a body that is no JSON is believed");
    assert_eq!(whole["payment_id"], ID);
    assert_eq!(whole["amount"], 1250);
    assert_eq!(whole["currency"], "EUR");
    whole
}

fn is_settlement(status: u16, body: &[u8], settlement: &Settlement) {
    assert!(status == 200 || status == 201, "{status} settles");
    let length = settlement.transaction_id.len();
    assert!((1..=Settlement::MAX_TRANSACTION_ID_BYTES).contains(&length), "{length}");
    assert!(!settlement.transaction_id.trim().is_empty());
    let whole = echoes(body);
    assert_eq!(whole["status"], "settled");
    assert_eq!(whole["transaction_id"], settlement.transaction_id.as_str());
}

/// The contract's code.
fn code(body: &[u8]) -> Option<String> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    whole["code"].as_str().map(str::to_owned)
}

fn is_refusal(body: &[u8], said: &RefusalCode, reason: String) {
    assert_eq!(code(body).as_deref(), Some(said.as_str()));
    let form = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    assert!((1..=64).contains(&said.as_str().len()) && said.as_str().bytes().all(form));
    assert!(Failure::new(FailureCode::Rejected, reason).reason.len() <= 256);
}

fuzz_target!(|data: &[u8]| {
    let Some((digits, body)) = data.split_at_checked(3) else { return };
    let Some(status) = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()) else { return };
    match outcome(status, Some("7"), body, &asked()) {
        Outcome::Settled(settlement) => is_settlement(status, body, &settlement),
        Outcome::Accepted => assert_eq!(status, 202),
        Outcome::InProgress => {
            assert_eq!((status, code(body).as_deref()), (409, Some("in_progress")));
        }
        Outcome::Rejected { code, reason } => {
            assert!([400, 413, 422].contains(&status), "{status} rejects");
            is_refusal(body, &code, reason);
        }
        Outcome::Refused { code, reason } => {
            assert_eq!(status, 422);
            assert_eq!(echoes(body)["status"], "rejected");
            is_refusal(body, &code, reason);
        }
        Outcome::NotDone { certainty, .. } => {
            assert!((400..500).contains(&status) || status == 503, "{status}");
            if certainty == Certainty::Certain {
                assert!(status == 429 || status == 503, "{status} is certain");
                assert!(code(body).is_some(), "a gateway is believed");
            }
        }
        Outcome::Unknown { .. } => {}
    }
    match found(status, None, body, &asked()) {
        KeyStatus::Settled(settlement) => is_settlement(status, body, &settlement),
        KeyStatus::UnderWay => assert_eq!(status, 202),
        KeyStatus::Rejected { .. } => {
            assert_eq!(status, 422);
            assert_eq!(echoes(body)["status"], "rejected");
            assert!(code(body).is_some(), "a 422 without a code is final");
        }
        KeyStatus::Nothing => assert_eq!((status, code(body).as_deref()), (404, Some("unknown_key"))),
        KeyStatus::NoAnswer { .. } => {}
    }
});
