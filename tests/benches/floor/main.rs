//! What dueflow's logic costs: the product beside bare loops that make the same requests, from a
//! backlog, in alternating pairs against the same local services.
//!
//! `cargo bench -p tests --bench floor -- 20000 6` (5,000 payments and one pair by default)

mod bare_loop;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use demo::local_world::{Process, SERVICES, World, temporary_folder, usage_of};
use demo::{SchedulePlan, schedule};
use domain::Status;
use jiff::Timestamp;
use local::LocalOptions;
use local::transactions::Faults;
use shared::payments::PaymentsTable;
use shared::telemetry::Samples;
use shared::telemetry::calls::{SQS_REQUESTS, WRITE_UNITS};
use tokio::time::Instant;

/// Payments of an account.
const PER_ACCOUNT: u32 = 10;
/// Time between two looks at what the last stage has done.
const LOOK: Duration = Duration::from_millis(500);
/// A run that stands still for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // A test runner asks for names before it runs anything.
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    if let Some(ended) = arguments.first().and_then(|stage| bare_loop::main(stage)) {
        return ended;
    }
    let numbers: Vec<u32> = arguments.iter().filter_map(|number| number.parse().ok()).collect();
    let payments = numbers.first().copied().unwrap_or(5_000);
    let pairs = numbers.get(1).copied().unwrap_or(1);
    match measure(payments, pairs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn measure(payments: u32, pairs: u32) -> anyhow::Result<()> {
    let product = PathBuf::from(env!("CARGO_BIN_EXE_dueflow-under-test"));
    let floor = std::env::current_exe()?;
    let mut ratios = Ratios::default();
    for pair in 0..pairs {
        let [of_product, of_floor] = if pair % 2 == 0 {
            let first = run(&product, payments).await?;
            [first, run(&floor, payments).await?]
        } else {
            let first = run(&floor, payments).await?;
            [run(&product, payments).await?, first]
        };
        println!("product  {of_product}");
        println!("floor    {of_floor}");
        ratios.note(&of_product, &of_floor);
    }
    println!("product to floor, median of {pairs} pairs: {ratios}");
    Ok(())
}

/// What one run took, per payment where it can be.
#[derive(Debug, Clone, Copy)]
struct Measured {
    per_second: f64,
    /// CPU seconds per 1,000 payments.
    services: f64,
    outside: f64,
    sqs_requests: f64,
    write_units: f64,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { per_second, services, outside, sqs_requests, write_units } = self;
        write!(
            f,
            "{per_second:>6.0}/s; CPU per 1,000: services {services:.3} s, outside world \
             {outside:.3} s; per payment: {sqs_requests:.3} requests to SQS, {write_units:.2} \
             write units"
        )
    }
}

/// Ratios of pairs.
#[derive(Debug, Default)]
struct Ratios {
    rate: Vec<f64>,
    services: Vec<f64>,
    outside: Vec<f64>,
}

impl Ratios {
    fn note(&mut self, product: &Measured, floor: &Measured) {
        self.rate.push(product.per_second / floor.per_second);
        self.services.push(product.services / floor.services);
        self.outside.push(product.outside / floor.outside);
    }
}

impl std::fmt::Display for Ratios {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let median = |ratios: &[f64]| {
            let mut ratios = ratios.to_vec();
            ratios.sort_by(f64::total_cmp);
            let (low, high) = (ratios.first().copied(), ratios.last().copied());
            let median = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
            format!("{median:.2} ({:.2} to {:.2})", low.unwrap_or(0.0), high.unwrap_or(0.0))
        };
        let (rate, services) = (median(&self.rate), median(&self.services));
        write!(f, "rate {rate}, CPU of the services {services}, ")?;
        write!(f, "of the outside world {}", median(&self.outside))
    }
}

/// Schedules payments, starts the three stages from `executable` and waits until all are
/// PROCESSED.
async fn run(executable: &Path, payments: u32) -> anyhow::Result<Measured> {
    let dir = temporary_folder()?;
    let options = LocalOptions::passing(dir.path(), Faults::default());
    let names = "dueflow".parse().map_err(anyhow::Error::msg)?;
    let world = World::start(options, names, executable.to_owned()).await?;
    let client = world.aws.dynamodb("bench");
    let table = Arc::new(PaymentsTable::new(client, &world.names.payments_table(), 16));
    let plan = SchedulePlan { payments, accounts: (payments / PER_ACCOUNT).max(1), rate: None };
    schedule(Arc::clone(&table), plan, Arc::default()).await?;

    let cpu = || usage_of("self").map(|usage| usage.cpu).unwrap_or_default();
    let (began, before) = (Timestamp::now(), cpu());
    let mut stages = Vec::new();
    for stage in SERVICES {
        stages.push(world.spawn(stage, stage, &[])?);
    }
    for stage in &mut stages {
        stage.ready().await?;
    }
    let [relay, dispatcher, confirmer] = &mut stages[..] else { unreachable!("three stages") };
    until_written(confirmer, payments).await?;
    let outside = cpu() - before;
    let samples = [relay.samples().await?, dispatcher.samples().await?, confirmer.samples().await?];
    let used = [&*relay, dispatcher, confirmer].map(|stage| stage.usage().unwrap_or_default().cpu);
    let ended = last_end(&table, payments).await?;
    for stage in stages {
        ensure!(stage.stop().await?.success(), "a stage failed; see the logs in {:?}", world.dir);
    }
    let per_payment =
        |name| samples.iter().map(|s| Samples::sum(s, name)).sum::<f64>() / f64::from(payments);
    let per_thousand = |cpu: Duration| cpu.as_secs_f64() * 1_000.0 / f64::from(payments);
    let seconds = ended.duration_since(began).as_secs_f64();
    world.local.stop().await?;
    Ok(Measured {
        per_second: f64::from(payments) / seconds,
        services: per_thousand(used.iter().sum()),
        outside: per_thousand(outside),
        sqs_requests: per_payment(SQS_REQUESTS.name),
        write_units: per_payment(WRITE_UNITS.name),
    })
}

/// Waits until the confirmer has written as much as every settlement costs.
async fn until_written(confirmer: &mut Process, payments: u32) -> anyhow::Result<()> {
    let (mut last, mut moved) = (0.0, Instant::now());
    loop {
        // Two write units each: table and index.
        let settled = confirmer.samples().await?.sum(WRITE_UNITS.name) / 2.0;
        if settled >= f64::from(payments) {
            return Ok(());
        }
        if settled > last {
            (last, moved) = (settled, Instant::now());
        }
        ensure!(moved.elapsed() < PATIENCE, "{settled} of {payments} are settled, and no more");
        tokio::time::sleep(LOOK).await;
    }
}

/// When the last payment was PROCESSED: all must be.
async fn last_end(table: &PaymentsTable, payments: u32) -> anyhow::Result<Timestamp> {
    let (mut last, mut count, mut cursor) = (None, 0, None);
    loop {
        let (page, next) = table.scan_page(cursor).await?;
        let processed = page.iter().filter(|stored| stored.status == Status::Processed);
        for stored in processed {
            count += 1;
            last = last.max(Some(stored.updated_at));
        }
        cursor = next;
        if cursor.is_none() {
            ensure!(count == payments, "{count} of {payments} are PROCESSED");
            return last.context("no payment");
        }
    }
}
