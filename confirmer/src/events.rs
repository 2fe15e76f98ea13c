//! What the confirmer counts and logs: one function for each thing that happens.

use std::time::Duration;

use domain::{Failure, PaymentRef, Settlement};
use shared::dispatch_stop::DispatchStop;
use shared::payments::{ApplyResult, StoredPayment};
use shared::queue::{Confirmation, ReportedResult};
use shared::telemetry::Metric;
use shared::telemetry::calls::last_success;

const SETTLED: Metric = Metric::counter(
    "dueflow_confirmer_payments_settled_total",
    "Payments set to PROCESSED, by whether this write or an earlier one did it",
)
.by("result", &["now", "before"]);
const REJECTED: Metric = Metric::counter(
    "dueflow_confirmer_payments_rejected_total",
    "Payments set to FAILED after a reported rejection, by whether this write or an earlier one did it",
).by("result", &["now", "before"]);
const TO_PROCESSED: Metric = Metric::long_seconds(
    "dueflow_confirmer_time_to_processed_seconds",
    "Time until this confirmer set a payment to PROCESSED, from the start of its day at the bank or the time in its payment id if later (an import's ids have none)",
);
const TO_FAILED: Metric = Metric::long_seconds(
    "dueflow_confirmer_time_to_failed_seconds",
    "Time until this confirmer set a payment to FAILED after a reported rejection, counted in the same way",
);
const LAST_SUCCESS: Metric = last_success(&["receive", "sweep"]);
const DEAD_LETTERED: Metric = Metric::counter(
    "dueflow_confirmer_messages_dead_lettered_total",
    "Messages moved unchanged to the dead-letter queue, by code",
)
.by("code", &["malformed_message", "conflict"]);
const RELEASED: Metric = Metric::counter(
    "dueflow_confirmer_messages_released_total",
    "Messages released to be delivered again",
);
const ERRORS: Metric =
    Metric::counter("dueflow_confirmer_errors_total", "Failed calls by operation").by(
        "operation",
        &["receive", "settle", "withhold", "dead_letter", "count", "sweep", "callback", "stop"],
    );

const SWEEPS: Metric = Metric::counter(
    "dueflow_confirmer_sweeps_total",
    "Sweeps for payments that are PENDING for too long, by how the sweep ended",
)
.by("result", &["completed", "interrupted"]);
const STUCK: Metric = Metric::counter(
    "dueflow_confirmer_stuck_payments_total",
    "Payments that were PENDING for too long, by what was done with them",
)
.by("result", &["settled", "rejected", "requeued", "already_queued", "under_way", "no_answer"]);

const STOPS: Metric = Metric::counter(
    "dueflow_confirmer_stops_total",
    "Times that this confirmer stopped dispatching because of reported rejections",
);

const CALLBACKS: Metric =
    Metric::counter("dueflow_confirmer_callbacks_total", "Callbacks by how they were answered").by(
        "result",
        &[
            "accepted",
            "duplicate",
            "under_way",
            "unsigned",
            "malformed",
            "too_large",
            "too_slow",
            "not_queued",
            "no_such_path",
            "no_such_method",
        ],
    );

/// All metrics of the confirmer.
pub const METRICS: &[Metric] = &[
    SETTLED,
    REJECTED,
    TO_PROCESSED,
    TO_FAILED,
    DEAD_LETTERED,
    RELEASED,
    ERRORS,
    SWEEPS,
    STUCK,
    STOPS,
    CALLBACKS,
    LAST_SUCCESS,
];

/// A duty was done.
pub(crate) fn succeeded(duty: &'static str) {
    LAST_SUCCESS.set_to_now_for(duty);
}

/// A write of this process ended a payment, so long after it was due.
pub(crate) fn ended(result: &ReportedResult, after: Duration) {
    match result {
        ReportedResult::Settled(_) => TO_PROCESSED.record(after),
        ReportedResult::Rejected(_) => TO_FAILED.record(after),
    }
}

pub(crate) fn written(confirmation: &Confirmation, applied: ApplyResult) {
    let result = match applied {
        ApplyResult::Now => "now",
        ApplyResult::Before => "before",
    };
    let payment_id = confirmation.payment.id;
    let trace_key = confirmation.trace_key.map(|key| key.to_string());
    match &confirmation.result {
        ReportedResult::Settled(Settlement { transaction_id, .. }) => {
            SETTLED.add_for(result, 1);
            tracing::debug!(%payment_id, trace_key, transaction_id, result, "settled");
        }
        ReportedResult::Rejected(failure) => {
            REJECTED.add_for(result, 1);
            tracing::warn!(%payment_id, trace_key, reason = failure.reason, result, "the transaction service rejected a payment that it had accepted: the payment is FAILED");
        }
    }
}

pub(crate) fn undecided(confirmation: &Confirmation, reason: &str) {
    let payment_id = confirmation.payment.id;
    tracing::warn!(%payment_id, reason, "DynamoDB did not decide a settlement: the confirmation is given back and delivered again");
}

/// Too many refusals were reported: no more is submitted.
pub(crate) fn stopped(stop: &DispatchStop) {
    STOPS.add(1);
    let DispatchStop { id, cause, reason, count, .. } = stop;
    tracing::error!(%id, %cause, reason, count, "dispatching is stopped at all dispatchers until an operator resumes it: see docs/runbooks/dispatch-stop.md");
}

pub(crate) fn dead_lettered(message_id: &str, failure: &Failure) {
    DEAD_LETTERED.add_for(failure.code.as_str(), 1);
    tracing::error!(message_id, code = %failure.code, reason = failure.reason, "a confirmation was put whole into the dead-letter queue: see dueflow dlq list");
}

/// A payment that was never claimed is FAILED now.
pub(crate) fn withheld(payment: &PaymentRef, failure: &Failure) {
    DEAD_LETTERED.add_for(failure.code.as_str(), 1);
    tracing::error!(payment_id = %payment.id, code = %failure.code, reason = failure.reason, "a payment that was never claimed is withheld: see dueflow dlq list");
}

pub(crate) fn released(count: usize) {
    RELEASED.add(count as u64);
}

pub(crate) fn error(doing: &'static str, error: &dyn std::error::Error) {
    ERRORS.add_for(doing, 1);
    tracing::warn!(doing, %error, "a call failed: it is tried again");
}

pub(crate) fn swept(result: &'static str) {
    if result == "completed" {
        succeeded("sweep");
    }
    SWEEPS.add_for(result, 1);
    tracing::debug!(result, "swept for payments that are PENDING for too long");
}

pub(crate) fn stuck(stored: &StoredPayment, result: &'static str) {
    STUCK.add_for(result, 1);
    let (payment_id, trace_key) = (stored.payment.id, stored.payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, attempts = stored.attempts, since = %stored.updated_at, result, "a payment was PENDING for too long: the transaction service was asked what became of it");
}

pub(crate) fn unanswered(stored: &StoredPayment, reason: &str) {
    STUCK.add_for("no_answer", 1);
    // Logged once for all payments concerned (`calls::unusable_answer`).
    tracing::debug!(payment_id = %stored.payment.id, reason, "the transaction service did not say what became of it");
}

/// A callback was answered; `refusal` is what is wrong with it, if anything.
pub(crate) fn callback(result: &'static str, refusal: Option<String>) {
    CALLBACKS.add_for(result, 1);
    match refusal {
        None => tracing::debug!(result, "a callback was answered"),
        Some(reason) => tracing::warn!(result, reason, "a callback was refused"),
    }
}
