//! Compares the two tables for a day: where does each payment lie?
//!
//! The index `due` of both has the same partitions in the same order, so each partition is one
//! merge of two sorted lists, in constant memory. The indexes only say which payments there
//! are; where one lies is read from the tables themselves, consistently.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use domain::{AccountId, DueDate, PaymentId, PaymentRef, Status};
use serde::Serialize;
use shared::payments::archive::{ArchiveError, DueEntryPage, PaymentsAndArchive};
use shared::payments::{Cursor, DuePayments, ItemError, StoredPayment};
use tokio::task::JoinSet;

/// Payments read from the tables at once; each has at most 8 KB.
const BATCH: usize = 500;
/// Partitions compared at the same time.
const PARALLEL: usize = 4;
/// Findings that are named for each place; all of them are counted.
const MAX_NAMED: u64 = 100;

/// Where a payment lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundIn {
    /// In the payments table, in a status that stays there.
    Open,
    /// In the archive, settled.
    Archived,
    /// In the payments table and PROCESSED: to be archived.
    Waiting,
    /// In both, with the same content: a move that was not finished.
    Both,
    /// In both, with another content.
    Differing,
    /// In the archive, and not PROCESSED or without a transaction id.
    NotSettled,
    /// In one of them, and no payment.
    Unreadable,
    /// Known to an index, and in neither table.
    Neither,
}

impl FoundIn {
    /// Whether a payment may lie there once its day is archived.
    #[must_use]
    pub const fn is_right(self) -> bool {
        match self {
            Self::Open | Self::Archived => true,
            Self::Waiting
            | Self::Both
            | Self::Differing
            | Self::NotSettled
            | Self::Unreadable
            | Self::Neither => false,
        }
    }

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Open => "in the payments table, not settled",
            Self::Archived => "in the archive",
            Self::Waiting => "PROCESSED and not archived yet",
            Self::Both => "in both tables: a move was not finished",
            Self::Differing => "in both tables, and not the same",
            Self::NotSettled => "in the archive, and not settled",
            Self::Unreadable => "no payment",
            Self::Neither => "in an index, and in neither table",
        }
    }
}

/// A payment that lies wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which one.
    pub reference: String,
    /// Where it lies.
    pub place: FoundIn,
}

/// How many payments, and how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Payments.
    pub count: u64,
    /// Their amounts, minor units.
    pub sum: u128,
}

/// The result for a day.
#[derive(Debug, Clone, Default)]
pub struct DayComparison {
    /// Payments by place.
    pub places: BTreeMap<FoundIn, u64>,
    /// Counts and sums by place, status and currency (of those that could be read).
    pub totals: BTreeMap<(FoundIn, &'static str, &'static str), Total>,
    /// The first hundred payments of each place that is wrong.
    pub findings: Vec<Finding>,
}

impl DayComparison {
    /// All payments of the day, each once.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.places.values().sum()
    }

    /// Whether each payment is in exactly one table, the one where it belongs.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.places.iter().all(|(place, count)| place.is_right() || *count == 0)
    }

    fn enter(&mut self, reference: &PaymentRef, payment: Option<&Held>, archived: Option<&Held>) {
        let place = place(payment, archived);
        *self.places.entry(place).or_default() += 1;
        if let Some(Ok(stored)) = archived.or(payment) {
            let key = (place, stored.status.as_str(), stored.payment.currency.code());
            let total = self.totals.entry(key).or_default();
            total.count += 1;
            total.sum += u128::try_from(stored.payment.amount.minor_units()).unwrap_or_default();
        }
        if !place.is_right() {
            self.find(reference.to_string(), place);
        }
    }

    /// Names a payment that was counted. What only waits for the archive hides none of the others.
    fn find(&mut self, reference: String, place: FoundIn) {
        if self.places.get(&place).is_none_or(|count| *count <= MAX_NAMED) {
            self.findings.push(Finding { reference, place });
        }
    }

    fn add(&mut self, other: Self) {
        for finding in other.findings {
            let named = self.findings.iter().filter(|named| named.place == finding.place).count();
            if (named as u64) < MAX_NAMED {
                self.findings.push(finding);
            }
        }
        for (place, count) in other.places {
            *self.places.entry(place).or_default() += count;
        }
        for (key, total) in other.totals {
            let whole = self.totals.entry(key).or_default();
            whole.count += total.count;
            whole.sum += total.sum;
        }
    }
}

/// What a table holds of a payment.
type Held = Result<StoredPayment, ItemError>;

/// Where a payment lies, from what each table holds: pure.
fn place(payment: Option<&Held>, archived: Option<&Held>) -> FoundIn {
    match (payment, archived) {
        (None, None) => FoundIn::Neither,
        (Some(Err(_)), _) | (_, Some(Err(_))) => FoundIn::Unreadable,
        (Some(Ok(one)), Some(Ok(other))) if is_same(one, other) => FoundIn::Both,
        (Some(Ok(_)), Some(Ok(_))) => FoundIn::Differing,
        (Some(Ok(stored)), None) => match stored.status {
            Status::Processed => FoundIn::Waiting,
            Status::Scheduled | Status::Pending | Status::Failed | Status::Cancelled => {
                FoundIn::Open
            }
        },
        (None, Some(Ok(stored))) => {
            let settled = stored.transaction_id.as_ref().is_some_and(|id| !id.is_empty());
            if stored.status == Status::Processed && settled {
                FoundIn::Archived
            } else {
                FoundIn::NotSettled
            }
        }
    }
}

