//! What the result of a settlement's write means: pure.

use shared::domain::{Failure, FailureCode, Payment};
use shared::payments::{Applied, ChangeError};

/// What to do with a confirmation after its write.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// PROCESSED with this transaction id, by this write or one before.
    Settled(&'static str),
    /// The table contradicts it. Nothing is overwritten; an operator decides.
    Conflict(Failure, Option<Box<Payment>>),
    /// The database could not say: deliver it again.
    Retry {
        /// Its words.
        reason: String,
    },
}

/// Judges the result of a settlement's write.
pub(crate) fn judge(result: Result<Applied, ChangeError>, transaction_id: &str) -> Verdict {
    let conflict = |reason| Failure::new(FailureCode::Conflict, reason);
    match result {
        Ok(Applied::Now) => Verdict::Settled("now"),
        Ok(Applied::Before) => Verdict::Settled("before"),
        Err(ChangeError::InStatus(stored)) => {
            let has = stored.transaction_id.as_deref().unwrap_or("no transaction id");
            let reason = format!(
                "settled as {transaction_id}, but the table has it {} with {has}",
                stored.status
            );
            Verdict::Conflict(conflict(reason), Some(Box::new(stored.payment)))
        }
        Err(error @ (ChangeError::Missing | ChangeError::Mismatch | ChangeError::Item(_))) => {
            Verdict::Conflict(conflict(format!("settled as {transaction_id}, but {error}")), None)
        }
        Err(error @ ChangeError::Database { .. }) => Verdict::Retry { reason: error.to_string() },
    }
}
