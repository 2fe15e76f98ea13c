//! Metrics by constant: a name, its help, its kind and the values of its label stand in one
//! place, and the tables in the documents are tested against them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Label, Unit};

/// What a gauge holds that is not on the page: the exporter cannot forget a series.
const ABSENT: f64 = f64::NAN;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    /// The exporter's counters are integers: its gauge holds the sum, and the page calls it a
    /// counter.
    FloatCounter,
    Gauge,
    MeasuredGauge,
    Seconds,
    /// Seconds of what takes minutes: other buckets.
    LongSeconds,
}

/// One metric of a service, with one label at most.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// `dueflow_<service>_<noun>_<unit>_total`, as Prometheus names go.
    pub name: &'static str,
    /// What it counts, for people.
    pub help: &'static str,
    kind: Kind,
    label: &'static str,
    values: &'static [&'static str],
}

impl Metric {
    const fn new(name: &'static str, help: &'static str, kind: Kind) -> Self {
        Self { name, help, kind, label: "", values: &[] }
    }

    /// A counter, which only grows and is 0 from the start.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, Kind::Counter)
    }

    /// A counter of fractions.
    #[must_use]
    pub const fn float_counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, Kind::FloatCounter)
    }

    /// A gauge, which goes up and down and is 0 from the start.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, Kind::Gauge)
    }

    /// A gauge that is not on the page before it is set: until then 0 would be untrue.
    #[must_use]
    pub const fn measured_gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, Kind::MeasuredGauge)
    }

    /// A histogram of durations in seconds.
    #[must_use]
    pub const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, Kind::Seconds)
    }

    /// A histogram of durations that are minutes, up to an hour.
    #[must_use]
    pub const fn long_seconds(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, Kind::LongSeconds)
    }

    /// The same with a label. All its values are on the page from the start, since an alert
    /// sees no increase in a series that begins with 1.
    #[must_use]
    pub const fn by(self, label: &'static str, values: &'static [&'static str]) -> Self {
        Self { label, values, ..self }
    }

    /// What Prometheus calls its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Counter | Kind::FloatCounter => "counter",
            Kind::Gauge | Kind::MeasuredGauge => "gauge",
            Kind::Seconds | Kind::LongSeconds => "histogram",
        }
    }

    /// The name of its label, if it has one, and all values of it.
    #[must_use]
    pub fn label(&self) -> Option<(&'static str, &'static [&'static str])> {
        (!self.values.is_empty()).then_some((self.label, self.values))
    }

    /// Whether it is on the page with 0 before its first event.
    #[must_use]
    pub const fn is_zero_at_start(&self) -> bool {
        !matches!(self.kind, Kind::MeasuredGauge)
    }

    /// Whether the exporter keeps it as a gauge, though it is a counter.
    pub(super) const fn is_float_counter(&self) -> bool {
        matches!(self.kind, Kind::FloatCounter)
    }

    /// Whether its buckets reach an hour.
    pub(super) const fn is_long(&self) -> bool {
        matches!(self.kind, Kind::LongSeconds)
    }

    /// Adds to a counter without labels.
    pub fn add(&self, count: u64) {
        metrics::counter!(self.name).increment(count);
    }

    /// Adds to the counter of one label value.
    pub fn add_for(&self, value: &'static str, count: u64) {
        metrics::counter!(self.name, self.listed(value)).increment(count);
    }

    /// Adds to the counter of fractions of one label value.
    pub fn add_fraction_for(&self, value: &'static str, amount: f64) {
        metrics::gauge!(self.name, self.listed(value)).increment(amount);
    }

    /// Sets a gauge, or the sum of a counter of fractions.
    pub fn set(&self, value: f64) {
        metrics::gauge!(self.name).set(value);
    }

    /// Sets the gauge of one label value.
    pub fn set_for(&self, of: &'static str, value: f64) {
        metrics::gauge!(self.name, self.listed(of)).set(value);
    }

    /// Sets the gauge of one label value to the time of day, in seconds since the Unix epoch.
    pub fn set_to_now_for(&self, of: &'static str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.set_for(of, now.as_secs_f64());
    }

    /// Takes a measured gauge off the page, under all values of its label: it is not known any
    /// more, or another process has it.
    pub fn clear(&self) {
        debug_assert!(!self.is_zero_at_start(), "{} is always on the page", self.name);
        match self.values {
            [] => self.set(ABSENT),
            values => values.iter().for_each(|value| self.clear_for(value)),
        }
    }

    /// The same for one label value.
    pub fn clear_for(&self, of: &'static str) {
        debug_assert!(!self.is_zero_at_start(), "{} is always on the page", self.name);
        self.set_for(of, ABSENT);
    }

    /// Adds to a gauge without labels; a negative amount takes away.
    pub fn change(&self, by: f64) {
        metrics::gauge!(self.name).increment(by);
    }

    /// Records a duration.
    pub fn record(&self, duration: Duration) {
        metrics::histogram!(self.name).record(duration.as_secs_f64());
    }

    fn listed(&self, value: &'static str) -> Vec<Label> {
        debug_assert!(self.values.contains(&value), "{}: no value {value} is listed", self.name);
        vec![Label::from_static_parts(self.label, value)]
    }

    pub(super) fn describe(&self) {
        match self.kind {
            Kind::Counter => metrics::describe_counter!(self.name, self.help),
            Kind::FloatCounter | Kind::Gauge | Kind::MeasuredGauge => {
                metrics::describe_gauge!(self.name, self.help);
            }
            Kind::Seconds | Kind::LongSeconds => {
                metrics::describe_histogram!(self.name, Unit::Seconds, self.help);
            }
        }
    }

    /// Puts every series of it on the page.
    pub(super) fn register(&self) {
        let all: Vec<Vec<Label>> = match self.values {
            [] => vec![Vec::new()],
            values => values.iter().map(|value| self.listed(value)).collect(),
        };
        for labels in all {
            match self.kind {
                Kind::Counter => drop(metrics::counter!(self.name, labels)),
                Kind::FloatCounter | Kind::Gauge => drop(metrics::gauge!(self.name, labels)),
                Kind::Seconds | Kind::LongSeconds => {
                    drop(metrics::histogram!(self.name, labels));
                }
                Kind::MeasuredGauge => {}
            }
        }
    }
}
