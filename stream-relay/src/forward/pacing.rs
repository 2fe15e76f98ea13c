//! Pacing: what the dispatchers cannot work on yet stays in the stream for a while.
//!
//! A relay is several times as fast as the dispatchers. Were a million payments queued at once,
//! they would wait there instead of in the stream, and sending them would take from the claims and
//! settlements of the first what these need of the same database and queues.

use std::time::Duration;

use jiff::Timestamp;
use shared::clock::Clock;
use shared::queue::{BacklogLimits, InStep};

/// Most payments that wait in the queue before the relay reads on more slowly. SQS looks for
/// messages among the first 120,000 of a queue, and its counts are some seconds old.
pub(crate) const UNDISPATCHED: BacklogLimits =
    BacklogLimits { longest: Duration::from_secs(30), always: 20_000 };
/// For how long at most a record waits here, from when it was written. It is well below the time
/// after which a payment without a message counts as lost, and nothing beside the 24 hours of the
/// stream.
pub(crate) const LONGEST_HOLD: Duration = Duration::from_secs(4 * 60);

/// Holds records back while the dispatchers are behind.
#[derive(Debug, Clone)]
pub(crate) struct Pacing {
    pub(crate) dispatchers: InStep,
    pub(crate) clock: Clock,
}

impl Pacing {
    /// Waits until the dispatchers keep up, or until a record that was `written` then has waited
    /// for [`LONGEST_HOLD`]; not at all when nobody knows when it was. Dropping it is safe.
    pub(crate) async fn wait(&self, written: Option<Timestamp>) {
        let Some(written) = written else { return };
        let waited = self.clock.now().duration_since(written);
        // A time ahead is another clock's: it has not waited yet.
        let waited = Duration::try_from(waited).unwrap_or_default();
        let left = LONGEST_HOLD.saturating_sub(waited);
        let _ = tokio::time::timeout(left, self.dispatchers.wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use tokio::sync::watch;
    use tokio::time::Instant;

    use super::*;

    /// How many seconds a record waits that was written so many seconds ago.
    async fn waits(keep_up: bool, ago: i64) -> u64 {
        let clock = Clock::new(|| "2026-11-23T01:00:00Z".parse().unwrap());
        let written = clock.now() - SignedDuration::from_secs(ago);
        let (_monitor, found) = watch::channel(keep_up);
        let pacing = Pacing { dispatchers: InStep::of(found), clock };
        let began = Instant::now();
        pacing.wait(Some(written)).await;
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_is_held_back_for_four_minutes_at_most_and_an_old_one_not_at_all() {
        assert_eq!(waits(false, 0).await, 240);
        assert_eq!(waits(false, 239).await, 1);
        assert_eq!(waits(false, 240).await, 0);
        assert_eq!(waits(false, 86_400).await, 0);
        assert_eq!(waits(false, -3_600).await, 240, "written by a clock that is ahead");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_held_back_while_the_dispatchers_keep_up() {
        assert_eq!(waits(true, 0).await, 0);
    }
}
