//! The archive on the local `DynamoDB`: what moves, what stays, what two runs do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use demo::local_world::World;
use domain::{
    AccountId, Amount, Data, DataBlob, DueDate, Failure, FailureCode, Payment, PaymentId,
    Settlement, Status,
};
use operator::archive::{FoundIn, compare_day};
use shared::payments::archive::{
    ArchiveLookup, ArchiveTable, ArchiverTables, Counters, DayPlan, DaySummary, DeleteResult,
    PaymentsAndArchive, archive_day,
};
use shared::payments::{Change, DueDay, PaymentStore, PaymentsTable, StoredPayment};
use shared::testing::sample_payment;
use tempfile::TempDir;
use tests::world::without_services;

/// Few, so that a partition holds more than one batch.
const SHARDS: u16 = 3;

type Item = HashMap<String, AttributeValue>;

struct Bank {
    world: World,
    client: Client,
    payments: PaymentsTable,
    tables: Arc<PaymentsAndArchive>,
    day: DueDate,
    _dir: TempDir,
}

impl Bank {
    async fn open() -> Self {
        let (world, dir) = without_services().await.unwrap();
        let client = world.aws.dynamodb("test");
        let payments = PaymentsTable::new(client.clone(), &world.names.payments_table(), SHARDS);
        let tables = Arc::new(PaymentsAndArchive::new(&client, &world.names, SHARDS));
        let day = "2026-11-20".parse().unwrap();
        Self { world, client, payments, tables, day, _dir: dir }
    }

    fn payment(&self, account: u32) -> Payment {
        Payment {
            id: PaymentId::generate(),
            account: AccountId::parse(format!("ACC-{account}")).unwrap(),
            due: self.day,
            amount: Amount::from_minor_units(1250).unwrap(),
            created_at: jiff::Timestamp::now(),
            ..sample_payment()
        }
    }

    async fn apply(&self, change: Change<'_>) {
        let now = jiff::Timestamp::now();
        self.payments.apply(&[change], now).await.unwrap().remove(0).unwrap();
    }

    async fn settle(&self, payments: &[Payment]) {
        self.payments.insert(payments).await.unwrap();
        for payment in payments {
            // As the table holds it, and so a message: a large blob lies beside it.
            let stored = self.payments.get(&payment.reference()).await.unwrap().unwrap();
            self.apply(Change::Claim(&stored.payment)).await;
            let transaction_id = format!("T-{}", payment.id);
            let settlement = Settlement { transaction_id, settled_at: payment.created_at };
            self.apply(Change::Settle(&payment.reference(), &settlement)).await;
        }
    }

    /// Inserts and settles payments of seven accounts.
    async fn settled(&self, count: u32) -> Vec<Payment> {
        let payments: Vec<_> = (0..count).map(|n| self.payment(n % 7)).collect();
        self.settle(&payments).await;
        payments
    }

    async fn archive(&self) -> DaySummary {
        self.archive_at(100_000).await
    }

    async fn archive_at(&self, rate: u32) -> DaySummary {
        let rate = NonZeroU32::new(rate).unwrap();
        let plan = DayPlan { day: self.day, rate, writers: NonZeroU16::new(2).unwrap() };
        archive_day(Arc::clone(&self.tables), plan, Arc::new(Counters::default())).await.unwrap()
    }

    async fn places(&self) -> HashMap<FoundIn, u64> {
        let books = compare_day(Arc::clone(&self.tables), self.day).await.unwrap();
        books.places.into_iter().collect()
    }

    /// Every item of a table by its keys.
    async fn items(&self, table: &str) -> HashMap<(String, String), Item> {
        let pages = self.client.scan().table_name(table).into_paginator().items().send();
        let items: Vec<Item> = pages.collect::<Result<_, _>>().await.unwrap();
        let key = |item: &Item, name: &str| item[name].as_s().unwrap().clone();
        items.into_iter().map(|item| ((key(&item, "PK"), key(&item, "SK")), item)).collect()
    }

    async fn payment_items(&self) -> HashMap<(String, String), Item> {
        self.items(&self.world.names.payments_table()).await
    }

    async fn archive_items(&self) -> HashMap<(String, String), Item> {
        self.items(&self.world.names.archive_table()).await
    }

