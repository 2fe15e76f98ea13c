//! What tonight needs.

use std::time::Duration;

use indicatif::HumanCount;

use super::format::several;

/// Write units that one payment of at most 1 KB costs the table when it is inserted; the index
/// `due` as many. ARCHITECTURE.md, "Index `due`": 6 in all until it is PROCESSED.
const UNITS_TO_INSERT: u64 = 1;

/// The same for the claim and the settlement together.
const UNITS_TO_PAY: u64 = 2;

/// A batch and the time it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLoad {
    /// How many payments.
    pub(super) payments: u64,
    /// Within which time they must be PROCESSED.
    pub(super) window: Duration,
    /// Within which time they are inserted.
    pub(super) insertion: Duration,
}

impl BatchLoad {
    /// Payments per second that must pass.
    pub(super) fn rate(&self) -> f64 {
        self.payments as f64 / self.window.as_secs_f64()
    }

    /// Write units per second that the table needs at most, and the index `due` as many:
    /// while payments are inserted, others are paid already.
    pub(super) fn write_units(&self) -> u64 {
        let inserting = (self.payments * UNITS_TO_INSERT) as f64 / self.insertion.as_secs_f64();
        (inserting + self.rate() * UNITS_TO_PAY as f64).ceil() as u64
    }

    /// The same in words.
    pub(super) fn arithmetic(&self) -> String {
        format!(
            "{} × {} (insert) / {} s + × {UNITS_TO_PAY} units (claim, settle) / {} s = {} write units/s",
            several(self.payments, "payment"),
            several(UNITS_TO_INSERT, "unit"),
            HumanCount(self.insertion.as_secs()),
            HumanCount(self.window.as_secs()),
            HumanCount(self.write_units()),
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The batch of the mission: a million payments in half an hour, inserted within ten
    /// minutes.
    pub(in super::super) fn a_million() -> BatchLoad {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        BatchLoad { payments: 1_000_000, window: minutes(30), insertion: minutes(10) }
    }

    #[test]
    fn a_million_in_half_an_hour_are_556_a_second_and_2778_units_in_table_and_index_each() {
        let load = a_million();
        assert_eq!(load.rate().round(), 556.0);
        // 1,000,000 / 600 s + 2,000,000 / 1,800 s.
        assert_eq!(load.write_units(), 2_778);
        assert_eq!(
            load.arithmetic(),
            "1,000,000 payments × 1 unit (insert) / 600 s + × 2 units (claim, settle) / 1,800 s \
             = 2,778 write units/s"
        );
    }
}
