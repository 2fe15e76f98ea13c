//! The world, its services, and a writer who keeps a backlog standing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use demo::local_world::{Process, World, temporary_folder};
use demo::{SchedulePlan, schedule};
use local::LocalOptions;
use local::transactions::{Availability, Faults, ServiceCapacity};
use shared::payments::PaymentsTable;
use tempfile::TempDir;
use tests::history::{Expect, check, read};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::demands::Demands;
use crate::watch::{Figures, Stretch};

/// Dispatchers that share the work without knowing of each other.
pub(crate) const DISPATCHERS: usize = 2;
/// The service settles at most `WORKERS / LATENCY` payments a second: 40.
const WORKERS: usize = 40;
const LATENCY: Duration = Duration::from_secs(1);
/// Payments scheduled at once, of as many accounts.
const PORTION: u32 = 1_000;
/// How many of a portion are scheduled a second: more than are settled, and not so many that
/// the local database has no time for anything else.
const PACE: u32 = 50;
/// Payments that wait at least.
const BACKLOG: u64 = 2_000;
/// A line is printed so often.
const LINE: usize = 5;
/// Whatever is waited for has failed when it takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

fn bounded(workers: usize) -> Faults {
    let capacity = Some(ServiceCapacity::of(workers));
    Faults { latency: LATENCY, capacity, ..Faults::default() }
}

/// Everything, under load.
pub(crate) struct Load {
    world: World,
    table: Arc<PaymentsTable>,
    relay: Process,
    dispatchers: Vec<Process>,
    confirmer: Process,
    writer: JoinHandle<anyhow::Result<()>>,
    scheduled: Arc<AtomicU64>,
    workers: usize,
    _dir: TempDir,
}

