//! The call limiter before the transaction service: how many calls at once, how many a second,
//! none while it is down, and none while dispatching is stopped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use shared::dispatch_stop::{DispatchStop, ObservedAnswer, StopTrigger};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::calls::circuit_breaker::{BreakerChange, CircuitBreaker};
use crate::calls::concurrency_limit::CallHealth;
use crate::calls::limiter_state::{CallKind, LimiterState};
use crate::calls::settings::CallLimiterSettings;
use crate::calls::stop_state::{StopChange, StopState};
use crate::events;

pub(crate) use crate::calls::limiter_state::CallPurpose;

/// Dispatching is stopped: what is in hand goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DispatchStopped;

/// Whether an answer that would fail its payment is believed.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerTrust {
    /// It is.
    Believed,
    /// Dispatching is stopped because of the answers: it is not.
    Distrusted,
}

/// The call limiter. Cloning it gives the same one.
#[derive(Debug, Clone)]
pub(crate) struct CallLimiter {
    shared: Arc<LimiterShared>,
}

#[derive(Debug)]
struct LimiterShared {
    state: Mutex<LimiterState>,
    /// There may be room for a call: one waiter is woken for each.
    room: Notify,
    /// The breaker has changed, or what is known of the stop.
    changed: Notify,
}

impl CallLimiter {
    /// A limiter that admits no call until it hears that dispatching is not stopped. The time of
    /// day is the same for all limiters of a service.
    pub(crate) fn new(settings: CallLimiterSettings, time_of_day: Timestamp) -> Self {
        let state = LimiterState::new(settings, time_of_day, Instant::now());
        events::limit(state.limit.get());
        let state = Mutex::new(state);
        let (room, changed) = (Notify::new(), Notify::new());
        Self { shared: Arc::new(LimiterShared { state, room, changed }) }
    }

    /// Waits until one call may go out. Dropping it is safe.
    ///
    /// # Errors
    /// [`DispatchStopped`]: no call goes out.
    pub(crate) async fn acquire(
        &self,
        purpose: CallPurpose,
    ) -> Result<CallPermit, DispatchStopped> {
        loop {
            let admitted = self.admitted(&self.shared.room, LimiterState::admit_call);
            let (kind, begins) = admitted.await?;
            let mut permit = CallPermit { limiter: self.clone(), purpose, kind, began: begins };
            if begins <= Instant::now() {
                return Ok(permit);
            }
            tokio::time::sleep_until(begins).await;
            permit.began = Instant::now();
            if self.lock().may_still_go(kind) {
                return Ok(permit);
            }
            // The service went down, or dispatching stopped, while this call waited for its
            // second.
        }
    }

    /// Waits until a payment that was attempted before may begin another attempt: while the
    /// service is down, or a trial is out, waiting costs none. Dropping it is safe.
    ///
    /// # Errors
    /// [`DispatchStopped`]: none begins.
    pub(crate) async fn acquire_attempt(&self) -> Result<AttemptPermit, DispatchStopped> {
        let admit = |state: &mut LimiterState, _| state.admit_attempt();
        let kind = self.admitted(&self.shared.changed, admit).await?;
        Ok(AttemptPermit { limiter: self.clone(), kind })
    }

    /// Waits while nothing should be received: the service is down, dispatching is stopped, or
    /// it is not known whether it is.
    pub(crate) async fn until_receivable(&self) {
        self.until(&self.shared.changed, |state| {
            let open = state.breaker == CircuitBreaker::Open;
            (!open && state.stop.allows(Instant::now())).then_some(())
        })
        .await;
    }

    /// Waits until the service counts as down.
    pub(crate) async fn until_open(&self) {
        let open = |state: &mut LimiterState| state.breaker == CircuitBreaker::Open;
        self.until(&self.shared.changed, |state| open(state).then_some(())).await;
    }

    /// Notes that the service answers questions: one submission may go out as a trial.
    pub(crate) fn service_answers(&self) {
        self.lock().breaker.reachable();
        self.wake_all();
    }

