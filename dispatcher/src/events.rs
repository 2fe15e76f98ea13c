//! What the dispatcher counts and logs: one function for each thing that happens.

use std::sync::OnceLock;
use std::time::Duration;

use domain::{Failure, KeyStatus, Outcome, Payment};
use shared::dispatch_stop::{DispatchStop, StopCause, StopError, StopTrigger};
use shared::queue::BacklogReport;
use shared::telemetry::Metric;
use shared::telemetry::calls::last_success;

const CLAIMS: Metric = Metric::counter(
    "dueflow_dispatcher_claims_total",
    "Delivered payments by what the claim found",
)
.by(
    "result",
    &[
        "claimed",
        "pending",
        "replayed",
        "processed",
        "cancelled",
        "failed",
        "withheld",
        "disputed",
        "absent",
        "contradicted",
        "error",
    ],
);
const OUTCOMES: Metric =
    Metric::counter("dueflow_dispatcher_submissions_total", "Submissions by their outcome").by(
        "result",
        &["settled", "accepted", "in_progress", "rejected", "refused", "not_done", "unknown"],
    );
const BLOBS: Metric = Metric::counter(
    "dueflow_dispatcher_blobs_total",
    "Reads of blobs that are stored in items of their own, by result",
)
.by("result", &["read", "unread", "missing", "mismatch"]);
const LATENCY: Metric = Metric::seconds(
    "dueflow_dispatcher_submission_duration_seconds",
    "Time from a submission to its answer or its timeout",
);
const TO_PENDING: Metric = Metric::long_seconds(
    "dueflow_dispatcher_time_to_pending_seconds",
    "Time until a payment's first claim by this dispatcher, from the start of its day at the bank or its insertion if later",
);
const TO_FAILED: Metric = Metric::long_seconds(
    "dueflow_dispatcher_time_to_failed_seconds",
    "Time until this dispatcher set a payment to FAILED, from the start of its day at the bank or its insertion if later",
);
const LAST_SUCCESS: Metric = last_success(&["receive", "stop_check"]);
const RECORDED: Metric = Metric::counter(
    "dueflow_dispatcher_payments_recorded_total",
    "Settlements that were queued for the confirmer and whose messages were deleted",
);
const FAILED: Metric =
    Metric::counter("dueflow_dispatcher_payments_failed_total", "Payments set to FAILED, by code")
        .by("code", &["rejected", "refused", "exhausted", "unknown", "missing", "mismatch"]);
const DEAD_LETTERED: Metric = Metric::counter(
    "dueflow_dispatcher_messages_dead_lettered_total",
    "Messages moved unchanged to the dead-letter queue, by code",
)
.by("code", &["malformed_message", "mismatch", "missing"]);
const RELEASED: Metric = Metric::counter(
    "dueflow_dispatcher_messages_released_total",
    "Messages released to be delivered again",
);
const ERRORS: Metric =
    Metric::counter("dueflow_dispatcher_errors_total", "Failed calls by operation").by(
        "operation",
        &[
            "receive",
            "claim",
            "blobs",
            "archive",
            "resume",
            "not_done",
            "fail",
            "dead_letter",
            "record",
            "depth",
        ],
    );
const VISIBILITY_LOST: Metric = Metric::counter(
    "dueflow_dispatcher_message_visibility_lost_total",
    "Payments not worked on because another worker may have received their message",
);
const EARLY: Metric = Metric::counter(
    "dueflow_dispatcher_payments_early_total",
    "Payments delivered before their due date began, by what was done with their message",
)
.by("result", &["delayed", "left_to_day_opening"]);
const ASKED: Metric = Metric::counter(
    "dueflow_dispatcher_transaction_lookups_total",
    "Payments looked up at the transaction service before they are submitted again, by its answer",
)
.by("result", &["settled", "under_way", "rejected", "not_found", "no_answer"]);
const ARCHIVED: Metric = Metric::counter(
    "dueflow_dispatcher_payments_already_archived_total",
    "Payments not paid because the archive holds them as settled",
);
const PROBED: Metric = Metric::counter(
    "dueflow_dispatcher_health_probes_total",
    "Probes of the transaction service while the circuit breaker is open, by its answer",
)
.by("result", &["settled", "under_way", "rejected", "not_found", "no_answer"]);
const OPENED: Metric = Metric::counter(
    "dueflow_dispatcher_circuit_breaker_opened_total",
    "Times that the circuit breaker opened because the transaction service was down",
);
const CIRCUIT: Metric = Metric::gauge(
    "dueflow_dispatcher_circuit_breaker_open",
    "1 while the circuit breaker is open and no message is received, else 0",
);
const STOPPED: Metric = Metric::gauge(
    "dueflow_dispatcher_stopped",
    "1 while dispatching is stopped for this reason, else 0",
)
.by("reason", &["rejected", "out_of_contract", "by_hand"]);
const STOPS: Metric = Metric::counter(
    "dueflow_dispatcher_stops_total",
    "Times that this dispatcher stopped, by reason",
)
.by("reason", &["rejected", "out_of_contract", "by_hand"]);
const STOP_ERRORS: Metric = Metric::counter(
    "dueflow_dispatcher_stop_errors_total",
    "Failed calls to read or store the dispatch stop",
);
const BEHIND: Metric = Metric::gauge(
    "dueflow_dispatcher_waiting_for_confirmer",
    "1 while nothing is received because too many settlements wait for the confirmer, else 0",
);
const LIMIT: Metric = Metric::gauge(
    "dueflow_dispatcher_concurrency_limit",
    "Most concurrent calls to the transaction service",
);
const IN_HAND: Metric =
    Metric::gauge("dueflow_dispatcher_payments_in_hand", "Payments received and not ended yet");

