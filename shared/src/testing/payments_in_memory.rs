//! The payments table in memory. `tests/tests/conformance` holds it against the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::Timestamp;

use super::call_fault::CallFault;
use super::change_in_memory::changed;
use super::payments::scheduled;
use crate::payments::archive::ArchiveLookup;
use crate::payments::{
    ApplyResult, BlobError, Change, ChangeError, Cursor, DUE_PAGE, DuePayments, DueTable,
    PaymentStore, PaymentsError, StoredPayment, check_size, refused_change,
};
use domain::{
    AccountId, BlobDigest, Data, DataBlob, DueDate, Event, Payment, PaymentId, PaymentRef, Status,
};

/// Largest payment whose blob lies in its own item.
const MAX_INLINE_BYTES: usize = 1024;

/// A call of the table, as a hook sees it.
#[derive(Debug)]
pub enum PaymentsCall<'a> {
    /// [`PaymentStore::apply`].
    Apply(&'a [Change<'a>]),
    /// [`PaymentStore::get`].
    Get(&'a PaymentRef),
    /// [`PaymentStore::blobs`].
    Blobs(&'a [(PaymentRef, BlobDigest)]),
    /// [`DueTable::due_page`] of one partition.
    DuePage(DueDate, u16),
    /// [`DueTable::days_page`].
    DaysPage,
    /// [`DueTable::get_many`].
    GetMany(&'a [PaymentRef]),
    /// [`ArchiveLookup::find`].
    Find(&'a PaymentRef),
}

type CallHook = Arc<dyn Fn(&PaymentsCall<'_>) -> CallFault + Send + Sync>;
type ChangeHook = Arc<dyn Fn(&Change<'_>) -> Option<ChangeError> + Send + Sync>;

/// The payments table, or the archive, in memory: each change under its conditions, the index
/// `due` always up to date. Clones are the same table.
#[derive(Clone)]
pub struct PaymentsInMemory {
    state: Arc<Mutex<State>>,
    due_shards: u16,
    page: usize,
    on_call: CallHook,
    on_change: ChangeHook,
}

/// In the order of the index, within a day.
type Key = (AccountId, DueDate, PaymentId);

fn key(reference: &PaymentRef) -> Key {
    (reference.account.clone(), reference.due, reference.id)
}

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<Key, StoredPayment>,
    /// The blobs that lie in items of their own.
    blobs: BTreeMap<Key, DataBlob>,
    /// Payments whose blobs the next read leaves out.
    left_out: BTreeSet<PaymentId>,
    /// The changes that were made, in order.
    made: Vec<(PaymentId, Event)>,
}

impl fmt::Debug for PaymentsInMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

impl Default for PaymentsInMemory {
    fn default() -> Self {
        Self::new(1)
    }
}

impl PaymentsInMemory {
    /// An empty table, whose index `due` has so many partitions.
    #[must_use]
    pub fn new(due_shards: u16) -> Self {
        Self {
            state: Arc::default(),
            due_shards,
            page: DUE_PAGE.into(),
            on_call: Arc::new(|_| CallFault::None),
            on_change: Arc::new(|_| None),
        }
    }

    /// A page of the index has so many entries.
    #[must_use]
    pub fn with_pages_of(mut self, page: usize) -> Self {
        self.page = page;
        self
    }

    /// This hook sees each call and says what becomes of it.
    #[must_use]
    pub fn on_call(
        mut self,
        hook: impl Fn(&PaymentsCall<'_>) -> CallFault + Send + Sync + 'static,
    ) -> Self {
        self.on_call = Arc::new(hook);
        self
    }

    /// This hook sees each change of a call that arrives, and may refuse it.
    #[must_use]
    pub fn on_change(
        mut self,
        hook: impl Fn(&Change<'_>) -> Option<ChangeError> + Send + Sync + 'static,
    ) -> Self {
        self.on_change = Arc::new(hook);
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts an item over whatever lies there.
    pub fn put(&self, stored: StoredPayment) {
        self.state().items.insert(key(&stored.payment.reference()), stored);
    }

    /// Inserts a payment under a free key, with a large blob beside it; returns it as its
    /// message carries it.
    pub fn insert(&self, mut payment: Payment) -> Payment {
        if check_size(&payment).unwrap() > MAX_INLINE_BYTES
            && let Some(Data::Whole(blob)) = payment.data.take()
        {
            payment.data = Some(Data::Beside(BlobDigest::of(&blob)));
            self.state().blobs.insert(key(&payment.reference()), blob);
        }
        self.put(scheduled(payment.clone()));
        payment
    }

    /// Deletes an item, which leaves its blob.
    pub fn remove(&self, reference: &PaymentRef) -> Option<StoredPayment> {
        self.state().items.remove(&key(reference))
    }

    /// The item of a payment.
    #[must_use]
    pub fn stored(&self, reference: &PaymentRef) -> Option<StoredPayment> {
        self.state().items.get(&key(reference)).cloned()
    }

    /// All items.
    #[must_use]
    pub fn all(&self) -> Vec<StoredPayment> {
        self.state().items.values().cloned().collect()
    }

    /// The changes that were made, in order.
    #[must_use]
    pub fn made(&self) -> Vec<(PaymentId, Event)> {
        self.state().made.clone()
    }

    /// The next read of the blob of this payment leaves it out.
    pub fn leave_out_blob(&self, payment: PaymentId) {
        self.state().left_out.insert(payment);
    }

    /// Makes one change at once.
    ///
    /// # Errors
    /// [`ChangeError`] as the table's.
    pub fn change(&self, change: &Change<'_>, now: Timestamp) -> Result<ApplyResult, ChangeError> {
        if let Some(error) = (self.on_change)(change) {
            return Err(error);
        }
        let state = &mut *self.state();
        let Some(stored) = state.items.get_mut(&key(&change.reference())) else {
            return Err(ChangeError::Missing);
        };
        let Some(next) = changed(stored, change, now) else {
            return refused_change(change, stored.clone());
        };
        state.made.push((next.payment.id, change.event()));
        *stored = next;
        Ok(ApplyResult::Now)
    }

    /// Reads one blob at once.
    ///
    /// # Errors
    /// [`BlobError`] as the table's.
    pub fn blob(&self, reference: &PaymentRef, digest: BlobDigest) -> Result<DataBlob, BlobError> {
        let mut state = self.state();
        if state.left_out.remove(&reference.id) {
            return Err(BlobError::Unread);
        }
        let blob = state.blobs.get(&key(reference)).ok_or(BlobError::Missing)?;
        if BlobDigest::of(blob) == digest { Ok(blob.clone()) } else { Err(BlobError::Differs) }
    }

    /// Reads a page of the index at once.
    #[must_use]
    pub fn page(
        &self,
        day: DueDate,
        shard: u16,
        status: Status,
        cursor: Option<&Cursor>,
    ) -> (Vec<PaymentRef>, Option<Cursor>) {
        let place = |payment: &Payment| format!("{}#{}", payment.account, payment.id);
        let after = cursor.map(|cursor| cursor.place().unwrap());
        let state = self.state();
        let mut here = state.items.values().filter(|StoredPayment { payment, .. }| {
            (payment.due, payment.id.due_shard(self.due_shards)) == (day, shard)
                && after.is_none_or(|after| place(payment).as_str() > after)
        });
        let page: Vec<_> = here.by_ref().take(self.page).collect();
        let last = here.next().and(page.last());
        let next = last.map(|stored| Cursor::after(&stored.payment.reference()));
        let found = page.into_iter().filter(|stored| stored.status == status);
        (found.map(|stored| stored.payment.reference()).collect(), next)
    }

    /// Reads the days of the index at once.
    #[must_use]
    pub fn days(&self, status: Status) -> BTreeSet<DueDate> {
        let state = self.state();
        let found = state.items.values().filter(|stored| stored.status == status);
        found.map(|stored| stored.payment.due).collect()
    }

    /// Reads items at once.
    #[must_use]
    pub fn many(&self, references: &[PaymentRef]) -> DuePayments {
        let state = self.state();
        let found = references.iter().filter_map(|reference| {
            Some((reference.clone(), Ok(state.items.get(&key(reference))?.clone())))
        });
        found.collect()
    }

    async fn call<T>(
        &self,
        call: PaymentsCall<'_>,
        carry_out: impl FnOnce() -> T,
    ) -> Result<T, PaymentsError> {
        let fault = (self.on_call)(&call);
        fault.around(carry_out).await.ok_or(PaymentsError::NoItems)
    }
}

#[async_trait]
impl PaymentStore for PaymentsInMemory {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let apply = || changes.iter().map(|change| self.change(change, now)).collect();
        self.call(PaymentsCall::Apply(changes), apply).await
    }

    async fn get(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        self.call(PaymentsCall::Get(reference), || self.stored(reference)).await
    }

    async fn blobs(
        &self,
        wanted: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        let read = || wanted.iter().map(|(reference, digest)| self.blob(reference, *digest));
        self.call(PaymentsCall::Blobs(wanted), || read().collect()).await
    }
}

#[async_trait]
impl ArchiveLookup for PaymentsInMemory {
    async fn find(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        self.call(PaymentsCall::Find(reference), || self.stored(reference)).await
    }
}

#[async_trait]
impl DueTable for PaymentsInMemory {
    fn due_shards(&self) -> Range<u16> {
        0..self.due_shards
    }

    async fn due_page(
        &self,
        day: DueDate,
        shard: u16,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        let read = || self.page(day, shard, status, cursor.as_ref());
        self.call(PaymentsCall::DuePage(day, shard), read).await
    }

    async fn days_page(
        &self,
        status: Status,
        _: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        self.call(PaymentsCall::DaysPage, || (self.days(status), None)).await
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        self.call(PaymentsCall::GetMany(references), || self.many(references)).await
    }
}
