//! The circuit breaker towards the transaction service: pure.
//!
//! Closed, calls go out. After a row of failures it opens: nothing is submitted and nothing
//! received, and once a pause the service is asked whether it answers. When it does, one
//! submission goes out as a trial, and its success closes the breaker.
//!
//! After a stop by an operator, or because of refusals (`stop_state`), submissions go out one at a
//! time until one is taken: a rejection is an answer, but not yet a reason to let all out.

/// Failures in a row after which the service counts as down. A service that turns away one
/// call in five gets there once in ten million calls.
pub(crate) const FAILURES: u32 = 10;

/// What may go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircuitBreaker {
    /// Everything; so many calls have failed in a row.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// Nothing but the question whether the service answers.
    Open,
    /// One submission.
    Trial,
    /// One submission at a time, since a stop was removed, until one is taken.
    Resumed,
}

/// How the breaker has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerChange {
    /// It has opened.
    Opened,
    /// It is open again: the trial has failed.
    TrialFailed,
    /// It has closed again.
    Closed,
}

impl CircuitBreaker {
    /// Closed, with no failures.
    pub(crate) const NEW: Self = Self::Closed { failures: 0 };

    /// Notes that a payment was taken.
    pub(crate) fn taken(&mut self) -> Option<BreakerChange> {
        match self {
            Self::Closed { .. } | Self::Open | Self::Trial => self.answered(),
            Self::Resumed => {
                *self = Self::NEW;
                Some(BreakerChange::Closed)
            }
        }
    }

    /// Notes that a submission was answered.
    pub(crate) fn answered(&mut self) -> Option<BreakerChange> {
        match self {
            Self::Closed { failures } => {
                *failures = 0;
                None
            }
            // An answer to a call from before it opened, or the trial's own: the service is
            // there.
            Self::Open | Self::Trial => {
                *self = Self::NEW;
                Some(BreakerChange::Closed)
            }
            Self::Resumed => None,
        }
    }

    /// Notes that a call failed.
    pub(crate) fn failed(&mut self) -> Option<BreakerChange> {
        match self {
            Self::Closed { failures } if *failures + 1 < FAILURES => {
                *failures += 1;
                None
            }
            Self::Closed { .. } => {
                *self = Self::Open;
                Some(BreakerChange::Opened)
            }
            // One that was sent before it opened decides nothing.
            Self::Open | Self::Trial | Self::Resumed => None,
        }
    }

    /// Notes that the trial itself failed. One that a late answer has overtaken decides nothing.
    pub(crate) fn trial_failed(&mut self) -> Option<BreakerChange> {
        match self {
            Self::Trial | Self::Resumed => {
                *self = Self::Open;
                Some(BreakerChange::TrialFailed)
            }
            Self::Closed { .. } | Self::Open => None,
        }
    }

    /// Notes that the service answers a question.
    pub(crate) fn reachable(&mut self) {
        match self {
            Self::Open => *self = Self::Trial,
            Self::Closed { .. } | Self::Trial | Self::Resumed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: u32) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::NEW;
        for _ in 0..failures {
            let _ = breaker.failed();
        }
        breaker
    }

    #[test]
    fn it_opens_after_a_row_of_failures_and_not_before() {
        assert!(matches!(after(FAILURES - 1), CircuitBreaker::Closed { .. }));
        assert_eq!(after(FAILURES), CircuitBreaker::Open);
        let mut breaker = after(FAILURES - 1);
        let _ = breaker.answered();
        assert_eq!(breaker.failed(), None, "an answer in between starts the row anew");
    }

    #[test]
    fn one_trial_goes_out_once_the_service_answers_and_decides() {
        let mut breaker = after(FAILURES);
        breaker.reachable();
        assert_eq!(breaker, CircuitBreaker::Trial);
        assert_eq!(breaker.failed(), None);
        assert_eq!(
            breaker,
            CircuitBreaker::Trial,
            "a call from before it opened decided the trial"
        );
        assert_eq!(breaker.trial_failed(), Some(BreakerChange::TrialFailed));
        assert_eq!(breaker, CircuitBreaker::Open);
        breaker.reachable();
        assert_eq!(breaker.answered(), Some(BreakerChange::Closed));
        assert_eq!(breaker, CircuitBreaker::NEW);
    }

    #[test]
    fn after_a_stop_only_a_payment_that_is_taken_opens_the_way() {
        let mut breaker = CircuitBreaker::Resumed;
        assert_eq!(breaker.answered(), None);
        assert_eq!(breaker, CircuitBreaker::Resumed, "a rejection let all out");
        assert_eq!(breaker.failed(), None);
        assert_eq!(breaker.taken(), Some(BreakerChange::Closed));
        let mut breaker = CircuitBreaker::Resumed;
        assert_eq!(breaker.trial_failed(), Some(BreakerChange::TrialFailed));
        assert_eq!(breaker, CircuitBreaker::Open);
    }

    #[test]
    fn a_trial_that_fails_after_a_late_answer_has_closed_the_breaker_opens_nothing() {
        let mut breaker = after(FAILURES);
        breaker.reachable();
        assert_eq!(breaker.answered(), Some(BreakerChange::Closed));
        assert_eq!(breaker.trial_failed(), None);
        assert_eq!(breaker, CircuitBreaker::NEW);
    }
}
