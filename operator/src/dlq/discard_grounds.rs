//! Why a payment that FAILED may be given up, and why not: pure.

use std::fmt;

use domain::Status;

/// Why no money has moved for a payment that is given up, and none will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DiscardGround {
    /// It was submitted once, and that was rejected.
    RejectedOnce,
    /// It was never claimed, and nothing was settled under its key.
    NeverClaimed,
    /// Nothing was settled under its key, and the transaction service would remember.
    NothingSettled,
    /// The transaction service took it and has refused it for good.
    RefusedForGood {
        /// Its words.
        reason: String,
    },
    /// The transaction service may have forgotten its key, and a person has looked elsewhere.
    Evidence {
        /// What shows it.
        text: String,
    },
}

/// Why a payment is not given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DiscardRefusal {
    /// It is not FAILED, but may be paid.
    MayBePaid(Status),
    /// The transaction service has taken it, and reports what becomes of it.
    UnderWay,
    /// It was settled, and there are two versions of it.
    SettledUndecided {
        /// The transaction service's id.
        transaction_id: String,
    },
    /// The transaction service may have forgotten its key, and nobody has looked elsewhere.
    NoEvidence,
    /// There is no payment to be given up, and its message was not named.
    NotNamed,
    /// The message that was named is not there.
    NoMessage,
}

impl fmt::Display for DiscardGround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RejectedOnce => f.write_str("it was submitted once, and that was rejected"),
            Self::NeverClaimed => {
                f.write_str("it was never claimed, and nothing was settled under its key")
            }
            Self::NothingSettled => f.write_str("nothing was settled under its key"),
            Self::RefusedForGood { reason } => {
                write!(f, "the transaction service took it and has refused it for good ({reason})")
            }
            Self::Evidence { text } => write!(f, "its key may be forgotten; evidence: {text}"),
        }
    }
}

impl fmt::Display for DiscardRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MayBePaid(status) => {
                write!(f, "it is {status} and may be paid; only what is FAILED is given up")
            }
            Self::UnderWay => f.write_str(
                "the transaction service has taken it and will report: it may still be settled",
            ),
            Self::SettledUndecided { transaction_id } => write!(
                f,
                "it was settled as {transaction_id}, and there are two versions of it: \
                 dueflow dlq replay --version says which is right"
            ),
            Self::NoEvidence => f.write_str(
                "the transaction service knows nothing of it, but may have forgotten: search the \
                 bank's books, and say with --evidence what shows that no money has moved",
            ),
            Self::NotNamed => f.write_str(
                "it is about no payment that the table holds; it is deleted only when its message \
                 id is named",
            ),
            Self::NoMessage => f.write_str("no dead letter with this message id was found"),
        }
    }
}
