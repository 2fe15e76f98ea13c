//! The index `due` on the local `DynamoDB`: paged, filtered, read back whole.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use demo::local_world::World;
use domain::{AccountId, Amount, DueDate, Payment, PaymentId, PaymentRef, Status};
use sha2::{Digest, Sha256};
use shared::payments::{
    ApplyResult, Change, ChangeError, CursorError, DUE_PAGE, DueDay, DueTable, PaymentStore,
    PaymentsError, PaymentsTable, UPCOMING_PAGE,
};
use shared::resources::DUE_INDEX;
use shared::testing::sample_payment;
use tempfile::TempDir;
use tests::world::without_services;
use tokio::sync::Barrier;

fn payment(account: u32, due: DueDate) -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse(format!("ACC-{account}")).unwrap(),
        due,
        amount: Amount::from_minor_units(1).unwrap(),
        created_at: jiff::Timestamp::now(),
        ..sample_payment()
    }
}

/// All payments of a day in a status, and the pages it took.
async fn all(table: &PaymentsTable, day: DueDate, status: Status) -> (Vec<PaymentRef>, usize) {
    let (mut found, mut pages) = (Vec::new(), 0);
    for shard in table.due_shards() {
        let mut cursor = None;
        loop {
            let (page, next) = table.due_page(day, shard, status, cursor).await.unwrap();
            assert!(page.len() <= usize::from(DUE_PAGE));
            found.extend(page);
            pages += 1;
            if next.is_none() {
                break;
            }
            cursor = next;
        }
    }
    (found, pages)
}

/// A world without services, and its payments table over so many partitions of the index.
async fn world(due_shards: u16) -> (World, Arc<PaymentsTable>, TempDir) {
    let (world, dir) = without_services().await.unwrap();
    let (client, name) = (world.aws.dynamodb("test"), world.names.payments_table());
    (world, Arc::new(PaymentsTable::new(client, &name, due_shards)), dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_found_by_day_and_status_page_by_page() {
    let (_world, table, _dir) = world(2).await;
    let day: DueDate = "2026-11-23".parse().unwrap();
    let other_day = day.days_before(1);
    let payments: Vec<_> = (0..u32::from(DUE_PAGE) * 5 / 2).map(|n| payment(n % 7, day)).collect();
    table.insert(&payments).await.unwrap();
    table.insert(&[payment(1, other_day)]).await.unwrap();
    let (claimed, waiting) = payments.split_at(60);
    let claims: Vec<_> = claimed.iter().map(Change::Claim).collect();
    assert!(table.apply(&claims, jiff::Timestamp::now()).await.unwrap().iter().all(Result::is_ok));

    let (found, pages) = all(&table, day, Status::Scheduled).await;
    assert!(pages > 2, "{pages} pages");
    assert_eq!(found.len(), waiting.len());
    let references = |payments: &[Payment]| -> BTreeSet<String> {
        payments.iter().map(|payment| payment.reference().to_string()).collect()
    };
    assert_eq!(found.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), references(waiting));
    let (pending, _) = all(&table, day, Status::Pending).await;
    assert_eq!(pending.len(), claimed.len());
    assert_eq!(all(&table, day, Status::Processed).await.0, []);
    assert_eq!(all(&table, other_day, Status::Scheduled).await.0.len(), 1);

    let mut asked = pending.clone();
    asked.extend_from_slice(&found[..75]);
    asked.push(payment(9, day).reference());
    let stored = table.get_many(&asked).await.unwrap();
    let read: Vec<_> = stored.iter().map(|(reference, _)| reference.clone()).collect();
    assert_eq!(read, asked[..asked.len() - 1], "in the order asked for, without the missing one");
    for (index, (reference, stored)) in stored.into_iter().enumerate() {
        let stored = stored.unwrap();
        assert_eq!(stored.payment.reference(), reference);
        let expected = if index < pending.len() { Status::Pending } else { Status::Scheduled };
        assert_eq!(stored.status, expected);
    }
}

/// Its place in the order would lead whoever reads on behind it past others.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_with_another_payments_key_is_passed_over_where_it_waits() {
    let (world, table, _dir) = world(1).await;
    let day: DueDate = "2026-11-23".parse().unwrap();
    let [good, bad] = [payment(1, day), payment(2, day)];
    table.insert(&[good.clone(), bad.clone()]).await.unwrap();
    let client = world.aws.dynamodb("test");
    let text = |text: String| AttributeValue::S(text);
    let update = client.update_item().table_name(world.names.payments_table());
    let update = update
        .key("PK", text(format!("ACCOUNT#{}", bad.account)))
        .key("SK", text(format!("{day}#{}", bad.id)))
        .update_expression("SET DueKey = :key")
        .expression_attribute_values(":key", text(format!("0#{}", bad.id)));
    update.send().await.unwrap();
    let (found, _) = all(&table, day, Status::Scheduled).await;
    assert_eq!(found, [good.reference()]);
}