/// Whether both are one payment in one state: the blob of one may lie beside it, the other's
/// lies inside.
fn is_same(one: &StoredPayment, other: &StoredPayment) -> bool {
    let mut one = one.clone();
    if one.payment.same_instruction(&other.payment) {
        one.payment.data.clone_from(&other.payment.data);
    }
    one == *other
}

/// Compares both tables for a day.
///
/// # Errors
/// The first call that fails.
pub async fn compare_day(
    tables: Arc<PaymentsAndArchive>,
    day: DueDate,
) -> Result<DayComparison, ArchiveError> {
    compare_day_with(tables, day, Arc::new(|_| {})).await
}

/// What is shown each payment of a day.
pub(crate) type Visit = Arc<dyn Fn(&StoredPayment) + Send + Sync>;

/// Compares both tables for a day, and hands each payment that can be read to `visit`, once.
///
/// # Errors
/// The first call that fails.
pub(crate) async fn compare_day_with(
    tables: Arc<PaymentsAndArchive>,
    day: DueDate,
    visit: Visit,
) -> Result<DayComparison, ArchiveError> {
    let mut comparison = DayComparison::default();
    let mut open: VecDeque<u16> = tables.due_shards().collect();
    let mut comparing = JoinSet::new();
    loop {
        while comparing.len() < PARALLEL {
            let Some(shard) = open.pop_front() else { break };
            let partition =
                ComparedPartition::new(Arc::clone(&tables), day, shard, Arc::clone(&visit));
            comparing.spawn(partition.compare());
        }
        match comparing.join_next().await {
            Some(Ok(part)) => comparison.add(part?),
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            None => return Ok(comparison),
        }
    }
}

/// One of the two indexes, read page by page.
#[derive(Debug)]
struct Side {
    read: VecDeque<PaymentRef>,
    rest: ArchiveRest,
}

#[derive(Debug)]
enum ArchiveRest {
    After(Option<Cursor>),
    Nothing,
}

impl Side {
    fn new() -> Self {
        Self { read: VecDeque::new(), rest: ArchiveRest::After(None) }
    }

    /// Where to read on, if that must be done before anything is known of what comes next.
    fn must_be_read(&self) -> Option<Option<Cursor>> {
        match &self.rest {
            ArchiveRest::After(cursor) if self.read.is_empty() => Some(cursor.clone()),
            ArchiveRest::After(_) | ArchiveRest::Nothing => None,
        }
    }

    fn keep(&mut self, page: DueEntryPage, comparison: &mut DayComparison) {
        for reason in page.unreadable {
            *comparison.places.entry(FoundIn::Unreadable).or_default() += 1;
            comparison.find(reason, FoundIn::Unreadable);
        }
        self.read.extend(page.entries.into_iter().map(|entry| entry.reference));
        self.rest =
            page.next.map_or(ArchiveRest::Nothing, |cursor| ArchiveRest::After(Some(cursor)));
    }

    fn head(&self) -> Option<(&AccountId, PaymentId)> {
        self.read.front().map(|reference| (&reference.account, reference.id))
    }
}

/// The next payment of both sides together: pure. Both must have been read on.
fn take(payments: &mut Side, archive: &mut Side) -> Option<PaymentRef> {
    let (from_payments, from_archive) = match (payments.head(), archive.head()) {
        (None, None) => return None,
        (Some(_), None) => (true, false),
        (None, Some(_)) => (false, true),
        (Some(one), Some(other)) => (one <= other, other <= one),
    };
    let one = from_payments.then(|| payments.read.pop_front()).flatten();
    let other = from_archive.then(|| archive.read.pop_front()).flatten();
    one.or(other)
}

/// One partition of the day.
struct ComparedPartition {
    tables: Arc<PaymentsAndArchive>,
    day: DueDate,
    shard: u16,
    visit: Visit,
    comparison: DayComparison,
}

impl ComparedPartition {
    fn new(tables: Arc<PaymentsAndArchive>, day: DueDate, shard: u16, visit: Visit) -> Self {
        Self { tables, day, shard, visit, comparison: DayComparison::default() }
    }

    async fn compare(mut self) -> Result<DayComparison, ArchiveError> {
        let (mut payments, mut archive) = (Side::new(), Side::new());
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            if let Some(cursor) = payments.must_be_read() {
                let page = self.tables.payment_entries(self.day, self.shard, cursor).await?;
                payments.keep(page, &mut self.comparison);
            } else if let Some(cursor) = archive.must_be_read() {
                let page = self.tables.archive_entries(self.day, self.shard, cursor).await?;
                archive.keep(page, &mut self.comparison);
            } else if let Some(next) = take(&mut payments, &mut archive) {
                batch.push(next);
                if batch.len() == BATCH {
                    self.enter(&batch).await?;
                    batch.clear();
                }
            } else {
                self.enter(&batch).await?;
                return Ok(self.comparison);
            }
        }
    }

    /// Reads payments from both tables. The payments table first: what moves meanwhile is
    /// then found in both, and never in neither.
    async fn enter(&mut self, batch: &[PaymentRef]) -> Result<(), ArchiveError> {
        if batch.is_empty() {
            return Ok(());
        }
        let payments = by_id(self.tables.payments(batch).await?);
        let archived = by_id(self.tables.archived(batch).await?);
        for reference in batch {
            let key = reference.to_string();
            let (payment, archived) = (payments.get(&key), archived.get(&key));
            self.comparison.enter(reference, payment, archived);
            if let Some(Ok(stored)) = archived.or(payment) {
                (self.visit)(stored);
            }
        }
        Ok(())
    }
}

fn by_id(found: DuePayments) -> HashMap<String, Held> {
    found.into_iter().map(|(reference, held)| (reference.to_string(), held)).collect()
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
