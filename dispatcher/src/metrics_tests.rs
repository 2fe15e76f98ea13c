//! What the page says of how long payments took.

use domain::Status;
use shared::telemetry::{Metrics, Samples};

use crate::events;
use crate::testing::{TODAY, TestDispatcher, payment, rejected};

const PENDING: &str = "dueflow_dispatcher_time_to_pending_seconds";
const FAILED: &str = "dueflow_dispatcher_time_to_failed_seconds";

/// How often a time was recorded, and the sum of all.
fn recorded(samples: &Samples, name: &str) -> (f64, f64) {
    (samples.sum(&format!("{name}_count")), samples.sum(&format!("{name}_sum")))
}

#[tokio::test(start_paused = true)]
async fn the_time_from_due_to_pending_and_failed_is_recorded_once_for_each_change() {
    let (metrics, _guard) = Metrics::of_this_thread(events::METRICS).unwrap();
    let (dispatcher, due) = (TestDispatcher::new(), payment("ACC", TODAY));
    dispatcher.hold(&due, Status::Scheduled, 0);
    // Inserted at noon.
    dispatcher.clock(90);
    *dispatcher.ports.outcome.lock().unwrap() = rejected();
    dispatcher.work(&[&due]).await;
    assert_eq!(dispatcher.ports.item(&due).status, Status::Failed);
    assert_eq!(recorded(&metrics.samples(), PENDING), (1.0, 90.0));
    assert_eq!(recorded(&metrics.samples(), FAILED), (1.0, 90.0));
    // The same message once more changes nothing, and a clock that is behind takes nothing away.
    dispatcher.work(&[&due]).await;
    dispatcher.clock(-90);
    let other = payment("OTHER", TODAY);
    dispatcher.hold(&other, Status::Scheduled, 0);
    dispatcher.work(&[&other]).await;
    assert_eq!(recorded(&metrics.samples(), PENDING), (2.0, 90.0));
}
