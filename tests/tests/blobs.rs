//! Large payments on the local `DynamoDB`: the blob in an item of its own, and what it costs
//! when a writer dies in between or the blob is not what it should be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use demo::local_world::World;
use domain::{
    AccountId, Amount, BeneficiaryId, BlobDigest, Data, DataBlob, Failure, FailureCode, Payment,
    PaymentId, Settlement, Status,
};
use jiff::Timestamp;
use shared::payments::{
    ApplyResult, BlobError, Change, ChangeError, DueTable, FirstClaim, InsertResult, PaymentStore,
    PaymentsError, PaymentsTable, check_size,
};
use shared::setup::set_up;
use shared::testing::sample_payment;
use tempfile::TempDir;
use tests::world::without_services;

struct Stage {
    table: PaymentsTable,
    client: aws_sdk_dynamodb::Client,
    world: World,
    _dir: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let (world, dir) = without_services().await.unwrap();
        let client = world.aws.dynamodb("test");
        let table = PaymentsTable::new(client.clone(), &world.names.payments_table(), 4);
        Self { table, client, world, _dir: dir }
    }

    /// Takes away the payment's own item, or that of its blob.
    async fn delete(&self, kind: &str, payment: &Payment) {
        let delete = self.client.delete_item().table_name(self.world.names.payments_table());
        let partition = AttributeValue::S(format!("{kind}#{}", payment.account));
        let sort = AttributeValue::S(format!("{}#{}", payment.due, payment.id));
        delete.key("PK", partition).key("SK", sort).send().await.unwrap();
    }

    /// How large the payment's own item is, as `DynamoDB` counts: names, texts, and of numbers
    /// a byte for two digits and one more.
    async fn bytes(&self, payment: &Payment) -> usize {
        let get = self.client.get_item().table_name(self.world.names.payments_table());
        let partition = AttributeValue::S(format!("ACCOUNT#{}", payment.account));
        let sort = AttributeValue::S(format!("{}#{}", payment.due, payment.id));
        let found = get.key("PK", partition).key("SK", sort).send().await.unwrap();
        let size = |value: &AttributeValue| match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::N(number) => number.len().div_ceil(2) + 1,
            other => panic!("{other:?}"),
        };
        found.item().unwrap().iter().map(|(name, value)| name.len() + size(value)).sum()
    }
}

fn payment(blob: usize) -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC-000017").unwrap(),
        due: "2026-11-24".parse().unwrap(),
        amount: Amount::from_minor_units(1250).unwrap(),
        beneficiary: BeneficiaryId::parse("BEN-00009").unwrap(),
        data: (blob > 0).then(|| text(&"x".repeat(blob))),
        created_at: Timestamp::now(),
        ..sample_payment()
    }
}

fn text(text: &str) -> Data {
    Data::Whole(DataBlob::new(text).unwrap())
}

