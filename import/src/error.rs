//! Why an import ends before its end.

use std::io;
use std::path::Path;

use shared::payments::PaymentsError;

/// Why an import ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The options or paths are wrong.
    #[error("{0}")]
    Usage(String),
    /// The file as a whole is wrong; nothing was written.
    #[error("{0}")]
    InvalidFile(String),
    /// A file cannot be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried with which file.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The payments table took no more payments.
    #[error("{durable} rows are done; run the import again to continue: {source}")]
    Table {
        /// Rows that are done.
        durable: u64,
        /// What the table said.
        source: Box<PaymentsError>,
    },
    /// The payments table could not be read before the first write.
    #[error("nothing was written: {0}")]
    Lookup(Box<PaymentsError>),
    /// The table of imports could not be read or written.
    #[error("{done}: the table {table} of imports (`dueflow setup` makes it): {reason}")]
    ImportsTable {
        /// What the import had done.
        done: &'static str,
        /// Name of the table.
        table: String,
        /// What DynamoDB said.
        reason: String,
    },
    /// A signal ended the import.
    #[error("stopped by a signal; {durable} rows are done: run the import again to continue")]
    Interrupted {
        /// Rows that are done.
        durable: u64,
    },
    /// A task of this process panicked.
    #[error("{durable} rows are done; run the import again to continue: {source}")]
    Task {
        /// Rows that are done.
        durable: u64,
        /// What tokio said.
        source: tokio::task::JoinError,
    },
}

impl ImportError {
    /// For `map_err`: what was tried with which file.
    pub(crate) fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let what = format!("{doing} {}", path.display());
        move |source| Self::Io { what, source }
    }
}
