//! The `dueflow` command: demo, local, setup, payments, archive, dlq, and each service.
//!
//! | module | room |
//! |---|---|
//! | [`cli`] | arguments |
//! | [`setup`] | makes tables and queues |
//! | [`payments`] | import, show, upcoming, due, cancel |
//! | [`archive`] | settled payments: move, find, compare |
//! | [`dlq`] | list and replay dead letters |
//! | [`local_world`] | the outside world and the services on this machine |
//! | [`demo`] | a whole run, with a report that must balance |
//!
//! It is the only crate that links the services: `cargo run` builds one package, and the demo
//! runs them as processes of their own by executing itself again.

pub mod archive;
pub mod cli;
#[cfg(feature = "local")]
pub mod demo;
pub mod dlq;
#[cfg(feature = "local")]
pub mod local_world;
pub mod payments;
pub mod setup;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use jiff::tz::TimeZone;
use shared::config::{Common, Settings, time_zone};

use crate::archive::{ArchiveCommand, ArchiveSettings};
use crate::cli::{Cli, Command, DlqCommand, PaymentsCommand};
use crate::dlq::ReplaySettings;

/// Exit status for bad usage or configuration (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;

/// Runs the command that `arguments` (the executable's name first) ask for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // To standard output for --help, to standard error for a mistake.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 });
        }
    };
    match cli.command {
        Command::StreamRelay { arguments } => stream_relay::main(arguments),
        Command::Dispatcher { arguments } => dispatcher::main(arguments),
        Command::Confirmer { arguments } => confirmer::main(arguments),
        command => run(command),
    }
}

fn run(command: Command) -> ExitCode {
    let mut settings = Settings::from_environment();
    let common = Common::read(&mut settings);
    let replaying = match &command {
        Command::Dlq { command: DlqCommand::Replay(_) } => {
            ReplaySettings::read(&mut settings).map(Some)
        }
        _ => Some(None),
    };
    let archiving = ArchiveSettings::read(&mut settings);
    let zone = time_zone(&mut settings);
    let read = common.zip(replaying).zip(archiving.zip(zone));
    let ((common, replaying), (archiving, zone)) = match settings.finish(read) {
        Ok(read) => read,
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
    let executing = async {
        match command {
            Command::Archive { command } => archive(command, &common, &archiving).await,
            command => execute(command, &common, &zone, replaying.as_ref()).await,
        }
    };
    runtime.block_on(executing).unwrap_or_else(|error| {
        eprintln!("dueflow: {error:#}");
        ExitCode::FAILURE
    })
}

async fn archive(
    command: ArchiveCommand,
    common: &Common,
    settings: &ArchiveSettings,
) -> anyhow::Result<ExitCode> {
    match command {
        ArchiveCommand::Run(options) => archive::run(common, settings, options).await,
        ArchiveCommand::Find(options) => archive::find(common, options).await,
        ArchiveCommand::Verify(options) => archive::verify(common, options).await,
    }
}

async fn execute(
    command: Command,
    common: &Common,
    zone: &TimeZone,
    replaying: Option<&ReplaySettings>,
) -> anyhow::Result<ExitCode> {
    match command {
        #[cfg(feature = "local")]
        Command::Demo(options) => demo::run(common.names.clone(), options).await,
        #[cfg(feature = "local")]
        Command::Local(options) => local_world::serve(common.names.clone(), options).await,
        Command::Setup { json } => setup::run(common, json).await,
        Command::Payments { command: PaymentsCommand::Import(options) } => {
            payments::import(common, options).await
        }
        Command::Payments { command: PaymentsCommand::Show(options) } => {
            payments::show(common, options).await
        }
        Command::Payments { command: PaymentsCommand::Upcoming(options) } => {
            payments::upcoming(common, zone, options).await
        }
        Command::Payments { command: PaymentsCommand::Due(options) } => {
            payments::due(common, zone, options).await
        }
        Command::Payments { command: PaymentsCommand::Cancel(options) } => {
            payments::cancel(common, options).await
        }
        Command::Dlq { command: DlqCommand::List(options) } => dlq::list(common, options).await,
        Command::Dlq { command: DlqCommand::Replay(options) } => {
            let settings = replaying.context("the settings of a replay were not read")?;
            dlq::replay(common, settings, options).await
        }
        Command::Archive { .. }
        | Command::StreamRelay { .. }
        | Command::Dispatcher { .. }
        | Command::Confirmer { .. } => {
            unreachable!("they were started before")
        }
    }
}
