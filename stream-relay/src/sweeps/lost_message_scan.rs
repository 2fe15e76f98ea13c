//! The lost-message scan: payments that are due and that no message carries, because a message was purged,
//! the stream lost something without saying so, or no relay read it for a day.
//!
//! What a message carries is written nowhere: that would be one more write for every payment.
//! The number of messages tells enough (`eligibility::message_coverage`), but not of which account they are:
//! those with the fewest payments are queued regardless of it (`small_accounts`). One relay at a
//! time scans; the position of the lease is the time of the last scan.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use domain::{DueDate, PaymentId, PaymentRef, Status};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::payments::{DuePayments, OldDays};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::events;
use crate::forward::partition::PaymentToQueue;
use crate::forward::queues::ShutdownRequested;
use crate::leases::keys::sweep_lease_key;
use crate::leases::position::LeasePosition;
use crate::leases::renewal::renew_until_done;
use crate::leases::table::{LeaseError, LeaseTable};
use crate::sweeps::due_index::DueIndex;
use crate::sweeps::eligibility::{FEW, LONG, MessageCoverage, PATIENCE, message_coverage, waits};
use crate::sweeps::last_scan::LastScan;
use crate::sweeps::small_accounts::SmallestAccounts;
use crate::sweeps::sweep_leases::{SCAN, SweepLeases};

/// How long the queue's number of messages may lag behind what was sent, with some to spare.
const COUNT_LAG: Duration = Duration::from_secs(120);
/// Pause after a scan that failed.
const SCAN_RETRY: Duration = Duration::from_secs(60);

/// Scans for one relay.
#[derive(Debug)]
pub(crate) struct LostMessageScan {
    pub(crate) leases: Arc<dyn LeaseTable>,
    pub(crate) stream: String,
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) zone: TimeZone,
    pub(crate) interval: Duration,
    pub(crate) checkpoint_interval: Duration,
    pub(crate) sweep_leases: watch::Receiver<SweepLeases>,
    pub(crate) schedule: ScanSchedule,
    /// Days before today that are opened. Those before them are scanned every `old_interval`.
    pub(crate) window: u16,
    /// How often the days before the window are scanned.
    pub(crate) old_interval: Duration,
    pub(crate) state: ScanState,
}

/// What a scan leaves for the next.
#[derive(Debug, Default)]
pub(crate) struct ScanState {
    /// Queued again regardless of the number of messages, and SCHEDULED still: at most [`FEW`].
    tried: HashSet<PaymentId>,
    /// Scans so far.
    number: u64,
    /// When the days before the window were last scanned, and when that was last begun.
    old: Option<Instant>,
    begun: Option<Instant>,
}

/// When this relay scans out of turn, or does not scan.
#[derive(Debug, Default)]
pub(crate) struct ScanSchedule {
    /// A scan is wanted from then on.
    wanted: Option<Instant>,
    /// The last one failed: none before then.
    barred: Option<Instant>,
    /// This relay's place in the jitter, from 0 to 1, drawn anew after each scan.
    jitter: f64,
}

/// What one pass over the payments that wait does with them.
#[derive(Debug, Clone, Copy)]
enum ScanPass {
    Count,
    HandOn,
}

impl LostMessageScan {
    /// A gap was found: scans as soon as the queue's numbers show what was queued for it.
    pub(super) fn wake(&mut self) {
        self.schedule.wanted = Some(Instant::now() + COUNT_LAG);
    }

    /// Returns when a scan is due and no other relay holds its lease.
    pub(super) async fn turn(&mut self) {
        while self.sweep_leases.changed().await.is_ok() {
            if self.is_due() {
                return;
            }
        }
        // The relay has ended; shutdown follows.
        std::future::pending().await
    }

    fn is_due(&mut self) -> bool {
        let today = DueDate::today(self.clock.now(), &self.zone);
        let sweep_leases = self.sweep_leases.borrow_and_update();
        let now = Instant::now();
        if self.schedule.barred.is_some_and(|until| now < until)
            || sweep_leases.open_for(PATIENCE, &self.stream, today).is_empty()
        {
            return false;
        }
        let Some(seen) = sweep_leases.free(&self.stream, SCAN, &self.name) else { return false };
        let last = seen.map_or(LastScan(None), |lease| LastScan::from_stored(&lease.position));
        let pause = self.interval.mul_f64(0.75 + self.schedule.jitter / 2.0);
        self.schedule.wanted.is_some_and(|from| from <= now)
            || last.is_over_for(pause, self.clock.now())
    }

