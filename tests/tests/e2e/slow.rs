//! A transaction service that is slower than the queue's patience.

use std::time::Duration;

use local::transactions::Faults;

use crate::flow::{Flow, impatient, stop};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_slower_than_a_visibility_timeout_is_waited_for_by_one_worker_alone() {
    let faults = Faults { latency: Duration::from_secs(7), ..Faults::default() };
    let mut flow = Flow::start(faults).await;
    let mut settings = impatient();
    settings.push(("DUEFLOW_TRANSACTION_TIMEOUT", "30s".to_owned()));
    settings.push(("DUEFLOW_VISIBILITY_TIMEOUT", "2s".to_owned()));
    let mut services = vec![
        flow.service("stream-relay").await,
        flow.service_with("dispatcher", "dispatcher-1", &settings).await,
        flow.service_with("dispatcher", "dispatcher-2", &settings).await,
        flow.service("confirmer").await,
    ];
    flow.schedule(10, 10).await;
    flow.until_ended().await;
    let mut again = 0.0;
    for dispatcher in &mut services[1..=2] {
        let samples = dispatcher.samples().await.unwrap();
        again += samples.labelled("dueflow_dispatcher_claims_total", "result", "pending");
    }
    assert_eq!(again, 0.0, "another worker was given a payment that was still in hand");
    stop(services).await;
    flow.assert_all_settled_once().await;
}
