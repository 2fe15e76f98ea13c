//! The keys of the table of leases.
//!
//! Keys of shards and heartbeats begin with the stream's name. Keys of days and of the lost-message
//! scan do not: a release that does not know them would take them for dropped shards.

/// The key of a shard's lease.
pub(crate) fn lease_key(stream: &str, shard: &str) -> String {
    format!("{stream}/{shard}")
}

/// The key of a relay's heartbeat.
pub(crate) fn heartbeat_key(stream: &str, relay: &str) -> String {
    format!("{stream}#relay/{relay}")
}

/// The prefix of the keys of days and of the lost-message scan.
pub(crate) fn sweep_lease_prefix(stream: &str) -> String {
    format!("due#{stream}/")
}

/// The key of a sweep: a day, `watch` for the lost-message scan, or `batch-clock`.
pub(crate) fn sweep_lease_key(stream: &str, sweep_lease: &str) -> String {
    sweep_lease_prefix(stream) + sweep_lease
}
