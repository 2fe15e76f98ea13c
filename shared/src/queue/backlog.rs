//! The backlog of a queue: whether those who receive from it keep up with what is sent. Pure.
//!
//! Who feeds a queue should not send much more than its receivers work off in a while: what waits
//! there is work that somebody has begun and nobody has ended. The depth of the queue and what this
//! sender sent to it tell the rate of the receivers: what was sent and is not there any more was
//! worked off. Others send too, so that is the least that it can be, and exact while all of them
//! wait.

use std::time::Duration;

use tokio::time::Instant;

/// How much may wait in a queue.
#[derive(Debug, Clone, Copy)]
pub struct BacklogLimits {
    /// As time at the rate of the receivers.
    pub longest: Duration,
    /// So many messages, whatever the rate is.
    pub always: u64,
}

/// How fast the measured rate forgets.
const RATE_MEMORY: Duration = Duration::from_secs(5);
/// For how long a depth counts. A sender that cannot read it does not wait.
const VALIDITY: Duration = Duration::from_secs(5);

/// What one sender knows of the backlog.
#[derive(Debug)]
pub(super) struct Backlog {
    limits: BacklogLimits,
    last: Option<Reading>,
    /// Messages that the receivers work off in a second, at least.
    rate: f64,
}

/// A depth of the queue.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    depth: f64,
}

impl Backlog {
    /// A queue of which nothing is known yet.
    pub(super) fn new(limits: BacklogLimits) -> Self {
        Self { limits, last: None, rate: 0.0 }
    }

    /// Notes that the queue held `depth` messages at `at`, and that this sender has `sent` so many
    /// to it since the reading before.
    pub(super) fn note(&mut self, depth: u64, sent: u64, at: Instant) {
        let depth = depth as f64;
        if let Some(before) = self.last {
            let passed = at.duration_since(before.at).as_secs_f64().max(f64::EPSILON);
            let worked_off = (before.depth + sent as f64 - depth).max(0.0);
            let kept = (-passed / RATE_MEMORY.as_secs_f64()).exp();
            self.rate = self.rate * kept + worked_off / passed * (1.0 - kept);
        }
        self.last = Some(Reading { at, depth });
    }

    /// Whether more messages wait than should. What was read too long ago says nothing.
    pub(super) fn is_too_long(&self, now: Instant) -> bool {
        let BacklogLimits { longest, always } = self.limits;
        let allowed = (self.rate * longest.as_secs_f64()).max(always as f64);
        self.last.is_some_and(|reading| {
            now.duration_since(reading.at) <= VALIDITY && reading.depth > allowed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: BacklogLimits = BacklogLimits { longest: Duration::from_secs(3), always: 1_000 };

    /// Depths of a queue, a second apart, into which so many were sent in the second before.
    fn after(readings: &[(u64, u64)]) -> (Backlog, Instant) {
        let mut backlog = Backlog::new(LIMITS);
        let mut now = Instant::now();
        for &(depth, sent) in readings {
            now += SECOND;
            backlog.note(depth, sent, now);
        }
        (backlog, now)
    }

    fn is_too_long(readings: &[(u64, u64)]) -> bool {
        let (backlog, now) = after(readings);
        backlog.is_too_long(now)
    }

    #[test]
    fn no_backlog_is_too_long_before_it_is_known_nor_when_it_is_always_allowed() {
        assert!(!Backlog::new(LIMITS).is_too_long(Instant::now()));
        assert!(!is_too_long(&[(1_000, 0)]));
        assert!(is_too_long(&[(1_001, 0)]));
    }

    #[test]
    fn fast_receivers_may_have_three_seconds_of_their_rate_before_them() {
        let steady = |depth| [(depth, 2_000); 60];
        assert!(!is_too_long(&steady(5_900)));
        assert!(is_too_long(&steady(6_100)));
    }

    #[test]
    fn the_rate_is_what_is_worked_off_and_not_what_is_sent() {
        // Receivers that work off 375 a second, and a sender that sends 1,000.
        let growing: Vec<_> = (1..60).map(|second| (625 * second, 1_000)).collect();
        let (backlog, _) = after(&growing);
        assert!((370.0..380.0).contains(&backlog.rate), "{}", backlog.rate);
        assert!(is_too_long(&growing[..2]), "1,250 after two seconds");
    }

    #[test]
    fn what_others_send_makes_the_rate_smaller_and_never_larger() {
        // 2,000 a second are worked off, of which this one sent 500.
        let (backlog, _) = after(&[(800, 500); 60]);
        assert!((490.0..510.0).contains(&backlog.rate), "{}", backlog.rate);
        // The others send, the receivers stand still.
        let (backlog, _) = after(&[(1_000, 0), (3_000, 0), (5_000, 0)]);
        assert!(backlog.rate.abs() < f64::EPSILON);
    }

    #[test]
    fn a_depth_that_is_not_read_again_says_nothing_after_five_seconds() {
        let (backlog, now) = after(&[(50_000, 0)]);
        assert!(backlog.is_too_long(now + VALIDITY));
        assert!(!backlog.is_too_long(now + VALIDITY + Duration::from_millis(1)));
    }

    #[test]
    fn two_readings_at_the_same_moment_leave_a_rate_that_is_a_number() {
        let (mut backlog, now) = after(&[(10, 10), (10, 10)]);
        backlog.note(10, 0, now);
        assert!(backlog.rate.is_finite());
    }
}
