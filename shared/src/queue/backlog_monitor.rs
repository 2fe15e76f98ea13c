//! Keeps who feeds a queue in step with who receives from it: reads the depth of the queue while
//! messages are sent, and says whether more should be.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::api::MessageCount;
use super::backlog::{Backlog, BacklogLimits};
use crate::shutdown::Shutdown;
use crate::telemetry::Rarely;

/// Time between two readings of the depth, and for how long one may take.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many messages this process has sent to a queue. Cloning it gives the same counter.
#[derive(Debug, Clone, Default)]
pub struct SentMessages(Arc<AtomicU64>);

impl SentMessages {
    /// Notes that `count` more are in the queue.
    pub fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// How many this process has sent so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether the receivers of a queue keep up. Cloning it gives the same one.
#[derive(Debug, Clone)]
pub struct InStep(watch::Receiver<bool>);

impl InStep {
    /// What a test says of the receivers.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn of(found: watch::Receiver<bool>) -> Self {
        Self(found)
    }

    /// Waits while the backlog is too long. Dropping it is safe.
    pub async fn wait(&self) {
        // A monitor that has ended stops nothing.
        let _ = self.0.clone().wait_for(|in_step| *in_step).await;
    }
}

/// Told when the backlog becomes too long or short enough, and when the depth is not known.
pub trait BacklogReport: fmt::Debug + Send + Sync {
    /// What the queue holds, for the log.
    const MESSAGES: &'static str;

    /// The receivers keep up again, or do not any more.
    fn in_step(&self, in_step: bool);

    /// The depth could not be read: it stops nothing meanwhile.
    fn unread(&self);
}

/// Reads the depth of one queue.
#[derive(Debug)]
pub struct BacklogMonitor<R> {
    queue: Arc<dyn MessageCount>,
    limits: BacklogLimits,
    sent: SentMessages,
    report: R,
    in_step: watch::Sender<bool>,
}

impl<R: BacklogReport> BacklogMonitor<R> {
    /// A monitor of `queue`, to which this process sends what `sent` counts, and what it finds.
    #[must_use]
    pub fn new(
        queue: Arc<dyn MessageCount>,
        limits: BacklogLimits,
        sent: SentMessages,
        report: R,
    ) -> (Self, InStep) {
        let (in_step, found) = watch::channel(true);
        (Self { queue, limits, sent, report, in_step }, InStep(found))
    }

    /// Reads until shutdown. Nothing is read while nothing is sent and the backlog is not too long.
    pub async fn run(self, shutdown: Shutdown) {
        let mut backlog = Backlog::new(self.limits);
        let mut counted = 0;
        let reasons = Rarely::default();
        while !shutdown.pause(INTERVAL).await {
            let sent = self.sent.total();
            let in_step = *self.in_step.borrow();
            if sent == counted && in_step {
                continue;
            }
            match tokio::time::timeout(INTERVAL, self.queue.messages()).await {
                Ok(Ok(depth)) => {
                    backlog.note(depth, sent - counted, Instant::now());
                    counted = sent;
                }
                Ok(Err(error)) => self.unread(&error, &reasons),
                Err(elapsed) => self.unread(&elapsed, &reasons),
            }
            let now_in_step = !backlog.is_too_long(Instant::now());
            if now_in_step != in_step {
                self.report.in_step(now_in_step);
                self.in_step.send_replace(now_in_step);
            }
        }
    }

    /// Counts a reading that failed, and says so once a minute.
    fn unread(&self, error: &dyn Error, reasons: &Rarely) {
        self.report.unread();
        if let Some(untold) = reasons.tell(&error.to_string()) {
            let messages = R::MESSAGES;
            tracing::warn!(messages, %error, untold, "the depth of a queue could not be read: it stops nothing meanwhile");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use async_trait::async_trait;

    use super::*;
    use crate::queue::QueueCallError;

    /// A queue whose depth a test sets; it may refuse to tell it.
    #[derive(Debug, Default)]
    struct Depth {
        messages: AtomicU64,
        refuses: AtomicBool,
        readings: AtomicU64,
    }

    #[async_trait]
    impl MessageCount for Depth {
        async fn messages(&self) -> Result<u64, QueueCallError> {
            self.readings.fetch_add(1, Ordering::Relaxed);
            if self.refuses.load(Ordering::Relaxed) {
                return Err(QueueCallError::other("down"));
            }
            Ok(self.messages.load(Ordering::Relaxed))
        }
    }

    #[derive(Debug)]
    struct Unreported;

    impl BacklogReport for Unreported {
        const MESSAGES: &'static str = "messages";

        fn in_step(&self, _: bool) {}
        fn unread(&self) {}
    }

    struct Monitored {
        depth: Arc<Depth>,
        sent: SentMessages,
        in_step: InStep,
    }

    impl Monitored {
        fn start() -> Self {
            let (depth, sent) = (Arc::new(Depth::default()), SentMessages::default());
            let queue = Arc::clone(&depth) as Arc<dyn MessageCount>;
            let limits = BacklogLimits { longest: Duration::from_secs(3), always: 1_000 };
            let (monitor, in_step) = BacklogMonitor::new(queue, limits, sent.clone(), Unreported);
            tokio::spawn(monitor.run(Shutdown::new(Duration::from_secs(1))));
            Self { depth, sent, in_step }
        }

        /// Whether more would be sent, after so many seconds.
        async fn sends_after(&self, seconds: u64) -> bool {
            tokio::time::sleep(Duration::from_secs(seconds) + INTERVAL / 2).await;
            let moment = Duration::from_millis(1);
            tokio::time::timeout(moment, self.in_step.wait()).await.is_ok()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_while_the_backlog_is_too_long_and_then_it_is_again() {
        let world = Monitored::start();
        assert!(world.sends_after(0).await);
        world.depth.messages.store(100_000, Ordering::Relaxed);
        world.sent.add(1);
        assert!(!world.sends_after(1).await);
        assert!(!world.sends_after(60).await, "it is read again though nothing is sent");
        world.depth.messages.store(10, Ordering::Relaxed);
        assert!(world.sends_after(1).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_depth_that_cannot_be_read_stops_nothing() {
        let world = Monitored::start();
        world.depth.messages.store(100_000, Ordering::Relaxed);
        world.sent.add(1);
        assert!(!world.sends_after(1).await);
        world.depth.refuses.store(true, Ordering::Relaxed);
        assert!(world.sends_after(10).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_sender_reads_no_depth() {
        let world = Monitored::start();
        assert!(world.sends_after(3_600).await);
        assert_eq!(world.depth.readings.load(Ordering::Relaxed), 0);
        world.sent.add(1);
        assert!(world.sends_after(3_600).await);
        assert_eq!(world.depth.readings.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_monitor_that_has_ended_stops_nothing() {
        // Whoever said that the backlog is too long has gone.
        let (monitor, found) = watch::channel(false);
        drop(monitor);
        InStep::of(found).wait().await;
    }
}
