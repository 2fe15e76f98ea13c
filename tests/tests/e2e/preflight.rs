//! `dueflow preflight` as a process: over a whole world, and over one that breaks.

use std::process::Command;
use std::time::Instant;

use aws_sdk_sqs::types::QueueAttributeName;
use domain::{DueDate, Status};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use local::transactions::{Availability, Faults};
use serde_json::Value;
use shared::setup::set_up;

use crate::flow::{DUEFLOW, Flow, stop};

/// What one preflight has printed.
struct Printed {
    whole: Value,
    status: i32,
}

impl Printed {
    fn of(flow: &Flow, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let output = Command::new(DUEFLOW)
            .args(["preflight", "--json"])
            .args(arguments)
            .envs(flow.world.environment())
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.is_empty(), "{errors}");
        let whole = serde_json::from_slice(&output.stdout).unwrap();
        Self { whole, status: output.status.code().unwrap() }
    }

    /// The findings of one check.
    fn of_check(&self, check: &str) -> Vec<&Value> {
        let findings = self.whole["findings"].as_array().unwrap().iter();
        findings.filter(|finding| finding["check"] == check).collect()
    }

    /// The checks with this result.
    fn checks(&self, result: &str) -> Vec<&str> {
        let findings = self.whole["findings"].as_array().unwrap().iter();
        let with = findings.filter(|finding| finding["verdict"] == result);
        with.map(|finding| finding["check"].as_str().unwrap()).collect()
    }

    /// Expects that just these checks say no-go, with the exit status that goes with it, and
    /// that one of their figures has `words` in it.
    fn assert_no_go(&self, checks: &[&str], words: &str) {
        assert_eq!(self.checks("no-go"), checks, "{:#}", self.whole);
        assert_eq!((self.status, &self.whole["verdict"]), (1, &"no-go".into()));
        let figures = checks.iter().flat_map(|check| self.of_check(check));
        let mut figures = figures.map(|finding| finding["figure"].as_str().unwrap());
        assert!(figures.any(|figure| figure.contains(words)), "{words}: {:#}", self.whole);
    }
}

/// The options with which dispatcher and confirmer are asked.
fn admins(flow: &Flow) -> Vec<String> {
    let urls = ["dispatcher", "confirmer"].map(|name| {
        let file = flow.world.dir.join(format!("{name}.address"));
        format!("--admin=http://{}", std::fs::read_to_string(file).unwrap().trim())
    });
    urls.into()
}