async fn whole(mut day: DueDay) -> Vec<PaymentRef> {
    let mut found = Vec::new();
    while let Some(batch) = day.next().await.unwrap() {
        found.extend(batch.into_iter().map(|(reference, _)| reference));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_goes_on_behind_a_payment_in_every_partition_and_over_pages() {
    let (_world, table, _dir) = world(2).await;
    let day: DueDate = "2026-11-23".parse().unwrap();
    let payments: Vec<_> = (0..3_000).map(|n| payment(n % 7, day)).collect();
    table.insert(&payments).await.unwrap();
    let table = table as Arc<dyn DueTable>;
    let all = whole(DueDay::new(Arc::clone(&table), day, Status::Scheduled)).await;
    assert_eq!(all.len(), payments.len());
    for at in [0, 500, 2_999] {
        let rest = DueDay::after(Arc::clone(&table), day, Status::Scheduled, &all[at]);
        assert_eq!(whole(rest).await, all[at + 1..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_listed_in_order_and_counted_and_a_text_leads_on_from_any_page() {
    let (_world, table, _dir) = world(3).await;
    let day: DueDate = "2026-11-23".parse().unwrap();
    let payments: Vec<_> = (0..1_500).map(|n| payment(n % 7, day)).collect();
    table.insert(&payments).await.unwrap();
    table.insert(&[payment(1, day.days_before(1))]).await.unwrap();
    let claims: Vec<_> = payments[..40].iter().map(Change::Claim).collect();
    table.apply(&claims, jiff::Timestamp::now()).await.unwrap();

    for (status, expected) in
        [(Status::Scheduled, &payments[40..]), (Status::Pending, &payments[..40])]
    {
        let mut expected: Vec<_> = expected.iter().map(Payment::reference).collect();
        expected.sort_by(|one, other| (&one.account, one.id).cmp(&(&other.account, other.id)));
        assert_eq!(table.count_due(day, status).await.unwrap(), expected.len() as u64);

        let (mut streamed, mut pages) =
            (Vec::new(), table.due(day, status, None).unwrap().pages(300, None));
        while let Some(page) = pages.recv().await {
            streamed.extend(page.unwrap().references);
        }
        assert_eq!(streamed, expected, "{status}");

        let (mut found, mut after) = (Vec::new(), None);
        // A scan of its own for each page, as a program does that answers one request a page.
        while let Some(page) = table.due(day, status, after).unwrap().next(333).await.unwrap() {
            found.extend(page.references);
            let Some(next) = page.next else { break };
            after = Some(next.to_string().parse().unwrap());
            assert!(table.due(day.days_before(1), status, after.clone()).is_err());
        }
        assert_eq!(found, expected, "{status}");
    }
    assert_eq!(table.count_due(day, Status::Failed).await.unwrap(), 0);
    assert!(table.due(day, Status::Failed, None).unwrap().next(9).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_payments_come_day_by_day_and_a_text_leads_on() {
    let (world, table, _dir) = world(16).await;
    let first: DueDate = "2026-11-24".parse().unwrap();
    let last = first.days_after(89);
    let mut expected: Vec<_> =
        (0..UPCOMING_PAGE + 110).map(|n| payment(1, first.days_after(n % 90))).collect();
    let others = [
        payment(1, first.days_before(1)),
        payment(1, last.days_after(1)),
        payment(2, first),
        payment(11, first),
    ];
    table.insert(&expected).await.unwrap();
    table.insert(&others).await.unwrap();
    expected.sort_by_key(|payment| (payment.due, payment.id));
    let cancelled = expected[7].reference();
    table.apply(&[Change::Cancel(&cancelled)], jiff::Timestamp::now()).await.unwrap();
    // Among them lies what is no payment: it is told and hides nothing.
    let text = |text: &str| AttributeValue::S(text.to_owned());
    world
        .aws
        .dynamodb("test")
        .put_item()
        .table_name(world.names.payments_table())
        .item("PK", text("ACCOUNT#ACC-1"))
        .item("SK", text("2026-11-25#by hand"))
        .send()
        .await
        .unwrap();

    let account = &expected[0].account;
    let (mut found, mut unreadable, mut pages, mut after) = (Vec::new(), Vec::new(), 0, None);
    loop {
        let page = table.upcoming(account, first..=last, None, after.as_ref()).await.unwrap();
        found.extend(page.payments.into_iter().map(|stored| stored.payment.reference()));
        unreadable.extend(page.unreadable);
        pages += 1;
        let Some(next) = page.next else { break };
        after = Some(next.to_string().parse().unwrap());
    }
    assert!(pages > 1);
    assert_eq!(found, expected.iter().map(Payment::reference).collect::<Vec<_>>());
    assert_eq!(unreadable.len(), 1);
    assert_eq!(unreadable[0].sort_key, "2026-11-25#by hand");

    let in_status = async |status| {
        let days = first..=last;
        table.upcoming(account, days, Some(status), None).await.unwrap().payments
    };
    let of_one = in_status(Status::Cancelled).await;
    assert_eq!(of_one.len(), 1);
    assert_eq!(of_one[0].payment.reference(), cancelled);
    let nobody = AccountId::parse("ACC-2").unwrap();
    let refused = table.upcoming(&nobody, first..=last, None, after.as_ref()).await;
    assert!(matches!(refused, Err(PaymentsError::Cursor(CursorError::OtherQuery(_)))));
    let backwards = last..=first;
    assert!(table.upcoming(account, backwards, None, None).await.unwrap().payments.is_empty());
}

/// Whoever is first wins, and the other one learns it: 150 payments, claimed and cancelled at
/// the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_claim_and_a_cancel_at_the_same_moment_exactly_one_wins() {
    let (_world, table, _dir) = world(16).await;
    let day: DueDate = "2026-11-23".parse().unwrap();
    let payments: Vec<_> = (0..150).map(|n| payment(n, day)).collect();
    table.insert(&payments).await.unwrap();
    // A few pairs at a time, so that no call is so slow that it is repeated.
    for (round, pairs) in payments.chunks(10).enumerate() {
        let mut racing = tokio::task::JoinSet::new();
        for payment in pairs {
            let first = if round.is_multiple_of(2) { First::Claim } else { First::Cancel };
            racing.spawn(race(Arc::clone(&table), payment.clone(), first));
        }
        racing.join_all().await;
    }
}

/// Who is polled first.
#[derive(Debug, Clone, Copy)]
enum First {
    Claim,
    Cancel,
}

/// Claims and cancels a payment at the same moment.
async fn race(table: Arc<PaymentsTable>, payment: Payment, first: First) {
    let (start, now, reference) = (Barrier::new(2), jiff::Timestamp::now(), payment.reference());
    let claim = async {
        start.wait().await;
        table.apply(&[Change::Claim(&payment)], now).await.unwrap().remove(0)
    };
    let cancel = async {
        start.wait().await;
        table.apply(&[Change::Cancel(&reference)], now).await.unwrap().remove(0)
    };
    let (claimed, cancelled) = match first {
        First::Claim => tokio::join!(claim, cancel),
        First::Cancel => {
            let (cancelled, claimed) = tokio::join!(cancel, claim);
            (claimed, cancelled)
        }
    };
    let seen = |result: &Result<ApplyResult, ChangeError>| match result {
        Err(ChangeError::InStatus(stored)) => Some(stored.status),
        Ok(ApplyResult::Now | ApplyResult::Before) | Err(_) => None,
    };
    let stored = table.get(&reference).await.unwrap().unwrap();
    let again = table.apply(&[Change::Cancel(&reference)], now).await.unwrap().remove(0);
    // Whoever wins may have lost its first answer, and then finds its own write.
    match stored.status {
        Status::Pending => {
            assert!(claimed.is_ok() || seen(&claimed) == Some(Status::Pending), "{claimed:?}");
            assert_eq!(seen(&cancelled), Some(Status::Pending), "{cancelled:?}");
            assert_eq!((stored.attempts, seen(&again)), (1, Some(Status::Pending)));
        }
        Status::Cancelled => {
            assert_eq!(seen(&claimed), Some(Status::Cancelled), "{claimed:?}");
            assert!(cancelled.is_ok(), "{cancelled:?}");
            assert_eq!((stored.attempts, again), (0, Ok(ApplyResult::Before)));
        }
        Status::Scheduled | Status::Processed | Status::Failed => panic!("{stored:?}"),
    }
}

/// Most over mean of 1,000,000 ids on 16 partitions.
fn skew(ids: impl Iterator<Item = PaymentId>) -> f64 {
    let mut counts = [0_u32; 16];
    for id in ids.take(1_000_000) {
        counts[usize::from(id.due_shard(16))] += 1;
    }
    let sum: u32 = counts.iter().sum();
    assert_eq!(sum, 1_000_000);
    f64::from(*counts.iter().max().unwrap()) / (f64::from(sum) / 16.0)
}

/// The most that a partition may get above the mean.
const SKEW: f64 = 1.2;

#[test]
fn a_million_payment_ids_spread_evenly_however_they_are_made() {
    let generated = skew(std::iter::repeat_with(PaymentId::generate));
    // All of one millisecond, counted up in their last bits.
    let midnight = "2026-11-24".parse::<DueDate>().unwrap().utc_midnight_millis();
    let counted = skew((0_u128..).map(|number| {
        let mut entropy = [0; 10];
        entropy.copy_from_slice(&number.to_be_bytes()[6..]);
        PaymentId::from_parts(midnight, &entropy)
    }));
    // As an import makes them: the due date's midnight, and a digest of the row.
    let imported = skew((0_u32..).map(|row| {
        let digest: [u8; 32] = Sha256::digest(row.to_be_bytes()).into();
        PaymentId::from_parts(midnight, digest.first_chunk().unwrap())
    }));
    for (how, skew) in [("generated", generated), ("counted", counted), ("imported", imported)] {
        println!("{how}: {skew:.4}");
        assert!(skew <= SKEW, "{how}: {skew}");
    }
}

/// A partition of `DynamoDB` takes 1,000 write units per second (developer guide, "Designing
/// partition keys"). A million payments in 30 minutes are 556 per second.
#[tokio::test(flavor = "multi_thread")]
async fn a_million_payments_in_half_an_hour_need_less_than_half_of_an_index_partition() {
    let (world, table, _dir) = world(16).await;
    let client = world.aws.dynamodb("test");
    let payment = payment(1, "2026-11-24".parse().unwrap());
    table.insert(std::slice::from_ref(&payment)).await.unwrap();
    let name = world.names.payments_table();
    let item = client.scan().table_name(&name).send().await.unwrap().items.unwrap().remove(0);
    let (pk, sk) = (item["PK"].clone(), item["SK"].clone());
    let delete = client.delete_item().table_name(&name).key("PK", pk.clone());
    delete.key("SK", sk.clone()).send().await.unwrap();

    let put = client.put_item().table_name(&name).set_item(Some(item));
    let put = put.return_consumed_capacity(ReturnConsumedCapacity::Indexes).send().await.unwrap();
    let mut units = index_units(put.consumed_capacity().unwrap());
    for status in [Status::Pending, Status::Processed] {
        let update = client
            .update_item()
            .table_name(&name)
            .key("PK", pk.clone())
            .key("SK", sk.clone())
            .update_expression("SET #status = :status")
            .expression_attribute_names("#status", "Status")
            .expression_attribute_values(":status", AttributeValue::S(status.to_string()))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        units += index_units(update.send().await.unwrap().consumed_capacity().unwrap());
    }
    assert_eq!(units, 3.0, "write units of the index for one payment");
    let per_second = 1_000_000.0_f64 / (30.0 * 60.0);
    let of_a_partition = per_second.ceil() * units / 16.0 * SKEW;
    println!("{of_a_partition:.1} write units per second on the fullest partition");
    assert!(of_a_partition < 500.0, "{of_a_partition}");
}

fn index_units(consumed: &aws_sdk_dynamodb::types::ConsumedCapacity) -> f64 {
    let indexes: &HashMap<_, _> = consumed.global_secondary_indexes().unwrap();
    indexes[DUE_INDEX].capacity_units().unwrap()
}

/// As the contract's AWS CLI example does it.
#[tokio::test(flavor = "multi_thread")]
async fn the_item_of_the_contract_is_put_once_and_found_by_every_query() {
    let (world, table, _dir) = world(16).await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/item-contract.md");
    let document = std::fs::read_to_string(file).unwrap();
    let json = document.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let value = |value: &serde_json::Value| match value["S"].as_str() {
        Some(text) => AttributeValue::S(text.to_owned()),
        None => AttributeValue::N(value["N"].as_str().unwrap().to_owned()),
    };
    let item: HashMap<_, _> =
        json.as_object().unwrap().iter().map(|(name, of)| (name.clone(), value(of))).collect();
    let put = || {
        let put = world.aws.dynamodb("test").put_item().table_name(world.names.payments_table());
        put.set_item(Some(item.clone())).condition_expression("attribute_not_exists(PK)").send()
    };
    put().await.unwrap();
    let again = put().await.unwrap_err().into_service_error();
    assert!(again.is_conditional_check_failed_exception(), "{again:?}");

    let reference: PaymentRef =
        "ACC-000017/2026-11-24/019ab1f4-5c1e-7d3a-8b2f-0123456789ab".parse().unwrap();
    let stored = table.get(&reference).await.unwrap().unwrap();
    let (account, day) = (&reference.account, reference.due);
    let upcoming = table.upcoming(account, day..=day, None, None).await.unwrap();
    assert_eq!(upcoming.payments, std::slice::from_ref(&stored));
    let mut due = table.due(day, Status::Scheduled, None).unwrap();
    assert_eq!(due.next(9).await.unwrap().unwrap().references, [reference]);
    let claim =
        table.apply(&[Change::Claim(&stored.payment)], jiff::Timestamp::now()).await.unwrap();
    assert_eq!(claim, [Ok(ApplyResult::Now)]);
}
