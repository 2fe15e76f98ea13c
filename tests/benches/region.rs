//! What the way to an AWS region costs: `DynamoDB` and SQS stand behind proxies that delay each
//! answer, by up to 10 and up to 40 ms, and the transaction service takes 200 ms.
//!
//! `cargo bench -p tests --bench region -- [relay|dispatch|catch-up] [PAYMENTS]`
//!
//! | part | shows | payments by default |
//! |---|---|---|
//! | `relay` | what the relay adds, from insertion to the queue, at 1,000 inserts a second | 30,000 |
//! | `dispatch` | the rate of one dispatcher process with default settings, and of two | 20,000 |
//! | `catch-up` | how long a relay takes for what was inserted while none ran | 50,000 |

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use demo::local_world::{Process, World, temporary_folder};
use demo::{SchedulePlan, schedule};
use domain::Payment;
use jiff::Timestamp;
use local::LocalOptions;
use local::transactions::Faults;
use shared::payments::PaymentsTable;
use shared::queue::{QueueApi, SqsQueue};
use tempfile::TempDir;
use tests::counters::Counter;
use tests::proxy::{Proxy, Service};
use tokio::time::Instant;

/// Longest delay of an answer of `DynamoDB` and of SQS. They are spread evenly from nothing on, on
/// top of what the local service takes.
const DELAYS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(40)];
/// What the transaction service takes.
const LATENCY: Duration = Duration::from_millis(200);
/// Payments of an account.
const PER_ACCOUNT: u32 = 10;
/// Inserts a second while the relay is measured.
const INSERTS: u32 = 1_000;
/// A counter that stands still for so long: longer than the relay holds records back.
const PATIENCE: Duration = Duration::from_secs(300);
/// What a relay has read, and queued before it counts it.
const FORWARDED: Counter =
    Counter { name: "dueflow_stream_relay_records_total", patience: PATIENCE };
/// What the confirmer has settled.
const SETTLED: Counter =
    Counter { name: "dueflow_confirmer_payments_settled_total", patience: PATIENCE };

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    // cargo adds --bench; a test runner asks for names before it runs anything.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return Ok(());
    }
    let payments = arguments.iter().find_map(|argument| argument.parse().ok());
    let part = arguments.iter().find(|argument| argument.parse::<u32>().is_err());
    let part = part.map(String::as_str);
    if let Some(other) = part.filter(|part| !["relay", "dispatch", "catch-up"].contains(part)) {
        bail!("{other:?} is neither relay, dispatch nor catch-up");
    }
    let wanted = |name| part.is_none_or(|part| part == name);
    if wanted("relay") {
        relay(payments.unwrap_or(30_000)).await?;
    }
    if wanted("dispatch") {
        for dispatchers in [1, 2] {
            dispatch(dispatchers, payments.unwrap_or(20_000)).await?;
        }
    }
    if wanted("catch-up") {
        catch_up(payments.unwrap_or(50_000)).await?;
    }
    Ok(())
}