/// All metrics of the dispatcher.
pub const METRICS: &[Metric] = &[
    CLAIMS,
    BLOBS,
    OUTCOMES,
    LATENCY,
    TO_PENDING,
    TO_FAILED,
    ASKED,
    ARCHIVED,
    RECORDED,
    FAILED,
    DEAD_LETTERED,
    RELEASED,
    VISIBILITY_LOST,
    EARLY,
    ERRORS,
    PROBED,
    OPENED,
    CIRCUIT,
    STOPPED,
    STOPS,
    STOP_ERRORS,
    BEHIND,
    LIMIT,
    IN_HAND,
    LAST_SUCCESS,
];

pub(crate) fn claim(result: &'static str) {
    CLAIMS.add_for(result, 1);
}

pub(crate) fn claim_undecided(payment: &Payment, reason: &str) {
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, reason, "DynamoDB did not decide a claim: the message is given back and delivered again");
}

pub(crate) fn turn_undecided(payment: &Payment, reason: &str) {
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, reason, "DynamoDB did not decide whether an attempt may begin: the message is given back and delivered again");
}

pub(crate) fn blob_read() {
    BLOBS.add_for("read", 1);
}

pub(crate) fn blob_unread(payment: &Payment) {
    BLOBS.add_for("unread", 1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, "a payment's blob could not be read: the message is given back and delivered again");
}