async fn queue_url(flow: &Flow, name: String) -> String {
    let sqs = flow.world.aws.sqs("test");
    sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

async fn set(flow: &Flow, queue: &str, attribute: QueueAttributeName, value: &str) {
    let request = flow.world.aws.sqs("test").set_queue_attributes().queue_url(queue);
    request.attributes(attribute, value).send().await.unwrap();
}

/// Imports so many payments of one account, due yesterday.
fn import_for_yesterday(flow: &Flow, payments: usize, account: &str) {
    let yesterday = DueDate::today(Timestamp::now(), &TimeZone::UTC).days_before(1);
    let row = format!("{account},{yesterday},1250,EUR,BEN-1\n");
    let header = "AccountID,ScheduledDate,Amount,Currency,BeneficiaryID\n";
    let file = flow.world.dir.join(format!("{account}.csv"));
    std::fs::write(&file, format!("{header}{}", row.repeat(payments))).unwrap();
    let mut import = Command::new(DUEFLOW);
    import.args(["payments", "import", "--allow-past"]).arg(file).envs(flow.world.environment());
    assert!(import.output().unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_world_is_go_and_whatever_breaks_in_it_is_the_no_go_of_its_own_line() {
    let flow = Flow::start(Faults::default()).await;
    let services = flow.services().await;
    let admins = admins(&flow);
    let admins: Vec<&str> = admins.iter().map(String::as_str).collect();

    let whole = Printed::of(&flow, &admins, &[]);
    assert_eq!((whole.status, &whole.whole["verdict"]), (0, &"warn".into()), "{:#}", whole.whole);
    // The local database knows neither warm throughput nor recovery to a point in time.
    assert_eq!(
        whole.checks("warn"),
        ["table", "table", "capacity", "capacity"],
        "{:#}",
        whole.whole
    );
    let strict = Printed::of(&flow, &[&admins[..], &["--strict"]].concat(), &[]);
    assert_eq!(strict.status, 2, "{:#}", strict.whole);

    flow.world
        .local
        .transactions
        .set_faults(Faults { availability: Availability::Down, ..Faults::default() });
    let down = Printed::of(&flow, &admins, &[]);
    down.assert_no_go(&["transaction-service"], "no answer");
    assert_eq!(down.checks("not-checked"), ["concurrency"]);
    flow.world.local.transactions.set_faults(Faults::default());

    let payments = queue_url(&flow, flow.world.names.payments_queue()).await;
    set(&flow, &payments, QueueAttributeName::FifoThroughputLimit, "perQueue").await;
    set(&flow, &payments, QueueAttributeName::RedrivePolicy, "").await;
    let changed = Printed::of(&flow, &admins, &[]);
    changed.assert_no_go(&["queue", "queue"], "FifoThroughputLimit is perQueue");
    changed.assert_no_go(&["queue", "queue"], "no redrive");
    set_up(&flow.world.aws, &flow.world.names).await.unwrap();

    let dead_letters = queue_url(&flow, flow.world.names.dead_letter_queue()).await;
    let sqs = flow.world.aws.sqs("test");
    let letter = sqs.send_message().queue_url(&dead_letters).message_body("{}");
    letter.message_group_id("a").message_deduplication_id("1").send().await.unwrap();
    Printed::of(&flow, &admins, &[]).assert_no_go(&["dead-letters"], "1 dead letter");
    sqs.purge_queue().queue_url(&dead_letters).send().await.unwrap();

    let mended = Printed::of(&flow, &admins, &[]);
    assert_eq!(
        (mended.status, &mended.whole["verdict"]),
        (0, &"warn".into()),
        "{:#}",
        mended.whole
    );
    stop(services).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_is_a_no_go_and_what_is_left_or_skewed_is_counted() {
    let mut flow = Flow::start(Faults::default()).await;
    let mut services = flow.services().await;
    import_for_yesterday(&flow, 3, "ACC-PAID");
    flow.until(Status::Processed, 3).await;
    // Dispatcher and confirmer are not asked: they cannot be seen from outside.
    let paid = Printed::of(&flow, &[], &[]);
    assert_eq!(
        paid.checks("warn"),
        ["table", "table", "capacity", "capacity", "services", "archive"]
    );
    let archive = paid.of_check("archive")[0];
    assert!(archive["figure"].as_str().unwrap().starts_with("3 payments of "), "{archive}");
    assert!(archive["remedy"].as_str().unwrap().starts_with("dueflow archive run --date "));

    services.remove(0).kill().await.unwrap();
    import_for_yesterday(&flow, 2, "ACC-LEFT");
    // One of each of 64 accounts, and 200 more of the first.
    flow.schedule(64, 64).await;
    flow.schedule(200, 1).await;
    let asked_at = Instant::now();
    let killed = Printed::of(&flow, &["--payments", "1000", "--minutes", "1"], &[]);
    killed.assert_no_go(&["relays"], "0 relays alive");
    let unfinished = killed.of_check("unfinished")[0];
    assert!(unfinished["figure"].as_str().unwrap().starts_with("2 payments of the 16 days"));
    let skew = killed.of_check("skew")[0]["figure"].as_str().unwrap();
    assert!(skew.starts_with("264 payments SCHEDULED for "), "{skew}");
    let largest = killed.of_check("largest-account")[0]["figure"].as_str().unwrap();
    assert!(largest.starts_with("ACC-000000: 201 payments"), "{largest}");
    assert!(asked_at.elapsed().as_secs() < 60, "every reader has its deadline");
    stop(services).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_aws_one_line_is_no_go_and_the_others_say_that_they_were_not_checked() {
    let flow = Flow::start(Faults::default()).await;
    let nowhere = "http://127.0.0.1:1";
    let environment = [("AWS_ENDPOINT_URL_DYNAMODB", nowhere), ("AWS_ENDPOINT_URL_SQS", nowhere)];
    let without = Printed::of(&flow, &[], &environment);
    without.assert_no_go(&["aws"], "DynamoDB cannot be used");
    let not_checked = [
        "table",
        "capacity",
        "queue",
        "dead-letters",
        "backlog",
        "dispatching",
        "skew",
        "largest-account",
        "relays",
        "archive",
        "unfinished",
        "forgotten",
    ];
    assert_eq!(without.checks("not-checked"), not_checked, "{:#}", without.whole);

    let people = Command::new(DUEFLOW)
        .arg("preflight")
        .envs(flow.world.environment())
        .envs(environment)
        .output()
        .unwrap();
    let lines = String::from_utf8(people.stdout).unwrap();
    assert_eq!(people.status.code(), Some(1));
    assert!(lines.contains("✗ no-go       aws "), "{lines}");
    assert!(!lines.contains('\x1b'), "colour where there is no terminal: {lines}");
}
