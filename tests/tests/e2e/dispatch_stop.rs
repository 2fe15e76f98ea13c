//! Too many refusals stop dispatching, everywhere and across restarts, until an operator
//! resumes it.

use std::process::Command;
use std::time::Duration;

use demo::local_world::Process;
use domain::Status;
use local::transactions::Faults;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::flow::{DUEFLOW, Flow, impatient, stop, until_counted, until_result};

const DISPATCHERS: [&str; 2] = ["dispatcher-1", "dispatcher-2"];

/// Runs `dueflow … --json`: its last line, and its exit status.
fn dueflow(flow: &Flow, arguments: &[&str]) -> (Value, i32) {
    let output = Command::new(DUEFLOW)
        .args(arguments)
        .arg("--json")
        .envs(flow.world.environment())
        .output()
        .unwrap();
    let (text, errors) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (text, errors) = (text.unwrap(), errors.unwrap());
    let last = text.lines().last().unwrap_or_else(|| panic!("{arguments:?}: {errors}"));
    (serde_json::from_str(last).unwrap(), output.status.code().unwrap())
}

fn settings(url: Option<&str>) -> Vec<(&'static str, String)> {
    let mut settings = impatient();
    settings.push(("DUEFLOW_STOP_CHECK_INTERVAL", "200ms".to_owned()));
    settings.extend(url.map(|url| ("DUEFLOW_TRANSACTION_URL", url.to_owned())));
    settings
}

async fn dispatchers(flow: &Flow, url: Option<&str>) -> Vec<Process> {
    let mut processes = Vec::new();
    for name in DISPATCHERS {
        processes.push(flow.service_with("dispatcher", name, &settings(url)).await);
    }
    processes
}

async fn until_stopped(dispatchers: &mut [Process]) {
    for dispatcher in dispatchers {
        until_counted(dispatcher, "dueflow_dispatcher_stopped", 1.0).await;
    }
}

async fn attempts(flow: &Flow) -> u32 {
    flow.payments().await.iter().map(|stored| stored.attempts).sum()
}

/// What answers every request with a bare 400: plain HTTP to a TLS port.
async fn bare_400() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let _ = connection.read(&mut request).await;
                let answer =
                    "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = connection.write_all(answer.as_bytes()).await;
            });
        }
    });
    format!("http://{address}")
}

/// Resumes what stands for `cause`, and sends what FAILED again.
async fn resume(flow: &Flow, cause: &str) {
    let (status, code) = dueflow(flow, &["dispatch", "status"]);
    assert_eq!((code, &status["stop"]["cause"]), (1, &cause.into()), "{status}");
    let id = status["stop"]["id"].as_str().unwrap();
    let (nothing, code) = dueflow(flow, &["dispatch", "resume"]);
    assert_eq!((code, &nothing["stopped"]), (1, &true.into()), "{nothing}");
    let other = "01890000-0000-7000-8000-000000000000";
    let (another, code) = dueflow(flow, &["dispatch", "resume", other]);
    assert_eq!((code, &another["stop"]["id"]), (1, &id.into()), "{another}");
    let (resumed, code) = dueflow(flow, &["dispatch", "resume", id]);
    assert_eq!((code, &resumed["stopped"]), (0, &false.into()), "{resumed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_rejects_every_account_stops_all_dispatchers_until_it_is_resumed() {
    let mut flow = Flow::start(Faults { reject: 1.0, ..Faults::default() }).await;
    let mut others = vec![flow.service("stream-relay").await, flow.service("confirmer").await];
    let mut running = dispatchers(&flow, None).await;
    flow.schedule(400, 400).await;
    until_stopped(&mut running).await;
    // Restarted in any order, they find the stop before they receive anything.
    stop(running).await;
    let (asked, before) = (flow.world.local.transactions.requests().total, attempts(&flow).await);
    let failed = flow.count(Status::Failed).await;
    assert!((1..=2 * 19).contains(&failed), "{failed} FAILED");
    let mut running = dispatchers(&flow, None).await;
    until_stopped(&mut running).await;
    assert_eq!(flow.world.local.transactions.requests().total, asked, "something was sent");
    assert_eq!(attempts(&flow).await, before, "waiting cost attempts");

    flow.world.local.transactions.set_faults(Faults::default());
    resume(&flow, "rejected").await;
    flow.until(Status::Processed, 400 - failed).await;
    let (replayed, code) = dueflow(&flow, &["dlq", "replay", "--all", "--execute"]);
    assert_eq!(code, 0, "{replayed}");
    flow.until_ended().await;
    others.extend(running);
    stop(others).await;
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_400s_stop_all_dispatchers_after_a_few_payments_and_a_restart_does_not_go_on() {
    let mut flow = Flow::start(Faults::default()).await;
    let mut others = vec![flow.service("stream-relay").await, flow.service("confirmer").await];
    let url = bare_400().await;
    let mut running = dispatchers(&flow, Some(&url)).await;
    // One account is enough: such an answer says nothing of any payment.
    flow.schedule(200, 50).await;
    until_stopped(&mut running).await;
    let failed = flow.count(Status::Failed).await;
    assert_eq!(failed, 0, "such an answer fails nothing");
    stop(running).await;

    // The address is right again, but nobody has said so.
    let mut running = dispatchers(&flow, None).await;
    until_stopped(&mut running).await;
    assert_eq!(flow.world.local.transactions.requests().total, 0, "something was sent");
    resume(&flow, "out_of_contract").await;
    flow.until(Status::Processed, 200 - failed).await;
    let (replayed, code) = dueflow(&flow, &["dlq", "replay", "--all", "--execute"]);
    assert_eq!(code, 0, "{replayed}");
    flow.until_ended().await;
    others.extend(running);
    stop(others).await;
    flow.assert_all_settled_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_stops_and_resumes_dispatching_in_the_middle_of_the_work() {
    let slow = Faults { latency: Duration::from_millis(50), ..Faults::default() };
    let mut flow = Flow::start(slow).await;
    let mut others = vec![flow.service("stream-relay").await, flow.service("confirmer").await];
    let mut running = dispatchers(&flow, None).await;
    flow.schedule(1_000, 100).await;
    flow.until(Status::Processed, 50).await;
    let why = ["dispatch", "stop", "--reason", "the bank's books are closed", "--by", "test"];
    let (stopped, code) = dueflow(&flow, &why);
    assert_eq!((code, &stopped["stop"]["by"]), (0, &"test".into()), "{stopped}");
    until_stopped(&mut running).await;
    // Queued while dispatching is stopped, and left alone.
    flow.schedule(200, 100).await;
    until_result(&mut others[0], "dueflow_stream_relay_records_total", "forwarded", 1_200.0).await;
    assert!(flow.count(Status::Scheduled).await >= 200, "payments were claimed after the stop");
    resume(&flow, "by_hand").await;
    flow.until_ended().await;
    others.extend(running);
    stop(others).await;
    // Nothing FAILED.
    flow.assert_all_settled_once().await;
}
