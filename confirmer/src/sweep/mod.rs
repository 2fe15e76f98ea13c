//! The sweep for payments that are PENDING for too long: their message is lost, or the result
//! that was to come never came. The transaction service is asked what became of each.
//!
//! The sweep writes no status. What is settled or refused goes to the confirmer's own queue
//! like any other result, so that a process that dies here leaves nothing half done; what
//! nobody knows of goes back to the dispatcher, which decides whether it may be submitted.
//! Several confirmers may sweep at once: each result is then reported twice and written once.

mod part;
mod plan;
#[cfg(test)]
mod simulation;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use shared::clock::Clock;
use shared::config::SweptDays;
use shared::domain::DueDate;
use shared::payments::DueTable;
use shared::queue::Producer;
use shared::shutdown::Shutdown;
use shared::transaction::Transactions;
use tokio::task::JoinSet;

use crate::config::Sweeping;
use crate::events;
use part::Part;
use plan::{days_back, jittered};

/// Partitions of the index read at the same time. Each may hold a page of payments in memory
/// and asks for ten of them at a time.
const PARALLEL: usize = 4;

/// The sweep was ended before it was complete: shutdown, or a neighbour does not answer.
#[derive(Debug)]
struct Interrupted;

/// Sweeps at intervals.
#[derive(Debug, Clone)]
pub(crate) struct Sweeper {
    pub(crate) table: Arc<dyn DueTable>,
    pub(crate) transactions: Arc<dyn Transactions>,
    pub(crate) payments: Producer,
    pub(crate) confirmations: Producer,
    pub(crate) sweeping: Sweeping,
    pub(crate) days: SweptDays,
    pub(crate) clock: Clock,
}

impl Sweeper {
    /// Sweeps until shutdown, for the first time an interval after the start: by then what
    /// was in hand when the last process ended has been delivered again.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        for number in 0.. {
            if shutdown.pause(jittered(self.sweeping.interval, fastrand::f64())).await {
                return;
            }
            let result = self.sweep(days_back(number, self.days.before), &shutdown).await;
            events::swept(if result.is_ok() { "completed" } else { "interrupted" });
        }
    }

    /// One sweep, the oldest day first.
    async fn sweep(&self, back: u16, shutdown: &Shutdown) -> Result<(), Interrupted> {
        let today = DueDate::today(self.clock.now(), &self.days.zone);
        // A part that finds that nobody answers ends them all.
        let stop = shutdown.child();
        let unanswered = Arc::new(AtomicUsize::new(0));
        let part = Part { sweeper: self.clone(), stop, unanswered };
        for back in (0..=back).rev() {
            self.sweep_day(today.days_before(back), &part).await?;
        }
        Ok(())
    }

    async fn sweep_day(&self, day: DueDate, part: &Part) -> Result<(), Interrupted> {
        let mut shards = self.table.shards();
        let mut parts = JoinSet::new();
        loop {
            while parts.len() < PARALLEL
                && let Some(shard) = shards.next()
            {
                let part = part.clone();
                parts.spawn(async move { Box::pin(part.sweep(day, shard)).await });
            }
            match parts.join_next().await {
                Some(ended) => {
                    if let Err(interrupted) = ended.unwrap_or(Err(Interrupted)) {
                        part.stop.request();
                        // What is being sent is sent to the end.
                        while parts.join_next().await.is_some() {}
                        return Err(interrupted);
                    }
                }
                None => return Ok(()),
            }
        }
    }

    fn limit(&self) -> Duration {
        self.sweeping.limit
    }
}
