//! The payments table by due date, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, Range};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::{BlobDigest, DataBlob, DueDate, Payment, PaymentId, PaymentRef, Status, StatusCounts};
use jiff::Timestamp;
use shared::payments::{
    ApplyResult, BlobError, Change, ChangeError, Cursor, DeadLetters, DuePayments, DueTable,
    PaymentStore, PaymentsError, StatusCounter, StoredPayment, refused_change,
};
use shared::testing::scheduled;
use tokio::time::Instant;

/// Partitions of the index.
pub(super) const SHARDS: u16 = 6;
/// Entries of a page.
const PAGE: usize = 100;

/// All payments that were inserted.
#[derive(Debug, Default)]
pub(super) struct FakeTable {
    items: Mutex<Items>,
    down: AtomicBool,
    cursed: AtomicBool,
    slow: AtomicBool,
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    counts: Mutex<Vec<Instant>>,
}

#[derive(Debug, Default)]
struct Items {
    /// By the keys of the index.
    due: BTreeMap<(DueDate, u16), BTreeMap<String, PaymentRef>>,
    payments: HashMap<PaymentId, StoredPayment>,
}

impl FakeTable {
    pub(super) fn put(&self, payment: &Payment) {
        self.put_under(payment.due, new(payment));
    }

    /// Any item, shown by the index under a day.
    pub(super) fn put_under(&self, day: DueDate, stored: StoredPayment) {
        let payment = &stored.payment;
        let mut items = self.items.lock().unwrap();
        let shard = items.due.entry((day, payment.id.due_shard(SHARDS))).or_default();
        shard.insert(format!("{}#{}", payment.account, payment.id), payment.reference());
        items.payments.insert(payment.id, stored);
    }

    /// A payment as it lies in the table.
    pub(super) fn stored(&self, id: PaymentId) -> StoredPayment {
        self.items.lock().unwrap().payments[&id].clone()
    }

    /// A payment is not SCHEDULED any more.
    pub(super) fn end(&self, id: &str, status: Status) {
        let id: PaymentId = id.parse().unwrap();
        self.items.lock().unwrap().payments.get_mut(&id).unwrap().status = status;
    }

    /// A payment is SCHEDULED again, after so many attempts.
    pub(super) fn replay(&self, id: PaymentId, attempts: u32, now: Timestamp) {
        let mut items = self.items.lock().unwrap();
        let stored = items.payments.get_mut(&id).unwrap();
        (stored.status, stored.attempts, stored.updated_at) = (Status::Scheduled, attempts, now);
    }

    pub(super) fn break_down(&self) {
        self.down.store(true, Ordering::Relaxed);
    }

    /// Whoever looks at it panics.
    pub(super) fn curse(&self) {
        self.cursed.store(true, Ordering::Relaxed);
    }

    pub(super) fn mend(&self) {
        self.down.store(false, Ordering::Relaxed);
    }

    /// Half a second for each batch of items.
    pub(super) fn slow_down(&self) {
        self.slow.store(true, Ordering::Relaxed);
    }

    /// Pages that were asked for.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Most pages that were asked for at the same time.
    pub(super) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::Relaxed)
    }

    /// When somebody began to count the payments of a day.
    pub(super) fn counts(&self) -> Vec<Instant> {
        self.counts.lock().unwrap().clone()
    }

    /// Pages of all days once, where none has more than a page in a partition.
    pub(super) const SWEEP: usize = (super::WINDOW as usize + 1) * SHARDS as usize;
}

/// A payment that was inserted a moment ago.
pub(super) fn new(payment: &Payment) -> StoredPayment {
    scheduled(payment.clone())
}

