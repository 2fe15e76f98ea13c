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
    /// The time that PROCESSED payments were PENDING.
    pub pending: PendingTiming,
}

/// For how long payments were PENDING: from their claim to PROCESSED.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PendingTiming {
    /// Half of them for less.
    pub p50_ms: u64,
    /// 95 % for less.
    pub p95_ms: u64,
    /// 99 % for less.
    pub p99_ms: u64,
    /// How many were PENDING at the same time, at most.
    pub most: usize,
}

/// Times of PROCESSED payments, gathered one by one.
#[derive(Debug, Default)]
pub struct Times {
    /// Milliseconds since the epoch at which each was claimed.
    claimed_at: Vec<i64>,
    /// The same at which each was PROCESSED.
    processed_at: Vec<i64>,
    /// Milliseconds each was PENDING.
    pending: Vec<i64>,
    /// Milliseconds each took.
    took: Vec<i64>,
    last_end: Option<Timestamp>,
    ended: u64,
}

impl Times {
    /// Adds a payment that is PROCESSED.
    pub fn processed(&mut self, inserted: Timestamp, claimed: Timestamp, processed: Timestamp) {
        self.claimed_at.push(claimed.as_millisecond());
        self.processed_at.push(processed.as_millisecond());
        self.pending.push(processed.as_millisecond() - claimed.as_millisecond());
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
        for times in
            [&mut self.claimed_at, &mut self.processed_at, &mut self.pending, &mut self.took]
        {
            times.sort_unstable();
        }
        let seconds = (last_end.as_millisecond() - start.as_millisecond()).max(1) as f64 / 1000.0;
        let last = self.processed_at.len().saturating_sub(1);
        let at = |tenth: usize| self.processed_at.get(last * tenth / 10).copied().unwrap_or(0);
        let tenths = std::array::from_fn(|tenth| (at(tenth + 1) - at(tenth)) as f64 / 1000.0);
        Timing {
            seconds,
            payments_per_second: self.ended as f64 / seconds,
            p50_ms: percentile(&self.took, 50),
            p95_ms: percentile(&self.took, 95),
            p99_ms: percentile(&self.took, 99),
            tenths_seconds: tenths,
            pending: PendingTiming {
                p50_ms: percentile(&self.pending, 50),
                p95_ms: percentile(&self.pending, 95),
                p99_ms: percentile(&self.pending, 99),
                most: most_at_once(&self.claimed_at, &self.processed_at),
            },
        }
    }
}

fn percentile(sorted: &[i64], percent: usize) -> u64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0, |millis| u64::try_from(*millis).unwrap_or_default())
}

/// How many have begun and not ended at the same time, at most; both lists are sorted.
fn most_at_once(begun: &[i64], ended: &[i64]) -> usize {
    let open = begun.iter().enumerate().map(|(before, at)| {
        let over = ended.partition_point(|end| end <= at);
        (before + 1).saturating_sub(over)
    });
    open.max().unwrap_or_default()
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
            times.processed(at(0), at(n / 2), at(n));
        }
        let timing = times.sum_up(at(-1));
        assert_eq!((timing.p50_ms, timing.p95_ms, timing.p99_ms), (500, 950, 990));
        assert!(timing.tenths_seconds.iter().all(|tenth| (0.099..=0.1).contains(tenth)));
        assert_eq!((timing.seconds, timing.payments_per_second), (1.0, 1_000.0));
        let PendingTiming { p50_ms, p95_ms, p99_ms, most } = timing.pending;
        assert_eq!((p50_ms, p95_ms, p99_ms), (250, 475, 495));
        // All are claimed by 499, and 0 to 499 have ended then.
        assert_eq!(most, 500);
    }

    #[test]
    fn what_ends_when_another_begins_is_not_open_beside_it() {
        assert_eq!(most_at_once(&[0, 10, 20], &[10, 20, 30]), 1);
        assert_eq!(most_at_once(&[0, 9, 20], &[10, 20, 30]), 2);
        assert_eq!(most_at_once(&[], &[]), 0);
    }

    #[test]
    fn nothing_ended_is_no_division_by_zero() {
        assert_eq!(Times::default().sum_up(at(0)), Timing::default());
    }
}
