//! The sweep: what the stream has lost is still in the table, and the index `due` finds it.
//!
//! One sweep at a time, beside the reading of the stream. It queues every payment that is
//! SCHEDULED and due, also those that are queued already: that costs work and pays nothing
//! twice (INV-4).

use std::sync::Arc;

use shared::domain::{DueDate, Payment, Status};
use shared::payments::{DueDay, DuePayments, DueTable, StoredPayment};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::watch;

use crate::burial::{Burials, Malformed, Open};
use crate::events;
use crate::forwarder::{Forwarder, Stopped};

/// Asks for sweeps.
#[derive(Debug, Clone)]
pub(crate) struct Sweeps {
    asked: watch::Sender<u64>,
    completed: watch::Receiver<u64>,
}

/// A sweep that was asked for.
#[derive(Debug)]
pub(crate) struct Ticket {
    number: u64,
    completed: watch::Receiver<u64>,
}

impl Sweeps {
    /// Asks for a sweep that starts after this call, also when one is under way.
    pub(crate) fn ask(&self) -> Ticket {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        Ticket { number, completed: self.completed.clone() }
    }
}

impl Ticket {
    /// Returns once the sweep is complete; false when shutdown came first.
    pub(crate) async fn complete(mut self, shutdown: &Shutdown) -> bool {
        let complete = self.completed.wait_for(|completed| *completed >= self.number);
        matches!(shutdown.unless_requested(complete).await, Some(Ok(_)))
    }
}

/// Sweeps for one relay.
#[derive(Debug)]
pub(crate) struct Sweeper {
    table: Arc<dyn DueTable>,
    forwarder: Forwarder,
    burials: Burials,
    days: u16,
    asked: watch::Receiver<u64>,
    completed: watch::Sender<u64>,
}

/// A sweeper of today and `days` before, and what asks it.
pub(crate) fn sweeps(
    table: Arc<dyn DueTable>,
    forwarder: Forwarder,
    burials: Burials,
    days: u16,
) -> (Sweeps, Sweeper) {
    let (ask, asked) = watch::channel(0);
    let (completed, complete) = watch::channel(0);
    let sweeper = Sweeper { table, forwarder, burials, days, asked, completed };
    (Sweeps { asked: ask, completed: complete }, sweeper)
}

impl Sweeper {
    /// Sweeps whenever it is asked to, until shutdown.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        loop {
            let completed = *self.completed.borrow();
            let asked = self.asked.wait_for(|asked| *asked > completed);
            // Whoever asks while this sweep goes on is answered by the next one.
            let number = match shutdown.unless_requested(asked).await {
                Some(Ok(number)) => *number,
                Some(Err(_)) | None => return,
            };
            let mut pauses = retry::NEVER_GIVE_UP.pauses();
            while self.sweep(&shutdown).await.is_err() {
                if shutdown.pause(pauses.next().unwrap_or_default()).await {
                    return;
                }
            }
            self.completed.send_replace(number);
        }
    }

    /// One sweep, the oldest day first and each day in order, so that the payments of an
    /// account are queued in theirs (INV-5). Every call is tried until it succeeds.
    async fn sweep(&self, shutdown: &Shutdown) -> Result<(), Stopped> {
        events::sweep_started();
        let today = self.forwarder.today();
        let mut total = 0;
        for back in (0..=self.days).rev() {
            total += self.sweep_day(today.days_before(back), today, shutdown).await?;
        }
        events::swept(total);
        Ok(())
    }

    async fn sweep_day(
        &self,
        day: DueDate,
        today: DueDate,
        shutdown: &Shutdown,
    ) -> Result<usize, Stopped> {
        let mut day = DueDay::new(Arc::clone(&self.table), day, Status::Scheduled);
        let mut total = 0;
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            match shutdown.unless_requested(day.next()).await.ok_or(Stopped)? {
                Ok(Some(found)) => {
                    pauses = retry::NEVER_GIVE_UP.pauses();
                    total += self.hand_on(found, today, shutdown).await?;
                }
                Ok(None) => return Ok(total),
                Err(error) => {
                    events::sweep_failed(&error);
                    if shutdown.pause(pauses.next().unwrap_or_default()).await {
                        return Err(Stopped);
                    }
                }
            }
        }
    }

    /// Returns once everything that was found is queued or buried.
    async fn hand_on(
        &self,
        found: DuePayments,
        today: DueDate,
        shutdown: &Shutdown,
    ) -> Result<usize, Stopped> {
        let mut due: Vec<Payment> = Vec::with_capacity(found.len());
        let mut open = Open::new();
        for (reference, stored) in found {
            match stored {
                Ok(stored) if is_due(&stored, today) => due.push(stored.payment),
                Ok(_) => {}
                Err(error) => {
                    let source = format!("{}-{}", reference.due, reference.id);
                    let reason = error.to_string();
                    events::swept_malformed(&source, &reason);
                    // The item itself stays in the table, under this reference.
                    let malformed = Malformed { source, raw: reference.to_string(), reason };
                    self.burials.start(malformed, 0, &mut open, shutdown).await?;
                }
            }
        }
        let count = due.len();
        self.forwarder.send(due, shutdown).await?;
        events::swept_payments(count);
        while let Some(buried) = open.join_next().await {
            if !matches!(buried, Ok(Some(_))) {
                return Err(Stopped);
            }
        }
        Ok(count)
    }
}

fn is_due(stored: &StoredPayment, today: DueDate) -> bool {
    match stored.status {
        Status::Scheduled => stored.payment.due <= today,
        Status::Pending | Status::Processed | Status::Failed | Status::Cancelled => false,
    }
}
