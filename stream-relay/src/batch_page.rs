//! Where the batch clock is shown: the metrics of this process.

use std::fmt::Debug;

use domain::{BatchReading, Status, StatusCounts};
use jiff::Timestamp;
use shared::queue::QueueDepth;
use shared::telemetry::Metric;

use crate::labels::QueueKind;

const PAYMENTS: Metric = Metric::measured_gauge(
    "dueflow_batch_payments",
    "Payments that are due today, by status, as the index `due` had them at the last measurement",
)
.by("status", &["scheduled", "pending", "processed", "failed", "cancelled"]);
const MEASURED: Metric = Metric::measured_gauge(
    "dueflow_batch_measured_timestamp_seconds",
    "Unix time at which the payments that are due today were last counted",
);
const RATE: Metric = Metric::measured_gauge(
    "dueflow_batch_rate_per_second",
    "Payments of today that end in a second, over the last minute; absent until two measurements after the opening have met open payments",
);
const REQUIRED: Metric = Metric::measured_gauge(
    "dueflow_batch_required_rate_per_second",
    "Rate at which the deadline is met, 0 when nothing is open; absent when payments are open after the deadline",
);
const FINISH: Metric = Metric::measured_gauge(
    "dueflow_batch_finish_timestamp_seconds",
    "Unix time at which the last payment of today ends at this rate, at most a day ahead (so far when nothing moves), or ended; absent while it is not known",
);
const DEADLINE: Metric = Metric::measured_gauge(
    "dueflow_batch_deadline_timestamp_seconds",
    "Unix time by which today's payments should have ended: DUEFLOW_BATCH_DEADLINE after the day's opening, or after the last insert if later; absent while there are none",
);
const RESERVE: Metric = Metric::measured_gauge(
    "dueflow_batch_reserve_seconds",
    "Time from the forecast finish to the deadline, negative when the deadline will be missed; absent while one of them is",
);
const VISIBLE: Metric = Metric::measured_gauge(
    "dueflow_queue_visible_messages",
    "Messages that wait to be received, about, by queue",
)
.by("queue", &["payments", "confirmations", "dead_letters"]);
const IN_FLIGHT: Metric = Metric::measured_gauge(
    "dueflow_queue_in_flight_messages",
    "Messages that were received and not deleted, about, by queue",
)
.by("queue", &["payments", "confirmations", "dead_letters"]);

/// All of them: on the page of the one relay that has the batch clock.
pub(crate) const METRICS: [Metric; 9] =
    [PAYMENTS, MEASURED, RATE, REQUIRED, FINISH, DEADLINE, RESERVE, VISIBLE, IN_FLIGHT];

/// What a relay shows of the batch and the queues.
pub(crate) trait BatchPage: Debug + Send + Sync {
    /// Shows how the batch stands; what is not known is not shown.
    fn show(&self, reading: &BatchReading);

    /// Shows how deep a queue is; `None` when it could not be asked.
    fn show_depth(&self, queue: QueueKind, depth: Option<QueueDepth>);

    /// Shows nothing any more: another relay may have the clock.
    fn clear(&self);
}

/// The page that Prometheus scrapes.
#[derive(Debug)]
pub(crate) struct MetricsPage;

impl BatchPage for MetricsPage {
    fn show(&self, reading: &BatchReading) {
        let BatchReading { measured, rate, required_rate, finish, deadline } = reading;
        for status in StatusCounts::STATUSES {
            PAYMENTS.set_for(label(status), measured.counts.of(status) as f64);
        }
        let seconds = |at: &Timestamp| at.as_millisecond() as f64 / 1_000.0;
        MEASURED.set(seconds(&measured.at));
        set(RATE, *rate);
        set(REQUIRED, *required_rate);
        set(FINISH, finish.as_ref().map(seconds));
        set(DEADLINE, deadline.as_ref().map(seconds));
        set(RESERVE, reading.reserve());
    }

    fn show_depth(&self, queue: QueueKind, depth: Option<QueueDepth>) {
        let of = queue.as_str();
        match depth {
            Some(QueueDepth { visible, in_flight }) => {
                VISIBLE.set_for(of, visible as f64);
                IN_FLIGHT.set_for(of, in_flight as f64);
            }
            None => [VISIBLE, IN_FLIGHT].iter().for_each(|metric| metric.clear_for(of)),
        }
    }

    fn clear(&self) {
        METRICS.iter().for_each(Metric::clear);
    }
}

fn set(metric: Metric, value: Option<f64>) {
    match value {
        Some(value) => metric.set(value),
        None => metric.clear(),
    }
}

const fn label(status: Status) -> &'static str {
    match status {
        Status::Scheduled => "scheduled",
        Status::Pending => "pending",
        Status::Processed => "processed",
        Status::Failed => "failed",
        Status::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{BatchClock, BatchMeasurement, BatchTerms};
    use shared::telemetry::Metrics;

    use super::*;

    #[test]
    fn what_is_not_known_is_not_on_the_page_and_nothing_is_once_it_is_cleared() {
        let (metrics, _guard) = Metrics::of_this_thread(&METRICS).unwrap();
        let shown = |name: &str| metrics.samples().has_prefix(name);
        let opened_at: Timestamp = "2026-11-23T00:01:00Z".parse().unwrap();
        let minute = Duration::from_secs(60);
        let terms = BatchTerms { opened_at, limit: 30 * minute, window: minute };
        let mut clock = BatchClock::default();
        let mut count = |minutes: u32, counts| {
            let (day, at) = ("2026-11-23".parse().unwrap(), opened_at + minutes * minute);
            clock.note(BatchMeasurement { day, at, counts: StatusCounts::new(counts) });
            MetricsPage.show(&clock.read(terms).unwrap());
        };
        count(0, [500, 100, 0, 0, 0]);
        assert!(shown(DEADLINE.name) && shown(REQUIRED.name) && shown(MEASURED.name));
        assert!(!shown(RATE.name) && !shown(FINISH.name) && !shown(RESERVE.name));
        count(1, [200, 100, 297, 2, 1]);
        let sum = |name: &str| metrics.samples().sum(name);
        assert_eq!((sum(RATE.name), sum(RESERVE.name)), (5.0, 28.0 * 60.0));
        assert_eq!(sum(FINISH.name), sum(MEASURED.name) + 60.0);
        let failed = metrics.samples().labelled(PAYMENTS.name, "status", "failed");
        assert_eq!((sum(PAYMENTS.name), failed), (600.0, 2.0));
        let depth = QueueDepth { visible: 7, in_flight: 3 };
        QueueKind::ALL.iter().for_each(|queue| MetricsPage.show_depth(*queue, Some(depth)));
        assert_eq!((sum(VISIBLE.name), sum(IN_FLIGHT.name)), (21.0, 9.0));
        MetricsPage.show_depth(QueueKind::DeadLetters, None);
        assert_eq!((sum(VISIBLE.name), sum(IN_FLIGHT.name)), (14.0, 6.0));
        MetricsPage.clear();
        assert!(METRICS.iter().all(|metric| !shown(metric.name)));
    }
}
