//! Holds the lease of the batch clock, counts and shows.
//!
//! The lease is held for as long as its holder lives, so that the figures stay on one page. They
//! are on it only while the holder is sure to have the lease ([`renew_while_sure`]): two relays
//! never both show. Counting costs read units, so little is counted while nothing happens.

use std::sync::Arc;
use std::time::Duration;

use domain::{BatchClock, BatchMeasurement, BatchTerms, DueDate, StatusCounts};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::payments::{PaymentsError, StatusCounter};
use shared::queue::SentMessages;
use shared::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::batch_clock::position::BatchPosition;
use crate::batch_clock::queues::QueueDepths;
use crate::batch_page::BatchPage;
use crate::events;
use crate::labels::QueueKind;
use crate::leases::keys::sweep_lease_key;
use crate::leases::position::LeasePosition;
use crate::leases::renewal::renew_while_sure;
use crate::leases::table::{Lease, LeaseError, LeaseTable};
use crate::sweeps::SweepLeases;

/// The batch clock in its lease's key.
const BATCH_CLOCK: &str = "batch-clock";
/// How often the holder looks whether a measurement is due.
const STEP: Duration = Duration::from_secs(1);
/// How long nothing is counted, at most, while nothing of today is open and nothing moves.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// Shortest time over which a rate is measured.
const MINUTE: Duration = Duration::from_secs(60);
/// Partitions of the index counted at the same time.
const PARALLEL: usize = 4;

/// Settings of the batch clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchClockSettings {
    /// How often today's payments are counted, and the depths of the queues read.
    pub(crate) interval: Duration,
    /// How long the batch may take.
    pub(crate) deadline: Duration,
    /// How long after its start a day is opened.
    pub(crate) opening_delay: Duration,
}

/// The batch clock of one relay.
#[derive(Debug)]
pub(crate) struct BatchClockExporter {
    pub(crate) leases: Arc<dyn LeaseTable>,
    pub(crate) stream: String,
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) zone: TimeZone,
    pub(crate) settings: BatchClockSettings,
    pub(crate) sweep_leases: watch::Receiver<SweepLeases>,
    pub(crate) counter: Arc<dyn StatusCounter>,
    pub(crate) queues: Arc<dyn QueueDepths>,
    pub(crate) page: Arc<dyn BatchPage>,
    /// Payments that this relay has queued.
    pub(crate) sent: SentMessages,
}

/// What the holder knows.
#[derive(Debug)]
struct Holding {
    batch: BatchClock,
    /// No measurement before then, unless the day changes.
    next: Instant,
    /// When payments were last counted.
    counted: Option<Instant>,
    /// What this relay had queued by then.
    sent: u64,
}

