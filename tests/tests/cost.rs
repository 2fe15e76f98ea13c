//! What a payment costs, from the database's own figures.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use local::transactions::Faults;
use local::{LocalOptions, Queues};
use operator::demo::Plan;
use operator::local_world::{Samples, World, temporary_folder};
use shared::domain::{DataBlob, Payment, PaymentId, Settlement};
use shared::payments::{Applied, Change, Inserted, PaymentStore, PaymentsTable};
use shared::telemetry::Metrics;

/// Write units from insert to PROCESSED of a payment of at most 1 KB: table and index, one
/// each, for insert, claim and settlement (DESIGN: 6).
const CEILING: f64 = 6.0;

async fn process(table: &PaymentsTable, payment: &Payment) {
    let now = jiff::Timestamp::now();
    assert_eq!(table.insert(std::slice::from_ref(payment)).await.unwrap(), [Inserted::New]);
    let settlement =
        Settlement { transaction_id: PaymentId::generate().to_string(), settled_at: now };
    let reference = payment.reference();
    for change in [Change::Claim(payment), Change::Settle(&reference, &settlement)] {
        assert_eq!(table.apply(&[change], now).await.unwrap(), [Ok(Applied::Now)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_at_most_1_kb_costs_six_write_units_from_insert_to_processed() {
    let metrics = Metrics::install(&[]).unwrap();
    let dir = temporary_folder().unwrap();
    let options = LocalOptions {
        dir: dir.path().to_owned(),
        dynamodb_port: 0,
        sqs_port: 0,
        transactions_port: 0,
        queues: Queues::InMemory,
        faults: Faults::default(),
    };
    let world = World::start(options, "dueflow".parse().unwrap(), "".into()).await.unwrap();
    let client = world.aws.dynamodb("test");
    let table = std::sync::Arc::new(PaymentsTable::new(client, &world.names.payments_table(), 16));
    let units =
        || Samples::parse(&metrics.render()).sum("dynamodb_write_units_milli_total") / 1000.0;

    let plan = Plan { payments: 1, accounts: 1, rate: None };
    operator::demo::schedule(std::sync::Arc::clone(&table), plan, Default::default())
        .await
        .unwrap();
    assert_eq!(units(), 2.0, "an insert");
    let (mut page, _) = table.scan_page(None).await.unwrap();
    let example = page.remove(0).payment;

    for blob in [0, 300, 340] {
        let before = units();
        let mut payment = Payment { id: PaymentId::generate(), ..example.clone() };
        payment.data = (blob > 0).then(|| DataBlob::new("x".repeat(blob)).unwrap().into());
        process(&table, &payment).await;
        assert_eq!(units() - before, CEILING, "with a blob of {blob} bytes");
    }

    let before = units();
    let mut large = Payment { id: PaymentId::generate(), ..example };
    large.data = Some(DataBlob::new("x".repeat(1_500)).unwrap().into());
    process(&table, &large).await;
    assert!(units() - before > CEILING, "the meter does not see the size of an item");
}
