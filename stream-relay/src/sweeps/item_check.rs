//! Which items of a day's index an opening or a scan leaves where they are: pure.
//!
//! The stream has shown each of them to a relay when it was inserted or changed, and this is what
//! holds until that relay has made it FAILED, and for what the stream has lost.

use domain::{DueDate, PaymentRef, Status};
use jiff::Timestamp;
use shared::payments::StoredPayment;
use shared::payments::contract::CLOCK_MARGIN;

/// Why a scan leaves a SCHEDULED item where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SweepSkipReason {
    /// Its keys are those of another payment.
    Keys,
    /// It is due on another day than the index says.
    Day,
    /// It says that it was created in the future.
    CreatedAhead,
    /// It holds what only a payment has that was claimed or has ended: it was written over.
    Leftovers,
}

impl SweepSkipReason {
    /// Its label in the metric.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Day => "day",
            Self::CreatedAhead => "created_ahead",
            Self::Leftovers => "overwritten",
        }
    }
}

/// Why an item that the index shows under `day`, and the table under `reference`, is not queued.
pub(super) fn skip_reason(
    reference: &PaymentRef,
    stored: &StoredPayment,
    day: DueDate,
    now: Timestamp,
) -> Option<SweepSkipReason> {
    match stored.status {
        Status::Scheduled => {}
        Status::Pending | Status::Processed | Status::Failed | Status::Cancelled => return None,
    }
    let has_ended =
        stored.transaction_id.is_some() || stored.settled_at.is_some() || stored.failure.is_some();
    let was_claimed = stored.claimed_at.is_some() || stored.attempts_before > 0;
    if *reference != stored.payment.reference() {
        Some(SweepSkipReason::Keys)
    } else if stored.payment.due != day {
        Some(SweepSkipReason::Day)
    } else if has_ended || (stored.attempts == 0 && was_claimed) {
        Some(SweepSkipReason::Leftovers)
    } else if stored.payment.created_at.duration_since(now) > CLOCK_MARGIN {
        Some(SweepSkipReason::CreatedAhead)
    } else {
        None
    }
}

#[cfg(test)]
#[path = "item_check_tests.rs"]
mod tests;
