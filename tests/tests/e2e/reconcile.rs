//! `dueflow reconcile` over real tables.

use std::process::Command;

use domain::{Settlement, Status};
use jiff::Timestamp;
use local::transactions::Faults;
use serde_json::Value;
use shared::payments::{Change, PaymentStore};

use crate::flow::{DUEFLOW, Flow, stop};

fn reconcile(flow: &Flow, arguments: &[&str]) -> (Value, Option<i32>) {
    let mut command = Command::new(DUEFLOW);
    command.args(["reconcile", "--json"]).args(arguments).envs(flow.world.environment());
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (report.unwrap_or_else(|error| panic!("{error}: {errors}")), output.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_id_that_two_payments_have_is_found_by_a_reconciliation() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(5, 5).await;
    let payments: Vec<_> = flow.payments().await.into_iter().map(|stored| stored.payment).collect();
    let settle = async |number: usize, transaction_id: &str| {
        let payment = &payments[number];
        let transaction_id = transaction_id.to_owned();
        let settlement = Settlement { transaction_id, settled_at: payment.created_at };
        for change in [Change::Claim(payment), Change::Settle(&payment.reference(), &settlement)] {
            flow.table.apply(&[change], Timestamp::now()).await.unwrap().remove(0).unwrap();
        }
    };
    settle(0, "T-0").await;
    settle(1, "T-1").await;
    settle(2, "T-2").await;
    let (report, code) = reconcile(&flow, &[]);
    assert_eq!((&report["settled"], &report["right"]), (&3.into(), &true.into()), "{report}");
    assert_eq!(code, Some(0));

    settle(3, "T-1").await;
    let (report, code) = reconcile(&flow, &[]);
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(report["reused"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["reused"][0]["transaction_id"], "T-1");
    let mut expected: Vec<_> =
        [1, 3].map(|number: usize| payments[number].reference().to_string()).into();
    expected.sort();
    assert_eq!(report["reused"][0]["payments"], Value::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_a_day_are_proved_from_tables_queues_and_journal() {
    let mut flow = Flow::start(Faults::default()).await;
    let services = flow.services().await;
    flow.schedule(6, 3).await;
    flow.until(Status::Processed, 6).await;
    stop(services).await;
    let payments = flow.payments().await;
    let day = payments[0].payment.due.to_string();
    let journal = flow.world.local.journal().to_owned();
    let file = journal.to_str().unwrap();
    let (report, code) = reconcile(&flow, &["--date", &day, "--journal", file]);
    assert_eq!((code, &report["right"]), (Some(0), &true.into()), "{report}");
    assert_eq!((&report["payments"], &report["settled_in_journal"]), (&6.into(), &6.into()));

    // Another copy of a settlement, and one that belongs to no payment.
    let text = std::fs::read_to_string(&journal).unwrap();
    let first = text.lines().next().unwrap();
    let key: Value = serde_json::from_str(first).unwrap();
    let stray = first.replace(key["idempotency_key"].as_str().unwrap(), "stray");
    let copy = flow.world.dir.join("copy.jsonl");
    std::fs::write(&copy, format!("{text}{first}\n{stray}\n")).unwrap();
    let (report, code) = reconcile(&flow, &["--date", &day, "--journal", copy.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{report}");
    let differences = report["differences"].as_object().unwrap();
    assert_eq!(differences.len(), 2, "{report}");
    assert!(differences.values().all(|count| *count == 1), "{report}");
}
