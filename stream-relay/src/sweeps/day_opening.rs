//! The opening of a day: what was inserted before it began leaves now, once over all relays.
//!
//! Each day has a lease, whose position is the place of what was handed on last. One relay at a
//! time has it, and a day is opened only when all before it are, so an account's payments are
//! queued in order (INV-5). A relay that dies is replaced by another, which goes on there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::DueDate;
use jiff::SignedDuration;
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::events;
use crate::forward::dead_letter::PageTasks;
use crate::forward::drain::{drain, publish};
use crate::forward::forwarder::Forwarder;
use crate::forward::progress::Progress;
use crate::forward::queues::ShutdownRequested;
use crate::leases::keys::sweep_lease_key;
use crate::leases::position::LeasePosition;
use crate::leases::renewal::{FinalWrite, renew_until_done};
use crate::leases::table::{Lease, LeaseError, LeaseTable};
use crate::sweeps::day_position::{DayPosition, OpenedUpTo};
use crate::sweeps::due_index::DueIndex;
use crate::sweeps::eligibility::opens;
use crate::sweeps::interleave::InterleavedDay;
use crate::sweeps::sweep_leases::SweepLeases;

/// How long one relay tries to read a page before another may try.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a relay that did not get to the end of a day lets others try.
const ASIDE: Duration = Duration::from_secs(10);

/// Opens days for one relay.
#[derive(Debug)]
pub(crate) struct DayOpener {
    pub(crate) due_index: DueIndex,
    pub(crate) leases: Arc<dyn LeaseTable>,
    pub(crate) stream: String,
    pub(crate) name: String,
    /// Days before today.
    pub(crate) window: u16,
    /// How long after its start a day is opened.
    pub(crate) delay: Duration,
    pub(crate) checkpoint_interval: Duration,
    pub(crate) sweep_leases: watch::Receiver<SweepLeases>,
}

/// How an attempt at a day ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpeningResult {
    Opened,
    /// Another relay has it, or this one could not go on.
    Unfinished,
}

