//! The engine's clock: the wall clock at the start, and tokio's clock from then on, so that time
//! never goes back and tests can hold it. After a restart from a snapshot, time does not go back
//! to before that either.

use std::time::SystemTime;

use tokio::time::Instant;

use super::engine::Millis;

#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Millis,
    started: Instant,
}

impl Clock {
    pub(crate) fn start(earliest: Millis) -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let epoch = Millis(0) + since_epoch.unwrap_or_default();
        Self { epoch: epoch.max(earliest), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Millis {
        self.epoch + self.started.elapsed()
    }

    /// The moment at which `now` first gives `at`.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        self.started + at.since(self.epoch)
    }
}

/// Waits until `at`, for ever without one.
pub(crate) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
