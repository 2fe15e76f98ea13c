//! The watch: payments that are due and that no message carries, because a message was purged,
//! the stream lost something without saying so, or no relay read it for a day.
//!
//! What a message carries is written nowhere: that would be one more write for every payment.
//! The number of messages tells enough (`judgement::carried`). One relay at a time watches; the
//! position of the lease is the time of the last look.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::domain::{DueDate, Status};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

use super::duties::{Duties, WATCH};
use super::hand::Hand;
use super::judgement::{FEW, PATIENCE, Verdict, carried, waits};
use crate::events;
use crate::forwarder::Stopped;
use crate::keeper::keep;
use crate::lanes::Due;
use crate::lease::{Checkpoint, Lease, LeaseError, LeaseTable, Position, duty_key};

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
        let days = duties.open_for(PATIENCE, &self.stream, today);
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
            let verdict = Box::pin(look_through(hand, &days, started, &looking)).await;
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

/// Finds out whether messages carry what is SCHEDULED, and queues it if not.
async fn look_through(
    hand: &Hand,
    days: &[DueDate],
    now: Timestamp,
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
    let scheduled = entries(hand, days, enough, looking).await?;
    let verdict = carried(scheduled, queued);
    if verdict != Verdict::Uncarried {
        return Ok(verdict);
    }
    let since = now - SignedDuration::try_from(PATIENCE).unwrap_or_default();
    let waiting = walk(hand, days, since, Pass::Count, looking).await?;
    let verdict = carried(waiting, queued);
    if verdict == Verdict::Uncarried {
        events::uncarried(waiting, queued);
        walk(hand, days, since, Pass::HandOn, looking).await?;
    }
    Ok(verdict)
}

/// Counts entries of the index that are SCHEDULED, up to a little more than `enough`.
async fn entries(
    hand: &Hand,
    days: &[DueDate],
    enough: u64,
    looking: &Shutdown,
) -> Result<u64, Stopped> {
    let mut total = 0;
    for &day in days {
        for shard in hand.table.due_shards() {
            let mut cursor = None;
            let mut pauses = retry::NEVER_GIVE_UP.pauses();
            loop {
                let page = hand.table.due_page(day, shard, Status::Scheduled, cursor.clone());
                match looking.unless_requested(page).await.ok_or(Stopped)? {
                    Ok((page, next)) => {
                        total += page.len() as u64;
                        cursor = next;
                        if cursor.is_none() || total > enough {
                            break;
                        }
                    }
                    Err(error) => {
                        hand.failed(&error, pauses.next().unwrap_or_default(), looking).await?;
                    }
                }
            }
            if total > enough {
                return Ok(total);
            }
        }
    }
    Ok(total)
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
            let mut due = Vec::with_capacity(found.len());
            for (reference, stored) in found {
                match stored {
                    Ok(stored) => due.extend(
                        waits(&stored, since)
                            .map(|dispatch| Due { payment: stored.payment, dispatch }),
                    ),
                    // It would be buried at every look: the stream or an opening has done it.
                    Err(error) => events::unreadable(&reference, &error),
                }
            }
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
