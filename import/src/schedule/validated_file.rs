//! A file that passed validation, until its last payment is in the table.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use shared::shutdown::Shutdown;

use super::checkpoint::{CheckpointFile, ImportId};
use super::pass::{OnRejection, SchedulePass};
use super::registry::{BatchContent, EarlierImport};
use super::rejected_rows::RejectedRowsFile;
use super::row_results::{RowResults, StartPosition};
use super::tables::ImportTables;
use super::writers::Writers;
use crate::error::ImportError;
use crate::file::{RecordReader, SourceFile, SourceReader, changed, sha256};
use crate::options::ImportOptions;
use crate::report::{ImportReport, Notice, Phase};
use crate::validate::{DuplicateRows, RowRules, Validation};

/// A file that passed validation, and where its rejected rows and its checkpoint go.
pub(crate) struct ValidatedFile<'a> {
    pub(crate) source: &'a SourceFile,
    pub(crate) options: &'a ImportOptions,
    pub(crate) rules: &'a RowRules,
    pub(crate) validation: &'a Validation,
    pub(crate) duplicates: DuplicateRows,
    pub(crate) rejected_rows: &'a Path,
    pub(crate) checkpoint: Option<&'a Path>,
    pub(crate) report: &'a dyn ImportReport,
}

/// The result of scheduling.
pub(crate) struct ScheduleResult<'a> {
    pub(crate) results: RowResults<'a>,
    /// Rows that an earlier import had done.
    pub(crate) resumed_after: u64,
    pub(crate) took: Duration,
    /// Where the scheduled payments are listed, when the import was all or nothing and a row was
    /// rejected on the way.
    pub(crate) partly: Option<PathBuf>,
}

