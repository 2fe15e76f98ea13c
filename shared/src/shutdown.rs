//! Shutdown: stop taking work, finish what is in hand, but not for ever.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The work in hand was not finished within the drain deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "work in hand was not finished within {0:?} after shutdown was asked for; the queue will deliver it again"
)]
pub struct DrainExceeded(Duration);

/// Tells every loop of a process that it should end.
#[derive(Debug, Clone)]
pub struct Shutdown {
    token: CancellationToken,
    drain: Duration,
}

impl Shutdown {
    /// A shutdown that [`Shutdown::request`] sets off, with `drain` to finish work in hand.
    #[must_use]
    pub fn new(drain: Duration) -> Self {
        Self { token: CancellationToken::new(), drain }
    }

    /// Sets it off on SIGTERM, SIGINT or SIGHUP (a terminal that is closed) as well.
    ///
    /// # Errors
    /// The process cannot listen for signals.
    pub fn on_signals(self) -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM received: draining"),
                _ = interrupt.recv() => tracing::info!("SIGINT received: draining"),
                _ = hangup.recv() => tracing::info!("SIGHUP received: draining"),
            }
            shutdown.request();
        });
        Ok(self)
    }

    /// Sets it off when standard input ends as well: it is a pipe of which the process that
    /// started this one holds the other end, and the system closes that with it, however it ends.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn on_end_of_input(self) -> std::io::Result<Self> {
        let shutdown = self.clone();
        // A thread of its own: a read that waits must not hold up the end of the runtime.
        std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
            let mut input = std::io::stdin().lock();
            let mut buffer = [0; 64];
            loop {
                match std::io::Read::read(&mut input, &mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            tracing::info!("the process that started this one has ended: draining");
            shutdown.request();
        })?;
        Ok(self)
    }

    /// A shutdown of a part of the process: asked for with the whole, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), drain: self.drain }
    }

    /// Asks every loop to end.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns once it is asked for.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// The result of `work`, or `None` when shutdown is asked for first; `work` is dropped
    /// then, so it must be safe to abandon.
    pub async fn unless_requested<F: Future>(&self, work: F) -> Option<F::Output> {
        self.token.run_until_cancelled(work).await
    }

    /// Waits for `pause`, or less when shutdown is asked for; true when it was.
    pub async fn pause(&self, pause: Duration) -> bool {
        self.unless_requested(tokio::time::sleep(pause)).await.is_none()
    }

    /// Finishes `work` after shutdown was asked for, under the drain deadline.
    ///
    /// # Errors
    /// [`DrainExceeded`] when the deadline passed; `work` is dropped then.
    pub async fn drain<F: Future>(&self, work: F) -> Result<F::Output, DrainExceeded> {
        tokio::time::timeout(self.drain, work).await.map_err(|_| DrainExceeded(self.drain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_at_once_when_shutdown_is_asked_for() {
        let shutdown = Shutdown::new(Duration::from_secs(1));
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.pause(Duration::from_secs(3600)).await }
        });
        tokio::task::yield_now().await;
        let before = tokio::time::Instant::now();
        shutdown.request();
        assert!(waiting.await.unwrap());
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_ends_at_its_deadline() {
        let shutdown = Shutdown::new(Duration::from_secs(25));
        shutdown.request();
        let stuck = shutdown.drain(std::future::pending::<()>()).await;
        assert_eq!(stuck, Err(DrainExceeded(Duration::from_secs(25))));
        assert_eq!(shutdown.drain(async { 7 }).await, Ok(7));
    }
}
