//! Payments, records and messages that cannot be paid, and answers that never come.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Amount, Data, DataBlob, FailureCode, Payment, Status};
use local::transactions::{Faults, Journal};
use shared::config::Receiving;
use shared::queue::{Consumer, DeadLetter};
use std::time::{Duration, Instant};

use crate::flow::{Flow, PATIENCE, stop, until_counted, until_result};

/// The first `count` letters of the dead-letter queue.
pub(crate) async fn letters(flow: &Flow, count: usize) -> Vec<DeadLetter> {
    let receiving = Receiving { visibility: Duration::from_secs(60), wait: Duration::from_secs(1) };
    let queue = flow.world.names.dead_letter_queue();
    let queue = Consumer::open(&flow.world.aws, queue, receiving).await.unwrap();
    let asked_at = Instant::now();
    let mut letters = Vec::new();
    while letters.len() < count {
        assert!(asked_at.elapsed() < PATIENCE, "only {} of {count} letters came", letters.len());
        let deliveries = queue.receive().await.unwrap();
        letters.extend(deliveries.iter().map(|d| serde_json::from_str(&d.body).unwrap()));
        queue.acknowledge(deliveries).await;
    }
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_payment_is_failed_with_its_reason_and_dead_lettered_whole() {
    let mut flow = Flow::start(Faults { reject: 1.0, ..Faults::default() }).await;
    let services = flow.services().await;
    flow.schedule(20, 5).await;
    flow.until(Status::Failed, 20).await;
    let letters = letters(&flow, 20).await;
    for stored in flow.payments().await {
        let failure = stored.failure.clone().unwrap();
        assert_eq!(failure.code, FailureCode::Rejected);
        assert!(failure.reason.starts_with("422 "), "{failure:?}");
        let letter = letters.iter().find(|letter| letter.payment.as_ref() == Some(&stored.payment));
        assert_eq!(letter.unwrap().failure, failure);
    }
    assert_eq!(Journal::read(flow.world.local.journal()).count(), 0, "money moved");
    stop(services).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_payment_does_not_hold_up_those_after_it() {
    let mut flow = Flow::start(Faults { reject: 0.2, seed: 7, ..Faults::default() }).await;
    let services = flow.services().await;
    flow.schedule(100, 1).await;
    flow.until_ended().await;
    stop(services).await;
    let findings = flow.findings().await;
    assert!(findings.clean(), "{findings}");
    assert!(findings.balance.failed > 0 && findings.balance.processed > 0, "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_came_is_asked_for_again_under_the_same_key() {
    let mut flow = Flow::start(Faults { lose_answers: 1.0, ..Faults::default() }).await;
    let mut services = flow.services().await;
    flow.schedule(40, 40).await;
    flow.until_ended().await;
    until_result(&mut services[1], "dueflow_dispatcher_submissions_total", "unknown", 40.0).await;
    stop(services).await;
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_transaction_service_delays_payments_and_fails_none() {
    let mut flow = Flow::start(Faults { unavailable: 1.0, ..Faults::default() }).await;
    let mut services = flow.services().await;
    flow.schedule(30, 10).await;
    // Not all of them: after ten failures in a row the dispatcher receives no more.
    until_counted(&mut services[1], "dueflow_dispatcher_messages_released_total", 10.0).await;
    flow.world.local.transactions.set_faults(Faults::default());
    flow.until_ended().await;
    stop(services).await;
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_record_is_dead_lettered_whole_and_holds_nobody_up() {
    let mut flow = Flow::start(Faults::default()).await;
    let services = flow.services().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    flow.world
        .aws
        .dynamodb("test")
        .put_item()
        .table_name(flow.world.names.payments_table())
        .item("PK", text("ACCOUNT#ACC-000000"))
        .item("SK", text("2026-11-23#no-uuid"))
        .item("AccountID", text("ACC-000000"))
        .item("PaymentID", text("no-uuid"))
        .item("Status", text("SCHEDULED"))
        .item("Note", text("whoever wrote this did not use dueflow"))
        .send()
        .await
        .unwrap();
    let letters = letters(&flow, 1).await;
    assert_eq!(letters[0].failure.code, FailureCode::MalformedRecord);
    let raw: serde_json::Value = serde_json::from_str(letters[0].raw.as_ref().unwrap()).unwrap();
    let note = &raw["dynamodb"]["NewImage"]["Note"]["S"];
    assert_eq!(note, "whoever wrote this did not use dueflow");
    // The item itself stays where its writer put it; take it away before counting payments.
    flow.world
        .aws
        .dynamodb("test")
        .delete_item()
        .table_name(flow.world.names.payments_table())
        .key("PK", text("ACCOUNT#ACC-000000"))
        .key("SK", text("2026-11-23#no-uuid"))
        .send()
        .await
        .unwrap();
    flow.schedule(20, 2).await;
    flow.until_ended().await;
    stop(services).await;
    flow.assert_all_settled_once().await;
}

/// Sends one message to the payments queue, past the relay.
async fn send_message(flow: &Flow, group: &str, body: &str) {
    let sqs = flow.world.aws.sqs("test");
    let queue = sqs.get_queue_url().queue_name(flow.world.names.payments_queue());
    let url = queue.send().await.unwrap().queue_url.unwrap();
    sqs.send_message()
        .queue_url(url)
        .message_group_id(group)
        .message_deduplication_id(format!("test-{}", body.len()))
        .message_body(body)
        .send()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_message_is_dead_lettered_whole_and_holds_nobody_up() {
    let mut flow = Flow::start(Faults::default()).await;
    let services = flow.services().await;
    send_message(&flow, "ACC-000000", "{not a payment").await;
    let letters = letters(&flow, 1).await;
    assert_eq!(letters[0].failure.code, FailureCode::MalformedMessage);
    assert_eq!(letters[0].raw.as_deref(), Some("{not a payment"));
    flow.schedule(20, 2).await;
    flow.until_ended().await;
    stop(services).await;
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_asks_for_more_than_the_table_holds_is_never_paid() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(2, 2).await;
    let mut payments = flow.payments().await.into_iter().map(|stored| stored.payment);
    let mut payment = || payments.next().unwrap();
    let more_money = Payment { amount: Amount::from_minor_units(99_999_999).unwrap(), ..payment() };
    let more_data =
        Payment { data: Some(Data::Whole(DataBlob::new("and more").unwrap())), ..payment() };
    for (group, forged) in [("group-1", more_money), ("group-2", more_data)] {
        send_message(&flow, group, &serde_json::to_string(&forged).unwrap()).await;
    }
    let dispatcher = flow.service("dispatcher").await;
    for letter in letters(&flow, 2).await {
        assert_eq!(letter.failure.code, FailureCode::Mismatch);
    }
    assert_eq!(Journal::read(flow.world.local.journal()).count(), 0, "money moved");
    stop(vec![dispatcher]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_payment_that_is_processed_is_a_leftover() {
    let mut flow = Flow::start(Faults::default()).await;
    let mut services = flow.services().await;
    flow.schedule(1, 1).await;
    flow.until(Status::Processed, 1).await;
    let payment = flow.payments().await.remove(0).payment;
    send_message(&flow, "another-group", &serde_json::to_string(&payment).unwrap()).await;
    until_result(&mut services[1], "dueflow_dispatcher_claims_total", "processed", 1.0).await;
    stop(services).await;
    flow.assert_all_settled_once().await;
}
