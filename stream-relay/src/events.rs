//! What the relay counts and logs: one function for each thing that happens.

use domain::{DueDate, FailureCode, PaymentRef};
use jiff::SignedDuration;
use shared::queue::BacklogReport;
use shared::telemetry::Metric;
use shared::telemetry::calls::last_success;

use crate::batch_page;
use crate::labels::{SkipReason, SweepSkipReason};

const RECORDS: Metric = Metric::counter(
    "dueflow_stream_relay_records_total",
    "Stream records read, by what was done with them",
)
.by(
    "result",
    &[
        "forwarded",
        "not_due",
        "not_new",
        "blob",
        "malformed_record",
        "invalid_item",
        "overwritten",
        "removed_early",
    ],
);
const PAGES: Metric =
    Metric::counter("dueflow_stream_relay_pages_total", "GetRecords calls that succeeded");
const READ_ERRORS: Metric = Metric::counter(
    "dueflow_stream_relay_read_errors_total",
    "Calls to DynamoDB Streams that failed",
);
const BEHIND: Metric = Metric::gauge(
    "dueflow_stream_relay_waiting_for_dispatchers",
    "1 while young records are held back because many payments wait in the queue, else 0",
);
const DEPTH_ERRORS: Metric = Metric::counter(
    "dueflow_stream_relay_queue_depth_errors_total",
    "Failed calls that ask how many payments the queue holds",
);
const SEND_ERRORS: Metric = Metric::counter(
    "dueflow_stream_relay_send_errors_total",
    "Sends whose messages were not queued after all retries; the relay keeps them and sends them again",
);
const GAPS: Metric = Metric::counter(
    "dueflow_stream_relay_trim_gaps_total",
    "Times that the stream had dropped records before they were read",
);
const CHECKPOINTS: Metric = Metric::counter(
    "dueflow_stream_relay_checkpoints_total",
    "Stream positions written to the lease table",
);
const LEASES_LOST: Metric =
    Metric::counter("dueflow_stream_relay_leases_lost_total", "Leases that another relay took");
const LEASE_ERRORS: Metric = Metric::counter(
    "dueflow_stream_relay_lease_errors_total",
    "Calls to the lease table that failed",
);
const SWEEPS: Metric = Metric::counter(
    "dueflow_stream_relay_gap_recoveries_total",
    "Gap recoveries that were completed",
);
const SWEEP_ERRORS: Metric = Metric::counter(
    "dueflow_stream_relay_sweep_errors_total",
    "Calls to the payments table or the queue that failed during a day opening, a gap recovery or a lost-message scan",
);
const SWEPT: Metric = Metric::counter(
    "dueflow_stream_relay_gap_recovery_payments_total",
    "Payments that gap recoveries have queued",
);
const DAYS_OPENED: Metric =
    Metric::counter("dueflow_stream_relay_day_openings_total", "Day openings that were completed");
const OPENED: Metric = Metric::counter(
    "dueflow_stream_relay_day_opening_payments_total",
    "Payments that day openings have queued",
);
const UNOPENED: Metric = Metric::measured_gauge(
    "dueflow_stream_relay_unopened_day_age_seconds",
    "Time since the start of the oldest day that is not open yet, 0 when all are open",
);
const WATCHES: Metric = Metric::counter(
    "dueflow_stream_relay_lost_message_scans_total",
    "Scans for due payments whose message was lost, by what they found",
)
.by("result", &["none_waiting", "messages_present", "messages_missing"]);
const WATCHED: Metric = Metric::counter(
    "dueflow_stream_relay_lost_message_scan_payments_total",
    "Payments that lost-message scans have queued again",
);
const UNREADABLE: Metric = Metric::counter(
    "dueflow_stream_relay_lost_message_scan_unreadable_items_total",
    "SCHEDULED items that a lost-message scan could not read as payments",
);
const WITHHELD: Metric = Metric::counter(
    "dueflow_stream_relay_withheld_items_total",
    "Items set to FAILED because a person must decide before they are paid, by code",
)
.by("code", &["invalid_item", "overwritten", "malformed_record"]);
const MARK_ERRORS: Metric = Metric::counter(
    "dueflow_stream_relay_withhold_errors_total",
    "Failed attempts to set an item to FAILED; the relay tries again",
);
const LEFT: Metric = Metric::counter(
    "dueflow_stream_relay_sweep_skipped_items_total",
    "SCHEDULED items that a sweep did not queue, by reason",
)
.by("reason", &["keys", "day", "created_ahead", "overwritten"]);
const SHARDS: Metric =
    Metric::gauge("dueflow_stream_relay_leased_shards", "Shards whose lease this relay holds");
