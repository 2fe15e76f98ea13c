//! Asking for what the stream has lost.

use jiff::Timestamp;
use shared::shutdown::Shutdown;
use tokio::sync::watch;

/// Which records were not read, by when the stream took them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LostRecords {
    /// After the last record that was read; everything before where nobody knows.
    pub(crate) since: Option<Timestamp>,
    /// Before the first record that is there still; up to now where none is.
    pub(crate) until: Option<Timestamp>,
}

impl LostRecords {
    /// Everything that one of the two has lost.
    fn or(self, other: Self) -> Self {
        Self {
            since: self.since.zip(other.since).map(|(one, another)| one.min(another)),
            until: self.until.zip(other.until).map(|(one, another)| one.max(another)),
        }
    }
}

/// What was asked for so far.
#[derive(Debug, Default)]
struct PendingRecovery {
    number: u64,
    /// Since the last sweep started.
    lost: Option<LostRecords>,
}

/// Asks for sweeps.
#[derive(Debug, Clone)]
pub(crate) struct GapRecoveryRequester {
    asked: watch::Sender<PendingRecovery>,
    completed: watch::Receiver<u64>,
}

/// A sweep that was asked for.
#[derive(Debug)]
pub(crate) struct RecoveryTicket {
    number: u64,
    completed: watch::Receiver<u64>,
}

impl GapRecoveryRequester {
    /// Asks for a sweep that starts after this call, also when one is under way.
    pub(crate) fn ask(&self, lost: LostRecords) -> RecoveryTicket {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            asked.number += 1;
            asked.lost = Some(asked.lost.map_or(lost, |before| before.or(lost)));
            number = asked.number;
        });
        RecoveryTicket { number, completed: self.completed.clone() }
    }
}

impl RecoveryTicket {
    /// Returns once the sweep is complete; false when shutdown came first.
    pub(crate) async fn complete(mut self, shutdown: &Shutdown) -> bool {
        let complete = self.completed.wait_for(|completed| *completed >= self.number);
        matches!(shutdown.unless_requested(complete).await, Some(Ok(_)))
    }
}

/// The other end: what was asked for.
#[derive(Debug)]
pub(crate) struct GapRecoveryQueue {
    asked: watch::Sender<PendingRecovery>,
    changes: watch::Receiver<PendingRecovery>,
    completed: watch::Sender<u64>,
}

/// A sweep to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecoveryRequest {
    pub(super) lost: LostRecords,
    number: u64,
}

impl GapRecoveryQueue {
    /// Both ends.
    pub(crate) fn open() -> (GapRecoveryRequester, Self) {
        let (asked, changes) = watch::channel(PendingRecovery::default());
        let (completed, complete) = watch::channel(0);
        let sweeps = GapRecoveryRequester { asked: asked.clone(), completed: complete };
        (sweeps, Self { asked, changes, completed })
    }

    /// The next sweep to be made, of everything that was asked for until now. Dropped before
    /// it returns, it takes nothing.
    pub(super) async fn next(&mut self) -> RecoveryRequest {
        loop {
            let mut taken = None;
            self.changes.mark_unchanged();
            self.asked.send_if_modified(|asked| {
                taken =
                    asked.lost.take().map(|lost| RecoveryRequest { lost, number: asked.number });
                false
            });
            match taken {
                Some(request) => return request,
                // This end keeps a sender, so the channel stays open.
                None => drop(self.changes.changed().await),
            }
        }
    }

    /// Says that a sweep is complete.
    pub(super) fn complete(&self, request: RecoveryRequest) {
        self.completed.send_replace(request.number);
    }
}
