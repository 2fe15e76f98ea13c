//! What the page and the log say of how long payments took.

use std::io::Write;
use std::sync::{Arc, Mutex};

use domain::{Data, DataBlob, KeyStatus, Payment, Status};
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

/// The log of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_one_line_that_names_no_account_and_holds_no_blob() {
    let (log, level) = (Log::default(), tracing::Level::DEBUG);
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level);
    let subscriber = subscriber.with_writer(move || lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let dispatcher = TestDispatcher::new();
    let data = Some(Data::Whole(DataBlob::new("of-the-bank").unwrap()));
    let [new, pending] = ["ACC-SECRET-1", "ACC-SECRET-2"]
        .map(|account| Payment { data: data.clone(), ..payment(account, TODAY) });
    dispatcher.hold(&new, Status::Scheduled, 0);
    dispatcher.hold(&pending, Status::Pending, 1);
    *dispatcher.ports.found.lock().unwrap() = KeyStatus::Nothing;
    dispatcher.work(&[&new, &pending]).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = |payment: &Payment| -> serde_json::Value {
        let mut lines = log.lines().filter(|line| {
            line.contains("payment.attempted") && line.contains(&payment.id.to_string())
        });
        let line = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!(lines.next(), None, "one line");
        line
    };
    let (first, second) = (line(&new), line(&pending));
    for (line, attempt, payment) in [(&first, 1, &new), (&second, 2, &pending)] {
        assert_eq!((&line["outcome"], &line["attempt"]), (&"settled".into(), &attempt.into()));
        assert_eq!(line["trace_key"], payment.trace_key.to_string());
        assert!(line["claim_ms"].is_number() && line["submission_ms"].is_number(), "{line}");
        assert_eq!(line["lookup_ms"].is_number(), attempt == 2, "{line}");
    }
    for word in ["ACC-SECRET", "BEN-1", "of-the-bank"] {
        assert!(!log.contains(word), "{word} is in the log:\n{log}");
    }
}
