//! The way out to the transaction service: how many calls at once, how many a second, none
//! while it is down, and none while dispatching is stopped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use shared::dispatch_stop::{DispatchStop, ObservedAnswer, StopLimits, StopTrigger};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::calls::circuit_breaker::{Breaker, Turn};
use crate::calls::concurrency_limit::{Bounds, Health, Limit, next_period};
use crate::calls::stop_state::{Change, Standing, Trial};
use crate::events;

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To ask what became of a payment.
    Ask,
    /// To submit one: only this shows that the service takes payments.
    Submit,
}

/// Dispatching is stopped: what is in hand goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// How a gate lets calls out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GateSettings {
    /// Calls at once.
    pub(crate) bounds: Bounds,
    /// Calls a second, if there is a limit.
    pub(crate) per_second: Option<u32>,
    /// When refusals stop dispatching.
    pub(crate) stop: StopLimits,
    /// How long a reading of the stored stop counts.
    pub(crate) validity: Duration,
}

/// The gate. Cloning it gives the same one.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// There may be room for a call: one waiter is woken for each.
    room: Notify,
    /// The breaker has changed, or what is known of the stop.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    limit: Limit,
    breaker: Breaker,
    standing: Standing,
    pace: Option<Pace>,
    under_way: usize,
    /// Whether the one call of a trial is out.
    trial_out: bool,
    /// Whether the one payment is in its turn whose call may be the trial.
    turn_out: bool,
}

/// At most so many calls a second, evenly spread.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    next: Instant,
}

impl Gate {
    /// A gate that lets nothing out until it hears that dispatching is not stopped. The time
    /// of day is the same for all gates of a service.
    pub(crate) fn new(settings: GateSettings, time_of_day: Timestamp) -> Self {
        let now = Instant::now();
        let pace = settings
            .per_second
            .map(|rate| Pace { interval: Duration::from_secs(1) / rate.max(1), next: now });
        let limit = Limit::new(settings.bounds, next_period(time_of_day, now), now);
        events::limit(limit.get());
        let standing = Standing::new(settings.stop, settings.validity);
        let breaker = Breaker::NEW;
        let (under_way, trial_out, turn_out) = (0, false, false);
        let state = State { limit, breaker, standing, pace, under_way, trial_out, turn_out };
        let (state, room, changed) = (Mutex::new(state), Notify::new(), Notify::new());
        Self { inner: Arc::new(Inner { state, room, changed }) }
    }

    /// Waits for the turn of one call. Dropping it is safe.
    ///
    /// # Errors
    /// [`Stopped`]: no call goes out.
    pub(crate) async fn enter(&self, purpose: Purpose) -> Result<Pass, Stopped> {
        loop {
            let (trial, slot) = self.when(&self.inner.room, State::try_enter).await?;
            let mut pass = Pass { gate: self.clone(), purpose, trial, began: slot };
            if slot <= Instant::now() {
                return Ok(pass);
            }
            tokio::time::sleep_until(slot).await;
            pass.began = Instant::now();
            if self.lock().may_still_go(trial) {
                return Ok(pass);
            }
            // The service went down, or dispatching stopped, while this call waited for its
            // second.
        }
    }

    /// Waits until a payment that was attempted before may begin another attempt: while the
    /// service is down, or a trial is out, waiting costs none. Dropping it is safe.
    ///
    /// # Errors
    /// [`Stopped`]: none begins.
    pub(crate) async fn turn(&self) -> Result<TurnPass, Stopped> {
        let trial = self.when(&self.inner.changed, State::try_turn).await?;
        Ok(TurnPass { gate: self.clone(), trial })
    }

    /// Waits while nothing should be received: the service is down, dispatching is stopped, or
    /// it is not known whether it is.
    pub(crate) async fn receivable(&self) {
        let changed = &self.inner.changed;
        let is_receivable = |state: &mut State| {
            let open = state.breaker == Breaker::Open;
            (!open && state.standing.allows(Instant::now())).then_some(())
        };
        self.when(changed, is_receivable).await;
    }

    /// Waits until the service counts as down.
    pub(crate) async fn opened(&self) {
        let changed = &self.inner.changed;
        self.when(changed, |state| (state.breaker == Breaker::Open).then_some(())).await;
    }

    /// Waits until a trial has been decided, or was not called for.
    pub(crate) async fn decided(&self) {
        let changed = &self.inner.changed;
        self.when(changed, |state| (state.breaker != Breaker::Trial).then_some(())).await;
    }

    /// Notes that the service answers questions: one submission may go out as a trial.
    pub(crate) fn reachable(&self) {
        self.lock().breaker.reachable();
        self.announce();
    }

