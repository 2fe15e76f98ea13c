//! `dueflow archive` as a process, killed at many points, and what comes after it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use domain::{AccountId, Amount, DueDate, FailureCode, Payment, PaymentId, Settlement, Status};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use local::transactions::{Faults, Journal};
use serde_json::Value;
use shared::payments::archive::{ArchiveLookup, ArchiveTable};
use shared::payments::{Change, InsertResult, PaymentStore, PaymentsTable};
use shared::queue::{Confirmation, ConfirmationSource, Dispatch, Producer, ReportedResult};
use shared::testing::sample_payment;

use crate::failures::letters;
use crate::flow::{DUEFLOW, Flow, PATIENCE, stop};

fn yesterday() -> DueDate {
    DueDate::today(Timestamp::now(), &TimeZone::UTC).days_before(1)
}

fn payment(account: u32) -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse(format!("ACC-{account}")).unwrap(),
        due: yesterday(),
        amount: Amount::from_minor_units(i64::from(account) + 100).unwrap(),
        created_at: Timestamp::now(),
        ..sample_payment()
    }
}

fn settlement(payment: &Payment) -> Settlement {
    Settlement { transaction_id: format!("T-{}", payment.id), settled_at: payment.created_at }
}

/// Inserts payments of yesterday and marks them PROCESSED, past the transaction service: as
/// one that has forgotten them.
async fn settle(flow: &Flow, payments: &[Payment]) {
    flow.table.insert(payments).await.unwrap();
    for payment in payments {
        let (reference, settlement) = (payment.reference(), settlement(payment));
        for change in [Change::Claim(payment), Change::Settle(&reference, &settlement)] {
            flow.table.apply(&[change], Timestamp::now()).await.unwrap().remove(0).unwrap();
        }
    }
}

fn archive(flow: &Flow, arguments: &[&str]) -> Command {
    let mut command = Command::new(DUEFLOW);
    command.arg("archive").args(arguments).envs(flow.world.environment());
    command
}

/// The lines of an `archive … --json` and its exit status.
fn json(flow: &Flow, arguments: &[&str]) -> (Vec<Value>, i32) {
    printed(archive(flow, arguments))
}

fn printed(mut command: Command) -> (Vec<Value>, i32) {
    let output = command.arg("--json").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.code().unwrap_or_else(|| panic!("{command:?} was killed")))
}

/// What lies in the archive, counted from its base table.
async fn archived(flow: &Flow, payments: &[Payment]) -> usize {
    let name = flow.world.names.archive_table();
    let table = PaymentsTable::new(flow.world.aws.dynamodb("test"), &name, 16);
    let references: Vec<_> = payments.iter().map(Payment::reference).collect();
    shared::payments::DueTable::get_many(&table, &references).await.unwrap().len()
}

