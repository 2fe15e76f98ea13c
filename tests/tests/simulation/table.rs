//! The payments table: conditional writes in memory, each as `DynamoDB` would make it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    BlobDigest, Data, DataBlob, DueDate, Failure, Money, Payment, PaymentId, PaymentRef,
    Settlement, Status, transition,
};
use jiff::Timestamp;
use shared::payments::{
    ApplyResult, BlobError, Change, ChangeError, Cursor, DeadLetters, DuePayments, DueTable,
    FirstClaim, PaymentStore, PaymentsError, StoredPayment, refused_change,
};
use tests::history;

use crate::bugs::Bug;
use crate::faults::Faults;
use crate::hostile::Ids;
use crate::life::Life;

/// How long a caller waits for the table (`shared::aws`).
const LIMIT: Duration = Duration::from_secs(15);

/// The items, and every change of them in order.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub(crate) items: BTreeMap<PaymentId, StoredPayment>,
    /// The blobs that lie in items of their own.
    blobs: BTreeMap<PaymentId, DataBlob>,
    /// Payments whose blobs the next read leaves out.
    pub(crate) left_out: BTreeSet<PaymentId>,
    pub(crate) stream: Vec<history::Change>,
    /// Places in the stream of what others wrote.
    pub(crate) foreign: HashSet<usize>,
    /// Payments that no scan finds.
    pub(crate) hidden: Ids,
}

/// A change with all it holds, so that it can arrive late.
#[derive(Debug, Clone)]
enum Owned {
    Claim(Payment),
    ClaimAgain(Payment, u32),
    Resume(Payment, u32),
    Settle(PaymentRef, Settlement, Option<Money>),
    Fail(PaymentRef, Failure, u32),
    Refuse(PaymentRef, Failure),
    Replay(PaymentRef, u32, FirstClaim),
    Cancel(PaymentRef),
    Withhold(PaymentRef, Failure),
    WithholdReplayed(PaymentRef, Failure, u32),
    NotDone(PaymentRef, u32, u32),
    DeadLettered(PaymentRef, u32, u32),
}

impl Owned {
    fn of(change: &Change<'_>) -> Self {
        match change.clone() {
            Change::Claim(payment) => Self::Claim(payment.clone()),
            Change::ClaimAgain(payment, seen) => Self::ClaimAgain(payment.clone(), seen),
            Change::Resume(payment, seen) => Self::Resume(payment.clone(), seen),
            Change::Settle(reference, settlement) => {
                Self::Settle(reference.clone(), settlement.clone(), None)
            }
            Change::SettleOf(reference, settlement, money) => {
                Self::Settle(reference.clone(), settlement.clone(), Some(money))
            }
            Change::Fail(reference, failure, made) => {
                Self::Fail(reference.clone(), failure.clone(), made)
            }
            Change::Refuse(reference, failure) => Self::Refuse(reference.clone(), failure.clone()),
            Change::Replay(reference, made, first) => Self::Replay(reference.clone(), made, first),
            Change::Cancel(reference) => Self::Cancel(reference.clone()),
            Change::Withhold(reference, failure) => {
                Self::Withhold(reference.clone(), failure.clone())
            }
            Change::WithholdReplayed(reference, failure, made) => {
                Self::WithholdReplayed(reference.clone(), failure.clone(), made)
            }
            Change::NotDone(reference, made, count) => {
                Self::NotDone(reference.clone(), made, count)
            }
            Change::DeadLettered(reference, made, count) => {
                Self::DeadLettered(reference.clone(), made, count)
            }
            Change::Decide(decision) => {
                unreachable!("nobody decides about {} here", decision.table.id)
            }
        }
    }

