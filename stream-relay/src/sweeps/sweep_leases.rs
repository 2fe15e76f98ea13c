//! Who opens which day and who scans for lost messages, as of the last poll of the table of leases.

use std::time::Duration;

use domain::DueDate;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use crate::leases::keys::{sweep_lease_key, sweep_lease_prefix};
use crate::leases::position::LeasePosition;
use crate::leases::table::{EXPIRY, Lease};
use crate::sweeps::day_position::{DayPosition, OpenedUpTo};
use crate::sweeps::unopened_days::DayStates;

/// The lost-message scan in its lease's key.
pub(super) const SCAN: &str = "watch";

/// The leases of days and of the lost-message scan at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct SweepLeases {
    /// When they were asked for; `None` until the table was read for the first time.
    pub(crate) asked_at: Option<Instant>,
    /// Each with the time for which its counter has stood still by this relay's clock.
    pub(crate) seen: Vec<(Lease, Duration)>,
}

impl SweepLeases {
    /// The lease of a sweep, which may be taken: nobody has it, or its holder is dead, or this
    /// relay itself had it before a restart. `None` when another relay is at it.
    pub(crate) fn free(
        &self,
        stream: &str,
        sweep_lease: &str,
        own: &str,
    ) -> Option<Option<&Lease>> {
        let key = sweep_lease_key(stream, sweep_lease);
        match self.seen.iter().find(|(lease, _)| lease.key == key) {
            None => Some(None),
            Some((lease, still)) => match lease.owner.as_deref() {
                Some(owner) if owner != own && *still < EXPIRY => None,
                Some(_) | None => Some(Some(lease)),
            },
        }
    }

    /// When the opening of a day began; `None` before, and when it began before the day.
    pub(crate) fn opening_began(
        &self,
        stream: &str,
        day: DueDate,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let (_, lease, _) = self.each_day(stream).find(|(each, ..)| *each == day)?;
        let position = DayPosition::from_stored(&lease.position);
        position.begun.filter(|_| !position.is_early(day, zone))
    }

    /// What is known of the days up to `today`. A day ahead is not open, whatever its lease says:
    /// a relay with another clock or zone was at it.
    pub(super) fn days(&self, stream: &str, today: DueDate, zone: &TimeZone) -> DayStates {
        let mut days = DayStates::default();
        for (day, lease, _) in self.each_day(stream).filter(|(day, ..)| *day <= today) {
            let position = DayPosition::from_stored(&lease.position);
            match position.opened {
                _ if position.is_early(day, zone) => continue,
                OpenedUpTo::End => days.opened.insert(day),
                OpenedUpTo::Nothing | OpenedUpTo::Place(_) => days.begun.insert(day),
            };
        }
        days
    }

    /// The days up to `today` that have been open for so long, the oldest first. What a lease's
    /// counter shows is compared with no clock but this relay's, so a relay that has just started
    /// waits.
    pub(super) fn open_for(
        &self,
        patience: Duration,
        stream: &str,
        today: DueDate,
    ) -> Vec<DueDate> {
        let old = |(day, lease, still): (DueDate, &Lease, Duration)| {
            let position = DayPosition::from_stored(&lease.position);
            let open = position.opened == OpenedUpTo::End && still >= patience;
            (open && day <= today).then_some(day)
        };
        let mut days: Vec<_> = self.each_day(stream).filter_map(old).collect();
        days.sort_unstable();
        days
    }

    fn each_day(&self, stream: &str) -> impl Iterator<Item = (DueDate, &Lease, Duration)> {
        let prefix = sweep_lease_prefix(stream);
        self.seen.iter().filter_map(move |(lease, still)| {
            let day = lease.key.strip_prefix(&prefix)?.parse().ok()?;
            Some((day, lease, *still))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> DueDate {
        text.parse().unwrap()
    }

    /// Days that are open, each with the time at which its opening began.
    fn open(days: &[(&str, Option<&str>)]) -> SweepLeases {
        let lease = |(day, begun): &(&str, Option<&str>)| {
            let begun = begun.map(|at| at.parse().unwrap());
            let position = DayPosition { opened: OpenedUpTo::End, begun }.to_stored();
            (Lease { key: sweep_lease_key("s", day), owner: None, counter: 1, position }, EXPIRY)
        };
        SweepLeases { asked_at: Some(Instant::now()), seen: days.iter().map(lease).collect() }
    }

    #[test]
    fn a_day_ahead_is_not_open_whatever_its_lease_says() {
        let sweep_leases = open(&[("2026-11-24", None), ("2026-11-25", None)]);
        let today = day("2026-11-24");
        let days = sweep_leases.days("s", today, &TimeZone::UTC);
        assert_eq!(days.opened.into_iter().collect::<Vec<_>>(), [today]);
        assert_eq!(sweep_leases.open_for(Duration::ZERO, "s", today), [today]);
    }

    #[test]
    fn a_day_that_was_opened_before_it_began_is_not_open() {
        let early = "2026-11-23T23:59:59Z";
        let open_at = |begun| {
            let sweep_leases = open(&[("2026-11-24", Some(begun))]);
            !sweep_leases.days("s", day("2026-11-24"), &TimeZone::UTC).opened.is_empty()
        };
        assert!(open_at("2026-11-24T00:00:00Z") && !open_at(early));
    }
}
