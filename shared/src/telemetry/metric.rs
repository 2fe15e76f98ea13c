//! Metrics by constant: a name, its help and its kind stand in one place, and the tables in
//! the documents are tested against them.

use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::samples::Samples;

/// Bucket bounds for latencies in seconds: 1 ms to 30 s.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Seconds,
}

/// One metric of a service.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// `<service>_<noun>_<unit>_total`, as Prometheus names go.
    pub name: &'static str,
    /// What it counts, for people.
    pub help: &'static str,
    kind: Kind,
}

impl Metric {
    /// A counter, which only grows.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter }
    }

    /// A gauge, which goes up and down.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge }
    }

    /// A histogram of durations in seconds.
    #[must_use]
    pub const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Seconds }
    }

    /// What Prometheus calls its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Seconds => "histogram",
        }
    }

    /// Adds to a counter without labels.
    pub fn add(&self, count: u64) {
        metrics::counter!(self.name).increment(count);
    }

    /// Adds to the counter of one label value.
    pub fn add_for(&self, label: &'static str, value: &'static str, count: u64) {
        metrics::counter!(self.name, label => value).increment(count);
    }

    /// Sets a gauge.
    pub fn set(&self, value: f64) {
        metrics::gauge!(self.name).set(value);
    }

    /// Sets the gauge of one label value.
    pub fn set_for(&self, label: &'static str, of: &'static str, value: f64) {
        metrics::gauge!(self.name, label => of).set(value);
    }

    /// Records a duration.
    pub fn record(&self, duration: Duration) {
        metrics::histogram!(self.name).record(duration.as_secs_f64());
    }

    fn describe(&self) {
        match self.kind {
            Kind::Counter => metrics::describe_counter!(self.name, self.help),
            Kind::Gauge => metrics::describe_gauge!(self.name, self.help),
            Kind::Seconds => metrics::describe_histogram!(self.name, Unit::Seconds, self.help),
        }
    }
}

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Installs the process's recorder and describes `own` and the shared metrics.
    ///
    /// # Errors
    /// A recorder is installed already.
    pub fn install(own: &[Metric]) -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .install_recorder()?;
        for metric in own.iter().chain(super::calls::ALL) {
            metric.describe();
        }
        Ok(Self { handle })
    }

    /// The samples of this process.
    #[must_use]
    pub fn samples(&self) -> Samples {
        Samples::parse(&self.render())
    }

    /// The page Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves recorded histogram samples on; called every few seconds by the admin port.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}
