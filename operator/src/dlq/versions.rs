//! Of which payments there are two versions, and which one a person says is right: pure
//! (INV-16).

use std::fmt;

use domain::{Data, FailureCode, Money, Payment, Status};
use shared::payments::StoredPayment;

use super::dead_letter::DeadLetterMessage;

/// Which version of a payment is right: what `--version` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WhichVersion {
    /// What the payments table holds.
    Table,
    /// What the message said, or the dead letter where there is no message.
    Message,
}

/// What is to be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PaidVersion {
    /// There is one version only.
    Unquestioned,
    /// The table's.
    Table,
    /// This one.
    Message(Box<Payment>),
}

/// Why it is not decided what is to be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UndecidedVersion {
    /// A person has to say which is right.
    Open {
        /// The table's version.
        table: String,
        /// The other one, if it could be read.
        other: Option<String>,
    },
    /// The table's version was changed after the dead letter was written.
    ChangedSince {
        /// As the dead letter has it.
        then: String,
        /// As the table has it.
        now: String,
    },
    /// The message's version is not known.
    NoMessage,
    /// The other version can be written back only while the payment is FAILED.
    NotFailed(Status),
}

/// What is to be paid of a payment, from its dead letter, the table, and what a person says.
pub(super) fn version_to_pay(
    dead_letter: Option<&DeadLetterMessage>,
    stored: &StoredPayment,
    which: Option<WhichVersion>,
) -> Result<PaidVersion, UndecidedVersion> {
    let other = dead_letter.and_then(|dead_letter| other_version(dead_letter, &stored.payment));
    let withheld = match stored.status {
        Status::Failed => code(stored) == Some(FailureCode::Mismatch),
        Status::Scheduled | Status::Pending | Status::Processed | Status::Cancelled => false,
    };
    let asked =
        withheld || other.is_some() || dead_letter.is_some_and(DeadLetterMessage::is_of_mismatch);
    match which {
        _ if !asked => Ok(PaidVersion::Unquestioned),
        None => Err(UndecidedVersion::Open {
            table: shown(&stored.payment),
            other: other.as_ref().map(shown),
        }),
        Some(WhichVersion::Table) => table(dead_letter, &stored.payment),
        Some(WhichVersion::Message) => message(dead_letter, stored),
    }
}

/// The table's version, unless it is not the one of which the person has read.
fn table(
    dead_letter: Option<&DeadLetterMessage>,
    stored: &Payment,
) -> Result<PaidVersion, UndecidedVersion> {
    let then = dead_letter
        .filter(|dead_letter| dead_letter.is_of_mismatch())
        .and_then(DeadLetterMessage::payment);
    match then {
        Some(then) if !then.same_instruction(stored) => {
            Err(UndecidedVersion::ChangedSince { then: shown(then), now: shown(stored) })
        }
        Some(_) | None => Ok(PaidVersion::Table),
    }
}

/// The message's version, or that of a dead letter without one.
fn message(
    dead_letter: Option<&DeadLetterMessage>,
    stored: &StoredPayment,
) -> Result<PaidVersion, UndecidedVersion> {
    let message = dead_letter
        .and_then(|dead_letter| dead_letter.message().or_else(|| dead_letter.payment().cloned()));
    let message = message.filter(|message| message.reference() == stored.payment.reference());
    match (message, stored.status) {
        (None, _) => Err(UndecidedVersion::NoMessage),
        // A replay that died has written it back.
        (Some(message), _) if message.same_instruction(&stored.payment) => Ok(PaidVersion::Table),
        (Some(message), Status::Failed) => Ok(PaidVersion::Message(Box::new(message))),
        (Some(_), status) => Err(UndecidedVersion::NotFailed(status)),
    }
}

fn code(stored: &StoredPayment) -> Option<FailureCode> {
    stored.failure.as_ref().map(|failure| failure.code)
}

/// The version of a dead letter that the table does not hold: that of its message first.
fn other_version(dead_letter: &DeadLetterMessage, stored: &Payment) -> Option<Payment> {
    let versions = [dead_letter.message(), dead_letter.payment().cloned()];
    versions.into_iter().flatten().find(|version| {
        version.reference() == stored.reference() && !version.same_instruction(stored)
    })
}

/// A version as people read it.
pub(super) fn shown(payment: &Payment) -> String {
    let money = Money { amount: payment.amount, currency: payment.currency };
    let blob = match &payment.data {
        None => "no blob".to_owned(),
        Some(data @ (Data::Whole(_) | Data::Beside(_))) => {
            format!("blob {:.8}", data.digest().to_string())
        }
    };
    format!("{money} to {}, {blob}", payment.beneficiary)
}

impl fmt::Display for UndecidedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { table, other } => {
                write!(f, "a person has to say which version is right: --version table ({table})")?;
                match other {
                    Some(other) => write!(f, " or --version message ({other})"),
                    None => f.write_str("; the message's cannot be read"),
                }
            }
            Self::ChangedSince { then, now } => write!(
                f,
                "the table was changed after the dead letter was written: from {then} to {now}; \
                 schedule the right payment under a new id"
            ),
            Self::NoMessage => f.write_str("the message's version is not known"),
            Self::NotFailed(status) => {
                write!(f, "it is {status} with the table's version already")
            }
        }
    }
}

#[cfg(test)]
#[path = "versions_tests.rs"]
mod tests;
