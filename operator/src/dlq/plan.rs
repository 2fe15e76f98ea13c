//! What a replay does with a payment: pure. It rests on three things only: why its dead letter
//! was written, what the table holds, and what the transaction service says when asked.
//!
//! A refusal answers for its own request only, so a payment that FAILED may have been settled
//! by an earlier attempt. Only one that was attempted once and rejected is certain, and only if
//! the rejection was in the contract's words: an older version also marked payments `rejected`
//! that a gateway had turned away (INV-15).

use std::fmt;

use domain::{AttemptLimits, FailureCode, KeyStatus, RefusalCodes, Status};
use jiff::Timestamp;
use shared::payments::{FirstClaim, StoredPayment};
use shared::queue::Confirmation;

use super::dead_letter::{DeadLetterBody, DeadLetterMessage};
use super::discard_grounds::{DiscardGround, DiscardRefusal};
use super::versions::{PaidVersion, UndecidedVersion, WhichVersion, version_to_pay};

/// How the transaction service words that it settled another body under the key
/// (`docs/transaction-service.yaml`): money has moved.
pub(super) const KEY_REUSED: &str = "idempotency_key_reused";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReplayPlan {
    /// FAILED → SCHEDULED, a message, and the dead letter is deleted.
    Replay {
        /// Attempts so far: the fence of the write.
        attempts: u32,
        /// What becomes of the time of the first claim.
        first_claim: FirstClaim,
        /// The version that is paid. Where there are two, the write raises the attempts.
        version: PaidVersion,
        /// Why it is safe.
        because: Justification,
    },
    /// It is under way again already, perhaps without a message: a message more does no harm,
    /// because a dispatcher asks before it submits again.
    SendAgain(Status),
    /// The dead letter is a confirmation: it is sent to the confirmer once more.
    ConfirmAgain(Box<Confirmation>),
    /// FAILED → CANCELLED, and the dead letter is deleted.
    Discard {
        /// Attempts so far: the fence of the write.
        attempts: u32,
        /// Why no money has moved.
        because: DiscardGround,
    },
    /// There is no payment: the dead letter is deleted.
    Delete,
    /// The payment has ended: nothing is sent, and the dead letter is deleted.
    Close(FinalStatus),
    /// Nothing is done, and the dead letter stays.
    Refuse(ReplayRefusal),
}

/// Why a payment that FAILED may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Justification {
    /// It was submitted once, and that was rejected.
    RejectedOnce,
    /// It was settled: a dispatcher will find that and have it confirmed.
    Settled {
        /// The transaction service's id.
        transaction_id: String,
    },
    /// The transaction service has taken it, and reports what becomes of it.
    UnderWay,
    /// Nothing was settled under its key, and the transaction service would remember.
    NothingSettled,
    /// It was never claimed, and nothing was settled under its key.
    NeverClaimed,
}

/// How a payment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FinalStatus {
    /// Settled.
    Processed {
        /// The transaction service's id.
        transaction_id: Option<String>,
    },
    /// Withdrawn or given up.
    Cancelled,
}

/// Why a payment is not sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReplayRefusal {
    /// A person has to look: the runbook's section of this name says how.
    SeeRunbook(FailureCode),
    /// The dead letter cannot be read.
    Unreadable,
    /// The table holds no such payment, or what it holds is none.
    NotInTable,
    /// It has ended.
    Ended(FinalStatus),
    /// It was never submitted, and no dead letter says that its message was lost.
    NotStarted,
    /// Its dead letter may be one of those that could not be looked at, and hold another version.
    DeadLetterUnseen,
    /// Another payment was settled under its key.
    KeyReused,
    /// The transaction service took it and then refused it for good.
    RejectedForGood {
        /// Its words.
        reason: String,
    },
    /// It may have been settled, and the transaction service may have forgotten.
    Forgotten,
    /// The transaction service could not say.
    NoAnswer {
        /// What was seen.
        reason: String,
    },
    /// It was sent again by this very run, and has failed again.
    FailedAgain,
    /// There are two versions of it, and nobody has said which is right.
    Undecided(UndecidedVersion),
    /// It is not given up.
    NotDiscarded(DiscardRefusal),
}

