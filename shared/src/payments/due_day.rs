//! A day of the index `due`, whole and in order.
//!
//! Each partition is sorted by account and payment id, and an account's payments lie in all
//! of them. So the partitions are merged: the least of what they hold next is taken. From a
//! partition that has more to come and holds nothing, nothing is known; it is read on first.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::due::{DuePayments, DueTable};
use super::error::PaymentsError;
use super::table::Cursor;
use domain::{AccountId, DueDate, PaymentId, PaymentRef, Status};

/// Most payments that are in memory at once, with at most 8 KB each. Of all others that are
/// read ahead, one page of each partition, only the references are.
const BATCH: usize = 1000;

/// Partitions of the index read at the same time.
const PARALLEL: usize = 4;

/// Reads the payments of one day that are in one status, in the order of account and payment
/// id. Whoever reads days one after the other, the oldest first, so has the payments of each
/// account in the order in which they must leave (INV-5).
#[derive(Debug)]
pub struct DueDay {
    table: Arc<dyn DueTable>,
    day: DueDate,
    status: Status,
    partitions: Vec<DayPartition>,
    /// Next in order, and not given out yet.
    taken: Vec<PaymentRef>,
}

/// One partition of the day.
#[derive(Debug)]
struct DayPartition {
    shard: u16,
    /// Read and not taken.
    read: VecDeque<PaymentRef>,
    rest: Rest,
}

/// What of a partition is not read yet.
#[derive(Debug)]
enum Rest {
    /// What follows the cursor, or everything.
    After(Option<Cursor>),
    Nothing,
}

impl DueDay {
    /// The payments of `day` in `status`. Nothing is read yet.
    #[must_use]
    pub fn new(table: Arc<dyn DueTable>, day: DueDate, status: Status) -> Self {
        let rest = || Rest::After(None);
        let partition = |shard| DayPartition { shard, read: VecDeque::new(), rest: rest() };
        let partitions = table.due_shards().map(partition).collect();
        Self { table, day, status, partitions, taken: Vec::new() }
    }

    /// The same, without what comes before `reference` and without it.
    #[must_use]
    pub fn after(
        table: Arc<dyn DueTable>,
        day: DueDate,
        status: Status,
        reference: &PaymentRef,
    ) -> Self {
        Self::from(table, day, status, &Cursor::after(reference))
    }

    /// The same, without this account and all before it.
    #[must_use]
    pub fn past(
        table: Arc<dyn DueTable>,
        day: DueDate,
        status: Status,
        account: &AccountId,
    ) -> Self {
        Self::from(table, day, status, &Cursor::past(account))
    }

    fn from(table: Arc<dyn DueTable>, day: DueDate, status: Status, cursor: &Cursor) -> Self {
        let mut rest = Self::new(table, day, status);
        for partition in &mut rest.partitions {
            partition.rest = Rest::After(Some(cursor.clone()));
        }
        rest
    }

    /// Which day it is.
    #[must_use]
    pub fn day(&self) -> DueDate {
        self.day
    }

    /// The next payments, up to 1,000, as the table holds them now; `None` after the last.
    /// The index follows the table, so they may be in another status.
    ///
    /// After an error, and when the call is abandoned, the next call goes on at the same
    /// place.
    ///
    /// # Errors
    /// [`PaymentsError`] when a call fails.
    pub async fn next(&mut self) -> Result<Option<DuePayments>, PaymentsError> {
        loop {
            merge(&mut self.partitions, &mut self.taken, BATCH);
            if self.taken.len() == BATCH || !self.partitions.iter().any(DayPartition::must_be_read)
            {
                break;
            }
            self.read_on().await?;
        }
        if self.taken.is_empty() {
            return Ok(None);
        }
        let found = self.table.get_many(&self.taken).await?;
        self.taken.clear();
        Ok(Some(found))
    }

    /// Reads a page of each partition that needs one. What was read is kept when another
    /// page fails.
    async fn read_on(&mut self) -> Result<(), PaymentsError> {
        let mut open: Vec<_> =
            self.partitions.iter_mut().filter(|part| part.must_be_read()).collect();
        for some in open.chunks_mut(PARALLEL) {
            let mut reading = JoinSet::new();
            for (index, partition) in some.iter().enumerate() {
                let Rest::After(cursor) = &partition.rest else { continue };
                let (cursor, shard) = (cursor.clone(), partition.shard);
                let (table, day, status) = (Arc::clone(&self.table), self.day, self.status);
                reading.spawn(
                    async move { (index, table.due_page(day, shard, status, cursor).await) },
                );
            }
            let mut all = Ok(());
            while let Some(ended) = reading.join_next().await {
                match ended {
                    Ok((index, Ok((read, next)))) => some[index].keep(read, next),
                    Ok((_, Err(error))) => all = Err(error),
                    Err(panicked) => all = Err(PaymentsError::DueTask(panicked)),
                }
            }
            all?;
        }
        Ok(())
    }
}

impl DayPartition {
    fn must_be_read(&self) -> bool {
        self.read.is_empty() && matches!(self.rest, Rest::After(_))
    }

    fn keep(&mut self, read: Vec<PaymentRef>, next: Option<Cursor>) {
        self.read = read.into();
        self.rest = next.map_or(Rest::Nothing, |cursor| Rest::After(Some(cursor)));
    }

    /// What comes next, by the order of the index.
    fn head(&self) -> Option<(&AccountId, PaymentId)> {
        self.read.front().map(|reference| (&reference.account, reference.id))
    }
}

/// Takes what comes next in the whole day, until `most` are taken or a partition must be read
/// on first: pure.
fn merge(partitions: &mut [DayPartition], taken: &mut Vec<PaymentRef>, most: usize) {
    while taken.len() < most && !partitions.iter().any(DayPartition::must_be_read) {
        let holding = partitions.iter_mut().filter(|part| part.head().is_some());
        let least = holding.min_by(|one, other| one.head().cmp(&other.head()));
        let Some(next) = least.and_then(|part| part.read.pop_front()) else { return };
        taken.push(next);
    }
}

#[cfg(test)]
#[path = "due_day_tests.rs"]
mod tests;
