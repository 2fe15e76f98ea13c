//! What the dispatcher counts and logs: one function for each thing that happens.

use std::time::Duration;

use domain::{Failure, KeyStatus, Outcome, Payment};
use shared::dispatch_stop::{DispatchStop, StopCause, StopError, StopTrigger};
use shared::telemetry::Metric;

use crate::job::Blob;

const CLAIMS: Metric = Metric::counter(
    "dueflow_dispatcher_claims_total",
    "Delivered payments by what the claim found: claimed, or the status they were in",
);
const OUTCOMES: Metric =
    Metric::counter("dueflow_dispatcher_submissions_total", "Submissions by what they came to");
const BLOBS: Metric = Metric::counter(
    "dueflow_dispatcher_blobs_total",
    "Blobs of claimed payments that lie in items of their own, by what reading them came to",
);
const LATENCY: Metric = Metric::seconds(
    "dueflow_dispatcher_submission_duration_seconds",
    "Time from a submission to its answer, or to giving up waiting",
);
const RECORDED: Metric = Metric::counter(
    "dueflow_dispatcher_payments_recorded_total",
    "Settlements handed to the confirmer, their messages deleted",
);
const FAILED: Metric =
    Metric::counter("dueflow_dispatcher_payments_failed_total", "Payments marked FAILED, by code");
const BURIED: Metric = Metric::counter(
    "dueflow_dispatcher_messages_dead_lettered_total",
    "Messages put whole into the dead-letter queue, by code",
);
const RELEASED: Metric = Metric::counter(
    "dueflow_dispatcher_messages_released_total",
    "Messages given back to be delivered again",
);
const ERRORS: Metric =
    Metric::counter("dueflow_dispatcher_errors_total", "Failed calls by what was being done");
const WITHDRAWN: Metric = Metric::counter(
    "dueflow_dispatcher_message_visibility_lost_total",
    "Payments left alone because their message may be another worker's by now",
);
const EARLY: Metric = Metric::counter(
    "dueflow_dispatcher_payments_early_total",
    "Payments that came before their day began at the bank: delayed until it does, or left to its opening",
);
const ASKED: Metric = Metric::counter(
    "dueflow_dispatcher_transaction_lookups_total",
    "Payments asked for before they were submitted again, by what was found",
);
const ARCHIVED: Metric = Metric::counter(
    "dueflow_dispatcher_payments_already_archived_total",
    "Payments that the archive holds as settled, inserted again or named by a late message: not paid again",
);
const PROBED: Metric = Metric::counter(
    "dueflow_dispatcher_health_probes_total",
    "Questions whether the transaction service answers, while it counted as down, by the answer",
);
const OPENED: Metric = Metric::counter(
    "dueflow_dispatcher_circuit_breaker_opened_total",
    "Times that the transaction service was taken for down",
);
const CIRCUIT: Metric = Metric::gauge(
    "dueflow_dispatcher_circuit_breaker_open",
    "1 while the transaction service counts as down and nothing is received, else 0",
);
const STOPPED: Metric = Metric::gauge(
    "dueflow_dispatcher_stopped",
    "1 while dispatching is stopped for this reason, until an operator resumes it, else 0",
);
const STOPS: Metric = Metric::counter(
    "dueflow_dispatcher_stops_total",
    "Times that this dispatcher was stopped, by itself or by the stored stop, by reason",
);
const STOP_ERRORS: Metric = Metric::counter(
    "dueflow_dispatcher_stop_errors_total",
    "Calls that failed to read or to store the stop of dispatching",
);
const LIMIT: Metric = Metric::gauge(
    "dueflow_dispatcher_concurrency_limit",
    "Calls to the transaction service that may be under way at once",
);
const IN_HAND: Metric =
    Metric::gauge("dueflow_dispatcher_payments_in_hand", "Payments in hand now");

/// All metrics of the dispatcher.
pub const METRICS: &[Metric] = &[
    CLAIMS,
    BLOBS,
    OUTCOMES,
    LATENCY,
    ASKED,
    ARCHIVED,
    RECORDED,
    FAILED,
    BURIED,
    RELEASED,
    WITHDRAWN,
    EARLY,
    ERRORS,
    PROBED,
    OPENED,
    CIRCUIT,
    STOPPED,
    STOPS,
    STOP_ERRORS,
    LIMIT,
    IN_HAND,
];

pub(crate) fn claim(result: &'static str) {
    CLAIMS.add_for("result", result, 1);
}

pub(crate) fn blob(payment: &Payment, blob: &Blob) {
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    let result = match blob {
        Blob::InMessage => return,
        Blob::Read(_) => "read",
        Blob::Unread => {
            tracing::warn!(%payment_id, %trace_key, "a blob was not read: the payment will be delivered again");
            "unread"
        }
        Blob::Unusable(failure) => {
            tracing::error!(%payment_id, %trace_key, code = %failure.code, reason = failure.reason, "a payment cannot be submitted");
            failure.code.as_str()
        }
    };
    BLOBS.add_for("result", result, 1);
}

