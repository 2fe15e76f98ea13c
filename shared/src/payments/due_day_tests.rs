use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::payments::StoredPayment;
use crate::testing::{longest_payment, scheduled};

const SHARDS: u16 = 5;
/// Entries of a page of the fake.
const PAGE: usize = 7;
/// The payments of each test: more than two batches.
const PAYMENTS: u32 = 2_500;

fn day() -> DueDate {
    longest_payment().due
}

/// A payment of one of a few accounts, whose ids differ by what sorts near the separator.
fn payment(number: u32) -> PaymentRef {
    let account = ["A", "A-1", "A.1", "A0", "B", "a"][number as usize % 6];
    PaymentRef {
        account: AccountId::parse(account).unwrap(),
        due: day(),
        id: PaymentId::generate(),
    }
}

/// An index whose entries are all in the status that is asked for, except those that are hidden.
#[derive(Debug, Default)]
struct FakeTable {
    /// With the sort key of the index.
    entries: Vec<(String, PaymentRef)>,
    hidden: Vec<PaymentId>,
    /// Numbers of the calls that fail, of both kinds.
    failing: Vec<usize>,
    calls: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    asked: Mutex<Vec<usize>>,
}

impl FakeTable {
    fn new() -> Self {
        let keyed =
            |reference: PaymentRef| (format!("{}#{}", reference.account, reference.id), reference);
        let mut entries: Vec<_> = (0..PAYMENTS).map(payment).map(keyed).collect();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Self { entries, ..Self::default() }
    }

    /// What is not hidden, in the order of the index's sort key.
    fn expected(&self) -> Vec<PaymentRef> {
        let shown = self.entries.iter().filter(|(_, r)| !self.hidden.contains(&r.id));
        shown.map(|(_, reference)| reference.clone()).collect()
    }

    async fn call(&self) -> Result<(), PaymentsError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(now, Ordering::Relaxed);
        // The pages of a wave come back in another order than they were asked for.
        let millis = if number.is_multiple_of(2) { 20 } else { 10 };
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        if self.failing.contains(&number) { Err(PaymentsError::Unread(1)) } else { Ok(()) }
    }
}

#[async_trait]
impl DueTable for FakeTable {
    fn due_shards(&self) -> Range<u16> {
        0..SHARDS
    }

    async fn due_page(
        &self,
        asked: DueDate,
        shard: u16,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        assert_eq!((asked, status), (day(), Status::Pending));
        self.call().await?;
        let here = || self.entries.iter().filter(|(_, r)| r.id.due_shard(SHARDS) == shard);
        let from = match cursor {
            None => 0,
            Some(cursor) => match cursor.place() {
                Some(place) => here().take_while(|(key, _)| key.as_str() <= place).count(),
                None => cursor.0["at"].as_n().unwrap().parse().unwrap(),
            },
        };
        let here = here();
        let mut rest = here.skip(from).map(|(_, reference)| reference.clone());
        let mut page: Vec<_> = rest.by_ref().take(PAGE).collect();
        page.retain(|reference| !self.hidden.contains(&reference.id));
        let at = AttributeValue::N((from + PAGE).to_string());
        let next = rest.next().map(|_| Cursor(HashMap::from([("at".to_owned(), at)])));
        Ok((page, next))
    }

    async fn days_page(
        &self,
        _: Status,
        _: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        Err(PaymentsError::Unread(0))
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        self.call().await?;
        self.asked.lock().unwrap().push(references.len());
        let stored = |reference: &PaymentRef| {
            let mut payment = longest_payment();
            (payment.id, payment.account) = (reference.id, reference.account.clone());
            StoredPayment { status: Status::Pending, attempts: 1, ..scheduled(payment) }
        };
        Ok(references.iter().map(|r| (r.clone(), Ok(stored(r)))).collect())
    }
}

/// All that a day gives out, trying again after each failure.
async fn read(table: &Arc<FakeTable>) -> (Vec<PaymentRef>, usize) {
    let mut day = DueDay::new(Arc::clone(table) as Arc<dyn DueTable>, day(), Status::Pending);
    let (mut all, mut failures) = (Vec::new(), 0);
    loop {
        match day.next().await {
            Ok(Some(found)) => all.extend(found.into_iter().map(|(reference, _)| reference)),
            Ok(None) => return (all, failures),
            Err(_) => failures += 1,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_comes_in_the_order_of_account_and_id_wherever_its_payments_lie() {
    let table = Arc::new(FakeTable::new());
    assert_eq!(read(&table).await, (table.expected(), 0));
    assert_eq!(*table.asked.lock().unwrap(), [BATCH, BATCH, PAYMENTS as usize - 2 * BATCH]);
    assert_eq!(table.most_at_once.load(Ordering::Relaxed), PARALLEL);
}

#[tokio::test(start_paused = true)]
async fn a_day_that_failed_goes_on_at_the_same_place() {
    let mut table = FakeTable::new();
    table.failing = (0..200).filter(|number| number % 3 == 1).collect();
    let table = Arc::new(table);
    let (all, failures) = read(&table).await;
    assert_eq!(all, table.expected());
    assert!(failures > 20, "{failures} failures");
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_does_not_end_its_partition() {
    let mut table = FakeTable::new();
    // All of the first accounts, and so whole pages, and some of the others.
    let hidden = table.entries.iter().enumerate().filter(|(at, _)| *at < 1_000 || at % 3 == 0);
    table.hidden = hidden.map(|(_, (_, reference))| reference.id).collect();
    let table = Arc::new(table);
    assert_eq!(read(&table).await, (table.expected(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_day_without_payments_ends_at_once() {
    let table = Arc::new(FakeTable::default());
    assert_eq!(read(&table).await, (Vec::new(), 0));
    assert_eq!(table.calls.load(Ordering::Relaxed), usize::from(SHARDS));
}

#[tokio::test(start_paused = true)]
async fn a_day_goes_on_after_a_payment_in_every_partition() {
    let table = Arc::new(FakeTable::new());
    let all = table.expected();
    for at in [0, 999, 1_234, all.len() - 1] {
        let of_table = Arc::clone(&table) as Arc<dyn DueTable>;
        let mut rest = DueDay::after(of_table, day(), Status::Pending, &all[at]);
        let mut found = Vec::new();
        while let Some(batch) = rest.next().await.unwrap() {
            found.extend(batch.into_iter().map(|(reference, _)| reference));
        }
        assert_eq!(found, all[at + 1..]);
    }
}

#[test]
fn nothing_is_taken_while_a_partition_may_hold_what_comes_before_it() {
    let all: Vec<_> = (0..6).map(|_| payment(0)).collect();
    let part = |read: &[usize], rest| {
        let read = read.iter().map(|&index| all[index].clone()).collect();
        DayPartition { shard: 0, read, rest }
    };
    let mut partitions = [
        part(&[0, 3], Rest::Nothing),
        part(&[1], Rest::After(None)),
        part(&[2, 4, 5], Rest::Nothing),
    ];
    let mut taken = Vec::new();
    merge(&mut partitions, &mut taken, 10);
    assert_eq!(taken, all[..2], "the second partition may go on with anything");
    partitions[1].keep(Vec::new(), None);
    merge(&mut partitions, &mut taken, 5);
    assert_eq!(taken, all[..5]);
    merge(&mut partitions, &mut taken, 10);
    assert_eq!(taken, all);
}
