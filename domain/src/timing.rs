//! Whether a payment's day has begun at the bank: pure (INV-14).

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::DueDate;

/// How far the clocks of services that work together may be apart. A payment whose day begins
/// within it may be queued by one service and come to another a moment too early.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(15 * 60);

/// Where a payment's day stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueTiming {
    /// It has begun: the payment may be submitted.
    Begun,
    /// It begins after so long, which is within the tolerance of clocks.
    BeginsIn(Duration),
    /// It lies farther ahead.
    Ahead,
}

impl DueDate {
    /// Where this day stands in the bank's `zone` at `now`.
    #[must_use]
    pub fn timing(self, now: Timestamp, zone: &TimeZone) -> DueTiming {
        if self <= Self::today(now, zone) {
            return DueTiming::Begun;
        }
        match Duration::try_from(self.start(zone).duration_since(now)) {
            Ok(rest) if rest <= CLOCK_TOLERANCE => DueTiming::BeginsIn(rest),
            // A day at the end of the calendar has no start, which counts as far ahead.
            Ok(_) | Err(_) => DueTiming::Ahead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_the_banks_midnight_and_is_near_within_the_tolerance_only() {
        let zone = TimeZone::get("Europe/Madrid").unwrap();
        let day: DueDate = "2026-11-24".parse().unwrap();
        let at = |now: &str| day.timing(now.parse().unwrap(), &zone);
        assert_eq!(at("2026-11-23T23:00:00Z"), DueTiming::Begun);
        assert_eq!(at("2026-12-24T00:00:00Z"), DueTiming::Begun);
        assert_eq!(at("2026-11-23T22:59:59Z"), DueTiming::BeginsIn(Duration::from_secs(1)));
        assert_eq!(at("2026-11-23T22:45:00Z"), DueTiming::BeginsIn(CLOCK_TOLERANCE));
        assert_eq!(at("2026-11-23T22:44:59Z"), DueTiming::Ahead);
        assert_eq!(at("2026-01-01T00:00:00Z"), DueTiming::Ahead);
        let last: DueDate = "9999-12-31".parse().unwrap();
        assert_eq!(last.timing("2026-11-23T00:00:00Z".parse().unwrap(), &zone), DueTiming::Ahead);
    }
}
