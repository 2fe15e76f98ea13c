//! The watch: payments that are due and that no message carries, because a message was purged,
//! the stream lost something without saying so, or no relay read it for a day.
//!
//! What a message carries is written nowhere: that would be one more write for every payment.
//! The number of messages tells enough (`judgement::carried`), but not of which account they are:
//! those with the fewest payments are looked after regardless of it (`lightest`). One relay at a
//! time watches; the position of the lease is the time of the last look.

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
use crate::forward::forwarder::Stopped;
use crate::forward::partition::Due;
use crate::leases::keys::duty_key;
use crate::leases::renewal::keep;
use crate::leases::table::{Checkpoint, Lease, LeaseError, LeaseTable, Position};
use crate::sweeps::due_index::Hand;
use crate::sweeps::eligibility::{FEW, LONG, PATIENCE, Verdict, carried, waits};
use crate::sweeps::small_accounts::Lightest;
use crate::sweeps::sweep_leases::{Duties, WATCH};

/// How long the queue's number of messages may lag behind what was sent, with some to spare.
const COUNT_LAG: Duration = Duration::from_secs(120);
/// Pause after a look that failed.
const AGAIN: Duration = Duration::from_secs(60);

/// Watches for one relay.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) leases: Arc<dyn LeaseTable>,
    pub(crate) stream: String,
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) zone: TimeZone,
    pub(crate) interval: Duration,
    pub(crate) checkpoint_interval: Duration,
    pub(crate) duties: watch::Receiver<Duties>,
    pub(crate) turns: Turns,
    /// Days before today that are opened. Those before them are looked for now and then.
    pub(crate) window: u16,
    /// How often.
    pub(crate) old_interval: Duration,
    pub(crate) memory: Memory,
}

/// What a look leaves for the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Queued again regardless of the number of messages, and SCHEDULED still: at most [`FEW`].
    tried: HashSet<PaymentId>,
    /// Looks so far.
    number: u64,
    /// When the days before the window were last looked for, and when that was last begun.
    old: Option<Instant>,
    begun: Option<Instant>,
}

/// When this relay looks out of turn, or does not look.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// A look is wanted from then on.
    wanted: Option<Instant>,
    /// The last one failed: none before then.
    barred: Option<Instant>,
    /// This relay's place in the jitter, from 0 to 1, drawn anew after each look.
    jitter: f64,
}

/// What one pass over the payments that wait does with them.
#[derive(Debug, Clone, Copy)]
enum Pass {
    Count,
    HandOn,
}

impl Watch {
    /// A gap was found: looks as soon as the queue's numbers show what was queued for it.
    pub(super) fn wake(&mut self) {
        self.turns.wanted = Some(Instant::now() + COUNT_LAG);
    }

    /// Returns when it is time for a look, and nobody is at it.
    pub(super) async fn turn(&mut self) {
        while self.duties.changed().await.is_ok() {
            if self.is_due() {
                return;
            }
        }
        // The relay has ended; shutdown follows.
        std::future::pending().await
    }

    fn is_due(&mut self) -> bool {
        let today = DueDate::today(self.clock.now(), &self.zone);
        let duties = self.duties.borrow_and_update();
        let now = Instant::now();
        if self.turns.barred.is_some_and(|until| now < until)
            || duties.open_for(PATIENCE, &self.stream, today).is_empty()
        {
            return false;
        }
        let Some(seen) = duties.free(&self.stream, WATCH, &self.name) else { return false };
        let pause = self.interval.mul_f64(0.75 + self.turns.jitter / 2.0);
        self.turns.wanted.is_some_and(|from| from <= now)
            || is_time(seen.and_then(last_look), self.clock.now(), pause)
    }

