//! Whether relays live and read every shard. A relay whose counter in the table of leases moves
//! between two reads lives.

use std::time::Duration;

use shared::aws::Aws;
use shared::config::Names;
use stream_relay::{Checkpoint, HEARTBEAT_INTERVAL, LeaseError, RelayStatus};
use tokio::time::Instant;

use super::check::{Check, CheckResult};
use super::format::several;

/// Time between two reads.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads it twice, and waits between for as long as a living relay may take to write a heartbeat: two
/// of its pauses, and a call that takes long. No longer than until all have moved.
///
/// # Errors
/// [`LeaseError`] when the table of leases cannot be read.
pub(super) async fn look(
    aws: &Aws,
    names: &Names,
    stream: &str,
) -> Result<(RelayStatus, RelayStatus), LeaseError> {
    let first = RelayStatus::read(aws, names, stream).await?;
    let deadline = Instant::now() + HEARTBEAT_INTERVAL * 2 + PAUSE * 4;
    loop {
        tokio::time::sleep(PAUSE).await;
        let later = RelayStatus::read(aws, names, stream).await?;
        let all = !later.relays.is_empty() && living(&first, &later).len() == later.relays.len();
        if (all && unread(&first, &later).is_empty()) || Instant::now() >= deadline {
            return Ok((first, later));
        }
    }
}

/// The relays whose heartbeats have moved.
fn living<'a>(first: &RelayStatus, later: &'a RelayStatus) -> Vec<&'a str> {
    let moved = |(name, counter): &(&String, &u64)| first.relays.get(*name) != Some(*counter);
    later.relays.iter().filter(moved).map(|(name, _)| name.as_str()).collect()
}

/// The shards that are not read to their end and whose reader writes no heartbeat, or that have none.
fn unread<'a>(first: &RelayStatus, later: &'a RelayStatus) -> Vec<&'a str> {
    let living = living(first, later);
    let shards = later.shards.iter().filter(|(name, lease)| {
        let open = lease.checkpoint != Checkpoint::ShardEnd;
        let moved = first.shards.get(*name).is_none_or(|seen| seen.counter != lease.counter);
        let read = lease.owner.as_deref().is_some_and(|owner| moved || living.contains(&owner));
        open && !read
    });
    shards.map(|(name, _)| name.as_str()).collect()
}

/// Whether somebody reads the stream, all of it.
pub(super) fn evaluate(first: &RelayStatus, later: &RelayStatus) -> CheckResult {
    let check = Check::Relays;
    let alive = living(first, later);
    let silent = later.relays.len() - alive.len();
    let mut figure = several(alive.len() as u64, "relay alive");
    if alive.len() != 1 {
        figure = format!("{} relays alive", alive.len());
    }
    if silent > 0 {
        figure.push_str(&format!(", {silent} without a heartbeat"));
    }
    if alive.is_empty() {
        let remedy = "start stream-relay, with the same DUEFLOW_PREFIX";
        return CheckResult::no_go(check, figure, "at least 1", remedy);
    }
    let unread = unread(first, later);
    if unread.is_empty() {
        let ended = later.shards.values().filter(|lease| lease.checkpoint == Checkpoint::ShardEnd);
        let open = later.shards.len() - ended.count();
        figure.push_str(&format!(", {} read", several(open as u64, "shard")));
        return CheckResult::go(check, figure, "");
    }
    let figure = format!("{figure}; nobody reads {}", several(unread.len() as u64, "shard"));
    let remedy = "within 15 s another relay takes a shard over: run preflight again, then look \
                  into the relays' logs";
    CheckResult::warn(check, figure, "every shard is read", remedy)
}

#[cfg(test)]
mod tests {
    use stream_relay::ShardLease;

    use super::super::check::Severity;
    use super::*;

    fn status(
        relays: &[(&str, u64)],
        shards: &[(&str, Option<&str>, u64, Checkpoint)],
    ) -> RelayStatus {
        let relays = relays.iter().map(|(name, counter)| ((*name).to_owned(), *counter)).collect();
        let shards = shards.iter().map(|(name, owner, counter, checkpoint)| {
            let owner = owner.map(str::to_owned);
            let lease = ShardLease { owner, counter: *counter, checkpoint: checkpoint.clone() };
            ((*name).to_owned(), lease)
        });
        RelayStatus { relays, shards: shards.collect() }
    }

    const OPEN: Checkpoint = Checkpoint::TrimHorizon;

    #[test]
    fn a_relay_lives_when_its_heartbeat_moves_and_without_one_it_is_a_no_go() {
        let none = status(&[], &[]);
        assert_eq!(evaluate(&none, &none).severity, Severity::NoGo);
        let still = status(&[("a", 7)], &[("s", Some("a"), 3, OPEN)]);
        assert_eq!(evaluate(&still, &still).severity, Severity::NoGo);
        let moved = status(&[("a", 8)], &[("s", Some("a"), 3, OPEN)]);
        assert_eq!(evaluate(&still, &moved).severity, Severity::Go);
        assert_eq!(evaluate(&none, &moved).severity, Severity::Go, "it has just started");
        let two = status(&[("a", 8), ("b", 1)], &[("s", Some("a"), 3, OPEN)]);
        let one = status(&[("a", 9), ("b", 1)], &[("s", Some("a"), 4, OPEN)]);
        let result = evaluate(&two, &one);
        assert_eq!(result.severity, Severity::Go);
        assert!(result.figure.contains("1 without a heartbeat"), "{result:?}");
    }

    #[test]
    fn a_shard_that_nobody_reads_is_a_warning_until_it_is_read_to_its_end() {
        let first = status(&[("a", 1)], &[]);
        for (lease, severity) in [
            (("s", Some("a"), 1, OPEN), Severity::Go),
            (("s", None, 1, OPEN), Severity::Warn),
            (("s", Some("dead"), 1, OPEN), Severity::Warn),
            (("s", Some("dead"), 1, Checkpoint::ShardEnd), Severity::Go),
            (("s", None, 1, Checkpoint::ShardEnd), Severity::Go),
        ] {
            let words = format!("{lease:?}");
            let mut first = first.clone();
            first.shards = status(&[], std::slice::from_ref(&lease)).shards;
            let later = status(&[("a", 2)], &[lease]);
            assert_eq!(evaluate(&first, &later).severity, severity, "{words}");
        }
    }
}
