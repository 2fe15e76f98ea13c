use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::transaction::contract::EchoPolicy;
use domain::{Amount, PaymentId, RefusalCodes, Settlement};

const ID: &str = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
const LIMIT: &[u8] = br#"{"code":"limit","reason":"daily limit reached"}"#;
const UNKNOWN: &[u8] = br#"{"code":"unknown_key","reason":"nothing was settled under this key"}"#;

/// 12.50 € under `ID`.
fn asked() -> KeyQuery {
    let money = (Amount::from_minor_units(1_250).unwrap(), "EUR".parse().unwrap());
    KeyQuery { key: ID.parse::<PaymentId>().unwrap(), money: Some(money), item: 0 }
}

fn contract(echo: EchoPolicy) -> ContractSettings {
    ContractSettings { echo, codes: RefusalCodes::Form }
}

fn answer(status: u16, body: &[u8]) -> ServiceResponse {
    ServiceResponse { status, retry_after: None, body: body.to_owned() }
}

fn posted(status: u16, body: &[u8]) -> Outcome {
    outcome(&answer(status, body), &asked(), &ContractSettings::default())
}

fn got(status: u16, body: &[u8]) -> KeyStatus {
    key_status(&answer(status, body), &asked(), &ContractSettings::default())
}

fn settled() -> Value {
    json!({
        "payment_id": ID, "amount": 1_250, "currency": "EUR", "status": "settled",
        "transaction_id": "T1", "settled_at": "2026-11-23T01:02:03.004Z"
    })
}

fn accepted() -> Value {
    json!({ "payment_id": ID, "amount": 1_250, "currency": "EUR", "status": "accepted" })
}

fn refused() -> Value {
    json!({
        "payment_id": ID, "amount": 1_250, "currency": "EUR", "status": "rejected",
        "code": "closed", "reason": "the account is closed"
    })
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(body.as_object_mut().unwrap().remove(member)),
        value => body[member] = value,
    }
    body
}

fn bytes(body: &Value) -> Vec<u8> {
    serde_json::to_vec(body).unwrap()
}

/// What no success may be taken for: each with its reason.
fn contradictions() -> Vec<(Value, &'static str)> {
    let mut wrong = Vec::new();
    for status in ["rejected", "pending", "failed", "accepted", "Settled", ""] {
        wrong.push((with(settled(), "status", json!(status)), "status: "));
    }
    for (member, value, reason) in [
        ("status", Value::Null, "status: missing"),
        ("status", json!(true), "status: a truth value, not a text"),
        ("payment_id", json!("019ab1f4-5c1e-7d3a-8b2f-0123456789ac"), "payment_id: another"),
        ("payment_id", json!(7), "payment_id: a number, not a text"),
        ("amount", json!(1_251), "amount: not the payment's"),
        ("amount", json!(-1_250), "amount: not the payment's"),
        ("amount", json!(1_250.5), "amount: not the payment's"),
        ("amount", json!("1250"), "amount: a text, not a number"),
        ("currency", json!("USD"), "currency: not the payment's"),
        ("transaction_id", Value::Null, "transaction_id: missing"),
        ("transaction_id", json!(4_711), "transaction_id: a number, not a text"),
        ("transaction_id", json!(""), "transaction_id: not 1 to 64 bytes"),
        ("transaction_id", json!(" "), "transaction_id: not 1 to 64 bytes"),
        ("transaction_id", json!("T\u{1b}[2J"), "transaction_id: not 1 to 64 bytes"),
        ("transaction_id", json!("x".repeat(65)), "transaction_id: not 1 to 64 bytes"),
        ("settled_at", Value::Null, "settled_at: missing"),
        ("settled_at", json!("yesterday"), "settled_at: not a time"),
    ] {
        wrong.push((with(settled(), member, value), reason));
    }
    wrong
}

#[test]
fn a_settled_answer_carries_the_transaction_id() {
    for status in [200, 201] {
        assert!(matches!(
            posted(status, &bytes(&settled())),
            Outcome::Settled(Settlement { transaction_id, .. }) if transaction_id == "T1"
        ));
    }
    assert_eq!(posted(202, &bytes(&accepted())), Outcome::Accepted);
}

