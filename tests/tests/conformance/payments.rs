//! The payments table and [`PaymentsInMemory`]: equal calls have equal results, and leave equal
//! items.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use demo::local_world::World;
use domain::{
    AccountId, Amount, BeneficiaryId, BlobDigest, Data, DataBlob, DueDate, Failure, FailureCode,
    Money, Payment, PaymentId, PaymentRef, Settlement, Status,
};
use jiff::Timestamp;
use shared::payments::archive::{ArchiveLookup, ArchiveTable};
use shared::payments::{
    ApplyResult, Change, ChangeError, Cursor, DeadLetters, DueTable, FirstClaim, OperatorDecision,
    PaymentStore, PaymentsTable, RightVersion, StoredPayment, attribute as a, check_size,
};
use shared::testing::{PaymentsInMemory, sample_payment, scheduled};
use tempfile::TempDir;
use tests::world::without_services;

const SHARDS: u16 = 4;
const TWICE: u32 = 2;

/// The real table and its double, to which the same is done.
struct Both {
    real: PaymentsTable,
    archive: ArchiveTable,
    double: PaymentsInMemory,
    client: Client,
    world: World,
    _dir: TempDir,
}

impl Both {
    async fn open() -> Self {
        let (world, dir) = without_services().await.unwrap();
        let client = world.aws.dynamodb("test");
        Self {
            real: PaymentsTable::new(client.clone(), &world.names.payments_table(), SHARDS),
            archive: ArchiveTable::new(client.clone(), &world.names.archive_table(), SHARDS),
            double: PaymentsInMemory::new(SHARDS).with_pages_of(7),
            client,
            world,
            _dir: dir,
        }
    }

    /// Puts items into both, whatever they are.
    async fn put(&self, items: &[StoredPayment]) {
        items.iter().for_each(|stored| self.double.put(stored.clone()));
        self.put_into(&self.world.names.payments_table(), items).await;
    }

    async fn put_into(&self, table: &str, items: &[StoredPayment]) {
        for batch in items.chunks(25) {
            let put = |stored| {
                let put = PutRequest::builder().set_item(Some(attributes(stored))).build();
                WriteRequest::builder().put_request(put.unwrap()).build()
            };
            let puts = batch.iter().map(put).collect();
            let write = self.client.batch_write_item().request_items(table, puts);
            write.send().await.unwrap();
        }
    }

