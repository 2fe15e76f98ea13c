//! Which items of a day's index an opening or a scan leaves where they are: pure.
//!
//! The stream has shown each of them to a relay when it was inserted or changed, and this is what
//! holds until that relay has made it FAILED, and for what the stream has lost.

use domain::{DueDate, PaymentRef, Status};
use jiff::Timestamp;
use shared::payments::StoredPayment;
use shared::payments::contract::CLOCK_MARGIN;

use crate::labels::SweepSkipReason;

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
