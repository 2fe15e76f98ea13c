//! `dueflow payments import`: whose rows a file brings, and what the table holds of them already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::Status;
use local::transactions::Faults;
use serde_json::Value;

use crate::flow::{DUEFLOW, Flow, PATIENCE};

const HEADER: &str = "AccountID,ScheduledDate,Amount,Currency,BeneficiaryID,DataBlob,PaymentID";
const ID: &str = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";

fn write(flow: &Flow, name: &str, rows: &[String]) -> PathBuf {
    let path = flow.world.dir.join(name);
    fs::write(&path, format!("{HEADER}\n{}\n", rows.join("\n"))).unwrap();
    path
}

fn rows(number: usize) -> Vec<String> {
    (1..=number).map(|row| format!("ACC-{row},2999-11-23,{row},EUR,BEN-1,,")).collect()
}

fn import(flow: &Flow, path: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(DUEFLOW);
    command.args(["payments", "import", path.to_str().unwrap(), "--json"]).args(options);
    command.envs(flow.world.environment());
    command
}

/// Exit status, summary if there is one, and standard error.
fn run(flow: &Flow, path: &Path, options: &[&str]) -> (i32, Value, String) {
    said(&import(flow, path, options).output().unwrap())
}

fn said(output: &Output) -> (i32, Value, String) {
    let summary = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code().unwrap(), summary, errors)
}

async fn scheduled(flow: &Flow) -> usize {
    flow.count(Status::Scheduled).await
}