#[async_trait]
impl PaymentStore for FakeTable {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if self.down.load(Ordering::Relaxed) {
            return Err(PaymentsError::Unread(1));
        }
        let mut items = self.items.lock().unwrap();
        let apply = |change: &Change<'_>| {
            if let Change::DeadLettered(reference, attempts, count) = change {
                let stored = items.payments.get_mut(&reference.id).ok_or(ChangeError::Missing)?;
                if stored.status != Status::Failed || stored.attempts != *attempts {
                    return refused_change(change, stored.clone());
                }
                stored.dead_letters = DeadLetters { count: *count, last: Some(now) };
                return Ok(ApplyResult::Now);
            }
            let (failure, attempts) = match change {
                Change::Withhold(_, failure) => (*failure, 0),
                Change::WithholdReplayed(_, failure, attempts)
                | Change::Fail(_, failure, attempts) => (*failure, *attempts),
                other => panic!("the relay does not make {other:?}"),
            };
            let id = change.reference().id;
            let stored = items.payments.get_mut(&id).ok_or(ChangeError::Missing)?;
            let (from, to) = change.event().edge();
            if stored.status != from || stored.attempts != attempts {
                return refused_change(change, stored.clone());
            }
            (stored.status, stored.updated_at) = (to, now);
            stored.failure = Some(failure.clone());
            Ok(ApplyResult::Now)
        };
        Ok(changes.iter().map(apply).collect())
    }

    async fn get(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        Ok(self.items.lock().unwrap().payments.get(&reference.id).cloned())
    }

    async fn blobs(
        &self,
        _: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        unreachable!("the relay reads no blobs")
    }
}

#[async_trait]
impl DueTable for FakeTable {
    fn due_shards(&self) -> Range<u16> {
        assert!(!self.cursed.load(Ordering::Relaxed), "cursed");
        0..SHARDS
    }

    async fn due_page(
        &self,
        day: DueDate,
        shard: u16,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        if self.down.load(Ordering::Relaxed) {
            return Err(PaymentsError::Unread(1));
        }
        let items = self.items.lock().unwrap();
        let Some(here) = items.due.get(&(day, shard)) else { return Ok((Vec::new(), None)) };
        let place = cursor.as_ref().map(|cursor| cursor.place().unwrap().to_owned());
        let behind = place.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = here.range((behind, Bound::Unbounded)).map(|(_, reference)| reference);
        let looked_at: Vec<_> = behind.take(PAGE + 1).collect();
        let more = looked_at.len() > PAGE;
        let page = &looked_at[..looked_at.len().min(PAGE)];
        let next = page.last().filter(|_| more).map(|last| Cursor::after(last));
        let in_status = |reference: &&&PaymentRef| items.payments[&reference.id].status == status;
        Ok((page.iter().filter(in_status).map(|&reference| reference.clone()).collect(), next))
    }

    async fn days_page(
        &self,
        status: Status,
        _: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if self.down.load(Ordering::Relaxed) {
            return Err(PaymentsError::Unread(1));
        }
        let items = self.items.lock().unwrap();
        let open = items.payments.values().filter(|stored| stored.status == status);
        Ok((open.map(|stored| stored.payment.due).collect(), None))
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        if self.slow.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let items = self.items.lock().unwrap();
        let stored = |reference: &PaymentRef| items.payments[&reference.id].clone();
        Ok(references.iter().map(|wanted| (wanted.clone(), Ok(stored(wanted)))).collect())
    }
}

#[async_trait]
impl StatusCounter for FakeTable {
    fn partitions(&self) -> Range<u16> {
        0..SHARDS
    }

    async fn count_statuses(
        &self,
        place: (DueDate, u16),
        cursor: Option<Cursor>,
    ) -> Result<(StatusCounts, Option<Cursor>), PaymentsError> {
        assert!(cursor.is_none(), "there is one page");
        tokio::time::sleep(Duration::from_millis(20)).await;
        if place.1 == 0 {
            self.counts.lock().unwrap().push(Instant::now());
        }
        if self.down.load(Ordering::Relaxed) {
            return Err(PaymentsError::Unread(1));
        }
        let (items, mut counts) = (self.items.lock().unwrap(), StatusCounts::default());
        for reference in items.due.get(&place).into_iter().flat_map(BTreeMap::values) {
            counts.add(items.payments[&reference.id].status, 1);
        }
        Ok((counts, None))
    }
}
