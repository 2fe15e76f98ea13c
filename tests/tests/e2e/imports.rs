//! `dueflow payments import` as a process that is killed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use local::transactions::Faults;
use serde_json::Value;

use crate::flow::{DUEFLOW, Flow, PATIENCE};

const ROWS: usize = 2_500;
/// Every so many rows is wrong.
const WRONG: usize = 50;
/// Every so many rows says what an earlier one says.
const EQUAL: usize = 7;
/// Rows per second: so slow that it is far from its end whenever it is killed.
const RATE: &str = "400";

/// What the file at `path` should hold, and the file.
fn write_file(path: &Path) {
    let mut text = "AccountID,ScheduledDate,Amount,Currency,BeneficiaryID\n".to_owned();
    for row in 0..ROWS {
        let account = row % 100;
        let amount = if row % WRONG == 3 {
            "0".to_owned()
        } else if row % EQUAL == 0 {
            "77".to_owned()
        } else {
            (row + 100).to_string()
        };
        let _ = writeln!(text, "ACC-{account},2999-11-23,{amount},EUR,BEN-1");
    }
    fs::write(path, text).unwrap();
}

fn import(flow: &Flow, path: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(DUEFLOW);
    command.args(["payments", "import", path.to_str().unwrap()]).args(options);
    command.envs(flow.world.environment());
    command
}

fn run(flow: &Flow, path: &Path, options: &[&str]) -> Output {
    import(flow, path, options).output().unwrap()
}

fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

/// Rows that are done by what is written down, or none.
fn durable(path: &Path) -> u64 {
    let text = fs::read(beside(path, ".dueflow-progress")).unwrap_or_default();
    serde_json::from_slice::<Value>(&text).map_or(0, |progress| progress["rows"].as_u64().unwrap())
}

