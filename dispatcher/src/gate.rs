//! The way out to the transaction service: how many calls at once, how many a second, and
//! none while it is down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::breaker::{Breaker, Turn};
use crate::events;
use crate::limit::{Bounds, Health, Limit, next_period};

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To ask what became of a payment.
    Ask,
    /// To submit one: only this shows that the service takes payments.
    Submit,
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
    /// The breaker has changed.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    limit: Limit,
    breaker: Breaker,
    pace: Option<Pace>,
    under_way: usize,
    /// Whether the one call of a trial is out.
    trial_out: bool,
}

/// At most so many calls a second, evenly spread.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    next: Instant,
}

impl Gate {
    /// A gate that lets out `bounds` calls at once and `per_second` calls a second, if given.
    /// The time of day is the same for all gates of a service.
    pub(crate) fn new(bounds: Bounds, per_second: Option<u32>, time_of_day: Timestamp) -> Self {
        let now = Instant::now();
        let pace = per_second
            .map(|rate| Pace { interval: Duration::from_secs(1) / rate.max(1), next: now });
        let limit = Limit::new(bounds, next_period(time_of_day, now), now);
        let breaker = Breaker::NEW;
        let state = State { limit, breaker, pace, under_way: 0, trial_out: false };
        let (state, room, changed) = (Mutex::new(state), Notify::new(), Notify::new());
        Self { inner: Arc::new(Inner { state, room, changed }) }
    }

    /// Waits for the turn of one call. Dropping it is safe.
    pub(crate) async fn enter(&self, purpose: Purpose) -> Pass {
        loop {
            let (trial, slot) = self.when(&self.inner.room, State::try_enter).await;
            let mut pass = Pass { gate: self.clone(), purpose, trial, began: slot };
            if slot <= Instant::now() {
                return pass;
            }
            tokio::time::sleep_until(slot).await;
            pass.began = Instant::now();
            let open = matches!(self.lock().breaker, Breaker::Closed { .. });
            if trial || open {
                return pass;
            }
            // The service went down while this call waited for its second.
        }
    }

    /// Waits while the service is down: nothing should be received then.
    pub(crate) async fn receivable(&self) {
        let changed = &self.inner.changed;
        self.when(changed, |state| (state.breaker != Breaker::Open).then_some(())).await;
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

    /// Lets all who wait look at the breaker again.
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
        // Each critical section changes a few numbers and cannot panic in between.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets a call out if there is room: whether it is a trial, and when it may begin.
    fn try_enter(&mut self) -> Option<(bool, Instant)> {
        let trial = match self.breaker {
            Breaker::Open => return None,
            Breaker::Trial if self.trial_out => return None,
            Breaker::Trial => true,
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
        let now = Instant::now();
        let slot = self.pace.as_mut().map_or(now, |pace| {
            let slot = pace.next.max(now);
            pace.next = slot + pace.interval;
            slot
        });
        Some((trial, slot))
    }

    /// Notes a call's end with the breaker; true when it turned.
    fn turn(&mut self, health: Health, purpose: Purpose, now: Instant) -> bool {
        let turn = match (health, purpose) {
            (Health::Settled | Health::Answered, Purpose::Submit) => self.breaker.answered(),
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
    /// Notes how the call ended.
    pub(crate) fn ended(self, health: Health) {
        let now = Instant::now();
        let mut state = self.gate.lock();
        let before = state.limit.get();
        state.limit.ended(health, self.began, now);
        let mut turned = state.turn(health, self.purpose, now);
        if self.trial && health == Health::Failed {
            state.breaker.trial_failed();
            turned = true;
        }
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

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