impl DayOpener {
    /// Opens days as they come, until shutdown.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        // Opened by this relay, and perhaps not seen in the table yet.
        let mut done = BTreeSet::new();
        loop {
            match shutdown.unless_requested(self.sweep_leases.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return,
            }
            let sweep_leases = self.sweep_leases.borrow_and_update().clone();
            let mut unfinished = false;
            while let Some((day, seen)) = self.next(&sweep_leases, &done) {
                if self.open(day, seen, &shutdown).await == OpeningResult::Unfinished {
                    unfinished = true;
                    break;
                }
                done.insert(day);
            }
            self.forget(&sweep_leases).await;
            let past = self.today().days_before(self.window.saturating_add(1));
            done.retain(|day| *day >= past);
            if unfinished && shutdown.pause(ASIDE).await {
                return;
            }
        }
    }

    /// The last day that has begun long enough ago.
    fn today(&self) -> DueDate {
        let delay = SignedDuration::try_from(self.delay).unwrap_or_default();
        let DueIndex { forwarder, .. } = &self.due_index;
        DueDate::today(forwarder.clock.now() - delay, &forwarder.zone)
    }

    /// The next day to be opened, if nobody is at it, and its lease.
    fn next(
        &self,
        sweep_leases: &SweepLeases,
        done: &BTreeSet<DueDate>,
    ) -> Option<(DueDate, Option<Lease>)> {
        sweep_leases.asked_at?;
        let today = self.today();
        let mut days = sweep_leases.days(&self.stream, today, &self.due_index.forwarder.zone);
        days.opened.extend(done);
        days.begun.retain(|day| !done.contains(day));
        let day = days.unopened(today, self.window);
        events::unopened(day.map(|day| {
            let forwarder = &self.due_index.forwarder;
            forwarder.clock.now().duration_since(day.start(&forwarder.zone))
        }));
        let seen = sweep_leases.free(&self.stream, &day?.to_string(), &self.name)?;
        Some((day?, seen.cloned()))
    }

    async fn open(&self, day: DueDate, seen: Option<Lease>, shutdown: &Shutdown) -> OpeningResult {
        let key = sweep_lease_key(&self.stream, &day.to_string());
        let lease = match self.leases.take(&key, seen.as_ref()).await {
            Ok(lease) => lease,
            Err(LeaseError::TakenByAnother { .. }) => return OpeningResult::Unfinished,
            Err(error) => {
                events::lease_failed(&key, &error);
                return OpeningResult::Unfinished;
            }
        };
        tracing::info!(%day, from = lease.position.checkpoint, "a day is being opened");
        let start = self.start(day, DayPosition::from_stored(&lease.position));
        let (position, kept) = watch::channel(start);
        let opening = shutdown.child();
        let (opened, kept) = tokio::join!(
            Box::pin(self.queue_day(day, position, &opening)),
            renew_until_done(&*self.leases, lease, kept, self.checkpoint_interval, &opening),
        );
        match (opened, kept) {
            (Ok(OpeningResult::Opened), FinalWrite::Written) => {
                events::opened(&day.to_string());
                OpeningResult::Opened
            }
            (Ok(_) | Err(ShutdownRequested), FinalWrite::Written | FinalWrite::Unwritten) => {
                OpeningResult::Unfinished
            }
        }
    }

    /// Where the opening of a day goes on: at the beginning, if somebody began before the day did.
    fn start(&self, day: DueDate, mut position: DayPosition) -> DayPosition {
        let Forwarder { clock, zone, .. } = &self.due_index.forwarder;
        if position.is_early(day, zone) {
            events::opened_early(&day.to_string());
            position = DayPosition { opened: OpenedUpTo::Nothing, begun: None };
        }
        position.begun = position.begun.or_else(|| Some(clock.now()));
        position
    }

    /// Hands on the rest of a day, behind the position, which follows what SQS has
    /// acknowledged (INV-3).
    async fn queue_day(
        &self,
        day: DueDate,
        position: watch::Sender<DayPosition>,
        opening: &Shutdown,
    ) -> Result<OpeningResult, ShutdownRequested> {
        let mut progress = Progress::at(position.borrow().clone());
        let mut open = PageTasks::new();
        let rest = self.rest(day, &progress.position().opened);
        let read = match rest {
            Some(rest) => self.read(day, rest, &position, &mut progress, &mut open, opening).await,
            None => Ok(()),
        };
        if matches!(read, Err(ShutdownRequested)) {
            opening.request();
        }
        if drain(&mut open, &mut progress, opening).await.is_err() {
            open.abort_all();
        }
        publish(&progress, &position);
        read?;
        match progress.position().opened {
            OpenedUpTo::End => Ok(OpeningResult::Opened),
            OpenedUpTo::Nothing | OpenedUpTo::Place(_) => Ok(OpeningResult::Unfinished),
        }
    }

    /// What of the day lies behind a position; `None` when it is open.
    fn rest(&self, day: DueDate, from: &OpenedUpTo) -> Option<InterleavedDay> {
        match from {
            OpenedUpTo::End => None,
            OpenedUpTo::Nothing => Some(self.due_index.scheduled(day)),
            OpenedUpTo::Place(place) => Some(self.due_index.scheduled_behind(day, place)),
        }
    }

    async fn read(
        &self,
        day: DueDate,
        mut rest: InterleavedDay,
        position: &watch::Sender<DayPosition>,
        progress: &mut Progress<DayPosition>,
        open: &mut PageTasks,
        opening: &Shutdown,
    ) -> Result<(), ShutdownRequested> {
        let start = day.start(&self.due_index.forwarder.zone);
        let begun = progress.position().begun;
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        let mut since = Instant::now();
        let mut page = 0;
        loop {
            match opening.unless_requested(rest.next()).await.ok_or(ShutdownRequested)? {
                Ok(Some(found)) => {
                    (pauses, page) = (retry::NEVER_GIVE_UP.pauses(), page + 1);
                    let end = DayPosition { opened: OpenedUpTo::Place(rest.place()), begun };
                    let found = self.due_index.filter_items(day, found);
                    let before = open.len();
                    let which = |stored: &_| opens(stored, start);
                    let count = self.due_index.forward(found, which, page, open, opening).await?;
                    events::opened_payments(count);
                    progress.read(page, end, open.len() - before);
                    while let Some(done) = open.try_join_next() {
                        progress.done(done.ok().flatten().ok_or(ShutdownRequested)?);
                    }
                    publish(progress, position);
                    since = Instant::now();
                }
                Ok(None) => {
                    let end = DayPosition { opened: OpenedUpTo::End, begun };
                    progress.read(page + 1, end, 0);
                    return Ok(());
                }
                Err(_) if since.elapsed() >= PATIENCE => return Err(ShutdownRequested),
                Err(error) => {
                    let pause = pauses.next().unwrap_or_default();
                    self.due_index.failed(&error, pause, opening).await?;
                }
            }
        }
    }

    /// Deletes the leases of days that are long past.
    async fn forget(&self, sweep_leases: &SweepLeases) {
        let today = self.today();
        let days = sweep_leases.days(&self.stream, today, &self.due_index.forwarder.zone);
        for day in days.past(today, self.window) {
            let key = sweep_lease_key(&self.stream, &day.to_string());
            let seen = sweep_leases.seen.iter().find(|(lease, _)| lease.key == key);
            let Some((lease, _)) = seen else { continue };
            if let Err(error) = self.leases.forget(&key, lease.counter).await {
                events::lease_failed(&key, &error);
            }
        }
    }
}
