//! Rows that go to the table in one request, and the refused ones between them.

use std::collections::HashSet;

use domain::{AccountId, Payment, Status};
use shared::payments::InsertResult;

use super::ledger::Ledger;
use super::rejects::Refused;
use super::stop::Stop;

/// Payments in one request that writes.
pub(crate) const WRITTEN: usize = 25;
/// Payments in one request that reads.
pub(crate) const READ: usize = 100;
/// Rows held between two requests, when many are refused.
const ROWS: usize = 250;
/// Bytes of such rows.
const BYTES: usize = 256 * 1024;

/// One row as it was written, and whether it is a payment.
#[derive(Debug)]
struct Held {
    line: u64,
    row: Option<Vec<u8>>,
    refused: Option<String>,
}

/// Rows in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    rows: Vec<Held>,
    /// Those of them that are payments.
    pub(crate) payments: Vec<Payment>,
    /// Accounts whose rows bring ids of their own: the ids are in an order that the rows may follow.
    pub(crate) ordered: HashSet<AccountId>,
    bytes: usize,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it has `payments` payments, or as many rows as are held.
    pub(crate) fn is_full(&self, payments: usize) -> bool {
        self.payments.len() >= payments || self.rows.len() >= ROWS || self.bytes >= BYTES
    }

    /// Whether it holds a payment with the id of `payment`: one request cannot insert an id twice.
    pub(crate) fn holds(&self, payment: &Payment) -> bool {
        self.payments.iter().any(|other| other.id == payment.id)
    }

    /// Adds a payment and the row that asks for it.
    pub(crate) fn take(&mut self, line: u64, row: Vec<u8>, payment: Payment) {
        self.bytes += row.len();
        self.rows.push(Held { line, row: Some(row), refused: None });
        self.payments.push(payment);
    }

    /// Adds a row that is no payment.
    pub(crate) fn refuse(&mut self, line: u64, row: Option<Vec<u8>>, reason: String) {
        self.bytes += row.as_ref().map_or(0, Vec::len);
        self.rows.push(Held { line, row, refused: Some(reason) });
    }

    /// Enters every row, with what the table said of the payments among them.
    pub(crate) fn enter(self, results: &[InsertResult], ledger: &mut Ledger) -> Result<(), Stop> {
        let mut results = self.payments.iter().zip(results);
        for Held { line, row, refused } in self.rows {
            let reason = match refused {
                Some(reason) => reason,
                None => match results.next() {
                    Some((_, InsertResult::New)) => {
                        ledger.scheduled();
                        continue;
                    }
                    Some((payment, InsertResult::AlreadyThere(status))) => {
                        match ended_unpaid(payment, *status) {
                            Some(reason) => reason,
                            None => {
                                ledger.already_scheduled();
                                continue;
                            }
                        }
                    }
                    Some((payment, InsertResult::Conflict)) => {
                        format!("PaymentID: {} is another payment already", payment.id)
                    }
                    // PaymentsTable::insert gives a result for each payment.
                    None => break,
                },
            };
            ledger.refuse(Refused { line, reason, row })?;
        }
        ledger.settle()
    }
}

/// Why a payment that is there already is not paid by being there.
fn ended_unpaid(payment: &Payment, status: Status) -> Option<String> {
    let reference = payment.reference();
    match status {
        Status::Scheduled | Status::Pending | Status::Processed => None,
        Status::Cancelled => Some(format!(
            "the payment {reference} is there and CANCELLED: it is not paid; if it is to be paid after all, give the row a new PaymentID"
        )),
        Status::Failed => Some(format!(
            "the payment {reference} is there and FAILED: see `dueflow payments show {reference}`; if it is to be paid, `dueflow dlq replay {reference}`"
        )),
    }
}
