//! Rows that go to the table in one request, and the rejected ones between them.

use std::collections::HashSet;

use domain::{AccountId, Payment, Status};
use shared::payments::InsertResult;

use super::rejected_rows::RejectedRow;
use super::row_results::RowResults;
use crate::error::ImportError;

/// Payments in one insert request.
pub(crate) const MAX_INSERTED: usize = 25;
/// Payments in one read request.
pub(crate) const MAX_READ: usize = 100;
/// Rows held between two requests, when many are rejected.
const MAX_ROWS: usize = 250;
/// Bytes of rows held between two requests.
const MAX_BYTES: usize = 256 * 1024;

/// A row as written; `rejected` is the reason, or `None` for a payment.
#[derive(Debug)]
struct BatchRow {
    line: u64,
    row: Option<Vec<u8>>,
    rejected: Option<String>,
}

/// Rows in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct RowBatch {
    rows: Vec<BatchRow>,
    /// Those of them that are payments.
    pub(crate) payments: Vec<Payment>,
    /// Accounts whose rows bring ids of their own: the ids are in an order that the rows may follow.
    pub(crate) ordered: HashSet<AccountId>,
    bytes: usize,
}

impl RowBatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it has `payments` payments, or as many rows as are held.
    pub(crate) fn is_full(&self, payments: usize) -> bool {
        self.payments.len() >= payments || self.rows.len() >= MAX_ROWS || self.bytes >= MAX_BYTES
    }

    /// Whether it holds a payment with the id of `payment`: one request cannot insert an id twice.
    pub(crate) fn holds(&self, payment: &Payment) -> bool {
        self.payments.iter().any(|other| other.id == payment.id)
    }

    /// Adds a payment and its row.
    pub(crate) fn accept(&mut self, line: u64, row: Vec<u8>, payment: Payment) {
        self.bytes += row.len();
        self.rows.push(BatchRow { line, row: Some(row), rejected: None });
        self.payments.push(payment);
    }

    /// Adds a rejected row.
    pub(crate) fn reject(&mut self, line: u64, row: Option<Vec<u8>>, reason: String) {
        self.bytes += row.as_ref().map_or(0, Vec::len);
        self.rows.push(BatchRow { line, row, rejected: Some(reason) });
    }

    /// Adds every row to the results; `inserted` is what the table said of each payment.
    pub(crate) fn add_to(
        self,
        results: &mut RowResults<'_>,
        inserted: &[InsertResult],
    ) -> Result<(), ImportError> {
        let mut inserted = self.payments.iter().zip(inserted);
        for BatchRow { line, row, rejected } in self.rows {
            let rejected = match rejected {
                Some(reason) => Some(reason),
                // `PaymentsTable::insert` gives a result for each payment.
                None => match inserted.next() {
                    None => break,
                    Some((_, InsertResult::New)) => {
                        results.scheduled();
                        continue;
                    }
                    Some((payment, InsertResult::AlreadyThere(status))) => {
                        ended_unpaid(payment, *status)
                    }
                    Some((payment, InsertResult::Conflict)) => Some(format!(
                        "PaymentID: the table already holds another payment {}",
                        payment.id
                    )),
                },
            };
            match rejected {
                Some(reason) => results.reject(RejectedRow { line, reason, row })?,
                None => results.already_scheduled(),
            }
        }
        results.batch_done()
    }
}

/// Why a payment that the table holds already will not be paid.
fn ended_unpaid(payment: &Payment, status: Status) -> Option<String> {
    let reference = payment.reference();
    match status {
        Status::Scheduled | Status::Pending | Status::Processed => None,
        Status::Cancelled => Some(format!(
            "the table holds the payment {reference} as CANCELLED, so it is not paid; to pay it after all, give the row a new PaymentID"
        )),
        Status::Failed => Some(format!(
            "the table holds the payment {reference} as FAILED: see `dueflow payments show {reference}`; to pay it, `dueflow dlq replay {reference}`"
        )),
    }
}