/// What is known before the transaction service is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TableDecision {
    /// Enough.
    Plan(ReplayPlan),
    /// Too little: it may have been settled.
    Ask(PaidVersion),
}

/// What the dead letter alone decides, before the table is read; `None` when it decides nothing.
pub(super) fn by_dead_letter(dead_letter: &DeadLetterMessage) -> Option<ReplayPlan> {
    match &dead_letter.body {
        DeadLetterBody::Written(written) => match written.failure.code {
            FailureCode::Rejected
            | FailureCode::Refused
            | FailureCode::Exhausted
            | FailureCode::Unknown => {
                written.payment.is_none().then_some(ReplayPlan::Refuse(ReplayRefusal::Unreadable))
            }
            // What the table says of the payment decides, if the dead letter is about one.
            code @ (FailureCode::Mismatch | FailureCode::Missing) => {
                let known = written.payment.is_some()
                    || (code == FailureCode::Mismatch && dead_letter.message().is_some());
                (!known).then_some(ReplayPlan::Refuse(ReplayRefusal::SeeRunbook(code)))
            }
            code @ (FailureCode::MalformedRecord
            | FailureCode::MalformedMessage
            | FailureCode::InvalidItem
            | FailureCode::Overwritten
            | FailureCode::Conflict) => Some(ReplayPlan::Refuse(ReplayRefusal::SeeRunbook(code))),
        },
        DeadLetterBody::Payment(_) => None,
        DeadLetterBody::Confirmation(confirmation) => {
            Some(ReplayPlan::ConfirmAgain(confirmation.clone()))
        }
        DeadLetterBody::Unreadable(_) => Some(ReplayPlan::Refuse(ReplayRefusal::Unreadable)),
    }
}

/// What the table decides. `which` is the version that a person says is right, where there are
/// two; without a dead letter the payment was named by its reference. `codes` says what a certain
/// rejection looks like.
pub(super) fn by_table(
    dead_letter: Option<&DeadLetterMessage>,
    stored: &StoredPayment,
    which: Option<WhichVersion>,
    earlier: EarlierReplay,
    codes: &RefusalCodes,
) -> TableDecision {
    let version = version_to_pay(dead_letter, stored, which);
    let refuse = |refusal| TableDecision::Plan(ReplayPlan::Refuse(refusal));
    let ended = |status| match dead_letter {
        Some(_) => TableDecision::Plan(ReplayPlan::Close(status)),
        None => refuse(ReplayRefusal::Ended(status)),
    };
    match (stored.status, dead_letter) {
        // The message's sender has to be found before the dead letter may be deleted.
        (Status::Processed | Status::Cancelled, Some(dead_letter))
            if dead_letter.is_of_mismatch() && which.is_none() =>
        {
            refuse(ReplayRefusal::SeeRunbook(FailureCode::Mismatch))
        }
        (Status::Processed, _) => {
            ended(FinalStatus::Processed { transaction_id: stored.transaction_id.clone() })
        }
        (Status::Cancelled, _) => ended(FinalStatus::Cancelled),
        // Without a dead letter nothing says that it was due: it may wait for its day.
        (Status::Scheduled, None) if stored.attempts == 0 => refuse(ReplayRefusal::NotStarted),
        (Status::Scheduled | Status::Pending, _) => match version {
            Ok(PaidVersion::Unquestioned | PaidVersion::Table) => {
                TableDecision::Plan(ReplayPlan::SendAgain(stored.status))
            }
            Ok(PaidVersion::Message(_)) => {
                refuse(ReplayRefusal::Undecided(UndecidedVersion::NotFailed(stored.status)))
            }
            Err(undecided) => refuse(ReplayRefusal::Undecided(undecided)),
        },
        (Status::Failed, _) if earlier == EarlierReplay::InThisRun => {
            refuse(ReplayRefusal::FailedAgain)
        }
        (Status::Failed, _) => match version {
            Ok(version) => by_failure(stored, version, codes),
            Err(undecided) => refuse(ReplayRefusal::Undecided(undecided)),
        },
    }
}

