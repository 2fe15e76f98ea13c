//! The result of each row, in the order of the file, and which of them are durable.

use std::path::Path;

use serde::Serialize;

use super::checkpoint::{CheckpointFile, ImportCheckpoint, ImportId, RowCounts, StoredCheckpoint};
use super::rejected_rows::{RejectedRow, RejectedRowsFile};
use crate::error::ImportError;
use crate::file::RowSyntax;
use crate::report::ImportReport;

/// Rows between two checkpoints.
const CHECKPOINT_INTERVAL: u64 = 500;
/// Rejected rows that are reported; all are in the file of rejected rows.
const MAX_REPORTED: usize = 20;

/// A rejected row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowRejection {
    /// Its line, counted from 1.
    pub line: u64,
    /// Why it is rejected.
    pub reason: String,
}

/// The results of the rows. Each row is added once, in the order of the file.
pub(crate) struct RowResults<'a> {
    pub(crate) counts: RowCounts,
    /// Rows that are done, from the first on.
    pub(crate) rows: u64,
    /// The first rejected rows.
    pub(crate) rejections: Vec<RowRejection>,
    rejected_rows: Option<RejectedRowsFile>,
    checkpoint: Option<(CheckpointFile, ImportCheckpoint)>,
    writing: Writing,
    report: &'a dyn ImportReport,
}

/// Whether payments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Nothing,
    Payments,
}

/// Where an import starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartPosition {
    Beginning,
    /// At the beginning, although the last import did not end: the file, the batch name or the
    /// table is another, or its rejected rows are gone.
    Again,
    /// After this many rows, which are done.
    After(u64),
}

impl<'a> RowResults<'a> {
    /// Results of a pass that writes no payments.
    pub(crate) fn without_writing(
        rejected_rows: Option<RejectedRowsFile>,
        report: &'a dyn ImportReport,
    ) -> Self {
        let (counts, rejections, writing) = (RowCounts::default(), Vec::new(), Writing::Nothing);
        Self { counts, rows: 0, rejections, rejected_rows, checkpoint: None, writing, report }
    }

    /// Results of a pass that writes payments. They continue at the checkpoint in `file`, if that is
    /// one of the same import. `rejected` is the path, the syntax and the header of the rejected rows.
    pub(crate) fn open(
        import: ImportId,
        rejected: (&Path, RowSyntax, &[u8]),
        file: Option<CheckpointFile>,
        report: &'a dyn ImportReport,
    ) -> Result<(Self, StartPosition), ImportError> {
        let (path, syntax, header) = rejected;
        let stored = match &file {
            Some(file) => file.read(&import).map_err(ImportError::io("reading", file.path()))?,
            None => StoredCheckpoint::None,
        };
        let mut start = StartPosition::Beginning;
        let mut checkpoint =
            ImportCheckpoint { import, rows: 0, counts: RowCounts::default(), rejected_rows: 0 };
        let mut rejected_rows = None;
        match stored {
            StoredCheckpoint::None => {}
            StoredCheckpoint::Other => start = StartPosition::Again,
            StoredCheckpoint::Same(same) => {
                rejected_rows = RejectedRowsFile::resume(path, syntax, header, same.rejected_rows)
                    .map_err(ImportError::io("opening", path))?;
                start = StartPosition::Again;
                if rejected_rows.is_some() {
                    start = StartPosition::After(same.rows);
                    checkpoint = same;
                }
            }
        }
        let resumed = rejected_rows.is_some();
        let rejected_rows = match rejected_rows {
            Some(file) => file,
            None => RejectedRowsFile::replace(path, syntax, header)
                .map_err(ImportError::io("replacing", path))?,
        };
        let mut results = Self::without_writing(Some(rejected_rows), report);
        results.writing = Writing::Payments;
        (results.counts, results.rows) = (checkpoint.counts, checkpoint.rows);
        results.checkpoint = file.map(|file| (file, checkpoint));
        if !resumed {
            // The rejected rows are this import's now, so a checkpoint of another is void.
            results.make_durable()?;
        }
        Ok((results, start))
    }

    /// Adds a row whose payment this import wrote, or would write.
    pub(crate) fn scheduled(&mut self) {
        self.rows += 1;
        match self.writing {
            Writing::Payments => self.counts.scheduled += 1,
            Writing::Nothing => {}
        }
    }

    /// Adds a row whose payment the table held before.
    pub(crate) fn already_scheduled(&mut self) {
        self.rows += 1;
        self.counts.already_scheduled += 1;
    }

    /// Adds a row that is not rejected and not looked up either.
    pub(crate) fn accept(&mut self) {
        self.rows += 1;
    }

    /// Adds a rejected row.
    pub(crate) fn reject(&mut self, row: RejectedRow) -> Result<(), ImportError> {
        self.rows += 1;
        self.counts.rejected += 1;
        if let Some(file) = &mut self.rejected_rows {
            file.write(&row).map_err(writing_rejected_rows)?;
        }
        if self.rejections.len() < MAX_REPORTED {
            let RejectedRow { line, reason, .. } = row;
            self.report.rejected(line, &reason);
            self.rejections.push(RowRejection { line, reason });
        }
        Ok(())
    }

    /// Whether no row is rejected so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.counts.rejected == 0
    }

    /// Reports the rows that are done.
    pub(crate) fn report_progress(&self) {
        self.report.progress(self.rows, self.rows);
    }

    /// Writes a checkpoint when enough rows were added since the last one.
    pub(crate) fn batch_done(&mut self) -> Result<(), ImportError> {
        let written = self.checkpoint.as_ref().map_or(self.rows, |(_, last)| last.rows);
        if self.rows - written >= CHECKPOINT_INTERVAL { self.make_durable() } else { Ok(()) }
    }

    /// Writes a checkpoint. The rejected rows come first, because the checkpoint covers them.
    pub(crate) fn make_durable(&mut self) -> Result<(), ImportError> {
        let durable = self.rejected_rows.as_mut().map(RejectedRowsFile::make_durable).transpose();
        let durable = durable.map_err(writing_rejected_rows)?;
        let Some((file, checkpoint)) = &mut self.checkpoint else { return Ok(()) };
        checkpoint.rejected_rows = durable.unwrap_or_default();
        (checkpoint.rows, checkpoint.counts) = (self.rows, self.counts);
        file.write(checkpoint).map_err(ImportError::io("writing", file.path()))
    }

    /// Ends with all rows done. The checkpoint is removed, so the next import starts at the
    /// beginning.
    pub(crate) fn finish(&mut self) -> Result<(), ImportError> {
        self.make_durable()?;
        match self.checkpoint.take() {
            Some((file, _)) => file.remove().map_err(ImportError::io("removing", file.path())),
            None => Ok(()),
        }
    }

    /// The file of rejected rows, if there is one.
    pub(crate) fn rejected_rows(&self) -> Option<&Path> {
        self.rejected_rows.as_ref().and_then(RejectedRowsFile::path)
    }
}

fn writing_rejected_rows(source: std::io::Error) -> ImportError {
    ImportError::Io { what: "writing the rejected rows".to_owned(), source }
}
