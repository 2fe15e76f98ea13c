//! The commands, each once.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::archive::ArchiveCommand;
use crate::dispatch::DispatchCommand;
use crate::dlq::DlqCommand;
use crate::payments::PaymentsCommand;
use crate::preflight::{PreflightOptions, PreflightSettings, preflight};
use crate::reconcile::{ReconcileOptions, reconcile};
use crate::setup::{SetupOptions, set_up};
use crate::start::{InstallationCheck, start, start_with};

/// Scheduled payments that are paid on their due date.
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
    /// Create the tables and queues, and store time zone and number of shards; what exists already
    /// is left or brought up to date.
    Setup(SetupOptions),
    /// Schedule payments, print them, cancel them.
    #[command(subcommand)]
    Payments(PaymentsCommand),
    /// Move settled payments to the archive, find them there, and compare both tables.
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// Show whether dispatching is stopped, stop it, and resume it.
    #[command(subcommand)]
    Dispatch(DispatchCommand),
    /// List dead letters, and send their payments again.
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Compare a day's payments with archive, queues and journal, or all transaction ids; changes
    /// nothing.
    Reconcile(ReconcileOptions),
    /// Check whether tonight's batch will pass; changes nothing.
    Preflight(PreflightOptions),
    /// Run the stream-relay (`dueflow stream-relay --help` lists its settings).
    #[command(disable_help_flag = true)]
    StreamRelay(ServiceArguments),
    /// Run a dispatcher (`dueflow dispatcher --help` lists its settings).
    #[command(disable_help_flag = true)]
    Dispatcher(ServiceArguments),
    /// Run a confirmer (`dueflow confirmer --help` lists its settings).
    #[command(disable_help_flag = true)]
    Confirmer(ServiceArguments),
}

/// Arguments of a service: its own `--help` lists its settings.
#[derive(Debug, Args)]
pub struct ServiceArguments {
    /// `--help`, `--version` or nothing.
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    arguments: Vec<String>,
}

impl Command {
    /// Runs the command.
    pub(crate) fn start(self) -> ExitCode {
        match self {
            #[cfg(feature = "demo")]
            Self::Demo(options) => start(InstallationCheck::Any, async |run| {
                demo::run(run.common.names, options).await
            }),
            #[cfg(feature = "demo")]
            Self::Local(options) => start(InstallationCheck::Any, async |run| {
                demo::local_world::serve(run.common.names, options).await
            }),
            #[cfg(feature = "demo")]
            Self::Janitor { folder } => demo::local_world::janitor(&folder),
            Self::Setup(options) => {
                start(InstallationCheck::Any, async |run| set_up(&run.common, options).await)
            }
            Self::Payments(command) => command.start(),
            Self::Archive(command) => command.start(),
            Self::Dispatch(command) => command.start(),
            Self::Dlq(command) => command.start(),
            Self::Reconcile(options) => {
                let checked = if options.date.is_some() {
                    InstallationCheck::Agrees
                } else {
                    InstallationCheck::Any
                };
                start(checked, async |run| reconcile(&run.common, &options).await)
            }
            Self::Preflight(options) => start_with(
                InstallationCheck::Any,
                PreflightSettings::read,
                async |run, settings| preflight(&run.common, &settings, &options).await,
            ),
            Self::StreamRelay(service) => stream_relay::main(service.arguments),
            Self::Dispatcher(service) => dispatcher::main(service.arguments),
            Self::Confirmer(service) => confirmer::main(service.arguments),
        }
    }
}

#[cfg(all(test, feature = "demo"))]
#[path = "cli_pages_tests.rs"]
mod pages;