    fn archive_table(&self) -> Arc<ArchiveTable> {
        let name = self.world.names.archive_table();
        Arc::new(ArchiveTable::new(self.client.clone(), &name, SHARDS))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_moves_whole_and_only_what_is_settled() {
    let bank = Bank::open().await;
    let settled = bank.settled(90).await;
    let before = bank.payment_items().await;
    let open: Vec<_> = (0..4).map(|n| bank.payment(n)).collect();
    bank.payments.insert(&open).await.unwrap();
    bank.apply(Change::Claim(&open[0])).await;
    bank.apply(Change::Claim(&open[1])).await;
    let failure = Failure::new(FailureCode::Rejected, "no funds");
    bank.apply(Change::Fail(&open[1].reference(), &failure, 1)).await;
    let other_day = Payment { due: bank.day.days_before(1), ..bank.payment(1) };
    bank.settle(std::slice::from_ref(&other_day)).await;
    assert_eq!(bank.places().await, HashMap::from([(FoundIn::Waiting, 90), (FoundIn::Open, 4)]));

    let summary = bank.archive().await;
    assert_eq!((summary.archived, summary.finished, summary.stayed), (90, 0, 0), "{summary:?}");
    let counts = [("FAILED", 1), ("PENDING", 1), ("SCHEDULED", 2)];
    let counts = counts.map(|(status, count)| (status.to_owned(), count));
    assert_eq!(summary.open, counts.into());
    assert_eq!(bank.archive_items().await, before, "every attribute as it was");
    assert_eq!(bank.payment_items().await.len(), 5);
    assert_eq!(bank.places().await, HashMap::from([(FoundIn::Archived, 90), (FoundIn::Open, 4)]));

    let again = bank.archive().await;
    assert_eq!((again.archived, again.finished), (0, 0), "nothing is left to move");

    let archive = bank.archive_table();
    let found = archive.by_transaction(&format!("T-{}", settled[7].id)).await.unwrap();
    assert_eq!(found, [settled[7].reference()]);
    assert_eq!(archive.by_transaction("T").await.unwrap(), []);
    let account = &settled[3].account;
    let of_account = |first, last| archive.account_page(account, first, last, None);
    let (page, next) = of_account(bank.day, bank.day).await.unwrap();
    assert_eq!(page.len(), settled.iter().filter(|payment| payment.account == *account).count());
    assert!(next.is_none() && page.is_sorted_by_key(|stored| stored.payment.id));
    let (page, _) = of_account(bank.day.days_before(9), bank.day.days_before(1)).await.unwrap();
    assert_eq!(page, [], "the day before was not archived");
    let mut day = DueDay::new(archive, bank.day, Status::Processed);
    let listed = day.next().await.unwrap().unwrap();
    let order: Vec<_> = listed.iter().map(|(r, _)| (r.account.clone(), r.id)).collect();
    assert!(order.len() == 90 && order.is_sorted(), "{order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_move_each_payment_once_and_share_the_work() {
    let bank = Bank::open().await;
    bank.settled(240).await;
    let (one, two) = tokio::join!(bank.archive_at(100), bank.archive_at(100));
    assert_eq!(one.archived + two.archived, 240, "{one:?} {two:?}");
    assert!(one.archived > 0 && two.archived > 0, "{one:?} {two:?}");
    assert_eq!((one.stayed, two.stayed), (0, 0), "{one:?} {two:?}");
    assert_eq!(bank.places().await, HashMap::from([(FoundIn::Archived, 240)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_run_left_in_both_tables_is_noticed_and_finished() {
    let bank = Bank::open().await;
    bank.settled(4).await;
    for item in bank.payment_items().await.into_values().take(3) {
        let put = bank.client.put_item().table_name(bank.world.names.archive_table());
        put.set_item(Some(item)).send().await.unwrap();
    }
    assert_eq!(bank.places().await, HashMap::from([(FoundIn::Both, 3), (FoundIn::Waiting, 1)]));
    let summary = bank.archive().await;
    assert_eq!((summary.archived, summary.finished), (1, 3));
    assert_eq!(bank.places().await, HashMap::from([(FoundIn::Archived, 4)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_under_an_archived_key_is_never_written_over_it_nor_deleted() {
    let bank = Bank::open().await;
    let first = bank.settled(1).await.remove(0);
    bank.archive().await;
    let before = bank.archive_items().await;
    // The same payment again, settled by the same transaction; then a dearer one.
    let again = Payment { created_at: jiff::Timestamp::now(), ..first.clone() };
    bank.settle(&[again]).await;
    assert_eq!(bank.places().await, HashMap::from([(FoundIn::Differing, 1)]));
    let summary = bank.archive().await;
    assert_eq!((summary.repeated, summary.stayed), (1, 0), "{summary:?}");
    assert_eq!(bank.archive_items().await, before);

    let dearer = Payment { amount: Amount::from_minor_units(9).unwrap(), ..first };
    bank.settle(&[dearer]).await;
    let left = bank.payment_items().await;
    let summary = bank.archive().await;
    assert_eq!(summary.stayed, 1, "{summary:?}");
    assert!(summary.named[0].why.contains("CONFLICT") && !summary.is_complete());
    assert_eq!(bank.archive_items().await, before);
    assert_eq!(bank.payment_items().await, left);
    assert_eq!(bank.places().await, HashMap::from([(FoundIn::Differing, 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_in_an_item_of_its_own_is_archived_inside_its_payment() {
    let bank = Bank::open().await;
    let blob = DataBlob::new("x".repeat(6_000)).unwrap();
    let large = Payment { data: Some(Data::Whole(blob)), ..bank.payment(1) };
    bank.settle(std::slice::from_ref(&large)).await;
    let stored = bank.payments.get(&large.reference()).await.unwrap().unwrap();
    assert!(stored.payment.blob_beside().is_some(), "it lies beside its payment at first");
    let summary = bank.archive().await;
    assert_eq!((summary.archived, summary.stayed), (1, 0), "{summary:?}");
    let archived = bank.archive_table().find(&large.reference()).await.unwrap().unwrap();
    assert_eq!(archived, StoredPayment { payment: archived.payment.clone(), ..stored });
    assert_eq!(archived.payment.data, large.data);
    assert_eq!(bank.places().await, HashMap::from([(FoundIn::Archived, 1)]));

    // A payment whose blob is gone stays where it is.
    let blob = DataBlob::new("y".repeat(6_000)).unwrap();
    let lost = Payment { data: Some(Data::Whole(blob)), ..bank.payment(2) };
    bank.settle(std::slice::from_ref(&lost)).await;
    let text = |value: String| AttributeValue::S(value);
    let delete = bank.client.delete_item().table_name(bank.world.names.payments_table());
    let delete = delete.key("PK", text(format!("BLOB#{}", lost.account)));
    let delete = delete.key("SK", text(format!("{}#{}", lost.due, lost.id)));
    delete.send().await.unwrap();
    let summary = bank.archive().await;
    assert_eq!((summary.archived, summary.stayed), (0, 1), "{summary:?}");
    assert!(summary.named[0].why.contains("blob"), "{summary:?}");
    assert!(bank.archive_table().find(&lost.reference()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_still_settled_by_the_same_transaction_is_deleted() {
    let bank = Bank::open().await;
    let settled = bank.settled(2).await;
    let references: Vec<_> = settled.iter().map(Payment::reference).collect();
    let held = bank.tables.held(&references).await.unwrap();
    let items: Vec<_> = held.into_iter().map(|(_, item)| item.unwrap()).collect();
    let text = |value: String| AttributeValue::S(value);
    let update = bank.client.update_item().table_name(bank.world.names.payments_table());
    let update = update.key("PK", text(format!("ACCOUNT#{}", settled[0].account)));
    let update = update.key("SK", text(format!("{}#{}", settled[0].due, settled[0].id)));
    let update = update.update_expression("SET TransactionID = :other");
    let update = update.expression_attribute_values(":other", text("T2".to_owned()));
    update.send().await.unwrap();
    for _ in 0..2 {
        let deleted = bank.tables.delete(&items).await.unwrap();
        assert_eq!(
            deleted,
            [DeleteResult::Changed, DeleteResult::Gone],
            "also when it is gone already"
        );
    }
    assert_eq!(bank.payment_items().await.len(), 1);
    // Whoever wrote so: what is not PROCESSED any more stays too.
    let open = bank.settled(1).await.remove(0);
    let held = bank.tables.held(&[open.reference()]).await.unwrap();
    let items: Vec<_> = held.into_iter().map(|(_, item)| item.unwrap()).collect();
    let update = bank.client.update_item().table_name(bank.world.names.payments_table());
    let update = update.key("PK", text(format!("ACCOUNT#{}", open.account)));
    let update = update.key("SK", text(format!("{}#{}", open.due, open.id)));
    let update = update.update_expression("SET #s = :pending");
    let update = update.expression_attribute_names("#s", "Status");
    let update = update.expression_attribute_values(":pending", text("PENDING".to_owned()));
    update.send().await.unwrap();
    assert_eq!(bank.tables.delete(&items).await.unwrap(), [DeleteResult::Changed]);
    assert_eq!(bank.payment_items().await.len(), 2);
}
