//! Sweeps at intervals, over today, the days before it, and now and then all days.

use std::sync::Arc;
use std::time::Duration;

use domain::{DueDate, PaymentRef, Status};
use shared::clock::Clock;
use shared::config::SweptDays;
use shared::payments::{DueTable, OldDays};
use shared::queue::{MessageCount, Producer};
use shared::retry;
use shared::shutdown::Shutdown;
use shared::transaction::TransactionService;

use super::day_sweep::Round;
use super::outage_detector::Silence;
use super::plan::{days_back, jittered};
use super::requeue_limit::Requeues;
use crate::config::Sweeping;
use crate::events;
use tokio::time::Instant;

/// The sweep was ended before it was complete: shutdown, or a neighbour does not answer.
#[derive(Debug)]
pub(super) struct Interrupted;

/// Which days a sweep looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Days {
    /// Today and so many days before.
    Back(u16),
    /// The same, and all days before them on which payments are PENDING.
    All(u16),
}

/// What a sweep leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) silence: Silence,
    pub(super) requeues: Requeues,
    places: Places,
}

/// Where sweeps ended early because more payments had no answer than are remembered: the next goes
/// on behind it, or the same payments would hide the others for ever.
#[derive(Debug, Default)]
struct Places {
    of_all_days: Option<PaymentRef>,
    of_the_last: Option<PaymentRef>,
}

impl Places {
    fn of(&mut self, days: Days) -> &mut Option<PaymentRef> {
        match days {
            Days::All(_) => &mut self.of_all_days,
            Days::Back(_) => &mut self.of_the_last,
        }
    }
}

/// Sweeps at intervals.
#[derive(Debug, Clone)]
pub(crate) struct Sweeper {
    pub(crate) table: Arc<dyn DueTable>,
    pub(crate) transactions: Arc<dyn TransactionService>,
    pub(crate) payments: Producer,
    /// How many messages wait for dispatchers.
    pub(crate) waiting: Arc<dyn MessageCount>,
    pub(crate) confirmations: Producer,
    pub(crate) sweeping: Sweeping,
    pub(crate) days: SweptDays,
    pub(crate) clock: Clock,
}

impl Sweeper {
    /// Sweeps until shutdown, for the first time an interval after the start: by then what
    /// was in hand when the last process ended has been delivered again.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut memory = Memory::default();
        // When the days before were last looked through, and when that was last begun: a service
        // that is down must not have the whole index read at every sweep.
        let (mut old, mut begun): (Option<Instant>, Option<Instant>) = (None, None);
        for number in 0.. {
            if shutdown.pause(jittered(self.sweeping.interval, fastrand::f64())).await {
                return;
            }
            let back = days_back(number, self.days.before);
            let interval = self.sweeping.old_interval;
            let due = old.is_none_or(|last| last.elapsed() >= interval)
                && begun.is_none_or(|last| last.elapsed() >= interval / 12);
            let days = if due { Days::All(self.days.before) } else { Days::Back(back) };
            if due {
                begun = Some(Instant::now());
            }
            let result = self.sweep(days, &mut memory, &shutdown).await;
            if due && result.is_ok() {
                old = begun;
            }
            events::swept(if result.is_ok() { "completed" } else { "interrupted" });
        }
    }

    /// One sweep, the oldest day first and each day in order, so that the payments of an
    /// account are queued again in theirs (INV-5).
    pub(super) async fn sweep(
        &self,
        days: Days,
        memory: &mut Memory,
        shutdown: &Shutdown,
    ) -> Result<(), Interrupted> {
        memory.silence.begin();
        memory.requeues.begin(self.count(shutdown).await?);
        let today = DueDate::today(self.clock.now(), &self.days.zone);
        let (back, old) = match days {
            Days::Back(back) => (back, Vec::new()),
            Days::All(back) => (back, self.old(today.days_before(back), shutdown).await?),
        };
        let place = memory.places.of(days).take();
        let swept = old.into_iter().chain((0..=back).rev().map(|back| today.days_before(back)));
        let from = place.as_ref().map(|place| place.due);
        let swept = swept.filter(|day| from.is_none_or(|from| *day >= from));
        let mut round = Round { sweeper: self, shutdown, memory, last: None };
        for day in swept {
            if let Err(interrupted) = round.day(day, place.as_ref()).await {
                let last = round.last.take();
                // A service that was down is asked for all of them once it is back.
                if memory.silence.is_full() || place.is_some() {
                    *memory.places.of(days) = last.or(place);
                }
                return Err(interrupted);
            }
        }
        if place.is_some() {
            // What lies before the place was not met.
            return Ok(());
        }
        let first = today.days_before(back);
        memory.requeues.end(|due| days == Days::All(back) || due >= first);
        Ok(())
    }

    /// How many messages wait, if the queue says so.
    async fn count(&self, shutdown: &Shutdown) -> Result<Option<u64>, Interrupted> {
        let counted = shutdown.unless_requested(self.waiting.messages()).await;
        match counted.ok_or(Interrupted)? {
            Ok(waiting) => Ok(Some(waiting)),
            Err(error) => {
                events::error("count", &error);
                Ok(None)
            }
        }
    }

    /// The days before `first` on which payments are PENDING: a slow pass over the whole index
    /// (INV-17).
    async fn old(&self, first: DueDate, shutdown: &Shutdown) -> Result<Vec<DueDate>, Interrupted> {
        let mut days = OldDays::new(Arc::clone(&self.table), Status::Pending, first);
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            match shutdown.unless_requested(days.read_on()).await.ok_or(Interrupted)? {
                Ok(Some(days)) => return Ok(days.into_iter().collect()),
                Ok(None) => pauses = retry::NEVER_GIVE_UP.pauses(),
                Err(error) => {
                    events::error("sweep", &error);
                    if shutdown.pause(pauses.next().unwrap_or_default()).await {
                        return Err(Interrupted);
                    }
                }
            }
        }
    }

    pub(super) fn limit(&self) -> Duration {
        self.sweeping.limit
    }
}
