//! Capacity units of this process so far, as DynamoDB reported them.

use shared::telemetry::Metrics;
use shared::telemetry::calls::{READ_UNITS, WRITE_UNITS};

/// Write and read units, in this order.
pub(crate) fn units(metrics: &Metrics) -> (f64, f64) {
    let samples = metrics.samples();
    (samples.sum(WRITE_UNITS.name), samples.sum(READ_UNITS.name))
}
