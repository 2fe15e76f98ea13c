//! The payments table in memory, as lives of processes reach it, with bugs planted in it.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    BlobDigest, DataBlob, DueDate, Failure, Money, Payment, PaymentRef, Settlement, Status,
};
use jiff::Timestamp;
use shared::payments::{
    ApplyResult, BlobError, Change, ChangeError, Cursor, DuePayments, DueTable, FirstClaim,
    PaymentStore, PaymentsError, StoredPayment,
};
use shared::testing::PaymentsInMemory;
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
    pub(crate) table: PaymentsInMemory,
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
            Change::Discard(reference, _) => unreachable!("nobody discards {reference} here"),
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
}

impl Items {
    /// Inserts a payment; returns it as its message carries it.
    pub(crate) fn insert(&mut self, payment: Payment) -> Payment {
        let inserted = self.table.insert(payment);
        self.record(&inserted.reference());
        inserted
    }

    /// Another program's put, whatever is there.
    pub(crate) fn put_over(&mut self, stored: StoredPayment) {
        self.foreign.insert(self.stream.len());
        let reference = stored.payment.reference();
        self.table.put(stored);
        self.record(&reference);
    }

    /// Another program's delete, if the payment is there.
    pub(crate) fn delete(&mut self, payment: &Payment) -> Option<()> {
        let reference = payment.reference();
        self.table.stored(&reference)?;
        self.foreign.insert(self.stream.len());
        self.record(&reference);
        self.stream.last_mut()?.status = None;
        self.table.remove(&reference);
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
        // Refused is as good: it has ended, or was claimed before.
        drop(self.apply(&Change::Withhold(payment, failure), now, bug));
    }

    /// Writes down what lies there now.
    fn record(&mut self, reference: &PaymentRef) {
        let stored = self.table.stored(reference).unwrap();
        let payment = &stored.payment;
        self.stream.push(history::Change {
            payment: payment.id.to_string(),
            account: payment.account.to_string(),
            due: Some(payment.due),
            status: Some(stored.status),
            attempts: Some(stored.attempts),
            instruction: format!("{} {} {}", payment.amount, payment.currency, payment.beneficiary),
            transaction_id: stored.transaction_id,
        });
    }

    /// Makes a payment that was just inserted one that was due so many days ago, and claims it.
    pub(crate) fn forget(&mut self, payment: &Payment, days: u16, now: Timestamp) {
        let due = payment.due.days_before(days);
        let mut stored = self.table.remove(&payment.reference()).unwrap();
        stored.payment.due = due;
        self.stream.iter_mut().for_each(|change| change.due = Some(due));
        self.table.put(stored.clone());
        drop(self.apply(&Change::Claim(&stored.payment), now, Bug::None));
    }

    /// A payment's owner withdraws it, if it was never attempted.
    pub(crate) fn cancel(&mut self, reference: &PaymentRef, now: Timestamp) {
        // Refused is as good: it was claimed before.
        drop(self.apply(&Change::Cancel(reference), now, Bug::None));
    }

    fn apply(
        &mut self,
        change: &Change<'_>,
        now: Timestamp,
        bug: Bug,
    ) -> Result<ApplyResult, ChangeError> {
        let reference = change.reference();
        let stored = self.table.stored(&reference);
        let result = match (bug, change, &stored) {
            (Bug::ForgetsWithheld, Change::Withhold(..), Some(_)) => return Ok(ApplyResult::Now),
            (Bug::UnconditionalClaim, Change::Claim(_), Some(stored)) => {
                let status = Status::Scheduled;
                self.table.put(StoredPayment { status, ..stored.clone() });
                let claim = Change::ClaimAgain(&stored.payment, stored.attempts);
                self.table.change(&claim, now)
            }
            (Bug::AnyVersion, change, Some(StoredPayment { payment, .. })) => {
                let any = match change {
                    Change::Claim(_) => Change::Claim(payment),
                    Change::ClaimAgain(_, seen) => Change::ClaimAgain(payment, *seen),
                    Change::Resume(_, seen) => Change::Resume(payment, *seen),
                    other => other.clone(),
                };
                self.table.change(&any, now)
            }
            _ => self.table.change(change, now),
        };
        if result == Ok(ApplyResult::Now) {
            self.record(&reference);
        }
        result
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
            changes.iter().map(|change| items.apply(&change.borrowed(), now, bug)).collect()
        };
        self.faults.call(&self.life, LIMIT, apply).await.ok_or_else(lost)
    }

    async fn get(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        let (items, reference) = (Arc::clone(&self.items), reference.clone());
        let get = move || items.lock().unwrap().table.stored(&reference);
        self.faults.call(&self.life, LIMIT, get).await.ok_or_else(lost)
    }

    async fn blobs(
        &self,
        wanted: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        let (items, wanted) = (Arc::clone(&self.items), wanted.to_vec());
        let read = move || {
            let table = &items.lock().unwrap().table;
            let read =
                |(reference, digest): &(PaymentRef, BlobDigest)| table.blob(reference, *digest);
            wanted.iter().map(read).collect()
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
        shard: u16,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        let items = Arc::clone(&self.items);
        let read = move || items.lock().unwrap().table.page(day, shard, status, cursor.as_ref());
        self.faults.call(&self.life, LIMIT, read).await.ok_or_else(lost)
    }

    async fn days_page(
        &self,
        status: Status,
        _cursor: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        let (items, bug) = (Arc::clone(&self.items), self.bug);
        let read = move || match bug {
            Bug::OldDaysUnseen => BTreeSet::new(),
            _ => items.lock().unwrap().table.days(status),
        };
        let days = self.faults.call(&self.life, LIMIT, read).await.ok_or_else(lost)?;
        Ok((days, None))
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        let (items, references) = (Arc::clone(&self.items), references.to_vec());
        let read = move || items.lock().unwrap().table.many(&references);
        self.faults.call(&self.life, LIMIT, read).await.ok_or_else(lost)
    }
}
