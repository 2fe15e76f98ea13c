//! How long payments took, from the times on their items: pure.

use jiff::Timestamp;
use serde::Serialize;

/// Times of a run, in seconds unless a name says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timing {
    /// From the start of the work (the first insert, or the services' start with
    /// `--backlog`) to the last payment's end.
    pub seconds: f64,
    /// Payments ended per second in that time.
    pub payments_per_second: f64,
    /// From insertion to PROCESSED: half of the payments were faster.
    pub p50_ms: u64,
    /// 95 % were faster.
    pub p95_ms: u64,
    /// 99 % were faster.
    pub p99_ms: u64,
    /// How long each tenth of the payments took to be PROCESSED, from the first of them on.
    pub tenths_seconds: [f64; 10],
}

/// Times of PROCESSED payments, gathered one by one.
#[derive(Debug, Default)]
pub struct Times {
    /// Milliseconds since the epoch at which each was PROCESSED.
    processed_at: Vec<i64>,
    /// Milliseconds each took.
    took: Vec<i64>,
    last_end: Option<Timestamp>,
    ended: u64,
}

impl Times {
    /// Adds a payment that is PROCESSED.
    pub fn processed(&mut self, inserted: Timestamp, processed: Timestamp) {
        self.processed_at.push(processed.as_millisecond());
        self.took.push(processed.as_millisecond() - inserted.as_millisecond());
        self.ended_at(processed);
    }

    /// Adds a payment that ended otherwise.
    pub fn ended_at(&mut self, at: Timestamp) {
        self.ended += 1;
        self.last_end = self.last_end.max(Some(at));
    }

    /// Sums up a run that began at `start`.
    pub fn sum_up(mut self, start: Timestamp) -> Timing {
        let Some(last_end) = self.last_end else {
            return Timing::default();
        };
        self.processed_at.sort_unstable();
        self.took.sort_unstable();
        let seconds = (last_end.as_millisecond() - start.as_millisecond()).max(1) as f64 / 1000.0;
        let percentile = |percent: usize| {
            let at = (self.took.len() * percent / 100).min(self.took.len().saturating_sub(1));
            self.took.get(at).map_or(0, |took| u64::try_from(*took).unwrap_or_default())
        };
        let last = self.processed_at.len().saturating_sub(1);
        let at = |tenth: usize| self.processed_at.get(last * tenth / 10).copied().unwrap_or(0);
        let tenths = std::array::from_fn(|tenth| (at(tenth + 1) - at(tenth)) as f64 / 1000.0);
        Timing {
            seconds,
            payments_per_second: self.ended as f64 / seconds,
            p50_ms: percentile(50),
            p95_ms: percentile(95),
            p99_ms: percentile(99),
            tenths_seconds: tenths,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn percentiles_and_tenths_are_those_of_the_sorted_times() {
        let mut times = Times::default();
        for n in (0..1_000).rev() {
            times.processed(at(0), at(n));
        }
        let timing = times.sum_up(at(-1));
        assert_eq!((timing.p50_ms, timing.p95_ms, timing.p99_ms), (500, 950, 990));
        assert!(timing.tenths_seconds.iter().all(|tenth| (0.099..=0.1).contains(tenth)));
        assert_eq!((timing.seconds, timing.payments_per_second), (1.0, 1_000.0));
    }

    #[test]
    fn nothing_ended_is_no_division_by_zero() {
        assert_eq!(Times::default().sum_up(at(0)), Timing::default());
    }
}
