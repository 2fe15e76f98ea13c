//! Payments that are PENDING with no message left to carry them on.

use std::time::{Duration, Instant};

use domain::Status;
use local::transactions::Faults;
use shared::config::Receiving;
use shared::queue::Consumer;

use crate::flow::{Flow, PATIENCE, impatient, stop, sweeping};

const PAYMENTS: u32 = 40;

/// Takes so many messages out of the queue of payments, as a person might by mistake.
async fn lose_messages(flow: &Flow, count: usize) {
    let receiving = Receiving { visibility: Duration::from_secs(60), wait: Duration::from_secs(1) };
    let queue = flow.world.names.payments_queue();
    let consumer = Consumer::open(&flow.world.aws, queue, receiving).await.unwrap();
    let (asked_at, mut lost) = (Instant::now(), 0);
    while lost < count {
        assert!(asked_at.elapsed() < PATIENCE, "only {lost} of {count} messages came");
        let received = consumer.receive().await.unwrap();
        lost += received.len();
        consumer.acknowledge(received).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_whose_message_was_lost_while_pending_are_asked_for_and_paid_once() {
    let mut flow = Flow::start(Faults { lose_answers: 1.0, ..Faults::default() }).await;
    // Claims all, submits few, and never hears of those.
    let mut slow = impatient();
    slow.push(("DUEFLOW_TRANSACTION_TIMEOUT", "60s".to_owned()));
    slow.push(("DUEFLOW_DISPATCHER_RATE_LIMIT", "2".to_owned()));
    let relay = flow.service("stream-relay").await;
    let dispatcher = flow.service_with("dispatcher", "dispatcher", &slow).await;
    flow.schedule(PAYMENTS, PAYMENTS).await;
    flow.until(Status::Pending, PAYMENTS as usize).await;
    let asked_at = Instant::now();
    while flow.world.local.transactions.settled() < 3 {
        assert!(asked_at.elapsed() < PATIENCE, "nothing is settled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    dispatcher.kill().await.unwrap();
    let settled = flow.world.local.transactions.settled();
    assert!(settled < u64::from(PAYMENTS), "everything was settled");
    lose_messages(&flow, PAYMENTS as usize).await;

    let dispatcher = flow.service("dispatcher").await;
    let mut confirmer = flow.service_with("confirmer", "confirmer", &sweeping()).await;
    flow.until_ended().await;
    let samples = confirmer.samples().await.unwrap();
    let found =
        |result| samples.labelled("dueflow_confirmer_stuck_payments_total", "result", result);
    assert!(found("settled") >= settled as f64, "{samples:?}");
    assert!(found("requeued") >= f64::from(PAYMENTS) - settled as f64, "{samples:?}");
    stop(vec![relay, dispatcher, confirmer]).await;
    flow.assert_all_settled_once().await;
}
