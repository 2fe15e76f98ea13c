//! How fast dead letters are grouped, planned for and replayed: half of them were rejected once,
//! half have to be asked for at the transaction service. Each account has twenty, of which a list and
//! a dry run see the first ten.
//!
//! `cargo bench -p tests --bench replay -- 100000` (5,000 payments by default)

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use demo::local_world::{World, temporary_folder};
use demo::{SchedulePlan, schedule};
use domain::{Failure, FailureCode, Status};
use jiff::Timestamp;
use local::LocalOptions;
use local::transactions::Faults;
use shared::payments::{Change, PaymentStore, PaymentsTable, StoredPayment};
use shared::queue::{DeadLetter, MAX_BATCH, OutgoingMessage, Producer};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Payments of an account.
const PER_ACCOUNT: u32 = 20;
/// Changes in one request.
const STATEMENTS: usize = 25;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    // A test runner asks for names before it runs anything.
    if std::env::args().any(|argument| argument == "--list") {
        return Ok(());
    }
    let payments = std::env::args().skip(1).find_map(|count| count.parse().ok()).unwrap_or(5_000);
    let dir = temporary_folder()?;
    let options = LocalOptions::passing(dir.path(), Faults::default());
    let names = "dueflow".parse().map_err(anyhow::Error::msg)?;
    let executable = PathBuf::from(env!("CARGO_BIN_EXE_dueflow-under-test"));
    let world = World::start(options, names, executable.clone()).await?;
    let client = world.aws.dynamodb("bench");
    let table = PaymentsTable::new(client, &world.names.payments_table(), 16);
    let table = std::sync::Arc::new(table);
    let plan = SchedulePlan { payments, accounts: (payments / PER_ACCOUNT).max(1), rate: None };
    schedule(table.clone(), plan, std::sync::Arc::default()).await?;
    dead_letter_all(&world, &table).await?;

    for looking in [&["list", "--group"][..], &["replay", "--all"]] {
        let (took, summary) = dlq(&world, &executable, looking).await?;
        println!("dlq {} took {took:.1} s: {summary}", looking.join(" "));
    }
    let (took, summary) = dlq(&world, &executable, &["replay", "--all", "--execute"]).await?;
    let again = count(&table, Status::Scheduled).await?;
    ensure!(again == payments as usize, "{again} of {payments} are SCHEDULED again: {summary}");
    println!(
        "{payments} dead letters replayed in {took:.1} s, {:.0}/s",
        f64::from(payments) / took
    );
    Ok(())
}

/// How long a `dueflow dlq …` takes, and its summary.
async fn dlq(
    world: &World,
    executable: &Path,
    arguments: &[&str],
) -> anyhow::Result<(f64, String)> {
    let began = Instant::now();
    let mut command = Command::new(executable);
    command.arg("dlq").args(arguments).arg("--json").envs(world.environment());
    let running = command.stdout(Stdio::piped()).spawn().context("starting the command")?;
    let ended = tokio::task::spawn_blocking(|| running.wait_with_output()).await??;
    let took = began.elapsed().as_secs_f64();
    let text = String::from_utf8(ended.stdout)?;
    let summary = text.lines().last().unwrap_or_default().to_owned();
    ensure!(ended.status.success(), "{arguments:?} ended with {}: {summary}", ended.status);
    Ok((took, summary))
}

/// All payments of the table.
async fn all(table: &PaymentsTable) -> anyhow::Result<Vec<StoredPayment>> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let (page, next) = table.scan_page(cursor).await?;
        all.extend(page);
        cursor = next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

async fn count(table: &PaymentsTable, status: Status) -> anyhow::Result<usize> {
    Ok(all(table).await?.iter().filter(|stored| stored.status == status).count())
}

/// Has every payment FAIL after one attempt, with a dead letter.
async fn dead_letter_all(
    world: &World,
    table: &std::sync::Arc<PaymentsTable>,
) -> anyhow::Result<()> {
    let mut stored = all(table).await?;
    stored.sort_by(|a, b| {
        (&a.payment.account, a.payment.id).cmp(&(&b.payment.account, b.payment.id))
    });
    let producer = Producer::open(&world.aws, world.names.dead_letter_queue()).await?;
    let mut writing = JoinSet::new();
    for some in stored.chunks(STATEMENTS * MAX_BATCH) {
        let (some, table, producer) = (some.to_vec(), table.clone(), producer.clone());
        writing.spawn(async move { dead_letter(&some, &table, &producer).await });
        if writing.len() >= 4
            && let Some(written) = writing.join_next().await
        {
            written??;
        }
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    Ok(())
}

async fn dead_letter(
    some: &[StoredPayment],
    table: &PaymentsTable,
    producer: &Producer,
) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let failure = |index: usize| {
        let code =
            if index.is_multiple_of(2) { FailureCode::Rejected } else { FailureCode::Exhausted };
        Failure::new(code, "422 limit: for the benchmark")
    };
    let failures: Vec<_> = (0..some.len()).map(failure).collect();
    let references: Vec<_> = some.iter().map(|stored| stored.payment.reference()).collect();
    let claims: Vec<_> = some.iter().map(|stored| Change::Claim(&stored.payment)).collect();
    let fails = references.iter().zip(&failures);
    let fails: Vec<_> =
        fails.map(|(reference, failure)| Change::Fail(reference, failure, 1)).collect();
    for changes in [&claims, &fails] {
        for result in table.apply(changes, now).await? {
            result?;
        }
    }
    let letters = some.iter().zip(failures).map(|(stored, failure)| {
        let payment = stored.payment.clone();
        let (group, deduplication) = (payment.account.to_string(), payment.id.to_string());
        let letter = DeadLetter {
            failure,
            service: "bench".to_owned(),
            at: now,
            payment: Some(payment),
            raw: None,
        };
        let body = serde_json::to_string(&letter)?;
        Ok(OutgoingMessage { group, deduplication, body })
    });
    let letters: Vec<_> = letters.collect::<Result<_, serde_json::Error>>()?;
    producer.send(&letters).await?;
    Ok(())
}
