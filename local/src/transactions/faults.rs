//! What goes wrong, and for which share of requests or keys.

use std::time::Duration;

use super::{
    availability::Availability, settled_at::SettledAt, stable_hash::StableHash,
    worker_pool::ServiceCapacity,
};

/// The fault switches. The default is a service without faults.
///
/// A share of 0.0 (or less, or NaN) means never and 1.0 (or more) means always.
/// Draws depend on nothing but the seed and the key (or the number of the
/// request), so a run can be repeated and its outcome foretold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Share of requests answered 503 with nothing done. Drawn anew for each
    /// request, so that a retry can succeed.
    pub unavailable: f64,
    /// Share of keys whose payment is settled but whose first request never
    /// gets an answer; a later request gets it.
    pub lose_answers: f64,
    /// Share of keys that are rejected with 422, on each attempt.
    pub reject: f64,
    /// Added to each answer, after the payment was settled.
    pub latency: Duration,
    /// The service forgets every key whose payment has ended, and settles a
    /// repeated one again: a fault that a reconciliation must find.
    pub forget_keys: bool,
    /// The service forgets a key that long after its payment was settled (or
    /// rejected in the asynchronous way). `None`: never.
    pub forget_keys_after: Option<Duration>,
    /// Payments are accepted with 202 and their results sent by callback. `None`:
    /// each is settled or rejected before its answer.
    pub asynchronous: Option<Asynchronous>,
    /// How many requests are served at a time. `None`: all.
    pub capacity: Option<ServiceCapacity>,
    /// Whether the service can be reached.
    pub availability: Availability,
    /// Makes the draws of one run differ from those of another.
    pub seed: u64,
}

/// How the service accepts payments and sends results later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asynchronous {
    /// Time from the 202 to the result, the latency not counted.
    pub delay: Duration,
    /// Share of keys whose result is never sent; asking for it still works.
    pub lose_callbacks: f64,
}

impl Default for Asynchronous {
    /// Results after 50 ms, none of them lost.
    fn default() -> Self {
        Self { delay: Duration::from_millis(50), lose_callbacks: 0.0 }
    }
}

/// Keeps the draws of one fault independent of those of another.
#[derive(Clone, Copy)]
enum Draw {
    Unavailable = 1,
    LoseAnswer = 2,
    Reject = 3,
    LoseCallback = 4,
}

impl Faults {
    /// Whether the payment under `key` is rejected, on every attempt alike.
    #[must_use]
    pub fn rejects(&self, key: &str) -> bool {
        self.draw(Draw::Reject).field(key.as_bytes()).fraction() < self.reject
    }

    /// Whether the request that settles `key` never gets an answer.
    #[must_use]
    pub fn loses_answer(&self, key: &str) -> bool {
        self.draw(Draw::LoseAnswer).field(key.as_bytes()).fraction() < self.lose_answers
    }

    /// Whether the result of `key` is never sent.
    #[must_use]
    pub fn loses_callback(&self, key: &str) -> bool {
        let share = self.asynchronous.map_or(0.0, |asynchronous| asynchronous.lose_callbacks);
        self.draw(Draw::LoseCallback).field(key.as_bytes()).fraction() < share
    }

    /// Whether a key whose payment ended at `ended` is too old at `now`. The
    /// clock is not read where keys are kept for ever.
    pub(crate) fn has_expired(&self, ended: SettledAt, now: impl FnOnce() -> SettledAt) -> bool {
        self.forget_keys_after.is_some_and(|after| now().since(ended) >= after)
    }

    /// Whether the `request`-th request since the start is answered 503.
    pub(crate) fn unavailable_at(&self, request: u64) -> bool {
        self.draw(Draw::Unavailable).number(request).fraction() < self.unavailable
    }

    fn draw(&self, draw: Draw) -> StableHash {
        StableHash::new().number(self.seed).number(draw as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: u64 = 20_000;

    /// Keys as dueflow makes them: UUIDv7, 16 of them in each millisecond.
    fn keys() -> impl Iterator<Item = String> {
        (0..KEYS).map(|n| {
            let millisecond = 0x0199_0000_0000 + n / 16;
            let (high, low) = (millisecond >> 16, millisecond & 0xffff);
            let tail = StableHash::new().number(n).finish() >> 16;
            format!("{high:08x}-{low:04x}-7abc-8def-{tail:012x}")
        })
    }

    fn losing(share: f64) -> Asynchronous {
        Asynchronous { lose_callbacks: share, ..Asynchronous::default() }
    }

    /// Four standard deviations of a draw of `KEYS` at `share`.
    fn assert_accurate(drawn: usize, share: f64, what: &str) {
        let expected = KEYS as f64 * share;
        let tolerance = 4.0 * (expected * (1.0 - share)).sqrt();
        let off = (drawn as f64 - expected).abs();
        assert!(
            off <= tolerance,
            "{what} at {share}: drew {drawn}, expected {expected} ± {tolerance:.0}"
        );
    }

    #[test]
    fn shares_are_accurate_over_20_000_keys() {
        for share in [0.001, 0.01, 0.02, 0.1, 0.5, 0.99] {
            for seed in 0..5 {
                let faults = Faults {
                    unavailable: share,
                    lose_answers: share,
                    reject: share,
                    asynchronous: Some(losing(share)),
                    seed,
                    ..Faults::default()
                };
                assert_accurate(keys().filter(|key| faults.rejects(key)).count(), share, "reject");
                assert_accurate(
                    keys().filter(|key| faults.loses_answer(key)).count(),
                    share,
                    "lose_answers",
                );
                assert_accurate(
                    keys().filter(|key| faults.loses_callback(key)).count(),
                    share,
                    "lose_callbacks",
                );
                assert_accurate(
                    (0..KEYS).filter(|n| faults.unavailable_at(*n)).count(),
                    share,
                    "unavailable",
                );
            }
        }
    }

    #[test]
    fn faults_are_drawn_independently_of_each_other() {
        let faults = Faults { lose_answers: 0.5, reject: 0.5, ..Faults::default() };
        let both = keys().filter(|key| faults.rejects(key) && faults.loses_answer(key)).count();
        assert_accurate(both, 0.25, "both");
    }

    #[test]
    fn another_seed_draws_other_keys() {
        let one = Faults { reject: 0.5, seed: 1, ..Faults::default() };
        let two = Faults { seed: 2, ..one };
        let same = keys().filter(|key| one.rejects(key) == two.rejects(key)).count();
        assert_accurate(same, 0.5, "same");
    }

    #[test]
    fn no_share_never_happens_and_a_whole_share_always() {
        let never = Faults::default();
        let always =
            Faults { unavailable: 1.0, lose_answers: 1.0, reject: 1.0, ..Faults::default() };
        assert!(!keys().any(|key| never.rejects(&key) || never.loses_answer(&key)));
        assert!(keys().all(|key| always.rejects(&key) && always.loses_answer(&key)));
        assert!((0..KEYS).all(|n| always.unavailable_at(n) && !never.unavailable_at(n)));
    }

    /// These numbers must never change: runs are repeated by their seed.
    #[test]
    fn draws_are_the_same_on_every_machine_and_in_every_version() {
        let faults = Faults { reject: 0.5, seed: 7, ..Faults::default() };
        let drawn: String =
            (0..16).map(|n| if faults.rejects(&format!("key-{n}")) { 'r' } else { '.' }).collect();
        assert_eq!(drawn, ".rrr.rr...rrrrr.");
    }
}
