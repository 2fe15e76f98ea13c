//! Who opens which day and who watches, as the last look at the table of leases had it.

use std::time::Duration;

use shared::domain::DueDate;
use tokio::time::Instant;

use super::calendar::Days;
use crate::lease::{Checkpoint, EXPIRY, Lease, duty_key, duty_prefix};

/// The name of the watch among the duties.
pub(super) const WATCH: &str = "watch";

/// The duties at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Duties {
    /// When they were asked for; `None` until the table was read for the first time.
    pub(crate) asked_at: Option<Instant>,
    /// Each with the time for which its counter has stood still by this relay's clock.
    pub(crate) seen: Vec<(Lease, Duration)>,
}

impl Duties {
    /// The lease of a duty, which may be taken: nobody has it, or its holder is dead, or this
    /// relay itself had it before a restart. `None` when another relay is at it.
    pub(super) fn free(&self, stream: &str, duty: &str, own: &str) -> Option<Option<&Lease>> {
        let key = duty_key(stream, duty);
        match self.seen.iter().find(|(lease, _)| lease.key == key) {
            None => Some(None),
            Some((lease, still)) => match lease.owner.as_deref() {
                Some(owner) if owner != own && *still < EXPIRY => None,
                Some(_) | None => Some(Some(lease)),
            },
        }
    }

    /// What is known of the days.
    pub(super) fn days(&self, stream: &str) -> Days {
        let mut days = Days::default();
        for (day, lease, _) in self.each_day(stream) {
            match lease.position.checkpoint {
                Checkpoint::ShardEnd => days.opened.insert(day),
                Checkpoint::TrimHorizon | Checkpoint::After(_) => days.begun.insert(day),
            };
        }
        days
    }

    /// The days that have been open for so long, the oldest first. What a lease's counter shows
    /// is compared with no clock but this relay's, so a relay that has just started waits.
    pub(super) fn open_for(&self, patience: Duration, stream: &str) -> Vec<DueDate> {
        let old = |(day, lease, still): (DueDate, &Lease, Duration)| {
            let open = lease.position.checkpoint == Checkpoint::ShardEnd && still >= patience;
            open.then_some(day)
        };
        let mut days: Vec<_> = self.each_day(stream).filter_map(old).collect();
        days.sort_unstable();
        days
    }

    fn each_day(&self, stream: &str) -> impl Iterator<Item = (DueDate, &Lease, Duration)> {
        let prefix = duty_prefix(stream);
        self.seen.iter().filter_map(move |(lease, still)| {
            let day = lease.key.strip_prefix(&prefix)?.parse().ok()?;
            Some((day, lease, *still))
        })
    }
}
