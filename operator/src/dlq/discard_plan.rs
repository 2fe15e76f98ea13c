//! What a discard does with a payment: pure. A payment is given up only when it is certain that no
//! money has moved for it, by the word of the transaction service or, once that may have
//! forgotten, of a person.

use domain::{AttemptLimits, FailureCode, KeyStatus, RefusalCodes, Status};
use jiff::Timestamp;
use shared::payments::StoredPayment;

use super::dead_letter::{DeadLetterBody, DeadLetterMessage};
use super::discard_grounds::{DiscardGround, DiscardRefusal};
use super::names::Naming;
use super::plan::{
    self, EarlierReplay, FinalStatus, KEY_REUSED, ReplayPlan, ReplayRefusal, is_rejected_once,
};
use super::versions::version_to_pay;

/// What is known before the transaction service is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DiscardDecision {
    /// Enough.
    Plan(ReplayPlan),
    /// Too little: it may have been settled.
    Ask,
}

fn refuse(refusal: DiscardRefusal) -> ReplayPlan {
    ReplayPlan::Refuse(ReplayRefusal::NotDiscarded(refusal))
}

fn see_runbook(code: FailureCode) -> ReplayPlan {
    ReplayPlan::Refuse(ReplayRefusal::SeeRunbook(code))
}

/// A message without a payment: nothing but the message can be given up.
fn by_name(naming: Naming) -> ReplayPlan {
    match naming {
        Naming::ByMessageId => ReplayPlan::Delete,
        Naming::Otherwise => refuse(DiscardRefusal::NotNamed),
    }
}

/// What the dead letter alone decides; `None` when it decides nothing.
pub(super) fn by_dead_letter(
    dead_letter: &DeadLetterMessage,
    naming: Naming,
) -> Option<ReplayPlan> {
    match &dead_letter.body {
        DeadLetterBody::Written(written) => match written.failure.code {
            // Money has moved: the bank's books decide, and not this command.
            FailureCode::Conflict => Some(see_runbook(FailureCode::Conflict)),
            FailureCode::MalformedRecord | FailureCode::MalformedMessage => Some(by_name(naming)),
            FailureCode::Rejected
            | FailureCode::Refused
            | FailureCode::InvalidItem
            | FailureCode::Overwritten
            | FailureCode::Mismatch
            | FailureCode::Missing
            | FailureCode::Exhausted
            | FailureCode::Unknown => dead_letter.reference().is_none().then(|| by_name(naming)),
        },
        DeadLetterBody::Payment(_) => None,
        // It says that money has moved, which a discard does not hide.
        DeadLetterBody::Confirmation(confirmation) => {
            Some(ReplayPlan::ConfirmAgain(confirmation.clone()))
        }
        DeadLetterBody::Unreadable(_) => Some(by_name(naming)),
    }
}

/// What is done when the table does not hold the payment: only a message that was named is
/// deleted, and only if its payment was not settled.
pub(super) fn without_item(
    dead_letter: Option<&DeadLetterMessage>,
    naming: Naming,
) -> DiscardDecision {
    match (dead_letter, naming) {
        (None, _) => DiscardDecision::Plan(ReplayPlan::Refuse(ReplayRefusal::NotInTable)),
        (Some(_), Naming::Otherwise) => DiscardDecision::Plan(refuse(DiscardRefusal::NotNamed)),
        (Some(_), Naming::ByMessageId) => DiscardDecision::Ask,
    }
}

/// What the answer decides about a message whose payment the table does not hold.
pub(super) fn by_answer_without_item(found: KeyStatus) -> ReplayPlan {
    match found {
        KeyStatus::Nothing | KeyStatus::Rejected { .. } => ReplayPlan::Delete,
        KeyStatus::Settled(_) => ReplayPlan::Refuse(ReplayRefusal::NotInTable),
        KeyStatus::UnderWay => refuse(DiscardRefusal::UnderWay),
        KeyStatus::NoAnswer { reason, .. } => {
            ReplayPlan::Refuse(ReplayRefusal::NoAnswer { reason })
        }
    }
}

