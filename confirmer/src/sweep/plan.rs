//! What a sweep decides: pure.

use std::time::Duration;

use domain::{Failure, FailureCode, KeyStatus, Money, Payment, Status};
use jiff::{SignedDuration, Timestamp};
use shared::payments::StoredPayment;
use shared::queue::{Confirmation, ConfirmationSource, Dispatch, OutgoingMessage, ReportedResult};

/// One sweep in so many covers all days, the others today and yesterday: a payment that
/// is stuck was claimed on its day, or on the next when that was late or long.
const ALL_DAYS_EVERY: u64 = 12;

/// How many days before today the sweep with this number (from 0) covers.
pub(super) fn days_back(number: u64, days: u16) -> u16 {
    if number.is_multiple_of(ALL_DAYS_EVERY) { days } else { days.min(1) }
}

/// An interval, up to a quarter shorter or longer by `share` (0 to 1), so that confirmers
/// that were started together do not sweep together.
pub(super) fn jittered(interval: Duration, share: f64) -> Duration {
    interval.mul_f64(0.75 + share / 2.0)
}

/// What is dated farther ahead was dated by a clock that was wrong. A clock that goes back for a
/// moment makes nothing old.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// Whether a payment has been PENDING for longer than `limit`.
pub(super) fn is_stuck(stored: &StoredPayment, now: Timestamp, limit: Duration) -> bool {
    match stored.status {
        Status::Pending => {
            let age = now.duration_since(stored.updated_at);
            // How old one from the future is, nobody knows.
            Duration::try_from(age).map_or(age < -AHEAD, |age| age > limit)
        }
        Status::Scheduled | Status::Processed | Status::Failed | Status::Cancelled => false,
    }
}

/// What follows for a payment from the answer.
#[derive(Debug)]
pub(super) enum SweepAction {
    /// Into `confirmations.fifo`.
    Report(&'static str, OutgoingMessage),
    /// Into `payments.fifo`: the dispatcher asks again and decides.
    Requeue(OutgoingMessage),
    /// The transaction service has it in hand.
    Leave,
    /// It did not say.
    NoAnswer(String),
}

/// Decides from the answer. The attempts are in both deduplication ids: what one attempt sent
/// in vain must not be what swallows the next one's (INV-7).
pub(super) fn step(stored: &StoredPayment, found: KeyStatus) -> SweepAction {
    let report = |label, result| {
        let (payment, trace_key) = (stored.payment.reference(), Some(stored.payment.trace_key));
        let Payment { amount, currency, .. } = stored.payment;
        let money = Some(Money { amount, currency });
        let confirmation = Confirmation { payment, result, money, trace_key };
        SweepAction::Report(label, confirmation.message(ConfirmationSource::Sweep(stored.attempts)))
    };
    match found {
        KeyStatus::Settled(settlement) => report("settled", ReportedResult::Settled(settlement)),
        KeyStatus::Rejected { reason } => {
            report("rejected", ReportedResult::Rejected(Failure::new(FailureCode::Refused, reason)))
        }
        KeyStatus::UnderWay => SweepAction::Leave,
        KeyStatus::Nothing => {
            SweepAction::Requeue(Dispatch::Again(stored.attempts).message(&stored.payment))
        }
        KeyStatus::NoAnswer { reason, .. } => SweepAction::NoAnswer(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::simulation::stored;
    use domain::Settlement;

    #[test]
    fn a_payment_that_a_wrong_clock_dated_ahead_is_stuck_too() {
        let limit = Duration::from_secs(900);
        let stuck = |minutes: i64| {
            let mut stored = stored(1);
            let now = stored.updated_at;
            stored.updated_at += SignedDuration::from_mins(minutes);
            is_stuck(&stored, now, limit)
        };
        assert!(stuck(-16) && stuck(1_441) && stuck(3 * 1_440));
        assert!(!stuck(-14) && !stuck(0) && !stuck(1_439));
    }

    #[test]
    fn every_twelfth_sweep_looks_at_all_days_and_the_others_at_two() {
        let back: Vec<_> = (0..14).map(|number| days_back(number, 7)).collect();
        assert_eq!(back, [7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7, 1]);
        assert_eq!(days_back(5, 0), 0);
    }

    #[test]
    fn only_what_is_pending_for_longer_than_the_limit_is_stuck() {
        let limit = Duration::from_secs(900);
        let mut payment = stored(1);
        let at = |seconds| payment.updated_at + Duration::from_secs(seconds);
        let (early, late) = (at(900), at(901));
        assert!(!is_stuck(&payment, early, limit));
        assert!(is_stuck(&payment, late, limit));
        let before = payment.updated_at - Duration::from_secs(901);
        assert!(!is_stuck(&payment, before, limit), "a clock that went back makes nothing old");
        for status in Status::ALL.into_iter().filter(|status| *status != Status::Pending) {
            payment.status = status;
            assert!(!is_stuck(&payment, late, limit), "{status}");
        }
    }

    #[test]
    fn what_is_sent_for_another_attempt_is_not_swallowed_by_what_was_sent_for_one_before() {
        let mut payment = stored(1);
        let settlement =
            Settlement { transaction_id: "T".to_owned(), settled_at: payment.updated_at };
        let mut ids = std::collections::HashSet::new();
        ids.insert(Dispatch::First.message(&payment.payment).deduplication);
        for attempts in [1, 2] {
            payment.attempts = attempts;
            for found in [KeyStatus::Nothing, KeyStatus::Settled(settlement.clone())] {
                match step(&payment, found) {
                    SweepAction::Report(_, message) | SweepAction::Requeue(message) => {
                        assert!(ids.insert(message.deduplication));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