pub(crate) fn submitted(payment: &Payment, outcome: &Outcome, took: Duration) {
    LATENCY.record(took);
    let (result, reason) = match outcome {
        Outcome::Settled(_) => ("settled", None),
        Outcome::Accepted => ("accepted", None),
        Outcome::InProgress => ("in_progress", None),
        Outcome::Rejected { reason, .. } => ("rejected", Some(reason)),
        Outcome::Refused { reason, .. } => ("refused", Some(reason)),
        Outcome::NotDone { reason, .. } => ("not_done", Some(reason)),
        Outcome::Unknown { reason, .. } => ("unknown", Some(reason)),
    };
    OUTCOMES.add_for("result", result, 1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    let took_ms = took.as_millis() as u64;
    match reason {
        None => tracing::debug!(%payment_id, %trace_key, result, took_ms, "submitted"),
        // Told once for all payments that it befalls (`calls::unusable_answer`).
        Some(reason) if matches!(result, "not_done" | "unknown") => {
            tracing::debug!(%payment_id, %trace_key, result, reason, took_ms, "submitted");
        }
        Some(reason) => {
            tracing::info!(%payment_id, %trace_key, result, reason, took_ms, "submitted");
        }
    }
}

pub(crate) fn archived(payment: &Payment) {
    ARCHIVED.add(1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, "settled and archived before: it is not paid again");
}

pub(crate) fn recorded(count: usize) {
    RECORDED.add(count as u64);
}

pub(crate) fn failed(payment: &Payment, failure: &Failure) {
    FAILED.add_for("code", failure.code.as_str(), 1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, code = %failure.code, reason = failure.reason, "a payment failed: it is in the dead-letter queue");
}

pub(crate) fn buried(message_id: &str, failure: &Failure) {
    BURIED.add_for("code", failure.code.as_str(), 1);
    tracing::error!(message_id, code = %failure.code, reason = failure.reason, "a message goes to the dead-letter queue whole");
}

pub(crate) fn released(count: usize) {
    RELEASED.add(count as u64);
}

pub(crate) fn error(doing: &'static str, error: &dyn std::error::Error) {
    ERRORS.add_for("operation", doing, 1);
    tracing::warn!(doing, %error, "a call failed: its messages will be delivered again");
}

pub(crate) fn in_hand(count: usize) {
    IN_HAND.set(count as f64);
}

pub(crate) fn withdrawn(payment: &Payment) {
    WITHDRAWN.add(1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, "the message is no longer this worker's: another one acts on it");
}

pub(crate) fn early(payment: &Payment, result: &'static str) {
    EARLY.add_for("result", result, 1);
    let (payment_id, trace_key, due) = (payment.id, payment.trace_key, payment.due);
    tracing::warn!(%payment_id, %trace_key, %due, result, "a payment came before its day began at the bank: it is not submitted");
}

pub(crate) fn asked(payment: &Payment, found: &KeyStatus) {
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    let (result, reason) = found_label(found);
    ASKED.add_for("result", result, 1);
    match reason {
        None => tracing::debug!(%payment_id, %trace_key, result, "asked"),
        Some(reason) if result == "no_answer" => {
            tracing::debug!(%payment_id, %trace_key, result, reason, "asked");
        }
        Some(reason) => tracing::info!(%payment_id, %trace_key, result, reason, "asked"),
    }
}

pub(crate) fn probed(found: &KeyStatus) {
    PROBED.add_for("result", found_label(found).0, 1);
}

fn found_label(found: &KeyStatus) -> (&'static str, Option<&str>) {
    match found {
        KeyStatus::Settled(_) => ("settled", None),
        KeyStatus::UnderWay => ("under_way", None),
        KeyStatus::Rejected { reason } => ("rejected", Some(reason)),
        KeyStatus::Nothing => ("not_found", None),
        KeyStatus::NoAnswer { reason, .. } => ("no_answer", Some(reason)),
    }
}

pub(crate) fn clock_in_doubt() {
    tracing::warn!(
        "this machine's clock has moved by more than a minute against the time that has passed: nothing is received until DynamoDB's clock confirms it"
    );
}

pub(crate) fn circuit_opened() {
    OPENED.add(1);
    CIRCUIT.set(1.0);
    tracing::error!(
        "the transaction service does not take payments: receiving stops until it does"
    );
}

pub(crate) fn circuit_closed() {
    CIRCUIT.set(0.0);
    tracing::info!("the transaction service takes payments again");
}

/// The answers call for a stop, which holds here from now on.
pub(crate) fn tripped(trip: &StopTrigger) {
    STOPS.add_for("reason", trip.cause.as_str(), 1);
    stopped_for(Some(trip.cause));
    let StopTrigger { cause, reason, count } = trip;
    tracing::error!(%cause, reason, count, "dispatching stops: see docs/runbooks/dispatch-stop.md");
}

/// The stop that stands after this dispatcher has stored its own.
pub(crate) fn stop_stored(stop: &DispatchStop) {
    stopped_for(Some(stop.cause));
    let DispatchStop { id, cause, reason, by, .. } = stop;
    tracing::error!(%id, %cause, reason, by, "dispatching is stopped at all dispatchers until an operator resumes it: dueflow dispatch status");
}

/// Somebody else has stopped dispatching.
pub(crate) fn stopped(stop: &DispatchStop) {
    STOPS.add_for("reason", stop.cause.as_str(), 1);
    stop_stored(stop);
}

/// An operator has removed the stop.
pub(crate) fn resumed(stop: &DispatchStop) {
    stopped_for(None);
    let DispatchStop { id, cause, .. } = stop;
    tracing::warn!(%id, %cause, "the stop was removed: dispatching goes on, one payment at a time until one is taken");
}

fn stopped_for(cause: Option<StopCause>) {
    for each in StopCause::ALL {
        STOPPED.set_for("reason", each.as_str(), if Some(each) == cause { 1.0 } else { 0.0 });
    }
}

pub(crate) fn stop_error(error: &StopError) {
    STOP_ERRORS.add(1);
    tracing::warn!(%error, "whether dispatching is stopped is not known: without an answer no payment is submitted");
}

pub(crate) fn limit(calls: usize) {
    LIMIT.set(calls as f64);
}
