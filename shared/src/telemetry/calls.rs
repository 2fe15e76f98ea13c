//! Metrics that every service shares: what is asked of `DynamoDB` and SQS, which is what the
//! bank pays for.

use super::Metric;
use crate::payments::Units;
use domain::PaymentId;

/// Write units, from `ReturnConsumedCapacity`.
pub const WRITE_UNITS: Metric = Metric::counter(
    "dueflow_dynamodb_write_units_milli_total",
    "Thousandths of write capacity units consumed on the payments table and its index, by operation",
);
/// Read units, from `ReturnConsumedCapacity`.
pub const READ_UNITS: Metric = Metric::counter(
    "dueflow_dynamodb_read_units_milli_total",
    "Thousandths of read capacity units consumed on the payments table and its index, by operation",
);
/// Requests to SQS.
pub const SQS_REQUESTS: Metric = Metric::counter(
    "dueflow_sqs_requests_total",
    "Requests sent to SQS (one per batch, retries of the SDK not counted), by operation",
);
/// Entries of a batch that SQS refused.
pub const SQS_FAILED_ENTRIES: Metric = Metric::counter(
    "dueflow_sqs_failed_entries_total",
    "Entries of a batch request that SQS refused and that were sent again, by operation",
);

/// Settlements whose transaction id another payment has.
pub const TRANSACTION_IDS_REUSED: Metric = Metric::counter(
    "dueflow_transaction_ids_reused_total",
    "Settlements that came with the transaction id of another payment and did not count",
);

/// Answers that say nothing of their payment.
pub const UNUSABLE_ANSWERS: Metric = Metric::counter(
    "dueflow_transaction_unusable_answers_total",
    "Calls to the transaction service without an answer in the contract's words: nothing is known of the payment",
);

/// All of them.
pub const ALL: &[Metric] = &[
    WRITE_UNITS,
    READ_UNITS,
    SQS_REQUESTS,
    SQS_FAILED_ENTRIES,
    TRANSACTION_IDS_REUSED,
    UNUSABLE_ANSWERS,
];

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

pub(crate) fn transaction_id_reused(transaction_id: &str, payment: PaymentId, other: PaymentId) {
    TRANSACTION_IDS_REUSED.add(1);
    tracing::error!(transaction_id, payment_id = %payment, %other, "the transaction service gave one transaction id to two payments: the second does not count as settled");
}

/// Counts an answer that is of no use; it is told unless it was lately (`None`).
pub(crate) fn unusable_answer(operation: &'static str, reason: &str, untold: Option<u64>) {
    UNUSABLE_ANSWERS.add_for("operation", operation, 1);
    if let Some(untold) = untold {
        tracing::warn!(
            operation,
            reason,
            untold,
            "an answer of the transaction service does not tell what became of a payment"
        );
    }
}
