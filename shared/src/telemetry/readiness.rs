//! Whether a service does its work: it has started, and the calls that its work is made of do not
//! all fail. `/readyz` says so; `/healthz` only says that the process answers, because a restart
//! brings back no queue that was deleted.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many failures in a row, without a success between them, ...
const IN_A_ROW: u32 = 3;
/// ... over at least so long make a service unready. The longest pause between two tries is 20
/// seconds (`retry::NEVER_GIVE_UP`).
const LONG: Duration = Duration::from_secs(15);
/// A failure that nothing followed for so long says nothing any more: nobody makes these calls
/// now. Longer than a pause and a call's time limit together.
const FORGOTTEN: Duration = Duration::from_secs(120);
/// Most bytes of an error that are shown.
const MAX_WORDS: usize = 300;

/// Whether the service does its work.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<ReadinessShared>);

#[derive(Debug, Default)]
struct ReadinessShared {
    started: AtomicBool,
    watched: Mutex<Vec<(String, Calls)>>,
}

/// One kind of call, as all who make it report on it. Clones report together.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Option<Failing>>>);

/// Failures without a success since.
#[derive(Debug, Clone)]
struct Failing {
    since: Instant,
    last: Instant,
    in_a_row: u32,
    words: String,
}

impl Readiness {
    /// The service is connected and takes work.
    pub fn ready(&self) {
        self.0.started.store(true, Ordering::Relaxed);
    }

    /// Watches one kind of call: while it keeps failing, the service is not ready. `what` names it
    /// for people, as in "receiving from dueflow-payments.fifo".
    #[must_use]
    pub fn watch(&self, what: impl Into<String>) -> Calls {
        let calls = Calls::default();
        locked(&self.0.watched).push((what.into(), calls.clone()));
        calls
    }

    /// Whether the service is ready.
    ///
    /// # Errors
    /// Why it is not, for people.
    pub fn check(&self) -> Result<(), String> {
        if !self.0.started.load(Ordering::Relaxed) {
            return Err("starting".to_owned());
        }
        let now = Instant::now();
        let watched = locked(&self.0.watched);
        let failing: Vec<_> = watched
            .iter()
            .filter_map(|(what, calls)| Some(format!("{what} fails: {}", calls.failing(now)?)))
            .collect();
        if failing.is_empty() { Ok(()) } else { Err(failing.join("\n")) }
    }
}

impl Calls {
    /// A call was answered.
    pub fn answered(&self) {
        *locked(&self.0) = None;
    }

    /// A call failed.
    pub fn failed(&self, error: &dyn Display) {
        let now = Instant::now();
        let mut words = error.to_string();
        words.truncate(words.floor_char_boundary(MAX_WORDS));
        let mut failing = locked(&self.0);
        // What was forgotten does not count as the beginning of what fails now.
        let before = failing.take().filter(|failing| now - failing.last < FORGOTTEN);
        let (since, in_a_row) = before.map_or((now, 0), |before| (before.since, before.in_a_row));
        *failing = Some(Failing { since, last: now, in_a_row: in_a_row.saturating_add(1), words });
    }

    /// Reports how a call ended.
    pub fn note<T, E: Display>(&self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.answered(),
            Err(error) => self.failed(error),
        }
    }

    /// How the calls fail, if they keep failing.
    fn failing(&self, now: Instant) -> Option<String> {
        let failing = locked(&self.0).clone()?;
        let Failing { since, last, in_a_row, words } = failing;
        let long = now - since >= LONG && in_a_row >= IN_A_ROW && now - last < FORGOTTEN;
        let seconds = (now - since).as_secs();
        long.then(|| format!("{in_a_row} times in a row for {seconds} s, at last with: {words}"))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every critical section replaces a whole value: a panic cannot leave it half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn watched() -> (Readiness, Calls) {
        let readiness = Readiness::default();
        let calls = readiness.watch("receiving from q.fifo");
        (readiness, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_is_unready_while_its_calls_keep_failing_and_ready_again_after_one_success() {
        let (readiness, calls) = watched();
        assert_eq!(readiness.check(), Err("starting".to_owned()));
        readiness.ready();
        assert_eq!(readiness.check(), Ok(()));
        for _ in 0..15 {
            calls.failed(&"AWS.SimpleQueueService.NonExistentQueue");
            assert_eq!(readiness.check(), Ok(()), "a short disturbance");
            advance(SECOND).await;
        }
        let words = readiness.check().unwrap_err();
        assert!(words.contains("receiving from q.fifo") && words.contains("NonExistentQueue"));
        assert!(words.contains("15 times in a row for 15 s"), "{words}");
        calls.clone().answered();
        assert_eq!(readiness.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_among_successes_and_two_slow_ones_leave_a_service_ready() {
        let (readiness, calls) = watched();
        readiness.ready();
        for _ in 0..60 {
            calls.failed(&"throttled");
            advance(SECOND).await;
            calls.note::<(), String>(&Err("throttled".to_owned()));
            calls.note::<(), String>(&Ok(()));
        }
        assert_eq!(readiness.check(), Ok(()));
        for _ in 0..2 {
            calls.failed(&"slow");
            advance(LONG).await;
        }
        assert_eq!(readiness.check(), Ok(()), "two are not enough");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_nobody_makes_any_more_are_forgotten_and_others_still_count() {
        let (readiness, calls) = watched();
        let others = readiness.watch("sending");
        readiness.ready();
        for _ in 0..4 {
            advance(LONG / 3).await;
            calls.failed(&"x");
        }
        assert!(readiness.check().is_err());
        advance(FORGOTTEN).await;
        assert_eq!(readiness.check(), Ok(()));
        for _ in 0..4 {
            others.failed(&"y");
            calls.failed(&"z");
            advance(LONG).await;
        }
        let words = readiness.check().unwrap_err();
        assert_eq!(words.lines().count(), 2, "{words}");
        assert!(words.contains("for 60 s"), "what was forgotten began anew: {words}");
    }
}