impl<'a> ValidatedFile<'a> {
    /// Finds the rows that would be rejected for what the file says. They are written to
    /// `rejected_rows`, if that is given.
    pub(crate) fn find_rejected(
        &self,
        rejected_rows: Option<&Path>,
    ) -> Result<RowResults<'a>, ImportError> {
        let (pass, mut results) = self.without_writing(rejected_rows)?;
        let reader = pass.find_rejected(&mut results)?;
        self.report.end();
        self.check_unchanged(reader)?;
        Ok(results)
    }

    /// Finds the rows that would be rejected, also for what the table holds: read before anything
    /// is written.
    pub(crate) async fn look_up(
        &self,
        tables: &ImportTables,
    ) -> Result<RowResults<'a>, ImportError> {
        let (pass, mut results) = self.without_writing(Some(self.rejected_rows))?;
        let reader = pass.look_up(&tables.payments(), &mut results).await?;
        self.report.end();
        self.check_unchanged(reader)?;
        Ok(results)
    }

    fn without_writing(
        &self,
        rejected_rows: Option<&Path>,
    ) -> Result<(SchedulePass<SourceReader<'a>>, RowResults<'a>), ImportError> {
        self.report.begin(Phase::FindRejected, 0, self.validation.totals.rows);
        let records = self.records()?;
        let rejected_rows = rejected_rows
            .map(|path| {
                RejectedRowsFile::replace(path, self.options.syntax, records.header())
                    .map_err(ImportError::io("replacing", path))
            })
            .transpose()?;
        let results = RowResults::without_writing(rejected_rows, self.report);
        Ok((self.pass(records), results))
    }

    /// Registers the batch, schedules its payments, and records that the import ended.
    pub(crate) async fn schedule(
        &self,
        tables: &ImportTables,
        shutdown: Shutdown,
    ) -> Result<ScheduleResult<'a>, ImportError> {
        let content_hash = self.validation.content.hash();
        let content = BatchContent {
            batch: &self.rules.batch,
            hash: &content_hash,
            rows: self.validation.content.rows(),
        };
        let import = self.register(tables, content).await?;
        let (mut results, resumed_after) = self.results(import)?;
        let ImportOptions { writers, rate, all_or_nothing, .. } = *self.options;
        let on_rejection = if all_or_nothing { OnRejection::Stop } else { OnRejection::Continue };
        let mut writers = Writers::new(tables.payments(), writers, rate, shutdown);
        let started = Instant::now();
        self.report.begin(Phase::Schedule, resumed_after, self.validation.totals.rows);
        let pass = self.pass(self.records()?);
        let read = pass.schedule(&mut writers, &mut results, on_rejection).await;
        self.report.end();
        let took = started.elapsed();
        let reader = match read {
            Ok(reader) => reader,
            Err(error) => {
                // The first error says more than one about the checkpoint would.
                let _ = results.make_durable();
                return Err(error);
            }
        };
        let Some(reader) = reader else {
            // Another writer inserted another payment under an id of this file after the look-up.
            results.make_durable()?;
            let partly = Some(self.list_scheduled(tables).await?);
            return Ok(ScheduleResult { results, resumed_after, took, partly });
        };
        self.check_unchanged(reader)?;
        tables.registry.end(content, results.counts, Timestamp::now()).await?;
        results.finish()?;
        Ok(ScheduleResult { results, resumed_after, took, partly: None })
    }

    /// Registers the batch and returns the id of its import.
    async fn register(
        &self,
        tables: &ImportTables,
        content: BatchContent<'_>,
    ) -> Result<String, ImportError> {
        let now = Timestamp::now();
        let registered = tables.registry.start(content, self.options.repeat_content, now).await?;
        if let EarlierImport::Unfinished { started_at } = registered.earlier {
            let batch = content.batch.to_owned();
            self.report.notice(&Notice::UnfinishedBatch { batch, started_at });
        }
        Ok(registered.import)
    }

    /// The results of the rows that are done, and how many those are.
    fn results(&self, import: String) -> Result<(RowResults<'a>, u64), ImportError> {
        let records = self.records()?;
        let (sha256, batch) = (self.validation.sha256.clone(), self.rules.batch.clone());
        let import = ImportId { sha256, batch, import };
        let checkpoint = self.checkpoint.map(|path| CheckpointFile::new(path.to_owned()));
        let rejected = (self.rejected_rows, self.options.syntax, records.header());
        let (results, start) = RowResults::open(import, rejected, checkpoint, self.report)?;
        let file = self.source.name().display().to_string();
        let done = match start {
            StartPosition::Beginning => 0,
            StartPosition::Again => {
                self.report.notice(&Notice::StartingOver { file });
                0
            }
            StartPosition::After(rows) => {
                self.report.notice(&Notice::Continuing { file, rows });
                rows
            }
        };
        Ok((results, done))
    }

    /// Lists the payments of this file that are in the table and not begun, a reference on each
    /// line, for a person who wants to cancel them.
    async fn list_scheduled(&self, tables: &ImportTables) -> Result<PathBuf, ImportError> {
        let mut path = self.rejected_rows.as_os_str().to_owned();
        path.push(".scheduled");
        let path = PathBuf::from(path);
        let file = File::create(&path).map_err(ImportError::io("creating", &path))?;
        let mut file = BufWriter::new(file);
        let pass = self.pass(self.records()?);
        let table = tables.payments();
        let list = pass.for_each_scheduled(&table, |reference| {
            writeln!(file, "{reference}").map_err(ImportError::io("writing", &path))
        });
        list.await?;
        let written = file.into_inner().map_err(io::IntoInnerError::into_error);
        let written = written.and_then(|file| file.sync_data());
        written.map_err(ImportError::io("writing", &path))?;
        Ok(path)
    }

    fn records(&self) -> Result<RecordReader<SourceReader<'a>>, ImportError> {
        RecordReader::open(self.source.read()?, self.options.syntax)
    }

    fn pass(&self, records: RecordReader<SourceReader<'a>>) -> SchedulePass<SourceReader<'a>> {
        SchedulePass::new(records, self.rules.clone(), self.duplicates.clone())
    }

    /// Compares what was read with what was validated.
    fn check_unchanged(&self, reader: SourceReader<'_>) -> Result<(), ImportError> {
        if sha256(reader) == self.validation.sha256 { Ok(()) } else { Err(changed()) }
    }
}
