//! What the transaction service saw, second by second.

use std::time::Duration;

use anyhow::ensure;
use local::transactions::RequestTiming;
use tokio::time::Instant;

/// Seconds in a row that must be as demanded before a rate counts as reached.
const ROW: usize = 5;

/// What a stretch of time brought.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Payments settled per second.
    pub(crate) rate: f64,
    /// Half of the requests were answered within that time, waiting for a worker included.
    pub(crate) median: Duration,
    /// 99 in 100 were.
    pub(crate) p99: Duration,
    /// Share of its workers' time that was used.
    pub(crate) used: f64,
    seconds: Vec<f64>,
}

impl Figures {
    /// The second after which [`ROW`] seconds together reached `rate`.
    pub(crate) fn first_second_at(&self, rate: f64) -> Option<usize> {
        let sums = self.seconds.windows(ROW).map(|row| row.iter().sum::<f64>() / ROW as f64);
        sums.into_iter().position(|mean| mean >= rate).map(|from| from + ROW)
    }

    /// # Errors
    /// Something else than the service's capacity bounded the rate: nothing can be judged.
    pub(crate) fn must_fill_capacity(&self) -> anyhow::Result<()> {
        ensure!(
            self.used >= 0.9,
            "not judged: only {:.0} % of the service's capacity was used beforehand; is the machine too busy?",
            100.0 * self.used
        );
        Ok(())
    }
}

/// A stretch of time that is being watched.
#[derive(Debug)]
pub(crate) struct Stretch {
    began: Instant,
    settled: u64,
    request_timings: Vec<RequestTiming>,
    /// Payments settled in each second so far.
    seconds: Vec<f64>,
    at: (Instant, u64),
}

impl Stretch {
    pub(crate) fn begin(settled: u64) -> Self {
        let now = Instant::now();
        let (request_timings, seconds) = (Vec::new(), Vec::new());
        Self { began: now, settled, request_timings, seconds, at: (now, settled) }
    }

    /// Notes another second.
    pub(crate) fn second(&mut self, settled: u64, request_timings: Vec<RequestTiming>) {
        let now = Instant::now();
        let (before, settled_before) = self.at;
        let more = settled.saturating_sub(settled_before) as f64;
        self.seconds.push(more / now.duration_since(before).as_secs_f64());
        self.at = (now, settled);
        self.request_timings.extend(request_timings);
    }

    /// The last `seconds` seconds: their rate and the p99 of what was answered in them.
    pub(crate) fn lately(&self, seconds: usize) -> (f64, Duration) {
        let last = &self.seconds[self.seconds.len().saturating_sub(seconds)..];
        let rate = last.iter().sum::<f64>() / last.len().max(1) as f64;
        let from = self.at.0.checked_sub(Duration::from_secs(seconds as u64));
        let lately =
            self.request_timings.iter().filter(|s| from.is_none_or(|from| s.ended >= from));
        (rate, percentile(lately, 0.99))
    }

    /// All of it, with so many workers.
    pub(crate) fn end(self, workers: usize) -> Figures {
        let (now, settled) = self.at;
        let length = now.duration_since(self.began).as_secs_f64();
        let busy: f64 = self
            .request_timings
            .iter()
            .map(|s| s.ended.duration_since(s.started.max(self.began)).as_secs_f64())
            .sum();
        Figures {
            rate: settled.saturating_sub(self.settled) as f64 / length,
            median: percentile(self.request_timings.iter(), 0.5),
            p99: percentile(self.request_timings.iter(), 0.99),
            used: busy / (workers as f64 * length),
            seconds: self.seconds,
        }
    }
}

fn percentile<'s>(
    request_timings: impl Iterator<Item = &'s RequestTiming>,
    share: f64,
) -> Duration {
    let mut took: Vec<_> = request_timings.map(|s| s.ended.duration_since(s.arrived)).collect();
    took.sort_unstable();
    let place = (took.len() as f64 * share) as usize;
    took.get(place).copied().unwrap_or_default()
}
