//! Options of an import.

use std::num::NonZeroU32;
use std::path::PathBuf;

use domain::DueDate;

use crate::file::{ExpectedSum, RowSyntax};

/// What is asked for besides the file.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// How the rows are written.
    pub syntax: RowSyntax,
    /// The batch name, 1 to 1,024 bytes. Ids of rows without a `PaymentID` are made from it.
    /// `None` for the file's name without its ending.
    pub batch: Option<String>,
    /// Rows that the file must hold.
    pub expect_count: Option<u64>,
    /// Sums that its amounts must have.
    pub expect_sum: Vec<ExpectedSum>,
    /// Whether the file must end with a trailer; one that is there is always checked.
    pub require_trailer: bool,
    /// Whether rows that another batch name has brought are scheduled again, as payments of their
    /// own.
    pub repeat_content: bool,
    /// Whether nothing is scheduled if any row is rejected.
    pub all_or_nothing: bool,
    /// Whether rows whose day has passed are accepted; they are paid at once.
    pub allow_past: bool,
    /// The last due date that is accepted, if there is one.
    pub latest: Option<DueDate>,
    /// Where rejected rows are written; a file that is there is replaced. `None` for the file's
    /// path with the ending `.rejects`.
    pub rejected_rows: Option<PathBuf>,
    /// Where the checkpoint is kept. `None` for the file's path with the ending
    /// `.dueflow-progress`.
    pub checkpoint: Option<PathBuf>,
    /// Insert requests of up to 25 payments that run at the same time, at least 1.
    pub writers: u16,
    /// Most payments per second.
    pub rate: Option<NonZeroU32>,
}