    /// One scan of the days that have been open for a while.
    pub(super) async fn scan(&mut self, due_index: &DueIndex, shutdown: &Shutdown) {
        let sweep_leases = self.sweep_leases.borrow().clone();
        let today = DueDate::today(self.clock.now(), &self.zone);
        let open = sweep_leases.open_for(PATIENCE, &self.stream, today);
        let Some(seen) = sweep_leases.free(&self.stream, SCAN, &self.name) else { return };
        let key = sweep_lease_key(&self.stream, SCAN);
        let lease = match self.leases.take(&key, seen).await {
            Ok(lease) => lease,
            Err(LeaseError::TakenByAnother { .. }) => return,
            Err(error) => {
                self.schedule.barred = Some(Instant::now() + SCAN_RETRY);
                return events::lease_failed(&key, &error);
            }
        };
        let (position, kept) = watch::channel(LastScan::from_stored(&lease.position));
        let scanning = shutdown.child();
        let scan = async {
            let started = self.clock.now();
            let state = &mut self.state;
            let due = state.old.is_none_or(|last| last.elapsed() >= self.old_interval)
                && state.begun.is_none_or(|last| last.elapsed() >= self.old_interval / 12);
            if due {
                state.begun = Some(Instant::now());
            }
            let first = today.days_before(self.window);
            let known = sweep_leases.days(&self.stream, today, &self.zone);
            let unopened = known.unopened(today, self.window);
            let before = unopened.map_or(first, |day| day.min(first));
            let before = due.then_some(before);
            let coverage =
                Box::pin(scan_open_days(due_index, open, before, started, state, &scanning)).await;
            if due && coverage.is_ok() {
                state.old = state.begun;
            }
            if coverage.is_ok() {
                position.send_replace(LastScan(Some(started)));
            }
            drop(position);
            coverage
        };
        let (coverage, _) = tokio::join!(
            scan,
            renew_until_done(&*self.leases, lease, kept, self.checkpoint_interval, &scanning),
        );
        self.schedule.jitter = fastrand::f64();
        match coverage {
            Ok(coverage) => {
                self.schedule.wanted = None;
                events::scanned(coverage.as_str());
            }
            Err(ShutdownRequested) => self.schedule.barred = Some(Instant::now() + SCAN_RETRY),
        }
    }
}

/// Scans the days that are open, and those before `before` on which payments are SCHEDULED.
async fn scan_open_days(
    due_index: &DueIndex,
    mut days: Vec<DueDate>,
    before: Option<DueDate>,
    now: Timestamp,
    state: &mut ScanState,
    scanning: &Shutdown,
) -> Result<MessageCoverage, ShutdownRequested> {
    if let Some(before) = before {
        days.extend(old_days(due_index, before, scanning).await?);
        days.sort_unstable();
        days.dedup();
    }
    scan_days(due_index, &days, now, state, scanning).await
}

/// A slow pass over the whole index (INV-17).
async fn old_days(
    due_index: &DueIndex,
    before: DueDate,
    scanning: &Shutdown,
) -> Result<BTreeSet<DueDate>, ShutdownRequested> {
    let mut old = OldDays::new(Arc::clone(&due_index.table), Status::Scheduled, before);
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    loop {
        match scanning.unless_requested(old.read_on()).await.ok_or(ShutdownRequested)? {
            Ok(Some(days)) => return Ok(days),
            Ok(None) => pauses = retry::NEVER_GIVE_UP.pauses(),
            Err(error) => {
                due_index.failed(&error, pauses.next().unwrap_or_default(), scanning).await?;
            }
        }
    }
}

