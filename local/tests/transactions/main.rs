//! The transaction service over real HTTP, against its contract.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asynchronous;
mod bank;
mod callbacks;
mod capacity;
mod down;
mod receiver;
mod retention;

use std::{sync::Arc, time::Duration};

use bank::{Answer, Bank, PATIENCE, assert_echo, payment, payment_with, send};
use local::transactions::Faults;
use serde_json::{Value, json};
use tokio::{sync::Barrier, time::timeout};

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_moves_money_once() {
    let bank = Bank::open(Faults::default()).await;
    let first = bank.post("k", &payment(100)).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.body["status"], "settled");
    let again = bank.post("k", &payment(100)).await;
    assert_eq!(again, Answer { status: 200, ..first.clone() });
    assert_eq!(bank.get("k").await, again);
    assert_echo(&first.body, 100);

    let other = bank.post("k2", &payment(100)).await;
    assert_eq!(other.status, 201);
    assert_ne!(other.body["transaction_id"], first.body["transaction_id"]);

    let entries = bank.entries();
    assert_eq!(entries.len(), 2);
    assert_eq!(bank.service.settled(), 2);
    let entry = &entries[0];
    assert_eq!(entry.transaction_id.to_string(), first.body["transaction_id"]);
    assert_eq!(entry.transaction_id.get_version_num(), 7);
    assert_eq!(entry.settled_at.to_string(), first.body["settled_at"]);
    assert_eq!((entry.idempotency_key.as_str(), entry.account_id.as_str()), ("k", "a-1"));
    assert_eq!((entry.beneficiary_id.as_str(), entry.amount), ("b-1", 100));
    assert_eq!((entry.currency.as_str(), entry.scheduled_date.as_str()), ("EUR", "2026-03-01"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_posts_of_one_key_settle_once() {
    let bank = Arc::new(Bank::open(Faults::default()).await);
    for round in 0..20 {
        let together = Arc::new(Barrier::new(16));
        let posts: Vec<_> = (0..16)
            .map(|_| {
                let (bank, together) = (bank.clone(), together.clone());
                tokio::spawn(async move {
                    together.wait().await;
                    bank.post(&format!("k{round}"), &payment(100)).await
                })
            })
            .collect();
        let mut created = 0;
        let mut bodies = Vec::new();
        for post in posts {
            let answer = post.await.unwrap();
            created += u32::from(answer.status == 201);
            bodies.push(answer.body);
        }
        bodies.dedup();
        assert_eq!((created, bodies.len()), (1, 1), "round {round}");
    }
    assert_eq!(bank.entries().len(), 20);
}

#[tokio::test]
async fn another_body_under_a_settled_key_is_refused_and_moves_nothing() {
    let bank = Bank::open(Faults::default()).await;
    let first = bank.post("k", &payment(100)).await;
    for (member, value) in [
        ("payment_id", json!("p-2")),
        ("account_id", json!("a-2")),
        ("beneficiary_id", json!("b-2")),
        ("amount", json!(101)),
        ("currency", json!("USD")),
        ("scheduled_date", json!("2026-03-02")),
        ("data", json!("invoice 8")),
        ("data", Value::Null),
    ] {
        let refused = bank.post("k", &payment_with(member, value)).await;
        assert_eq!(refused.status, 422, "{member}");
        assert_eq!(refused.body["code"], "idempotency_key_reused", "{member}");
    }
    assert_eq!(bank.get("k").await.body, first.body);
    assert_eq!(bank.entries().len(), 1);
}

#[tokio::test]
async fn a_rejection_settles_nothing_repeats_and_does_not_bind_the_key() {
    let bank = Bank::open(Faults { reject: 1.0, ..Faults::default() }).await;
    for _ in 0..3 {
        let rejected = bank.post("k", &payment(100)).await;
        assert_eq!(rejected.status, 422);
        assert_eq!(rejected.body["code"], "rejected_by_beneficiary_bank");
    }
    assert_eq!(bank.get("k").await.status, 404);
    assert!(bank.entries().is_empty());

    bank.service.set_faults(Faults::default());
    assert_eq!(bank.post("k", &payment(250)).await.status, 201);
    bank.service.set_faults(Faults { reject: 1.0, ..Faults::default() });
    assert_eq!(bank.post("k", &payment(250)).await.status, 200);
}

#[tokio::test]
async fn the_keys_that_are_rejected_are_those_that_the_faults_foretell() {
    let faults = Faults { reject: 0.3, seed: 5, ..Faults::default() };
    let bank = Bank::open(faults).await;
    for n in 0..200 {
        let key = format!("k{n}");
        let expected = if faults.rejects(&key) { 422 } else { 201 };
        assert_eq!(bank.post(&key, &payment(1)).await.status, expected, "{key}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_settled_and_the_retry_gets_it() {
    let bank = Bank::open(Faults { lose_answers: 1.0, ..Faults::default() }).await;
    let body = payment(100);
    let known = tokio::select! {
        answer = bank.post("k", &body) => panic!("answered: {answer:?}"),
        known = bank.settled_under("k") => known,
    };
    assert_eq!(bank.entries().len(), 1);
    assert_eq!(bank.post("k", &payment(100)).await, known);
    assert_eq!(bank.entries().len(), 1);
}

#[tokio::test]
async fn stopping_does_not_wait_for_held_requests_and_gives_them_no_answer() {
    let bank = Bank::open(Faults { lose_answers: 1.0, ..Faults::default() }).await;
    let post = |key| {
        let request = bank.client.post(bank.url("/v1/transactions"));
        tokio::spawn(request.header("Idempotency-Key", key).json(&payment(100)).send())
    };
    let held = post("k");
    let known = bank.settled_under("k").await;
    // One more, that is being answered slowly.
    let latency = Duration::from_secs(3600);
    bank.service.set_faults(Faults { latency, ..Faults::default() });
    let slow = post("k2");
    let settling = async {
        while bank.service.settled() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, settling).await.unwrap();

    let stopped = timeout(Duration::from_secs(1), bank.service.stop()).await;
    stopped.expect("the stop waited");
    assert!(timeout(PATIENCE, held).await.unwrap().unwrap().is_err());
    assert!(timeout(PATIENCE, slow).await.unwrap().unwrap().is_err());

    let bank = Bank::open_on(bank.journal, bank.folder, Faults::default()).await;
    assert_eq!(bank.post("k", &payment(100)).await, known);
}

#[tokio::test]
async fn an_unavailable_service_does_nothing_and_a_retry_can_succeed() {
    let bank = Bank::open(Faults { unavailable: 1.0, ..Faults::default() }).await;
    let refused = bank.post("k", &payment(100)).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some("unavailable")));
    assert_eq!(bank.get("k").await.status, 503);
    assert!(bank.entries().is_empty());
    let healthy = bank.client.get(bank.url("/healthz")).send().await.unwrap();
    assert_eq!(healthy.status(), 200);

    bank.service.set_faults(Faults { unavailable: 0.5, ..Faults::default() });
    let trying = async {
        loop {
            let answer = bank.post("k", &payment(100)).await;
            if answer.status != 503 {
                return answer;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, trying).await.unwrap().status, 201);
    assert_eq!(bank.entries().len(), 1);
}

#[tokio::test]
async fn a_slow_service_adds_its_latency_to_each_answer() {
    let latency = Duration::from_millis(30);
    let bank = Bank::open(Faults { latency, ..Faults::default() }).await;
    for expected in [201, 200] {
        let started = std::time::Instant::now();
        assert_eq!(bank.post("k", &payment(100)).await.status, expected);
        assert!(started.elapsed() >= latency);
    }
}

#[tokio::test]
async fn a_restart_remembers_keys_answers_and_bodies() {
    let bank = Bank::open(Faults::default()).await;
    let first = bank.post("k", &payment(100)).await;
    let bank = bank.restart(Faults::default()).await;
    assert_eq!(bank.service.settled(), 1);
    assert_eq!(bank.service.torn_line(), None);
    assert_eq!(bank.post("k", &payment(100)).await, Answer { status: 200, ..first });
    assert_echo(&bank.get("k").await.body, 100);
    let changed = payment_with("data", json!("invoice 8"));
    assert_eq!(bank.post("k", &changed).await.body["code"], "idempotency_key_reused");
    assert_eq!(bank.post("k2", &payment(100)).await.status, 201);
    assert_eq!(bank.entries().len(), 2);
}

#[tokio::test]
async fn a_torn_journal_line_is_cut_off_and_reported_at_the_start() {
    let bank = Bank::open(Faults::default()).await;
    let first = bank.post("k", &payment(100)).await;
    let whole = std::fs::read(&bank.journal).unwrap();
    let journal = bank.journal.clone();
    timeout(PATIENCE, bank.service.stop()).await.unwrap();
    std::fs::write(&journal, [&whole[..], &whole[..40]].concat()).unwrap();

    let bank = Bank::open_on(journal, bank.folder, Faults::default()).await;
    let torn = bank.service.torn_line().expect("reported");
    assert_eq!((torn.line, torn.offset), (2, whole.len() as u64));
    assert_eq!(torn.text.as_bytes(), &whole[..40]);
    assert_eq!(std::fs::read(&bank.journal).unwrap(), whole);
    assert_eq!(bank.post("k", &payment(100)).await, Answer { status: 200, ..first });
    assert_eq!(bank.post("k2", &payment(100)).await.status, 201);
    assert_eq!(bank.entries().len(), 2);
}

#[tokio::test]
async fn a_service_that_forgets_keys_settles_twice_and_the_journal_shows_it() {
    let forgetful = Faults { forget_keys: true, lose_answers: 1.0, ..Faults::default() };
    let bank = Bank::open(Faults { forget_keys: true, ..Faults::default() }).await;
    assert_eq!(bank.post("k", &payment(100)).await.status, 201);
    assert_eq!(bank.get("k").await.status, 404);
    bank.service.set_faults(forgetful);
    // The answer of a key is lost once, even when the key is settled again.
    assert_eq!(bank.post("k", &payment(100)).await.status, 201);
    let keys: Vec<_> = bank.entries().into_iter().map(|entry| entry.idempotency_key).collect();
    assert_eq!(keys, ["k", "k"]);
    assert_eq!(bank.service.settled(), 2);
}

#[tokio::test]
async fn a_malformed_body_gets_400_with_a_reason_and_settles_nothing() {
    let bank = Bank::open(Faults::default()).await;
    let refused = bank.post("k", &payment(0)).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (400, Some("malformed_body")));
    assert!(refused.body["reason"].as_str().unwrap().starts_with("amount:"));
    let no_json = bank.client.post(bank.url("/v1/transactions")).header("Idempotency-Key", "k");
    assert_eq!(send(no_json.body("{")).await.status, 400);
    assert!(bank.entries().is_empty());
}

#[tokio::test]
async fn requests_that_are_not_in_the_contract_are_refused_with_a_code() {
    let bank = Bank::open(Faults::default()).await;
    let post = || bank.client.post(bank.url("/v1/transactions")).json(&payment(100));
    let get = |path| bank.client.get(bank.url(path));
    let long = "k".repeat(256);
    let key = "Idempotency-Key";
    for (request, status, code) in [
        (post(), 400, "malformed_idempotency_key"),
        (post().header(key, ""), 400, "malformed_idempotency_key"),
        (post().header(key, &long), 400, "malformed_idempotency_key"),
        (post().header(key, "é"), 400, "malformed_idempotency_key"),
        (post().header(key, "a").header(key, "b"), 400, "malformed_idempotency_key"),
        (post().header(key, "k").body(vec![b' '; 65_537]), 413, "body_too_large"),
        (get("/v1/transactions"), 400, "malformed_query"),
        (get("/v1/transactions?idempotency_key="), 400, "malformed_query"),
        (get("/v1/transactions?idempotency_key=nobody"), 404, "unknown_key"),
        (get("/v2/transactions"), 404, "no_such_path"),
        (bank.client.delete(bank.url("/v1/transactions")), 405, "no_such_method"),
    ] {
        let refused = send(request).await;
        assert_eq!((refused.status, refused.body["code"].as_str()), (status, Some(code)));
    }
    let longest = "k".repeat(255);
    assert_eq!(bank.post(&longest, &payment(100)).await.status, 201);
    assert_eq!(bank.get(&longest).await.status, 200);
    assert_eq!(bank.entries().len(), 1);
}
