//! The wall clock, as something that can be given: a simulation gives one that jumps.
//!
//! What is due, and what the transaction service still remembers, is decided by the time of day,
//! and a wall clock can be set wrong while a service works. A guarded clock is held against the
//! monotonic one since it was last confirmed ([`crate::installation::Agreement`], once a minute):
//! money moves by [`Clock::sure`] alone.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How far clocks that should agree may be apart. A payment may be taken for due on the wrong day
/// for so long around midnight; `DUEFLOW_OPENING_DELAY` is twice that by default.
pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// Tells the time of day. Durations are measured by tokio's monotonic clock, never by this.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    monotonic: Monotonic,
    /// When it was last known to be right, if it is guarded.
    confirmed: Option<Arc<Mutex<ClockReading>>>,
}

/// The clock that a wall clock is held against. Virtual time is tokio's, and says nothing of the
/// system's clock.
#[derive(Debug, Clone, Copy)]
enum Monotonic {
    System,
    Tokio,
}

/// A moment of a monotonic clock.
#[derive(Debug, Clone, Copy)]
enum Moment {
    System(std::time::Instant),
    Tokio(tokio::time::Instant),
}

impl Monotonic {
    fn now(self) -> Moment {
        match self {
            Self::System => Moment::System(std::time::Instant::now()),
            Self::Tokio => Moment::Tokio(tokio::time::Instant::now()),
        }
    }
}

impl Moment {
    fn elapsed(self) -> Duration {
        match self {
            Self::System(at) => at.elapsed(),
            Self::Tokio(at) => at.elapsed(),
        }
    }
}

/// One look at both clocks.
#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    /// The wall clock's.
    pub wall: Timestamp,
    monotonic: Moment,
}

impl Clock {
    /// The system's, guarded: one for all of a process.
    #[must_use]
    pub fn system() -> Self {
        static SYSTEM: LazyLock<Clock> = LazyLock::new(|| {
            let clock = Clock::new(Timestamp::now);
            Clock { monotonic: Monotonic::System, ..clock }.guarded()
        });
        SYSTEM.clone()
    }

    /// One that tells what `now` returns.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { wall: Arc::new(now), monotonic: Monotonic::Tokio, confirmed: None }
    }

    /// The same, held against tokio's monotonic clock from now on.
    #[must_use]
    pub fn guarded(self) -> Self {
        let confirmed = Some(Arc::new(Mutex::new(self.read())));
        Self { confirmed, ..self }
    }

    /// The time, UTC.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.wall)()
    }

    /// The time, unless the wall clock was set by more than [`TOLERANCE`] since it was last
    /// confirmed: nobody knows then whether it was right before or is now.
    #[must_use]
    pub fn sure(&self) -> Option<Timestamp> {
        let now = self.now();
        let steady = self.steady().unwrap_or(now);
        (steady.duration_since(now).abs() <= TOLERANCE).then_some(now)
    }

    /// A look at both clocks.
    #[must_use]
    pub fn read(&self) -> ClockReading {
        ClockReading { wall: self.now(), monotonic: self.monotonic.now() }
    }

    /// Notes that `reading` was right.
    pub fn confirm(&self, reading: ClockReading) {
        if let Some(confirmed) = &self.confirmed {
            *confirmed.lock().unwrap_or_else(PoisonError::into_inner) = reading;
        }
    }

    /// What the wall clock should show by what has passed since it was confirmed.
    fn steady(&self) -> Option<Timestamp> {
        let confirmed = self.confirmed.as_ref()?;
        let ClockReading { wall, monotonic } =
            *confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = SignedDuration::try_from(monotonic.elapsed()).ok()?;
        wall.checked_add(passed).ok()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_jumps_is_believed_only_once_it_is_confirmed() {
        let (began, jump) = (Instant::now(), Arc::new(AtomicI64::new(0)));
        let seconds = Arc::clone(&jump);
        let clock = Clock::new(move || {
            let jumped = SignedDuration::from_secs(seconds.load(Ordering::Relaxed));
            Timestamp::UNIX_EPOCH + began.elapsed() + jumped
        });
        let guarded = clock.clone().guarded();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(guarded.sure(), Some(clock.now()));
        for (seconds, is_sure) in [(86_400, false), (-61, false), (60, true), (-60, true)] {
            jump.store(seconds, Ordering::Relaxed);
            assert_eq!(guarded.sure().is_some(), is_sure, "{seconds} s");
            assert_eq!(clock.sure(), Some(clock.now()), "one that is not guarded is believed");
        }
        jump.store(86_400, Ordering::Relaxed);
        guarded.confirm(guarded.read());
        assert_eq!(guarded.sure(), Some(clock.now()));
    }
}
