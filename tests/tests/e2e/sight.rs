//! What must not leave sight: services whose calls fail, payments that are open for long, letters
//! that somebody else has.

use std::process::Command;
use std::time::{Duration, Instant};

use demo::local_world::Process;
use domain::{DueDate, Failure, FailureCode, Payment, PaymentId, Status};
use jiff::Timestamp;
use local::transactions::Faults;
use serde_json::Value;
use shared::config::Receiving;
use shared::payments::{Change, PaymentStore};
use shared::queue::{Consumer, DeadLetterQueue, DeadLetterSource, Producer};

use crate::flow::{DUEFLOW, Flow, PATIENCE, stop};

/// The lines of a command's JSON, and its exit status.
fn dueflow(flow: &Flow, arguments: &[&str]) -> (Vec<Value>, i32) {
    let mut command = Command::new(DUEFLOW);
    let output = command.args(arguments).arg("--json").envs(flow.world.environment()).output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    (lines, output.status.code().unwrap())
}

async fn until_ready_says(process: &mut Process, status: u16, words: &str) {
    let asked_at = Instant::now();
    loop {
        let (now, body) = process.probe("/readyz").await.unwrap();
        if now == status && body.contains(words) {
            return;
        }
        assert!(asked_at.elapsed() < PATIENCE, "{}: {now} {body}", process.name);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_whose_queues_are_deleted_are_unready_until_they_are_back() {
    let mut flow = Flow::start(Faults::default()).await;
    let mut services = flow.services().await;
    let asked_at = Instant::now();
    while services[1].samples().await.unwrap().sum("dueflow_sqs_requests_total") < 8.0 {
        assert!(asked_at.elapsed() < PATIENCE, "nothing is received");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let in_hand = services[1].samples().await.unwrap().sum("dueflow_dispatcher_payments_in_hand");
    assert_eq!(in_hand, 0.0, "an idle dispatcher has nothing in hand");

    let sqs = flow.world.aws.sqs("test");
    for queue in [flow.world.names.payments_queue(), flow.world.names.confirmations_queue()] {
        let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url;
        sqs.delete_queue().set_queue_url(url).send().await.unwrap();
    }
    // The relay has something to send.
    flow.schedule(3, 1).await;
    for (service, words) in services.iter_mut().zip([
        "queueing payments fails",
        "receiving from dueflow-payments.fifo fails",
        "receiving from dueflow-confirmations.fifo fails",
    ]) {
        until_ready_says(service, 503, words).await;
        assert_eq!(service.probe("/healthz").await.unwrap(), (200, "ok\n".to_owned()));
    }

    let asked_at = Instant::now();
    let done = loop {
        // SQS makes no queue again within a minute of its deletion.
        let output = Command::new(DUEFLOW)
            .args(["setup", "--json"])
            .envs(flow.world.environment())
            .output()
            .unwrap();
        if output.status.success() {
            break serde_json::from_slice::<Value>(&output.stdout).unwrap();
        }
        assert!(asked_at.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&output.stderr));
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let is_queue = |done: &&Value| done["kind"] == "queue";
    let result = |name: &str| {
        let ends = |done: &&Value| done["name"].as_str().unwrap().ends_with(name);
        done.as_array().unwrap().iter().filter(is_queue).find(ends).unwrap()["result"].clone()
    };
    assert_eq!(result("-payments-dlq.fifo"), "present");
    for name in ["-payments.fifo", "-confirmations.fifo"] {
        // The first of the two may have been made by a run that failed at the second.
        assert!(["created", "present"].contains(&result(name).as_str().unwrap()), "{done}");
    }
    assert!([result("-payments.fifo"), result("-confirmations.fifo")].contains(&"created".into()));
    for service in &mut services {
        until_ready_says(service, 200, "ready").await;
    }
    flow.until(Status::Processed, 3).await;
    stop(services).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_open_payment_is_listed_however_old_and_preflight_counts_the_forgotten() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(3, 3).await;
    let payments: Vec<_> = flow.payments().await.into_iter().map(|s| s.payment).collect();
    let days_ago =
        |days| DueDate::today(Timestamp::now(), &jiff::tz::TimeZone::UTC).days_before(days);
    let old =
        |days| Payment { id: PaymentId::generate(), due: days_ago(days), ..payments[0].clone() };
    let (scheduled, pending, failed) = (old(40), old(400), old(17));
    flow.insert(&[scheduled.clone(), pending.clone(), failed.clone()]).await;
    let ahead = Payment { due: days_ago(0).days_after(5), ..old(1) };
    flow.insert(std::slice::from_ref(&ahead)).await;
    let long_ago = Timestamp::now() - Duration::from_secs(13 * 24 * 3600);
    let failure = Failure::new(FailureCode::Exhausted, "by hand");
    let reference = failed.reference();
    for change in
        [Change::Claim(&pending), Change::Claim(&failed), Change::Fail(&reference, &failure, 1)]
    {
        flow.table.apply(&[change], long_ago).await.unwrap().remove(0).unwrap();
    }

    let (lines, code) = dueflow(&flow, &["payments", "open"]);
    let ids: Vec<_> =
        lines[..lines.len() - 1].iter().map(|line| line["PaymentID"].clone()).collect();
    assert_eq!((code, ids.len()), (0, 6), "{lines:#?}");
    let of = |payment: &Payment| Value::from(payment.id.to_string());
    assert_eq!(ids[..3], [of(&pending), of(&scheduled), of(&failed)], "the oldest day first");
    assert!(!ids.contains(&of(&ahead)), "it waits for its day");
    let summary = &lines[6]["summary"];
    assert_eq!(
        summary["by_status"],
        serde_json::json!({"SCHEDULED": 4, "PENDING": 1, "FAILED": 1})
    );
    assert!(lines[0]["StatusAgeSeconds"].as_u64().unwrap() >= 13 * 24 * 3600);

    let (lines, _) = dueflow(&flow, &["payments", "open", "--older-than", "12d"]);
    assert_eq!(lines.len(), 3, "those that were inserted today are younger: {lines:#?}");
    let (lines, _) = dueflow(&flow, &["payments", "open", "--status", "failed"]);
    assert_eq!((lines.len(), &lines[0]["FailureCode"]), (2, &"exhausted".into()), "{lines:#?}");

    let settings = [("DUEFLOW_TRANSACTION_URL", flow.world.local.transactions.endpoint())];
    let output = Command::new(DUEFLOW)
        .args(["preflight", "--json"])
        .envs(flow.world.environment())
        .envs(settings)
        .output()
        .unwrap();
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = whole["findings"].as_array().unwrap().iter();
    let figures: Vec<_> = findings.filter(|finding| finding["check"] == "forgotten").collect();
    let figure = |place: usize| figures[place]["figure"].as_str().unwrap();
    assert!(figure(0).starts_with("3 payments SCHEDULED, PENDING or FAILED"), "{figures:#?}");
    assert!(figure(1).starts_with("1 payment FAILED for more than 11 days"), "{figures:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_in_somebody_elses_hand_are_said_to_be_there() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(5, 5).await;
    let queue = flow.world.names.dead_letter_queue();
    let producer = Producer::open(&flow.world.aws, queue.clone()).await.unwrap();
    let dead_letters = DeadLetterQueue::new(producer, "test");
    for stored in flow.payments().await {
        let failure = Failure::new(FailureCode::Rejected, "by hand");
        let source = stored.payment.id.to_string();
        dead_letters
            .send_payment(DeadLetterSource::Message(&source), &stored.payment, None, failure)
            .await
            .unwrap();
    }
    let (lines, code) = dueflow(&flow, &["dlq", "list"]);
    assert_eq!((code, &lines[5]["summary"]["in_flight"]), (0, &0.into()), "{lines:#?}");
    assert!(lines[0]["expires_at"].is_string(), "{lines:#?}");
    assert!(lines[5]["summary"]["first_expires_at"].is_string(), "{lines:#?}");

    let receiving = Receiving { visibility: Duration::from_secs(60), wait: Duration::from_secs(1) };
    let other = Consumer::open(&flow.world.aws, queue, receiving).await.unwrap();
    let held = other.receive().await.unwrap();
    assert_eq!(held.len(), 5);
    for command in [&["dlq", "list"][..], &["dlq", "replay", "--all", "--execute"]] {
        let (lines, code) = dueflow(&flow, command);
        let summary = &lines[lines.len() - 1]["summary"];
        assert_eq!((code, &summary["in_flight"]), (1, &5.into()), "{command:?}: {lines:#?}");
    }
}
