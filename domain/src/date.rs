//! The day on which a payment is due, in the bank's own calendar.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};
use serde::{Deserialize, Serialize};

/// Why a text is not a due date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a calendar date written YYYY-MM-DD")]
pub struct DateError {
    text: String,
}

/// A calendar day in the bank's time zone, written `YYYY-MM-DD`.
///
/// Ordering is calendar order, and so is the ordering of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DueDate(Date);

impl DueDate {
    /// Today as the bank's calendar has it at `now`.
    #[must_use]
    pub fn today(now: Timestamp, zone: &TimeZone) -> Self {
        Self(zone.to_datetime(now).date())
    }

    /// A day of the calendar that a table of this program names.
    pub(super) const fn on(year: i16, month: i8, day: i8) -> Self {
        Self(civil::date(year, month, day))
    }

    /// The day that lies `days` before this one; the calendar's first day if there is none.
    #[must_use]
    pub fn days_before(self, days: u16) -> Self {
        Self(self.0.saturating_sub(Span::new().days(days)))
    }

    /// The day that lies `days` after this one; the calendar's last day if there is none.
    #[must_use]
    pub fn days_after(self, days: u16) -> Self {
        Self(self.0.saturating_add(Span::new().days(days)))
    }

    /// The instant at which the day begins in `zone`: midnight, or the first instant after it
    /// where clocks are put forward at midnight. At the calendar's ends, its first instant.
    #[must_use]
    pub fn start(self, zone: &TimeZone) -> Timestamp {
        // Noon is on the day in every zone, whatever its clocks do at midnight.
        let noon = self.0.at(12, 0, 0, 0).to_zoned_datetime(zone.clone());
        let start = noon.and_then(|noon| noon.start_of_day());
        start.map_or(Timestamp::MIN, |start| start.timestamp())
    }

    /// Milliseconds from the Unix epoch to midnight UTC of this day (0 before 1970).
    #[must_use]
    pub fn utc_midnight_millis(self) -> u64 {
        let midnight = TimeZone::UTC.to_timestamp(self.0.to_datetime(civil::Time::midnight()));
        midnight.ok().and_then(|at| u64::try_from(at.as_millisecond()).ok()).unwrap_or_default()
    }
}

impl FromStr for DueDate {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let refused = || DateError { text: text.to_owned() };
        let date: Date = text.parse().map_err(|_| refused())?;
        // The parser also takes other ISO 8601 forms; keys need exactly one.
        if date.to_string() == text { Ok(Self(date)) } else { Err(refused()) }
    }
}

impl TryFrom<String> for DueDate {
    type Error = DateError;

    fn try_from(text: String) -> Result<Self, DateError> {
        text.parse()
    }
}

impl From<DueDate> for String {
    fn from(date: DueDate) -> Self {
        date.to_string()
    }
}

impl fmt::Display for DueDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_way_to_write_a_date_is_accepted() {
        assert_eq!("2026-11-23".parse::<DueDate>().unwrap().to_string(), "2026-11-23");
        for text in ["20261123", "2026-11-31", "2026-11-23T00:00", "23.11.2026", "2026-1-3", ""] {
            assert!(text.parse::<DueDate>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn midnight_utc_is_counted_from_1970_on() {
        let millis = |day: &str| day.parse::<DueDate>().unwrap().utc_midnight_millis();
        assert_eq!(millis("1970-01-02"), 86_400_000);
        assert_eq!(millis("2026-11-23"), 1_795_392_000_000);
        assert_eq!(millis("1969-12-31"), 0);
    }

    #[test]
    fn days_before_follow_the_calendar() {
        let day: DueDate = "2028-03-01".parse().unwrap();
        assert_eq!(day.days_before(0), day);
        assert_eq!(day.days_before(1).to_string(), "2028-02-29");
        assert_eq!(day.days_before(61).to_string(), "2027-12-31");
        assert_eq!(day.days_before(61).days_after(61), day);
        assert_eq!(day.days_before(1).days_after(1), day);
        assert_eq!(day.days_after(306).to_string(), "2029-01-01");
    }

    #[test]
    fn a_day_starts_at_local_midnight_or_right_after_it_where_there_is_none() {
        for (zone, day, start) in [
            ("Europe/Madrid", "2026-03-29", "2026-03-28T23:00:00Z"),
            ("Europe/Madrid", "2026-03-30", "2026-03-29T22:00:00Z"),
            ("Europe/Madrid", "2026-10-25", "2026-10-24T22:00:00Z"),
            ("Europe/Madrid", "2026-10-26", "2026-10-25T23:00:00Z"),
            // From 24:00 to 01:00, and from 24:00 back to 23:00.
            ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z"),
            ("America/Santiago", "2026-04-05", "2026-04-05T04:00:00Z"),
            ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            let day: DueDate = day.parse().unwrap();
            let begins = day.start(&zone);
            assert_eq!(begins, start.parse::<Timestamp>().unwrap(), "{day} in {zone:?}");
            assert_eq!(DueDate::today(begins, &zone), day);
            let before = begins - jiff::SignedDuration::from_nanos(1);
            assert_eq!(DueDate::today(before, &zone), day.days_before(1));
        }
    }

    #[test]
    fn today_is_the_banks_day_not_utcs() {
        let late_evening_in_utc: Timestamp = "2026-11-23T23:30:00Z".parse().unwrap();
        let madrid = TimeZone::get("Europe/Madrid").unwrap();
        assert_eq!(DueDate::today(late_evening_in_utc, &madrid).to_string(), "2026-11-24");
        assert_eq!(DueDate::today(late_evening_in_utc, &TimeZone::UTC).to_string(), "2026-11-23");
    }
}
