//! How often and how patiently a call is repeated: named presets, each with its reason.
//!
//! The AWS SDK repeats whole requests by itself (see [`crate::aws`]); these presets are for
//! what it does not see: the failed part of a batch, and loops that must not give up.

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// A bounded, growing, jittered series of pauses.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    first: Duration,
    longest: Duration,
    /// Repetitions after the first try; `None` for loops that end only with the process.
    repeats: Option<usize>,
}

/// Statements throttled inside a batch: about 3 s in all.
pub const TABLE_STATEMENTS: Preset =
    Preset { first: Duration::from_millis(50), longest: Duration::from_secs(1), repeats: Some(6) };

/// Failed entries of a queue batch: about 3 s in all. What is still unsent then goes back to
/// its source, which delivers it again.
pub const QUEUE_ENTRIES: Preset =
    Preset { first: Duration::from_millis(50), longest: Duration::from_secs(1), repeats: Some(6) };

/// Receive loops, stream reads and the relay's sends: they go on until the process ends,
/// because giving up would leave payments where they lie.
pub const NEVER_GIVE_UP: Preset =
    Preset { first: Duration::from_millis(100), longest: Duration::from_secs(10), repeats: None };

impl Preset {
    /// The pauses, longest last, each with up to its own length of jitter added.
    pub fn pauses(self) -> impl Iterator<Item = Duration> + Send {
        let builder = ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_jitter();
        match self.repeats {
            Some(repeats) => builder.with_max_times(repeats),
            None => builder.without_max_times(),
        }
        .build()
    }

    /// Repeats `call` while it fails with an error that `may_pass`, as often as the preset says.
    ///
    /// # Errors
    /// The last error.
    pub async fn retry<T, E, F: Future<Output = Result<T, E>>>(
        self,
        mut call: impl FnMut() -> F,
        may_pass: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let mut pauses = self.pauses();
        loop {
            let result = call().await;
            if result.as_ref().err().is_none_or(|error| !may_pass(error)) {
                return result;
            }
            match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_presets_give_up_within_seconds() {
        for preset in [TABLE_STATEMENTS, QUEUE_ENTRIES] {
            let pauses: Vec<_> = preset.pauses().collect();
            assert_eq!(pauses.len(), 6);
            assert!(pauses.iter().sum::<Duration>() < Duration::from_secs(10), "{pauses:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_failure_that_may_pass_is_repeated() {
        let mut calls = 0;
        let mut call = || {
            calls += 1;
            std::future::ready(Err::<(), _>("down"))
        };
        assert!(QUEUE_ENTRIES.retry(&mut call, |_| false).await.is_err());
        assert!(QUEUE_ENTRIES.retry(&mut call, |_| true).await.is_err());
        assert_eq!(calls, 1 + 7);
    }

    #[test]
    fn a_loop_that_never_gives_up_never_waits_longer_than_twice_its_longest_pause() {
        let longest = NEVER_GIVE_UP.pauses().take(1_000).max().unwrap();
        assert!(longest <= Duration::from_secs(20), "{longest:?}");
    }
}
