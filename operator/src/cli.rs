//! The arguments of the command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use shared::domain::PaymentRef;

/// Scheduled payments that leave by themselves on their day.
#[derive(Debug, Parser)]
#[command(name = "dueflow", version, about, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "Settings come from DUEFLOW_* variables; `dueflow dispatcher --help` and the other services list \
them. AWS endpoints, region and credentials come from the SDK's own variables (AWS_REGION, \
AWS_PROFILE, AWS_ENDPOINT_URL_DYNAMODB, …).";

/// What the command can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine: schedule payments, process them, and check the books.
    #[cfg(feature = "local")]
    Demo(crate::demo::DemoOptions),
    /// Start DynamoDB, SQS, a transaction service and dueflow on this machine until Ctrl-C.
    #[cfg(feature = "local")]
    Local(crate::local_world::LocalCommand),
    /// Make the tables and queues; what is there already is left or brought up to date.
    Setup {
        /// Print what was done as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Schedule payments and look at them.
    Payments {
        /// What to do with payments.
        #[command(subcommand)]
        command: PaymentsCommand,
    },
    /// Run the stream-relay (`dueflow stream-relay --help` lists its settings).
    #[command(disable_help_flag = true)]
    StreamRelay {
        /// `--help`, `--version` or nothing.
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        arguments: Vec<String>,
    },
    /// Run a dispatcher (`dueflow dispatcher --help` lists its settings).
    #[command(disable_help_flag = true)]
    Dispatcher {
        /// `--help`, `--version` or nothing.
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        arguments: Vec<String>,
    },
    /// Run a confirmer (`dueflow confirmer --help` lists its settings).
    #[command(disable_help_flag = true)]
    Confirmer {
        /// `--help`, `--version` or nothing.
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        arguments: Vec<String>,
    },
}

/// What can be done with payments.
#[derive(Debug, Subcommand)]
pub enum PaymentsCommand {
    /// Schedule payments from a file of CSV or JSON lines; safe to run again.
    Import(ImportOptions),
    /// Print one payment.
    Show(ShowOptions),
}

/// Options of `payments import`.
#[derive(Debug, Args)]
pub struct ImportOptions {
    /// CSV with a header, or JSON lines when the name ends in .jsonl, .ndjson or .json. Fields:
    /// AccountID, ScheduledDate, Amount (whole minor units), Currency, BeneficiaryID, and
    /// optionally DataBlob and PaymentID.
    pub file: PathBuf,
    /// Name that tells this delivery from others. Rows without a PaymentID get one made from
    /// it and their content, so the same rows under the same name are scheduled once.
    /// [default: the file's name without its ending]
    #[arg(long)]
    pub batch: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `payments show`.
#[derive(Debug, Args)]
pub struct ShowOptions {
    /// Where the payment lies: `<AccountID>/<ScheduledDate>/<PaymentID>`.
    #[arg(value_name = "REF")]
    pub reference: PaymentRef,
    /// Print it as JSON.
    #[arg(long)]
    pub json: bool,
}