impl BatchClockExporter {
    /// Takes the lease when it is free, counts and shows while it is held, until shutdown.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        while let Some(seen) = shutdown.unless_requested(self.turn()).await {
            self.hold(seen.as_ref(), &shutdown).await;
        }
    }

    /// Returns when no other relay holds the lease, with the lease as it was seen.
    async fn turn(&mut self) -> Option<Lease> {
        while self.sweep_leases.changed().await.is_ok() {
            let sweep_leases = self.sweep_leases.borrow_and_update();
            if sweep_leases.asked_at.is_some()
                && let Some(seen) = sweep_leases.free(&self.stream, BATCH_CLOCK, &self.name)
            {
                return seen.cloned();
            }
        }
        // The relay has ended; shutdown follows.
        std::future::pending().await
    }

    async fn hold(&self, seen: Option<&Lease>, shutdown: &Shutdown) {
        let key = sweep_lease_key(&self.stream, BATCH_CLOCK);
        let taken_at = Instant::now();
        let lease = match self.leases.take(&key, seen).await {
            Ok(lease) => lease,
            Err(LeaseError::TakenByAnother { .. }) => return,
            Err(error) => return events::lease_failed(&key, &error),
        };
        let (position, kept) = watch::channel(BatchPosition::from_stored(&lease.position));
        let holding = shutdown.child();
        let measuring = async {
            self.measure(&position, &holding).await;
            // Before the lease is given up.
            self.page.clear();
            drop(position);
        };
        // Asked to stop by the renewal, the measuring ends within the same poll of both.
        tokio::join!(renew_while_sure(&*self.leases, lease, kept, taken_at, &holding), measuring);
    }

    /// Measures at intervals while the lease is held. What the holder before has measured last is
    /// shown at once, and not measured again within the interval.
    async fn measure(&self, position: &watch::Sender<BatchPosition>, holding: &Shutdown) {
        let batch = position.borrow().clock();
        let wait = batch.last().map_or(Duration::ZERO, |last| self.wait_after(last.at));
        let next = Instant::now() + wait;
        let mut held = Holding { batch, next, counted: None, sent: self.sent.total() };
        self.show(&held.batch);
        loop {
            let today = DueDate::today(self.clock.now(), &self.zone);
            let new_day = held.batch.last().is_none_or(|last| last.day != today);
            if Instant::now() >= held.next || (new_day && held.counted.is_some()) {
                held.next = Instant::now() + self.settings.interval;
                let step = self.step(&mut held, today, position);
                if holding.unless_requested(step).await.is_none() {
                    return;
                }
            }
            if holding.pause(STEP).await {
                return;
            }
        }
    }

    /// How long after a measurement the next may be made. One in the future is none: a clock was
    /// wrong then.
    fn wait_after(&self, last: Timestamp) -> Duration {
        let passed = Duration::try_from(self.clock.now().duration_since(last));
        passed.map_or(Duration::ZERO, |passed| self.settings.interval.saturating_sub(passed))
    }

    /// Reads the depths, and counts if there may be something to count.
    async fn step(
        &self,
        held: &mut Holding,
        today: DueDate,
        position: &watch::Sender<BatchPosition>,
    ) {
        let queued = self.read_depths().await;
        let sent = self.sent.total();
        let idle = held.counted.is_some_and(|at| at.elapsed() < IDLE.max(self.settings.interval));
        let last = held.batch.last().filter(|last| last.day == today);
        let nothing_open = last.is_some_and(|last| last.counts.open() == 0);
        if idle && nothing_open && !queued && sent == held.sent {
            return;
        }
        let at = self.clock.now();
        match self.count(today).await {
            Ok(counts) => {
                (held.counted, held.sent) = (Some(Instant::now()), sent);
                held.batch.note(BatchMeasurement { day: today, at, counts });
                position.send_replace(BatchPosition::of(&held.batch));
                self.show(&held.batch);
                events::succeeded("batch_clock");
            }
            Err(error) => events::batch_not_counted(&error),
        }
    }

    fn show(&self, batch: &BatchClock) {
        let Some(day) = batch.last().map(|last| last.day) else { return };
        let began = self.sweep_leases.borrow().opening_began(&self.stream, day, &self.zone);
        let delay = SignedDuration::try_from(self.settings.opening_delay).unwrap_or_default();
        let opened_at = began.unwrap_or_else(|| {
            let start = day.start(&self.zone);
            start.checked_add(delay).unwrap_or(start)
        });
        let BatchClockSettings { interval, deadline: limit, .. } = self.settings;
        let terms = BatchTerms { opened_at, limit, window: interval.max(MINUTE) };
        if let Some(reading) = batch.read(terms) {
            self.page.show(&reading);
        }
    }

    /// Shows how deep the queues are; whether payments are under way in one of them.
    async fn read_depths(&self) -> bool {
        let mut queued = false;
        for queue in QueueKind::ALL {
            let depth = self.queues.depth(queue).await;
            if let Err(error) = &depth {
                events::depth_unread(queue.as_str(), error);
            }
            let depth = depth.ok();
            queued |= queue != QueueKind::DeadLetters
                && depth.is_some_and(|depth| depth.visible + depth.in_flight > 0);
            self.page.show_depth(queue, depth);
        }
        queued
    }

    /// Counts the payments of a day, some partitions of the index at a time.
    async fn count(&self, day: DueDate) -> Result<StatusCounts, PaymentsError> {
        let mut counts = StatusCounts::default();
        let mut partitions = self.counter.partitions();
        let mut counting = JoinSet::new();
        loop {
            while counting.len() < PARALLEL {
                let Some(partition) = partitions.next() else { break };
                counting.spawn(count_partition(Arc::clone(&self.counter), (day, partition)));
            }
            match counting.join_next().await {
                Some(counted) => counts.add_all(counted.map_err(PaymentsError::DueTask)??),
                None => return Ok(counts),
            }
        }
    }
}

async fn count_partition(
    counter: Arc<dyn StatusCounter>,
    place: (DueDate, u16),
) -> Result<StatusCounts, PaymentsError> {
    let (mut counts, mut cursor) = (StatusCounts::default(), None);
    loop {
        let (page, next) = counter.count_statuses(place, cursor).await?;
        counts.add_all(page);
        match next {
            Some(next) => cursor = Some(next),
            None => return Ok(counts),
        }
    }
}
