//! Which shards the stream has, as far as it says so.

use std::collections::HashSet;
use std::time::Duration;

use shared::telemetry::admin::Calls;
use tokio::time::Instant;

use crate::events;
use crate::leases::keys::lease_key;
use crate::shards::source::Shard;
use crate::shards::source::{ShardSource, StreamError};

/// How often the stream is asked for new shards (`DynamoDB` splits them every few hours).
const DISCOVERY: Duration = Duration::from_secs(10);
/// The first pause before a stream that did not answer is asked again.
const LIST_RETRY: Duration = Duration::from_secs(1);

/// The stream's shards, and when it said so.
#[derive(Debug, Default)]
pub(crate) struct ShardList {
    shards: Vec<Shard>,
    listed_at: Option<Instant>,
    /// When the stream last said which shards it has.
    answered_at: Option<Instant>,
    /// When it was last asked, and how often in a row it has not said.
    asked_at: Option<Instant>,
    refusals: u32,
}

impl ShardList {
    /// Asks the stream for its shards when it is time.
    ///
    /// # Errors
    /// [`StreamError::Replaced`] or [`StreamError::NoStream`] when this is not the stream to be
    /// read any more.
    pub(crate) async fn refresh(
        &mut self,
        source: &dyn ShardSource,
        reading: &Calls,
    ) -> Result<(), StreamError> {
        let waits = |at: Option<Instant>, pause| at.is_some_and(|at| at.elapsed() < pause);
        if waits(self.listed_at, DISCOVERY) || waits(self.asked_at, pause_before(self.refusals)) {
            return Ok(());
        }
        (self.asked_at, self.refusals) = (Some(Instant::now()), self.refusals.saturating_add(1));
        match source.shards().await {
            Ok(shards) => {
                let now = Some(Instant::now());
                (self.shards, self.listed_at, self.answered_at) = (shards, now, now);
                self.refusals = 0;
            }
            Err(error @ (StreamError::Replaced(_) | StreamError::NoStream(_))) => {
                return Err(error);
            }
            Err(error) => {
                reading.failed(&error);
                events::read_failed("all", &error);
            }
        }
        Ok(())
    }

    /// All shards that were listed.
    pub(crate) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// There may be new shards: the stream is asked at once.
    pub(crate) fn outdated(&mut self) {
        self.listed_at = None;
    }

    pub(crate) fn is_known(&self) -> bool {
        self.listed_at.is_some()
    }

    /// Whether the stream has said lately which shards it has.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered_at.is_some_and(|at| at.elapsed() < DISCOVERY * 3)
    }

    /// The keys of the listed shards' leases, unless the list is old: that does not show that a
    /// shard is gone, which may be younger than the list.
    pub(crate) fn fresh_keys(&self, stream: &str, now: Instant) -> Option<HashSet<String>> {
        let fresh = self.listed_at.is_some_and(|at| now.duration_since(at) <= DISCOVERY * 2);
        fresh.then(|| self.shards.iter().map(|shard| lease_key(stream, &shard.id)).collect())
    }
}

/// The pause before the stream is asked again after so many refusals in a row.
fn pause_before(refusals: u32) -> Duration {
    match refusals {
        0 => Duration::ZERO,
        _ => LIST_RETRY.saturating_mul(2_u32.saturating_pow(refusals - 1)).min(DISCOVERY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_does_not_list_its_shards_is_asked_ever_more_seldom() {
        let pauses: Vec<_> = (0..7).map(|refusals| pause_before(refusals).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 10, 10]);
        assert_eq!(pause_before(u32::MAX), DISCOVERY);
    }
}
