//! What a replay does with a payment: pure. It rests on three things only: why its letter was
//! written, what the table holds, and what the transaction service says when asked.
//!
//! A refusal answers for its own request only, so a payment that FAILED may have been settled
//! by an earlier attempt. Only one that was attempted once and rejected is certain, and only if
//! the rejection was in the contract's words: an older version also marked payments `rejected`
//! that a gateway had turned away (INV-15).

use std::fmt;

use domain::{AttemptLimits, FailureCode, KeyStatus, RefusalCodes, Status};
use jiff::Timestamp;
use shared::payments::{FirstClaim, StoredPayment};

use super::letter::{Body, Letter};
use super::versions::{Right, Undecided, Version, right};

/// How the transaction service words that it settled another body under the key
/// (`docs/transaction-service.yaml`): money has moved.
const KEY_REUSED: &str = "idempotency_key_reused";

/// What carries the case of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier<'a> {
    /// A letter.
    Letter(&'a Letter),
    /// No letter was found: the payment was named by its reference.
    Name,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// FAILED → SCHEDULED, a message, and the letter goes.
    Replay {
        /// Attempts so far: the fence of the write.
        attempts: u32,
        /// What becomes of the time of the first claim.
        first_claim: FirstClaim,
        /// What is to be paid. What was in question is decided by a write that raises the
        /// attempts.
        right: Right,
        /// Why it is safe.
        because: Safe,
    },
    /// It is under way again already, perhaps without a message: a message more does no harm,
    /// because a dispatcher asks before it submits again.
    SendAgain(Status),
    /// The letter is a confirmation: it is sent to the confirmer once more.
    ConfirmAgain,
    /// The payment has ended and the letter's case is over: only the letter goes.
    Close(Ended),
    /// Nothing is done and the letter stays.
    Refuse(Refusal),
}

/// Why a payment that FAILED may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Safe {
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
pub(super) enum Ended {
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
pub(super) enum Refusal {
    /// A person has to look: the runbook's section of this name says how.
    SeeRunbook(FailureCode),
    /// The letter cannot be read.
    Unreadable,
    /// The table holds no such payment, or what it holds is none.
    NotInTable,
    /// It has ended.
    Ended(Ended),
    /// It was never submitted, and no letter says that its message was lost.
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
    Undecided(Undecided),
}

/// What is known before the transaction service is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Enough.
    Decided(Plan),
    /// Too little: it may have been settled.
    Ask(Right),
}

/// What the letter alone decides, before the table is read; `None` when it decides nothing.
pub(super) fn by_letter(letter: &Letter) -> Option<Plan> {
    match &letter.body {
        Body::Written(written) => match written.failure.code {
            FailureCode::Rejected
            | FailureCode::Refused
            | FailureCode::Exhausted
            | FailureCode::Unknown => {
                written.payment.is_none().then_some(Plan::Refuse(Refusal::Unreadable))
            }
            // What the table says of the payment decides, if the letter is about one.
            code @ (FailureCode::Mismatch | FailureCode::Missing) => {
                let known = written.payment.is_some()
                    || (code == FailureCode::Mismatch && letter.message().is_some());
                (!known).then_some(Plan::Refuse(Refusal::SeeRunbook(code)))
            }
            code @ (FailureCode::MalformedRecord
            | FailureCode::MalformedMessage
            | FailureCode::InvalidItem
            | FailureCode::Overwritten
            | FailureCode::Conflict) => Some(Plan::Refuse(Refusal::SeeRunbook(code))),
        },
        Body::Payment(_) => None,
        Body::Confirmation(_) => Some(Plan::ConfirmAgain),
        Body::Unreadable(_) => Some(Plan::Refuse(Refusal::Unreadable)),
    }
}

/// What the table decides, with what a person has `said` where there are two versions.
/// `replayed` tells whether this run has replayed it before, `codes` what a certain rejection
/// looks like.
pub(super) fn by_table(
    carrier: Carrier<'_>,
    stored: Option<&StoredPayment>,
    said: Option<Version>,
    replayed: Replayed,
    codes: &RefusalCodes,
) -> Step {
    let Some(stored) = stored else {
        return Step::Decided(Plan::Refuse(Refusal::NotInTable));
    };
    let letter = match carrier {
        Carrier::Letter(letter) => Some(letter),
        Carrier::Name => None,
    };
    let right = right(letter, stored, said);
    let undecided =
        |undecided: &Undecided| Step::Decided(Plan::Refuse(Refusal::Undecided(undecided.clone())));
    let ended = |ended| match carrier {
        Carrier::Letter(_) => Plan::Close(ended),
        Carrier::Name => Plan::Refuse(Refusal::Ended(ended)),
    };
    Step::Decided(match (stored.status, carrier) {
        // The message's sender has to be found before the letter may go.
        (Status::Processed | Status::Cancelled, Carrier::Letter(letter))
            if letter.is_of_mismatch() && said.is_none() =>
        {
            Plan::Refuse(Refusal::SeeRunbook(FailureCode::Mismatch))
        }
        (Status::Processed, _) => {
            ended(Ended::Processed { transaction_id: stored.transaction_id.clone() })
        }
        (Status::Cancelled, _) => ended(Ended::Cancelled),
        // Without a letter nothing says that it was due: it may wait for its day.
        (Status::Scheduled, Carrier::Name) if stored.attempts == 0 => {
            Plan::Refuse(Refusal::NotStarted)
        }
        (Status::Scheduled | Status::Pending, _) => match &right {
            Ok(Right::Unquestioned | Right::Table) => Plan::SendAgain(stored.status),
            Ok(Right::Message(_)) => return undecided(&Undecided::NotFailed(stored.status)),
            Err(why) => return undecided(why),
        },
        (Status::Failed, _) if replayed == Replayed::InThisRun => {
            Plan::Refuse(Refusal::FailedAgain)
        }
        (Status::Failed, _) => match right {
            Ok(right) => return by_failure(stored, right, codes),
            Err(why) => return undecided(&why),
        },
    })
}

