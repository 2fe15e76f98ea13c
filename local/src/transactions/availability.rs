//! Whether the service can be reached at all.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use tokio_util::sync::CancellationToken;

/// Whether the service can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    #[default]
    Up,
    /// Every connection is cut, an open one at once and a new one with the
    /// first byte of its request, without a byte of an answer.
    Down,
}

/// The availability, as all connections see it.
#[derive(Debug)]
pub(crate) struct AvailabilitySwitch {
    down: AtomicBool,
    unanswered: AtomicU64,
    stopping: CancellationToken,
    /// Cancelled when the service goes down or stops: it cuts every
    /// connection that was open until then.
    until_cut: Mutex<CancellationToken>,
}

impl AvailabilitySwitch {
    pub(crate) fn new(availability: Availability, stopping: CancellationToken) -> Self {
        let until_cut = Mutex::new(stopping.child_token());
        let down = AtomicBool::new(availability == Availability::Down);
        Self { down, unanswered: AtomicU64::new(0), stopping, until_cut }
    }

    pub(crate) fn set(&self, availability: Availability) {
        match availability {
            Availability::Up => self.down.store(false, Release),
            Availability::Down => {
                let mut until_cut = self.until_cut();
                self.down.store(true, Release);
                until_cut.cancel();
                *until_cut = self.stopping.child_token();
            }
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Acquire)
    }

    /// Cancelled when a connection that is made now must be cut.
    pub(crate) fn cut(&self) -> CancellationToken {
        self.until_cut().clone()
    }

    /// Counts a request that arrived while the service was down.
    pub(crate) fn count_unanswered(&self) {
        self.unanswered.fetch_add(1, Relaxed);
    }

    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.load(Relaxed)
    }

    fn until_cut(&self) -> MutexGuard<'_, CancellationToken> {
        self.until_cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