#[test]
fn a_success_that_is_not_what_it_should_be_is_unknown_and_says_why() {
    for echo in [EchoPolicy::Required, EchoPolicy::Accepted] {
        for (body, why) in contradictions() {
            for status in [200, 201] {
                let given = answer(status, &bytes(&body));
                let outcome = outcome(&given, &asked(), &contract(echo));
                let Outcome::Unknown { doubt: UnknownCause::Answer, reason } = &outcome else {
                    panic!("{status} {body}: {outcome:?}");
                };
                assert!(reason.contains(why), "{body}: {reason}");
            }
            let given = answer(200, &bytes(&body));
            let found = key_status(&given, &asked(), &contract(echo));
            assert!(matches!(found, KeyStatus::NoAnswer { .. }), "{body}: {found:?}");
        }
    }
    for (wrong, why) in [
        (&b""[..], "it is empty"),
        (b"<html>", "it is no JSON"),
        (b"{\"status\":\"settled\"", "it ends early"),
        (b"[]", "it is no JSON"),
        (br#"{"status":"rejected","status":"settled"}"#, "members"),
        (&[&b"\xef\xbb\xbf"[..], &bytes(&settled())].concat(), "byte order mark"),
    ] {
        let Outcome::Unknown { doubt: UnknownCause::Answer, reason } = posted(200, wrong) else {
            panic!("{}", String::from_utf8_lossy(wrong));
        };
        assert!(reason.contains(why) || wrong == b"[]", "{why}: {reason}");
    }
}

#[test]
fn only_the_setting_lets_an_answer_name_no_payment() {
    for member in ["payment_id", "amount", "currency"] {
        let silent = answer(200, &bytes(&with(settled(), member, Value::Null)));
        assert!(matches!(
            outcome(&silent, &asked(), &contract(EchoPolicy::Required)),
            Outcome::Unknown { doubt: UnknownCause::Answer, reason } if reason.contains("_ECHO=accepted")
        ));
        let taken = outcome(&silent, &asked(), &contract(EchoPolicy::Accepted));
        assert!(matches!(taken, Outcome::Settled(_)), "{member}");
        let taken = key_status(&silent, &asked(), &contract(EchoPolicy::Accepted));
        assert!(matches!(taken, KeyStatus::Settled(_)), "{member}");
    }
    let silent = answer(202, br#"{"status":"accepted"}"#);
    assert_eq!(outcome(&silent, &asked(), &contract(EchoPolicy::Accepted)), Outcome::Accepted);
    let unknown = outcome(&silent, &asked(), &contract(EchoPolicy::Required));
    assert!(matches!(unknown, Outcome::Unknown { doubt: UnknownCause::Answer, .. }));
}

#[test]
fn what_is_taken_says_so() {
    for body in [&b""[..], b"{}", b"<html>", &bytes(&settled()), &bytes(&refused())] {
        let outcome = posted(202, body);
        assert!(
            matches!(outcome, Outcome::Unknown { doubt: UnknownCause::Answer, .. }),
            "{outcome:?}"
        );
        assert!(matches!(got(202, body), KeyStatus::NoAnswer { .. }));
    }
}

#[test]
fn a_refusal_is_certain_only_in_the_contracts_words() {
    for status in [400, 413, 422] {
        let Outcome::Rejected { code, reason } = posted(status, LIMIT) else { panic!("{status}") };
        assert_eq!(code.as_str(), "limit");
        assert_eq!(reason, format!("{status} limit: daily limit reached"));
    }
    let bare: [&[u8]; 11] = [
        b"",
        b"<html><h1>400 Bad Request</h1></html>",
        b"{}",
        br#"{"message":"Bad Request"}"#,
        br#"{"code":400,"reason":"Bad Request"}"#,
        br#"{"code":"Bad Request","reason":"x"}"#,
        br#"{"code":"bad_request"}"#,
        br#"{"code":"bad_request","reason":""}"#,
        br#"{"code":"bad_request","reason":"x","request_id":"y"}"#,
        br#"{"code":"a","code":"b","reason":"x"}"#,
        br#"{"code":"limit","reason":"of another payment","payment_id":"other"}"#,
    ];
    for status in [400, 402, 406, 409, 410, 411, 413, 414, 415, 417, 418, 422, 423, 431, 451, 499] {
        for body in bare {
            let outcome = posted(status, body);
            let doubt = matches!(outcome, Outcome::Unknown { doubt: UnknownCause::Refusal, .. });
            assert!(doubt, "{status} {}: {outcome:?}", String::from_utf8_lossy(body));
            assert_eq!(outcome.refused().unwrap().code, None);
        }
    }
}

#[test]
fn a_refusal_with_a_status_that_the_contract_does_not_know_is_unknown() {
    for status in [402, 406, 409, 410, 411, 414, 415, 417, 418, 423, 431, 451, 499] {
        let outcome = posted(status, LIMIT);
        assert!(
            matches!(outcome, Outcome::Unknown { doubt: UnknownCause::Refusal, .. }),
            "{status}"
        );
    }
    assert_eq!(posted(409, br#"{"code":"in_progress","reason":"x"}"#), Outcome::InProgress);
    for status in [100, 204, 301, 302, 500, 502, 504, 599] {
        for body in [LIMIT, b""] {
            let outcome = posted(status, body);
            assert!(
                matches!(outcome, Outcome::Unknown { doubt: UnknownCause::Status, .. }),
                "{status}"
            );
            assert_eq!(outcome.refused(), None);
        }
    }
}

#[test]
fn only_codes_on_the_list_count_when_there_is_one() {
    let contract = ContractSettings {
        codes: RefusalCodes::parse("AC04").unwrap(),
        ..ContractSettings::default()
    };
    let judged = |body: &[u8]| outcome(&answer(422, body), &asked(), &contract);
    let listed = judged(br#"{"code":"AC04","reason":"closed"}"#);
    assert!(matches!(listed, Outcome::Rejected { .. }), "{listed:?}");
    assert!(matches!(judged(LIMIT), Outcome::Unknown { doubt: UnknownCause::Refusal, .. }));
}

#[test]
fn only_429_and_503_in_the_contracts_words_certainly_did_nothing() {
    for status in [401, 403, 404, 405, 407, 408, 421, 425, 429, 503] {
        for (body, words) in [(LIMIT, true), (b"", false), (b"<html>", false)] {
            let outcome = posted(status, body);
            let Outcome::NotDone { certainty, .. } = outcome else { panic!("{outcome:?}") };
            let certain = words && matches!(status, 429 | 503);
            assert_eq!(certainty == Certainty::Certain, certain, "{status}");
        }
    }
}

#[test]
fn the_services_words_and_hint_are_kept() {
    let busy = ServiceResponse { retry_after: Some("7".to_owned()), ..answer(503, b"busy") };
    let reason = "503 without the contract's body: it is no JSON (line 1, column 1)".to_owned();
    let (certainty, retry_after) = (Certainty::Uncertain, Some(Duration::from_secs(7)));
    let expected = Outcome::NotDone { certainty, retry_after, reason: reason.clone() };
    assert_eq!(outcome(&busy, &asked(), &ContractSettings::default()), expected);
    let expected = KeyStatus::NoAnswer { retry_after, reason };
    assert_eq!(key_status(&busy, &asked(), &ContractSettings::default()), expected);
}

#[test]
fn only_a_404_that_says_so_means_that_nothing_was_settled() {
    assert_eq!(got(404, UNKNOWN), KeyStatus::Nothing);
    let others: [&[u8]; 3] = [b"", b"<html>", br#"{"code":"no_such_path","reason":"x"}"#];
    for body in others {
        assert!(matches!(got(404, body), KeyStatus::NoAnswer { .. }));
    }
    for status in [100, 201, 301, 400, 401, 403, 405, 409, 410, 422, 429, 500, 502, 503, 504] {
        assert!(matches!(got(status, UNKNOWN), KeyStatus::NoAnswer { .. }), "{status}");
    }
}

#[test]
fn a_422_to_a_question_is_final_only_for_a_payment_that_it_says_was_taken() {
    assert_eq!(
        got(422, &bytes(&refused())),
        KeyStatus::Rejected { reason: "422 closed: the account is closed".to_owned() }
    );
    for echo in [EchoPolicy::Required, EchoPolicy::Accepted] {
        for body in [
            LIMIT.to_owned(),
            b"<html>".to_vec(),
            bytes(&with(refused(), "payment_id", json!("019ab1f4-5c1e-7d3a-8b2f-0123456789ac"))),
            bytes(&with(refused(), "payment_id", Value::Null)),
            bytes(&with(refused(), "amount", json!(1))),
            bytes(&with(refused(), "amount", Value::Null)),
            bytes(&with(refused(), "status", json!("settled"))),
            bytes(&with(refused(), "code", json!("Closed"))),
        ] {
            let found = key_status(&answer(422, &body), &asked(), &contract(echo));
            let text = String::from_utf8_lossy(&body);
            assert!(matches!(found, KeyStatus::NoAnswer { .. }), "{text}: {found:?}");
        }
    }
}

#[test]
fn a_payment_that_was_taken_before_is_refused_and_not_rejected() {
    let outcome = posted(422, &bytes(&refused()));
    assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    for status in [400, 413, 409] {
        let outcome = posted(status, &bytes(&refused()));
        assert!(
            matches!(outcome, Outcome::Unknown { doubt: UnknownCause::Refusal, .. }),
            "{outcome:?}"
        );
    }
}

#[test]
fn what_is_found_under_a_key_is_its_settlement_or_that_it_is_under_way() {
    assert!(matches!(got(200, &bytes(&settled())), KeyStatus::Settled(_)));
    assert_eq!(got(202, &bytes(&accepted())), KeyStatus::UnderWay);
}

/// Bodies near the contract's and far from it.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        Just(json!(1_250)),
        Just(json!(ID)),
        Just(json!("EUR")),
        "[a-z_]{0,12}|settled|accepted|rejected|unknown_key|in_progress|.{0,8}"
            .prop_map(Value::from),
        Just(json!("2026-11-23T01:02:03.004Z")),
    ];
    let members = [
        "payment_id",
        "amount",
        "currency",
        "status",
        "transaction_id",
        "settled_at",
        "code",
        "reason",
        "message",
    ];
    let mutated = (
        prop::sample::select(vec![settled(), accepted(), refused(), json!({})]),
        prop::collection::vec((prop::sample::select(members.to_vec()), value), 0..4),
    );
    let mutated = mutated.prop_map(|(body, changes)| {
        bytes(&changes.into_iter().fold(body, |body, (name, value)| with(body, name, value)))
    });
    let cut = (mutated, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(body, at, cut)| {
        if cut { body[..at.index(body.len() + 1)].to_vec() } else { body }
    });
    prop_oneof![4 => cut, 1 => prop::collection::vec(any::<u8>(), 0..64)]
}

fn text(body: &[u8], member: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body[member].as_str().map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever comes, money counts as moved or as certainly not moved only on the contract's
    /// own words about this very payment.
    #[test]
    fn settled_rejected_and_refused_are_said_in_so_many_words(
        status in prop_oneof![
            prop::sample::select(vec![200_u16, 201, 202, 400, 404, 409, 413, 422, 429, 503]),
            100..600_u16,
        ],
        body in any_body(),
        lenient in any::<bool>(),
    ) {
        let echo = if lenient { EchoPolicy::Accepted } else { EchoPolicy::Required };
        let answer = answer(status, &body);
        let said = |member| text(&body, member).unwrap_or_default();
        let is_said = |member| text(&body, member).is_some();
        let names_it = said("payment_id") == ID;
        let code = || RefusalCodes::Form.take(&said("code")).is_ok();
        match outcome(&answer, &asked(), &contract(echo)) {
            Outcome::Settled(settlement) => {
                prop_assert!(matches!(status, 200 | 201));
                prop_assert_eq!(said("status"), "settled");
                prop_assert_eq!(said("transaction_id"), settlement.transaction_id);
                prop_assert!(names_it || (lenient && !is_said("payment_id")));
            }
            Outcome::Accepted => {
                prop_assert!(status == 202 && said("status") == "accepted");
            }
            Outcome::Rejected { .. } => {
                prop_assert!(CERTAIN_STATUSES.contains(&status) && code());
                prop_assert!(!is_said("status") && is_said("reason"));
            }
            Outcome::Refused { .. } => {
                prop_assert!(status == 422 && code() && names_it);
                prop_assert_eq!(said("status"), "rejected");
            }
            Outcome::InProgress => prop_assert_eq!(said("code"), "in_progress"),
            Outcome::NotDone { certainty: Certainty::Certain, .. } => {
                prop_assert!(matches!(status, 429 | 503) && code());
            }
            Outcome::NotDone { .. } | Outcome::Unknown { .. } => {}
        }
        match key_status(&answer, &asked(), &contract(echo)) {
            KeyStatus::Settled(_) => prop_assert!(status == 200 && said("status") == "settled"),
            KeyStatus::UnderWay => prop_assert!(status == 202 && said("status") == "accepted"),
            KeyStatus::Rejected { .. } => {
                prop_assert!(status == 422 && code() && names_it);
                prop_assert_eq!(said("status"), "rejected");
            }
            KeyStatus::Nothing => {
                prop_assert!(status == 404 && said("code") == "unknown_key");
            }
            KeyStatus::NoAnswer { .. } => {}
        }
    }
}
