//! Moves the settled payments of one day.

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::{DueDate, PaymentRef, Status};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    ArchiveError, ArchiveResult, DueEntryPage, NotArchived, PaymentsAndArchive, archive_payments,
};
use crate::pacer::Pacer;
use crate::retry;

/// Payments that move together: one request of each kind.
const BATCH: usize = 25;
/// Payments that stayed and are named in the summary; all of them are counted.
const MAX_NAMED: usize = 100;

/// Which day, how fast.
#[derive(Debug, Clone, Copy)]
pub struct DayPlan {
    /// The payments due on this day.
    pub day: DueDate,
    /// Most payments a second.
    pub rate: NonZeroU32,
    /// Requests under way at once, at most one for each partition of the index.
    pub writers: NonZeroU16,
}

/// How far a run is, for whoever watches it.
#[derive(Debug, Default)]
pub struct Counters {
    /// Payments that are in the archive, and gone from the payments table, by this run.
    pub moved: AtomicU64,
    /// Partitions of the index that are finished.
    pub partitions: AtomicU64,
}

/// A payment that was to move and stayed.
#[derive(Debug, Clone, Serialize)]
pub struct Left {
    /// Which one.
    pub reference: String,
    /// Why.
    pub why: String,
}

/// What became of a day.
#[derive(Debug, Clone, Serialize)]
pub struct DaySummary {
    /// The day.
    pub day: DueDate,
    /// Payments put into the archive by this run, verified, and gone from the payments table.
    pub archived: u64,
    /// Payments that were in the archive already, and are now gone from the payments table:
    /// begun by a run that died, or by one beside this.
    pub finished: u64,
    /// Payments that were inserted anew after they had been archived, and found settled by the
    /// same transaction: gone from the payments table.
    pub repeated: u64,
    /// Payments in other statuses, which stay in the payments table.
    pub open: BTreeMap<String, u64>,
    /// PROCESSED payments that could not be moved, and entries that are no payment's.
    pub stayed: u64,
    /// The first hundred of them.
    pub named: Vec<Left>,
}

impl DaySummary {
    /// Nothing so far.
    #[must_use]
    pub fn new(day: DueDate) -> Self {
        Self {
            day,
            archived: 0,
            finished: 0,
            repeated: 0,
            open: BTreeMap::new(),
            stayed: 0,
            named: Vec::new(),
        }
    }

    /// Whether every settled payment of the day has moved.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stayed == 0
    }

    /// Whether the payments table held a payment of the day.
    #[must_use]
    pub fn has_payments(&self) -> bool {
        self.archived + self.finished + self.repeated + self.stayed > 0 || !self.open.is_empty()
    }

    fn stay(&mut self, reference: String, why: String) {
        self.stayed += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(Left { reference, why });
        }
    }

    fn stay_for(&mut self, (reference, why): (PaymentRef, NotArchived)) {
        self.stay(reference.to_string(), why.to_string());
    }

    /// Counts what is not to be moved, and returns the rest.
    fn look(&mut self, page: DueEntryPage) -> Vec<PaymentRef> {
        for reason in page.unreadable {
            self.stay("-".to_owned(), format!("the entry of the index is no payment: {reason}"));
        }
        let mut settled = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            match entry.status {
                Status::Processed => settled.push(entry.reference),
                Status::Scheduled | Status::Pending | Status::Failed | Status::Cancelled => {
                    *self.open.entry(entry.status.to_string()).or_default() += 1;
                }
            }
        }
        settled
    }

    fn enter(&mut self, moved: ArchiveResult) {
        self.archived += moved.archived;
        self.finished += moved.finished;
        self.repeated += moved.repeated;
        moved.stayed.into_iter().for_each(|stayed| self.stay_for(stayed));
    }

    fn add(&mut self, other: Self) {
        self.archived += other.archived;
        self.finished += other.finished;
        self.repeated += other.repeated;
        self.stayed += other.stayed;
        let room = MAX_NAMED.saturating_sub(self.named.len());
        self.named.extend(other.named.into_iter().take(room));
        for (status, count) in other.open {
            *self.open.entry(status).or_default() += count;
        }
    }
}

