//! What the relay counts and logs: one function for each thing that happens.

use shared::domain::FailureCode;
use shared::telemetry::Metric;

use crate::record::Skipped;

const RECORDS: Metric = Metric::counter(
    "stream_relay_records_total",
    "Stream records read, by what was done with them",
);
const PAGES: Metric =
    Metric::counter("stream_relay_pages_total", "GetRecords calls that succeeded");
const READ_ERRORS: Metric =
    Metric::counter("stream_relay_read_errors_total", "Calls to DynamoDB Streams that failed");
const SEND_ERRORS: Metric = Metric::counter(
    "stream_relay_send_errors_total",
    "Times that messages were still not queued after all retries, and were kept to be sent again",
);
const GAPS: Metric = Metric::counter(
    "stream_relay_trim_gaps_total",
    "Times that the stream had dropped records which were not read yet",
);
const CHECKPOINTS: Metric =
    Metric::counter("stream_relay_checkpoints_total", "Positions written to the table of leases");
const LEASES_LOST: Metric =
    Metric::counter("stream_relay_leases_lost_total", "Leases that another relay took");
const LEASE_ERRORS: Metric =
    Metric::counter("stream_relay_lease_errors_total", "Calls to the table of leases that failed");
const SWEEPS: Metric = Metric::counter("stream_relay_sweeps_total", "Sweeps that were completed");
const SWEEP_ERRORS: Metric = Metric::counter(
    "stream_relay_sweep_errors_total",
    "Calls to the payments table that failed during a sweep",
);
const SWEPT: Metric =
    Metric::counter("stream_relay_swept_payments_total", "Payments that sweeps have queued");
const SHARDS: Metric = Metric::gauge("stream_relay_shards", "Shards that this relay reads");
const LAG: Metric = Metric::gauge(
    "stream_relay_lag_seconds",
    "Age of the newest record of the last page that held any",
);

/// All metrics of the relay.
pub const METRICS: &[Metric] = &[
    RECORDS,
    PAGES,
    READ_ERRORS,
    SEND_ERRORS,
    GAPS,
    CHECKPOINTS,
    LEASES_LOST,
    LEASE_ERRORS,
    SWEEPS,
    SWEEP_ERRORS,
    SWEPT,
    SHARDS,
    LAG,
];

pub(crate) fn page_read(lag_seconds: Option<f64>) {
    PAGES.add(1);
    if let Some(lag) = lag_seconds {
        LAG.set(lag);
    }
}

pub(crate) fn forwarded(count: usize) {
    RECORDS.add_for("result", "forwarded", count as u64);
}

pub(crate) fn skipped(why: Skipped) {
    RECORDS.add_for("result", why.as_str(), 1);
}

pub(crate) fn malformed(sequence: &str, reason: &str) {
    RECORDS.add_for("result", FailureCode::MalformedRecord.as_str(), 1);
    tracing::error!(
        sequence,
        reason,
        "a stream record is no payment: it goes to the dead-letter queue"
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

pub(crate) fn send_failed(error: &dyn std::error::Error) {
    SEND_ERRORS.add(1);
    tracing::warn!(%error, "queueing payments failed: it is tried again");
}

pub(crate) fn gap(shard: &str, after: &str) {
    GAPS.add(1);
    tracing::error!(
        shard,
        after,
        "the stream has dropped records that were not read: a sweep will queue what is due"
    );
}

pub(crate) fn checkpointed() {
    CHECKPOINTS.add(1);
}

pub(crate) fn lease_lost(shard: &str, owner: &str) {
    LEASES_LOST.add(1);
    tracing::warn!(shard, owner, "another relay has taken this shard: standing by");
}

pub(crate) fn shards(count: usize) {
    SHARDS.set(count as f64);
}

pub(crate) fn sweep_started() {
    tracing::info!("a sweep of the table starts");
}

pub(crate) fn sweep_failed(error: &dyn std::error::Error) {
    SWEEP_ERRORS.add(1);
    tracing::warn!(%error, "a sweep could not read the table: it is tried again");
}

pub(crate) fn swept_payments(count: usize) {
    SWEPT.add(count as u64);
}

pub(crate) fn swept(payments: usize) {
    SWEEPS.add(1);
    tracing::info!(payments, "a sweep of the table is complete");
}

pub(crate) fn swept_malformed(item: &str, reason: &str) {
    tracing::error!(
        item,
        reason,
        "an item of the payments table is no payment: its reference goes to the dead-letter queue"
    );
}