async fn until_empty(flow: &Flow, queue: &str) {
    let sqs = flow.world.aws.sqs("test");
    let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    let asked_at = Instant::now();
    loop {
        let request = sqs.get_queue_attributes().queue_url(&url);
        let request = request.attribute_names(QueueAttributeName::All);
        let counts = request.send().await.unwrap().attributes.unwrap();
        let count = |name| counts.get(&name).map_or("0", String::as_str) == "0";
        if count(QueueAttributeName::ApproximateNumberOfMessages)
            && count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
        {
            return;
        }
        assert!(asked_at.elapsed() < PATIENCE, "{queue} is not empty: {counts:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_run_that_is_killed_again_and_again_loses_nothing_and_is_finished() {
    const PAYMENTS: usize = 200;
    let flow = Flow::start(Faults::default()).await;
    let payments: Vec<_> = (0..PAYMENTS as u32).map(|n| payment(n % 20)).collect();
    settle(&flow, &payments).await;
    let mut kills = 0;
    let asked_at = Instant::now();
    // Each run is killed as soon as something more lies in the archive, so in the middle.
    loop {
        assert!(asked_at.elapsed() < PATIENCE);
        let before = archived(&flow, &payments).await;
        let mut run = archive(&flow, &["run", "--rate", "200", "--writers", "3"]);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ended = loop {
            if let Some(status) = run.try_wait().unwrap() {
                break Some(status);
            }
            if archived(&flow, &payments).await > before {
                run.kill().unwrap();
                run.wait().unwrap();
                break None;
            }
        };
        let (left, there) = (flow.payments().await, archived(&flow, &payments).await);
        let left: Vec<_> = left.iter().map(|stored| stored.payment.id).collect();
        assert!(left.len() + there >= PAYMENTS, "{} + {there}: some are in neither", left.len());
        match ended {
            Some(status) => {
                assert!(status.success(), "{status}");
                break;
            }
            None => kills += 1,
        }
    }
    assert!(kills >= 3, "it was killed only {kills} times");
    assert_eq!((archived(&flow, &payments).await, flow.payments().await.len()), (PAYMENTS, 0));
    let (day, count) = (yesterday().to_string(), PAYMENTS.to_string());
    let (lines, code) = json(&flow, &["verify", "--date", &day, "--expect-count", &count]);
    assert_eq!((code, &lines[0]["places"]["archived"]), (0, &PAYMENTS.into()), "{lines:?}");
    let (lines, code) = json(&flow, &["verify", "--date", &day, "--expect-count", "201"]);
    assert_eq!((code, &lines[0]["right"]), (1, &false.into()), "one is in neither: {lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_payments_are_counted_found_and_cost_five_write_units_each() {
    let flow = Flow::start(Faults::default()).await;
    let payments: Vec<_> = (0..10).map(|n| payment(n % 2)).collect();
    settle(&flow, &payments).await;
    let day = yesterday().to_string();
    let (lines, code) = json(&flow, &["verify", "--date", &day]);
    assert_eq!((code, &lines[0]["places"]["waiting"]), (1, &10.into()), "{lines:?}");

    let (lines, code) = json(&flow, &["run", "--date", &day]);
    assert_eq!((code, &lines[0]["archived"]), (0, &10.into()), "{lines:?}");
    let summary = &lines[1]["summary"];
    assert_eq!((&summary["moved"], &summary["write_units"]), (&10.into(), &50.0.into()));
    let (lines, code) = json(&flow, &["verify", "--date", &day, "--expect-count", "10"]);
    assert_eq!((code, &lines[0]["totals"][0]["sum"]), (0, &"1005".into()), "{lines:?}");

    let transaction = settlement(&payments[3]).transaction_id;
    let (lines, code) = json(&flow, &["find", "--transaction", &transaction]);
    assert_eq!((code, lines.len()), (0, 1), "{lines:?}");
    assert_eq!(lines[0]["PaymentID"], payments[3].id.to_string());
    assert_eq!(lines[0]["TransactionID"], transaction);
    let (lines, code) = json(&flow, &["find", "--account", "ACC-1", "--from", &day]);
    assert_eq!((code, lines.len()), (0, 5), "{lines:?}");
    assert_eq!(json(&flow, &["find", "--date", &day]).0.len(), 10);
    let reference = payments[3].reference().to_string();
    let mut show = Command::new(DUEFLOW);
    show.args(["payments", "show", &reference]).envs(flow.world.environment());
    let (shown, code) = printed(show);
    assert_eq!((code, &shown[0]["Archived"]), (0, &true.into()), "{shown:?}");
    assert_eq!(shown[0]["TransactionID"], transaction);
    assert_eq!(json(&flow, &["find", "--transaction", "T-1"]), (vec![], 1));
    let (_, code) = json(&flow, &["find", "--account", "ACC-1", "--to", "2001-01-01"]);
    assert_eq!(code, 1);

    let today = DueDate::today(Timestamp::now(), &TimeZone::UTC).to_string();
    for usage in [&["run", "--date", &today][..], &["run", "--date", "9999-01-01"], &["find"]] {
        assert_eq!(json(&flow, usage), (vec![], 64), "{usage:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_archived_is_not_paid_again_whoever_inserts_or_sends_it_again() {
    let flow = Flow::start(Faults::default()).await;
    let first: Vec<_> = (0..3).map(payment).collect();
    settle(&flow, &first).await;
    assert_eq!(json(&flow, &["run"]).1, 0);
    // No relay: it would read the first inserts from the stream.
    let services = vec![flow.service("dispatcher").await, flow.service("confirmer").await];

    // Late messages of the first, a file of yesterday imported again for the second, and
    // another payment under the id of the third.
    let names = &flow.world.names;
    let payments = Producer::open(&flow.world.aws, names.payments_queue()).await.unwrap();
    payments.send(&[Dispatch::First.message(&first[0])]).await.unwrap();
    let queue = Producer::open(&flow.world.aws, names.confirmations_queue()).await.unwrap();
    let result = ReportedResult::Settled(settlement(&first[0]));
    let late = Confirmation { payment: first[0].reference(), result, money: None, trace_key: None };
    queue.send(&[late.message(ConfirmationSource::Callback("again"))]).await.unwrap();
    let again = Payment { created_at: Timestamp::now(), ..first[1].clone() };
    let dearer = Payment { amount: Amount::from_minor_units(9).unwrap(), ..first[2].clone() };
    let anew = [again, dearer];
    let inserted = flow.table.insert(&anew).await.unwrap();
    assert_eq!(inserted, [InsertResult::New, InsertResult::New], "their keys are free");
    let messages: Vec<_> = anew.iter().map(|payment| Dispatch::First.message(payment)).collect();
    payments.send(&messages).await.unwrap();

    flow.until(Status::Processed, 1).await;
    flow.until(Status::Failed, 1).await;
    let letters = letters(&flow, 1).await;
    assert_eq!(letters[0].failure.code, FailureCode::Mismatch, "{letters:?}");
    for queue in [names.payments_queue(), names.confirmations_queue()] {
        until_empty(&flow, &queue).await;
    }
    stop(services).await;
    assert_eq!(Journal::read(flow.world.local.journal()).count(), 0, "something was paid");

    let stored = flow.table.get(&first[1].reference()).await.unwrap().unwrap();
    assert_eq!(stored.transaction_id, Some(settlement(&first[1]).transaction_id));
    let (lines, code) = json(&flow, &["run"]);
    assert_eq!((code, &lines[0]["repeated"]), (0, &1.into()), "{lines:?}");
    let archive = ArchiveTable::new(flow.world.aws.dynamodb("test"), &names.archive_table(), 16);
    let kept = archive.find(&first[2].reference()).await.unwrap().unwrap();
    assert_eq!(kept.payment.amount, first[2].amount);
}
