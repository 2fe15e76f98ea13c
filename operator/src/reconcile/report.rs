//! What a reconciliation found.

use serde::Serialize;
use serde_json::{Value, json};

/// An id of more than one payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Reused {
    pub(super) transaction_id: String,
    /// How many payments have it; those in both tables twice beyond the named ones.
    pub(super) count: u64,
    pub(super) payments: Vec<String>,
}

/// Most ids, and most payments of one, that are printed for people.
const MAX_PRINTED: usize = 100;
const MAX_PRINTED_OF_ONE: usize = 10;

/// What a reconciliation found.
#[derive(Debug)]
pub(super) struct RepeatedIdsReport {
    /// Items with a transaction id in both tables.
    pub(super) seen: u64,
    /// Ids of more than one payment.
    pub(super) reused: Vec<Reused>,
}

impl RepeatedIdsReport {
    /// Whether each transaction id is one payment's.
    pub(super) fn is_right(&self) -> bool {
        self.reused.is_empty()
    }

    pub(super) fn print(&self) {
        for Reused { transaction_id, count, payments } in self.reused.iter().take(MAX_PRINTED) {
            // The service's, so it may hold what a terminal would obey.
            println!("transaction {}: {count} payments", transaction_id.escape_debug());
            let named = payments.iter().take(MAX_PRINTED_OF_ONE);
            named.clone().for_each(|payment| println!("  {payment}"));
            let more = count - named.len() as u64;
            if more > 0 {
                println!("  and {more} more");
            }
        }
        if self.reused.len() > MAX_PRINTED {
            let more = self.reused.len() - MAX_PRINTED;
            println!("… and {more} more transaction ids that are not printed (--json)");
        }
        println!("{} settled payments in both tables", self.seen);
        match self.reused.len() {
            0 => println!("Each transaction id is one payment's."),
            count => println!(
                "{count} transaction ids are those of more than one payment: \
                 docs/runbooks/dead-letters.md#conflict"
            ),
        }
    }

    pub(super) fn as_json(&self, read_units: f64) -> Value {
        json!({
            "settled": self.seen, "reused": self.reused, "right": self.is_right(),
            "read_units": read_units,
        })
    }
}
