//! The commands people type, as processes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use domain::Status;
use local::transactions::Faults;

use crate::flow::{DUEFLOW, Flow};

fn dueflow(flow: &Flow, arguments: &[&str]) -> Output {
    Command::new(DUEFLOW).args(arguments).envs(flow.world.environment()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn bad_settings_are_all_reported_at_once_with_status_64() {
    for service in ["stream-relay", "dispatcher", "confirmer"] {
        let output = Command::new(DUEFLOW)
            .arg(service)
            .env("DUEFLOW_DRAIN_TIMEOUT", "25")
            .env("DUEFLOW_ADMIN_ADDRESS", "nowhere")
            .env("DUEFLOW_DISPATCHER_CONCURENCY", "9")
            .output()
            .unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        for name in
            ["DUEFLOW_DRAIN_TIMEOUT", "DUEFLOW_ADMIN_ADDRESS", "DUEFLOW_DISPATCHER_CONCURENCY"]
        {
            assert!(errors.contains(name), "{name} is missing in {errors}");
        }
    }
}

#[test]
fn a_dispatcher_without_a_transaction_service_does_not_start() {
    let output =
        Command::new(DUEFLOW).arg("dispatcher").env_remove("DUEFLOW_TRANSACTION_URL").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("DUEFLOW_TRANSACTION_URL"));
}

#[test]
fn help_of_each_service_lists_its_settings() {
    for (service, setting) in [
        ("stream-relay", "DUEFLOW_TIME_ZONE"),
        ("dispatcher", "DUEFLOW_TRANSACTION_URL"),
        ("confirmer", "DUEFLOW_CONFIRMER_RECEIVERS"),
    ] {
        let output = Command::new(DUEFLOW).args([service, "--help"]).output().unwrap();
        assert!(output.status.success());
        let help = text(&output.stdout);
        assert!(help.contains(setting) && help.contains("DUEFLOW_LOG"), "{help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_can_be_run_again_and_again() {
    let flow = Flow::start(Faults::default()).await;
    for _ in 0..2 {
        let output = dueflow(&flow, &["setup", "--json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let results: Vec<_> = done.as_array().unwrap().iter().map(|d| &d["result"]).collect();
        assert_eq!(results, ["present"; 10], "{done}");
    }
}

const FILE: &str = "\
AccountID,ScheduledDate,Amount,Currency,BeneficiaryID,DataBlob,PaymentID
ACC-1,2999-11-23,1250,EUR,BEN-1,,
ACC-1,2999-11-23,1250,EUR,BEN-1,,
ACC-2,2999-02-30,100,EUR,BEN-1,,
ACC-2,2999-11-23,-5,EUR,BEN-1,,
ACC-2,2999-11-23,100,XXQ,BEN-1,,
ACC-3,2999-11-23,7,JPY,BEN-2,\"two
lines\",019ab1f4-5c1e-7d3a-8b2f-0123456789ab
ACC#4,2999-11-23,7,JPY,BEN-2,,
";

#[tokio::test(flavor = "multi_thread")]
async fn an_import_refuses_bad_rows_by_line_and_can_be_run_again() {
    let flow = Flow::start(Faults::default()).await;
    let file = flow.world.dir.join("monday.csv");
    std::fs::write(&file, FILE).unwrap();
    let path = file.to_str().unwrap();

    let first = dueflow(&flow, &["payments", "import", path]);
    assert_eq!(first.status.code(), Some(1));
    assert_eq!(text(&first.stdout).trim(), "7 rows: 3 scheduled, 0 already scheduled, 4 rejected");
    let errors = text(&first.stderr);
    let expected =
        ["line 4: ScheduledDate", "line 5: Amount", "line 6: Currency", "line 9: AccountID"];
    for expected in expected {
        assert!(errors.contains(expected), "{expected:?} is missing in {errors}");
    }

    // A corrected row is new; all others are found again, though it stands before them.
    std::fs::write(&file, FILE.replace("2999-02-30", "2999-02-28")).unwrap();
    let second = dueflow(&flow, &["payments", "import", path, "--json"]);
    let summary: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(summary["scheduled"], 1, "{summary}");
    assert_eq!(summary["already_scheduled"], 3, "{summary}");
    assert_eq!(flow.count(Status::Scheduled).await, 4);

    // The same id with another amount is another payment, and is not written.
    let other = r#"{"AccountID":"ACC-3","ScheduledDate":"2999-11-23","Amount":8,"Currency":"JPY","BeneficiaryID":"BEN-2","PaymentID":"019ab1f4-5c1e-7d3a-8b2f-0123456789ab"}"#;
    let file = flow.world.dir.join("other.jsonl");
    std::fs::write(&file, format!("{other}\n\nno json\n")).unwrap();
    let third = dueflow(&flow, &["payments", "import", file.to_str().unwrap()]);
    let errors = text(&third.stderr);
    assert_eq!(third.status.code(), Some(1));
    assert!(errors.contains("line 1: PaymentID") && errors.contains("line 3:"), "{errors}");

    let reference = "ACC-3/2999-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
    let shown = dueflow(&flow, &["payments", "show", reference, "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["Amount"], &shown["Status"]), (&7.into(), &"SCHEDULED".into()));
    assert_eq!(shown["DataBlob"], "two\nlines");
    let missing = dueflow(&flow, &["payments", "show", &reference.replace("ACC-3", "ACC-9")]);
    assert_eq!(missing.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn correcting_the_id_of_a_row_does_not_schedule_its_equals_again() {
    let flow = Flow::start(Faults::default()).await;
    let file = flow.world.dir.join("twins.csv");
    let import = |id: &str| {
        let row = "ACC-1,2999-11-23,1250,EUR,BEN-1";
        let header = "AccountID,ScheduledDate,Amount,Currency,BeneficiaryID,PaymentID";
        std::fs::write(&file, format!("{header}\n{row},{id}\n{row},\n")).unwrap();
        let output = dueflow(&flow, &["payments", "import", file.to_str().unwrap(), "--json"]);
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (summary["scheduled"].clone(), summary["already_scheduled"].clone())
    };
    assert_eq!(import("no-uuid"), (1.into(), 0.into()));
    assert_eq!(import("019ab1f4-5c1e-7d3a-8b2f-0123456789ab"), (1.into(), 1.into()));
    assert_eq!(flow.count(Status::Scheduled).await, 2);
}

#[test]
fn local_prints_an_environment_that_another_program_can_use() {
    let ports = ["--dynamodb-port", "0", "--sqs-port", "0", "--transactions-port", "0"];
    let mut local = Command::new(DUEFLOW)
        .arg("local")
        .args(ports)
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut environment = Vec::new();
    // Open until the process has ended: it goes on printing.
    let mut lines = BufReader::new(local.stdout.take().unwrap()).lines();
    for line in &mut lines {
        let line = line.unwrap();
        match line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
            Some((name, value)) => environment.push((name.to_owned(), value.to_owned())),
            None => break,
        }
    }
    let output =
        Command::new(DUEFLOW).args(["setup", "--json"]).envs(environment).output().unwrap();
    // Ctrl-C reaches a whole process group; here SIGTERM goes to the one that is asked to end.
    Command::new("kill").arg(local.id().to_string()).status().unwrap();
    let ended = local.wait().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(ended.success(), "dueflow local ended with {ended}");
}