/// A world far away.
struct Region {
    world: World,
    table: Arc<PaymentsTable>,
    settings: [(&'static str, String); 3],
    _proxies: [Proxy; 2],
    _dir: TempDir,
}

impl Region {
    async fn start() -> anyhow::Result<Self> {
        let dir = temporary_folder()?;
        let faults = Faults { latency: LATENCY, ..Faults::default() };
        let names = "dueflow".parse().map_err(anyhow::Error::msg)?;
        let executable = PathBuf::from(env!("CARGO_BIN_EXE_dueflow-under-test"));
        let options = LocalOptions::passing(dir.path(), faults);
        let world = World::start(options, names, executable).await?;
        let [dynamodb, sqs] = DELAYS;
        let proxies = [
            Proxy::late(Service::DynamoDb, world.local.dynamodb.endpoint(), dynamodb).await?,
            Proxy::late(Service::Sqs, world.local.sqs.endpoint(), sqs).await?,
        ];
        let settings = [
            ("AWS_ENDPOINT_URL_DYNAMODB", proxies[0].endpoint()),
            ("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", proxies[0].endpoint()),
            ("AWS_ENDPOINT_URL_SQS", proxies[1].endpoint()),
        ];
        let client = world.aws.dynamodb("bench");
        let table = Arc::new(PaymentsTable::new(client, &world.names.payments_table(), 16));
        Ok(Self { world, table, settings, _proxies: proxies, _dir: dir })
    }

    /// Inserts payments, without a proxy.
    async fn insert(&self, payments: u32, rate: Option<u32>) -> anyhow::Result<()> {
        let accounts = (payments / PER_ACCOUNT).max(1);
        let plan = SchedulePlan { payments, accounts, rate };
        schedule(Arc::clone(&self.table), plan, Arc::default()).await
    }

    async fn service(&self, service: &str, name: &str) -> anyhow::Result<Process> {
        let mut process = self.world.spawn(service, name, &self.settings)?;
        process.ready().await?;
        Ok(process)
    }
}

/// What the relay adds: from the insertion of a payment to its message.
async fn relay(payments: u32) -> anyhow::Result<()> {
    let region = Region::start().await?;
    let relay = region.service("stream-relay", "relay").await?;
    let receiving = received(&region, payments as usize);
    let inserting = region.insert(payments, Some(INSERTS));
    let (inserted, received) = tokio::join!(inserting, receiving);
    inserted?;
    let mut took = received?;
    took.sort_unstable();
    let percentile = |percent: usize| took[(took.len() - 1) * percent / 100];
    let (p50, p99) = (percentile(50), percentile(99));
    relay.stop().await?;
    println!(
        "relay: {payments} payments at {INSERTS} inserts/s, from insertion to the queue p50 {p50} \
         ms, p99 {p99} ms"
    );
    Ok(())
}

/// Takes messages out of the queue and returns how many milliseconds after its insertion each came
/// into it.
async fn received(region: &Region, payments: usize) -> anyhow::Result<Vec<i64>> {
    let (aws, wait) = (&region.world.aws, Duration::from_secs(1));
    let queue = SqsQueue::open(aws, region.world.names.payments_queue(), wait, "bench").await?;
    let mut took = Vec::with_capacity(payments);
    let mut moved = Instant::now();
    while took.len() < payments {
        let messages = queue.receive(wait, Duration::from_secs(600)).await?;
        ensure!(moved.elapsed() < PATIENCE, "{} of {payments} were queued", took.len());
        if messages.is_empty() {
            continue;
        }
        moved = Instant::now();
        for message in &messages {
            let payment: Payment = serde_json::from_str(&message.body)?;
            let queued = message.sent_at.unwrap_or_else(Timestamp::now);
            took.push(queued.as_millisecond() - payment.created_at.as_millisecond());
        }
        let receipts: Vec<_> = messages.iter().map(|m| m.receipt.as_str()).collect();
        queue.delete(&receipts).await?;
    }
    Ok(took)
}

/// The rate of so many dispatcher processes, from a backlog.
async fn dispatch(dispatchers: usize, payments: u32) -> anyhow::Result<()> {
    let region = Region::start().await?;
    region.insert(payments, None).await?;
    let mut services = vec![region.service("stream-relay", "relay").await?];
    for number in 1..=dispatchers {
        services.push(region.service("dispatcher", &format!("dispatcher-{number}")).await?);
    }
    let mut confirmer = region.service("confirmer", "confirmer").await?;
    let began = Instant::now();
    // Without the start, in which the limit of calls grows, and the end, which runs dry.
    let (from, to) = (payments / 5, payments / 10 * 9);
    let (first, first_count) = SETTLED.reach(&mut confirmer, from).await?;
    let (last, last_count) = SETTLED.reach(&mut confirmer, to).await?;
    let (limit, in_hand) = calls_of(&mut services[1..]).await?;
    let (end, _) = SETTLED.reach(&mut confirmer, payments).await?;
    println!(
        "dispatch: {dispatchers} dispatcher(s), {payments} payments: {:.0}/s in the middle, {:.0}/s \
         from the start to the end; calls under way at most {limit:.0}, payments in hand {in_hand:.0}",
        (last_count - first_count) / (last - first).as_secs_f64(),
        f64::from(payments) / (end - began).as_secs_f64(),
    );
    services.push(confirmer);
    for service in services {
        ensure!(service.stop().await?.success(), "a service failed");
    }
    Ok(())
}

/// The limit of concurrent calls of dispatchers, and the payments that they have in hand.
async fn calls_of(dispatchers: &mut [Process]) -> anyhow::Result<(f64, f64)> {
    let (mut limit, mut in_hand) = (0.0, 0.0);
    for dispatcher in dispatchers {
        let samples = dispatcher.samples().await?;
        limit += samples.sum("dueflow_dispatcher_concurrency_limit");
        in_hand += samples.sum("dueflow_dispatcher_payments_in_hand");
    }
    Ok((limit, in_hand))
}

/// How long a relay takes for what was inserted while none ran.
async fn catch_up(payments: u32) -> anyhow::Result<()> {
    let region = Region::start().await?;
    let inserting = Instant::now();
    region.insert(payments, None).await?;
    let inserted = inserting.elapsed().as_secs_f64();
    let began = Instant::now();
    let mut relay = region.service("stream-relay", "relay").await?;
    let (end, _) = FORWARDED.reach(&mut relay, payments).await?;
    let usage = relay.usage().unwrap_or_default();
    relay.stop().await?;
    println!(
        "catch-up: {payments} payments, inserted within {inserted:.0} s, were queued {:.1} s after \
         the start of a relay; {:.3} CPU s per 1,000, {:.1} MiB",
        (end - began).as_secs_f64(),
        usage.cpu.as_secs_f64() * 1_000.0 / f64::from(payments),
        usage.peak_memory as f64 / 1024.0 / 1024.0,
    );
    Ok(())
}