const LAST_RECORD_AGE: Metric = Metric::measured_gauge(
    "dueflow_stream_relay_last_record_age_seconds",
    "Age of the newest record of the last page that held any, when it was read",
);

const BATCH_CLOCK_ERRORS: Metric = Metric::counter(
    "dueflow_stream_relay_batch_clock_errors_total",
    "Failed calls of the batch clock: counting today's payments, or asking how many messages a queue holds",
)
.by("operation", &["count", "depth"]);
const LAST_SUCCESS: Metric =
    last_success(&["stream_read", "queue_send", "lost_message_scan", "batch_clock"]);

/// What every relay has on its page.
const OWN: [Metric; 26] = [
    RECORDS,
    PAGES,
    READ_ERRORS,
    SEND_ERRORS,
    BEHIND,
    DEPTH_ERRORS,
    GAPS,
    CHECKPOINTS,
    LEASES_LOST,
    LEASE_ERRORS,
    SWEEPS,
    SWEEP_ERRORS,
    SWEPT,
    DAYS_OPENED,
    OPENED,
    UNOPENED,
    WATCHES,
    WATCHED,
    UNREADABLE,
    WITHHELD,
    MARK_ERRORS,
    LEFT,
    SHARDS,
    LAST_RECORD_AGE,
    BATCH_CLOCK_ERRORS,
    LAST_SUCCESS,
];

/// All metrics of the relay: its own, then those that only the holder of the batch clock shows.
pub const METRICS: &[Metric] = &{
    let mut all = [LAST_SUCCESS; OWN.len() + batch_page::METRICS.len()];
    let (own, batch) = all.split_at_mut(OWN.len());
    own.copy_from_slice(&OWN);
    batch.copy_from_slice(&batch_page::METRICS);
    all
};

/// Today's payments were not counted.
pub(crate) fn batch_not_counted(error: &dyn std::error::Error) {
    BATCH_CLOCK_ERRORS.add_for("count", 1);
    tracing::warn!(%error, "the payments that are due today could not be counted: the batch clock tries again");
}

/// A queue did not say how many messages it holds.
pub(crate) fn depth_unread(queue: &'static str, error: &dyn std::error::Error) {
    BATCH_CLOCK_ERRORS.add_for("depth", 1);
    tracing::debug!(queue, %error, "the depth of a queue could not be read for the page");
}

/// A duty was done.
pub(crate) fn succeeded(duty: &'static str) {
    LAST_SUCCESS.set_to_now_for(duty);
}

pub(crate) fn page_read(record_age_seconds: Option<f64>) {
    PAGES.add(1);
    succeeded("stream_read");
    if let Some(age) = record_age_seconds {
        LAST_RECORD_AGE.set(age);
    }
}

pub(crate) fn forwarded(count: usize) {
    RECORDS.add_for("forwarded", count as u64);
}

pub(crate) fn skipped(why: SkipReason) {
    RECORDS.add_for(why.as_str(), 1);
}

pub(crate) fn unfit(sequence: &str, code: FailureCode, attribute: &str) {
    RECORDS.add_for(code.as_str(), 1);
    let what = if code == FailureCode::Overwritten {
        "another program has written over a payment"
    } else {
        "a new item is no payment, or breaks the item contract"
    };
    // Without the reason, which may hold the account.
    tracing::error!(
        sequence,
        code = code.as_str(),
        attribute,
        "{what}: it is not paid, and goes to the dead-letter queue"
    );
}

pub(crate) fn withheld(code: FailureCode) {
    WITHHELD.add_for(code.as_str(), 1);
}

pub(crate) fn mark_failed(error: &dyn std::error::Error) {
    MARK_ERRORS.add(1);
    tracing::warn!(%error, "an item that must not be paid could not be made FAILED: it is tried again");
}

pub(crate) fn removed(reference: &PaymentRef) {
    RECORDS.add_for("removed_early", 1);
    // Without the account.
    let item = format!("{}-{}", reference.due, reference.id);
    tracing::error!(item, "another program has deleted a payment of today or of a day ahead");
}

pub(crate) fn left(reference: &PaymentRef, day: DueDate, why: SweepSkipReason) {
    LEFT.add_for(why.as_str(), 1);
    // Without the account.
    let item = format!("{}-{}", reference.due, reference.id);
    let reason = why.as_str();
    tracing::error!(
        item,
        %day,
        reason,
        "a sweep skipped a SCHEDULED item that is not what the index says: run dueflow payments audit"
    );
}

