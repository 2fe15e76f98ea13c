//! Telling a thing once, however often it happens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a reason is not told again.
const QUIET: Duration = Duration::from_secs(60);
/// Reasons that are known at once; others are told together.
const REASONS: usize = 64;
/// What the others are called.
const OTHERS: &str = "others";

/// The reasons that were told lately.
#[derive(Debug, Default)]
pub(crate) struct Rarely(Mutex<HashMap<String, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    since: u64,
}

impl Rarely {
    /// Whether a reason is to be told now, and how often it was not since it was told last. What
    /// stands in its last brackets is a place, and does not make it another one.
    pub(crate) fn tell(&self, reason: &str) -> Option<u64> {
        let kind = reason.rsplit_once(" (").map_or(reason, |(kind, _)| kind);
        let now = Instant::now();
        // Each critical section changes a map and cannot panic in between.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = if told.len() < REASONS || told.contains_key(kind) { kind } else { OTHERS };
        match told.get_mut(kind) {
            Some(before) if now.duration_since(before.at) < QUIET => {
                before.since += 1;
                None
            }
            Some(before) => {
                before.at = now;
                Some(std::mem::take(&mut before.since))
            }
            None => {
                told.insert(kind.to_owned(), Told { at: now, since: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_told_once_a_minute_with_how_often_it_was_not() {
        let rarely = Rarely::default();
        assert_eq!(rarely.tell("no JSON (line 1, column 1)"), Some(0));
        for column in 2..100 {
            assert_eq!(rarely.tell(&format!("no JSON (line 1, column {column})")), None);
        }
        assert_eq!(rarely.tell("status: rejected, not settled"), Some(0));
        tokio::time::advance(QUIET).await;
        assert_eq!(rarely.tell("no JSON (line 1, column 1)"), Some(98));
        assert_eq!(rarely.tell("no JSON (line 1, column 1)"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn reasons_without_end_take_no_memory_without_end() {
        let rarely = Rarely::default();
        let told = (0..10_000).filter(|n| rarely.tell(&format!("reason {n}")).is_some()).count();
        assert_eq!(told, REASONS + 1);
        assert!(rarely.0.lock().unwrap().len() <= REASONS + 1);
    }
}
