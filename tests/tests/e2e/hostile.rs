//! What comes from outside with real processes: items of other writers, other settings, clocks.

use std::collections::HashMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use demo::local_world::SERVICES;
use domain::{FailureCode, Status};
use jiff::{SignedDuration, Timestamp};
use local::transactions::{Faults, Journal};
use serde_json::Value;
use shared::clock::Clock;
use shared::config::Installation;
use shared::installation::{Agreement, InstallationError};
use shared::payments::PaymentsTable;

use crate::failures::letters;
use crate::flow::{DUEFLOW, Flow, stop};

fn run(flow: &Flow, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let environment = flow.world.environment();
    let mut command = Command::new(DUEFLOW);
    command.args(arguments).envs(environment).env("DUEFLOW_ADMIN_ADDRESS", "127.0.0.1:0");
    command.envs(settings.iter().copied()).output().unwrap()
}

fn own() -> Installation {
    Installation { zone: "UTC".to_owned(), due_shards: 16 }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_another_zone_or_number_of_shards_does_not_start_and_says_both() {
    let flow = Flow::start(Faults::default()).await;
    let others = [
        ("DUEFLOW_DUE_SHARDS", "10", ["DUEFLOW_DUE_SHARDS=10", "16"]),
        ("DUEFLOW_TIME_ZONE", "Europe/Madrid", ["DUEFLOW_TIME_ZONE=Europe/Madrid", "UTC"]),
    ];
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    let commands: Vec<Vec<&str>> = SERVICES
        .iter()
        .map(|service| vec![*service])
        .chain([
            vec!["payments", "import", file],
            vec!["payments", "due", "--date", "today", "--status", "scheduled"],
            vec!["payments", "upcoming", "--account", "ACC-1"],
            vec!["payments", "audit"],
            vec!["archive", "run"],
            vec!["dlq", "replay", "--all"],
            vec!["setup"],
        ])
        .collect();
    for (name, value, words) in others {
        for arguments in &commands {
            let output = run(&flow, arguments, &[(name, value)]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
            for word in words {
                assert!(said.contains(word), "{arguments:?}: {word} is missing in {said}");
            }
        }
        let output = run(&flow, &["preflight", "--json"], &[(name, value)]);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.code() == Some(1) && printed.contains(words[0]), "{printed}");
    }
    let output = run(&flow, &["setup"], &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("time zone UTC, 16 shards: present"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_without_stored_settings_says_what_to_do() {
    let flow = Flow::start(Faults::default()).await;
    let client = flow.world.aws.dynamodb("test");
    let table = flow.world.names.control_table();
    let key = AttributeValue::S("installation".to_owned());
    client.delete_item().table_name(&table).key("ControlKey", key).send().await.unwrap();
    let output = run(&flow, &["dispatcher"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("run `dueflow setup`"), "{said}");
    client.delete_table().table_name(&table).send().await.unwrap();
    let output = run(&flow, &["stream-relay"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("run `dueflow setup`"), "{said}");
    let output = run(&flow, &["setup"], &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("time zone UTC, 16 shards: created"), "{said}");
    stop(vec![flow.service("dispatcher").await]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_not_the_tables_stops_whoever_has_it() {
    let flow = Flow::start(Faults::default()).await;
    let check = async |hours: i64, seconds: i64| {
        let wrong = SignedDuration::from_hours(hours) + SignedDuration::from_secs(seconds);
        let clock = Clock::new(move || Timestamp::now() + wrong);
        let agreement = Agreement::of(&flow.world.aws, &flow.world.names, own(), clock);
        agreement.check().await
    };
    for (hours, seconds) in [(0, 0), (0, 30), (0, -30)] {
        check(hours, seconds).await.unwrap();
    }
    // What the table's clock says is right is believed again, and only that.
    let jump = Arc::new(AtomicI64::new(86_400));
    let seconds = Arc::clone(&jump);
    let clock = Clock::new(move || {
        Timestamp::now() + SignedDuration::from_secs(seconds.load(Ordering::Relaxed))
    });
    let clock = clock.guarded();
    let (aws, names) = (&flow.world.aws, &flow.world.names);
    let agreement = Agreement::of(aws, names, own(), clock.clone());
    agreement.check().await.unwrap_err();
    jump.store(0, Ordering::Relaxed);
    assert_eq!(clock.sure(), None);
    agreement.check().await.unwrap();
    assert!(clock.sure().is_some());
    for (hours, seconds) in [(24, 0), (-24, 0), (0, 90), (0, -90)] {
        let error = check(hours, seconds).await.unwrap_err();
        assert!(matches!(error, InstallationError::Clock { .. }), "{hours} h {seconds} s: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_at_work_notices_that_the_installation_has_moved() {
    let flow = Flow::start(Faults::default()).await;
    let names = &flow.world.names;
    let agreement = Agreement::of(&flow.world.aws, names, own(), Clock::system());
    let broken = agreement.until_broken(Duration::from_millis(120));
    let moved = async {
        flow.world.move_to("Europe/Madrid").await.unwrap();
    };
    let both = async { tokio::join!(broken, moved).0 };
    let error = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    assert!(matches!(error, InstallationError::Differs { .. }), "{error}");
}

/// Every item of the payments table, as it is stored.
async fn items(flow: &Flow) -> Vec<HashMap<String, AttributeValue>> {
    let scan = flow.world.aws.dynamodb("test").scan();
    scan.table_name(flow.world.names.payments_table()).send().await.unwrap().items.unwrap()
}

async fn put(flow: &Flow, item: HashMap<String, AttributeValue>) {
    let put = flow.world.aws.dynamodb("test").put_item().set_item(Some(item));
    put.table_name(flow.world.names.payments_table()).send().await.unwrap();
}

fn audit(flow: &Flow, more: &[&str]) -> (Vec<Value>, Value, i32) {
    let output = run(flow, &[&["payments", "audit", "--json"], more].concat(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap_or_else(|| {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    });
    (lines, summary["summary"].clone(), output.status.code().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_is_found_by_the_audit_and_withheld() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(20, 4).await;
    let (lines, summary, code) = audit(&flow, &[]);
    assert_eq!((code, &summary["items"], lines.len()), (0, &20.into(), 0), "{lines:?}");

    // An import with another number of shards, and two items of other writers.
    let all = flow.payments().await;
    let client = flow.world.aws.dynamodb("test");
    let table = PaymentsTable::new(client, &flow.world.names.payments_table(), 10);
    let again = all.iter().map(|stored| {
        let mut payment = stored.payment.clone();
        payment.id = domain::PaymentId::generate();
        payment
    });
    let again: Vec<_> = again.collect();
    table.insert(&again).await.unwrap();
    let fits = |payment: &domain::Payment| payment.id.due_shard(10) == payment.id.due_shard(16);
    let wrong = again.iter().filter(|payment| !fits(payment)).count();
    let mut hidden = items(&flow).await[0].clone();
    let id = domain::PaymentId::generate();
    let account = hidden["AccountID"].as_s().unwrap().clone();
    let due = hidden["ScheduledDate"].as_s().unwrap().clone();
    hidden.insert("SK".to_owned(), AttributeValue::S(format!("{due}#{id}")));
    hidden.insert("PaymentID".to_owned(), AttributeValue::S(id.to_string()));
    hidden.remove("DueShard");
    hidden.insert("DueKey".to_owned(), AttributeValue::S(format!("{account}#{id}")));
    put(&flow, hidden).await;

    let (lines, summary, code) = audit(&flow, &["--segments", "3"]);
    assert_eq!(code, 1);
    assert_eq!(
        (&summary["items"], summary["found"].as_u64()),
        (&41.into(), Some(wrong as u64 + 1))
    );
    assert!(lines.iter().all(|line| line["done"] == "listed"), "{lines:?}");
    assert_eq!(flow.count(Status::Failed).await, 0, "a dry run changed something");

    let (_, summary, code) = audit(&flow, &["--withhold"]);
    assert_eq!((code, summary["withheld"].as_u64()), (1, Some(wrong as u64 + 1)));
    assert_eq!(flow.count(Status::Failed).await, wrong + 1);
    let letters = letters(&flow, wrong + 1).await;
    assert!(letters.iter().all(|letter| letter.failure.code == FailureCode::InvalidItem));
    let (lines, _, code) = audit(&flow, &["--withhold"]);
    assert_eq!((code, lines.len()), (0, 0), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_put_over_after_it_was_settled_is_withheld_and_paid_once() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(10, 5).await;
    let before = items(&flow).await;
    let services = flow.services().await;
    flow.until(Status::Processed, 10).await;
    for item in before {
        put(&flow, item).await;
    }
    flow.until(Status::Failed, 10).await;
    let letters = letters(&flow, 10).await;
    assert!(letters.iter().all(|letter| letter.failure.code == FailureCode::Overwritten));
    assert!(letters.iter().all(|letter| letter.payment.is_some() && letter.raw.is_some()));
    stop(services).await;
    assert_eq!(Journal::read(flow.world.local.journal()).count(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_item_that_is_due_in_months_is_withheld_when_it_is_inserted() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(1, 1).await;
    let mut item = items(&flow).await[0].clone();
    let relay = flow.service("stream-relay").await;
    let id = domain::PaymentId::generate();
    let account = item["AccountID"].as_s().unwrap().clone();
    for (name, value) in [
        ("SK", format!("2099-06-01#{id}")),
        ("PaymentID", id.to_string()),
        ("ScheduledDate", "2099-06-01".to_owned()),
        ("DueShard", "2099-06-01#99".to_owned()),
        ("DueKey", format!("{account}#{id}")),
    ] {
        item.insert(name.to_owned(), AttributeValue::S(value));
    }
    put(&flow, item).await;
    flow.until(Status::Failed, 1).await;
    let letters = letters(&flow, 1).await;
    assert_eq!(letters[0].failure.code, FailureCode::InvalidItem);
    assert!(letters[0].failure.reason.contains("DueShard"), "{:?}", letters[0].failure);
    stop(vec![relay]).await;
}
