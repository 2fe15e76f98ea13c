//! `dueflow payments` as a process: listing payments, and withdrawing them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use domain::{DataBlob, Failure, FailureCode, Payment, PaymentId, PaymentRef, Settlement, Status};
use jiff::Timestamp;
use local::transactions::{Faults, Journal};
use serde_json::Value;
use shared::payments::{Change, FirstClaim, PaymentStore};

use crate::flow::{DUEFLOW, Flow, stop, until_counted, until_result};

fn payments(flow: &Flow, arguments: &[&str]) -> Output {
    let mut command = Command::new(DUEFLOW);
    command.arg("payments").args(arguments).envs(flow.world.environment()).output().unwrap()
}

/// The lines of a `dueflow payments … --json`, the summary last, and its exit status.
fn json(flow: &Flow, arguments: &[&str]) -> (Vec<Value>, Value, i32) {
    let output = payments(flow, &[arguments, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap_or_else(|| {
        panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (lines, summary["summary"].clone(), output.status.code().unwrap())
}

/// A relay queues a payment; its owner withdraws it before any dispatcher is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_payment_whose_message_is_queued_is_dropped_counted_and_never_submitted() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(6, 2).await;
    let mut relay = flow.service("stream-relay").await;
    until_counted(&mut relay, "dueflow_stream_relay_records_total", 6.0).await;
    let all = flow.payments().await.into_iter().map(|stored| stored.payment.reference());
    let all: Vec<_> = all.map(|reference| reference.to_string()).collect();
    let named: Vec<&str> = all[..4].iter().map(String::as_str).collect();
    let cancel = |more: &[&str]| json(&flow, &[&["cancel"], &named[..], more].concat());

    let (lines, summary, code) = cancel(&[]);
    assert_eq!((code, &summary["payments"]["cancel"]), (0, &4.into()), "{lines:#?}");
    assert_eq!(flow.count(Status::Cancelled).await, 0, "a dry run changed something");
    let (lines, summary, code) = cancel(&["--execute"]);
    assert_eq!((code, &summary["payments"]["cancelled"]), (0, &4.into()), "{lines:#?}");
    let (lines, summary, code) = cancel(&["--execute", named[0]]);
    assert_eq!((code, &summary["payments"]["before"]), (0, &4.into()), "{lines:#?}");

    let mut dispatcher = flow.service("dispatcher").await;
    let confirmer = flow.service("confirmer").await;
    flow.until(Status::Processed, 2).await;
    until_result(&mut dispatcher, "dueflow_dispatcher_claims_total", "cancelled", 4.0).await;
    stop(vec![relay, dispatcher, confirmer]).await;
    assert_eq!(Journal::read(flow.world.local.journal()).count(), 2);
    let findings = flow.findings().await;
    assert!(findings.clean(), "{findings}");
    assert_eq!((findings.balance.cancelled, findings.balance.processed), (4, 2), "{findings}");
}

/// A payment that is brought to where `changes` lead.
async fn after(flow: &Flow, payment: &Payment, changes: &[Change<'_>]) {
    for change in changes {
        let made = flow.table.apply(std::slice::from_ref(change), Timestamp::now()).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{} {made:?}", payment.reference());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_submitted_is_not_cancelled() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(5, 5).await;
    let all: Vec<_> = flow.payments().await.into_iter().map(|stored| stored.payment).collect();
    let [pending, processed, failed, replayed, free] = &all[..] else { panic!("five payments") };
    let references: Vec<_> = all.iter().map(Payment::reference).collect();
    let failure = Failure::new(FailureCode::Rejected, "no funds");
    let settlement = Settlement { transaction_id: "T-1".to_owned(), settled_at: Timestamp::now() };
    after(&flow, pending, &[Change::Claim(pending)]).await;
    let settle = Change::Settle(&references[1], &settlement);
    after(&flow, processed, &[Change::Claim(processed), settle]).await;
    let fail = Change::Fail(&references[2], &failure, 1);
    after(&flow, failed, &[Change::Claim(failed), fail]).await;
    let fail = Change::Fail(&references[3], &failure, 1);
    let replay = Change::Replay(&references[3], 1, FirstClaim::Stays);
    after(&flow, replayed, &[Change::Claim(replayed), fail, replay]).await;
    let missing = PaymentRef { id: PaymentId::generate(), ..free.reference() };

    let named: Vec<_> = references[..4].iter().chain([&missing]).map(ToString::to_string).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let before = flow.payments().await;
    for mode in [&[][..], &["--execute"]] {
        let (lines, summary, code) = json(&flow, &[&["cancel"], &named[..], mode].concat());
        assert_eq!((code, &summary["payments"]["refused"]), (1, &5.into()), "{lines:#?}");
        for (line, why) in
            lines.iter().zip(["PENDING", "T-1", "dlq", "replayed", "no such payment"])
        {
            assert!(line["why"].as_str().unwrap().contains(why), "{line}");
        }
        assert_eq!(flow.payments().await, before);
    }
    let reference = free.reference().to_string();
    let output = payments(&flow, &["cancel", &reference, named[0], "--execute"]);
    assert_eq!(output.status.code(), Some(1), "one was refused");
    assert_eq!(flow.count(Status::Cancelled).await, 1, "and the other one cancelled");
    assert_eq!(payments(&flow, &["cancel", "no/reference"]).status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_listed_by_account_and_by_day_page_by_page() {
    let mut flow = Flow::start(Faults::default()).await;
    flow.schedule(40, 4).await;
    let mut example = flow.payments().await.remove(0).payment;
    let day = example.due;
    (example.id, example.due) = (PaymentId::generate(), day.days_after(3));
    (example.amount, example.currency) = ("1250".parse().unwrap(), "JPY".parse().unwrap());
    example.data = Some(DataBlob::new("two\nlines").unwrap().into());
    flow.table.insert(std::slice::from_ref(&example)).await.unwrap();
    let (account, from) = (example.account.to_string(), day.to_string());

    let upcoming = ["upcoming", "--account", &account, "--from", &from];
    let (lines, summary, code) = json(&flow, &upcoming);
    assert_eq!((code, lines.len(), &summary["whole"]), (0, 11, &true.into()));
    let last = &lines[10];
    assert_eq!(
        (&last["PaymentID"], &last["Currency"]),
        (&example.id.to_string().into(), &"JPY".into())
    );
    let amount = lines[0]["Amount"].as_i64().unwrap();
    let (first, summary, _) = json(&flow, &[&upcoming[..], &["--limit", "4"]].concat());
    let cursor = summary["cursor"].as_str().unwrap();
    let (rest, summary, _) = json(&flow, &[&upcoming[..], &["--cursor", cursor]].concat());
    assert_eq!(([first, rest].concat(), &summary["whole"]), (lines, &true.into()));
    let (lines, ..) = json(&flow, &[&upcoming[..], &["--days", "3"]].concat());
    assert_eq!(lines.len(), 10, "the fourth day does not belong to three days");
    let table = payments(&flow, &upcoming);
    let table = String::from_utf8(table.stdout).unwrap();
    let euros = format!("{}.{:02} EUR", amount / 100, amount % 100);
    assert!(table.contains("1250 JPY") && table.contains(&euros), "{table}");

    let claim = flow.payments().await.into_iter().find(|s| s.payment.due == day).unwrap();
    after(&flow, &claim.payment, &[Change::Claim(&claim.payment)]).await;
    let due = ["due", "--date", &from, "--status", "SCHEDULED"];
    let (all, summary, code) = json(&flow, &due);
    assert_eq!((code, all.len(), &summary["payments"]), (0, 39, &39.into()));
    let (counted, summary, _) = json(&flow, &[&due[..], &["--count"]].concat());
    assert_eq!((counted.len(), &summary["payments"]), (0, &39.into()));
    let (first, summary, _) = json(&flow, &[&due[..], &["--limit", "25"]].concat());
    let cursor = summary["cursor"].as_str().unwrap();
    let (rest, ..) = json(&flow, &[&due[..], &["--cursor", cursor]].concat());
    assert_eq!([first, rest].concat(), all);
    let (detailed, ..) = json(&flow, &[&due[..], &["--details"]].concat());
    assert_eq!(detailed.len(), 39);
    for (plain, detailed) in all.iter().zip(&detailed) {
        assert_eq!(plain["PaymentID"], detailed["PaymentID"]);
        assert!(detailed["Amount"].is_number() && plain["Amount"].is_null());
    }
    let other = ["due", "--date", &from, "--status", "PENDING"];
    assert_eq!(json(&flow, &other).0.len(), 1);
    for bad in [&[&other[..], &["--cursor", cursor]].concat()[..], &["due", "--date", &from]] {
        assert_eq!(payments(&flow, bad).status.code(), Some(64), "{bad:?}");
    }

    let shown = payments(&flow, &["show", &example.reference().to_string()]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("1250 JPY (1250)") && shown.contains(r"two\nlines"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_ends_a_list_in_order() {
    let mut flow = Flow::start(Faults::default()).await;
    // More than the pipe and its reader's buffer hold.
    flow.schedule(2_000, 4).await;
    let date = flow.payments().await[0].payment.due.to_string();
    for details in [&[][..], &["--details"]] {
        let mut child = Command::new(DUEFLOW)
            .args(["payments", "due", "--json", "--date", &date, "--status", "SCHEDULED"])
            .args(details)
            .envs(flow.world.environment())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("SCHEDULED"), "{line}");
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(child.wait().unwrap().success() && errors.is_empty(), "{errors}");
    }
}
