//! The result of an import.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::schedule::{RowRejection, RowResults};
use crate::validate::Validation;

/// The result of an import; its JSON form is what the command prints.
#[derive(Debug, Serialize)]
pub struct Summary {
    file: PathBuf,
    batch: String,
    sha256: String,
    /// Rows of the file, without blank ones.
    pub rows: u64,
    /// Rows without any content.
    pub blank_rows: u64,
    /// Hash of the content of the rows without a `PaymentID`.
    content: String,
    /// Minor units by currency, as text: a sum may be larger than what JSON readers keep exactly.
    pub sums: BTreeMap<&'static str, String>,
    /// Rows that this import scheduled.
    pub scheduled: u64,
    /// Rows whose payment the table held before.
    pub already_scheduled: u64,
    /// Rejected rows.
    #[serde(rename = "refused")]
    pub rejected: u64,
    /// The first rejected rows.
    #[serde(rename = "reasons")]
    pub rejections: Vec<RowRejection>,
    /// The file with all rejected rows.
    #[serde(rename = "rejects")]
    pub rejected_rows: Option<PathBuf>,
    /// Rows that an earlier import had done.
    #[serde(rename = "resumed_behind")]
    pub resumed_after: u64,
    /// Whether payments were scheduled at all.
    pub written: PaymentsWritten,
    /// The list of scheduled payments, when the import was all or nothing and ended on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partly: Option<PathBuf>,
    /// How long validation and scheduling took.
    pub seconds: [f64; 2],
}

/// Whether payments were scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentsWritten {
    /// All but the rejected ones.
    Yes,
    /// It was a dry run.
    DryRun,
    /// Rows were rejected, and it was all or nothing.
    Nothing,
    /// It was all or nothing, and a row was rejected for another writer's payment on the way.
    Partly,
}

impl Summary {
    pub(crate) fn new(file: &Path, batch: &str, validation: &Validation, took: Duration) -> Self {
        let sums = validation.totals.sums.iter().map(|(code, sum)| (*code, sum.to_string()));
        Self {
            file: file.to_owned(),
            batch: batch.to_owned(),
            sha256: validation.sha256.clone(),
            rows: validation.totals.rows,
            blank_rows: validation.blank,
            content: validation.content.hash(),
            sums: sums.collect(),
            scheduled: 0,
            already_scheduled: 0,
            rejected: validation.rejected,
            rejections: Vec::new(),
            rejected_rows: None,
            resumed_after: 0,
            written: PaymentsWritten::Yes,
            partly: None,
            seconds: [took.as_secs_f64(), 0.0],
        }
    }

    /// Adds the time that scheduling took, and the rows that were done before.
    pub(crate) fn scheduled_in(&mut self, took: Duration, resumed_after: u64) {
        self.resumed_after = resumed_after;
        self.seconds[1] = took.as_secs_f64();
    }

    /// Adds the results of the second pass.
    pub(crate) fn add(&mut self, results: RowResults<'_>, written: PaymentsWritten) {
        self.scheduled = results.counts.scheduled;
        self.already_scheduled = results.counts.already_scheduled;
        self.rejected = results.counts.rejected;
        self.rejected_rows = results.rejected_rows().map(Path::to_owned);
        self.rejections = results.rejections;
        self.written = written;
    }
}
