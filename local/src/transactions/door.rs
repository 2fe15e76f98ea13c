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
pub enum Reach {
    /// It can.
    #[default]
    Up,
    /// Every connection is cut, an open one at once and a new one with the
    /// first byte of its request, without a byte of an answer.
    Down,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Door {
    shut: AtomicBool,
    turned_away: AtomicU64,
    stopping: CancellationToken,
    /// Cancelled when the door is shut or the service stops: it cuts every
    /// connection that was open until then.
    until_cut: Mutex<CancellationToken>,
}

impl Door {
    pub(crate) fn new(reach: Reach, stopping: CancellationToken) -> Self {
        let until_cut = Mutex::new(stopping.child_token());
        let shut = AtomicBool::new(reach == Reach::Down);
        Self { shut, turned_away: AtomicU64::new(0), stopping, until_cut }
    }

    pub(crate) fn set(&self, reach: Reach) {
        match reach {
            Reach::Up => self.shut.store(false, Release),
            Reach::Down => {
                let mut until_cut = self.until_cut();
                self.shut.store(true, Release);
                until_cut.cancel();
                *until_cut = self.stopping.child_token();
            }
        }
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.shut.load(Acquire)
    }

    /// Cancelled when a connection that is made now must be cut.
    pub(crate) fn cut(&self) -> CancellationToken {
        self.until_cut().clone()
    }

    /// Counts a request that came while the door was shut.
    pub(crate) fn turn_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.load(Relaxed)
    }

    fn until_cut(&self) -> MutexGuard<'_, CancellationToken> {
        self.until_cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