/// Moves the settled payments of a day from the payments table to the archive. It may be
/// killed or abandoned at any moment, run again, and run several times at once: each payment
/// is always in at least one of the two tables. Runs begin at partitions of their own, so two
/// at once share the work instead of doing it twice.
///
/// # Errors
/// The first call that kept failing. What was moved until then has moved, and `counters` says
/// how much it was.
pub async fn archive_day(
    tables: Arc<PaymentsAndArchive>,
    plan: DayPlan,
    counters: Arc<Counters>,
) -> Result<DaySummary, ArchiveError> {
    let mut partitions: Vec<u16> = tables.due_shards().collect();
    fastrand::shuffle(&mut partitions);
    let work = Arc::new(Work {
        tables,
        day: plan.day,
        pacer: Pacer::new(plan.rate),
        partitions: Mutex::new(partitions.into()),
        ended: AtomicBool::new(false),
        counters,
    });
    let mut writers = JoinSet::new();
    for _ in 0..plan.writers.get().min(work.tables.due_shards().end) {
        writers.spawn(Arc::clone(&work).write());
    }
    let mut whole = DaySummary::new(plan.day);
    let mut failed = None;
    while let Some(ended) = writers.join_next().await {
        match ended {
            Ok(Ok(part)) => whole.add(part),
            Ok(Err(error)) => failed = failed.or(Some(error)),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    failed.map_or(Ok(whole), Err)
}

/// What the writers of a day share.
struct Work {
    tables: Arc<PaymentsAndArchive>,
    day: DueDate,
    pacer: Pacer,
    /// Not begun yet.
    partitions: Mutex<VecDeque<u16>>,
    /// One of them failed: the others need not go on.
    ended: AtomicBool,
    counters: Arc<Counters>,
}

impl Work {
    /// Takes one partition after the other.
    async fn write(self: Arc<Self>) -> Result<DaySummary, ArchiveError> {
        let mut summary = DaySummary::new(self.day);
        while let Some(partition) = self.next_partition() {
            if let Err(error) = self.partition(partition, &mut summary).await {
                self.ended.store(true, Ordering::Relaxed);
                return Err(error);
            }
            self.counters.partitions.fetch_add(1, Ordering::Relaxed);
        }
        Ok(summary)
    }

    fn next_partition(&self) -> Option<u16> {
        if self.ended.load(Ordering::Relaxed) {
            return None;
        }
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn partition(&self, shard: u16, summary: &mut DaySummary) -> Result<(), ArchiveError> {
        let mut cursor = None;
        loop {
            let page = self.tables.payment_entries(self.day, shard, cursor).await?;
            cursor = page.next.clone();
            for some in summary.look(page).chunks(BATCH) {
                if self.ended.load(Ordering::Relaxed) {
                    return Ok(());
                }
                self.pacer.turn(some.len()).await;
                let moved = self.move_patiently(some).await?;
                let gone = moved.archived + moved.finished + moved.repeated;
                self.counters.moved.fetch_add(gone, Ordering::Relaxed);
                summary.enter(moved);
            }
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// A failed call is made again a few times: a run of half an hour should not end because
    /// a table had a bad second.
    async fn move_patiently(&self, some: &[PaymentRef]) -> Result<ArchiveResult, ArchiveError> {
        let archive = || archive_payments(&*self.tables, some);
        retry::TABLE_STATEMENTS.retry(archive, |_| true).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_stays_is_counted_and_a_hundred_are_named() {
        let day = "2026-11-23".parse().unwrap();
        let mut whole = DaySummary::new(day);
        for _ in 0..2 {
            let mut part = DaySummary::new(day);
            (0..80).for_each(|n| part.stay(n.to_string(), "conflict".to_owned()));
            part.open.insert("FAILED".to_owned(), 2);
            whole.add(part);
        }
        assert_eq!((whole.stayed, whole.named.len()), (160, MAX_NAMED));
        assert_eq!(whole.open["FAILED"], 4);
        assert!(!whole.is_complete());
    }
}
