//! Payments whose day has not begun at the bank: pure (INV-14).

use std::time::Duration;

use domain::{DueTiming, Payment};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::job::Job;

/// What a release adds to the time until a day begins: SQS counts whole seconds, and a message
/// that comes a moment too early would only be given back once more.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Why a payment is not submitted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDue {
    /// Its day begins after so long, which is within the tolerance of clocks.
    BeginsIn(Duration),
    /// Its day lies farther ahead.
    Ahead,
}

/// Checks that the day of a payment has begun at `now` in the bank's `zone`.
///
/// # Errors
/// [`NotDue`]: it has not.
pub(crate) fn check_due(payment: &Payment, now: Timestamp, zone: &TimeZone) -> Result<(), NotDue> {
    match payment.due.timing(now, zone) {
        DueTiming::Begun => Ok(()),
        DueTiming::BeginsIn(rest) => Err(NotDue::BeginsIn(rest)),
        DueTiming::Ahead => Err(NotDue::Ahead),
    }
}

/// What one receive brought, by due date.
#[derive(Debug, Default)]
pub(crate) struct ByDueDate {
    /// Payments whose day has begun.
    pub(crate) due: Vec<Job>,
    /// Payments whose day begins within the tolerance of clocks, and when to deliver them again.
    pub(crate) soon: Vec<(Job, Duration)>,
    /// Payments of a later day that follow one of `soon` in their account: nothing overtakes a
    /// payment of its account (INV-5).
    pub(crate) behind: Vec<Job>,
    /// Payments whose day lies farther ahead.
    pub(crate) ahead: Vec<Job>,
}

/// Splits jobs by due date. `now` is one moment for all of a receive: a day that begins between
/// two payments of an account would let the second overtake the first.
pub(crate) fn by_due_date(jobs: Vec<Job>, now: Timestamp, zone: &TimeZone) -> ByDueDate {
    let mut split = ByDueDate::default();
    for job in jobs {
        match check_due(&job.payment, now, zone) {
            Ok(()) => split.due.push(job),
            Err(NotDue::BeginsIn(rest)) => split.soon.push((job, rest + A_MOMENT)),
            Err(NotDue::Ahead) => split.ahead.push(job),
        }
    }
    (split.behind, split.ahead) = std::mem::take(&mut split.ahead).into_iter().partition(|job| {
        split.soon.iter().any(|(before, _)| before.received.same_group(&job.received))
    });
    split
}
