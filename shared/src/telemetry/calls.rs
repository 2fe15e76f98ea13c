//! Metrics that every service shares: what is asked of `DynamoDB` and SQS, which is what the
//! bank pays for.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::ConsumedCapacity;
use domain::PaymentId;

use super::metric::Metric;

/// Write units, from `ReturnConsumedCapacity`.
pub const WRITE_UNITS: Metric = Metric::float_counter(
    "dueflow_dynamodb_write_capacity_units_total",
    "Write capacity units consumed on the payments table and its index, by operation",
)
.by(
    "operation",
    &[
        "blob",
        "insert",
        "claim",
        "resume",
        "settle",
        "fail",
        "replay",
        "discard",
        "cancel",
        "withhold",
        "not_done",
        "dead_letter",
        "archive",
        "delete",
    ],
);
/// Read units, from `ReturnConsumedCapacity`.
pub const READ_UNITS: Metric = Metric::float_counter(
    "dueflow_dynamodb_read_capacity_units_total",
    "Read capacity units consumed on the payments table and its index, by operation",
)
.by("operation", &["get", "due", "upcoming", "open_days", "count", "blobs", "archive", "scan"]);
/// Requests to SQS.
pub const SQS_REQUESTS: Metric = Metric::counter(
    "dueflow_sqs_requests_total",
    "Requests sent to SQS (one per batch; retries of the SDK are not counted), by operation",
)
.by("operation", &["get_url", "send", "receive", "delete", "release", "extend", "count"]);
/// Entries of a batch that SQS refused.
pub const SQS_FAILED_ENTRIES: Metric = Metric::counter(
    "dueflow_sqs_failed_entries_total",
    "Entries of batch requests that SQS refused and that are sent again, by operation",
)
.by("operation", &["send", "delete", "release", "extend"]);

/// Entries of batches, refused ones included.
pub const SQS_ENTRIES: Metric = Metric::counter(
    "dueflow_sqs_batch_entries_total",
    "Messages received, and entries of batch requests sent to SQS, by operation; divided by the requests it is how full batches are",
)
.by("operation", &["send", "receive", "delete", "release", "extend"]);

/// What `DynamoDB` had no capacity for.
pub const THROTTLED: Metric = Metric::counter(
    "dueflow_dynamodb_throttled_requests_total",
    "Requests, and statements and keys of batches, that DynamoDB refused for lack of capacity on the payments table, its index or the archive (after the retries of the SDK), by operation",
)
.by(
    "operation",
    &[
        "blob",
        "insert",
        "claim",
        "resume",
        "settle",
        "fail",
        "replay",
        "discard",
        "cancel",
        "withhold",
        "not_done",
        "dead_letter",
        "archive",
        "delete",
        "get",
        "due",
        "upcoming",
        "open_days",
        "count",
        "blobs",
        "scan",
    ],
);

/// The duties of one service, each with the time of its last success. One metric of the same name
/// for each service: a duty that another service has is not on its page.
#[must_use]
pub const fn last_success(duties: &'static [&'static str]) -> Metric {
    Metric::gauge(
        "dueflow_last_success_timestamp_seconds",
        "Unix time of the last success of a duty, 0 before the first, by duty",
    )
    .by("duty", duties)
}

/// Settlements whose transaction id another payment has.
pub const TRANSACTION_IDS_REUSED: Metric = Metric::counter(
    "dueflow_transaction_ids_reused_total",
    "Settlements ignored because they carry the transaction id of another payment",
);

/// Answers that say nothing of their payment.
pub const UNUSABLE_ANSWERS: Metric = Metric::counter(
    "dueflow_transaction_unusable_answers_total",
    "Answers of the transaction service that do not say what became of the payment, by operation",
)
.by("operation", &["submit", "find"]);

/// All of them.
pub const ALL: &[Metric] = &[
    WRITE_UNITS,
    READ_UNITS,
    SQS_REQUESTS,
    SQS_ENTRIES,
    SQS_FAILED_ENTRIES,
    THROTTLED,
    TRANSACTION_IDS_REUSED,
    UNUSABLE_ANSWERS,
];

/// Counts what `DynamoDB` charged for a write, table and indexes together.
pub(crate) fn written<'a>(
    operation: &'static str,
    consumed: impl IntoIterator<Item = &'a ConsumedCapacity>,
) {
    WRITE_UNITS.add_fraction_for(operation, units(consumed));
}

/// The same for a read.
pub(crate) fn read<'a>(
    operation: &'static str,
    consumed: impl IntoIterator<Item = &'a ConsumedCapacity>,
) {
    READ_UNITS.add_fraction_for(operation, units(consumed));
}

fn units<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> f64 {
    consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum()
}

pub(crate) fn sqs(operation: &'static str) {
    SQS_REQUESTS.add_for(operation, 1);
}

pub(crate) fn sqs_entries(operation: &'static str, entries: usize) {
    SQS_ENTRIES.add_for(operation, entries as u64);
}

/// Counts parts of a batch that were throttled.
pub(crate) fn throttled(operation: &'static str, parts: usize) {
    THROTTLED.add_for(operation, parts as u64);
}

/// Counts a request that failed because it was throttled; the error is returned as it is.
pub(crate) fn noted<E: ProvideErrorMetadata>(operation: &'static str, error: E) -> E {
    if error.code().is_some_and(is_throttling) {
        throttled(operation, 1);
    }
    error
}

/// Whether an error code means that there was no capacity (`DynamoDB` API reference).
fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "ProvisionedThroughputExceeded"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "ThrottlingError"
    )
}

pub(crate) fn sqs_failed(operation: &'static str, entries: usize) {
    SQS_FAILED_ENTRIES.add_for(operation, entries as u64);
}

pub(crate) fn transaction_id_reused(transaction_id: &str, payment: PaymentId, other: PaymentId) {
    TRANSACTION_IDS_REUSED.add(1);
    tracing::error!(transaction_id, payment_id = %payment, %other, "the transaction service gave one transaction id to two payments: the second does not count as settled");
}

/// Counts an answer that is of no use; it is told unless it was lately (`None`).
pub(crate) fn unusable_answer(operation: &'static str, reason: &str, untold: Option<u64>) {
    UNUSABLE_ANSWERS.add_for(operation, 1);
    if let Some(untold) = untold {
        tracing::warn!(
            operation,
            reason,
            untold,
            "an answer of the transaction service does not tell what became of a payment"
        );
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::query::QueryError;

    use super::*;

    #[test]
    fn only_what_lacked_capacity_counts_as_throttled() {
        let recorded = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let failed = |code: &str| QueryError::generic(ErrorMetadata::builder().code(code).build());
        metrics::with_local_recorder(&recorded, || {
            for code in ["ProvisionedThroughputExceededException", "ThrottlingException"] {
                assert_eq!(noted("due", failed(code)).code(), Some(code));
            }
            drop(noted("due", failed("ResourceNotFoundException")));
        });
        let page = recorded.handle().render();
        assert!(page.contains(&format!("{}{{operation=\"due\"}} 2\n", THROTTLED.name)), "{page}");
    }
}
