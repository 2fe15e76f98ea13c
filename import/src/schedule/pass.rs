//! Reading the rows once more, each checked with those before it.

use std::io::BufRead;

use domain::{Payment, PaymentRef, Status};
use shared::payments::{InsertResult, PaymentsTable};

use super::rejected_rows::RejectedRow;
use super::row_batch::{MAX_INSERTED, MAX_READ, RowBatch};
use super::row_results::RowResults;
use super::writers::Writers;
use crate::error::ImportError;
use crate::file::{FileRecord, RecordReader, RowSpan};
use crate::validate::{DuplicateRows, RowRules, shortened};

/// Rows between two reports of progress where nothing is sent.
const REPORT_INTERVAL: u64 = 1024;

/// The second pass over the rows.
#[derive(Debug)]
pub(crate) struct SchedulePass<R> {
    records: RecordReader<R>,
    rules: RowRules,
    duplicates: DuplicateRows,
}

/// What follows a rejected row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnRejection {
    /// The rows after it are scheduled.
    Continue,
    /// No more rows are scheduled.
    Stop,
}

/// A row after all checks.
struct CheckedRow {
    span: RowSpan,
    /// The payment and the source of its id, or why the row is rejected.
    payment: Result<(Payment, IdSource), String>,
}

/// Where a payment's id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IdSource {
    Row,
    Content,
}

impl<R: BufRead> SchedulePass<R> {
    pub(crate) fn new(
        records: RecordReader<R>,
        rules: RowRules,
        duplicates: DuplicateRows,
    ) -> Self {
        Self { records, rules, duplicates }
    }

    fn next(&mut self) -> Result<Option<CheckedRow>, ImportError> {
        while let Some((span, record)) = self.records.next()? {
            let read = match record {
                FileRecord::Row(read) => read.map_err(|reason| shortened(&reason)),
                FileRecord::Trailer(_) => continue,
            };
            let payment = read.and_then(|row| {
                let id = if row.has_id() { IdSource::Row } else { IdSource::Content };
                let payment = self.rules.payment(&row, span.line, &mut self.duplicates)?;
                Ok((payment, id))
            });
            return Ok(Some(CheckedRow { span, payment }));
        }
        Ok(None)
    }

    /// The row that was read last, as written.
    fn written(&self, span: RowSpan) -> Option<Vec<u8>> {
        span.whole().then(|| self.records.bytes().to_vec())
    }

    /// Schedules the rows after those that `results` has, and returns the reader; `None` when it
    /// stopped at a rejected row.
    pub(crate) async fn schedule(
        mut self,
        writers: &mut Writers,
        results: &mut RowResults<'_>,
        on_rejection: OnRejection,
    ) -> Result<Option<R>, ImportError> {
        let done = results.rows;
        let mut row = 0_u64;
        let mut batch = RowBatch::default();
        while let Some(CheckedRow { span, payment }) = self.next()? {
            row += 1;
            // Rows that are done are checked all the same: the ids of later ones depend on them.
            if row <= done {
                continue;
            }
            match payment {
                Ok((payment, id)) => {
                    if batch.holds(&payment) {
                        writers.send(std::mem::take(&mut batch), results).await?;
                    }
                    if id == IdSource::Row {
                        batch.ordered.insert(payment.account.clone());
                    }
                    batch.accept(span.line, self.written(span).unwrap_or_default(), payment);
                }
                Err(reason) => batch.reject(span.line, self.written(span), reason),
            }
            if batch.is_full(MAX_INSERTED) {
                writers.send(std::mem::take(&mut batch), results).await?;
                results.report_progress();
            }
            if on_rejection == OnRejection::Stop && !results.is_clean() {
                writers.finish(results).await?;
                return Ok(None);
            }
        }
        writers.send(batch, results).await?;
        writers.finish(results).await?;
        let whole = on_rejection == OnRejection::Continue || results.is_clean();
        Ok(whole.then(|| self.records.into_reader()))
    }

    /// Finds the rows that would be rejected, also for what the table holds.
    pub(crate) async fn look_up(
        mut self,
        table: &PaymentsTable,
        results: &mut RowResults<'_>,
    ) -> Result<R, ImportError> {
        let mut batch = RowBatch::default();
        while let Some(CheckedRow { span, payment }) = self.next()? {
            match payment {
                Ok((payment, _)) => {
                    if batch.holds(&payment) {
                        add_looked_up(std::mem::take(&mut batch), table, results).await?;
                    }
                    batch.accept(span.line, self.written(span).unwrap_or_default(), payment);
                }
                Err(reason) => batch.reject(span.line, self.written(span), reason),
            }
            if batch.is_full(MAX_READ) {
                add_looked_up(std::mem::take(&mut batch), table, results).await?;
                results.report_progress();
            }
        }
        add_looked_up(batch, table, results).await?;
        results.make_durable()?;
        Ok(self.records.into_reader())
    }

    /// Calls `found` for each payment of this file that is SCHEDULED in the table.
    pub(crate) async fn for_each_scheduled(
        mut self,
        table: &PaymentsTable,
        mut found: impl FnMut(&PaymentRef) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut payments = Vec::new();
        loop {
            let row = self.next()?;
            let ended = row.is_none();
            payments.extend(row.and_then(|row| row.payment.ok()).map(|(p, _)| p));
            if ended || payments.len() >= MAX_READ {
                let results = table.look_up(&payments).await;
                let results = results.map_err(|error| ImportError::Lookup(Box::new(error)))?;
                for (payment, result) in payments.drain(..).zip(results) {
                    if result == InsertResult::AlreadyThere(Status::Scheduled) {
                        found(&payment.reference())?;
                    }
                }
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// Finds the rows that would be rejected for what the file says.
    pub(crate) fn find_rejected(mut self, results: &mut RowResults<'_>) -> Result<R, ImportError> {
        while let Some(CheckedRow { span, payment }) = self.next()? {
            match payment {
                Ok(_) => results.accept(),
                Err(reason) => {
                    let row = self.written(span);
                    results.reject(RejectedRow { line: span.line, reason, row })?;
                }
            }
            if results.rows.is_multiple_of(REPORT_INTERVAL) {
                results.report_progress();
            }
        }
        results.make_durable()?;
        Ok(self.records.into_reader())
    }
}

/// Adds a batch to the results, with what the table holds now.
async fn add_looked_up(
    batch: RowBatch,
    table: &PaymentsTable,
    results: &mut RowResults<'_>,
) -> Result<(), ImportError> {
    let found = table.look_up(&batch.payments).await;
    batch.add_to(results, &found.map_err(|error| ImportError::Lookup(Box::new(error)))?)
}