    /// Makes changes in both; what they lead to in the double must be what they lead to in the
    /// real table.
    async fn apply(
        &self,
        changes: &[Change<'_>],
        now: Timestamp,
    ) -> Vec<Result<ApplyResult, ChangeError>> {
        let [real, double] = [&self.real as &dyn PaymentStore, &self.double]
            .map(|store| async move { store.apply(changes, now).await.unwrap() });
        let (real, double) = (real.await, double.await);
        let references: Vec<_> = changes.iter().map(Change::reference).collect();
        let left = self.real.get_many(&references).await.unwrap();
        let left: Vec<_> = left.into_iter().map(|(_, stored)| stored.unwrap()).collect();
        let left_in_double = self.double.get_many(&references).await.unwrap();
        let mut left_in_double = left_in_double.into_iter().map(|(_, stored)| stored.unwrap());
        for (change, (real, double)) in changes.iter().zip(real.iter().zip(double)) {
            assert_eq!(&double, real, "{change:?}");
        }
        for left in left {
            assert_eq!(left_in_double.next(), Some(left));
        }
        assert_eq!(left_in_double.next(), None);
        real
    }
}

/// The attributes of an item.
fn attributes(stored: &StoredPayment) -> HashMap<String, AttributeValue> {
    let text = |value: &dyn ToString| AttributeValue::S(value.to_string());
    let number = |value: &dyn ToString| AttributeValue::N(value.to_string());
    let time = |at: Timestamp| AttributeValue::S(format!("{at:.3}"));
    let StoredPayment { payment, dead_letters, .. } = stored;
    let shard = payment.id.due_shard(SHARDS);
    let mut item = vec![
        (a::PK, text(&format!("ACCOUNT#{}", payment.account))),
        (a::SK, text(&format!("{}#{}", payment.due, payment.id))),
        (a::DUE_SHARD, text(&format!("{}#{shard:02}", payment.due))),
        (a::DUE_KEY, text(&format!("{}#{}", payment.account, payment.id))),
        (a::ACCOUNT, text(&payment.account)),
        (a::ID, text(&payment.id)),
        (a::DUE, text(&payment.due)),
        (a::STATUS, text(&stored.status)),
        (a::AMOUNT, number(&payment.amount)),
        (a::CURRENCY, text(&payment.currency)),
        (a::BENEFICIARY, text(&payment.beneficiary)),
        (a::TRACE_KEY, text(&payment.trace_key)),
        (a::CREATED_AT, time(payment.created_at)),
        (a::UPDATED_AT, time(stored.updated_at)),
        (a::ATTEMPTS, number(&stored.attempts)),
        (a::ATTEMPTS_BEFORE, number(&stored.attempts_before)),
        (a::ATTEMPTS_NOT_DONE, number(&stored.not_done)),
        (a::DEAD_LETTERS, number(&dead_letters.count)),
    ];
    match &payment.data {
        None => {}
        Some(Data::Whole(blob)) => item.push((a::DATA, text(&blob.as_str()))),
        Some(Data::Beside(digest)) => item.push((a::BLOB_DIGEST, text(digest))),
    }
    item.extend(stored.claimed_at.map(|at| (a::CLAIMED_AT, time(at))));
    item.extend(stored.settled_at.map(|at| (a::SETTLED_AT, time(at))));
    item.extend(dead_letters.last.map(|at| (a::DEAD_LETTERED_AT, time(at))));
    item.extend(stored.transaction_id.iter().map(|id| (a::TRANSACTION_ID, text(id))));
    item.extend(stored.failure.iter().flat_map(|failure| {
        [(a::FAILURE_CODE, text(&failure.code)), (a::FAILURE_REASON, text(&failure.reason))]
    }));
    item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn blob(bytes: usize) -> DataBlob {
    DataBlob::new("x".repeat(bytes)).unwrap()
}

/// What a caller knows of a payment, and says of it.
#[derive(Clone)]
struct Given {
    message: Payment,
    /// What a person decides for.
    right: Payment,
    reference: PaymentRef,
    settlement: Settlement,
    failure: Failure,
}

impl Given {
    fn new(data: Option<Data>) -> Self {
        let message = Payment { data, ..sample_payment() };
        let digest = Data::Beside(BlobDigest::of(&blob(2_000)));
        let right = Payment {
            amount: Amount::from_minor_units(99).unwrap(),
            beneficiary: BeneficiaryId::parse("OTHER").unwrap(),
            data: message.data.is_none().then_some(digest),
            ..message.clone()
        };
        let settled_at = time("2026-11-23T12:00:00.987654321Z");
        Self {
            reference: message.reference(),
            message,
            right,
            settlement: Settlement { transaction_id: "T".to_owned(), settled_at },
            failure: Failure::new(FailureCode::Rejected, "422 limit: x"),
        }
    }

    /// The same of another payment.
    fn another(&self) -> Self {
        let mut other = self.clone();
        other.message.id = PaymentId::generate();
        (other.right.id, other.reference) = (other.message.id, other.message.reference());
        other
    }

    /// Every change, some in two ways.
    fn changes(&self) -> Vec<Change<'_>> {
        let Self { message, right, reference, settlement, failure } = self;
        let money = Money { amount: message.amount, currency: message.currency };
        let decide = |first_claim, right| {
            Change::Decide(OperatorDecision { table: message, attempts: TWICE, first_claim, right })
        };
        vec![
            Change::Claim(message),
            Change::ClaimAgain(message, TWICE),
            Change::Resume(message, TWICE),
            Change::Settle(reference, settlement),
            Change::SettleOf(reference, settlement, money),
            Change::Fail(reference, failure, TWICE),
            Change::Refuse(reference, failure),
            Change::Replay(reference, TWICE, FirstClaim::Stays),
            Change::Replay(reference, TWICE, FirstClaim::StartsAnew),
            Change::Discard(reference, TWICE),
            Change::Cancel(reference),
            Change::Withhold(reference, failure),
            Change::WithholdReplayed(reference, failure, TWICE),
            decide(FirstClaim::StartsAnew, RightVersion::Table),
            decide(FirstClaim::Stays, RightVersion::Message(right)),
            Change::NotDone(reference, TWICE, 3),
            Change::DeadLettered(reference, TWICE, 3),
        ]
    }

    /// What may lie in the payment's place: nothing, or an item in any status, as it should be
    /// and with one thing about it that is not.
    fn items(&self) -> Vec<Option<StoredPayment>> {
        let mut items = vec![None];
        for status in Status::ALL {
            for attempts in [0, TWICE, TWICE + 1] {
                let claimed_at = (attempts > 0).then(|| time("2026-11-23T02:00:00Z"));
                let item = scheduled(self.message.clone());
                let item = StoredPayment { status, attempts, claimed_at, ..item };
                items.extend(self.variations(&item).into_iter().map(Some));
                items.push(Some(item));
            }
        }
        items
    }

    fn variations(&self, item: &StoredPayment) -> Vec<StoredPayment> {
        let with = |vary: &dyn Fn(&mut StoredPayment)| {
            let mut item = item.clone();
            vary(&mut item);
            item
        };
        let data = [
            None,
            Some(Data::Whole(blob(10))),
            Some(Data::Whole(blob(11))),
            Some(Data::Beside(BlobDigest::of(&blob(10)))),
            Some(Data::Beside(BlobDigest::of(&blob(2_000)))),
        ];
        let mut all: Vec<_> = data
            .into_iter()
            .filter(|data| *data != self.message.data)
            .map(|data| with(&|item| item.payment.data.clone_from(&data)))
            .collect();
        // What has nothing to do with blobs is tried without one.
        if self.message.data.is_some() || item.attempts > TWICE {
            return all;
        }
        let other = Failure::new(FailureCode::Exhausted, "x");
        all.push(with(&|item| item.payment.amount = Amount::from_minor_units(9).unwrap()));
        all.push(with(&|item| item.payment.currency = "JPY".parse().unwrap()));
        all.push(with(&|item| item.payment.beneficiary = BeneficiaryId::parse("X").unwrap()));
        all.push(with(&|item| item.transaction_id = Some("T".to_owned())));
        all.push(with(&|item| item.transaction_id = Some("T2".to_owned())));
        all.push(with(&|item| item.failure = Some(self.failure.clone())));
        all.push(with(&|item| item.failure = Some(other.clone())));
        all.push(with(&|item| (item.attempts_before, item.not_done) = (1, 1)));
        let last = Some(time("2026-11-23T03:00:00Z"));
        all.push(with(&|item| item.dead_letters = DeadLetters { count: 1, last }));
        all
    }
}

/// Which kind of change it is, so that a new one is not left out.
fn kind(change: &Change<'_>) -> usize {
    match change {
        Change::Claim(_) => 0,
        Change::ClaimAgain(..) => 1,
        Change::Resume(..) => 2,
        Change::Settle(..) => 3,
        Change::SettleOf(..) => 4,
        Change::Fail(..) => 5,
        Change::Refuse(..) => 6,
        Change::Replay(..) => 7,
        Change::Cancel(_) => 8,
        Change::Withhold(..) => 9,
        Change::WithholdReplayed(..) => 10,
        Change::Decide(_) => 11,
        Change::NotDone(..) => 12,
        Change::DeadLettered(..) => 13,
        Change::Discard(..) => 14,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_each_item_does_the_same_in_memory_as_in_the_table() {
    let both = Both::open().await;
    let now = time("2026-11-23T12:00:00.123456789Z");
    let mut seen = BTreeSet::new();
    let messages =
        [None, Some(Data::Whole(blob(10))), Some(Data::Beside(BlobDigest::of(&blob(2_000))))];
    for data in messages {
        let like = Given::new(data);
        assert_eq!(like.changes().iter().map(kind).collect::<BTreeSet<_>>().len(), 15);
        for item in like.items() {
            // Each change has a payment of its own.
            let given: Vec<_> = like.changes().iter().map(|_| like.another()).collect();
            let mut items = vec![item; given.len()];
            for (item, given) in items.iter_mut().zip(&given) {
                item.iter_mut().for_each(|stored| stored.payment.id = given.message.id);
            }
            both.put(&items.into_iter().flatten().collect::<Vec<_>>()).await;
            let changes = given.iter().enumerate();
            let changes: Vec<_> =
                changes.map(|(number, given)| given.changes().swap_remove(number)).collect();
            let results = both.apply(&changes, now).await;
            seen.extend(changes.iter().zip(results).map(|(change, result)| {
                let result = match result {
                    Ok(ApplyResult::Now) => "now",
                    Ok(ApplyResult::Before) => "before",
                    Err(ChangeError::InStatus(_)) => "in status",
                    Err(ChangeError::Mismatch(_)) => "mismatch",
                    Err(ChangeError::Missing) => "missing",
                    Err(other) => panic!("{change:?}: {other}"),
                };
                (kind(change), result)
            }));
        }
    }
    for kind in 0..15 {
        for result in ["now", "in status", "missing"] {
            assert!(seen.contains(&(kind, result)), "no change {kind} was ever {result}");
        }
    }
    let count = |result| seen.iter().filter(|(_, seen)| *seen == result).count();
    assert_eq!((count("before"), count("mismatch")), (8, 4), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_inserted_in_memory_as_in_the_table_with_its_blob_inside_or_beside_it() {
    let both = Both::open().await;
    let room = 1024 - check_size(&sample_payment()).unwrap() - a::DATA.len();
    let mut wanted = Vec::new();
    for bytes in [0, 10, room, room + 1, 5_000] {
        let payment = Payment {
            account: AccountId::parse("ACC-1").unwrap(),
            data: (bytes > 0).then(|| Data::Whole(blob(bytes))),
            ..sample_payment()
        };
        both.real.insert(std::slice::from_ref(&payment)).await.unwrap();
        let message = both.double.insert(payment.clone());
        let real = both.real.get(&payment.reference()).await.unwrap().unwrap();
        assert_eq!(both.double.get(&payment.reference()).await.unwrap(), Some(real.clone()));
        assert_eq!(message, real.payment, "{bytes}");
        assert_eq!(message.blob_beside().is_some(), bytes > room, "{bytes}");
        for digest in [bytes.max(1), 20].map(|bytes| BlobDigest::of(&blob(bytes))) {
            wanted.push((payment.reference(), digest));
        }
    }
    let real = both.real.blobs(&wanted).await.unwrap();
    assert_eq!(both.double.blobs(&wanted).await.unwrap(), real);
    assert_eq!(real.iter().filter(|blob| blob.is_ok()).count(), 2);
}

/// All of a partition, page by page.
async fn partition(
    table: &dyn DueTable,
    (day, shard, status): (DueDate, u16, Status),
    mut cursor: Option<Cursor>,
) -> Vec<PaymentRef> {
    let mut all = Vec::new();
    loop {
        let (page, next) = table.due_page(day, shard, status, cursor).await.unwrap();
        all.extend(page);
        cursor = next;
        if cursor.is_none() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_in_memory_gives_what_the_index_of_the_table_gives_in_the_same_order() {
    let both = Both::open().await;
    let first: DueDate = "2026-11-23".parse().unwrap();
    let (mut all, mut items) = (Vec::new(), Vec::new());
    for number in 0_usize..120 {
        let account = ["A", "A-1", "A.1", "A0", "B", "a"][number % 6];
        let account = AccountId::parse(account).unwrap();
        let due = first.days_after(u16::from(number.is_multiple_of(5)));
        let stored = scheduled(Payment { account, due, ..sample_payment() });
        let status = Status::ALL[number % 7 % 3];
        all.push(stored.payment.reference());
        items.push(StoredPayment { status, ..stored });
    }
    both.put(&items).await;
    let (real, double) = (&both.real as &dyn DueTable, &both.double as &dyn DueTable);
    assert_eq!(real.due_shards(), double.due_shards());
    let mut found = 0;
    for status in Status::ALL {
        for day in [first, first.days_after(1), first.days_after(2)] {
            for shard in 0..SHARDS {
                let place = (day, shard, status);
                let cursors = || {
                    let after = all.iter().step_by(29).map(Cursor::after);
                    let past = all[..6].iter().map(|reference| Cursor::past(&reference.account));
                    [None].into_iter().chain(after.chain(past).map(Some))
                };
                for (one, other) in cursors().zip(cursors()) {
                    let whole = one.is_none();
                    let expected = partition(real, place, one).await;
                    assert_eq!(partition(double, place, other).await, expected, "{place:?}");
                    found += if whole { expected.len() } else { 0 };
                }
            }
        }
        let (days, next) = real.days_page(status, None).await.unwrap();
        assert!(next.is_none());
        assert_eq!(double.days_page(status, None).await.unwrap().0, days, "{status}");
    }
    assert_eq!(found, 120);
    // In the order in which they are asked for, without what is not there.
    let missing = PaymentRef { id: PaymentId::generate(), ..all[0].clone() };
    let asked = [all[7].clone(), missing, all[3].clone(), all[90].clone()];
    let read = real.get_many(&asked).await.unwrap();
    assert_eq!(double.get_many(&asked).await.unwrap(), read);
    assert_eq!(read.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_in_memory_holds_what_the_archive_holds() {
    let both = Both::open().await;
    let stored = scheduled(sample_payment());
    let transaction_id = Some("T".to_owned());
    let stored = StoredPayment { status: Status::Processed, transaction_id, ..stored };
    both.put_into(&both.world.names.archive_table(), std::slice::from_ref(&stored)).await;
    let archive = PaymentsInMemory::default();
    archive.put(stored.clone());
    let held = stored.payment.reference();
    let missing = PaymentRef { id: PaymentId::generate(), ..held.clone() };
    for (reference, expected) in [(held, Some(stored)), (missing, None)] {
        let real = both.archive.find(&reference).await.unwrap();
        assert_eq!(archive.find(&reference).await.unwrap(), real);
        assert_eq!(real, expected);
    }
}
