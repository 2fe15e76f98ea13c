//! `dueflow dlq discard`, `show`, `export` and `list --group` as processes.

use std::process::Command;

use domain::{FailureCode, Outcome, Payment, Status};
use jiff::{SignedDuration, Timestamp};
use local::transactions::{Faults, Journal};
use serde_json::Value;
use shared::payments::{Change, PaymentStore};
use shared::queue::{DeadLetterQueue, DeadLetterSource, Producer};
use shared::transaction::TransactionService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dlq::{ByHand, dlq, line_of, status, summary, transactions, until_letters};
use crate::failures::letters;
use crate::flow::{DUEFLOW, Flow, stop};

/// Payments, each of an account of its own.
async fn payments<const N: usize>(flow: &mut Flow) -> [Payment; N] {
    let count = u32::try_from(N).unwrap();
    flow.schedule(count, count).await;
    let all: Vec<_> = flow.payments().await.into_iter().map(|s| s.payment).collect();
    all.try_into().unwrap()
}

const BECAUSE: [&str; 2] = ["--because", "the owner has withdrawn it"];

fn discard(flow: &Flow, arguments: &[&str]) -> (Vec<Value>, i32) {
    dlq(flow, &[&["discard"], arguments, &BECAUSE].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_settled_is_confirmed_and_the_rest_is_cancelled_or_refused_for_want_of_evidence() {
    let mut flow = Flow::start(Faults::default()).await;
    let [settled, forgotten, open] = payments(&mut flow).await;
    let now = Timestamp::now();
    let long_ago = now - SignedDuration::from_hours(30);
    let outcome = transactions(&flow).submit(&settled).await;
    assert!(matches!(outcome, Outcome::Settled(_)), "{outcome:?}");
    ByHand { code: FailureCode::Unknown, claimed_at: long_ago }.fail(&flow, &settled).await;
    ByHand { code: FailureCode::Unknown, claimed_at: long_ago }.fail(&flow, &forgotten).await;
    ByHand { code: FailureCode::Exhausted, claimed_at: now }.fail(&flow, &open).await;

    let (lines, code) = discard(&flow, &["--older-than", "0s"]);
    assert_eq!(code, 1, "{lines:#?}");
    assert_eq!(line_of(&lines, &open)["state"], "planned", "{lines:#?}");
    assert_eq!(flow.count(Status::Failed).await, 3, "a dry run changed something");
    until_letters(&flow, 3);

    let (lines, code) = discard(&flow, &["--older-than", "0s", "--execute"]);
    assert_eq!(code, 1, "{lines:#?}");
    let why = |payment| line_of(&lines, payment)["why"].as_str().unwrap();
    assert!(why(&settled).starts_with("it was settled as "), "{lines:#?}");
    assert!(why(&forgotten).contains("--evidence"), "{lines:#?}");
    assert_eq!(line_of(&lines, &open)["action"], "discard", "{lines:#?}");
    assert_eq!(status(&flow, &open.reference()).await, Status::Cancelled);
    assert_eq!(status(&flow, &forgotten.reference()).await, Status::Failed);
    until_letters(&flow, 1);

    let evidence = ["--reason", "unknown", "--evidence", "the books have nothing", "--execute"];
    let (lines, code) = discard(&flow, &evidence);
    assert_eq!((code, &summary(&lines)["actions"]["discard"]), (0, &1.into()), "{lines:#?}");
    assert_eq!(status(&flow, &forgotten.reference()).await, Status::Cancelled);

    let services = vec![flow.service("dispatcher").await, flow.service("confirmer").await];
    flow.until(Status::Processed, 1).await;
    stop(services).await;
    assert_eq!(Journal::read(flow.world.local.journal()).count(), 1, "settled twice");
    until_letters(&flow, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discard_that_died_before_it_deleted_the_message_is_finished_by_the_next() {
    let mut flow = Flow::start(Faults::default()).await;
    let [payment] = payments(&mut flow).await;
    let now = Timestamp::now();
    ByHand { code: FailureCode::Rejected, claimed_at: now }.fail(&flow, &payment).await;
    let reference = payment.reference();
    let write = [Change::Discard(&reference, 1)];
    flow.table.apply(&write, now).await.unwrap().remove(0).unwrap();
    until_letters(&flow, 1);

    let (lines, code) = discard(&flow, &[&reference.to_string(), "--execute"]);
    assert_eq!((code, &lines[0]["action"]), (0, &"close".into()), "{lines:#?}");
    assert_eq!(status(&flow, &reference).await, Status::Cancelled);
    until_letters(&flow, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_transaction_service_gives_no_answer_about_stays_as_it_is() {
    let mut flow = Flow::start(Faults { unavailable: 1.0, ..Faults::default() }).await;
    let [payment] = payments(&mut flow).await;
    let now = Timestamp::now();
    ByHand { code: FailureCode::Exhausted, claimed_at: now }.fail(&flow, &payment).await;
    let arguments = ["--reason", "exhausted", "--evidence", "the books", "--execute"];
    let (lines, code) = discard(&flow, &arguments);
    assert_eq!((code, &lines[0]["state"]), (1, &"refused".into()), "{lines:#?}");
    assert_eq!(status(&flow, &payment.reference()).await, Status::Failed);
    until_letters(&flow, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_payment_is_deleted_by_its_id_and_a_conflict_never() {
    let flow = Flow::start(Faults::default()).await;
    let names = &flow.world.names;
    let producer = Producer::open(&flow.world.aws, names.dead_letter_queue()).await.unwrap();
    let queue = DeadLetterQueue::new(producer, "dispatcher");
    for code in [FailureCode::MalformedMessage, FailureCode::Conflict] {
        let failure = domain::Failure::new(code, "by hand");
        let source = DeadLetterSource::Message("m");
        queue.send_unreadable(source, "{}".to_owned(), failure).await.unwrap();
    }
    let (lines, code) = discard(&flow, &["--text", "by hand", "--execute"]);
    assert_eq!((code, &summary(&lines)["refused"]), (1, &2.into()), "{lines:#?}");
    let (lines, _) = dlq(&flow, &["list"]);
    let ids: Vec<_> = lines[..2].iter().map(|line| line["message_id"].as_str().unwrap()).collect();
    let (lines, code) = discard(&flow, &[ids[0], ids[1], "no-such-message", "--execute"]);
    assert_eq!((code, &summary(&lines)["actions"]["delete"]), (1, &1.into()), "{lines:#?}");
    assert_eq!(summary(&lines)["refused"], 2, "{lines:#?}");
    let left = letters(&flow, 1).await;
    assert_eq!(left[0].failure.code, FailureCode::Conflict);
}

/// The standard output of a `dueflow dlq …` without `--json`, and its exit status.
fn for_people(flow: &Flow, arguments: &[&str]) -> (String, i32) {
    let command =
        Command::new(DUEFLOW).arg("dlq").args(arguments).envs(flow.world.environment()).output();
    let output = command.unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_shown_grouped_and_exported_and_stay_as_they_are() {
    let mut flow = Flow::start(Faults::default()).await;
    let all: [Payment; 3] = payments(&mut flow).await;
    let now = Timestamp::now();
    for (payment, code) in
        all.iter().zip([FailureCode::Rejected, FailureCode::Rejected, FailureCode::Unknown])
    {
        ByHand { code, claimed_at: now }.fail(&flow, payment).await;
    }
    let reference = all[0].reference().to_string();
    let (lines, code) = dlq(&flow, &["show", &reference]);
    let shown = &lines[0];
    assert_eq!((code, &shown["reference"]), (0, &reference.clone().into()), "{shown:#}");
    assert_eq!(shown["dead_letters"][0]["code"], "rejected", "{shown:#}");
    assert_eq!(shown["payment"]["table"]["Status"], "FAILED", "{shown:#}");
    assert_eq!(shown["payment"]["archive"], Value::Null, "{shown:#}");
    let service = shown["payment"]["transaction_service"].as_str().unwrap();
    assert!(service.starts_with("nothing was settled"), "{shown:#}");
    let message = shown["dead_letters"][0]["message_id"].as_str().unwrap();
    for name in [message, &all[0].id.to_string()] {
        let (text, code) = for_people(&flow, &["show", name]);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("payments table") && text.contains("FAILED"), "{text}");
    }
    let (text, code) = for_people(&flow, &["show", "no-such-message"]);
    assert_eq!((code, text.as_str()), (1, ""));

    let (lines, code) = dlq(&flow, &["list", "--group"]);
    assert_eq!((code, &lines[0]["letters"]), (0, &2.into()), "{lines:#?}");
    let (text, _) = for_people(&flow, &["list", "--limit", "1"]);
    assert!(text.contains("and 2 dead letters more"), "{text}");
    let (lines, _) = dlq(&flow, &["list", "--attempts", "1", "--source", "payments"]);
    assert_eq!(summary(&lines)["letters"], 0, "the test has written them: {lines:#?}");
    let (lines, _) = dlq(&flow, &["list", "--attempts", "1..2"]);
    assert_eq!(summary(&lines)["letters"], 3, "{lines:#?}");
    let (lines, _) = dlq(&flow, &["list", "--attempts", "2.."]);
    assert_eq!(summary(&lines)["letters"], 0, "{lines:#?}");

    let (text, code) = for_people(&flow, &["export", "--reason", "rejected"]);
    let exported: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, exported.len()), (0, 2), "{text}");
    until_letters(&flow, 3);
    assert_eq!(flow.count(Status::Failed).await, 3);
    assert_eq!(Journal::read(flow.world.local.journal()).count(), 0, "money moved");
}

/// STS as far as `GetCallerIdentity` goes.
async fn sts() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/ana</Arn>\
                <UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
                <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\
                </GetCallerIdentityResponse>";
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close\r\n";
            let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            let mut request = [0; 8_192];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_changed_what_and_why_is_in_the_action_log_and_a_dry_run_is_not() {
    let mut flow = Flow::start(Faults::default()).await;
    let [given_up, cancelled] = payments(&mut flow).await;
    let now = Timestamp::now();
    ByHand { code: FailureCode::Rejected, claimed_at: now }.fail(&flow, &given_up).await;
    let (reference, other) = (given_up.reference().to_string(), cancelled.reference().to_string());
    discard(&flow, &[&reference]);
    let (lines, _) = dlq(&flow, &["log"]);
    assert_eq!(summary(&lines)["entries"], 0, "a dry run was written down: {lines:#?}");

    let run = |arguments: &[&str], sts: Option<&str>| {
        let mut command = Command::new(DUEFLOW);
        command.args(arguments).envs(flow.world.environment()).env("USER", "ana");
        command.envs(sts.map(|sts| ("AWS_ENDPOINT_URL_STS", sts)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let sts = sts().await;
    let discarding = [&["dlq", "discard", &reference, "--execute"][..], &BECAUSE].concat();
    run(&discarding, Some(&sts));
    run(&["payments", "cancel", &other, "--because", "a wrong row", "--execute"], None);
    run(&["dispatch", "stop", "--reason", "a test"], None);

    let (lines, code) = dlq(&flow, &["log"]);
    // The last first: two entries of the stop, three of each other command.
    assert_eq!((code, &summary(&lines)["entries"]), (0, &8.into()), "{lines:#?}");
    let of = |command: &str, stage: &str| {
        let is_it = |line: &&Value| line["command"] == command && line["stage"] == stage;
        lines.iter().find(is_it).unwrap_or_else(|| panic!("{command} {stage}: {lines:#?}"))
    };
    let discarded = of("dlq discard", "payment");
    assert_eq!(discarded["caller_arn"], "arn:aws:iam::123456789012:user/ana");
    assert_eq!(
        (&discarded["what"], &discarded["because"]),
        (&reference.into(), &BECAUSE[1].into())
    );
    assert!(discarded["outcome"].as_str().unwrap().starts_with("discard: "), "{discarded:#}");
    assert_eq!(of("dlq discard", "ended")["outcome"], "1 discard");
    let claimed = of("payments cancel", "payment");
    assert_eq!((&claimed["caller_arn"], &claimed["claimed_user"]), (&Value::Null, &"ana".into()));
    assert_eq!((&claimed["what"], &claimed["because"]), (&other.into(), &"a wrong row".into()));
    assert_eq!(of("dispatch stop", "began")["because"], "a test");
    let (text, _) = for_people(&flow, &["log", "--limit", "3"]);
    assert!(text.contains("unknown (claims to be ana)"), "{text}");
    assert!(text.contains("and 5 more entries"), "{text}");
}
