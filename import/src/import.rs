//! An import, from its options to its summary.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use domain::DueDate;
use shared::shutdown::Shutdown;

use crate::error::ImportError;
use crate::file::SourceFile;
use crate::options::ImportOptions;
use crate::report::{ImportReport, Notice};
use crate::schedule::{ImportTables, ValidatedFile};
use crate::summary::{PaymentsWritten, Summary};
use crate::validate::{DuplicateFilter, RowRules, Validation, validate};

/// Longest batch name in bytes: it is part of a key, and a key has at most 2,048.
const MAX_BATCH: usize = 1_024;

/// An import whose options fit together.
#[derive(Debug)]
pub struct Import {
    pub(crate) source: SourceFile,
    pub(crate) options: ImportOptions,
    pub(crate) rules: RowRules,
    pub(crate) rejected_rows: PathBuf,
    checkpoint: Option<PathBuf>,
}

impl Import {
    /// An import on the bank's day `today`.
    ///
    /// # Errors
    /// [`ImportError::Usage`] when a name or path is missing or wrong.
    pub fn prepare(
        source: SourceFile,
        options: ImportOptions,
        today: DueDate,
    ) -> Result<Self, ImportError> {
        let usage = |text: &str| ImportError::Usage(text.to_owned());
        let stem = source.path().and_then(Path::file_stem).and_then(|stem| stem.to_str());
        let batch = options.batch.clone().or_else(|| stem.map(str::to_owned)).ok_or_else(|| {
            usage("standard input, or a file whose name is not UTF-8, needs a batch name: give --batch")
        })?;
        if batch.is_empty() || batch.len() > MAX_BATCH {
            return Err(usage("the batch name must have 1 to 1,024 bytes"));
        }
        let rejected_rows = options.rejected_rows.clone().or_else(|| source.beside(".rejects"));
        let rejected_rows = rejected_rows
            .ok_or_else(|| usage("rejected rows of standard input need a file: give --rejects"))?;
        let checkpoint = options.checkpoint.clone().or_else(|| source.beside(".dueflow-progress"));
        if source.is(&rejected_rows)
            || checkpoint.as_deref().is_some_and(|path| source.is(path) || path == rejected_rows)
        {
            return Err(usage(
                "the file, its rejected rows and its progress must be different files",
            ));
        }
        let ImportOptions { allow_past, latest, .. } = options;
        let rules = RowRules { batch, today, allow_past, latest };
        Ok(Self { source, options, rules, rejected_rows, checkpoint })
    }

    /// Finds what would be rejected for what the file says, and reads no table. Rejected rows are
    /// written only where the options name a file for them.
    ///
    /// # Errors
    /// [`ImportError::InvalidFile`] when the file is wrong as a whole.
    pub fn dry_run(&self, report: &dyn ImportReport) -> Result<Summary, ImportError> {
        let (validation, filter, mut summary) = self.validate(report)?;
        let file = self.validated(&validation, filter, report);
        let results = file.find_rejected(self.options.rejected_rows.as_deref())?;
        summary.add(results, PaymentsWritten::DryRun);
        Ok(summary)
    }

    /// Schedules the payments. `shutdown` is called before the first write; until then a signal
    /// may end the process at any time.
    ///
    /// # Errors
    /// [`ImportError`]; after an error the import can be run again.
    pub async fn run(
        &self,
        tables: &ImportTables,
        shutdown: impl FnOnce() -> io::Result<Shutdown>,
        report: &dyn ImportReport,
    ) -> Result<Summary, ImportError> {
        let (validation, filter, mut summary) = self.validate(report)?;
        // Whether an id is another row's is seen only in the second pass.
        let may_reject = validation.rejected > 0 || filter.kept() > 0;
        let file = self.validated(&validation, filter, report);
        if self.options.all_or_nothing {
            if may_reject {
                let results = file.find_rejected(Some(&self.rejected_rows))?;
                if !results.is_clean() {
                    summary.add(results, PaymentsWritten::Nothing);
                    return Ok(summary);
                }
            }
            let results = file.look_up(tables).await?;
            if !results.is_clean() {
                summary.add(results, PaymentsWritten::Nothing);
                return Ok(summary);
            }
        }
        let shutdown =
            shutdown().map_err(ImportError::io("listening for signals for", self.source.name()))?;
        let scheduled = file.schedule(tables, shutdown).await?;
        summary.scheduled_in(scheduled.took, scheduled.resumed_after);
        let written = match &scheduled.partly {
            Some(_) => PaymentsWritten::Partly,
            None => PaymentsWritten::Yes,
        };
        summary.partly = scheduled.partly;
        summary.add(scheduled.results, written);
        Ok(summary)
    }

    pub(crate) fn validate(
        &self,
        report: &dyn ImportReport,
    ) -> Result<(Validation, DuplicateFilter, Summary), ImportError> {
        let started = Instant::now();
        let (validation, filter) = validate(&self.source, &self.options, &self.rules, report)?;
        let took = started.elapsed();
        validation.compare(&self.source, &self.options)?;
        if let Some(far_ahead) = validation.far_ahead {
            let (line, due) = far_ahead.first;
            report.notice(&Notice::FarAhead { rows: far_ahead.rows, line, due });
        }
        let summary = Summary::new(self.source.name(), &self.rules.batch, &validation, took);
        Ok((validation, filter, summary))
    }

    pub(crate) fn validated<'a>(
        &'a self,
        validation: &'a Validation,
        filter: DuplicateFilter,
        report: &'a dyn ImportReport,
    ) -> ValidatedFile<'a> {
        ValidatedFile {
            source: &self.source,
            options: &self.options,
            rules: &self.rules,
            validation,
            duplicates: filter.into_duplicate_rows(),
            rejected_rows: &self.rejected_rows,
            checkpoint: self.checkpoint.as_deref(),
            report,
        }
    }
}
