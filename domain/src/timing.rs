//! Whether a payment's day has begun at the bank: pure (INV-14).

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{DueDate, PaymentRef};

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

    /// How long before `now` a payment of this day could be worked on: since the day began in the
    /// bank's `zone`, or since the payment was `inserted` if that was later. Zero when a clock is
    /// behind.
    #[must_use]
    pub fn time_since_due(self, inserted: Timestamp, now: Timestamp, zone: &TimeZone) -> Duration {
        let since = self.start(zone).max(inserted);
        Duration::try_from(now.duration_since(since)).unwrap_or_default()
    }
}

impl PaymentRef {
    /// [`DueDate::time_since_due`] for those who know only the reference: the time in the payment
    /// id stands for the insertion. An import's ids hold midnight UTC of the due date, which says
    /// nothing of it: such a payment counts from the start of its day.
    #[must_use]
    pub fn time_since_due(&self, now: Timestamp, zone: &TimeZone) -> Duration {
        let millis = self.id.millis();
        let made = (millis != self.due.utc_midnight_millis())
            .then(|| i64::try_from(millis).ok())
            .and_then(|millis| Timestamp::from_millisecond(millis?).ok());
        self.due.time_since_due(made.unwrap_or(Timestamp::MIN), now, zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, PaymentId};

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

    #[test]
    fn the_time_since_a_payment_was_due_begins_with_its_day_or_with_its_insertion_if_later() {
        let day: DueDate = "2026-11-24".parse().unwrap();
        let seconds = |inserted: &str, now: &str, zone: &str| {
            let (inserted, now) = (inserted.parse().unwrap(), now.parse().unwrap());
            day.time_since_due(inserted, now, &TimeZone::get(zone).unwrap()).as_secs()
        };
        let ahead = "2026-11-20T09:00:00Z";
        assert_eq!(seconds(ahead, "2026-11-24T00:01:00Z", "UTC"), 60);
        assert_eq!(seconds(ahead, "2026-11-23T23:01:00Z", "Europe/Madrid"), 60);
        assert_eq!(seconds(ahead, "2026-11-24T05:02:00Z", "America/New_York"), 120);
        assert_eq!(seconds("2026-11-24T09:00:00Z", "2026-11-24T09:00:30Z", "UTC"), 30);
        // Overdue: a payment of a day that is over counts from its insertion too.
        assert_eq!(seconds("2026-11-25T09:00:00Z", "2026-11-25T09:00:05Z", "UTC"), 5);
        // This machine's clock is behind the one that wrote the insertion, or behind the day.
        assert_eq!(seconds("2026-11-24T09:00:00Z", "2026-11-24T08:59:00Z", "UTC"), 0);
        assert_eq!(seconds(ahead, "2026-11-23T23:59:59Z", "UTC"), 0);
    }

    #[test]
    fn the_time_in_a_payment_id_stands_for_the_insertion_unless_an_import_has_made_it() {
        let due: DueDate = "2026-11-24".parse().unwrap();
        let now: Timestamp = "2026-11-24T09:00:30Z".parse().unwrap();
        let seconds = |millis: u64| {
            let account = AccountId::parse("ACC").unwrap();
            let reference =
                PaymentRef { account, due, id: PaymentId::from_parts(millis, &[1; 10]) };
            reference.time_since_due(now, &TimeZone::get("Europe/Madrid").unwrap()).as_secs()
        };
        let at = |text: &str| {
            let at: Timestamp = text.parse().unwrap();
            u64::try_from(at.as_millisecond()).unwrap()
        };
        assert_eq!(seconds(at("2026-11-24T09:00:00Z")), 30);
        // Midnight UTC is one o'clock in Madrid.
        assert_eq!(seconds(due.utc_midnight_millis()), 10 * 3600 + 30);
        assert_eq!(seconds(at("2026-11-20T09:00:00Z")), 10 * 3600 + 30);
        assert_eq!(seconds(at("2026-11-24T10:00:00Z")), 0, "the writer's clock is ahead");
    }
}
