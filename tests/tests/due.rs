//! The index `due` on the local `DynamoDB`: paged, filtered, read back whole.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use local::LocalOptions;
use local::transactions::Faults;
use operator::local_world::{World, temporary_folder};
use shared::domain::{
    AccountId, Amount, BeneficiaryId, DueDate, Payment, PaymentId, PaymentRef, Status, TraceKey,
};
use shared::payments::{Change, DUE_PAGE, DueTable, PaymentStore, PaymentsTable};

fn payment(account: u32, due: DueDate) -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse(format!("ACC-{account}")).unwrap(),
        due,
        amount: Amount::from_minor_units(1).unwrap(),
        currency: "EUR".parse().unwrap(),
        beneficiary: BeneficiaryId::parse("B").unwrap(),
        data: None,
        trace_key: TraceKey::generate(),
        created_at: jiff::Timestamp::now(),
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

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_found_by_day_and_status_page_by_page() {
    let dir = temporary_folder().unwrap();
    let options = LocalOptions {
        queues: local::Queues::InMemory,
        dir: dir.path().to_owned(),
        dynamodb_port: 0,
        sqs_port: 0,
        transactions_port: 0,
        faults: Faults::default(),
    };
    let world = World::start(options, "dueflow".parse().unwrap(), "".into()).await.unwrap();
    let table = PaymentsTable::new(world.aws.dynamodb("test"), &world.names.payments_table(), 2);
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
