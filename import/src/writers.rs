//! Several requests at once, their results in the order in which they were sent.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::AccountId;
use shared::payments::{InsertResult, PaymentsError, PaymentsTable};
use shared::retry;
use shared::shutdown::Shutdown;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::batch::Batch;
use super::ledger::Ledger;
use super::stop::Stop;

/// How long a request is repeated once the table has taken others. A table that is not there, or
/// not ours to write, says so to the first request.
const PATIENCE: Duration = Duration::from_secs(120);

/// A request under way.
#[derive(Debug)]
struct Sent {
    ordered: HashSet<AccountId>,
    answer: JoinHandle<(Batch, Result<Vec<InsertResult>, PaymentsError>)>,
}

/// What every request needs.
#[derive(Debug, Clone)]
struct Desk {
    table: Arc<PaymentsTable>,
    permits: Arc<Semaphore>,
    /// The table has taken rows.
    taken: Arc<AtomicBool>,
    shutdown: Shutdown,
}

/// Sends batches. At most twice as many as there are writers are in memory.
#[derive(Debug)]
pub(crate) struct Writers {
    desk: Desk,
    most: usize,
    /// Payments per second.
    rate: Option<NonZeroU32>,
    started: Instant,
    payments: u64,
    sent: VecDeque<Sent>,
}

impl Writers {
    pub(crate) fn new(
        table: PaymentsTable,
        writers: u16,
        rate: Option<NonZeroU32>,
        shutdown: Shutdown,
    ) -> Self {
        let writers = usize::from(writers);
        let permits = Arc::new(Semaphore::new(writers));
        let taken = Arc::new(AtomicBool::new(false));
        let desk = Desk { table: Arc::new(table), permits, taken, shutdown };
        let (started, sent) = (Instant::now(), VecDeque::new());
        Self { desk, most: 2 * writers, rate, started, payments: 0, sent }
    }

    /// Sends a batch as soon as there is room, and enters the oldest into the ledger until there
    /// is. Accounts whose rows bring ids are in one request at a time, so that rows in the order
    /// of their ids are inserted in that order.
    pub(crate) async fn send(&mut self, batch: Batch, ledger: &mut Ledger) -> Result<(), Stop> {
        if batch.is_empty() {
            return Ok(());
        }
        while self.sent.len() >= self.most
            || self.sent.iter().any(|sent| !sent.ordered.is_disjoint(&batch.ordered))
        {
            self.enter_oldest(ledger).await?;
        }
        let now = Instant::now();
        let due = match self.rate {
            Some(rate) => {
                let seconds = self.payments as f64 / f64::from(rate.get());
                self.started + Duration::from_secs_f64(seconds)
            }
            None => now,
        };
        if self.desk.shutdown.is_requested()
            || self.desk.shutdown.pause(due.saturating_duration_since(now)).await
        {
            self.enter_all(ledger).await?;
            return Err(Stop::Signal { durable: ledger.rows });
        }
        self.payments += batch.payments.len() as u64;
        let ordered = batch.ordered.clone();
        let desk = self.desk.clone();
        let answer = tokio::spawn(async move {
            let answer = insert(&desk, &batch).await;
            (batch, answer)
        });
        self.sent.push_back(Sent { ordered, answer });
        Ok(())
    }

    /// Waits for every request.
    pub(crate) async fn enter_all(&mut self, ledger: &mut Ledger) -> Result<(), Stop> {
        while !self.sent.is_empty() {
            self.enter_oldest(ledger).await?;
        }
        Ok(())
    }

    async fn enter_oldest(&mut self, ledger: &mut Ledger) -> Result<(), Stop> {
        let Some(sent) = self.sent.pop_front() else { return Ok(()) };
        let durable = ledger.rows;
        let answered = sent.answer.await.map_err(|source| Stop::Task { durable, source })?;
        let (batch, answer) = answered;
        let results = answer.map_err(|error| Stop::Table { durable, source: Box::new(error) })?;
        batch.enter(&results, ledger)
    }
}

/// Inserts the payments of a batch. A request that fails is repeated, which inserts nothing twice.
async fn insert(desk: &Desk, batch: &Batch) -> Result<Vec<InsertResult>, PaymentsError> {
    // The semaphore is never closed; without a permit there would only be more requests.
    let _permit = desk.permits.acquire().await;
    let first = Instant::now();
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    loop {
        let error = match desk.table.insert(&batch.payments).await {
            Ok(results) => {
                desk.taken.store(true, Ordering::Relaxed);
                return Ok(results);
            }
            Err(error) => error,
        };
        let hopeless = !desk.taken.load(Ordering::Relaxed) || first.elapsed() > PATIENCE;
        match pauses.next() {
            Some(pause) if !hopeless && !desk.shutdown.pause(pause).await => {}
            Some(_) | None => return Err(error),
        }
    }
}
