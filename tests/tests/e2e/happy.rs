//! Nothing goes wrong.

use domain::Status;
use local::transactions::{Faults, Journal};
use shared::payments::PaymentStore;

use crate::flow::{Flow, stop, until_counted};

#[tokio::test(flavor = "multi_thread")]
async fn every_payment_that_is_due_is_settled_exactly_once() {
    let mut flow = Flow::start(Faults::default()).await;
    let mut services = flow.services().await;
    flow.schedule(500, 50).await;
    flow.until_ended().await;
    for (service, metric_name, expected) in [
        (0, "dueflow_stream_relay_records_total", 500.0),
        (1, "dueflow_dispatcher_payments_recorded_total", 500.0),
        (2, "dueflow_confirmer_payments_settled_total", 500.0),
    ] {
        until_counted(&mut services[service], metric_name, expected).await;
    }
    stop(services).await;
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_of_one_account_are_settled_in_the_order_of_their_ids() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(60, 1).await;
    let services = flow.services().await;
    flow.until_ended().await;
    stop(services).await;
    let settled: Vec<_> = Journal::read(flow.world.local.journal())
        .map(|entry| entry.unwrap().idempotency_key)
        .collect();
    assert!(settled.is_sorted(), "{settled:#?}");
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_for_a_later_day_stays_scheduled() {
    let mut flow = Flow::start(Faults::default()).await;
    let services = flow.services().await;
    flow.schedule(1, 1).await;
    flow.until_ended().await;
    let mut later = flow.payments().await.remove(0).payment;
    later.id = domain::PaymentId::generate();
    later.due = "2999-12-31".parse().unwrap();
    flow.table.insert(std::slice::from_ref(&later)).await.unwrap();
    // A payment inserted after it has passed, so the relay has seen it.
    flow.schedule(1, 1).await;
    flow.until(Status::Processed, 2).await;
    let stored = flow.table.get(&later.reference()).await.unwrap().unwrap();
    assert_eq!(stored.status, Status::Scheduled);
    stop(services).await;
}
