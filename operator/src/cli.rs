//! The arguments of the command.

use clap::{Args, Parser, Subcommand};
use domain::PaymentRef;
use import::ImportOptions;

use crate::archive::ArchiveCommand;
use crate::dispatch::DispatchCommand;
use crate::dlq::DlqCommand;
use crate::payments::{
    AUDIT_HELP, AuditOptions, CANCEL_HELP, CancelOptions, DUE_HELP, DueOptions, OPEN_HELP,
    OpenOptions, UPCOMING_HELP, UpcomingOptions,
};

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
    #[cfg(feature = "demo")]
    Demo(demo::DemoOptions),
    /// Start DynamoDB, SQS, a transaction service and dueflow on this machine until Ctrl-C.
    #[cfg(feature = "demo")]
    Local(demo::local_world::LocalCommand),
    /// Remove the folder of a demo or of `local` once these have ended; they start it themselves.
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    Janitor {
        /// The folder.
        folder: std::path::PathBuf,
    },
    /// Make the tables and queues, and store time zone and number of shards; what is there already
    /// is left or brought up to date.
    Setup(crate::setup::SetupOptions),
    /// Schedule payments and look at them.
    Payments {
        /// What to do with payments.
        #[command(subcommand)]
        command: PaymentsCommand,
    },
    /// Move settled payments to the archive, find them there, and compare both tables.
    Archive {
        /// What to do with the archive.
        #[command(subcommand)]
        command: ArchiveCommand,
    },
    /// See whether dispatching is stopped, stop it, and go on.
    Dispatch {
        /// What to do with dispatching.
        #[command(subcommand)]
        command: DispatchCommand,
    },
    /// List dead letters, and send their payments again.
    Dlq {
        /// What to do with dead letters.
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// Check that no two payments have one transaction id; changes nothing.
    Reconcile(crate::reconcile::ReconcileOptions),
    /// Check whether tonight's batch will pass; changes nothing.
    Preflight(crate::preflight::PreflightOptions),
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
    /// Print the payments of an account in the days to come.
    #[command(after_help = UPCOMING_HELP)]
    Upcoming(UpcomingOptions),
    /// Print the payments of a day in a status, of all accounts.
    #[command(after_help = DUE_HELP)]
    Due(DueOptions),
    /// Print every payment that has not ended, however old, with the time since when.
    #[command(after_help = OPEN_HELP)]
    Open(OpenOptions),
    /// Withdraw payments before they leave; a dry run unless --execute is given.
    #[command(after_help = CANCEL_HELP)]
    Cancel(CancelOptions),
    /// Check every item of the table against the item contract; changes nothing unless --withhold
    /// is given.
    #[command(after_help = AUDIT_HELP)]
    Audit(AuditOptions),
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
