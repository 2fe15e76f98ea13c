//! One run, from an empty folder to the report.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use local::LocalOptions;
use serde::Serialize;
use shared::config::Names;
use shared::payments::PaymentsTable;
use shared::shutdown::Shutdown;
use shared::telemetry::Metrics;
use tokio::time::Instant;

use super::announcement::announcement;
use super::day::Day;
use super::generate::{SchedulePlan, schedule};
use super::live::look;
use super::options::DemoOptions;
use super::progress::LiveLine;
use super::reconcile::{read_dead_letters, reconcile};
use super::report::{Cost, Report};
use super::services::{DUE_SHARDS, Ended, start_services, stop_services};
use super::wait::{LOOK, STALLED, until_ended};
use crate::local_world::{OwnedFolder, Process, ROOM, World};

/// What a payment takes in the folder, at the most: its item, its stream records, its messages
/// and lines of journals and logs.
const BYTES_PER_PAYMENT: u64 = 32 << 10;

/// The command `dueflow demo`.
///
/// # Errors
/// What did not start or could not be read; a run that does not balance is an exit code.
pub async fn run(names: Names, options: DemoOptions) -> anyhow::Result<ExitCode> {
    // Before the first process is started: none may be left behind.
    let shutdown = Shutdown::new(Duration::ZERO).on_signals()?;
    let executable = std::env::current_exe()?;
    let folder = Folder::open(&executable, &options)?;
    // What has been started when a signal comes is dropped: the services are killed with their
    // world, which is this process, and the folder goes last.
    let run = run_in(folder.path(), names, executable, &options);
    let Some(balanced) = shutdown.unless_requested(Box::pin(run)).await else {
        bail!("stopped by a signal; nothing is left behind");
    };
    let balanced = balanced?;
    match &options.keep {
        Some(dir) => eprintln!("Databases, journal and logs are in {}", dir.display()),
        None if !balanced => {
            eprintln!("Databases, journal and logs are in {}", folder.keep().display());
        }
        None => {}
    }
    Ok(if balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One run; whether its books balance.
async fn run_in(
    folder: &Path,
    names: Names,
    executable: PathBuf,
    options: &DemoOptions,
) -> anyhow::Result<bool> {
    let metrics = Metrics::install(&[])?;
    eprintln!("{}", announcement(options));
    eprintln!("Starting DynamoDB, SQS and a transaction service in {}", folder.display());
    let local = LocalOptions::passing(folder, options.faults.faults());
    let world = World::start(local, names, executable).await?;
    if options.day {
        let client = world.aws.dynamodb("demo");
        let table = PaymentsTable::new(client, &world.names.payments_table(), DUE_SHARDS);
        let report = Day::new(world, options.clone(), table).run().await?;
        show(&report, options)?;
        Ok(report.balanced)
    } else {
        let report = Demo { world, options: options.clone(), metrics }.run().await?;
        show(&report, options)?;
        Ok(report.balanced)
    }
}

/// Prints a report, and writes it to the file that the options name.
fn show(report: &(impl Display + Serialize), options: &DemoOptions) -> anyhow::Result<()> {
    println!("{report}");
    if let Some(file) = &options.report {
        std::fs::write(file, serde_json::to_vec_pretty(report)?)
            .with_context(|| format!("writing the report to {}", file.display()))?;
    }
    Ok(())
}

enum Folder {
    Kept(PathBuf),
    Temporary(OwnedFolder),
}

impl Folder {
    fn open(executable: &Path, options: &DemoOptions) -> anyhow::Result<Self> {
        let Some(dir) = options.keep.as_deref() else {
            let room = ROOM + u64::from(options.payments) * BYTES_PER_PAYMENT;
            let folder = OwnedFolder::make(executable, room);
            return Ok(Self::Temporary(folder.context("making a temporary folder")?));
        };
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        if std::fs::read_dir(dir)?.next().is_some() {
            bail!("{} is not empty: a demo starts with empty books", dir.display());
        }
        // The services run in their own processes and need it whole.
        Ok(Self::Kept(dir.canonicalize()?))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(dir) => dir,
            Self::Temporary(dir) => dir.path(),
        }
    }

    fn keep(self) -> PathBuf {
        match self {
            Self::Kept(dir) => dir,
            Self::Temporary(dir) => dir.keep(),
        }
    }
}

struct Demo {
    world: World,
    options: DemoOptions,
    metrics: Metrics,
}

impl Demo {
    async fn run(self) -> anyhow::Result<Report> {
        let total = u64::from(self.options.payments);
        let client = self.world.aws.dynamodb("demo");
        let table = PaymentsTable::new(client, &self.world.names.payments_table(), DUE_SHARDS);
        let table = Arc::new(table);
        let scheduled = Arc::new(AtomicU64::new(0));
        let mut progress = LiveLine::new(total);
        let mut processes = Vec::new();
        let mut start = Timestamp::now();
        if !self.options.backlog {
            processes = start_services(&self.world, &self.options, &[]).await?;
            start = Timestamp::now();
        }
        let scheduling = Instant::now();
        let plan = SchedulePlan {
            payments: self.options.payments,
            accounts: self.options.accounts,
            rate: self.options.rate,
        };
        let mut inserting =
            tokio::spawn(schedule(Arc::clone(&table), plan, Arc::clone(&scheduled)));
        while !inserting.is_finished() {
            progress.show(&look(scheduled.load(Ordering::Relaxed), &mut processes).await);
            // Ends early with the inserts; otherwise it is time to look again.
            if let Ok(ended) = tokio::time::timeout(LOOK, &mut inserting).await {
                ended??;
                break;
            }
        }
        let scheduling_seconds = scheduling.elapsed().as_secs_f64();
        if self.options.backlog {
            start = Timestamp::now();
            processes = start_services(&self.world, &self.options, &[]).await?;
        }
        let mut problems = Vec::new();
        if !until_ended(total, &mut processes, &mut progress).await {
            problems.push(format!("nothing moved for {STALLED:?}: see the services' logs"));
        }
        progress.finish();
        self.sum_up(&table, processes, problems, start, scheduling_seconds).await
    }

    async fn sum_up(
        self,
        table: &PaymentsTable,
        processes: Vec<Process>,
        mut problems: Vec<String>,
        start: Timestamp,
        scheduling_seconds: f64,
    ) -> anyhow::Result<Report> {
        let total = u64::from(self.options.payments);
        let Ended { samples, used, problems: unruly } = stop_services(processes, total).await?;
        problems.extend(unruly);
        // Taken before the reconciliation reads the whole table.
        let own = self.metrics.samples();
        let dead_letters = read_dead_letters(&self.world.aws, &self.world.names).await?;
        let journal = self.world.local.journal().to_owned();
        let (books, times) = reconcile(table, &journal, &dead_letters, total).await?;
        self.world.local.stop().await?;
        Ok(Report {
            payments: total,
            accounts: self.options.accounts,
            backlog: self.options.backlog,
            scheduling_seconds,
            timing: times.sum_up(start),
            cost: Cost::new(&own, &samples, total),
            processes: used,
            balanced: books.balance() && problems.is_empty(),
            books,
            problems,
        })
    }
}
