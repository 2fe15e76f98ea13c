//! The options of `dueflow demo`.

use std::path::PathBuf;

use clap::Args;

use crate::local_world::FaultOptions;

/// Options of `dueflow demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// A bank's day in fast motion: leftovers, payments scheduled ahead for today and the next 90
    /// days, the batch at night (of --payments), payments and cancellations through the day, and
    /// the archive at its end.
    #[arg(long, conflicts_with_all = ["backlog"])]
    pub day: bool,
    /// Payments to schedule, all due today.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub payments: u32,
    /// Accounts they leave from.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub accounts: u32,
    /// Payments scheduled per second. [default: as fast as it goes]
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Dispatcher processes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub dispatchers: u16,
    /// Schedule all payments first, then start the services.
    #[arg(long)]
    pub backlog: bool,
    /// Write the report to this file as JSON.
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,
    /// Keep databases, journal and logs in this folder, which must be empty or not exist.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// What the transaction service does wrong.
    #[command(flatten)]
    pub faults: FaultOptions,
}