/// Finds out whether messages carry what is SCHEDULED, and queues it if not.
async fn scan_days(
    due_index: &DueIndex,
    days: &[DueDate],
    now: Timestamp,
    state: &mut ScanState,
    scanning: &Shutdown,
) -> Result<MessageCoverage, ShutdownRequested> {
    // Counted first: what is claimed meanwhile makes the queue look too long and never too short.
    let counting = scanning.unless_requested(due_index.forwarder.queues.messages());
    let queued = match counting.await.ok_or(ShutdownRequested)? {
        Ok(queued) => queued,
        Err(error) => {
            events::count_failed(&error);
            return Err(ShutdownRequested);
        }
    };
    // The index alone is cheap, and most of the time enough: it also counts what is too young.
    let enough = queued.saturating_mul(2).max(FEW);
    let mut scheduled = 0;
    let count = |page: Vec<PaymentRef>| {
        scheduled += page.len() as u64;
        if scheduled > enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    entries(due_index, days, count, scanning).await?;
    let mut coverage = message_coverage(scheduled, queued);
    let ago = |age| now - SignedDuration::try_from(age).unwrap_or_default();
    if coverage == MessageCoverage::Uncovered {
        let waiting = walk(due_index, days, ago(PATIENCE), ScanPass::Count, scanning).await?;
        coverage = message_coverage(waiting, queued);
        if coverage == MessageCoverage::Uncovered {
            events::uncovered(waiting, queued);
            walk(due_index, days, ago(PATIENCE), ScanPass::HandOn, scanning).await?;
        }
    }
    if coverage == MessageCoverage::Covered {
        queue_smallest(due_index, days, ago(LONG), state, scanning).await?;
    }
    Ok(coverage)
}

/// Queues what has waited since `since` in the accounts with the fewest payments, each once,
/// whatever the messages: at most [`FEW`] that wait were queued so.
async fn queue_smallest(
    due_index: &DueIndex,
    days: &[DueDate],
    since: Timestamp,
    state: &mut ScanState,
    scanning: &Shutdown,
) -> Result<(), ShutdownRequested> {
    state.number += 1;
    let mut smallest = SmallestAccounts::new(state.number);
    let mut waiting = HashSet::new();
    let gather = |page: Vec<PaymentRef>| {
        for reference in page {
            if state.tried.contains(&reference.id) {
                waiting.insert(reference.id);
            }
            smallest.add(reference);
        }
        ControlFlow::Continue(())
    };
    entries(due_index, days, gather, scanning).await?;
    state.tried = waiting;
    let room = usize::try_from(FEW).unwrap_or_default() - state.tried.len();
    let chosen = smallest.choose(&state.tried, room);
    if chosen.is_empty() {
        return Ok(());
    }
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    let found = loop {
        match scanning
            .unless_requested(due_index.table.get_many(&chosen))
            .await
            .ok_or(ShutdownRequested)?
        {
            Ok(found) => break found,
            Err(error) => {
                due_index.failed(&error, pauses.next().unwrap_or_default(), scanning).await?;
            }
        }
    };
    let due = waiting_since(due_index.filter_days(days, found), since);
    let tried: Vec<_> = due.iter().map(|due| due.payment.id).collect();
    due_index.forwarder.send(due, scanning).await?;
    events::queued_regardless(tried.len());
    state.tried.extend(tried);
    Ok(())
}

/// Those of `found` that have waited since `since`.
fn waiting_since(found: DuePayments, since: Timestamp) -> Vec<PaymentToQueue> {
    let mut due = Vec::with_capacity(found.len());
    for (reference, stored) in found {
        match stored {
            Ok(stored) => due.extend(
                waits(&stored, since)
                    .map(|dispatch| PaymentToQueue { payment: stored.payment, dispatch }),
            ),
            // Not dead-lettered here, at every scan: the stream or an opening has done it.
            Err(error) => events::unreadable(&reference, &error),
        }
    }
    due
}

/// Goes through the entries of the index that are SCHEDULED, page by page, until `take` has
/// enough.
async fn entries(
    due_index: &DueIndex,
    days: &[DueDate],
    mut take: impl FnMut(Vec<PaymentRef>) -> ControlFlow<()>,
    scanning: &Shutdown,
) -> Result<(), ShutdownRequested> {
    for &day in days {
        for shard in due_index.table.due_shards() {
            let mut cursor = None;
            let mut pauses = retry::NEVER_GIVE_UP.pauses();
            loop {
                let page = due_index.table.due_page(day, shard, Status::Scheduled, cursor.clone());
                match scanning.unless_requested(page).await.ok_or(ShutdownRequested)? {
                    Ok((page, next)) => {
                        if take(page).is_break() {
                            return Ok(());
                        }
                        cursor = next;
                        if cursor.is_none() {
                            break;
                        }
                    }
                    Err(error) => {
                        due_index
                            .failed(&error, pauses.next().unwrap_or_default(), scanning)
                            .await?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Goes through what has waited since `since`, the oldest day first and each in order (INV-5).
async fn walk(
    due_index: &DueIndex,
    days: &[DueDate],
    since: Timestamp,
    pass: ScanPass,
    scanning: &Shutdown,
) -> Result<u64, ShutdownRequested> {
    let mut total = 0;
    for &day in days {
        let mut rest = due_index.scheduled(day);
        while let Some(found) = due_index.read(&mut rest, scanning).await? {
            let due = waiting_since(found, since);
            total += due.len() as u64;
            match pass {
                ScanPass::Count => {}
                ScanPass::HandOn => {
                    let count = due.len();
                    due_index.forwarder.send(due, scanning).await?;
                    events::scan_payments(count);
                }
            }
        }
    }
    Ok(total)
}