    /// Whether dispatching is stopped, as far as is known here.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().standing.is_stopped()
    }

    /// Waits for a stop that this gate has called for and that is not stored yet.
    pub(crate) async fn tripped(&self) -> StopTrigger {
        let changed = &self.inner.changed;
        self.when(changed, |state| state.standing.tripped().cloned()).await
    }

    /// The stop that this gate has called for and that is not stored yet.
    pub(crate) fn unstored(&self) -> Option<StopTrigger> {
        self.lock().standing.tripped().cloned()
    }

    /// Notes which stop stands since this gate's own was to be stored.
    pub(crate) fn stands(&self, stop: DispatchStop) {
        self.change(|standing| standing.placed(stop));
    }

    /// Notes what a reading has found that began at `at`.
    pub(crate) fn read(&self, found: Option<DispatchStop>, at: Instant) {
        self.change(|standing| standing.read(found, at));
    }

    fn change(&self, change: impl FnOnce(&mut Standing) -> Change) {
        let mut state = self.lock();
        match change(&mut state.standing) {
            Change::None => {}
            Change::Stopped(stop) => events::stopped(&stop),
            Change::Stored(stop) => events::stop_stored(&stop),
            Change::Resumed(stop) => {
                state.breaker = Breaker::Resumed;
                state.limit.restart(Instant::now());
                events::resumed(&stop);
            }
        }
        drop(state);
        // Also when nothing has changed: a reading may have been waited for.
        self.announce();
    }

    /// Lets all who wait look again.
    fn announce(&self) {
        self.inner.changed.notify_waiters();
        self.inner.room.notify_waiters();
    }

    /// Waits until `look` sees what it looks for, looking again at each ring of `bell`.
    async fn when<T>(&self, bell: &Notify, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut rung = std::pin::pin!(bell.notified());
            // From here on no ring is missed.
            rung.as_mut().enable();
            if let Some(seen) = look(&mut self.lock()) {
                return seen;
            }
            rung.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each critical section changes a few values and cannot panic in between.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets a call out if there is room: whether it is a trial, and when it may begin.
    fn try_enter(&mut self) -> Option<Result<(bool, Instant), Stopped>> {
        let now = Instant::now();
        if self.standing.is_stopped() {
            return Some(Err(Stopped));
        }
        if !self.standing.allows(now) {
            return None;
        }
        let trial = match self.breaker {
            Breaker::Open => return None,
            Breaker::Trial | Breaker::Resumed if self.trial_out => return None,
            Breaker::Trial | Breaker::Resumed => true,
            Breaker::Closed { .. } if self.under_way >= self.limit.get() => {
                self.limit.reached();
                return None;
            }
            Breaker::Closed { .. } => false,
        };
        self.under_way += 1;
        self.trial_out |= trial;
        if self.under_way >= self.limit.get() {
            self.limit.reached();
        }
        let slot = self.pace.as_mut().map_or(now, |pace| {
            let slot = pace.next.max(now);
            pace.next = slot + pace.interval;
            slot
        });
        Some(Ok((trial, slot)))
    }

    /// Whether a call that was let out, and waited for its second, may go.
    fn may_still_go(&self, trial: bool) -> bool {
        let open = matches!(self.breaker, Breaker::Closed { .. });
        (trial || open) && self.standing.allows(Instant::now())
    }

    /// Lets a payment begin its turn: whether it is the one of a trial.
    fn try_turn(&mut self) -> Option<Result<bool, Stopped>> {
        if self.standing.is_stopped() {
            return Some(Err(Stopped));
        }
        if !self.standing.allows(Instant::now()) {
            return None;
        }
        match self.breaker {
            Breaker::Open => None,
            Breaker::Trial | Breaker::Resumed if self.turn_out => None,
            Breaker::Trial | Breaker::Resumed => {
                self.turn_out = true;
                Some(Ok(true))
            }
            Breaker::Closed { .. } => Some(Ok(false)),
        }
    }

    /// Notes a call's end with the breaker; true when it turned.
    fn turned(&mut self, health: Health, purpose: Purpose, now: Instant) -> bool {
        let turn = match (health, purpose) {
            (Health::Settled, Purpose::Submit) => self.breaker.taken(),
            (Health::Answered, Purpose::Submit) => self.breaker.answered(),
            (Health::Settled | Health::Answered, Purpose::Ask) => None,
            (Health::Failed, Purpose::Ask | Purpose::Submit) => self.breaker.failed(),
        };
        match turn {
            Some(Turn::Opened) => events::circuit_opened(),
            Some(Turn::Closed) => {
                self.limit.restart(now);
                events::circuit_closed();
            }
            None => {}
        }
        turn.is_some()
    }
}

/// Leave for one call. Dropping it, in a panic too, makes room for the next.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Gate,
    purpose: Purpose,
    trial: bool,
    began: Instant,
}

impl Pass {
    /// Notes how the call ended, and what its answer shows. `Err` when dispatching is stopped
    /// because of the answers: a refusal is not to be believed any more.
    pub(crate) fn ended(
        self,
        health: Health,
        answer: Option<ObservedAnswer<'_>>,
    ) -> Result<(), Stopped> {
        let now = Instant::now();
        let mut state = self.gate.lock();
        let trial = match (self.trial, state.breaker) {
            (true, Breaker::Resumed) => Trial::AfterStop,
            (true, Breaker::Closed { .. } | Breaker::Open | Breaker::Trial) | (false, _) => {
                Trial::No
            }
        };
        let before = state.limit.get();
        state.limit.ended(health, self.began, now);
        let mut turned = state.turned(health, self.purpose, now);
        if self.trial && health == Health::Failed {
            state.breaker.trial_failed();
            turned = true;
        }
        if let Some(trip) = answer.and_then(|answer| state.standing.note(answer, trial)) {
            events::tripped(&trip);
            turned = true;
        }
        let believed = if state.standing.distrusts() { Err(Stopped) } else { Ok(()) };
        let after = state.limit.get();
        drop(state);
        if before != after {
            events::limit(after);
        }
        for _ in before..after {
            self.gate.inner.room.notify_one();
        }
        if turned {
            self.gate.announce();
        }
        believed
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if self.trial {
            state.trial_out = false;
        }
        drop(state);
        self.gate.inner.room.notify_one();
    }
}

/// Leave for one payment to begin its turn. Dropping it, in a panic too, lets the next begin.
#[derive(Debug)]
pub(crate) struct TurnPass {
    gate: Gate,
    trial: bool,
}

impl Drop for TurnPass {
    fn drop(&mut self) {
        if self.trial {
            self.gate.lock().turn_out = false;
            self.gate.inner.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
