//! The transaction service goes down in the middle of the work and comes back.

use std::time::{Duration, Instant};

use demo::local_world::Process;
use domain::Status;
use local::transactions::{Availability, Faults};

use crate::flow::{Flow, stop, until_counted};

/// Long enough for a dozen probes. (The ten minutes of a real outage pass under virtual time
/// in the tests of the dispatcher's gate.)
const OUTAGE: Duration = Duration::from_secs(12);
const DISPATCHERS: usize = 2;

fn slow() -> Faults {
    Faults { latency: Duration::from_millis(20), ..Faults::default() }
}

/// Starts everything with two dispatchers under a load that outlasts the outage.
async fn under_load() -> (Flow, Vec<Process>) {
    let mut flow = Flow::start(slow()).await;
    flow.schedule(4_000, 400).await;
    let services = vec![
        flow.service("stream-relay").await,
        flow.service_with("dispatcher", "dispatcher-1", &crate::flow::impatient()).await,
        flow.service_with("dispatcher", "dispatcher-2", &crate::flow::impatient()).await,
        flow.service("confirmer").await,
    ];
    (flow, services)
}

async fn outage(down: Faults) {
    let (flow, mut services) = under_load().await;
    until_counted(&mut services[3], "dueflow_confirmer_payments_settled_total", 200.0).await;
    flow.world.local.transactions.set_faults(down);
    for dispatcher in &mut services[1..=DISPATCHERS] {
        until_counted(dispatcher, "dueflow_dispatcher_circuit_breaker_open", 1.0).await;
    }
    let before = flow.world.local.transactions.requests().total;
    let began = Instant::now();
    tokio::time::sleep(OUTAGE).await;
    let asked = flow.world.local.transactions.requests().total - before;
    // A probe a second and worker; what was sent before the circuit opened may still arrive.
    let most = DISPATCHERS as u64 * (began.elapsed().as_secs() + 1);
    assert!(asked <= most, "{asked} requests in {:?}", began.elapsed());
    assert!(flow.count(Status::Processed).await < 4_000, "all was done before the outage");

    flow.world.local.transactions.set_faults(slow());
    flow.until_ended().await;
    stop(services).await;
    // Nothing FAILED, so nothing is in the dead-letter queue.
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_turns_everything_away_is_left_alone_and_fails_no_payment() {
    outage(Faults { unavailable: 1.0, ..slow() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_be_reached_is_left_alone_and_fails_no_payment() {
    outage(Faults { availability: Availability::Down, ..slow() }).await;
}