    /// One look at the days that have been open for a while.
    pub(super) async fn look(&mut self, hand: &Hand, shutdown: &Shutdown) {
        let duties = self.duties.borrow().clone();
        let today = DueDate::today(self.clock.now(), &self.zone);
        let open = duties.open_for(PATIENCE, &self.stream, today);
        let Some(seen) = duties.free(&self.stream, WATCH, &self.name) else { return };
        let key = duty_key(&self.stream, WATCH);
        let lease = match self.leases.take(&key, seen).await {
            Ok(lease) => lease,
            Err(LeaseError::Lost { .. }) => return,
            Err(error) => {
                self.turns.barred = Some(Instant::now() + AGAIN);
                return events::lease_failed(&key, &error);
            }
        };
        let (position, kept) = watch::channel(lease.position.clone());
        let looking = shutdown.child();
        let look = async {
            let started = self.clock.now();
            let memory = &mut self.memory;
            let due = memory.old.is_none_or(|last| last.elapsed() >= self.old_interval)
                && memory.begun.is_none_or(|last| last.elapsed() >= self.old_interval / 12);
            if due {
                memory.begun = Some(Instant::now());
            }
            let first = today.days_before(self.window);
            let known = duties.days(&self.stream, today, &self.zone);
            let unopened = known.unopened(today, self.window);
            let before = unopened.map_or(first, |day| day.min(first));
            let before = due.then_some(before);
            let verdict =
                Box::pin(look_at_all(hand, open, before, started, memory, &looking)).await;
            if due && verdict.is_ok() {
                memory.old = memory.begun;
            }
            if verdict.is_ok() {
                position.send_replace(Position::at(Checkpoint::After(started.to_string())));
            }
            drop(position);
            verdict
        };
        let (verdict, _) = tokio::join!(
            look,
            keep(&*self.leases, lease, kept, self.checkpoint_interval, &looking),
        );
        self.turns.jitter = fastrand::f64();
        match verdict {
            Ok(verdict) => {
                self.turns.wanted = None;
                events::watched(verdict.as_str());
            }
            Err(Stopped) => self.turns.barred = Some(Instant::now() + AGAIN),
        }
    }
}

/// Looks at the days that are open, and at those before `before` on which payments are SCHEDULED.
async fn look_at_all(
    hand: &Hand,
    mut days: Vec<DueDate>,
    before: Option<DueDate>,
    now: Timestamp,
    memory: &mut Memory,
    looking: &Shutdown,
) -> Result<Verdict, Stopped> {
    if let Some(before) = before {
        days.extend(old_days(hand, before, looking).await?);
        days.sort_unstable();
        days.dedup();
    }
    look_through(hand, &days, now, memory, looking).await
}

/// A slow pass over the whole index (INV-17).
async fn old_days(
    hand: &Hand,
    before: DueDate,
    looking: &Shutdown,
) -> Result<BTreeSet<DueDate>, Stopped> {
    let mut old = OldDays::new(Arc::clone(&hand.table), Status::Scheduled, before);
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    loop {
        match looking.unless_requested(old.read_on()).await.ok_or(Stopped)? {
            Ok(Some(days)) => return Ok(days),
            Ok(None) => pauses = retry::NEVER_GIVE_UP.pauses(),
            Err(error) => {
                hand.failed(&error, pauses.next().unwrap_or_default(), looking).await?;
            }
        }
    }
}

