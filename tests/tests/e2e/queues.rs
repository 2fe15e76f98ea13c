//! What the rules on order and deduplication rest on, at the queues themselves.

use std::time::Duration;

use domain::{Failure, FailureCode, Settlement, Status};
use local::transactions::Faults;
use shared::config::Receiving;
use shared::queue::{
    Confirmation, Consumer, DeadLetterQueue, DeadLetterSource, OutgoingMessage, Producer,
    ReportedResult,
};

use crate::failures::letters;
use crate::flow::{Flow, stop};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_given_back_comes_again_whole_and_in_order() {
    let flow = Flow::start(Faults::default()).await;
    let queue = flow.world.names.payments_queue();
    let producer = Producer::open(&flow.world.aws, queue.clone()).await.unwrap();
    let bodies = ["first", "second", "third", "fourth"];
    let message = |body: &&str| OutgoingMessage {
        group: "ACC-1".to_owned(),
        deduplication: (*body).to_owned(),
        body: (*body).to_owned(),
    };
    producer.send(&bodies.iter().map(message).collect::<Vec<_>>()).await.unwrap();
    let receiving = Receiving { visibility: Duration::from_secs(60), wait: Duration::from_secs(5) };
    let consumer = Consumer::open(&flow.world.aws, queue, receiving).await.unwrap();

    let received = consumer.receive().await.unwrap();
    assert_eq!(received.iter().map(|d| d.body.as_str()).collect::<Vec<_>>(), bodies);
    // The first must wait; the rest is free at once and still may not overtake it.
    let pauses = [Duration::from_secs(1), Duration::ZERO, Duration::ZERO, Duration::ZERO];
    consumer.release(received.into_iter().zip(pauses).collect()).await;

    let again = consumer.receive().await.unwrap();
    assert_eq!(again.iter().map(|d| d.body.as_str()).collect::<Vec<_>>(), bodies);
    assert!(again.iter().all(|delivery| delivery.receive_count == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_buried_once_for_each_message_that_failed() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(1, 1).await;
    let payment = flow.payments().await.remove(0).payment;
    let queue = flow.world.names.dead_letter_queue();
    let producer = Producer::open(&flow.world.aws, queue).await.unwrap();
    let dead_letters = DeadLetterQueue::new(producer, "test");
    // Twice by a redelivery of one message, once more by a replay.
    for (message, reason) in [("m-1", "one"), ("m-1", "one again"), ("m-2", "two")] {
        let failure = Failure::new(FailureCode::Rejected, reason);
        dead_letters
            .send_payment(DeadLetterSource::Message(message), &payment, None, failure)
            .await
            .unwrap();
    }
    let reasons: Vec<_> =
        letters(&flow, 2).await.into_iter().map(|letter| letter.failure.reason).collect();
    assert_eq!(reasons, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_settlement_with_another_transaction_id_is_raised_and_overwrites_nothing() {
    let mut flow = Flow::start(Faults::default()).await;
    let services = flow.services().await;
    flow.schedule(1, 1).await;
    flow.until(Status::Processed, 1).await;
    let before = flow.payments().await.remove(0);
    let other = Confirmation {
        payment: before.payment.reference(),
        result: ReportedResult::Settled(Settlement {
            transaction_id: "another-transaction".to_owned(),
            settled_at: jiff::Timestamp::now(),
        }),
        money: None,
        trace_key: Some(before.payment.trace_key),
    };
    let queue = flow.world.names.confirmations_queue();
    let producer = Producer::open(&flow.world.aws, queue).await.unwrap();
    let messages = [serde_json::to_string(&other).unwrap(), "{no confirmation".to_owned()];
    let messages: Vec<_> = messages
        .into_iter()
        .map(|body| OutgoingMessage {
            group: body.clone()[..2].to_owned(),
            deduplication: format!("{}", body.len()),
            body,
        })
        .collect();
    producer.send(&messages).await.unwrap();

    let mut letters = letters(&flow, 2).await;
    letters.sort_by_key(|letter| letter.failure.code.as_str());
    assert_eq!(letters[0].failure.code, FailureCode::Conflict);
    assert_eq!(letters[0].payment.as_ref(), Some(&before.payment));
    assert_eq!(letters[0].raw.as_deref(), Some(messages[0].body.as_str()));
    assert_eq!(letters[1].failure.code, FailureCode::MalformedMessage);
    assert_eq!(letters[1].raw.as_deref(), Some("{no confirmation"));
    assert_eq!(flow.payments().await.remove(0), before);
    stop(services).await;
}
