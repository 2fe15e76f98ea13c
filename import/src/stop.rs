//! Why an import ends before its end, and with which exit status.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use shared::payments::PaymentsError;

use super::registry::RegistryError;

/// Exit statuses of sysexits.h.
const EX_USAGE: u8 = 64;
const EX_DATAERR: u8 = 65;
const EX_TEMPFAIL: u8 = 75;

/// Why it ends before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// It cannot be done as it was asked for.
    #[error("{0}")]
    Usage(String),
    /// The file as a whole is wrong.
    #[error("{0}")]
    Data(String),
    /// A file cannot be read or written.
    #[error("{what}: {source}")]
    File {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The table takes no more rows.
    #[error("{durable} rows are done; run it again to go on: {source}")]
    Table {
        /// Rows that are done.
        durable: u64,
        /// What the table said.
        source: Box<PaymentsError>,
    },
    /// The payments that the file asks for cannot be looked up.
    #[error("nothing was written: {0}")]
    Lookup(Box<PaymentsError>),
    /// The batch cannot be entered, or its end not.
    #[error("{done}: {source}")]
    Registry {
        /// What is done.
        done: &'static str,
        /// What the table of imports said.
        source: RegistryError,
    },
    /// A signal.
    #[error("stopped by a signal; {durable} rows are done: run it again to go on")]
    Signal {
        /// Rows that are done.
        durable: u64,
    },
    /// A task of this process panicked.
    #[error("{durable} rows are done; run it again to go on: {source}")]
    Task {
        /// Rows that are done.
        durable: u64,
        /// What tokio said.
        source: tokio::task::JoinError,
    },
}

impl Stop {
    /// For `map_err`: what was tried with which file.
    pub(crate) fn file(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let what = format!("{doing} {}", path.display());
        move |source| Self::File { what, source }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => EX_USAGE,
            Self::Data(_) => EX_DATAERR,
            Self::File { .. }
            | Self::Table { .. }
            | Self::Lookup(_)
            | Self::Registry { .. }
            | Self::Signal { .. }
            | Self::Task { .. } => EX_TEMPFAIL,
        })
    }
}
