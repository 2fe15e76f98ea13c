//! The second reading: payments are scheduled, and refused rows written down.

use std::io::BufRead;

use super::bar::Bar;
use super::batch::{Batch, READ, WRITTEN};
use super::ledger::Ledger;
use super::lines::Span;
use super::rejects::Refused;
use super::repeats::Repeats;
use super::rows::{Entry, Rows};
use super::rules::{Rules, shortened};
use super::stop::Stop;
use super::writers::Writers;
use domain::{Payment, PaymentRef, Status};
use shared::payments::{InsertResult, PaymentsTable};

/// Rows between two looks at the clock, where nothing is sent.
const SHOWN: u64 = 1024;

/// Reads the rows once more, each judged with what came before it.
#[derive(Debug)]
pub(crate) struct Second<R> {
    rows: Rows<R>,
    rules: Rules,
    repeats: Repeats,
}

/// What a refused row means for those behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusals {
    /// Nothing.
    Counted,
    /// They are not written any more.
    End,
}

/// A row that was judged.
struct Judged {
    span: Span,
    /// The payment and whether its row brought the id, or why it is none.
    payment: Result<(Payment, IdOf), String>,
}

/// Where a payment's id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IdOf {
    Row,
    Content,
}

impl<R: BufRead> Second<R> {
    pub(crate) fn new(rows: Rows<R>, rules: Rules, repeats: Repeats) -> Self {
        Self { rows, rules, repeats }
    }

    fn next(&mut self) -> Result<Option<Judged>, Stop> {
        while let Some((span, entry)) = self.rows.next()? {
            let read = match entry {
                Entry::Row(read) => read.map_err(|reason| shortened(&reason)),
                Entry::Trailer(_) => continue,
            };
            let payment = read.and_then(|row| {
                let id = if row.has_id() { IdOf::Row } else { IdOf::Content };
                let payment = self.rules.payment(&row, span.line, &mut self.repeats)?;
                Ok((payment, id))
            });
            return Ok(Some(Judged { span, payment }));
        }
        Ok(None)
    }

    /// The row that came last, as written.
    fn written(&self, span: Span) -> Option<Vec<u8>> {
        span.whole().then(|| self.rows.bytes().to_vec())
    }

    /// Schedules the rows behind those that the ledger has, and gives back what was read from;
    /// `None` when it was to end at the first refused row, and did.
    pub(crate) async fn schedule(
        mut self,
        writers: &mut Writers,
        ledger: &mut Ledger,
        refusals: Refusals,
        bar: &mut Bar,
    ) -> Result<Option<R>, Stop> {
        let done = ledger.rows;
        let mut row = 0_u64;
        let mut batch = Batch::default();
        while let Some(Judged { span, payment }) = self.next()? {
            row += 1;
            // Rows that are done were judged all the same: those behind them are counted on.
            if row <= done {
                continue;
            }
            match payment {
                Ok((payment, id)) => {
                    if batch.holds(&payment) {
                        writers.send(std::mem::take(&mut batch), ledger).await?;
                    }
                    if id == IdOf::Row {
                        batch.ordered.insert(payment.account.clone());
                    }
                    batch.take(span.line, self.written(span).unwrap_or_default(), payment);
                }
                Err(reason) => batch.refuse(span.line, self.written(span), reason),
            }
            if batch.is_full(WRITTEN) {
                writers.send(std::mem::take(&mut batch), ledger).await?;
                bar.show(ledger.rows, ledger.rows);
            }
            if refusals == Refusals::End && !ledger.is_clean() {
                writers.enter_all(ledger).await?;
                return Ok(None);
            }
        }
        writers.send(batch, ledger).await?;
        writers.enter_all(ledger).await?;
        let whole = refusals == Refusals::Counted || ledger.is_clean();
        Ok(whole.then(|| self.rows.into_reader()))
    }

    /// Finds what is refused, also for what the table holds.
    pub(crate) async fn look_up(
        mut self,
        table: &PaymentsTable,
        ledger: &mut Ledger,
        bar: &mut Bar,
    ) -> Result<R, Stop> {
        let mut batch = Batch::default();
        while let Some(Judged { span, payment }) = self.next()? {
            match payment {
                Ok((payment, _)) => {
                    if batch.holds(&payment) {
                        enter_found(std::mem::take(&mut batch), table, ledger).await?;
                    }
                    batch.take(span.line, self.written(span).unwrap_or_default(), payment);
                }
                Err(reason) => batch.refuse(span.line, self.written(span), reason),
            }
            if batch.is_full(READ) {
                enter_found(std::mem::take(&mut batch), table, ledger).await?;
                bar.show(ledger.rows, ledger.rows);
            }
        }
        enter_found(batch, table, ledger).await?;
        ledger.make_durable()?;
        Ok(self.rows.into_reader())
    }

    /// The payments of this file that the table holds and that nobody has begun to pay.
    pub(crate) async fn scheduled(
        mut self,
        table: &PaymentsTable,
        mut found: impl FnMut(&PaymentRef) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut payments = Vec::new();
        loop {
            let judged = self.next()?;
            let ended = judged.is_none();
            payments.extend(judged.and_then(|judged| judged.payment.ok()).map(|(p, _)| p));
            if ended || payments.len() >= READ {
                let results = table.look_up(&payments).await;
                let results = results.map_err(|error| Stop::Lookup(Box::new(error)))?;
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

    /// Only finds what is refused.
    pub(crate) fn look(mut self, ledger: &mut Ledger, bar: &mut Bar) -> Result<R, Stop> {
        while let Some(Judged { span, payment }) = self.next()? {
            match payment {
                Ok(_) => ledger.passed(),
                Err(reason) => {
                    let row = self.written(span);
                    ledger.refuse(Refused { line: span.line, reason, row })?;
                }
            }
            if ledger.rows.is_multiple_of(SHOWN) {
                bar.show(ledger.rows, ledger.rows);
            }
        }
        ledger.make_durable()?;
        Ok(self.rows.into_reader())
    }
}

/// Enters a batch with what the table holds now.
async fn enter_found(batch: Batch, table: &PaymentsTable, ledger: &mut Ledger) -> Result<(), Stop> {
    let results = table.look_up(&batch.payments).await;
    batch.enter(&results.map_err(|error| Stop::Lookup(Box::new(error)))?, ledger)
}
