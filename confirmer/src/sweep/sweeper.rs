//! Sweeps at intervals, over today, the days before it, and now and then all days.

use std::sync::Arc;

use domain::{DueDate, Status};
use shared::config::SweptDays;
use shared::payments::OldDays;
use shared::queue::MessageCount;
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::time::Instant;

use super::day_sweep::{DaySweep, SweepPorts};
use super::memory::{SweepInterrupted, SweepMemory, SweepRange};
use super::plan::{days_back, jittered};
use crate::config::SweepSettings;
use crate::events;

/// Sweeps at intervals.
#[derive(Debug, Clone)]
pub(crate) struct Sweeper {
    pub(crate) ports: SweepPorts,
    /// How many messages wait for dispatchers.
    pub(crate) waiting: Arc<dyn MessageCount>,
    pub(crate) settings: SweepSettings,
    pub(crate) days: SweptDays,
}

impl Sweeper {
    /// Sweeps until shutdown, for the first time an interval after the start: by then what
    /// was in hand when the last process ended has been delivered again.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut memory = SweepMemory::default();
        // When the days before were last looked through, and when that was last begun: a service
        // that is down must not have the whole index read at every sweep.
        let (mut old, mut begun): (Option<Instant>, Option<Instant>) = (None, None);
        for number in 0.. {
            if shutdown.pause(jittered(self.settings.interval, fastrand::f64())).await {
                return;
            }
            let back = days_back(number, self.days.before);
            let interval = self.settings.old_interval;
            let due = old.is_none_or(|last| last.elapsed() >= interval)
                && begun.is_none_or(|last| last.elapsed() >= interval / 12);
            let range =
                if due { SweepRange::All(self.days.before) } else { SweepRange::Back(back) };
            if due {
                begun = Some(Instant::now());
            }
            let result = self.sweep(range, &mut memory, &shutdown).await;
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
        range: SweepRange,
        memory: &mut SweepMemory,
        shutdown: &Shutdown,
    ) -> Result<(), SweepInterrupted> {
        memory.outages.begin();
        memory.requeues.begin(self.count(shutdown).await?);
        let today = DueDate::today(self.ports.clock.now(), &self.days.zone);
        let (back, old) = match range {
            SweepRange::Back(back) => (back, Vec::new()),
            SweepRange::All(back) => (back, self.old(today.days_before(back), shutdown).await?),
        };
        let position = memory.positions.of(range).take();
        let swept = old.into_iter().chain((0..=back).rev().map(|back| today.days_before(back)));
        let from = position.as_ref().map(|position| position.due);
        let swept = swept.filter(|day| from.is_none_or(|from| *day >= from));
        let mut sweep = DaySweep {
            ports: &self.ports,
            limit: self.settings.limit,
            shutdown,
            memory,
            last: None,
        };
        for day in swept {
            if let Err(interrupted) = sweep.day(day, position.as_ref()).await {
                let last = sweep.last.take();
                // A service that was down is asked for all of them once it is back.
                if memory.outages.is_full() || position.is_some() {
                    *memory.positions.of(range) = last.or(position);
                }
                return Err(interrupted);
            }
        }
        if position.is_some() {
            // What lies before the position was not met.
            return Ok(());
        }
        let first = today.days_before(back);
        memory.requeues.end(|due| range == SweepRange::All(back) || due >= first);
        Ok(())
    }

    /// How many messages wait, if the queue says so.
    async fn count(&self, shutdown: &Shutdown) -> Result<Option<u64>, SweepInterrupted> {
        let counted = shutdown.unless_requested(self.waiting.messages()).await;
        match counted.ok_or(SweepInterrupted)? {
            Ok(waiting) => Ok(Some(waiting)),
            Err(error) => {
                events::error("count", &error);
                Ok(None)
            }
        }
    }

    /// The days before `first` on which payments are PENDING: a slow pass over the whole index
    /// (INV-17).
    async fn old(
        &self,
        first: DueDate,
        shutdown: &Shutdown,
    ) -> Result<Vec<DueDate>, SweepInterrupted> {
        let mut days = OldDays::new(Arc::clone(&self.ports.table), Status::Pending, first);
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            match shutdown.unless_requested(days.read_on()).await.ok_or(SweepInterrupted)? {
                Ok(Some(days)) => return Ok(days.into_iter().collect()),
                Ok(None) => pauses = retry::NEVER_GIVE_UP.pauses(),
                Err(error) => {
                    events::error("sweep", &error);
                    if shutdown.pause(pauses.next().unwrap_or_default()).await {
                        return Err(SweepInterrupted);
                    }
                }
            }
        }
    }
}