pub(crate) fn read_failed(shard: &str, error: &dyn std::error::Error) {
    READ_ERRORS.add(1);
    tracing::warn!(shard, %error, "reading the stream failed: it is tried again");
}

pub(crate) fn lease_failed(lease: &str, error: &dyn std::error::Error) {
    LEASE_ERRORS.add(1);
    tracing::warn!(lease, %error, "a call to the table of leases failed: it is tried again");
}

/// Whether the dispatchers keep up with what is queued.
#[derive(Debug)]
pub(crate) struct DispatchLag;

impl BacklogReport for DispatchLag {
    const MESSAGES: &'static str = "payments";

    fn in_step(&self, in_step: bool) {
        BEHIND.set(if in_step { 0.0 } else { 1.0 });
        if in_step {
            tracing::info!("the dispatchers have caught up: the stream is read on");
        } else {
            tracing::info!(
                "many payments wait for the dispatchers: records that are younger than four minutes wait in the stream"
            );
        }
    }

    fn unread(&self) {
        DEPTH_ERRORS.add(1);
    }
}

pub(crate) fn send_failed(error: &dyn std::error::Error) {
    SEND_ERRORS.add(1);
    tracing::warn!(%error, "queueing payments failed: it is tried again");
}

pub(crate) fn gap(shard: &str, after: &str) {
    GAPS.add(1);
    tracing::error!(
        shard,
        after,
        "the stream has dropped records that were not read: the gap recovery queues what is due from the table"
    );
}

pub(crate) fn checkpointed() {
    CHECKPOINTS.add(1);
}

pub(crate) fn lease_lost(shard: &str, owner: &str) {
    LEASES_LOST.add(1);
    tracing::warn!(
        shard,
        owner,
        "another relay has taken this lease: this relay stops working on it"
    );
}

pub(crate) fn shards(count: usize) {
    SHARDS.set(count as f64);
}

pub(crate) fn sweep_started() {
    tracing::info!("gap recovery starts");
}

pub(crate) fn unopened(since: Option<SignedDuration>) {
    UNOPENED.set(since.map_or(0.0, |since| since.as_secs_f64().max(0.0)));
}

pub(crate) fn opened_payments(count: usize) {
    OPENED.add(count as u64);
}

pub(crate) fn opened_early(day: &str) {
    tracing::error!(
        day,
        "a relay with another clock or time zone opened this day before it began: it is opened again"
    );
}

pub(crate) fn opened(day: &str) {
    DAYS_OPENED.add(1);
    tracing::info!(day, "a day is open: what was inserted before it is queued");
}

pub(crate) fn count_failed(error: &dyn std::error::Error) {
    SWEEP_ERRORS.add(1);
    tracing::warn!(%error, "the messages could not be counted: the lost-message scan runs again in a minute");
}

pub(crate) fn uncovered(waiting: u64, queued: u64) {
    tracing::warn!(waiting, queued, "payments that are due have no message: they are queued again");
}

pub(crate) fn scan_payments(count: usize) {
    WATCHED.add(count as u64);
}

/// Payments were queued whose account has few, in spite of many messages.
pub(crate) fn queued_regardless(count: usize) {
    scan_payments(count);
    tracing::warn!(
        count,
        "payments have waited for long behind many messages: they are queued again"
    );
}

pub(crate) fn scanned(result: &'static str) {
    WATCHES.add_for(result, 1);
    succeeded("lost_message_scan");
}

pub(crate) fn unreadable(reference: &PaymentRef, error: &dyn std::error::Error) {
    UNREADABLE.add(1);
    // Without the account.
    let item = format!("{}-{}", reference.due, reference.id);
    tracing::error!(item, %error, "a SCHEDULED item cannot be read as a payment and is never queued: run dueflow payments audit");
}

pub(crate) fn sweep_failed(error: &dyn std::error::Error) {
    SWEEP_ERRORS.add(1);
    tracing::warn!(%error, "the payments table could not be read: it is tried again");
}

pub(crate) fn swept_payments(count: usize) {
    SWEPT.add(count as u64);
}

pub(crate) fn swept(payments: usize) {
    SWEEPS.add(1);
    tracing::info!(payments, "gap recovery is complete");
}

pub(crate) fn swept_malformed(item: &str, reason: &str) {
    tracing::error!(
        item,
        reason,
        "an item of the payments table is no payment: its reference goes to the dead-letter queue"
    );
}
