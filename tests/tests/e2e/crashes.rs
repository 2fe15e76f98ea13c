//! kill -9 and SIGTERM in the middle of the work.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use demo::local_world::Process;
use domain::Status;
use local::transactions::Faults;

use crate::flow::{Flow, stop, until_counted};

const PAYMENTS: u32 = 2_000;
/// Few, so that 100 payments of each wait for one another: at least five seconds in all.
const ACCOUNTS: u32 = 20;

fn slowly() -> Faults {
    // So that a crash finds payments in every stage.
    Faults { latency: Duration::from_millis(50), ..Faults::default() }
}

/// Waits until the confirmer has settled so many payments.
async fn until_settled(services: &mut [Process], count: f64) {
    until_counted(&mut services[2], "dueflow_confirmer_payments_settled_total", count).await;
}

/// Kills `service` once some payments are PROCESSED and others are not, starts it again, and
/// expects every payment to be settled exactly once.
async fn survives_kill_of(index: usize) {
    let mut flow = Flow::start(slowly()).await;
    let mut services = flow.services().await;
    flow.schedule(PAYMENTS, ACCOUNTS).await;
    until_settled(&mut services, 100.0).await;
    let killed = services.remove(index);
    let name = killed.name.clone();
    killed.kill().await.unwrap();
    let processed = flow.count(Status::Processed).await;
    assert!(processed < PAYMENTS as usize, "{name} was killed after all was done");
    services.insert(index, flow.service(&name).await);
    flow.until_ended().await;
    stop(services).await;
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stream_relay_loses_nothing() {
    survives_kill_of(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_dispatcher_loses_nothing_and_pays_nothing_twice() {
    survives_kill_of(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_confirmer_loses_nothing() {
    survives_kill_of(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_every_service_and_loses_nothing() {
    let mut flow = Flow::start(slowly()).await;
    let mut services = flow.services().await;
    flow.schedule(PAYMENTS, ACCOUNTS).await;
    until_settled(&mut services, 100.0).await;
    stop(services).await;
    assert!(flow.count(Status::Processed).await < PAYMENTS as usize, "all was done before");
    for queue in [flow.world.names.payments_queue(), flow.world.names.confirmations_queue()] {
        assert_eq!(in_flight(&flow, &queue).await, "0", "{queue} was left with work in hand");
    }
    let services = flow.services().await;
    flow.until_ended().await;
    stop(services).await;
    flow.assert_all_settled_once().await;
}

async fn in_flight(flow: &Flow, queue: &str) -> String {
    let sqs = flow.world.aws.sqs("test");
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let request = sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
    let output = request.send().await.unwrap();
    output.attributes.unwrap().remove(&name).unwrap()
}
