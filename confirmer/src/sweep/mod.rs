//! The sweep for payments that are PENDING for too long: their message is lost, or the result
//! that was to come never came. The transaction service is asked what became of each.
//!
//! The sweep writes no status. What is settled or refused goes to the confirmer's own queue
//! like any other result, so that a process that dies here leaves nothing half done; what
//! nobody knows of goes back to the dispatcher, which decides whether it may be submitted.
//! Several confirmers may sweep at once: each result is then reported twice and written once.

mod plan;
mod round;
mod silence;
#[cfg(test)]
pub(crate) mod simulation;

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::config::SweptDays;
use shared::domain::DueDate;
use shared::payments::DueTable;
use shared::queue::Producer;
use shared::shutdown::Shutdown;
use shared::transaction::Transactions;

use crate::config::Sweeping;
use crate::events;
use plan::{days_back, jittered};
use round::Round;
use silence::Silence;

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
        let mut silence = Silence::default();
        for number in 0.. {
            if shutdown.pause(jittered(self.sweeping.interval, fastrand::f64())).await {
                return;
            }
            let back = days_back(number, self.days.before);
            let result = self.sweep(back, &mut silence, &shutdown).await;
            events::swept(if result.is_ok() { "completed" } else { "interrupted" });
        }
    }

    /// One sweep, the oldest day first and each day in order, so that the payments of an
    /// account are queued again in theirs (INV-5).
    async fn sweep(
        &self,
        back: u16,
        silence: &mut Silence,
        shutdown: &Shutdown,
    ) -> Result<(), Interrupted> {
        silence.begin();
        let today = DueDate::today(self.clock.now(), &self.days.zone);
        let mut round = Round { sweeper: self, shutdown, silence };
        for back in (0..=back).rev() {
            round.day(today.days_before(back)).await?;
        }
        Ok(())
    }

    fn limit(&self) -> Duration {
        self.sweeping.limit
    }
}
