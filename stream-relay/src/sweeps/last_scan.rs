//! When the last lost-message scan began.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::leases::position::{LeasePosition, StoredPosition};

/// When the last scan began; `None` when there was none, or nobody can read when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastScan(pub(super) Option<Timestamp>);

impl LastScan {
    /// Whether a `pause` has passed since then. A scan in the future is none: a clock was wrong
    /// then.
    pub(super) fn is_over_for(self, pause: Duration, now: Timestamp) -> bool {
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        self.0.is_none_or(|last| now.duration_since(last).abs() >= pause)
    }
}

impl LeasePosition for LastScan {
    fn from_stored(stored: &StoredPosition) -> Self {
        Self(stored.checkpoint.parse().ok())
    }

    fn to_stored(&self) -> StoredPosition {
        let Self(Some(began)) = self else { return StoredPosition::start() };
        StoredPosition { checkpoint: began.to_string(), read_up_to: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_stored_as_every_release_has_stored_it() {
        let stored = |text: &str| StoredPosition { checkpoint: text.to_owned(), read_up_to: None };
        let scanned = LastScan(Some("2026-11-23T01:00:00.5Z".parse().unwrap()));
        assert_eq!(scanned.to_stored(), stored("2026-11-23T01:00:00.5Z"));
        assert_eq!(LastScan::from_stored(&scanned.to_stored()), scanned);
        assert_eq!(LastScan(None).to_stored(), stored("TRIM_HORIZON"));
        for unread in ["TRIM_HORIZON", "SHARD_END", "yesterday"] {
            assert_eq!(LastScan::from_stored(&stored(unread)), LastScan(None));
        }
    }

    #[test]
    fn a_scan_in_the_future_does_not_hold_the_next_back() {
        let now: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
        let ago = |seconds| LastScan(Some(now - SignedDuration::from_secs(seconds)));
        let pause = Duration::from_secs(900);
        assert!(LastScan(None).is_over_for(pause, now));
        assert!(ago(900).is_over_for(pause, now) && !ago(899).is_over_for(pause, now));
        assert!(ago(-900).is_over_for(pause, now));
    }
}
