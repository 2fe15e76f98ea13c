//! What the confirmer counts and logs: one function for each thing that happens.

use shared::domain::Failure;
use shared::queue::Confirmation;
use shared::telemetry::Metric;

const SETTLED: Metric = Metric::counter(
    "confirmer_payments_settled_total",
    "Payments marked PROCESSED, by whether this write did it or one before",
);
const BURIED: Metric = Metric::counter(
    "confirmer_messages_buried_total",
    "Messages put whole into the dead-letter queue, by code",
);
const RELEASED: Metric = Metric::counter(
    "confirmer_messages_released_total",
    "Messages given back to be delivered again",
);
const ERRORS: Metric =
    Metric::counter("confirmer_errors_total", "Failed calls by what was being done");

/// All metrics of the confirmer.
pub const METRICS: &[Metric] = &[SETTLED, BURIED, RELEASED, ERRORS];

pub(crate) fn settled(confirmation: &Confirmation, result: &'static str) {
    SETTLED.add_for("result", result, 1);
    let (payment_id, trace_key) = (confirmation.payment.id, confirmation.trace_key);
    let transaction_id = &confirmation.settlement.transaction_id;
    tracing::debug!(%payment_id, %trace_key, transaction_id, result, "settled");
}

pub(crate) fn buried(message_id: &str, failure: &Failure) {
    BURIED.add_for("code", failure.code.as_str(), 1);
    tracing::error!(message_id, code = %failure.code, reason = failure.reason, "a confirmation goes to the dead-letter queue whole");
}

pub(crate) fn released(count: usize) {
    RELEASED.add(count as u64);
}

pub(crate) fn error(doing: &'static str, error: &dyn std::error::Error) {
    ERRORS.add_for("doing", doing, 1);
    tracing::warn!(doing, %error, "a call failed: its messages will be delivered again");
}
