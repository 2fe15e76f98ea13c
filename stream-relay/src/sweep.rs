//! The sweep: what the stream has lost is still in the table, and the index `due` finds it.
//!
//! One sweep at a time, beside the reading of the stream. It queues every payment that is
//! SCHEDULED and due, also those that are queued already: that costs work and pays nothing
//! twice (INV-4).

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use shared::domain::{DueDate, Payment, PaymentRef, Status};
use shared::payments::{Cursor, ItemError, PaymentsError, PaymentsTable, StoredPayment};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::burial::{Burials, Malformed, Open};
use crate::events;
use crate::forwarder::{Forwarder, Stopped};

/// Partitions of the index read at the same time. Each may hold a page of payments in
/// memory.
const PARALLEL: usize = 4;

/// Payments as the table holds them, or what is wrong with the item.
pub(crate) type Found = Vec<(PaymentRef, Result<StoredPayment, ItemError>)>;

/// The table, by due date. Each call returns within a bound of time of its own, and may fail.
#[async_trait]
pub(crate) trait DueTable: std::fmt::Debug + Send + Sync {
    /// The partitions of each day.
    fn shards(&self) -> Range<u16>;

    /// A page of the payments of one day and partition that were SCHEDULED a moment ago, in
    /// the order of account and payment id, as the table holds them now.
    async fn page(
        &self,
        day: DueDate,
        shard: u16,
        cursor: Option<Cursor>,
    ) -> Result<(Found, Option<Cursor>), PaymentsError>;
}

#[async_trait]
impl DueTable for PaymentsTable {
    fn shards(&self) -> Range<u16> {
        self.due_shards()
    }

    async fn page(
        &self,
        day: DueDate,
        shard: u16,
        cursor: Option<Cursor>,
    ) -> Result<(Found, Option<Cursor>), PaymentsError> {
        let (references, next) = self.due_page(day, shard, Status::Scheduled, cursor).await?;
        Ok((self.get_many(&references).await?, next))
    }
}

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

    /// One sweep, the oldest day first. Every page is tried until it is done.
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
        let mut shards = self.table.shards();
        let mut reading = JoinSet::new();
        let mut total = 0;
        loop {
            while reading.len() < PARALLEL
                && let Some(shard) = shards.next()
            {
                let part = Part {
                    table: Arc::clone(&self.table),
                    forwarder: self.forwarder.clone(),
                    burials: self.burials.clone(),
                    today,
                };
                let shutdown = shutdown.clone();
                reading.spawn(async move { Box::pin(part.sweep(day, shard, &shutdown)).await });
            }
            match reading.join_next().await {
                // A part that panicked is not complete: the whole sweep is made again.
                Some(ended) => total += ended.unwrap_or(Err(Stopped))?,
                None => return Ok(total),
            }
        }
    }
}

/// Sweeps one partition of one day.
#[derive(Debug)]
struct Part {
    table: Arc<dyn DueTable>,
    forwarder: Forwarder,
    burials: Burials,
    today: DueDate,
}

impl Part {
    async fn sweep(&self, day: DueDate, shard: u16, shutdown: &Shutdown) -> Result<usize, Stopped> {
        let mut total = 0;
        let mut cursor = None;
        let mut pauses = retry::NEVER_GIVE_UP.pauses();
        loop {
            let page = self.table.page(day, shard, cursor.clone());
            match shutdown.unless_requested(page).await.ok_or(Stopped)? {
                Ok((found, next)) => {
                    pauses = retry::NEVER_GIVE_UP.pauses();
                    total += self.hand_on(found, shutdown).await?;
                    if next.is_none() {
                        return Ok(total);
                    }
                    cursor = next;
                }
                Err(error) => {
                    events::sweep_failed(&error);
                    if shutdown.pause(pauses.next().unwrap_or_default()).await {
                        return Err(Stopped);
                    }
                }
            }
        }
    }

    async fn hand_on(&self, found: Found, shutdown: &Shutdown) -> Result<usize, Stopped> {
        let mut due: Vec<Payment> = Vec::with_capacity(found.len());
        let mut open = Open::new();
        for (reference, stored) in found {
            match stored {
                Ok(stored) if is_due(&stored, self.today) => due.push(stored.payment),
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
