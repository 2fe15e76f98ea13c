//! How many calls to the transaction service may be under way: pure.
//!
//! Additive increase, multiplicative decrease. Answers are gathered into windows. A window
//! whose median latency is well above the base latency means that calls queue inside the
//! service, and one in which too many calls failed means that it has had enough: the limit
//! shrinks. Else it grows, if it was reached. The base is the lowest median of the last two
//! periods. A service that is kept at its capacity never shows its base, so once a period the
//! limit is cut for a moment to see it (as BBR probes for the round trip time of a path:
//! Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14/5, 2016).
//!
//! Several dispatchers queue at one service, and one that cuts its limit alone still waits
//! behind the calls of the others: it would take their queueing for the base, tolerate half as
//! much again, and so would the others after it. So all probe at the same time, by the wall
//! clock. Nothing but the latency depends on how well the clocks agree.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A window holds at least this much time and this many answers, or [`LONGEST_WINDOW`].
const WINDOW: Duration = Duration::from_millis(100);
const WINDOW_ANSWERS: usize = 10;
const LONGEST_WINDOW: Duration = Duration::from_secs(1);
/// Most answers of a window that are kept: enough for a median.
const SAMPLES: usize = 512;
/// Latency above which calls count as queueing: this many times the base, and [`SLACK`].
const TOLERANCE: f64 = 1.5;
/// Differences that are noise, however short the base.
const SLACK: Duration = Duration::from_millis(25);
/// Share of failed calls in a window above which the service counts as overloaded.
const FAILED_SHARE: f64 = 0.1;
/// What is left of the limit after a decrease.
const DECREASE: f64 = 0.85;
/// How long a base latency counts at least, and at most twice as long. Periods begin when the
/// seconds of the day are a multiple of it.
const PERIOD: Duration = Duration::from_secs(20);
/// A probe that takes no longer leaves a third of the limit: what queues for twice the base
/// latency is gone then. A longer one, at a slower service, leaves half and costs less.
const SHORT_PROBE: Duration = Duration::from_secs(1);
/// How long a probe takes, beside twice the median latency: longer than clocks differ.
const PROBE: Duration = Duration::from_millis(200);

/// How a call ended, as far as the service's health is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallHealth {
    /// A submission was taken: what that took is the service's latency.
    Settled,
    /// It was answered otherwise: a question, or a rejection, which may take far less and would
    /// make submissions look slow.
    Answered,
    /// It was turned away, or its answer was lost.
    Failed,
}

/// The least and the most calls under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConcurrencyBounds {
    /// Least, also after failures.
    pub least: usize,
    /// Most.
    pub most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LimitPhase {
    /// Doubling until the first sign of queueing, or the limit that was good before.
    Start {
        until: usize,
    },
    Steady,
    /// The limit is cut, to see the base latency; then it goes back.
    Probing {
        back_to: usize,
        until: Instant,
    },
}

/// The adaptive limit.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    bounds: ConcurrencyBounds,
    limit: usize,
    phase: LimitPhase,
    window: LatencyWindow,
    /// Median latency of the last window that had one.
    median: Duration,
    base: BaseLatency,
}

#[derive(Debug)]
struct LatencyWindow {
    since: Instant,
    /// Answers before this were asked for under an earlier limit.
    counts_from: Instant,
    latencies: Vec<Duration>,
    answers: usize,
    failed: usize,
    reached: bool,
}

/// The lowest median latency of this period and the one before.
#[derive(Debug)]
struct BaseLatency {
    /// The end of this period.
    until: Instant,
    current: Option<Duration>,
    previous: Option<Duration>,
    /// Whether the limit was reached in this period, so that its lowest median may be one of
    /// queueing.
    reached: bool,
}

/// When the next period begins, at every dispatcher whose clock is right.
pub(crate) fn next_period(time_of_day: Timestamp, now: Instant) -> Instant {
    let into = time_of_day.as_millisecond().rem_euclid(PERIOD.as_millis() as i64);
    now + PERIOD - Duration::from_millis(into as u64)
}

impl ConcurrencyLimit {
    /// Starts at the least and doubles from there. The next period is the one of
    /// [`next_period`].
    pub(crate) fn new(bounds: ConcurrencyBounds, next_period: Instant, now: Instant) -> Self {
        Self {
            bounds,
            limit: bounds.least,
            phase: LimitPhase::Start { until: bounds.most },
            window: LatencyWindow::new(now, now),
            median: Duration::ZERO,
            base: BaseLatency { until: next_period, current: None, previous: None, reached: false },
        }
    }

    /// Calls that may be under way now.
    pub(crate) fn get(&self) -> usize {
        self.limit
    }

    /// Notes that as many calls are under way as may be.
    pub(crate) fn reached(&mut self) {
        self.window.reached = true;
    }

