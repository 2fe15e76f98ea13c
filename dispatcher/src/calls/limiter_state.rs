//! What a call limiter decides by: pure, apart from its monotonic clock.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::calls::circuit_breaker::{BreakerChange, CircuitBreaker};
use crate::calls::concurrency_limit::{CallHealth, ConcurrencyLimit, next_period};
use crate::calls::settings::CallLimiterSettings;
use crate::calls::stop_state::{AnswerTo, StopState};

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallPurpose {
    /// To ask what became of a payment.
    Query,
    /// To submit one: only this shows that the service takes payments.
    Submit,
}

/// Whether a call, or an attempt, is the trial that decides whether others follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// One of many.
    Regular,
    /// The only one that is out.
    Trial,
}

/// The state of a call limiter.
#[derive(Debug)]
pub(crate) struct LimiterState {
    pub(crate) limit: ConcurrencyLimit,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) stop: StopState,
    rate: Option<CallRate>,
    under_way: usize,
    /// Whether the one call of a trial is out.
    trial_out: bool,
    /// Whether the one payment is in its turn whose call may be the trial.
    trial_attempt_out: bool,
}

/// At most so many calls a second, evenly spread.
#[derive(Debug)]
struct CallRate {
    interval: Duration,
    next: Instant,
}

impl LimiterState {
    /// Admits nothing until it hears that dispatching is not stopped.
    pub(crate) fn new(settings: CallLimiterSettings, time_of_day: Timestamp, now: Instant) -> Self {
        let CallLimiterSettings { bounds, per_second, stop, validity } = settings;
        let rate = per_second
            .map(|rate| CallRate { interval: Duration::from_secs(1) / rate.max(1), next: now });
        Self {
            limit: ConcurrencyLimit::new(bounds, next_period(time_of_day, now), now),
            breaker: CircuitBreaker::NEW,
            stop: StopState::new(stop, validity),
            rate,
            under_way: 0,
            trial_out: false,
            trial_attempt_out: false,
        }
    }

    /// Admits a call if there is room: of which kind it is, and when it may begin.
    pub(crate) fn admit_call(&mut self, now: Instant) -> Option<(CallKind, Instant)> {
        let kind = match self.breaker {
            CircuitBreaker::Open => return None,
            CircuitBreaker::Trial | CircuitBreaker::Resumed if self.trial_out => return None,
            CircuitBreaker::Trial | CircuitBreaker::Resumed => {
                self.trial_out = true;
                CallKind::Trial
            }
            CircuitBreaker::Closed { .. } if self.under_way >= self.limit.get() => {
                self.limit.reached();
                return None;
            }
            CircuitBreaker::Closed { .. } => CallKind::Regular,
        };
        self.under_way += 1;
        if self.under_way >= self.limit.get() {
            self.limit.reached();
        }
        let begins = self.rate.as_mut().map_or(now, |rate| {
            let begins = rate.next.max(now);
            rate.next = begins + rate.interval;
            begins
        });
        Some((kind, begins))
    }

    /// Whether a call that was admitted, and waited for its second, may still go out.
    pub(crate) fn may_still_go(&self, kind: CallKind) -> bool {
        let open = matches!(self.breaker, CircuitBreaker::Closed { .. });
        (kind == CallKind::Trial || open) && self.stop.allows(Instant::now())
    }

    /// Admits a payment to its turn: whether it is the one of a trial.
    pub(crate) fn admit_attempt(&mut self) -> Option<CallKind> {
        match self.breaker {
            CircuitBreaker::Open => None,
            CircuitBreaker::Trial | CircuitBreaker::Resumed if self.trial_attempt_out => None,
            CircuitBreaker::Trial | CircuitBreaker::Resumed => {
                self.trial_attempt_out = true;
                Some(CallKind::Trial)
            }
            CircuitBreaker::Closed { .. } => Some(CallKind::Regular),
        }
    }

    /// Which call an answer is to that comes now.
    pub(crate) fn answer_to(&self, kind: CallKind) -> AnswerTo {
        match (kind, self.breaker) {
            (CallKind::Trial, CircuitBreaker::Resumed) => AnswerTo::TrialAfterStop,
            (
                CallKind::Trial,
                CircuitBreaker::Closed { .. } | CircuitBreaker::Open | CircuitBreaker::Trial,
            )
            | (CallKind::Regular, _) => AnswerTo::RegularCall,
        }
    }

    /// Notes the end of a call that began at `began`: how the breaker has changed, if it has.
    pub(crate) fn ended(
        &mut self,
        health: CallHealth,
        purpose: CallPurpose,
        kind: CallKind,
        began: Instant,
    ) -> Option<BreakerChange> {
        let now = Instant::now();
        self.limit.ended(health, began, now);
        let change = match (health, purpose) {
            (CallHealth::Settled, CallPurpose::Submit) => self.breaker.taken(),
            (CallHealth::Answered, CallPurpose::Submit) => self.breaker.answered(),
            (CallHealth::Settled | CallHealth::Answered, CallPurpose::Query) => None,
            (CallHealth::Failed, CallPurpose::Query | CallPurpose::Submit) => self.breaker.failed(),
        };
        if change == Some(BreakerChange::Closed) {
            self.limit.restart(now);
        }
        if (kind, health) == (CallKind::Trial, CallHealth::Failed) {
            return change.or(self.breaker.trial_failed());
        }
        change
    }

    /// Notes that a call is over, however it ended.
    pub(crate) fn call_over(&mut self, kind: CallKind) {
        self.under_way = self.under_way.saturating_sub(1);
        match kind {
            CallKind::Regular => {}
            CallKind::Trial => self.trial_out = false,
        }
    }

    /// Notes that a payment's turn is over.
    pub(crate) fn attempt_over(&mut self, kind: CallKind) {
        match kind {
            CallKind::Regular => {}
            CallKind::Trial => self.trial_attempt_out = false,
        }
    }
}
