//! One change of one payment in memory: its conditions, and what it writes.

use jiff::Timestamp;

use crate::payments::{
    Change, DeadLetters, FirstClaim, OperatorDecision, RightVersion, StoredPayment,
};
use domain::{Payment, Settlement};

/// The payment after the change; `None` when it does not meet the change's conditions.
pub(super) fn changed(
    stored: &StoredPayment,
    change: &Change<'_>,
    now: Timestamp,
) -> Option<StoredPayment> {
    let (from, to) = change.event().edge();
    if stored.status != from || !meets(stored, change) {
        return None;
    }
    let now = as_stored(now);
    let mut next = stored.clone();
    if from != to {
        (next.status, next.updated_at) = (to, now);
    }
    write(&mut next, change, now);
    Some(next)
}

/// A time as the table keeps it: in milliseconds.
pub(super) fn as_stored(at: Timestamp) -> Timestamp {
    format!("{at:.3}").parse().unwrap()
}

/// Whether the item meets the change's own conditions beside the status.
fn meets(stored: &StoredPayment, change: &Change<'_>) -> bool {
    // A message has its blob where the item has it.
    let same = |payment: &Payment| {
        stored.payment.same_instruction(payment) && stored.payment.data == payment.data
    };
    match change {
        Change::Claim(payment) => stored.attempts == 0 && same(payment),
        Change::ClaimAgain(payment, seen) | Change::Resume(payment, seen) => {
            stored.attempts == *seen && same(payment)
        }
        Change::Settle(..) | Change::Refuse(..) => true,
        Change::SettleOf(_, _, money) => {
            (stored.payment.amount, stored.payment.currency) == (money.amount, money.currency)
        }
        Change::Fail(_, _, made)
        | Change::Replay(_, made, _)
        | Change::Discard(_, made)
        | Change::WithholdReplayed(_, _, made)
        | Change::NotDone(_, made, _)
        | Change::DeadLettered(_, made, _) => stored.attempts == *made,
        Change::Cancel(_) | Change::Withhold(..) => stored.attempts == 0,
        Change::Decide(decision) => stored.attempts == decision.attempts && same(decision.table),
    }
}

fn write(next: &mut StoredPayment, change: &Change<'_>, now: Timestamp) {
    match change {
        Change::Claim(_) => (next.attempts, next.claimed_at) = (1, Some(now)),
        Change::ClaimAgain(..) | Change::Resume(..) => next.attempts += 1,
        Change::Settle(_, settlement) | Change::SettleOf(_, settlement, _) => {
            let Settlement { transaction_id, settled_at } = settlement;
            next.transaction_id = Some(transaction_id.clone());
            next.settled_at = Some(as_stored(*settled_at));
        }
        Change::Fail(_, failure, _)
        | Change::Refuse(_, failure)
        | Change::Withhold(_, failure)
        | Change::WithholdReplayed(_, failure, _) => {
            next.failure = Some((*failure).clone());
            next.dead_letters.last = None;
        }
        Change::NotDone(_, _, count) => next.not_done = *count,
        Change::DeadLettered(_, _, count) => {
            next.dead_letters = DeadLetters { count: *count, last: Some(now) };
        }
        Change::Replay(_, made, first_claim) => reopen(next, *made, *first_claim, now),
        Change::Decide(decision) => {
            let OperatorDecision { attempts, first_claim, right, .. } = decision;
            next.attempts = attempts + 1;
            reopen(next, attempts + 1, *first_claim, now);
            match right {
                RightVersion::Table => {}
                RightVersion::Message(right) => {
                    let payment = &mut next.payment;
                    (payment.amount, payment.currency) = (right.amount, right.currency);
                    payment.beneficiary = right.beneficiary.clone();
                    payment.data = right.data.clone();
                }
            }
        }
        Change::Cancel(_) | Change::Discard(..) => {}
    }
}

/// What a replay takes away, and writes.
fn reopen(next: &mut StoredPayment, before: u32, first_claim: FirstClaim, now: Timestamp) {
    (next.attempts_before, next.not_done, next.failure) = (before, 0, None);
    match first_claim {
        FirstClaim::Stays => {}
        FirstClaim::StartsAnew => next.claimed_at = Some(now),
    }
}
