//! Liveness: for how long a counter has stood still, by this relay's own clock. Pure.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// What was seen of each key.
#[derive(Debug, Default)]
pub(crate) struct CounterLiveness(HashMap<String, CounterState>);

#[derive(Debug, Clone, Copy)]
struct CounterState {
    counter: u64,
    since: Instant,
    moved: bool,
}

impl CounterLiveness {
    /// Takes in all counters as they are `now`; a key that is not among them is forgotten,
    /// and one that is new, or whose counter has moved, stands still from now on.
    pub(crate) fn observe<'a>(
        &mut self,
        counters: impl IntoIterator<Item = (&'a str, u64)>,
        now: Instant,
    ) {
        let before = std::mem::take(&mut self.0);
        let seen = |key: &str, counter| match before.get(key) {
            Some(seen) if seen.counter == counter => *seen,
            Some(_) => CounterState { counter, since: now, moved: true },
            None => CounterState { counter, since: now, moved: false },
        };
        self.0 = counters.into_iter().map(|(key, n)| (key.to_owned(), seen(key, n))).collect();
    }

    /// For how long the counter of `key` has stood still; not at all if it was never seen.
    pub(crate) fn still_for(&self, key: &str, now: Instant) -> Duration {
        self.0.get(key).map_or(Duration::ZERO, |seen| now.duration_since(seen.since))
    }

    /// Whether the counter of `key` was ever seen to move.
    pub(crate) fn has_moved(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|seen| seen.moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_stands_still_from_when_it_was_first_seen_until_it_moves() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut observations = CounterLiveness::default();
        assert_eq!(observations.still_for("a", at(9)), Duration::ZERO);
        observations.observe([("a", 7), ("b", 1)], at(0));
        observations.observe([("a", 7), ("b", 2)], at(4));
        assert_eq!(observations.still_for("a", at(5)), Duration::from_secs(5));
        assert_eq!(observations.still_for("b", at(5)), Duration::from_secs(1));
        assert!(observations.has_moved("b") && !observations.has_moved("a"));
        observations.observe([("b", 2)], at(6));
        observations.observe([("a", 7)], at(7));
        assert_eq!(observations.still_for("a", at(8)), Duration::from_secs(1));
    }
}
