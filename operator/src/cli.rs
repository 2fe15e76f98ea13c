//! The arguments of the command.

use clap::{ArgGroup, Args, Parser, Subcommand};
use domain::{AccountId, PaymentRef};
use import::ImportOptions;

use crate::archive::ArchiveCommand;
use crate::dispatch::DispatchCommand;
use crate::dlq::{Reason, Version};
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
    /// Look at the dead-letter queue, and send payments again.
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

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Print what lies in the dead-letter queue, and why. Changes nothing.
    #[command(after_help = LIST_HELP)]
    List(DlqListOptions),
    /// Send payments of the dead-letter queue again; a dry run unless --execute is given.
    #[command(after_help = REPLAY_HELP)]
    Replay(DlqReplayOptions),
}

const LIST_HELP: &str = "\
While it reads, the letters are hidden from others; then they lie as they lay. SQS shows the first \
ten letters of an account and holds back those behind them: how many were not shown is said at \
the end. A list that is killed leaves letters hidden for up to two minutes.";

const REPLAY_HELP: &str = "\
A payment that FAILED goes back to SCHEDULED, a message for it goes into the queue, and its letter \
goes. First the transaction service is asked whether it was settled (DUEFLOW_TRANSACTION_URL); only \
one that was submitted once and rejected needs no question. Refused is a payment that has ended, \
one of which nothing is known any more once the service may have forgotten its key \
(DUEFLOW_KEY_RETENTION), and a letter of the codes conflict, invalid_item, malformed_record \
and malformed_message. A payment of which there are two versions is refused until --version says \
which is right: docs/runbooks/dead-letters.md says what a person does with those. It may be \
run again at any time, also after it was killed.

Exit status: 0 when all that was asked for is done (or would be), 1 when something was refused or \
failed, 64 for bad usage or settings.";

/// Options of `dlq list`.
#[derive(Debug, Args)]
pub struct DlqListOptions {
    /// Only letters with this code, or `moved` for messages that SQS moved by itself.
    #[arg(long, value_name = "CODE")]
    pub reason: Option<Reason>,
    /// Only letters of this account.
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub account: Option<AccountId>,
    /// Print each letter whole as a line of JSON, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

/// Options of `dlq replay`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["references", "reason", "all"])))]
pub struct DlqReplayOptions {
    /// Payments to send again: `<AccountID>/<ScheduledDate>/<PaymentID>`. One that FAILED is
    /// sent again even if its letter is not found.
    #[arg(value_name = "REF")]
    pub references: Vec<PaymentRef>,
    /// All letters with this code, or `moved` for messages that SQS moved by itself.
    #[arg(long, value_name = "CODE")]
    pub reason: Option<Reason>,
    /// All letters.
    #[arg(long)]
    pub all: bool,
    /// Which version is right of payments that have two: the table's, or the message's, which is
    /// then written back. Without this nothing is done about them.
    #[arg(long, value_name = "WHICH", conflicts_with = "all")]
    pub version: Option<Version>,
    /// Do it. Without this it is only said what would be done.
    #[arg(long)]
    pub execute: bool,
    /// Print a line of JSON for each payment, and a summary as the last line.
    #[arg(long)]
    pub json: bool,
}

fn account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).map_err(|error| error.to_string())
}
