//! The keys of the table of leases.
//!
//! What belongs to a stream begins with its name. Duties do not: a relay of a release that knew
//! none would take them for shards that the stream has dropped.

/// The key of a shard's lease.
pub(crate) fn lease_key(stream: &str, shard: &str) -> String {
    format!("{stream}/{shard}")
}

/// The key of a relay's sign of life.
pub(crate) fn heartbeat_key(stream: &str, relay: &str) -> String {
    format!("{stream}#relay/{relay}")
}

/// What the keys of all duties begin with.
pub(crate) fn sweep_lease_prefix(stream: &str) -> String {
    format!("due#{stream}/")
}

/// The key of a duty: a day, or `watch`.
pub(crate) fn sweep_lease_key(stream: &str, sweep_lease: &str) -> String {
    sweep_lease_prefix(stream) + sweep_lease
}