/// An attribute of the item that the table of imports has of a batch.
async fn of_batch(flow: &Flow, batch: &str, name: &str) -> Option<String> {
    let client = flow.world.aws.dynamodb("test");
    let key = AttributeValue::S(format!("batch#{batch}"));
    let table = flow.world.names.imports_table();
    let item = client.get_item().table_name(table).key("ImportKey", key).send().await.unwrap();
    item.item()?.get(name)?.as_s().ok().cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_under_another_name_are_refused_unless_told_again() {
    let flow = Flow::start(Faults::default()).await;
    let monday = write(&flow, "monday.csv", &rows(30));
    assert_eq!(run(&flow, &monday, &[]).0, 0);
    assert_eq!(of_batch(&flow, "monday", "State").await.as_deref(), Some("ended"));

    // Other bytes, the same rows.
    let mut turned = rows(30);
    turned.reverse();
    let copy = write(&flow, "copy.csv", &turned);
    let (status, _, errors) = run(&flow, &copy, &[]);
    assert_eq!((status, scheduled(&flow).await), (65, 30), "{errors}");
    for part in ["the batch \"monday\"", "the same 30 rows", "--batch monday", "--again"] {
        assert!(errors.contains(part), "{part} is missing in {errors}");
    }
    // Under its own name nothing is scheduled twice.
    let (status, summary, _) = run(&flow, &copy, &["--batch", "monday"]);
    assert_eq!((status, &summary["already_scheduled"]), (0, &30.into()), "{summary}");
    assert_eq!(scheduled(&flow).await, 30);

    let (status, summary, errors) = run(&flow, &copy, &["--again"]);
    assert_eq!((status, &summary["scheduled"]), (0, &30.into()), "{errors}");
    // The name has the rows now, and needs not be told again.
    let (status, summary, _) = run(&flow, &copy, &[]);
    assert_eq!((status, &summary["already_scheduled"]), (0, &30.into()), "{summary}");
    assert_eq!(scheduled(&flow).await, 60);

    // Rows with ids of their own are found again under any name.
    let own = vec![format!("ACC-1,2999-11-23,7,EUR,BEN-1,,{ID}")];
    assert_eq!(run(&flow, &write(&flow, "own.csv", &own), &[]).0, 0);
    let (status, summary, _) = run(&flow, &write(&flow, "renamed.csv", &own), &[]);
    assert_eq!((status, &summary["already_scheduled"]), (0, &1.into()), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_names_that_bring_the_same_rows_at_the_same_moment_one_is_refused() {
    let flow = Flow::start(Faults::default()).await;
    let paths = ["one.csv", "two.csv"].map(|name| write(&flow, name, &rows(50)));
    let running = paths.each_ref().map(|path| {
        let mut command = import(&flow, path, &[]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let mut statuses = running.map(|child| said(&child.wait_with_output().unwrap()).0);
    statuses.sort_unstable();
    assert_eq!((statuses, scheduled(&flow).await), ([0, 65], 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_died_goes_on_under_its_name_and_under_no_other() {
    let flow = Flow::start(Faults::default()).await;
    let monday = write(&flow, "monday.csv", &rows(2_000));
    let mut command = import(&flow, &monday, &["--rate", "400"]);
    let mut importing = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let asked_at = Instant::now();
    while scheduled(&flow).await == 0 {
        assert!(asked_at.elapsed() < PATIENCE, "nothing was scheduled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    importing.kill().unwrap();
    importing.wait().unwrap();
    assert_eq!(of_batch(&flow, "monday", "State").await.as_deref(), Some("started"));
    let before = scheduled(&flow).await;
    let moved = flow.world.dir.join("moved.csv");
    fs::rename(&monday, &moved).unwrap();
    let (status, _, errors) = run(&flow, &moved, &[]);
    assert_eq!((status, scheduled(&flow).await), (65, before), "{errors}");
    assert!(errors.contains("did not end"), "{errors}");

    let (status, summary, errors) = run(&flow, &moved, &["--batch", "monday"]);
    assert_eq!((status, &summary["refused"]), (0, &0.into()), "{errors}");
    assert!(errors.contains("an import of the batch \"monday\" started at"), "{errors}");
    assert_eq!(scheduled(&flow).await, 2_000);
    assert_eq!(of_batch(&flow, "monday", "State").await.as_deref(), Some("ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_or_nothing_looks_at_the_table_before_it_writes() {
    let flow = Flow::start(Faults::default()).await;
    let other = vec![format!("ACC-3,2999-11-23,999,EUR,BEN-1,,{ID}")];
    assert_eq!(run(&flow, &write(&flow, "other.csv", &other), &[]).0, 0);
    let mut mine = rows(2);
    mine.push(format!("ACC-3,2999-11-23,3,EUR,BEN-1,,{ID}"));
    let path = write(&flow, "mine.csv", &mine);
    let (status, summary, errors) = run(&flow, &path, &["--all-or-nothing"]);
    assert_eq!((status, scheduled(&flow).await), (1, 1), "{errors}");
    assert_eq!(summary["written"], "nothing", "{summary}");
    assert_eq!(summary["reasons"][0]["line"], 4, "{summary}");
    assert_eq!(of_batch(&flow, "mine", "State").await, None, "nothing was begun");

    // The row taken out, all is written; once more, all is there.
    let path = write(&flow, "mine.csv", &rows(2));
    for (name, number) in [("scheduled", 2), ("already_scheduled", 2)] {
        let (status, summary, errors) = run(&flow, &path, &["--all-or-nothing"]);
        assert_eq!((status, &summary[name]), (0, &number.into()), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_cancelled_is_not_called_scheduled() {
    let flow = Flow::start(Faults::default()).await;
    let path = write(&flow, "monday.csv", &rows(3));
    assert_eq!(run(&flow, &path, &[]).0, 0);
    let second =
        flow.payments().await.into_iter().find(|stored| stored.payment.account.as_str() == "ACC-2");
    let reference = second.unwrap().payment.reference().to_string();
    let cancelled = Command::new(DUEFLOW)
        .args(["payments", "cancel", &reference, "--execute"])
        .envs(flow.world.environment())
        .output()
        .unwrap();
    assert!(cancelled.status.success(), "{cancelled:?}");
    for options in [&[][..], &["--all-or-nothing"]] {
        let (status, summary, errors) = run(&flow, &path, options);
        assert_eq!(status, 1, "{errors}");
        assert_eq!(summary["already_scheduled"], 2, "{summary}");
        let reason = summary["reasons"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(&reference) && reason.contains("CANCELLED"), "{reason}");
    }
}

/// The look comes before the first payment, and another writer may come in between.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_before_another_writer_is_met_is_listed_and_can_be_taken_back() {
    let flow = Flow::start(Faults::default()).await;
    let mut mine = rows(200);
    mine.push(format!("ACC-300,2999-11-23,3,EUR,BEN-1,,{ID}"));
    let path = write(&flow, "mine.csv", &mine);
    let mut command = import(&flow, &path, &["--all-or-nothing", "--rate", "50"]);
    let importing = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let asked_at = Instant::now();
    while scheduled(&flow).await == 0 {
        assert!(asked_at.elapsed() < PATIENCE, "nothing was scheduled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let other = vec![format!("ACC-300,2999-11-23,999,EUR,BEN-1,,{ID}")];
    assert_eq!(run(&flow, &write(&flow, "other.csv", &other), &[]).0, 0);
    let (status, summary, errors) = said(&importing.wait_with_output().unwrap());
    assert_eq!((status, &summary["written"]), (1, &"partly".into()), "{errors}");
    let list = summary["partly"].as_str().unwrap();
    let listed = fs::read_to_string(list).unwrap();
    assert_eq!(listed.lines().count(), scheduled(&flow).await - 1, "all but the other's");

    let cancelled = Command::new(DUEFLOW)
        .args(["payments", "cancel", "--execute"])
        .args(listed.lines())
        .envs(flow.world.environment())
        .output()
        .unwrap();
    assert!(cancelled.status.success(), "{cancelled:?}");
    assert_eq!(scheduled(&flow).await, 1, "only the other writer's is left");
}