/// Whether this run has replayed a payment before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EarlierReplay {
    /// It has.
    InThisRun,
    /// It has not.
    NotInThisRun,
}

/// Whether the only submission was rejected, in the contract's words.
pub(super) fn is_rejected_once(stored: &StoredPayment, codes: &RefusalCodes) -> bool {
    stored.failure.as_ref().is_some_and(|failure| {
        failure.code == FailureCode::Rejected
            && stored.attempts == 1
            && codes.is_certain(&failure.reason)
    })
}

fn by_failure(stored: &StoredPayment, version: PaidVersion, codes: &RefusalCodes) -> TableDecision {
    let Some(failure) = &stored.failure else { return TableDecision::Ask(version) };
    match failure.code {
        FailureCode::Rejected if failure.reason.contains(KEY_REUSED) => {
            TableDecision::Plan(ReplayPlan::Refuse(ReplayRefusal::KeyReused))
        }
        // One submission for each attempt: this one was answered, and there was no other.
        FailureCode::Rejected if is_rejected_once(stored, codes) => {
            TableDecision::Plan(ReplayPlan::Replay {
                attempts: 1,
                first_claim: FirstClaim::StartsAnew,
                version,
                because: Justification::RejectedOnce,
            })
        }
        // Its keys are wrong, and stay so: it would not be found on its day.
        FailureCode::InvalidItem => TableDecision::Plan(ReplayPlan::Refuse(
            ReplayRefusal::SeeRunbook(FailureCode::InvalidItem),
        )),
        // A refusal after a 202 is no answer to the one submission: the result is final, and a
        // later one may have come since.
        FailureCode::Rejected
        | FailureCode::Refused
        | FailureCode::Exhausted
        | FailureCode::Unknown
        | FailureCode::MalformedRecord
        | FailureCode::MalformedMessage
        | FailureCode::Overwritten
        | FailureCode::Mismatch
        | FailureCode::Missing
        | FailureCode::Conflict => TableDecision::Ask(version),
    }
}

/// What the answer decides about a payment that FAILED.
pub(super) fn by_answer(
    stored: &StoredPayment,
    version: PaidVersion,
    found: KeyStatus,
    limits: &AttemptLimits,
    now: Timestamp,
) -> ReplayPlan {
    // Without the time of its first claim nothing says how old the key is.
    let remembered = stored.claimed_at.is_some_and(|claimed| limits.remembers(claimed, now));
    let code = stored.failure.as_ref().map(|failure| failure.code);
    let never_claimed = stored.attempts == 0 && stored.claimed_at.is_none();
    let because = match found {
        KeyStatus::Settled(settlement) => {
            Justification::Settled { transaction_id: settlement.transaction_id }
        }
        KeyStatus::UnderWay => Justification::UnderWay,
        // What it was before, nobody knows.
        KeyStatus::Nothing if code == Some(FailureCode::Overwritten) => {
            return ReplayPlan::Refuse(ReplayRefusal::SeeRunbook(FailureCode::Overwritten));
        }
        KeyStatus::Nothing if remembered => Justification::NothingSettled,
        KeyStatus::Nothing if never_claimed && code == Some(FailureCode::Mismatch) => {
            Justification::NeverClaimed
        }
        KeyStatus::Nothing => return ReplayPlan::Refuse(ReplayRefusal::Forgotten),
        KeyStatus::Rejected { reason } => {
            return ReplayPlan::Refuse(ReplayRefusal::RejectedForGood { reason });
        }
        KeyStatus::NoAnswer { reason, .. } => {
            return ReplayPlan::Refuse(ReplayRefusal::NoAnswer { reason });
        }
    };
    let first_claim = if never_claimed { FirstClaim::StartsAnew } else { FirstClaim::Stays };
    let version = match version {
        // A replay always leaves attempts, so that it is never taken for a new payment.
        PaidVersion::Unquestioned if stored.attempts == 0 => PaidVersion::Table,
        version @ (PaidVersion::Unquestioned | PaidVersion::Table | PaidVersion::Message(_)) => {
            version
        }
    };
    ReplayPlan::Replay { attempts: stored.attempts, first_claim, version, because }
}