/// Finds out whether messages carry what is SCHEDULED, and queues it if not.
async fn look_through(
    hand: &Hand,
    days: &[DueDate],
    now: Timestamp,
    memory: &mut Memory,
    looking: &Shutdown,
) -> Result<Verdict, Stopped> {
    // Counted first: what is claimed meanwhile makes the queue look too long and never too short.
    let counting = looking.unless_requested(hand.forwarder.outlet.queued());
    let queued = match counting.await.ok_or(Stopped)? {
        Ok(queued) => queued,
        Err(error) => {
            events::count_failed(&error);
            return Err(Stopped);
        }
    };
    // The index alone is cheap, and most of the time enough: it also counts what is too young.
    let enough = queued.saturating_mul(2).max(FEW);
    let mut scheduled = 0;
    let count = |page: Vec<PaymentRef>| {
        scheduled += page.len() as u64;
        if scheduled > enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    entries(hand, days, count, looking).await?;
    let mut verdict = carried(scheduled, queued);
    let ago = |age| now - SignedDuration::try_from(age).unwrap_or_default();
    if verdict == Verdict::Uncarried {
        let waiting = walk(hand, days, ago(PATIENCE), Pass::Count, looking).await?;
        verdict = carried(waiting, queued);
        if verdict == Verdict::Uncarried {
            events::uncarried(waiting, queued);
            walk(hand, days, ago(PATIENCE), Pass::HandOn, looking).await?;
        }
    }
    if verdict == Verdict::Carried {
        queue_lightest(hand, days, ago(LONG), memory, looking).await?;
    }
    Ok(verdict)
}

/// Queues what has waited since `since` in the accounts with the fewest payments, each once,
/// whatever the messages: at most [`FEW`] that wait were queued so.
async fn queue_lightest(
    hand: &Hand,
    days: &[DueDate],
    since: Timestamp,
    memory: &mut Memory,
    looking: &Shutdown,
) -> Result<(), Stopped> {
    memory.number += 1;
    let mut lightest = Lightest::new(memory.number);
    let mut waiting = HashSet::new();
    let gather = |page: Vec<PaymentRef>| {
        for reference in page {
            if memory.tried.contains(&reference.id) {
                waiting.insert(reference.id);
            }
            lightest.take(reference);
        }
        ControlFlow::Continue(())
    };
    entries(hand, days, gather, looking).await?;
    memory.tried = waiting;
    let room = usize::try_from(FEW).unwrap_or_default() - memory.tried.len();
    let chosen = lightest.choose(&memory.tried, room);
    if chosen.is_empty() {
        return Ok(());
    }
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    let found = loop {
        match looking.unless_requested(hand.table.get_many(&chosen)).await.ok_or(Stopped)? {
            Ok(found) => break found,
            Err(error) => {
                hand.failed(&error, pauses.next().unwrap_or_default(), looking).await?;
            }
        }
    };
    let due = waiting_since(hand.sift_each(days, found), since);
    let tried: Vec<_> = due.iter().map(|due| due.payment.id).collect();
    hand.forwarder.send(due, looking).await?;
    events::queued_regardless(tried.len());
    memory.tried.extend(tried);
    Ok(())
}

/// Those of `found` that have waited since `since`.
fn waiting_since(found: DuePayments, since: Timestamp) -> Vec<Due> {
    let mut due = Vec::with_capacity(found.len());
    for (reference, stored) in found {
        match stored {
            Ok(stored) => due.extend(
                waits(&stored, since).map(|dispatch| Due { payment: stored.payment, dispatch }),
            ),
            // It would be buried at every look: the stream or an opening has done it.
            Err(error) => events::unreadable(&reference, &error),
        }
    }
    due
}

/// Goes through the entries of the index that are SCHEDULED, page by page, until `take` has
/// enough.
async fn entries(
    hand: &Hand,
    days: &[DueDate],
    mut take: impl FnMut(Vec<PaymentRef>) -> ControlFlow<()>,
    looking: &Shutdown,
) -> Result<(), Stopped> {
    for &day in days {
        for shard in hand.table.due_shards() {
            let mut cursor = None;
            let mut pauses = retry::NEVER_GIVE_UP.pauses();
            loop {
                let page = hand.table.due_page(day, shard, Status::Scheduled, cursor.clone());
                match looking.unless_requested(page).await.ok_or(Stopped)? {
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
                        hand.failed(&error, pauses.next().unwrap_or_default(), looking).await?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Goes through what has waited since `since`, the oldest day first and each in order (INV-5).
async fn walk(
    hand: &Hand,
    days: &[DueDate],
    since: Timestamp,
    pass: Pass,
    looking: &Shutdown,
) -> Result<u64, Stopped> {
    let mut total = 0;
    for &day in days {
        let mut rest = hand.scheduled(day);
        while let Some(found) = hand.read(&mut rest, looking).await? {
            let due = waiting_since(found, since);
            total += due.len() as u64;
            match pass {
                Pass::Count => {}
                Pass::HandOn => {
                    let count = due.len();
                    hand.forwarder.send(due, looking).await?;
                    events::watch_payments(count);
                }
            }
        }
    }
    Ok(total)
}

fn last_look(lease: &Lease) -> Option<Timestamp> {
    match &lease.position.checkpoint {
        Checkpoint::After(time) => time.parse().ok(),
        Checkpoint::TrimHorizon | Checkpoint::ShardEnd => None,
    }
}

/// Whether a `pause` has passed since the last look. A look in the future is none: a clock was
/// wrong then.
fn is_time(last: Option<Timestamp>, now: Timestamp, pause: Duration) -> bool {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    last.is_none_or(|last| now.duration_since(last).abs() >= pause)
}
