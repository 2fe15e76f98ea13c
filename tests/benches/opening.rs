//! At what rate one relay opens a day whose payments were all inserted before it began: with
//! the local services behind proxies that delay nothing, and behind proxies that delay each
//! answer, as the way to an AWS region does.
//!
//! `cargo bench -p tests --bench opening -- 100000` (20,000 payments by default)

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use demo::local_world::{Process, World, temporary_folder};
use demo::{SchedulePlan, schedule};
use local::LocalOptions;
use local::transactions::Faults as NoFaults;
use shared::payments::PaymentsTable;
use tests::proxy::{Faults, Proxy, Service, Shares};
use tests::world::where_the_day_begins_in;
use tokio::time::Instant;

/// Payments of an account.
const PER_ACCOUNT: u32 = 20;
/// Longest delay of an answer of `DynamoDB` or SQS from far away. They are spread evenly from
/// nothing on, on top of what the local service takes.
const FAR: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(40)];
/// Whatever is waited for has failed when it stands still for so long.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    // A test runner asks for names before it runs anything.
    if std::env::args().any(|argument| argument == "--list") {
        return Ok(());
    }
    let payments = std::env::args().skip(1).find_map(|count| count.parse().ok()).unwrap_or(20_000);
    open("here", payments, [Duration::ZERO; 2]).await?;
    open("far away", payments, FAR).await
}

/// Schedules payments, lets a relay see them on the evening before, and measures the morning.
async fn open(place: &str, payments: u32, [dynamodb, sqs]: [Duration; 2]) -> anyhow::Result<()> {
    let dir = temporary_folder()?;
    let options = LocalOptions::passing(dir.path(), NoFaults::default());
    let names = "dueflow".parse().map_err(anyhow::Error::msg)?;
    let executable = PathBuf::from(env!("CARGO_BIN_EXE_dueflow-under-test"));
    let world = World::start(options, names, executable).await?;
    let dynamodb = late(Service::DynamoDb, world.local.dynamodb.endpoint(), dynamodb).await?;
    let sqs = late(Service::Sqs, world.local.sqs.endpoint(), sqs).await?;

    let table = world.aws.dynamodb("bench");
    let table = PaymentsTable::new(table, &world.names.payments_table(), 16);
    let plan = SchedulePlan { payments, accounts: (payments / PER_ACCOUNT).max(1), rate: None };
    schedule(table.into(), plan, std::sync::Arc::default()).await?;
    let evening = where_the_day_begins_in(3600);
    world.move_to(&evening).await?;
    let zone = ("DUEFLOW_TIME_ZONE", evening);
    let mut evening = world.spawn("stream-relay", "evening", &[zone])?;
    evening.ready().await?;
    until_counted(&mut evening, "dueflow_stream_relay_records_total", payments).await?;
    evening.stop().await?;

    let morning = where_the_day_begins_in(-1);
    world.move_to(&morning).await?;
    let settings = [
        ("DUEFLOW_TIME_ZONE", morning),
        ("DUEFLOW_OPENING_DELAY", "0s".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint()),
        ("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", dynamodb.endpoint()),
        ("AWS_ENDPOINT_URL_SQS", sqs.endpoint()),
    ];
    let mut morning = world.spawn("stream-relay", "morning", &settings)?;
    morning.ready().await?;
    let began =
        until_counted(&mut morning, "dueflow_stream_relay_day_opening_payments_total", 1).await?;
    let opened = morning.samples().await?.sum("dueflow_stream_relay_day_opening_payments_total");
    let ended =
        until_counted(&mut morning, "dueflow_stream_relay_day_opening_payments_total", payments)
            .await?;
    let usage = morning.usage().unwrap_or_default();
    morning.stop().await?;
    println!(
        "{place:<8} {payments} payments opened, {:.0}/s; CPU of the relay {:.3} s per 1,000, peak memory {:.1} MiB",
        (f64::from(payments) - opened) / (ended - began).as_secs_f64(),
        usage.cpu.as_secs_f64() * 1000.0 / f64::from(payments),
        usage.peak_memory as f64 / 1024.0 / 1024.0,
    );
    Ok(())
}

/// A service whose answers take up to so long.
async fn late(service: Service, endpoint: String, latest: Duration) -> anyhow::Result<Proxy> {
    let proxy = Proxy::start(service, endpoint).await?;
    let shares = Shares { late_answer: 1.0, ..Shares::default() };
    proxy.set_faults(Faults { seed: 1, shares, latest });
    Ok(proxy)
}

/// When a counter had reached `count`.
async fn until_counted(relay: &mut Process, name: &str, count: u32) -> anyhow::Result<Instant> {
    let (mut last, mut moved) = (0.0, Instant::now());
    loop {
        let now = relay.samples().await?.sum(name);
        if now >= f64::from(count) {
            return Ok(Instant::now());
        }
        if now > last {
            (last, moved) = (now, Instant::now());
        }
        ensure!(moved.elapsed() < PATIENCE, "{name} stands at {now} of {count}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