impl ReplayPlan {
    /// Its name in the lists.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Replay { .. } => "replay",
            Self::SendAgain(_) => "send again",
            Self::ConfirmAgain(_) => "confirm again",
            Self::Discard { .. } => "discard",
            Self::Delete => "delete",
            Self::Close(_) => "close",
            Self::Refuse(_) => "refuse",
        }
    }

    /// Whether something is written or sent before the dead letter goes.
    pub(super) const fn is_work(&self) -> bool {
        match self {
            Self::Replay { .. }
            | Self::SendAgain(_)
            | Self::ConfirmAgain(_)
            | Self::Discard { .. } => true,
            Self::Delete | Self::Close(_) | Self::Refuse(_) => false,
        }
    }
}

impl fmt::Display for ReplayPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replay { because, version: PaidVersion::Message(_), .. } => {
                write!(f, "{because}; the message's version is written back")
            }
            Self::Replay { because, .. } => because.fmt(f),
            Self::SendAgain(status) => {
                write!(f, "it is {status} already; one message more does no harm")
            }
            Self::ConfirmAgain(_) => f.write_str("a confirmation may be repeated"),
            Self::Discard { because, .. } => because.fmt(f),
            Self::Delete => f.write_str("there is no payment to be given up, only this message"),
            Self::Close(ended) => {
                write!(f, "{ended}, so nothing is sent and its dead letter is deleted")
            }
            Self::Refuse(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for Justification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RejectedOnce => f.write_str("it was submitted once, and that was rejected"),
            Self::Settled { transaction_id } => {
                write!(f, "it was settled as {transaction_id}; that will be found and confirmed")
            }
            Self::UnderWay => f.write_str("the transaction service has taken it and will report"),
            Self::NothingSettled => f.write_str("nothing was settled under its key"),
            Self::NeverClaimed => {
                f.write_str("it was never claimed, and nothing was settled under its key")
            }
        }
    }
}

impl fmt::Display for FinalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processed { transaction_id } => {
                let id = transaction_id.as_deref().unwrap_or("no transaction id");
                write!(f, "it is PROCESSED with {id}")
            }
            Self::Cancelled => f.write_str("it is CANCELLED"),
        }
    }
}

impl fmt::Display for ReplayRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeeRunbook(code) => {
                write!(f, "a person has to look: docs/runbooks/dead-letters.md#{code}")
            }
            Self::Unreadable => f.write_str("the dead letter cannot be read"),
            Self::NotInTable => f.write_str(
                "the table holds no such payment: docs/runbooks/dead-letters.md#missing",
            ),
            Self::Ended(ended) => ended.fmt(f),
            Self::NotStarted => f.write_str("it is SCHEDULED and was never submitted"),
            Self::DeadLetterUnseen => f.write_str(
                "its dead letter may be among those that could not be looked at, and say something \
                 else than the table: try again, deal with the dead letters before it first, or \
                 give --version table",
            ),
            Self::KeyReused => f.write_str(
                "another body was settled under its key, so money has moved: \
                 docs/runbooks/dead-letters.md#rejected",
            ),
            Self::RejectedForGood { reason } => {
                write!(
                    f,
                    "the transaction service took it, refused it and stays with that ({reason}): \
                     docs/runbooks/dead-letters.md#refused"
                )
            }
            Self::Forgotten => f.write_str(
                "the transaction service knows nothing of it, but may have forgotten: search the \
                 bank's books, docs/runbooks/dead-letters.md#unknown",
            ),
            Self::NoAnswer { reason } => {
                write!(f, "the transaction service could not say ({reason}); run it again later")
            }
            Self::FailedAgain => f.write_str("this run has replayed it, and it has failed again"),
            Self::Undecided(undecided) => undecided.fmt(f),
            Self::NotDiscarded(refusal) => refusal.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
