//! What a person has to decide, from the message that contradicts the table to the payment that
//! is paid as the person says (INV-16).

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{FailureCode, Payment, Status};
use local::transactions::{Faults, Journal};
use shared::payments::PaymentStore;
use shared::queue::{Dispatch, Producer};

use crate::dlq::{dlq, summary, until_letters};
use crate::flow::{Flow, stop};

/// Somebody changes what a payment in the table says.
async fn change_amount(flow: &Flow, payment: &Payment, amount: &str) {
    let client = flow.world.aws.dynamodb("test");
    client
        .update_item()
        .table_name(flow.world.names.payments_table())
        .key("PK", AttributeValue::S(format!("ACCOUNT#{}", payment.account)))
        .key("SK", AttributeValue::S(format!("{}#{}", payment.due, payment.id)))
        .update_expression("SET Amount = :amount")
        .expression_attribute_values(":amount", AttributeValue::N(amount.to_owned()))
        .send()
        .await
        .unwrap();
}

/// Two payments whose messages are queued, and whose amounts are changed then: FAILED, each with
/// its dead letter.
async fn two_withheld(flow: &mut Flow) -> [Payment; 2] {
    flow.schedule(2, 2).await;
    let payments: Vec<_> = flow.payments().await.into_iter().map(|s| s.payment).collect();
    // As the relay queues them.
    let queue = Producer::open(&flow.world.aws, flow.world.names.payments_queue()).await.unwrap();
    let messages: Vec<_> = payments.iter().map(|it| Dispatch::First.message(it)).collect();
    queue.send(&messages).await.unwrap();
    for payment in &payments {
        change_amount(flow, payment, "99900").await;
    }
    let dispatcher = vec![flow.service("dispatcher").await];
    flow.until(Status::Failed, 2).await;
    until_letters(flow, 2);
    stop(dispatcher).await;
    payments.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_changed_is_paid_only_as_a_person_says() {
    let mut flow = Flow::start(Faults::default()).await;
    let [by_message, by_table] = two_withheld(&mut flow).await;
    for stored in flow.payments().await {
        assert_eq!((stored.status, stored.attempts), (Status::Failed, 0));
        assert_eq!(stored.failure.unwrap().code, FailureCode::Mismatch);
        assert_eq!(stored.dead_letters.count, 1);
    }
    let (lines, _) = dlq(&flow, &["list"]);
    assert_eq!(lines[0]["payment"]["Amount"], 99_900, "{lines:#?}");
    assert_ne!(lines[0]["message"]["Amount"], 99_900, "{lines:#?}");

    let (lines, code) = dlq(&flow, &["replay", "--all", "--execute"]);
    assert_eq!((code, &summary(&lines)["refused"]), (1, &2.into()), "{lines:#?}");
    assert!(lines[0]["why"].as_str().unwrap().contains("--version message"), "{lines:#?}");
    assert_eq!(flow.count(Status::Failed).await, 2);

    for (payment, version) in [(&by_message, "message"), (&by_table, "table")] {
        let reference = payment.reference().to_string();
        let arguments = ["replay", &reference, "--version", version, "--execute"];
        let (lines, code) = dlq(&flow, &arguments);
        assert_eq!((code, &lines[0]["state"]), (0, &"done".into()), "{lines:#?}");
        let stored = flow.table.get(&payment.reference()).await.unwrap().unwrap();
        assert_eq!((stored.attempts, stored.attempts_before), (1, 1));
    }
    let services = vec![flow.service("dispatcher").await, flow.service("confirmer").await];
    flow.until(Status::Processed, 2).await;
    stop(services).await;
    let paid: Vec<_> = Journal::read(flow.world.local.journal()).map(Result::unwrap).collect();
    let amount = |payment: &Payment| {
        let entry = paid.iter().find(|entry| entry.idempotency_key == payment.id.to_string());
        entry.unwrap().amount
    };
    assert_eq!(paid.len(), 2, "settled twice");
    assert_eq!(amount(&by_message), by_message.amount.minor_units());
    assert_eq!(amount(&by_table), 99_900);
    until_letters(&flow, 0);
}