/// Whether this run has replayed a payment before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replayed {
    /// It has.
    InThisRun,
    /// It has not.
    NotYet,
}

fn by_failure(stored: &StoredPayment, right: Right, codes: &RefusalCodes) -> Step {
    let Some(failure) = &stored.failure else { return Step::Ask(right) };
    match failure.code {
        FailureCode::Rejected if failure.reason.contains(KEY_REUSED) => {
            Step::Decided(Plan::Refuse(Refusal::KeyReused))
        }
        // One submission for each attempt: this one was answered, and there was no other.
        FailureCode::Rejected if stored.attempts == 1 && codes.is_certain(&failure.reason) => {
            Step::Decided(Plan::Replay {
                attempts: 1,
                first_claim: FirstClaim::StartsAnew,
                right,
                because: Safe::RejectedOnce,
            })
        }
        // Its keys are wrong, and stay so: it would not be found on its day.
        FailureCode::InvalidItem => {
            Step::Decided(Plan::Refuse(Refusal::SeeRunbook(FailureCode::InvalidItem)))
        }
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
        | FailureCode::Conflict => Step::Ask(right),
    }
}

/// What the answer decides about a payment that FAILED.
pub(super) fn by_answer(
    stored: &StoredPayment,
    right: Right,
    found: KeyStatus,
    limits: &AttemptLimits,
    now: Timestamp,
) -> Plan {
    // Without the time of its first claim nothing says how old the key is.
    let remembered = stored.claimed_at.is_some_and(|claimed| limits.remembers(claimed, now));
    let code = stored.failure.as_ref().map(|failure| failure.code);
    let never_claimed = stored.attempts == 0 && stored.claimed_at.is_none();
    let because = match found {
        KeyStatus::Settled(settlement) => {
            Safe::Settled { transaction_id: settlement.transaction_id }
        }
        KeyStatus::UnderWay => Safe::UnderWay,
        // What it was before, nobody knows.
        KeyStatus::Nothing if code == Some(FailureCode::Overwritten) => {
            return Plan::Refuse(Refusal::SeeRunbook(FailureCode::Overwritten));
        }
        KeyStatus::Nothing if remembered => Safe::NothingSettled,
        KeyStatus::Nothing if never_claimed && code == Some(FailureCode::Mismatch) => {
            Safe::NeverClaimed
        }
        KeyStatus::Nothing => return Plan::Refuse(Refusal::Forgotten),
        KeyStatus::Rejected { reason } => return Plan::Refuse(Refusal::RejectedForGood { reason }),
        KeyStatus::NoAnswer { reason, .. } => return Plan::Refuse(Refusal::NoAnswer { reason }),
    };
    let first_claim = if never_claimed { FirstClaim::StartsAnew } else { FirstClaim::Stays };
    let right = match right {
        // A replay always leaves attempts, so that it is never taken for a new payment.
        Right::Unquestioned if stored.attempts == 0 => Right::Table,
        right @ (Right::Unquestioned | Right::Table | Right::Message(_)) => right,
    };
    Plan::Replay { attempts: stored.attempts, first_claim, right, because }
}

impl Plan {
    /// Its name in the lists.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Replay { .. } => "replay",
            Self::SendAgain(_) => "send again",
            Self::ConfirmAgain => "confirm again",
            Self::Close(_) => "close",
            Self::Refuse(_) => "refuse",
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replay { because, right: Right::Message(_), .. } => {
                write!(f, "{because}; the message's version is written back")
            }
            Self::Replay { because, .. } => because.fmt(f),
            Self::SendAgain(status) => {
                write!(f, "it is {status} already; one message more does no harm")
            }
            Self::ConfirmAgain => f.write_str("a confirmation may be repeated"),
            Self::Close(ended) => write!(f, "{ended}, so nothing is sent and its letter goes"),
            Self::Refuse(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for Safe {
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

impl fmt::Display for Ended {
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

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeeRunbook(code) => {
                write!(f, "a person has to look: docs/runbooks/dead-letters.md#{code}")
            }
            Self::Unreadable => f.write_str("the letter cannot be read"),
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
        }
    }
}

#[cfg(test)]
mod tests;