fn digest(payment: &Payment) -> BlobDigest {
    payment.data.as_ref().unwrap().digest()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payment_reads_back_with_its_digest_and_its_blob_beside() {
    let stage = Stage::set().await;
    // More than one batch of statements, large and small by turns, some inserted twice.
    let payments: Vec<_> = (0..60).map(|n| payment(if n % 3 == 0 { 0 } else { n * 120 })).collect();
    let results = stage.table.insert(&payments).await.unwrap();
    assert!(results.iter().all(|result| *result == InsertResult::New), "{results:?}");
    let again = stage.table.insert(&payments[10..40]).await.unwrap();
    assert!(
        again.iter().all(|result| *result == InsertResult::AlreadyThere(Status::Scheduled)),
        "{again:?}"
    );

    let references: Vec<_> = payments.iter().map(Payment::reference).collect();
    let found = stage.table.get_many(&references).await.unwrap();
    assert_eq!(found.len(), payments.len());
    let mut large = Vec::new();
    for (payment, (reference, stored)) in payments.iter().zip(found) {
        let stored = stored.unwrap();
        assert_eq!(payment.reference(), reference);
        assert!(stored.payment.same_instruction(payment));
        assert_eq!(stored.payment.blob_beside().is_some(), check_size(payment).unwrap() > 1024);
        large.extend(stored.payment.blob_beside().map(|digest| (reference, digest)));
    }
    assert!(large.len() > 30, "{}", large.len());
    let blobs = stage.table.blobs(&large).await.unwrap();
    for ((reference, _), blob) in large.iter().zip(blobs) {
        let payment = payments.iter().find(|payment| payment.id == reference.id).unwrap();
        assert_eq!(payment.data, Some(Data::Whole(blob.unwrap())));
    }
    let (page, rest) = stage.table.scan_page(None).await.unwrap();
    assert_eq!((page.len(), rest.is_none()), (payments.len(), true), "blobs are no payments");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_1024_bytes_stays_within_a_write_unit_whatever_it_gets() {
    let stage = Stage::set().await;
    let rest = check_size(&payment(0)).unwrap() + "DataBlob".len();
    let payment = payment(1024 - rest);
    assert_eq!(check_size(&payment), Ok(1024));
    let (reference, now) = (payment.reference(), Timestamp::now());
    let failure = Failure::new(FailureCode::Exhausted, "down");
    // The longest transaction id that the contract allows.
    let settlement = Settlement { transaction_id: "T".repeat(64), settled_at: now };
    stage.table.insert(std::slice::from_ref(&payment)).await.unwrap();
    for change in [
        Change::Claim(&payment),
        Change::NotDone(&reference, 1, 1),
        Change::Fail(&reference, &failure, 1),
        Change::DeadLettered(&reference, 1, 1),
        Change::Replay(&reference, 1, FirstClaim::Stays),
        Change::ClaimAgain(&payment, 1),
        Change::NotDone(&reference, 2, 1),
        Change::Settle(&reference, &settlement),
    ] {
        stage.table.apply(&[change], now).await.unwrap().remove(0).unwrap();
    }
    // The three counts of attempts and that of dead letters are a byte shorter than they may
    // become.
    assert_eq!(stage.bytes(&payment).await, 1024 - 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_died_between_blob_and_payment_is_finished_by_the_next() {
    let stage = Stage::set().await;
    let (small, large) = (payment(10), payment(7_000));
    let both = [small, large.clone()];
    assert_eq!(stage.table.insert(&both).await.unwrap(), [InsertResult::New, InsertResult::New]);
    // As if the writer had died after the first of its two calls.
    for payment in &both {
        stage.delete("ACCOUNT", payment).await;
    }
    assert_eq!(stage.table.insert(&both).await.unwrap(), [InsertResult::New, InsertResult::New]);
    let stored = stage.table.get(&large.reference()).await.unwrap().unwrap();
    assert_eq!(
        (stored.status, stored.payment.blob_beside()),
        (Status::Scheduled, Some(digest(&large)))
    );
    let blobs = stage.table.blobs(&[(large.reference(), digest(&large))]).await.unwrap();
    assert_eq!(large.data, blobs.into_iter().next().unwrap().ok().map(Data::Whole));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_with_another_blob_is_a_conflict_and_overwrites_nothing() {
    let stage = Stage::set().await;
    let first = payment(7_000);
    stage.table.insert(std::slice::from_ref(&first)).await.unwrap();
    let with = |data| Payment { data, ..first.clone() };
    let others = [
        with(Some(text(&"y".repeat(7_000)))),
        with(Some(text("small"))),
        with(None),
        Payment { amount: Amount::from_minor_units(99).unwrap(), ..first.clone() },
    ];
    for other in &others {
        let result =
            stage.table.insert(&[payment(0), other.clone(), payment(3_000)]).await.unwrap();
        assert_eq!(
            result,
            [InsertResult::New, InsertResult::Conflict, InsertResult::New],
            "{other:?}"
        );
    }
    // A blob without its payment is nobody else's either.
    stage.delete("ACCOUNT", &first).await;
    assert_eq!(stage.table.insert(&others[..1]).await.unwrap(), [InsertResult::Conflict]);
    assert_eq!(stage.table.get(&first.reference()).await.unwrap(), None);
    let blobs = stage.table.blobs(&[(first.reference(), digest(&first))]).await.unwrap();
    assert!(blobs[0].is_ok(), "{blobs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_above_8_kb_is_refused_before_anything_is_written() {
    let stage = Stage::set().await;
    let rest = check_size(&payment(1)).unwrap() - 1;
    let fits = payment(8_192 - rest);
    assert_eq!(stage.table.insert(&[fits]).await.unwrap(), [InsertResult::New]);
    let (before, _) = stage.table.scan_page(None).await.unwrap();
    let error = stage.table.insert(&[payment(0), payment(8_193 - rest)]).await.unwrap_err();
    assert!(matches!(error, PaymentsError::TooLarge(_)), "{error}");
    assert!(error.to_string().contains("8193 bytes"), "{error}");
    let digest_only = Payment { data: Some(Data::Beside(digest(&payment(1)))), ..payment(0) };
    let error = stage.table.insert(&[payment(0), digest_only]).await.unwrap_err();
    assert!(matches!(error, PaymentsError::BlobNotAtHand(_)), "{error}");
    assert_eq!(stage.table.scan_page(None).await.unwrap().0.len(), before.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_compares_the_digest_of_a_large_payment() {
    let stage = Stage::set().await;
    let whole = payment(2_000);
    stage.table.insert(std::slice::from_ref(&whole)).await.unwrap();
    let stored = stage.table.get(&whole.reference()).await.unwrap().unwrap().payment;
    let now = jiff::Timestamp::now();
    let other = Data::Beside(text("other").digest());
    for forged in [None, Some(text("other")), Some(other), whole.data.clone()] {
        let forged = Payment { data: forged, ..stored.clone() };
        let result = stage.table.apply(&[Change::Claim(&forged)], now).await.unwrap();
        assert!(matches!(result[..], [Err(ChangeError::Mismatch(_))]), "{forged:?}");
    }
    let result = stage.table.apply(&[Change::Claim(&stored)], now).await.unwrap();
    assert_eq!(result, [Ok(ApplyResult::Now)]);
    let resumed = stage.table.apply(&[Change::Resume(&stored, 1)], now).await.unwrap();
    assert_eq!(resumed, [Ok(ApplyResult::Now)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_missing_or_another_one_is_told_apart_from_the_right_one() {
    let stage = Stage::set().await;
    let payments = [payment(2_000), payment(2_000), payment(2_000)];
    stage.table.insert(&payments).await.unwrap();
    stage.delete("BLOB", &payments[0]).await;
    let mut wanted: Vec<_> =
        payments.iter().map(|payment| (payment.reference(), digest(payment))).collect();
    wanted[2].1 = text("other").digest();
    let found = stage.table.blobs(&wanted).await.unwrap();
    assert_eq!(found[0], Err(BlobError::Missing));
    assert!(found[1].is_ok());
    assert_eq!(found[2], Err(BlobError::Differs));
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_lets_blobs_expire_and_may_run_again() {
    let stage = Stage::set().await;
    let name = stage.world.names.payments_table();
    let described = stage.client.describe_time_to_live().table_name(&name).send().await.unwrap();
    let description = described.time_to_live_description.unwrap();
    assert_eq!(description.attribute_name(), Some("ExpiresAt"));
    let again = set_up(&stage.world.aws, &stage.world.names).await.unwrap();
    let table = again.iter().find(|done| done.name == name).unwrap();
    assert_eq!(table.result, "present");
}

/// Read units of all pages of a query for what lies under one partition key.
async fn units(stage: &Stage, partition: &str) -> (usize, f64) {
    let (mut items, mut units, mut start) = (0, 0.0, None);
    loop {
        let page = stage
            .client
            .query()
            .table_name(stage.world.names.payments_table())
            .key_condition_expression("PK = :pk AND SK BETWEEN :from AND :to")
            .expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()))
            .expression_attribute_values(":from", AttributeValue::S("2026-11-24".to_owned()))
            .expression_attribute_values(":to", AttributeValue::S("2027-02-22".to_owned()))
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .unwrap();
        items += page.items().len();
        units += page.consumed_capacity().and_then(|used| used.capacity_units()).unwrap();
        start = page.last_evaluated_key;
        if start.is_none() {
            return (items, units);
        }
    }
}

/// The figures of ADR-12: what one query of an account costs with the blobs elsewhere, and
/// what it would cost with them beside the payments.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_an_account_reads_no_blobs() {
    let stage = Stage::set().await;
    let rest = check_size(&payment(1)).unwrap() - 1;
    let payments: Vec<_> = (0..50).map(|_| payment(8_192 - rest)).collect();
    stage.table.insert(&payments).await.unwrap();
    let (items, apart) = units(&stage, "ACCOUNT#ACC-000017").await;
    assert_eq!(items, 50);
    assert!(apart <= 5.0, "{apart} read units for 50 payments");

    // As the first design had it: the blob under the same partition key.
    for payment in &payments {
        let Some(Data::Whole(blob)) = &payment.data else { panic!("it was made whole") };
        let put = stage.client.put_item().table_name(stage.world.names.payments_table());
        let sort = format!("{}#{}#blob", payment.due, payment.id);
        put.item("PK", AttributeValue::S("ACCOUNT#ACC-000017".to_owned()))
            .item("SK", AttributeValue::S(sort))
            .item("DataBlob", AttributeValue::S(blob.as_str().to_owned()))
            .item("ExpiresAt", AttributeValue::N("1830000000".to_owned()))
            .send()
            .await
            .unwrap();
    }
    let (items, together) = units(&stage, "ACCOUNT#ACC-000017").await;
    println!("{apart} read units with the blobs elsewhere, {together} beside");
    assert_eq!(items, 100);
    assert!(together > 10.0 * apart, "{together} against {apart}");
}
