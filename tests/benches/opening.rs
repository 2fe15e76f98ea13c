//! At what rate one relay opens a day whose payments were all inserted before it began: with
//! the local services behind proxies that delay nothing, and behind proxies that delay each
//! answer, as the way to an AWS region does.
//!
//! `cargo bench -p tests --bench opening -- 100000` (20,000 payments by default)

use std::path::PathBuf;
use std::time::Duration;

use demo::local_world::{World, temporary_folder};
use demo::{SchedulePlan, schedule};
use local::LocalOptions;
use local::transactions::Faults as NoFaults;
use shared::payments::PaymentsTable;
use tests::counters::Counter;
use tests::proxy::{Proxy, Service};
use tests::world::where_the_day_begins_in;

/// Payments of an account.
const PER_ACCOUNT: u32 = 20;
/// Longest delay of an answer of `DynamoDB` or SQS from far away. They are spread evenly from
/// nothing on, on top of what the local service takes.
const FAR: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(40)];
/// Whatever is waited for has failed when it stands still for so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the relay of the evening has read.
const SEEN: Counter = Counter { name: "dueflow_stream_relay_records_total", patience: PATIENCE };
/// What the relay of the morning has queued.
const OPENED: Counter =
    Counter { name: "dueflow_stream_relay_day_opening_payments_total", patience: PATIENCE };

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
    let dynamodb =
        Proxy::late(Service::DynamoDb, world.local.dynamodb.endpoint(), dynamodb).await?;
    let sqs = Proxy::late(Service::Sqs, world.local.sqs.endpoint(), sqs).await?;

    let table = world.aws.dynamodb("bench");
    let table = PaymentsTable::new(table, &world.names.payments_table(), 16);
    let plan = SchedulePlan { payments, accounts: (payments / PER_ACCOUNT).max(1), rate: None };
    schedule(table.into(), plan, std::sync::Arc::default()).await?;
    let evening = where_the_day_begins_in(3600);
    world.move_to(&evening).await?;
    let zone = ("DUEFLOW_TIME_ZONE", evening);
    let mut evening = world.spawn("stream-relay", "evening", &[zone])?;
    evening.ready().await?;
    SEEN.reach(&mut evening, payments).await?;
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
    let (began, opened) = OPENED.reach(&mut morning, 1).await?;
    let (ended, _) = OPENED.reach(&mut morning, payments).await?;
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