    fn borrowed(&self) -> Change<'_> {
        match self {
            Self::Claim(payment) => Change::Claim(payment),
            Self::ClaimAgain(payment, seen) => Change::ClaimAgain(payment, *seen),
            Self::Resume(payment, seen) => Change::Resume(payment, *seen),
            Self::Settle(reference, settlement, None) => Change::Settle(reference, settlement),
            Self::Settle(reference, settlement, Some(money)) => {
                Change::SettleOf(reference, settlement, *money)
            }
            Self::Fail(reference, failure, made) => Change::Fail(reference, failure, *made),
            Self::Refuse(reference, failure) => Change::Refuse(reference, failure),
            Self::Replay(reference, made, first) => Change::Replay(reference, *made, *first),
            Self::Cancel(reference) => Change::Cancel(reference),
            Self::Withhold(reference, failure) => Change::Withhold(reference, failure),
            Self::WithholdReplayed(reference, failure, made) => {
                Change::WithholdReplayed(reference, failure, *made)
            }
            Self::NotDone(reference, made, count) => Change::NotDone(reference, *made, *count),
            Self::DeadLettered(reference, made, count) => {
                Change::DeadLettered(reference, *made, *count)
            }
        }
    }

    /// Whether the item meets the change's own conditions beside the status.
    fn fits(&self, stored: &StoredPayment, bug: Bug) -> bool {
        let same =
            |payment: &Payment| bug == Bug::AnyVersion || stored.payment.same_instruction(payment);
        match self {
            Self::Claim(payment) => stored.attempts == 0 && same(payment),
            Self::ClaimAgain(payment, seen) | Self::Resume(payment, seen) => {
                stored.attempts == *seen && same(payment)
            }
            Self::Fail(_, _, made)
            | Self::Replay(_, made, _)
            | Self::WithholdReplayed(_, _, made)
            | Self::NotDone(_, made, _)
            | Self::DeadLettered(_, made, _) => stored.attempts == *made,
            Self::Cancel(_) | Self::Withhold(..) => stored.attempts == 0,
            Self::Settle(_, _, money) => money.is_none_or(|money| {
                (stored.payment.amount, stored.payment.currency) == (money.amount, money.currency)
            }),
            Self::Refuse(..) => true,
        }
    }

    fn write(self, stored: &mut StoredPayment, now: Timestamp) {
        match self {
            Self::Claim(_) => {
                stored.attempts += 1;
                stored.claimed_at = Some(now);
            }
            Self::ClaimAgain(..) | Self::Resume(..) => stored.attempts += 1,
            Self::Settle(_, settlement, _) => {
                stored.transaction_id = Some(settlement.transaction_id);
                stored.settled_at = Some(settlement.settled_at);
            }
            Self::Fail(_, failure, _)
            | Self::Refuse(_, failure)
            | Self::Withhold(_, failure)
            | Self::WithholdReplayed(_, failure, _) => {
                stored.failure = Some(failure);
                stored.dead_letters.last = None;
            }
            Self::NotDone(_, _, count) => stored.not_done = count,
            Self::DeadLettered(_, _, count) => {
                stored.dead_letters = DeadLetters { count, last: Some(now) };
            }
            Self::Replay(_, made, first) => {
                stored.failure = None;
                stored.not_done = 0;
                stored.attempts_before = made;
                match first {
                    FirstClaim::Stays => {}
                    FirstClaim::StartsAnew => stored.claimed_at = Some(now),
                }
            }
            Self::Cancel(_) => {}
        }
    }
}

impl Items {
    /// Inserts a payment, with a blob beside it if it has one; returns it as its message
    /// carries it.
    pub(crate) fn insert(&mut self, mut payment: Payment) -> Payment {
        if let Some(Data::Whole(blob)) = payment.data.take() {
            payment.data = Some(Data::Beside(BlobDigest::of(&blob)));
            self.blobs.insert(payment.id, blob);
        }
        let inserted = payment.clone();
        let stored = StoredPayment {
            updated_at: payment.created_at,
            payment,
            status: Status::Scheduled,
            attempts: 0,
            attempts_before: 0,
            not_done: 0,
            claimed_at: None,
            transaction_id: None,
            settled_at: None,
            failure: None,
            dead_letters: DeadLetters::default(),
        };
        self.record(&stored);
        self.items.insert(stored.payment.id, stored);
        inserted
    }

    /// Another program's put, whatever is there.
    pub(crate) fn put_over(&mut self, stored: StoredPayment) {
        self.foreign.insert(self.stream.len());
        self.record(&stored);
        self.items.insert(stored.payment.id, stored);
    }

    /// Another program's delete, if the payment is there.
    pub(crate) fn delete(&mut self, payment: &Payment) -> Option<()> {
        let stored = self.items.remove(&payment.id)?;
        self.foreign.insert(self.stream.len());
        self.record(&stored);
        self.stream.last_mut()?.status = None;
        Some(())
    }

    /// A person has to decide: the relay writes so, if the payment was never attempted.
    pub(crate) fn withhold(
        &mut self,
        payment: &PaymentRef,
        failure: &Failure,
        now: Timestamp,
        bug: Bug,
    ) {
        let change = Owned::Withhold(payment.clone(), failure.clone());
        // Refused is as good: it has ended, or was claimed before.
        drop(self.apply(change, now, bug));
    }

    fn record(&mut self, stored: &StoredPayment) {
        let payment = &stored.payment;
        self.stream.push(history::Change {
            payment: payment.id.to_string(),
            account: payment.account.to_string(),
            due: Some(payment.due),
            status: Some(stored.status),
            attempts: Some(stored.attempts),
            instruction: format!("{} {} {}", payment.amount, payment.currency, payment.beneficiary),
            transaction_id: stored.transaction_id.clone(),
        });
    }

    /// Makes a payment that was just inserted one that was due so many days ago, and claims it.
    pub(crate) fn forget(&mut self, payment: &Payment, days: u16, now: Timestamp) {
        let due = payment.due.days_before(days);
        if let Some(stored) = self.items.get_mut(&payment.id) {
            stored.payment.due = due;
        }
        self.stream.iter_mut().for_each(|change| change.due = Some(due));
        let claim = Owned::Claim(Payment { due, ..payment.clone() });
        drop(self.apply(claim, now, Bug::None));
    }