/// Kills the import with SIGKILL once so many rows are written down as done.
async fn kill_behind(mut importing: Child, path: &Path, rows: u64) {
    let asked_at = Instant::now();
    while durable(path) < rows {
        assert!(importing.try_wait().unwrap().is_none(), "it ended before {rows} rows");
        assert!(asked_at.elapsed() < PATIENCE, "it never did {rows} rows");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    importing.kill().unwrap();
    importing.wait().unwrap();
}

/// How often each instruction lies in the table.
async fn in_table(flow: &Flow) -> BTreeMap<(String, i64), usize> {
    let mut found = BTreeMap::new();
    for stored in flow.payments().await {
        let payment = stored.payment;
        let key = (payment.account.to_string(), payment.amount.minor_units());
        *found.entry(key).or_default() += 1;
    }
    found
}

/// How often each instruction stands in the file.
fn in_file(path: &Path) -> BTreeMap<(String, i64), usize> {
    let mut found = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap().lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let amount = fields[2].parse().unwrap();
        if amount > 0 {
            *found.entry((fields[0].to_owned(), amount)).or_default() += 1;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_again_and_again_schedules_and_rejects_each_row_once() {
    let flow = Flow::start(Faults::default()).await;
    let path = flow.world.dir.join("monday.csv");
    write_file(&path);
    for rows in [1, 900, 1_400] {
        let before = durable(&path);
        let mut command = import(&flow, &path, &["--rate", RATE, "--json"]);
        let importing = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        kill_behind(importing, &path, before.max(rows)).await;
    }
    let done = durable(&path);
    let last = run(&flow, &path, &["--json"]);
    assert_eq!(last.status.code(), Some(1), "{last:?}");
    let said = String::from_utf8(last.stderr.clone()).unwrap();
    assert!(said.contains(&format!("after the first {done} rows")), "{said}");
    let summary = summary(&last);
    assert_eq!(summary["resumed_behind"], done);
    assert_eq!(summary["rows"], ROWS);
    assert_eq!(summary["refused"], ROWS / WRONG);
    assert_eq!(in_table(&flow).await, in_file(&path), "each row once, and nothing else");

    let rejects = fs::read_to_string(beside(&path, ".rejects")).unwrap();
    let lines: Vec<usize> = rejects
        .lines()
        .skip(1)
        .map(|row| row.split(',').next().unwrap().parse().unwrap())
        .collect();
    let expected: Vec<_> = (0..ROWS).filter(|row| row % WRONG == 3).map(|row| row + 2).collect();
    assert_eq!(lines, expected, "each refused row once, in order");
    assert!(!beside(&path, ".dueflow-progress").exists());

    let again = run(&flow, &path, &["--json"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["already_scheduled"], ROWS - ROWS / WRONG, "{again}");
    assert_eq!(fs::read_to_string(beside(&path, ".rejects")).unwrap(), rejects);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_only_with_the_file_that_it_began_with() {
    let flow = Flow::start(Faults::default()).await;
    let path = flow.world.dir.join("monday.csv");
    write_file(&path);
    let mut command = import(&flow, &path, &["--rate", RATE, "--json"]);
    let importing = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    kill_behind(importing, &path, 500).await;
    // One row more, before all others.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen('\n', "\nACC-1,2999-11-23,55,EUR,BEN-1\n", 1)).unwrap();
    let last = run(&flow, &path, &["--json"]);
    let said = String::from_utf8(last.stderr.clone()).unwrap();
    assert!(said.contains("starting over"), "{said}");
    assert_eq!(summary(&last)["resumed_behind"], 0);
    assert_eq!(in_table(&flow).await, in_file(&path));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_leaves_an_import_that_can_go_on() {
    let flow = Flow::start(Faults::default()).await;
    let path = flow.world.dir.join("monday.csv");
    write_file(&path);
    let mut command = import(&flow, &path, &["--rate", RATE]);
    let mut importing = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let asked_at = Instant::now();
    while durable(&path) < 500 {
        assert!(asked_at.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Command::new("kill").arg(importing.id().to_string()).status().unwrap();
    assert_eq!(importing.wait().unwrap().code(), Some(75));
    let scheduled: usize = in_table(&flow).await.values().sum();
    let last = summary(&run(&flow, &path, &["--json"]));
    // What was under way was waited for and written down, so nothing of it is found again.
    let refused = |rows: u64| (0..rows).filter(|row| *row as usize % WRONG == 3).count();
    let done = last["resumed_behind"].as_u64().unwrap();
    assert_eq!(done as usize - refused(done), scheduled);
    assert_eq!(last["already_scheduled"], 0);
    assert_eq!(in_table(&flow).await, in_file(&path));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_totals_a_dry_run_and_all_or_nothing_write_nothing() {
    let flow = Flow::start(Faults::default()).await;
    let path = flow.world.dir.join("monday.csv");
    write_file(&path);
    for (options, status) in [
        (&["--expect-count", "2499"][..], 65),
        (&["--expect-sum", "1:EUR"], 65),
        (&["--trailer", "required"], 65),
        (&["--dry-run"], 1),
        (&["--writers", "0"], 64),
        // Last, because the rejects stay.
        (&["--all-or-nothing"], 1),
    ] {
        let output = run(&flow, &path, options);
        assert_eq!(output.status.code(), Some(status), "{options:?}: {output:?}");
        assert_eq!(flow.payments().await.len(), 0, "{options:?} wrote payments");
        let rejected = beside(&path, ".rejects").exists();
        assert_eq!(rejected, options[0] == "--all-or-nothing", "{options:?}");
        assert!(!beside(&path, ".dueflow-progress").exists(), "{options:?}");
    }

    // One wrong row, and none that repeats another.
    let path = flow.world.dir.join("tuesday.csv");
    let rows = ["ACC-1,2999-11-23,1,EUR,BEN-1", "ACC-2,2999-11-23,0,EUR,BEN-1"];
    let header = "AccountID,ScheduledDate,Amount,Currency,BeneficiaryID";
    fs::write(&path, format!("{header}\n{}\n", rows.join("\n"))).unwrap();
    let output = run(&flow, &path, &["--all-or-nothing"]);
    assert_eq!((output.status.code(), flow.payments().await.len()), (Some(1), 0), "{output:?}");
}
