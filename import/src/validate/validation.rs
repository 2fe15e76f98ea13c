//! Reading the file once: whether it is right as a whole.

use domain::DueDate;

use super::content_hash::ContentHash;
use super::duplicate_rows::DuplicateFilter;
use super::rules::RowRules;
use super::totals::FileTotals;
use crate::error::ImportError;
use crate::file::{ControlTotals, FileRecord, RecordReader, SourceFile, sha256};
use crate::options::ImportOptions;
use crate::report::{ImportReport, Phase};

/// Rows between two reports of progress.
const REPORT_INTERVAL: u64 = 1024;

/// Days ahead from which on a due date is pointed out: nobody would notice a wrong century.
const FAR_AHEAD: u16 = 731;

/// Rows that are due very late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FarAhead {
    pub(crate) rows: u64,
    /// Line and due date of the first of them.
    pub(crate) first: (u64, DueDate),
}

/// The result of the first pass.
#[derive(Debug)]
pub(crate) struct Validation {
    pub(crate) totals: FileTotals,
    /// Rows that are rejected for themselves. The second pass adds those that are rejected for
    /// another row's id.
    pub(crate) rejected: u64,
    /// The trailer and its line.
    pub(crate) trailer: Option<(u64, ControlTotals)>,
    pub(crate) far_ahead: Option<FarAhead>,
    /// Rows without any content; they are not in the totals.
    pub(crate) blank: u64,
    /// The rows that another batch name would schedule again.
    pub(crate) content: ContentHash,
    pub(crate) sha256: String,
}

/// Reads the file once. The filter holds the rows that may be duplicates.
///
/// # Errors
/// [`ImportError::InvalidFile`] when the file is wrong as a whole.
pub(crate) fn validate(
    source: &SourceFile,
    options: &ImportOptions,
    rules: &RowRules,
    report: &dyn ImportReport,
) -> Result<(Validation, DuplicateFilter), ImportError> {
    report.begin(Phase::Validate, 0, source.bytes());
    let mut records = RecordReader::open(source.read()?, options.syntax)?;
    let mut validation = Validation {
        totals: FileTotals::default(),
        rejected: 0,
        trailer: None,
        far_ahead: None,
        blank: 0,
        content: ContentHash::default(),
        sha256: String::new(),
    };
    let mut filter = DuplicateFilter::new();
    let far_ahead = rules.today.days_after(FAR_AHEAD);
    while let Some((span, record)) = records.next()? {
        let read = match record {
            FileRecord::Row(read) => read,
            FileRecord::Trailer(totals) => {
                validation.trailer = Some((span.line, totals));
                continue;
            }
        };
        validation.totals.add(read.as_ref().ok());
        match read.and_then(|row| rules.check(&row, &mut filter, &mut validation.content)) {
            Ok(payment) if payment.due > far_ahead => {
                let first = (span.line, payment.due);
                validation.far_ahead.get_or_insert(FarAhead { rows: 0, first }).rows += 1;
            }
            Ok(_) => {}
            Err(_) => validation.rejected += 1,
        }
        if validation.totals.rows.is_multiple_of(REPORT_INTERVAL) {
            report.progress(validation.totals.rows, records.offset());
        }
    }
    validation.blank = records.blank();
    validation.sha256 = sha256(records.into_reader());
    report.end();
    Ok((validation, filter))
}

impl Validation {
    /// Compares the totals with the trailer and with the options.
    ///
    /// # Errors
    /// All differences at once.
    pub(crate) fn compare(
        &self,
        source: &SourceFile,
        options: &ImportOptions,
    ) -> Result<(), ImportError> {
        let rows = self.totals.rows;
        let mut wrong = Vec::new();
        match &self.trailer {
            Some((line, stated)) => wrong.extend(
                self.totals
                    .compare_with_trailer(stated)
                    .into_iter()
                    .map(|wrong| format!("{wrong} (trailer on line {line})")),
            ),
            None if options.require_trailer => {
                wrong.push(format!("no trailer after the {rows} rows: the file may be cut"));
            }
            None => {}
        }
        wrong.extend(self.totals.compare_with_options(options.expect_count, &options.expect_sum));
        let empty_expected = options.expect_count == Some(0)
            || self.trailer.as_ref().is_some_and(|(_, stated)| stated.count == Some(0));
        if rows == 0 && !empty_expected {
            wrong.push("the file holds no rows; give --expect-count 0 if that is right".to_owned());
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let name = source.name().display();
        let wrong = wrong.join("\n  - ");
        Err(ImportError::InvalidFile(format!("nothing of {name} was written:\n  - {wrong}")))
    }
}
