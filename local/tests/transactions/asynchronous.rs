//! Payments that are accepted with 202: one key has one result, whatever happens.

use std::time::Duration;

use local::transactions::{Asynchronous, Faults};
use serde_json::json;

use crate::bank::{Answer, Bank, assert_echo, payment, payment_with};

/// Ends payments soon.
pub(crate) fn soon() -> Faults {
    let delay = Duration::from_millis(1);
    Faults { asynchronous: Some(Asynchronous { delay, lose_callbacks: 0.0 }), ..Faults::default() }
}

/// Ends no payment while a test runs.
pub(crate) fn never() -> Faults {
    let delay = Duration::from_secs(24 * 3600);
    Faults { asynchronous: Some(Asynchronous { delay, lose_callbacks: 0.0 }), ..Faults::default() }
}

/// The answer for `payment(100)`.
fn under_way() -> Answer {
    let body = json!({
        "payment_id": "p-1", "amount": 100, "currency": "EUR", "status": "accepted"
    });
    Answer { status: 202, body }
}

#[tokio::test]
async fn a_payment_is_written_down_taken_and_settled_later() {
    let bank = Bank::open(soon()).await;
    assert_eq!(bank.post("k", &payment(100)).await, under_way());
    assert!(bank.accepted_log().contains(r#"{"step":"accepted","transaction_id":""#));
    let settled = bank.ended_under("k").await;
    assert_eq!((settled.status, settled.body["status"].as_str()), (200, Some("settled")));
    assert_eq!(bank.post("k", &payment(100)).await, settled);
    let entries = bank.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].transaction_id.to_string(), settled.body["transaction_id"]);
    assert_eq!(entries[0].settled_at.to_string(), settled.body["settled_at"]);
    assert_eq!((entries[0].idempotency_key.as_str(), entries[0].amount), ("k", 100));
    assert_eq!((bank.service.settled(), bank.service.under_way()), (1, 0));
}

#[tokio::test]
async fn a_repeated_request_takes_nothing_again_in_either_mode() {
    let bank = Bank::open(never()).await;
    for faults in [never(), never(), Faults::default()] {
        bank.service.set_faults(faults);
        assert_eq!(bank.post("k", &payment(100)).await, under_way());
        assert_eq!(bank.get("k").await, under_way());
        let refused = bank.post("k", &payment_with("amount", json!(101))).await;
        assert_eq!(refused.body["code"], "idempotency_key_reused");
    }
    assert_eq!((bank.service.under_way(), bank.service.settled()), (1, 0));
    assert_eq!(bank.accepted_log().lines().count(), 1);
}

#[tokio::test]
async fn an_asynchronous_rejection_is_final_and_can_be_asked_for() {
    let bank = Bank::open(Faults { reject: 1.0, ..soon() }).await;
    assert_eq!(bank.post("k", &payment(100)).await, under_way());
    let rejected = bank.ended_under("k").await;
    assert_eq!(rejected.status, 422);
    assert_eq!(rejected.body["code"], "rejected_by_beneficiary_bank");
    // Unlike one in answer to a request, it says that the payment was accepted.
    assert_eq!(rejected.body["status"], "rejected");
    assert_echo(&rejected.body, 100);
    for faults in [soon(), Faults::default()] {
        bank.service.set_faults(faults);
        assert_eq!(bank.post("k", &payment(100)).await, rejected);
        assert_eq!(bank.get("k").await, rejected);
        let reused = bank.post("k", &payment_with("amount", json!(101))).await;
        assert_eq!(reused.body["code"], "idempotency_key_reused");
    }
    let bank = bank.restart(Faults::default()).await;
    assert_eq!(bank.post("k", &payment(100)).await, rejected);
    assert_eq!(bank.service.under_way(), 0);
    assert!(bank.entries().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_taken_and_the_retry_hears_of_it() {
    let bank = Bank::open(Faults { lose_answers: 1.0, ..never() }).await;
    let body = payment(100);
    tokio::select! {
        answer = bank.post("k", &body) => panic!("answered: {answer:?}"),
        () = bank.until("accepted", |bank| bank.service.under_way() == 1) => {}
    }
    assert_eq!(bank.post("k", &payment(100)).await, under_way());
    assert_eq!(bank.service.under_way(), 1);
}

#[tokio::test]
async fn payments_that_were_under_way_end_after_a_restart() {
    let bank = Bank::open(never()).await;
    for key in ["k1", "k2", "k3"] {
        assert_eq!(bank.post(key, &payment(100)).await, under_way());
    }
    // A service that is synchronous now owes the results all the same.
    let bank = bank.restart(Faults::default()).await;
    for key in ["k1", "k2", "k3"] {
        assert_eq!(bank.ended_under(key).await.status, 200);
    }
    let bank = bank.restart(never()).await;
    assert_eq!(bank.service.under_way(), 0);
    assert_eq!(bank.post("k1", &payment(100)).await.status, 200);
    let keys: Vec<_> = bank.entries().into_iter().map(|entry| entry.idempotency_key).collect();
    assert_eq!(keys, ["k1", "k2", "k3"]);
}

#[tokio::test]
async fn a_torn_acceptance_was_never_answered_and_is_cut_off_at_the_start() {
    let bank = Bank::open(never()).await;
    bank.post("k1", &payment(100)).await;
    let whole = bank.accepted_log();
    bank.post("k2", &payment(100)).await;
    let torn = &bank.accepted_log()[..whole.len() + 40];
    let (journal, folder) = (bank.journal, bank.folder);
    bank.service.stop().await;
    let accepted_log = journal.with_extension("accepted.jsonl");
    std::fs::write(&accepted_log, torn).unwrap();

    let bank = Bank::open_on(journal, folder, Faults::default()).await;
    assert_eq!(bank.ended_under("k1").await.status, 200);
    assert_eq!(bank.get("k2").await.status, 404);
    assert_eq!(bank.accepted_log()[..whole.len()], whole);
    assert_eq!(bank.post("k2", &payment(100)).await.status, 201);
}

#[tokio::test]
async fn each_key_is_rejected_or_settled_as_the_faults_foretell() {
    let faults = Faults { reject: 0.3, seed: 5, ..soon() };
    let bank = Bank::open(faults).await;
    let keys: Vec<_> = (0..100).map(|n| format!("k{n}")).collect();
    for key in &keys {
        assert_eq!(bank.post(key, &payment(1)).await.status, 202);
    }
    for key in &keys {
        let expected = if faults.rejects(key) { 422 } else { 200 };
        assert_eq!(bank.ended_under(key).await.status, expected, "{key}");
    }
}