    /// A payment's owner withdraws it, if it was never attempted.
    pub(crate) fn cancel(&mut self, reference: &PaymentRef, now: Timestamp) {
        // Refused is as good: it was claimed before.
        drop(self.apply(Owned::Cancel(reference.clone()), now, Bug::None));
    }

    fn apply(
        &mut self,
        change: Owned,
        now: Timestamp,
        bug: Bug,
    ) -> Result<ApplyResult, ChangeError> {
        let borrowed = change.borrowed();
        let Some(stored) = self.items.get(&borrowed.reference().id).cloned() else {
            return Err(ChangeError::Missing);
        };
        let event = borrowed.event();
        let unconditional = bug == Bug::UnconditionalClaim && matches!(change, Owned::Claim(_));
        if bug == Bug::ForgetsWithheld && matches!(change, Owned::Withhold(..)) {
            return Ok(ApplyResult::Now);
        }
        let (_, target) = event.edge();
        let allowed = transition(stored.status, event).is_ok() && change.fits(&stored, bug);
        if !allowed && !unconditional {
            return refused_change(&borrowed, stored);
        }
        let mut next = stored;
        if next.status != target {
            next.updated_at = now;
        }
        next.status = target;
        change.write(&mut next, now);
        self.record(&next);
        self.items.insert(next.payment.id, next);
        Ok(ApplyResult::Now)
    }
}

/// The table, as one life of a process uses it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) items: Arc<Mutex<Items>>,
    pub(crate) life: Life,
    pub(crate) faults: Faults,
    pub(crate) bug: Bug,
}

fn lost() -> PaymentsError {
    let (code, message) = ("Timeout".to_owned(), "no answer".to_owned());
    PaymentsError::Statement(ChangeError::Database { code, message })
}

#[async_trait]
impl PaymentStore for Table {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let (items, bug) = (Arc::clone(&self.items), self.bug);
        let changes: Vec<_> = changes.iter().map(Owned::of).collect();
        let apply = move || {
            let mut items = items.lock().unwrap();
            changes.into_iter().map(|change| items.apply(change, now, bug)).collect()
        };
        self.faults.call(&self.life, LIMIT, apply).await.ok_or_else(lost)
    }

    async fn get(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        let (items, id) = (Arc::clone(&self.items), reference.id);
        let get = move || items.lock().unwrap().items.get(&id).cloned();
        self.faults.call(&self.life, LIMIT, get).await.ok_or_else(lost)
    }

    async fn blobs(
        &self,
        wanted: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        let (items, wanted) = (Arc::clone(&self.items), wanted.to_vec());
        let read = move || {
            let mut items = items.lock().unwrap();
            let blob = |(reference, digest): &(PaymentRef, BlobDigest)| {
                if items.left_out.remove(&reference.id) {
                    return Err(BlobError::Unread);
                }
                let blob = items.blobs.get(&reference.id).ok_or(BlobError::Missing)?;
                let same = BlobDigest::of(blob) == *digest;
                if same { Ok(blob.clone()) } else { Err(BlobError::Differs) }
            };
            wanted.iter().map(blob).collect()
        };
        self.faults.call(&self.life, LIMIT, read).await.ok_or_else(lost)
    }
}

#[async_trait]
impl DueTable for Table {
    fn due_shards(&self) -> Range<u16> {
        0..1
    }

    async fn due_page(
        &self,
        day: DueDate,
        _shard: u16,
        status: Status,
        _cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        let items = Arc::clone(&self.items);
        let read = move || {
            let items = items.lock().unwrap();
            let due = items
                .items
                .values()
                .filter(|stored| stored.status == status && stored.payment.due == day);
            let mut page: Vec<_> = due.map(|stored| stored.payment.reference()).collect();
            page.sort_by(|one, other| (&one.account, one.id).cmp(&(&other.account, other.id)));
            page
        };
        let page = self.faults.call(&self.life, LIMIT, read).await.ok_or_else(lost)?;
        Ok((page, None))
    }

    async fn days_page(
        &self,
        status: Status,
        _cursor: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        let (items, bug) = (Arc::clone(&self.items), self.bug);
        let read = move || {
            let items = items.lock().unwrap();
            if bug == Bug::OldDaysUnseen {
                return BTreeSet::new();
            }
            let open = items.items.values().filter(|stored| stored.status == status);
            open.map(|stored| stored.payment.due).collect()
        };
        let days = self.faults.call(&self.life, LIMIT, read).await.ok_or_else(lost)?;
        Ok((days, None))
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        let (items, references) = (Arc::clone(&self.items), references.to_vec());
        let read = move || {
            let items = items.lock().unwrap();
            let stored = |asked: PaymentRef| Some((items.items.get(&asked.id)?.clone(), asked));
            let found = references.into_iter().filter_map(stored);
            found.map(|(stored, asked)| (asked, Ok(stored))).collect()
        };
        self.faults.call(&self.life, LIMIT, read).await.ok_or_else(lost)
    }
}
