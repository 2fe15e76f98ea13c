//! What the holder of the batch clock leaves for the next one.

use domain::{BatchClock, BatchMeasurement, StatusCounts};
use jiff::Timestamp;

use crate::leases::position::{LeasePosition, StoredPosition};

/// The last measurement, and when payments were last seen to have been inserted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BatchPosition {
    pub(super) last: Option<BatchMeasurement>,
    pub(super) grew_at: Option<Timestamp>,
}

impl BatchPosition {
    /// Where a clock stands.
    pub(super) fn of(clock: &BatchClock) -> Self {
        Self { last: clock.last().copied(), grew_at: clock.grew_at() }
    }

    /// The clock that goes on from there.
    pub(super) fn clock(&self) -> BatchClock {
        self.last.map_or_else(BatchClock::default, |last| BatchClock::resumed(last, self.grew_at))
    }
}

impl LeasePosition for BatchPosition {
    fn from_stored(stored: &StoredPosition) -> Self {
        let Some(last) = measurement(&stored.checkpoint) else { return Self::default() };
        Self { last: Some(last), grew_at: stored.read_up_to }
    }

    fn to_stored(&self) -> StoredPosition {
        let Some(BatchMeasurement { day, at, counts }) = self.last else {
            return StoredPosition::start();
        };
        let counts = StatusCounts::STATUSES.map(|status| counts.of(status).to_string());
        let checkpoint = format!("{at} {day} {}", counts.join(" "));
        StoredPosition { checkpoint, read_up_to: self.grew_at }
    }
}

fn measurement(text: &str) -> Option<BatchMeasurement> {
    let mut parts = text.split(' ');
    let (at, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let counts: Vec<u64> = parts.map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(BatchMeasurement { day, at, counts: StatusCounts::new(counts.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_stored_and_read_back_and_what_is_none_is_no_measurement() {
        let at: Timestamp = "2026-11-23T09:10:00.5Z".parse().unwrap();
        let day = "2026-11-23".parse().unwrap();
        let counts = StatusCounts::new([1, 2, 3, 4, 5]);
        let last = Some(BatchMeasurement { day, at, counts });
        let text = "2026-11-23T09:10:00.5Z 2026-11-23 1 2 3 4 5";
        for grew_at in [None, Some(at)] {
            let position = BatchPosition { last, grew_at };
            let stored = StoredPosition { checkpoint: text.to_owned(), read_up_to: grew_at };
            assert_eq!(position.to_stored(), stored);
            assert_eq!(BatchPosition::from_stored(&stored), position);
            assert_eq!(BatchPosition::of(&position.clock()), position);
        }
        assert_eq!(BatchPosition::default().to_stored(), StoredPosition::start());
        for unread in ["TRIM_HORIZON", "SHARD_END", &text[..text.len() - 2], &format!("{text} 6")] {
            let stored = StoredPosition { checkpoint: unread.to_owned(), read_up_to: Some(at) };
            assert_eq!(BatchPosition::from_stored(&stored), BatchPosition::default(), "{unread}");
        }
    }
}
