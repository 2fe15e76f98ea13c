//! Payments whose blob lies in an item of its own.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{AccountId, Data, DataBlob, FailureCode, Outcome, Payment, PaymentId, Status};
use local::transactions::{Faults, Journal};
use shared::payments::{PaymentStore, StoredPayment, check_size};
use shared::transaction::{
    ContractSettings, TransactionClient, TransactionService, TransactionSettings,
};

use crate::failures::letters;
use crate::flow::{Flow, stop, until_counted};

/// Payments of so many accounts, taking turns, whose whole sizes are `sizes`, in the order of
/// their ids, the text of each blob its own.
fn of_sizes(example: &Payment, accounts: usize, sizes: &[usize]) -> Vec<Payment> {
    let made = sizes.iter().enumerate().map(|(index, size)| {
        let account = AccountId::parse(format!("ACC-{:06}", index % accounts)).unwrap();
        let mut payment = Payment { id: PaymentId::generate(), account, ..example.clone() };
        let rest = check_size(&Payment { data: Some(blob(String::new())), ..payment.clone() });
        let length = size - rest.unwrap();
        payment.data = Some(blob(format!("{index:0length$}")));
        assert_eq!(check_size(&payment), Ok(*size));
        payment
    });
    made.collect()
}

fn blob(text: String) -> Data {
    Data::Whole(DataBlob::new(text).unwrap())
}

/// A payment that is due today.
async fn example(flow: &mut Flow) -> Payment {
    flow.schedule(1, 1).await;
    flow.payments().await.remove(0).payment
}

/// Whether the transaction service has settled exactly this body under the payment's key: the
/// same body is answered with its settlement, any other is refused.
async fn was_settled_as(flow: &Flow, payment: &Payment) -> bool {
    let client = TransactionClient::new(&TransactionSettings {
        url: flow.world.local.transactions.endpoint().parse().unwrap(),
        proxy: None,
        timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        contract: ContractSettings::default(),
    });
    let settled_before = Journal::read(flow.world.local.journal()).count();
    let outcome = client.unwrap().submit(payment).await;
    let settled = Journal::read(flow.world.local.journal()).count();
    matches!(outcome, Outcome::Settled(_)) && settled == settled_before
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_of_300_bytes_1_kb_and_8_kb_are_paid_with_their_whole_blob() {
    let mut flow = Flow::start(Faults::default()).await;
    let services = flow.services().await;
    let example = example(&mut flow).await;
    // The attributes alone are more than 300 bytes, so the small one has no blob.
    let payments = of_sizes(&example, 1, &[1_024, 1_025, 4_000, 8_192, 8_191]);
    flow.insert(&payments).await;
    flow.until_ended().await;
    let stored = flow.payments().await;
    for payment in &payments {
        let stored = stored.iter().find(|stored| stored.payment.id == payment.id).unwrap();
        assert_eq!(stored.status, Status::Processed);
        assert!(was_settled_as(&flow, payment).await, "{payment:?}");
        let other = Payment { data: Some(blob("another".to_owned())), ..payment.clone() };
        assert!(!was_settled_as(&flow, &other).await, "the judge does not look at the blob");
    }
    let kept: HashMap<_, _> = stored.iter().map(|stored| (stored.payment.id, stored)).collect();
    let beside =
        payments.iter().filter(|payment| kept[&payment.id].payment.blob_beside().is_some());
    assert_eq!(beside.count(), 4);
    stop(services).await;
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_dispatcher_loses_no_large_payment_and_pays_none_twice() {
    let mut flow =
        Flow::start(Faults { latency: Duration::from_millis(50), ..Faults::default() }).await;
    let mut services = flow.services().await;
    let example = example(&mut flow).await;
    let payments = of_sizes(&example, 10, &[8_192, 1_024, 2_000].repeat(100));
    flow.insert(&payments).await;
    until_counted(&mut services[2], "dueflow_confirmer_payments_settled_total", 30.0).await;
    services.remove(1).kill().await.unwrap();
    assert!(flow.count(Status::Processed).await < payments.len(), "all was done before");
    services.insert(1, flow.service("dispatcher").await);
    flow.until_ended().await;
    stop(services).await;
    for payment in &payments[..6] {
        assert!(was_settled_as(&flow, payment).await, "{payment:?}");
    }
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_whose_blob_is_missing_or_another_one_is_never_submitted() {
    let mut flow = Flow::start(Faults::default()).await;
    let example = example(&mut flow).await;
    let payments = of_sizes(&example, 1, &[2_000, 2_001, 2_002, 1_000]);
    flow.insert(&payments).await;
    let table = flow.world.names.payments_table();
    let client = flow.world.aws.dynamodb("test");
    let key = |payment: &Payment| {
        let partition = AttributeValue::S(format!("BLOB#{}", payment.account));
        (partition, AttributeValue::S(format!("{}#{}", payment.due, payment.id)))
    };
    let (partition, sort) = key(&payments[0]);
    let delete = client.delete_item().table_name(&table);
    delete.key("PK", partition).key("SK", sort).send().await.unwrap();
    let (partition, sort) = key(&payments[1]);
    let put = client.put_item().table_name(&table).item("PK", partition).item("SK", sort);
    put.item("DataBlob", AttributeValue::S("another".to_owned())).send().await.unwrap();

    let services = flow.services().await;
    flow.until_ended().await;
    let letters = letters(&flow, 2).await;
    for (payment, code) in payments.iter().zip([FailureCode::Missing, FailureCode::Mismatch]) {
        let stored: StoredPayment = flow.table.get(&payment.reference()).await.unwrap().unwrap();
        assert_eq!(stored.status, Status::Failed);
        assert_eq!(stored.failure.as_ref().unwrap().code, code);
        let letter = letters.iter().find(|letter| letter.payment.as_ref() == Some(&stored.payment));
        assert_eq!(Some(&letter.unwrap().failure), stored.failure.as_ref());
        assert!(!was_ever_settled(&flow, payment), "{payment:?}");
    }
    for payment in &payments[2..] {
        assert!(was_settled_as(&flow, payment).await, "it was held up: {payment:?}");
    }
    stop(services).await;
}

fn was_ever_settled(flow: &Flow, payment: &Payment) -> bool {
    let key = payment.id.to_string();
    Journal::read(flow.world.local.journal()).any(|entry| entry.unwrap().idempotency_key == key)
}