/// What the table decides. Without a dead letter the payment was named by its reference.
pub(super) fn by_table(
    dead_letter: Option<&DeadLetterMessage>,
    naming: Naming,
    stored: &StoredPayment,
    earlier: EarlierReplay,
) -> DiscardDecision {
    let decided = |plan| DiscardDecision::Plan(plan);
    let ended = |status| match dead_letter {
        Some(_) => ReplayPlan::Close(status),
        None => ReplayPlan::Refuse(ReplayRefusal::Ended(status)),
    };
    match stored.status {
        // The message's sender has to be found before the dead letter may be deleted. What FAILED
        // and is CANCELLED was given up by a discard.
        Status::Processed | Status::Cancelled
            if naming == Naming::Otherwise
                && dead_letter.is_some_and(DeadLetterMessage::is_of_mismatch)
                && !(stored.status == Status::Cancelled && stored.failure.is_some()) =>
        {
            decided(see_runbook(FailureCode::Mismatch))
        }
        Status::Processed => {
            let transaction_id = stored.transaction_id.clone();
            decided(ended(FinalStatus::Processed { transaction_id }))
        }
        Status::Cancelled => decided(ended(FinalStatus::Cancelled)),
        Status::Scheduled | Status::Pending => {
            decided(refuse(DiscardRefusal::MayBePaid(stored.status)))
        }
        Status::Failed if earlier == EarlierReplay::InThisRun => {
            decided(ReplayPlan::Refuse(ReplayRefusal::FailedAgain))
        }
        Status::Failed => match &stored.failure {
            Some(failure) if failure.reason.contains(KEY_REUSED) => {
                decided(ReplayPlan::Refuse(ReplayRefusal::KeyReused))
            }
            Some(_) | None => DiscardDecision::Ask,
        },
    }
}

/// By what an answer is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct DiscardRules<'a> {
    /// What a certain rejection looks like.
    pub(super) codes: &'a RefusalCodes,
    /// For how long a key is remembered.
    pub(super) limits: &'a AttemptLimits,
    /// What a person says about payments whose keys may be forgotten.
    pub(super) evidence: Option<&'a str>,
}

/// What the answer decides about a payment that FAILED.
pub(super) fn by_answer(
    dead_letter: Option<&DeadLetterMessage>,
    stored: &StoredPayment,
    found: KeyStatus,
    rules: DiscardRules<'_>,
    now: Timestamp,
) -> ReplayPlan {
    let code = stored.failure.as_ref().map(|failure| failure.code);
    let because = match found {
        KeyStatus::Settled(settlement) => {
            // What another program has written there is not what was settled.
            if let Some(code @ (FailureCode::Overwritten | FailureCode::InvalidItem)) = code {
                return see_runbook(code);
            }
            let transaction_id = settlement.transaction_id.clone();
            return match version_to_pay(dead_letter, stored, None) {
                Err(_) => refuse(DiscardRefusal::SettledUndecided { transaction_id }),
                Ok(version) => {
                    let settled = KeyStatus::Settled(settlement);
                    plan::by_answer(stored, version, settled, rules.limits, now)
                }
            };
        }
        KeyStatus::UnderWay => return refuse(DiscardRefusal::UnderWay),
        KeyStatus::NoAnswer { reason, .. } => {
            return ReplayPlan::Refuse(ReplayRefusal::NoAnswer { reason });
        }
        KeyStatus::Rejected { reason } => DiscardGround::RefusedForGood { reason },
        KeyStatus::Nothing => match unsettled(stored, code, rules, now) {
            Some(because) => because,
            None => return refuse(DiscardRefusal::NoEvidence),
        },
    };
    ReplayPlan::Discard { attempts: stored.attempts, because }
}

/// Why it is certain that nothing was settled, when the transaction service knows of nothing.
fn unsettled(
    stored: &StoredPayment,
    code: Option<FailureCode>,
    rules: DiscardRules<'_>,
    now: Timestamp,
) -> Option<DiscardGround> {
    // What an overwritten payment was before, nobody knows: nor when it was claimed.
    let is_known = code != Some(FailureCode::Overwritten);
    let remembers = |claimed| rules.limits.remembers(claimed, now);
    if is_known && is_rejected_once(stored, rules.codes) {
        Some(DiscardGround::RejectedOnce)
    } else if is_known && stored.claimed_at.is_some_and(remembers) {
        Some(DiscardGround::NothingSettled)
    } else if is_known && stored.attempts == 0 && stored.claimed_at.is_none() {
        Some(DiscardGround::NeverClaimed)
    } else {
        rules.evidence.map(|text| DiscardGround::Evidence { text: text.to_owned() })
    }
}

#[cfg(test)]
#[path = "discard_plan_tests.rs"]
mod tests;