pub(crate) fn blob_unusable(payment: &Payment, failure: &Failure) {
    BLOBS.add_for(failure.code.as_str(), 1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::error!(%payment_id, %trace_key, code = %failure.code, reason = failure.reason, "a payment is not submitted: its blob is missing or another one");
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
    OUTCOMES.add_for(result, 1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    let took_ms = took.as_millis() as u64;
    match reason {
        None => tracing::debug!(%payment_id, %trace_key, result, took_ms, "submitted"),
        // Logged once for all payments concerned (`calls::unusable_answer`).
        Some(reason) if matches!(result, "not_done" | "unknown") => {
            tracing::debug!(%payment_id, %trace_key, result, reason, took_ms, "submitted");
        }
        Some(reason) => {
            tracing::info!(%payment_id, %trace_key, result, reason, took_ms, "submitted");
        }
    }
}

/// How long the parts of an attempt took, as far as it had them.
#[derive(Debug, Default)]
pub(crate) struct AttemptTimes {
    /// The write with which it began; a first one is made for all payments of a receive at once.
    pub(crate) claim: OnceLock<Duration>,
    /// The question what became of its key.
    pub(crate) lookup: OnceLock<Duration>,
    pub(crate) submission: OnceLock<Duration>,
}

/// The one line of an attempt. At level debug: at 1,600 payments a second a line each is about
/// 2 GB an hour. Without the account, the beneficiary and the blob.
pub(crate) fn attempted(
    payment: &Payment,
    times: &AttemptTimes,
    attempt: Option<u32>,
    outcome: &'static str,
) {
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    let ms = |took: &OnceLock<Duration>| took.get().map(|took| took.as_secs_f64() * 1_000.0);
    let AttemptTimes { claim, lookup, submission } = times;
    tracing::debug!(%payment_id, %trace_key, attempt, outcome, claim_ms = ms(claim), lookup_ms = ms(lookup), submission_ms = ms(submission), "payment.attempted");
}

pub(crate) fn archived(payment: &Payment) {
    ARCHIVED.add(1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, "the payment was settled and archived before: it is not paid again");
}

pub(crate) fn recorded(count: usize) {
    RECORDED.add(count as u64);
}

/// A duty was done.
pub(crate) fn succeeded(duty: &'static str) {
    LAST_SUCCESS.set_to_now_for(duty);
}

/// A payment is PENDING for the first time, so long after it was due.
pub(crate) fn pending(after: Duration) {
    TO_PENDING.record(after);
}

/// A payment is FAILED, so long after it was due.
pub(crate) fn failed(payment: &Payment, failure: &Failure, after: Duration) {
    TO_FAILED.record(after);
    FAILED.add_for(failure.code.as_str(), 1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, code = %failure.code, reason = failure.reason, "a payment is FAILED: its dead letter follows, see dueflow dlq list");
}

pub(crate) fn dead_lettered(message_id: &str, failure: &Failure) {
    DEAD_LETTERED.add_for(failure.code.as_str(), 1);
    tracing::error!(message_id, code = %failure.code, reason = failure.reason, "a message was put whole into the dead-letter queue: see dueflow dlq list");
}

pub(crate) fn released(count: usize) {
    RELEASED.add(count as u64);
}

pub(crate) fn error(doing: &'static str, error: &dyn std::error::Error) {
    ERRORS.add_for(doing, 1);
    tracing::warn!(doing, %error, "a call failed: its messages are delivered again");
}

/// The number of payments in hand has changed. Added, not set: of two workers that set it, the
/// later one may know less.
pub(crate) fn in_hand(by: f64) {
    IN_HAND.change(by);
}

pub(crate) fn visibility_lost(payment: &Payment) {
    VISIBILITY_LOST.add(1);
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    tracing::warn!(%payment_id, %trace_key, "the message's visibility timeout has ended: this worker leaves the payment to the worker that receives it next");
}

pub(crate) fn early(payment: &Payment, result: &'static str) {
    EARLY.add_for(result, 1);
    let (payment_id, trace_key, due) = (payment.id, payment.trace_key, payment.due);
    tracing::warn!(%payment_id, %trace_key, %due, result, "a payment came before its day began at the bank: it is not submitted now");
}

pub(crate) fn asked(payment: &Payment, found: &KeyStatus) {
    let (payment_id, trace_key) = (payment.id, payment.trace_key);
    let (result, reason) = found_label(found);
    ASKED.add_for(result, 1);
    match reason {
        None => tracing::debug!(%payment_id, %trace_key, result, "asked"),
        Some(reason) if result == "no_answer" => {
            tracing::debug!(%payment_id, %trace_key, result, reason, "asked");
        }
        Some(reason) => tracing::info!(%payment_id, %trace_key, result, reason, "asked"),
    }
}

pub(crate) fn probed(found: &KeyStatus) {
    PROBED.add_for(found_label(found).0, 1);
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

/// Whether the confirmer keeps up with the settlements.
#[derive(Debug)]
pub(crate) struct SettlementLag;

impl BacklogReport for SettlementLag {
    const MESSAGES: &'static str = "confirmations";

    fn in_step(&self, in_step: bool) {
        BEHIND.set(if in_step { 0.0 } else { 1.0 });
        if in_step {
            tracing::info!("the confirmer has caught up: payments are received again");
        } else {
            tracing::info!(
                "too many settlements wait for the confirmer: no payment is received until it has caught up"
            );
        }
    }

    fn unread(&self) {
        ERRORS.add_for("depth", 1);
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

/// The trial failed: the circuit breaker is open.
pub(crate) fn trial_failed() {
    CIRCUIT.set(1.0);
}

pub(crate) fn circuit_closed() {
    CIRCUIT.set(0.0);
    tracing::info!("the transaction service takes payments again");
}

/// The answers call for a stop, which holds here from now on.
pub(crate) fn tripped(trip: &StopTrigger) {
    STOPS.add_for(trip.cause.as_str(), 1);
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
    STOPS.add_for(stop.cause.as_str(), 1);
    stop_stored(stop);
}

/// An operator has removed the stop.
pub(crate) fn resumed(stop: &DispatchStop) {
    stopped_for(None);
    CIRCUIT.set(0.0);
    let DispatchStop { id, cause, .. } = stop;
    tracing::warn!(%id, %cause, "the stop was removed: dispatching goes on, one payment at a time until one is taken");
}

fn stopped_for(cause: Option<StopCause>) {
    for each in StopCause::ALL {
        STOPPED.set_for(each.as_str(), if Some(each) == cause { 1.0 } else { 0.0 });
    }
}

pub(crate) fn stop_error(error: &StopError) {
    STOP_ERRORS.add(1);
    tracing::warn!(%error, "the stop of dispatching could not be read or stored: no payment is submitted until it can be");
}

pub(crate) fn limit(calls: usize) {
    LIMIT.set(calls as f64);
}
