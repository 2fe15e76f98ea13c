//! What a sweep leaves for the next.

use domain::PaymentRef;

use super::outage_detector::OutageDetector;
use super::requeue_limit::RequeueLimit;

/// The sweep ended before it was complete: shutdown, or a service that it calls does not answer.
#[derive(Debug)]
pub(super) struct SweepInterrupted;

/// Which days a sweep covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SweepRange {
    /// Today and so many days before.
    Back(u16),
    /// The same, and all days before them on which payments are PENDING.
    All(u16),
}

/// What a sweep leaves for the next.
#[derive(Debug, Default)]
pub(super) struct SweepMemory {
    pub(super) outages: OutageDetector,
    pub(super) requeues: RequeueLimit,
    pub(super) positions: SweepPositions,
}

/// Where sweeps ended early because more payments had no answer than are remembered: the next goes
/// on behind it, or the same payments would hide the others for ever.
#[derive(Debug, Default)]
pub(super) struct SweepPositions {
    of_all_days: Option<PaymentRef>,
    of_the_last: Option<PaymentRef>,
}

impl SweepPositions {
    pub(super) fn of(&mut self, range: SweepRange) -> &mut Option<PaymentRef> {
        match range {
            SweepRange::All(_) => &mut self.of_all_days,
            SweepRange::Back(_) => &mut self.of_the_last,
        }
    }
}
