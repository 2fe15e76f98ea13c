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

use super::row_batch::RowBatch;
use super::row_results::RowResults;
use crate::error::ImportError;

/// How long a request is retried once the table has accepted others. A table that is missing, or
/// that these credentials may not write, refuses the first request.
const MAX_RETRY_TIME: Duration = Duration::from_secs(120);

/// A request that runs.
#[derive(Debug)]
struct PendingInsert {
    ordered: HashSet<AccountId>,
    answer: JoinHandle<(RowBatch, Result<Vec<InsertResult>, PaymentsError>)>,
}

/// What each request needs.
#[derive(Debug, Clone)]
struct WriterContext {
    table: Arc<PaymentsTable>,
    permits: Arc<Semaphore>,
    /// Whether the table has accepted a request.
    accepted: Arc<AtomicBool>,
    shutdown: Shutdown,
}

/// Sends batches, `writers` at a time; at most twice as many are in memory.
#[derive(Debug)]
pub(crate) struct Writers {
    context: WriterContext,
    max_pending: usize,
    /// Payments per second.
    rate: Option<NonZeroU32>,
    started: Instant,
    payments: u64,
    pending: VecDeque<PendingInsert>,
}

impl Writers {
    pub(crate) fn new(
        table: PaymentsTable,
        writers: u16,
        rate: Option<NonZeroU32>,
        shutdown: Shutdown,
    ) -> Self {
        let writers = usize::from(writers).max(1);
        let permits = Arc::new(Semaphore::new(writers));
        let accepted = Arc::new(AtomicBool::new(false));
        let context = WriterContext { table: Arc::new(table), permits, accepted, shutdown };
        let (started, pending) = (Instant::now(), VecDeque::new());
        Self { context, max_pending: 2 * writers, rate, started, payments: 0, pending }
    }

    /// Sends a batch as soon as there is room, and adds the oldest to the results until there is.
    /// Accounts whose rows bring ids are in one request at a time, so that rows in the order
    /// of their ids are inserted in that order.
    pub(crate) async fn send(
        &mut self,
        batch: RowBatch,
        results: &mut RowResults<'_>,
    ) -> Result<(), ImportError> {
        if batch.is_empty() {
            return Ok(());
        }
        while self.pending.len() >= self.max_pending
            || self.pending.iter().any(|sent| !sent.ordered.is_disjoint(&batch.ordered))
        {
            self.finish_oldest(results).await?;
        }
        let now = Instant::now();
        let due = match self.rate {
            Some(rate) => {
                let seconds = self.payments as f64 / f64::from(rate.get());
                self.started + Duration::from_secs_f64(seconds)
            }
            None => now,
        };
        if self.context.shutdown.is_requested()
            || self.context.shutdown.pause(due.saturating_duration_since(now)).await
        {
            self.finish(results).await?;
            return Err(ImportError::Interrupted { durable: results.rows });
        }
        self.payments += batch.payments.len() as u64;
        let ordered = batch.ordered.clone();
        let context = self.context.clone();
        let answer = tokio::spawn(async move {
            let answer = insert(&context, &batch).await;
            (batch, answer)
        });
        self.pending.push_back(PendingInsert { ordered, answer });
        Ok(())
    }

    /// Waits for every request.
    pub(crate) async fn finish(&mut self, results: &mut RowResults<'_>) -> Result<(), ImportError> {
        while !self.pending.is_empty() {
            self.finish_oldest(results).await?;
        }
        Ok(())
    }

    async fn finish_oldest(&mut self, results: &mut RowResults<'_>) -> Result<(), ImportError> {
        let Some(sent) = self.pending.pop_front() else { return Ok(()) };
        let durable = results.rows;
        let answered = sent.answer.await.map_err(|source| ImportError::Task { durable, source })?;
        let (batch, answer) = answered;
        let inserted =
            answer.map_err(|error| ImportError::Table { durable, source: Box::new(error) })?;
        batch.add_to(results, &inserted)
    }
}

/// Inserts the payments of a batch. A failed request is retried; that inserts nothing twice.
async fn insert(
    context: &WriterContext,
    batch: &RowBatch,
) -> Result<Vec<InsertResult>, PaymentsError> {
    // The semaphore is never closed; without a permit there would only be more requests.
    let _permit = context.permits.acquire().await;
    let first = Instant::now();
    let mut pauses = retry::NEVER_GIVE_UP.pauses();
    loop {
        let error = match context.table.insert(&batch.payments).await {
            Ok(results) => {
                context.accepted.store(true, Ordering::Relaxed);
                return Ok(results);
            }
            Err(error) => error,
        };
        let give_up = !context.accepted.load(Ordering::Relaxed) || first.elapsed() > MAX_RETRY_TIME;
        match pauses.next() {
            Some(pause) if !give_up && !context.shutdown.pause(pause).await => {}
            Some(_) | None => return Err(error),
        }
    }
}
