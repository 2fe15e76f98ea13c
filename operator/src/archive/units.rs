//! Capacity units of this process so far, as DynamoDB reported them.

use shared::telemetry::Metrics;
use shared::telemetry::calls::{READ_UNITS, WRITE_UNITS};

/// Write and read units, in this order.
pub(crate) fn units(metrics: &Metrics) -> (f64, f64) {
    let text = metrics.render();
    let sum = |name: &str| -> f64 {
        let samples = text.lines().filter(|line| line.starts_with(name));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    (sum(WRITE_UNITS.name) / 1000.0, sum(READ_UNITS.name) / 1000.0)
}
