//! Which payments a bank's day has, and what shall become of each: pure.

use domain::{DueDate, Payment};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::config::zone_ahead_by;

use crate::generate::payment;

/// Days ahead for which payments are scheduled (the mission's access pattern).
const AHEAD: u32 = 90;

/// When, as the bank sees it, payments are scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Due the day before: left over from it.
    Leftovers,
    /// The evening before, due on the day.
    ForTheDay,
    /// The evening before, due on one of the next 90 days.
    ForLater,
    /// The batch at 01:00, due on the day.
    NightBatch,
    /// Through the day; most are due on it, the others tomorrow.
    Daytime,
}

impl Part {
    /// Those of the evening before, in order.
    pub(super) const EVENING: [Self; 3] = [Self::Leftovers, Self::ForTheDay, Self::ForLater];

    /// For people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Leftovers => "left over from yesterday",
            Self::ForTheDay => "scheduled ahead for today",
            Self::ForLater => "scheduled for the next 90 days",
            Self::NightBatch => "the batch at 01:00",
            Self::Daytime => "through the day",
        }
    }

    /// How many of them go with a night batch of so many.
    pub(super) const fn size(self, night_batch: u32) -> u32 {
        match self {
            Self::Leftovers => night_batch.div_ceil(20),
            Self::ForTheDay => night_batch.div_ceil(4),
            Self::ForLater | Self::Daytime => night_batch.div_ceil(2),
            Self::NightBatch => night_batch,
        }
    }
}

/// What shall become of a payment by the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlannedEnd {
    /// Settled, and in the archive.
    Executed,
    /// SCHEDULED still: its day has not come.
    Waits,
    /// CANCELLED by its owner.
    Cancelled,
}

/// The day, its size and its calendar.
#[derive(Debug, Clone)]
pub(super) struct DemoDayPlan {
    /// The day itself.
    pub(super) day: DueDate,
    /// Payments of the night batch.
    pub(super) night_batch: u32,
    /// Accounts, taking turns.
    pub(super) accounts: u32,
}

impl DemoDayPlan {
    /// The payment number `index` of a part, and what shall become of it.
    pub(super) fn payment(&self, part: Part, index: u32) -> anyhow::Result<(Payment, PlannedEnd)> {
        let (due, planned) = self.due(part, index);
        Ok((payment(index, self.accounts, due)?, planned))
    }

    fn due(&self, part: Part, index: u32) -> (DueDate, PlannedEnd) {
        let every = |n: u32| index % n == n - 1;
        match part {
            Part::Leftovers => (self.day.days_before(1), PlannedEnd::Executed),
            Part::ForTheDay if every(10) => (self.day, PlannedEnd::Cancelled),
            Part::ForTheDay | Part::NightBatch => (self.day, PlannedEnd::Executed),
            Part::ForLater => {
                let due = self.day.days_after(u16::try_from(1 + index % AHEAD).unwrap_or(1));
                (due, if every(25) { PlannedEnd::Cancelled } else { PlannedEnd::Waits })
            }
            Part::Daytime if every(10) => (self.day.days_after(1), PlannedEnd::Waits),
            Part::Daytime => (self.day, PlannedEnd::Executed),
        }
    }
}

/// A zone of the bank's own in which `day` begins at `midnight`, as a POSIX TZ string. The
/// day must be that of UTC, or the next.
pub(super) fn zone_in_which(day: DueDate, midnight: Timestamp) -> anyhow::Result<String> {
    let east = i64::try_from(day.utc_midnight_millis())? / 1000 - midnight.as_second();
    let text = zone_ahead_by(east);
    TimeZone::posix(&text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_begins_at_the_moment_that_was_asked_for() {
        let day: DueDate = "2026-11-25".parse().unwrap();
        for midnight in ["2026-11-24T17:30:15Z", "2026-11-24T00:00:00Z", "2026-11-25T00:10:01Z"] {
            let midnight: Timestamp = midnight.parse().unwrap();
            let zone = TimeZone::posix(&zone_in_which(day, midnight).unwrap()).unwrap();
            let second = jiff::SignedDuration::from_secs(1);
            assert_eq!(DueDate::today(midnight, &zone), day);
            assert_eq!(DueDate::today(midnight - second, &zone), day.days_before(1));
        }
    }

    #[test]
    fn each_part_is_due_when_it_says_and_some_are_cancelled() {
        let day: DueDate = "2026-11-25".parse().unwrap();
        let plan = DemoDayPlan { day, night_batch: 1_000, accounts: 10 };
        let planned = |part: Part, wanted: PlannedEnd| {
            (0..part.size(1_000)).filter(|index| plan.due(part, *index).1 == wanted).count()
        };
        assert_eq!(planned(Part::Leftovers, PlannedEnd::Executed), 50);
        assert_eq!(
            (
                planned(Part::ForTheDay, PlannedEnd::Executed),
                planned(Part::ForTheDay, PlannedEnd::Cancelled)
            ),
            (225, 25)
        );
        assert_eq!(
            (
                planned(Part::ForLater, PlannedEnd::Waits),
                planned(Part::ForLater, PlannedEnd::Cancelled)
            ),
            (480, 20)
        );
        assert_eq!(
            (
                planned(Part::Daytime, PlannedEnd::Executed),
                planned(Part::Daytime, PlannedEnd::Waits)
            ),
            (450, 50)
        );
        assert_eq!(planned(Part::NightBatch, PlannedEnd::Executed), 1_000);
        let last = plan.due(Part::ForLater, 89).0;
        assert_eq!(last.to_string(), "2027-02-23");
    }
}
