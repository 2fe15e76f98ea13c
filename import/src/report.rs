//! What an import says while it runs.

use std::fmt;

use domain::DueDate;

/// Receives the progress of an import.
pub trait ImportReport {
    /// A phase begins at the position `done` of `end`: in bytes for [`Phase::Validate`], in rows
    /// for the others.
    fn begin(&self, phase: Phase, done: u64, end: u64);
    /// The phase has done so many rows and is at this position.
    fn progress(&self, rows: u64, position: u64);
    /// The phase has ended.
    fn end(&self);
    /// One of the first rejected rows. All are in the file of rejected rows.
    fn rejected(&self, line: u64, reason: &str);
    /// Something that a person should know.
    fn notice(&self, notice: &Notice);
}

/// Part of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Every row is checked and counted.
    Validate,
    /// Rejected rows are found without writing payments.
    FindRejected,
    /// Payments are scheduled.
    Schedule,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Rows are due so late that the year may be wrong.
    FarAhead {
        /// How many.
        rows: u64,
        /// Line of the first of them.
        line: u64,
        /// Its due date.
        due: DueDate,
    },
    /// An earlier import of the batch did not end.
    UnfinishedBatch {
        /// Name of the batch.
        batch: String,
        /// When it started.
        started_at: String,
    },
    /// The checkpoint is that of another import.
    StartingOver {
        /// Name of the file.
        file: String,
    },
    /// The checkpoint says that rows are done.
    Continuing {
        /// Name of the file.
        file: String,
        /// How many rows.
        rows: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FarAhead { rows, line, due } => write!(
                f,
                "{rows} rows are due more than two years ahead, the first on line {line}: {due}; check the year"
            ),
            Self::UnfinishedBatch { batch, started_at } => {
                write!(
                    f,
                    "an import of the batch {batch:?} started at {started_at} and did not end; continuing it"
                )
            }
            Self::StartingOver { file } => write!(
                f,
                "the last import of {file} did not end, and it had other content, another table, or its rejected rows are gone: starting over; payments that it scheduled are found again"
            ),
            Self::Continuing { file, rows } => {
                write!(f, "continuing {file} after the first {rows} rows, which are done")
            }
        }
    }
}
