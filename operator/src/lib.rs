//! The `dueflow` command: demo, local, setup, payments, archive, dispatch, dlq, reconcile,
//! preflight, and each service.
//!
//! | module | room |
//! |---|---|
//! | [`cli`] | arguments |
//! | `setup` | makes tables and queues |
//! | [`payments`] | import, show, upcoming, due, cancel |
//! | [`archive`] | settled payments: move, find, compare |
//! | [`dispatch`] | the stop of dispatching: status, stop, resume |
//! | [`dlq`] | list and replay dead letters |
//! | [`reconcile`] | no two payments have one transaction id |
//! | [`preflight`] | whether tonight's batch will pass |
//!
//! It is the only crate that links the services: `cargo run` builds one package, and the demo
//! runs them as processes of their own by executing itself again.

mod age;
pub mod archive;
pub mod cli;
pub mod dispatch;
pub mod dlq;
pub mod payments;
pub mod preflight;
mod progress;
pub mod reconcile;
mod settings;
mod setup;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use shared::aws::Aws;
use shared::installation::Agreement;

use crate::archive::ArchiveCommand;
use crate::cli::{Cli, Command, PaymentsCommand};
use crate::dlq::DlqCommand;
use crate::settings::CommandSettings;

/// Exit status for bad usage or configuration (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;

/// Runs the command that `arguments` (the executable's name first) ask for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() {
                // It quotes what was typed, which may be an address with a password.
                eprint!("{}", shared::http::without_user_infos(&error.render().to_string()));
            } else {
                let _ = error.print();
            }
            return ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 });
        }
    };
    match cli.command {
        Command::StreamRelay { arguments } => stream_relay::main(arguments),
        Command::Dispatcher { arguments } => dispatcher::main(arguments),
        Command::Confirmer { arguments } => confirmer::main(arguments),
        #[cfg(feature = "demo")]
        Command::Janitor { folder } => demo::local_world::janitor(&folder),
        command => run(command),
    }
}

fn run(command: Command) -> ExitCode {
    let settings = match CommandSettings::read(&command) {
        Ok(settings) => settings,
        Err(errors) => {
            eprintln!("dueflow: {errors}");
            return ExitCode::from(EX_USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("dueflow: starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(execute(command, &settings)).unwrap_or_else(|error| {
        eprintln!("dueflow: {error:#}");
        ExitCode::FAILURE
    })
}

async fn of_archive(
    command: ArchiveCommand,
    CommandSettings { common, days, .. }: &CommandSettings,
) -> anyhow::Result<ExitCode> {
    match command {
        ArchiveCommand::Run(options) => archive::run(common, days, options).await,
        ArchiveCommand::Find(options) => archive::find(common, options).await,
        ArchiveCommand::Verify(options) => archive::verify(common, options).await,
    }
}

/// Whether a command reads or writes what depends on the bank's zone or on the number of shards.
/// `preflight` reports a difference among its findings.
fn depends_on_the_installation(command: &Command) -> bool {
    match command {
        Command::Payments { command } => match command {
            PaymentsCommand::Import(options) => !options.dry_run,
            PaymentsCommand::Upcoming(_) | PaymentsCommand::Due(_) | PaymentsCommand::Audit(_) => {
                true
            }
            _ => false,
        },
        Command::Archive { .. } | Command::Dlq { command: DlqCommand::Replay(_) } => true,
        _ => false,
    }
}

async fn execute(command: Command, settings: &CommandSettings) -> anyhow::Result<ExitCode> {
    let common = &settings.common;
    if depends_on_the_installation(&command) {
        Agreement::new(&Aws::from_environment().await, common).check().await?;
    }
    match command {
        #[cfg(feature = "demo")]
        Command::Demo(options) => demo::run(common.names.clone(), options).await,
        #[cfg(feature = "demo")]
        Command::Local(options) => demo::local_world::serve(common.names.clone(), options).await,
        Command::Setup(options) => setup::run(common, options).await,
        Command::Payments { command } => of_payments(command, settings).await,
        Command::Archive { command } => of_archive(command, settings).await,
        Command::Dispatch { command } => dispatch::dispatch(common, command).await,
        Command::Dlq { command: DlqCommand::List(options) } => dlq::list(common, options).await,
        Command::Dlq { command: DlqCommand::Replay(options) } => {
            dlq::replay(common, settings.replay()?, options).await
        }
        Command::Reconcile(options) => reconcile::reconcile(common, &options).await,
        Command::Preflight(options) => {
            Box::pin(preflight::preflight(common, settings.preflight()?, &options)).await
        }
        #[cfg(feature = "demo")]
        Command::Janitor { .. } => unreachable!("the janitor was started before"),
        Command::StreamRelay { .. } | Command::Dispatcher { .. } | Command::Confirmer { .. } => {
            unreachable!("services were started before")
        }
    }
}

async fn of_payments(
    command: PaymentsCommand,
    CommandSettings { common, days, transaction, .. }: &CommandSettings,
) -> anyhow::Result<ExitCode> {
    match command {
        PaymentsCommand::Import(options) => import::import(common, &days.zone, options).await,
        PaymentsCommand::Show(options) => {
            payments::show(common, transaction.as_ref(), options).await
        }
        PaymentsCommand::Upcoming(options) => payments::upcoming(common, &days.zone, options).await,
        PaymentsCommand::Due(options) => payments::due(common, &days.zone, options).await,
        PaymentsCommand::Open(options) => payments::open(common, &days.zone, options).await,
        PaymentsCommand::Cancel(options) => payments::cancel(common, options).await,
        PaymentsCommand::Audit(options) => payments::audit(common, options).await,
    }
}
