//! The books of a day: where each payment is, against where it should be and what the
//! transaction service says.

use std::collections::HashMap;

use domain::{Payment, PaymentId, Status};
use serde::Serialize;
use shared::payments::StoredPayment;
use shared::reconciliation::{JournalEvidence, JournalSettlements, differences};

use super::plan::PlannedEnd;
use crate::reconcile::dead_letter_of;

/// Most differences that are described; all are counted.
const DESCRIBED: usize = 20;

/// Where a payment was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoredIn {
    /// The payments table.
    Payments,
    /// The archive.
    Archive,
}

/// Every payment that was scheduled, and what shall become of it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    expected: HashMap<PaymentId, Expected>,
    books: DayBooks,
}

#[derive(Debug)]
struct Expected {
    amount: i64,
    planned: PlannedEnd,
    found: Option<StoredIn>,
}

/// What became of the payments of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DayBooks {
    /// Payments that were scheduled.
    pub inserted: u64,
    /// Settled once and in the archive, with the journal's amount and transaction id.
    pub archived: u64,
    /// FAILED, with a dead letter.
    pub failed: u64,
    /// CANCELLED, and not settled.
    pub cancelled: u64,
    /// SCHEDULED for a later day, untouched.
    pub waiting: u64,
    /// Payments that are not where they should be.
    pub wrong: u64,
    /// The first of them, for people.
    pub differences: Vec<String>,
}

impl DayBooks {
    /// Whether each payment ended where it should: inserted = archived + failed + cancelled +
    /// waiting, and nothing is wrong.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.wrong == 0
            && self.inserted == self.archived + self.failed + self.cancelled + self.waiting
    }

    fn differ(&mut self, what: String) {
        self.wrong += 1;
        if self.differences.len() < DESCRIBED {
            self.differences.push(what);
        }
    }
}

impl Ledger {
    /// Enters a payment that was scheduled.
    pub(super) fn expect(&mut self, payment: &Payment, planned: PlannedEnd) {
        self.books.inserted += 1;
        let amount = payment.amount.minor_units();
        self.expected.insert(payment.id, Expected { amount, planned, found: None });
    }

    /// Enters that a payment ends otherwise than was planned at first.
    pub(super) fn change(&mut self, id: PaymentId, planned: PlannedEnd) {
        if let Some(expected) = self.expected.get_mut(&id) {
            expected.planned = planned;
        }
    }

    /// How many payments are to end like this.
    pub(super) fn count(&self, planned: PlannedEnd) -> u64 {
        self.expected.values().filter(|expected| expected.planned == planned).count() as u64
    }

    /// Enters what a table holds. Takes the payment's settlement out of `journal`.
    pub(super) fn found(
        &mut self,
        place: StoredIn,
        stored: &StoredPayment,
        journal: &mut JournalSettlements,
        dead_letters: &HashMap<PaymentId, u32>,
    ) {
        let id = stored.payment.id;
        let Some(expected) = self.expected.get_mut(&id) else {
            return self.books.differ(format!("{id} in {place:?} was never scheduled"));
        };
        if let Some(before) = expected.found.replace(place) {
            return self.books.differ(format!("{id} is in {before:?} and in {place:?}"));
        }
        let settled = journal.take(id);
        let dead_letter = dead_letter_of(id, dead_letters);
        let agree =
            differences(stored, JournalEvidence::of(settled.as_ref()), dead_letter).is_empty();
        let books = &mut self.books;
        let untouched = settled.is_none() && stored.attempts == 0;
        match (expected.planned, place, stored.status) {
            (PlannedEnd::Executed, StoredIn::Archive, Status::Processed)
                if agree && stored.payment.amount.minor_units() == expected.amount =>
            {
                books.archived += 1;
            }
            (PlannedEnd::Executed, StoredIn::Payments, Status::Failed) if agree => {
                books.failed += 1
            }
            (PlannedEnd::Waits, StoredIn::Payments, Status::Scheduled) if untouched => {
                books.waiting += 1
            }
            (PlannedEnd::Cancelled, StoredIn::Payments, Status::Cancelled) if untouched => {
                books.cancelled += 1;
            }
            (planned, _, status) => books.differ(format!(
                "{} shall be {planned:?} and is {status} in {place:?}; the journal has {settled:?}",
                stored.payment.reference()
            )),
        }
    }

    /// The books, once both tables are read; `journal` is what was taken from nothing.
    pub(super) fn close(mut self, journal: &JournalSettlements) -> DayBooks {
        for (id, expected) in &self.expected {
            if expected.found.is_none() {
                self.books.differ(format!("{id} is in neither table"));
            }
        }
        for (key, _) in journal.remaining() {
            self.books.differ(format!("{key} was settled and is in neither table"));
        }
        self.books
    }
}

#[cfg(test)]
#[path = "books_tests.rs"]
mod tests;
