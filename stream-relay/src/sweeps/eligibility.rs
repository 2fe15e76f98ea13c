//! Which payments the stream has not brought: pure.

use std::time::Duration;

use domain::Status;
use jiff::Timestamp;
use shared::payments::StoredPayment;
use shared::queue::Dispatch;

use crate::forward::pacing::LONGEST_HOLD;
use crate::sweeps::gap_request::LostRecords;

/// How far the clocks of writers, relays and the stream may be apart. Within it of a limit a
/// payment belongs to both sides, so that none belongs to neither: it is queued twice then,
/// which pays nothing twice (INV-4).
pub(crate) const CLOCK_MARGIN: Duration = Duration::from_secs(15 * 60);

/// How old a payment is at least before the lost-message scan asks whether a message carries it: by then
/// the stream has brought it. Longer than the five minutes for which SQS would drop the message
/// that replaces a lost one.
pub(super) const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What was held back has as long again to be sent before it counts as lost.
const _: () = assert!(LONGEST_HOLD.as_secs() * 2 < PATIENCE.as_secs());

/// How old a payment is at least before it is queued again regardless of the number of messages:
/// longer than it waits on an ordinary day, whose payments leave within half an hour.
pub(super) const LONG: Duration = Duration::from_secs(30 * 60);

/// Whether the opening of a day that starts at `start` carries a payment: what was inserted
/// before the day began, the stream has left for it, and what was replayed before it began, the
/// dispatchers (INV-14).
pub(super) fn opens(stored: &StoredPayment, start: Timestamp) -> Option<Dispatch> {
    let before = |time: Timestamp| time < start + CLOCK_MARGIN;
    match stored.status {
        Status::Scheduled if stored.attempts == 0 => {
            before(stored.payment.created_at).then_some(Dispatch::First)
        }
        Status::Scheduled => before(stored.updated_at).then_some(Dispatch::Again(stored.attempts)),
        Status::Pending | Status::Processed | Status::Failed | Status::Cancelled => None,
    }
}

/// Whether the stream has lost a payment of a day that starts at `start`: it would have brought
/// it, and its record was written where the stream was not read. What was inserted before the
/// day began is the opening's.
pub(super) fn is_lost(
    stored: &StoredPayment,
    start: Timestamp,
    lost: &LostRecords,
) -> Option<Dispatch> {
    let created = stored.payment.created_at;
    let unread = lost.since.is_none_or(|since| created >= since - CLOCK_MARGIN)
        && lost.until.is_none_or(|until| created <= until + CLOCK_MARGIN);
    let on_its_day = created >= start - CLOCK_MARGIN;
    (is_new(stored) && unread && on_its_day).then_some(Dispatch::First)
}

/// Whether a payment has waited since `since`, so that a message should carry it. One that was
/// attempted before waits for its replay, which has a message of its own.
pub(super) fn waits(stored: &StoredPayment, since: Timestamp) -> Option<Dispatch> {
    match stored.status {
        Status::Scheduled if stored.attempts == 0 => {
            (stored.payment.created_at < since).then_some(Dispatch::First)
        }
        Status::Scheduled => {
            (stored.updated_at < since).then_some(Dispatch::Again(stored.attempts))
        }
        Status::Pending | Status::Processed | Status::Failed | Status::Cancelled => None,
    }
}

/// Scheduled, and never claimed: the stream does not concern a replay.
fn is_new(stored: &StoredPayment) -> bool {
    match stored.status {
        Status::Scheduled => stored.attempts == 0,
        Status::Pending | Status::Processed | Status::Failed | Status::Cancelled => false,
    }
}

/// What the number of messages says of the payments that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageCoverage {
    /// None waits.
    NothingWaits,
    /// Messages may carry all of them.
    Covered,
    /// At least half of them have no message, or there are few messages.
    Uncovered,
}

impl MessageCoverage {
    /// Its label in the metric of scans.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NothingWaits => "none_waiting",
            Self::Covered => "messages_present",
            Self::Uncovered => "messages_missing",
        }
    }
}

/// So many messages may be doubled, whatever they carry: payments pass through the queue all
/// day, and their messages must not hide one that has none.
pub(super) const FEW: u64 = 1_000;

/// Compares payments that wait with the messages in the queue. To queue them all again doubles at
/// most `queued` messages: at most [`FEW`], or fewer than the payments that had none.
pub(super) fn message_coverage(scheduled: u64, queued: u64) -> MessageCoverage {
    match scheduled {
        0 => MessageCoverage::NothingWaits,
        _ if queued > FEW && queued.saturating_mul(2) >= scheduled => MessageCoverage::Covered,
        _ => MessageCoverage::Uncovered,
    }
}

#[cfg(test)]
#[path = "eligibility_tests.rs"]
mod tests;
