//! What is asked for on the command line.

use clap::Args;

/// Options of `preflight`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct PreflightOptions {
    /// Payments of the batch.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub payments: u64,
    /// Minutes within which they must be PROCESSED.
    #[arg(long, default_value_t = 30, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub minutes: u32,
    /// Minutes within which they are inserted.
    #[arg(long, default_value_t = 10, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub insert_minutes: u32,
    /// Dispatchers that will run.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub dispatchers: u32,
    /// Admin address of a service, such as http://10.0.0.7:9464; the preflight asks it whether it
    /// is ready. Give one for each dispatcher and confirmer: the tables do not show them.
    #[arg(long, value_name = "URL")]
    pub admin: Vec<reqwest::Url>,
    /// End with status 2 when there are warnings.
    #[arg(long)]
    pub strict: bool,
    /// Print the results as one JSON object.
    #[arg(long)]
    pub json: bool,
}

const HELP: &str = "\
Run the preflight with the settings of the services: DUEFLOW_TRANSACTION_URL, DUEFLOW_TIME_ZONE, \
DUEFLOW_DUE_SHARDS, DUEFLOW_DISPATCHER_CONCURRENCY and so on. It changes nothing. \
docs/runbooks/preflight.md explains each check.

Exit status: 0 when nothing stands in the way (there may be warnings), 1 when something does, \
2 with --strict when there are warnings only, 64 for bad usage or settings.";