    /// Notes the end of a call that began at `began`.
    pub(crate) fn ended(&mut self, health: CallHealth, began: Instant, now: Instant) {
        self.base.reached |= self.window.reached;
        if self.base.next_period(now)
            && self.phase == LimitPhase::Steady
            && self.limit > self.bounds.least
        {
            let time = 2 * self.median + PROBE;
            let cut = if time <= SHORT_PROBE { 3 } else { 2 };
            let until = now + time;
            self.phase = LimitPhase::Probing { back_to: self.limit, until };
            return self.set(self.limit / cut, now, self.median);
        }
        if began < self.window.counts_from {
            return;
        }
        self.window.add(health, now.duration_since(began));
        let still_probing = matches!(self.phase, LimitPhase::Probing { until, .. } if now < until);
        if !still_probing && self.window.is_full(now) {
            self.close_window(now);
        }
    }

    /// After an outage: from the least, doubling up to what was good before.
    pub(crate) fn restart(&mut self, now: Instant) {
        let until = match self.phase {
            LimitPhase::Probing { back_to, .. } => back_to,
            LimitPhase::Start { until } => until,
            LimitPhase::Steady => self.limit,
        };
        self.phase = LimitPhase::Start { until: until.max(self.bounds.least) };
        self.set(self.bounds.least, now, Duration::ZERO);
    }

    fn close_window(&mut self, now: Instant) {
        let median = self.window.median();
        let overloaded = self.window.failed_share() > FAILED_SHARE;
        if let Some(median) = median {
            self.base.see(median);
            self.median = median;
        }
        let base = self.base.get();
        let queueing = match (median, base) {
            (Some(median), Some(base)) => median > base.mul_f64(TOLERANCE).max(base + SLACK),
            (None, _) | (_, None) => false,
        };
        let settle = median.unwrap_or_default();
        match self.phase {
            _ if overloaded || (queueing && !matches!(self.phase, LimitPhase::Probing { .. })) => {
                self.phase = LimitPhase::Steady;
                let less = (self.limit as f64 * DECREASE).floor();
                self.set(less as usize, now, settle);
            }
            LimitPhase::Probing { back_to, .. } => {
                self.phase = LimitPhase::Steady;
                self.set(back_to, now, Duration::ZERO);
            }
            LimitPhase::Start { until } if self.window.reached => {
                let more = (self.limit * 2).min(until);
                if more >= until {
                    self.phase = LimitPhase::Steady;
                }
                self.set(more, now, Duration::ZERO);
            }
            LimitPhase::Steady if self.window.reached => {
                self.set(self.limit + (self.limit / 16).max(1), now, Duration::ZERO);
            }
            LimitPhase::Start { .. } | LimitPhase::Steady => {
                self.set(self.limit, now, Duration::ZERO)
            }
        }
    }

    /// Sets the limit and opens a window in which calls count that begin from now on, and at
    /// the earliest after `settle`, when what queued before has drained.
    fn set(&mut self, limit: usize, now: Instant, settle: Duration) {
        self.limit = limit.clamp(self.bounds.least, self.bounds.most);
        self.window = LatencyWindow::new(now, now + settle);
    }
}

impl LatencyWindow {
    fn new(since: Instant, counts_from: Instant) -> Self {
        let latencies = Vec::with_capacity(64);
        Self { since, counts_from, latencies, answers: 0, failed: 0, reached: false }
    }

    fn add(&mut self, health: CallHealth, took: Duration) {
        self.answers += 1;
        match health {
            // A fast refusal says nothing of the service's latency.
            CallHealth::Failed => self.failed += 1,
            CallHealth::Settled if self.latencies.len() < SAMPLES => self.latencies.push(took),
            CallHealth::Settled | CallHealth::Answered => {}
        }
    }

    fn is_full(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since.max(self.counts_from));
        (age >= WINDOW && self.answers >= WINDOW_ANSWERS) || age >= LONGEST_WINDOW
    }

    fn failed_share(&self) -> f64 {
        if self.answers < WINDOW_ANSWERS { 0.0 } else { self.failed as f64 / self.answers as f64 }
    }

    fn median(&mut self) -> Option<Duration> {
        let middle = self.latencies.len() / 2;
        (!self.latencies.is_empty()).then(|| *self.latencies.select_nth_unstable(middle).1)
    }
}

impl BaseLatency {
    fn get(&self) -> Option<Duration> {
        [self.current, self.previous].into_iter().flatten().min()
    }

    fn see(&mut self, median: Duration) {
        self.current = Some(self.current.map_or(median, |lowest| lowest.min(median)));
    }

    /// Begins a new period when this one is over; whether the base latency must be probed.
    fn next_period(&mut self, now: Instant) -> bool {
        if now < self.until {
            return false;
        }
        self.previous = self.current.take().or(self.previous);
        let missed = now.duration_since(self.until).as_secs() / PERIOD.as_secs();
        self.until += PERIOD * u32::try_from(missed + 1).unwrap_or(u32::MAX);
        std::mem::take(&mut self.reached)
    }
}

#[cfg(test)]
#[path = "concurrency_limit_tests.rs"]
mod tests;
