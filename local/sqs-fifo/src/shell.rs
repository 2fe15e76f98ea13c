//! The engine with what it lacks: a lock, a clock, a timer, and wake-ups for waiting polls.
//!
//! The lock is held for one call of the engine and never across an await. When messages become
//! receivable on a queue, it wakes one waiting poll, which wakes the next if it leaves any.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustack_sqs_model::operations::SqsOperation;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::clock::{Clock, until};
use super::engine::{Delivery, Engine, Millis, ReceiveRequest, SqsError};

#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) stop: CancellationToken,
    endpoint: String,
    account: String,
    clock: Clock,
    state: Mutex<State>,
    calls: Mutex<Calls>,
    rearm: Notify,
}

#[derive(Debug)]
struct State {
    engine: Engine,
    /// Whether anything was called since the engine was last copied.
    called: bool,
    /// Wakes polls: one for each queue that was ever waited for.
    notifiers: HashMap<Arc<str>, Arc<Notify>>,
    /// When the timer goes off.
    armed: Option<Millis>,
}

impl Shell {
    pub(crate) fn new(engine: Engine, clock: Clock, endpoint: String, account: String) -> Self {
        Self {
            stop: CancellationToken::new(),
            endpoint,
            account,
            clock,
            state: Mutex::new(State {
                engine,
                called: false,
                notifiers: HashMap::new(),
                armed: None,
            }),
            calls: Mutex::default(),
            rearm: Notify::new(),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn url(&self, queue: &str) -> String {
        format!("{}/{}/{queue}", self.endpoint, self.account)
    }

    /// The queue's name in a URL, with the call counted.
    pub(crate) fn called<'a>(&self, operation: SqsOperation, url: &'a str) -> &'a str {
        let queue = url.rsplit('/').next().unwrap_or_default();
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.count(queue, operation.as_str());
        queue
    }

    pub(crate) fn calls(&self) -> BTreeMap<(String, &'static str), u64> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.all()
    }

    /// Calls the engine, then wakes the polls that it concerns.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) fn run<T>(
        &self,
        work: impl FnOnce(&mut Engine, Millis) -> Result<T, SqsError>,
    ) -> Result<T, SqsError> {
        let mut state = self.lock();
        let result = work(&mut state.engine, self.clock.now());
        self.wake(&mut state);
        result
    }

    /// Receives, or returns the notifier to wait for before asking again.
    pub(crate) fn poll(
        &self,
        queue: &str,
        request: &ReceiveRequest,
    ) -> Result<Result<Vec<Delivery>, Arc<Notify>>, SqsError> {
        let mut state = self.lock();
        let deliveries = state.engine.receive(queue, request, self.clock.now());
        self.wake(&mut state);
        let deliveries = deliveries?;
        if !deliveries.is_empty() {
            return Ok(Ok(deliveries));
        }
        let notifier = match state.notifiers.get(queue) {
            Some(notifier) => notifier,
            None => state.notifiers.entry(queue.into()).or_default(),
        };
        Ok(Err(Arc::clone(notifier)))
    }

    /// A copy of the engine, if anything was called since the last one.
    pub(crate) fn copy(&self) -> Option<Engine> {
        let mut state = self.lock();
        std::mem::take(&mut state.called).then(|| state.engine.clone())
    }

    /// The last copy was of no use: the next one is made whatever is called.
    pub(crate) fn discard_copy(&self) {
        self.lock().called = true;
    }

    /// Lets all who wait for a queue look at it anew: it is gone.
    pub(crate) fn dismiss(&self, queue: &str) {
        if let Some(notifier) = self.lock().notifiers.remove(queue) {
            notifier.notify_waiters();
        }
    }

    /// Calls the engine whenever time alone has something to do. Ends with `stop`.
    pub(crate) async fn keep_time(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                state.armed = state.engine.next_wakeup();
                state.armed.map(|at| self.clock.instant(at))
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.rearm.notified() => {}
                () = until(next) => {
                    let mut state = self.lock();
                    state.engine.advance(self.clock.now());
                    self.wake(&mut state);
                }
            }
        }
    }

    /// Wakes a poll for each queue that has messages to receive, and the timer if it is to go off
    /// earlier than before.
    fn wake(&self, state: &mut State) {
        state.called = true;
        for queue in state.engine.take_available() {
            if let Some(notifier) = state.notifiers.get(&queue) {
                notifier.notify_one();
            }
        }
        if let Some(next) = state.engine.next_wakeup()
            && state.armed.is_none_or(|armed| next < armed)
        {
            state.armed = Some(next);
            self.rearm.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic inside of the engine is a failed test or a failed demo; others may go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Limits;

    #[tokio::test]
    async fn a_copy_that_was_of_no_use_is_made_again_without_another_call() {
        let engine = Engine::new("region", "account", Limits::default(), 1);
        let clock = Clock::start(engine.now());
        let shell = Shell::new(engine, clock, String::new(), String::new());
        assert!(shell.copy().is_none(), "nothing was called");
        shell.run(|_, _| Ok(())).unwrap();
        assert!(shell.copy().is_some());
        assert!(shell.copy().is_none());
        shell.discard_copy();
        assert!(shell.copy().is_some());
    }
}
