//! A transaction service that takes payments with 202 and sends their results later.

use demo::local_world::Process;
use domain::Status;
use local::transactions::{Asynchronous, Faults};

use crate::flow::{Flow, impatient, stop, sweeping, until_result};

const PAYMENTS: u32 = 200;

type Settings = Vec<(&'static str, String)>;

/// Schedules payments, which a confirmer with these settings hears of.
async fn start(faults: Faults, settings: Settings) -> (Flow, Vec<Process>) {
    let mut flow = Flow::start(faults).await;
    let services = vec![
        flow.service("stream-relay").await,
        flow.service("dispatcher").await,
        flow.service_with("confirmer", "confirmer", &settings).await,
    ];
    flow.world.call_back(&["confirmer"]).unwrap();
    flow.schedule(PAYMENTS, 50).await;
    (flow, services)
}

/// Stops everything and has the history checked; returns how many dead letters there are.
async fn end(flow: Flow, services: Vec<Process>) -> u64 {
    flow.until_ended().await;
    stop(services).await;
    let findings = flow.findings().await;
    assert!(findings.clean(), "{findings}");
    assert!(findings.letters > 0 && findings.settlements > 0, "{findings}");
    findings.letters
}

fn faults(lose_callbacks: f64) -> Faults {
    let asynchronous = Asynchronous { lose_callbacks, ..Asynchronous::default() };
    Faults { asynchronous: Some(asynchronous), reject: 0.2, ..Faults::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_that_were_taken_with_202_end_by_callbacks() {
    // Nothing is PENDING for so long that it would be asked for.
    let (flow, mut services) = start(faults(0.0), impatient()).await;
    flow.until_ended().await;
    let failed = flow.count(Status::Failed).await as f64;
    let confirmer = &mut services[2];
    until_result(confirmer, "dueflow_confirmer_payments_rejected_total", "now", failed).await;
    until_result(confirmer, "dueflow_confirmer_callbacks_total", "accepted", f64::from(PAYMENTS))
        .await;
    let samples = confirmer.samples().await.unwrap();
    let taken = samples.labelled("dueflow_confirmer_callbacks_total", "result", "accepted");
    assert_eq!(taken, f64::from(PAYMENTS));
    assert_eq!(samples.sum("dueflow_confirmer_stuck_payments_total"), 0.0);
    let rejected = samples.labelled("dueflow_confirmer_payments_rejected_total", "result", "now");
    assert_eq!(end(flow, services).await as f64, rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_whose_callback_is_lost_are_asked_for() {
    let (flow, mut services) = start(faults(1.0), sweeping()).await;
    flow.until_ended().await;
    let samples = services[2].samples().await.unwrap();
    assert_eq!(samples.sum("dueflow_confirmer_callbacks_total"), 0.0);
    let found =
        |result| samples.labelled("dueflow_confirmer_stuck_payments_total", "result", result);
    assert!(found("settled") + found("rejected") >= f64::from(PAYMENTS), "{samples:?}");
    assert!(end(flow, services).await as f64 <= found("rejected"));
}
