//! The `dueflow` command: demo, local, setup, payments, archive, dispatch, dlq, reconcile,
//! preflight, and each service.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the commands, each once |
//! | `start` | what every command does around its work |
//! | `setup` | makes tables and queues |
//! | [`payments`] | import, show, upcoming, due, cancel |
//! | [`actions`] | the log of what operators have changed |
//! | [`archive`] | settled payments: move, find, compare |
//! | [`dispatch`] | the stop of dispatching: status, stop, resume |
//! | [`dlq`] | list, show, replay, discard and export dead letters |
//! | [`reconcile`] | no two payments have one transaction id |
//! | [`preflight`] | whether tonight's batch will pass |
//!
//! It is the only crate that links the services: `cargo run` builds one package, and the demo
//! runs them as processes of their own by executing itself again.

pub mod actions;
mod age;
pub mod archive;
pub mod cli;
pub mod dispatch;
pub mod dlq;
mod escape;
mod line_limit;
pub mod payments;
pub mod preflight;
mod progress;
pub mod reconcile;
mod setup;
mod start;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::start::EX_USAGE;

/// Runs the command that `arguments` (the executable's name first) ask for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command.start(),
        Err(error) if error.use_stderr() => {
            // It quotes what was typed, which may be an address with a password.
            eprint!("{}", shared::http::without_user_infos(&error.render().to_string()));
            ExitCode::from(EX_USAGE)
        }
        Err(help) => {
            let _ = help.print();
            ExitCode::SUCCESS
        }
    }
}