impl Load {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let dir = temporary_folder()?;
        let options = LocalOptions::passing(dir.path(), bounded(WORKERS));
        let executable = PathBuf::from(env!("CARGO_BIN_EXE_dueflow-under-test"));
        let world =
            World::start(options, "dueflow".parse().map_err(anyhow::Error::msg)?, executable)
                .await?;
        let name = world.names.payments_table();
        let table = Arc::new(PaymentsTable::new(world.aws.dynamodb("bench"), &name, 16));
        let scheduled = Arc::new(AtomicU64::new(0));
        fill(&table, &scheduled, BACKLOG, None).await?;
        let mut relay = world.spawn("stream-relay", "stream-relay", &[])?;
        let mut confirmer = world.spawn("confirmer", "confirmer", &[])?;
        let settings = [
            // While the dispatchers find out what the service can take, calls queue.
            ("DUEFLOW_TRANSACTION_TIMEOUT", "15s".to_owned()),
            // The floors of all together must lie below what half the workers can take.
            ("DUEFLOW_DISPATCHER_MIN_CONCURRENCY", "4".to_owned()),
        ];
        let mut dispatchers = Vec::new();
        for number in 1..=DISPATCHERS {
            dispatchers.push(world.spawn(
                "dispatcher",
                &format!("dispatcher-{number}"),
                &settings,
            )?);
        }
        for process in dispatchers.iter_mut().chain([&mut relay, &mut confirmer]) {
            process.ready().await?;
        }
        let mut load = Self {
            writer: tokio::spawn(async { Ok(()) }),
            world,
            table,
            relay,
            dispatchers,
            confirmer,
            scheduled,
            workers: WORKERS,
            _dir: dir,
        };
        load.watch("filling", Duration::from_secs(1)).await?;
        Ok(load)
    }

    /// Watches for `time`, keeping a backlog standing and printing lines.
    pub(crate) async fn watch(&mut self, what: &str, time: Duration) -> anyhow::Result<Figures> {
        let service = &self.world.local.transactions;
        // What came before is not of this stretch.
        drop(service.request_timings());
        let began = Instant::now();
        let mut stretch = Stretch::begin(service.settled());
        for second in 1..=time.as_secs().max(1) as usize {
            tokio::time::sleep_until(began + Duration::from_secs(second as u64)).await;
            let settled = self.world.local.transactions.settled();
            stretch.second(settled, self.world.local.transactions.request_timings());
            self.refill(settled).await?;
            if second.is_multiple_of(LINE) {
                let (rate, p99) = stretch.lately(LINE);
                let limits = self.limits().await?;
                println!(
                    "{what:<10} {second:>4} s  {rate:>6.1} payments/s  p99 {:>5} ms  requests {:>7}  limits {limits:?}",
                    p99.as_millis(),
                    self.requests(),
                );
            }
        }
        let figures = stretch.end(self.workers);
        println!(
            "{what:<10}   all   {:>6.1} payments/s  p99 {:>5} ms  median {} ms  {:.1} % used",
            figures.rate,
            figures.p99.as_millis(),
            figures.median.as_millis(),
            100.0 * figures.used
        );
        Ok(figures)
    }

    /// Schedules another portion, beside the watching, when too few payments wait.
    async fn refill(&mut self, settled: u64) -> anyhow::Result<()> {
        let waiting = self.scheduled.load(Ordering::Relaxed).saturating_sub(settled);
        if waiting >= BACKLOG || !self.writer.is_finished() {
            return Ok(());
        }
        let (table, scheduled) = (Arc::clone(&self.table), Arc::clone(&self.scheduled));
        let writer =
            tokio::spawn(
                async move { fill(&table, &scheduled, u64::from(PORTION), Some(PACE)).await },
            );
        std::mem::replace(&mut self.writer, writer).await?
    }

    async fn limits(&mut self) -> anyhow::Result<Vec<f64>> {
        let mut limits = Vec::new();
        for dispatcher in &mut self.dispatchers {
            limits.push(dispatcher.samples().await?.sum("dueflow_dispatcher_concurrency_limit"));
        }
        Ok(limits)
    }

    /// Requests that came to the service so far.
    pub(crate) fn requests(&self) -> u64 {
        self.world.local.transactions.requests().total
    }

    /// From now on nobody reaches the service.
    pub(crate) fn go_down(&self) {
        let down = Faults { availability: Availability::Down, ..bounded(WORKERS) };
        self.world.local.transactions.set_faults(down);
    }

    /// It is as it was.
    pub(crate) fn come_back(&self) {
        self.world.local.transactions.set_faults(bounded(WORKERS));
    }

    /// From now on the service has half its workers.
    pub(crate) fn halve(&mut self) {
        self.workers = WORKERS / 2;
        self.world.local.transactions.set_faults(bounded(self.workers));
    }

    /// Waits until every dispatcher takes the service for down.
    pub(crate) async fn until_circuits_open(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        for dispatcher in &mut self.dispatchers {
            while dispatcher.samples().await?.sum("dueflow_dispatcher_circuit_breaker_open") < 1.0 {
                ensure!(began.elapsed() < PATIENCE, "{} does not notice", dispatcher.name);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        println!("circuits   open  after {:.1} s", began.elapsed().as_secs_f64());
        Ok(())
    }

    /// Lets all that was scheduled end, and has the history checker look at it.
    pub(crate) async fn end(mut self, demands: &mut Demands) -> anyhow::Result<()> {
        self.writer.await??;
        self.world.local.transactions.set_faults(Faults::default());
        let scheduled = self.scheduled.load(Ordering::Relaxed);
        let mut last = (0.0, Instant::now());
        loop {
            let samples = self.confirmer.samples().await?;
            let ended = samples.sum("dueflow_confirmer_payments_settled_total");
            if ended >= scheduled as f64 {
                break;
            }
            if ended > last.0 {
                last = (ended, Instant::now());
            }
            if last.1.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for process in self.dispatchers.into_iter().chain([self.relay, self.confirmer]) {
            let name = process.name.clone();
            let status = process.stop().await.with_context(|| format!("stopping {name}"))?;
            ensure!(status.success(), "{name} ended with {status}");
        }
        let findings = check(&read(&self.world, scheduled).await?, Expect::Ended);
        let processed = findings.balance.processed;
        demands.add(
            findings.clean() && processed == scheduled && findings.letters == 0,
            format!(
                "{processed} of {scheduled} payments PROCESSED, {} letters, {} violations",
                findings.letters,
                findings.total()
            ),
        );
        if !findings.clean() {
            println!("{findings}");
        }
        self.world.local.stop().await?;
        Ok(())
    }
}

async fn fill(
    table: &Arc<PaymentsTable>,
    scheduled: &Arc<AtomicU64>,
    payments: u64,
    rate: Option<u32>,
) -> anyhow::Result<()> {
    let plan = SchedulePlan { payments: u32::try_from(payments)?, accounts: PORTION, rate };
    schedule(Arc::clone(table), plan, Arc::clone(scheduled)).await
}
