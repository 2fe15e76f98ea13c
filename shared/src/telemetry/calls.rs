//! Metrics that every service shares: what is asked of `DynamoDB` and SQS, which is what the
//! bank pays for.

use super::Metric;
use crate::payments::Units;

/// Write units, from `ReturnConsumedCapacity`.
pub const WRITE_UNITS: Metric = Metric::counter(
    "dynamodb_write_units_milli_total",
    "Thousandths of write capacity units consumed on the payments table and its index, by operation",
);
/// Read units, from `ReturnConsumedCapacity`.
pub const READ_UNITS: Metric = Metric::counter(
    "dynamodb_read_units_milli_total",
    "Thousandths of read capacity units consumed on the payments table and its index, by operation",
);
/// Requests to SQS.
pub const SQS_REQUESTS: Metric = Metric::counter(
    "sqs_requests_total",
    "Requests sent to SQS (one per batch, retries of the SDK not counted), by operation",
);
/// Entries of a batch that SQS refused.
pub const SQS_FAILED_ENTRIES: Metric = Metric::counter(
    "sqs_failed_entries_total",
    "Entries of a batch request that SQS refused and that were sent again, by operation",
);

/// All of them.
pub const ALL: &[Metric] = &[WRITE_UNITS, READ_UNITS, SQS_REQUESTS, SQS_FAILED_ENTRIES];

pub(crate) fn written(operation: &'static str, units: Units) {
    WRITE_UNITS.add_for("operation", operation, units.milli());
}

pub(crate) fn read(operation: &'static str, units: Units) {
    READ_UNITS.add_for("operation", operation, units.milli());
}

pub(crate) fn sqs(operation: &'static str) {
    SQS_REQUESTS.add_for("operation", operation, 1);
}

pub(crate) fn sqs_failed(operation: &'static str, entries: usize) {
    SQS_FAILED_ENTRIES.add_for("operation", operation, entries as u64);
}
