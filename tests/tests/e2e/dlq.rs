//! `dueflow dlq` as a process, on letters that services or hands have written.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use domain::{Failure, FailureCode, Outcome, Payment, PaymentRef, Status};
use jiff::Timestamp;
use local::transactions::{Faults, Journal};
use serde_json::Value;
use shared::payments::{Change, FirstClaim, PaymentStore};
use shared::queue::{DeadLetterQueue, DeadLetterSource, Producer};
use shared::transaction::{
    ContractSettings, TransactionClient, TransactionService, TransactionSettings,
};

use crate::failures::letters;
use crate::flow::{DUEFLOW, Flow, PATIENCE, stop};

/// The lines of a `dueflow dlq … --json`, the summary last, and its exit status.
pub(crate) fn dlq(flow: &Flow, arguments: &[&str]) -> (Vec<Value>, i32) {
    let output: Output = Command::new(DUEFLOW)
        .arg("dlq")
        .args(arguments)
        .arg("--json")
        .envs(flow.world.environment())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let code = output.status.code().unwrap();
    assert!(!lines.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    (lines, code)
}

pub(crate) fn summary(lines: &[Value]) -> &Value {
    &lines[lines.len() - 1]["summary"]
}

/// Waits until the queue holds so many letters that can be looked at.
pub(crate) fn until_letters(flow: &Flow, count: u64) {
    let asked_at = Instant::now();
    loop {
        let (lines, _) = dlq(flow, &["list"]);
        let summary = summary(&lines);
        let there =
            summary["letters"].as_u64().unwrap() + summary["not_looked_at"].as_u64().unwrap();
        if there == count {
            return;
        }
        assert!(asked_at.elapsed() < PATIENCE, "{there} letters instead of {count}");
    }
}

/// Expects that each account's payments were settled in the order of their ids.
fn assert_settled_in_order(flow: &Flow) {
    let mut settled: Vec<_> = Journal::read(flow.world.local.journal())
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.account_id, entry.idempotency_key))
        .collect();
    // Stable: within an account as they were settled.
    settled.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(settled.is_sorted(), "{settled:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_payments_are_replayed_by_reference_and_by_reason_and_settled_once_in_order() {
    let mut flow = Flow::start(Faults { reject: 1.0, ..Faults::default() }).await;
    let services = flow.services().await;
    flow.schedule(15, 3).await;
    until_letters(&flow, 15);
    flow.world.local.transactions.set_faults(Faults::default());

    let (lines, code) = dlq(&flow, &["replay", "--all"]);
    assert_eq!((code, &summary(&lines)["actions"]["replay"]), (0, &15.into()), "{lines:#?}");
    assert_eq!(flow.count(Status::Failed).await, 15, "a dry run changed something");
    until_letters(&flow, 15);
    let (lines, _) = dlq(&flow, &["list", "--account", "ACC-000001", "--reason", "rejected"]);
    assert_eq!(summary(&lines)["by_code"]["rejected"], 5, "{lines:#?}");

    let first = flow.payments().await.into_iter().map(|stored| stored.payment.reference());
    let first = first.min_by_key(|reference| reference.id).unwrap().to_string();
    let (lines, code) = dlq(&flow, &["replay", &first, "--execute"]);
    assert_eq!((code, &lines[0]["state"]), (0, &"done".into()), "{lines:#?}");
    flow.until(Status::Processed, 1).await;
    let (lines, code) = dlq(&flow, &["replay", &first, "--execute"]);
    assert_eq!((code, &lines[0]["state"]), (1, &"refused".into()), "{lines:#?}");
    assert!(lines[0]["why"].as_str().unwrap().starts_with("it is PROCESSED with "), "{lines:#?}");

    let (lines, code) = dlq(&flow, &["replay", "--reason", "unknown", "--execute"]);
    assert_eq!((code, lines.len()), (0, 1), "{lines:#?}");
    let (lines, code) = dlq(&flow, &["replay", "--reason", "rejected", "--execute"]);
    assert_eq!((code, &summary(&lines)["actions"]["replay"]), (0, &14.into()), "{lines:#?}");
    flow.until_ended().await;
    until_letters(&flow, 0);
    stop(services).await;
    assert_settled_in_order(&flow);
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_letters_of_an_account_are_replayed_in_order_though_only_ten_can_be_seen() {
    let mut flow = Flow::start(Faults { reject: 1.0, ..Faults::default() }).await;
    let services = flow.services().await;
    flow.schedule(25, 1).await;
    flow.until(Status::Failed, 25).await;
    until_letters(&flow, 25);
    let (lines, _) = dlq(&flow, &["list"]);
    assert_eq!((lines.len(), &summary(&lines)["not_looked_at"]), (11, &15.into()), "{lines:#?}");
    flow.world.local.transactions.set_faults(Faults::default());

    let (lines, code) = dlq(&flow, &["replay", "--all", "--execute"]);
    assert_eq!((code, &summary(&lines)["actions"]["replay"]), (0, &25.into()), "{lines:#?}");
    flow.until_ended().await;
    stop(services).await;
    assert_settled_in_order(&flow);
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_rejected_again_ends_and_leaves_one_letter_for_each_payment() {
    let mut flow = Flow::start(Faults { reject: 1.0, ..Faults::default() }).await;
    let services = flow.services().await;
    flow.schedule(4, 2).await;
    until_letters(&flow, 4);
    let (lines, code) = dlq(&flow, &["replay", "--all", "--execute"]);
    assert_eq!((code, &summary(&lines)["actions"]["replay"]), (0, &4.into()), "{lines:#?}");
    until_letters(&flow, 4);
    flow.until(Status::Failed, 4).await;
    for stored in flow.payments().await {
        assert_eq!((stored.attempts, stored.attempts_before), (2, 1));
    }
    stop(services).await;
}

/// A payment that FAILED by hand after one attempt, with its letter.
pub(crate) struct ByHand {
    pub(crate) code: FailureCode,
    pub(crate) claimed_at: Timestamp,
}

impl ByHand {
    pub(crate) async fn fail(&self, flow: &Flow, payment: &Payment) {
        let reference = payment.reference();
        let failure = Failure::new(self.code, "by hand");
        let claim = [Change::Claim(payment)];
        let fail = [Change::Fail(&reference, &failure, 1)];
        for change in [&claim, &fail] {
            let results = flow.table.apply(change, self.claimed_at).await.unwrap();
            assert!(results.iter().all(Result::is_ok), "{results:?}");
        }
        let names = &flow.world.names;
        let producer = Producer::open(&flow.world.aws, names.dead_letter_queue()).await.unwrap();
        let dead_letters = DeadLetterQueue::new(producer, "test");
        let source = payment.id.to_string();
        dead_letters
            .send_payment(DeadLetterSource::Message(&source), payment, None, failure.clone())
            .await
            .unwrap();
    }
}

pub(crate) fn transactions(flow: &Flow) -> TransactionClient {
    TransactionClient::new(&TransactionSettings {
        url: flow.world.local.transactions.endpoint().parse().unwrap(),
        proxy: None,
        timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(2),
        contract: ContractSettings::default(),
    })
    .unwrap()
}

pub(crate) async fn status(flow: &Flow, reference: &PaymentRef) -> Status {
    flow.table.get(reference).await.unwrap().unwrap().status
}

pub(crate) fn line_of<'a>(lines: &'a [Value], payment: &Payment) -> &'a Value {
    let reference = Value::from(payment.reference().to_string());
    lines.iter().find(|line| line["reference"] == reference).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_outcome_is_unknown_is_asked_for_before_it_is_replayed() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(3, 3).await;
    let payments: Vec<_> = flow.payments().await.into_iter().map(|s| s.payment).collect();
    let [settled, forgotten, open] = &payments[..] else { panic!("three payments") };
    let now = Timestamp::now();
    let long_ago = now - Duration::from_secs(30 * 3_600);
    let outcome = transactions(&flow).submit(settled).await;
    assert!(matches!(outcome, Outcome::Settled(_)), "{outcome:?}");
    ByHand { code: FailureCode::Unknown, claimed_at: long_ago }.fail(&flow, settled).await;
    ByHand { code: FailureCode::Unknown, claimed_at: long_ago }.fail(&flow, forgotten).await;
    ByHand { code: FailureCode::Exhausted, claimed_at: now }.fail(&flow, open).await;

    let (lines, code) = dlq(&flow, &["replay", "--all", "--execute"]);
    assert_eq!(code, 1, "{lines:#?}");
    let why = |payment| line_of(&lines, payment)["why"].as_str().unwrap();
    assert!(why(settled).starts_with("it was settled as "), "{lines:#?}");
    assert!(why(forgotten).contains("may have forgotten"), "{lines:#?}");
    assert!(why(open).starts_with("nothing was settled"), "{lines:#?}");
    assert_eq!(status(&flow, &forgotten.reference()).await, Status::Failed);

    let services = vec![flow.service("dispatcher").await, flow.service("confirmer").await];
    flow.until(Status::Processed, 2).await;
    stop(services).await;
    assert_eq!(Journal::read(flow.world.local.journal()).count(), 2, "settled twice");
    let left = letters(&flow, 1).await;
    assert_eq!(left[0].payment.as_ref(), Some(forgotten), "its letter went");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_died_before_its_message_was_sent_is_finished_by_the_next() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(1, 1).await;
    let payment = flow.payments().await.remove(0).payment;
    let reference = payment.reference();
    let now = Timestamp::now();
    ByHand { code: FailureCode::Rejected, claimed_at: now }.fail(&flow, &payment).await;
    let write = [Change::Replay(&reference, 1, FirstClaim::Stays)];
    flow.table.apply(&write, now).await.unwrap().remove(0).unwrap();

    let (lines, code) = dlq(&flow, &["replay", "--all", "--execute"]);
    assert_eq!((code, &lines[0]["action"]), (0, &"send again".into()), "{lines:#?}");
    let services = vec![flow.service("dispatcher").await, flow.service("confirmer").await];
    flow.until(Status::Processed, 1).await;
    stop(services).await;
    until_letters(&flow, 0);
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_only_a_person_can_close_are_listed_refused_and_kept() {
    let flow = Flow::start(Faults::default()).await;
    let names = &flow.world.names;
    let producer = Producer::open(&flow.world.aws, names.dead_letter_queue()).await.unwrap();
    let dead_letters = DeadLetterQueue::new(producer, "test");
    let codes = [FailureCode::MalformedRecord, FailureCode::Mismatch, FailureCode::Conflict];
    for code in codes {
        let failure = Failure::new(code, "by hand");
        dead_letters
            .send_unreadable(DeadLetterSource::Message("m"), "{}".to_owned(), failure)
            .await
            .unwrap();
    }
    for _ in 0..2 {
        let (lines, _) = dlq(&flow, &["list"]);
        let listed: Vec<_> = lines.iter().take(3).map(|line| line["code"].clone()).collect();
        assert_eq!(listed, codes.map(|code| Value::from(code.as_str())), "{lines:#?}");
    }
    let (lines, code) = dlq(&flow, &["replay", "--all", "--execute"]);
    assert_eq!((code, &summary(&lines)["refused"]), (1, &3.into()), "{lines:#?}");
    assert_eq!(letters(&flow, 3).await.len(), 3);
}

#[test]
fn a_replay_without_a_selection_or_a_transaction_service_is_bad_usage() {
    for arguments in [&["replay"][..], &["replay", "--all"], &["replay", "--reason", "x"]] {
        let output = Command::new(DUEFLOW)
            .arg("dlq")
            .args(arguments)
            .env_remove("DUEFLOW_TRANSACTION_URL")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
}