    /// Whether dispatching is stopped, as far as is known here.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stop.is_stopped()
    }

    /// Waits for a stop that this limiter has called for and that is not stored yet.
    pub(crate) async fn until_tripped(&self) -> StopTrigger {
        self.until(&self.shared.changed, |state| state.stop.tripped().cloned()).await
    }

    /// The stop that this limiter has called for and that is not stored yet.
    pub(crate) fn unstored_stop(&self) -> Option<StopTrigger> {
        self.lock().stop.tripped().cloned()
    }

    /// Notes which stop stands since this limiter's own was to be stored.
    pub(crate) fn stop_stored(&self, stop: DispatchStop) {
        self.change_stop(|state| state.stored(stop));
    }

    /// Notes the stop that a reading has found which began at `at`.
    pub(crate) fn stop_read(&self, found: Option<DispatchStop>, at: Instant) {
        self.change_stop(|state| state.read(found, at));
    }

    fn change_stop(&self, change: impl FnOnce(&mut StopState) -> StopChange) {
        let mut state = self.lock();
        match change(&mut state.stop) {
            StopChange::None => {}
            StopChange::Stopped(stop) => events::stopped(&stop),
            StopChange::Stored(stop) => events::stop_stored(&stop),
            StopChange::Resumed(stop) => {
                state.breaker = CircuitBreaker::Resumed;
                state.limit.restart(Instant::now());
                events::resumed(&stop);
            }
        }
        drop(state);
        // Also when nothing has changed: a reading may have been waited for.
        self.wake_all();
    }

    /// Lets all waiters check again.
    fn wake_all(&self) {
        self.shared.changed.notify_waiters();
        self.shared.room.notify_waiters();
    }

    /// Waits until dispatching goes on and `admit` admits, checking at each notice.
    async fn admitted<T>(
        &self,
        notice: &Notify,
        mut admit: impl FnMut(&mut LimiterState, Instant) -> Option<T>,
    ) -> Result<T, DispatchStopped> {
        self.until(notice, |state| {
            let now = Instant::now();
            if state.stop.is_stopped() {
                Some(Err(DispatchStopped))
            } else if state.stop.allows(now) {
                admit(state, now).map(Ok)
            } else {
                None
            }
        })
        .await
    }

    /// Waits until `check` has an answer, checking again at each notice.
    async fn until<T>(
        &self,
        notice: &Notify,
        mut check: impl FnMut(&mut LimiterState) -> Option<T>,
    ) -> T {
        loop {
            let mut noticed = std::pin::pin!(notice.notified());
            // From here on no notice is missed.
            noticed.as_mut().enable();
            if let Some(answer) = check(&mut self.lock()) {
                return answer;
            }
            noticed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, LimiterState> {
        // Each critical section changes a few values and cannot panic in between.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave for one call. Dropping it, in a panic too, makes room for the next.
#[derive(Debug)]
pub(crate) struct CallPermit {
    limiter: CallLimiter,
    purpose: CallPurpose,
    kind: CallKind,
    began: Instant,
}

impl CallPermit {
    /// Notes how the call ended, and what its answer shows: whether a refusal is believed.
    pub(crate) fn ended(
        self,
        health: CallHealth,
        answer: Option<ObservedAnswer<'_>>,
    ) -> AnswerTrust {
        let mut state = self.limiter.lock();
        let answer_to = state.answer_to(self.kind);
        let before = state.limit.get();
        let change = state.ended(health, self.purpose, self.kind, self.began);
        match change {
            Some(BreakerChange::Opened) => events::circuit_opened(),
            Some(BreakerChange::TrialFailed) => events::trial_failed(),
            Some(BreakerChange::Closed) => events::circuit_closed(),
            None => {}
        }
        let tripped = answer.and_then(|answer| state.stop.note(answer, answer_to));
        if let Some(trip) = &tripped {
            events::tripped(trip);
        }
        let distrusted = state.stop.distrusts();
        let after = state.limit.get();
        drop(state);
        if before != after {
            events::limit(after);
        }
        for _ in before..after {
            self.limiter.shared.room.notify_one();
        }
        if change.is_some() || tripped.is_some() {
            self.limiter.wake_all();
        }
        if distrusted { AnswerTrust::Distrusted } else { AnswerTrust::Believed }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.limiter.lock().call_over(self.kind);
        self.limiter.shared.room.notify_one();
    }
}

/// Leave for one payment to begin its turn. Dropping it, in a panic too, lets the next begin.
#[derive(Debug)]
pub(crate) struct AttemptPermit {
    limiter: CallLimiter,
    kind: CallKind,
}

impl Drop for AttemptPermit {
    fn drop(&mut self) {
        self.limiter.lock().attempt_over(self.kind);
        if self.kind == CallKind::Trial {
            self.limiter.shared.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
