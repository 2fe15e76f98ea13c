//! How far a day is opened.

use domain::DueDate;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::leases::position::{LeasePosition, StoredPosition};

/// How far a day is opened: every payment up to here is acknowledged by SQS (INV-3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OpenedUpTo {
    /// Nothing is queued yet.
    Nothing,
    /// A place that [`InterleavedDay::place`](super::interleave::InterleavedDay::place) gave.
    Place(String),
    /// The day is open.
    End,
}

/// The position in a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DayPosition {
    pub(crate) opened: OpenedUpTo,
    /// When its opening began; `None` before, and where a release did not note it.
    pub(crate) begun: Option<Timestamp>,
}

impl DayPosition {
    /// Whether a day was begun before it began: its opening counts for nothing then. Releases that
    /// did not note the time are believed.
    pub(super) fn is_early(&self, day: DueDate, zone: &TimeZone) -> bool {
        self.begun.is_some_and(|begun| begun < day.start(zone))
    }
}

impl LeasePosition for DayPosition {
    fn from_stored(stored: &StoredPosition) -> Self {
        let opened = match stored.checkpoint.as_str() {
            StoredPosition::START => OpenedUpTo::Nothing,
            StoredPosition::END => OpenedUpTo::End,
            place => OpenedUpTo::Place(place.to_owned()),
        };
        Self { opened, begun: stored.read_up_to }
    }

    fn to_stored(&self) -> StoredPosition {
        let checkpoint = match &self.opened {
            OpenedUpTo::Nothing => StoredPosition::START,
            OpenedUpTo::Place(place) => place,
            OpenedUpTo::End => StoredPosition::END,
        };
        StoredPosition { checkpoint: checkpoint.to_owned(), read_up_to: self.begun }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_stored_as_every_release_has_stored_it() {
        let begun: Option<Timestamp> = Some("2026-11-23T23:01:00Z".parse().unwrap());
        let place =
            "ACC-1#019ab1f4-5c1e-7d3a-8b2f-0123456789ab|ACC-0#019ab1f4-5c1e-7d3a-8b2f-0123456789ac";
        for (opened, text) in [
            (OpenedUpTo::Nothing, "TRIM_HORIZON"),
            (OpenedUpTo::Place(place.to_owned()), place),
            (OpenedUpTo::End, "SHARD_END"),
        ] {
            for begun in [None, begun] {
                let position = DayPosition { opened: opened.clone(), begun };
                let stored = StoredPosition { checkpoint: text.to_owned(), read_up_to: begun };
                assert_eq!(position.to_stored(), stored);
                assert_eq!(DayPosition::from_stored(&stored), position);
            }
        }
    }
}
