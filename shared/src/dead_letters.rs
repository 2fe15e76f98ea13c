//! The dead letters of payments that are FAILED: one for each change to FAILED, whoever made it
//! and however often its message comes again.
//!
//! The item says whether its failure has its dead letter: the change to FAILED takes the mark of
//! an earlier one away, and the dead letter sets it. So the order is: FAILED, the dead letter,
//! the mark, and then the message goes. A process that dies before the dead letter leaves a
//! message, which finds the payment FAILED without the mark. One that dies between the dead
//! letter and the mark has it sent once more, under the same deduplication id: SQS drops it
//! within five minutes.

use jiff::Timestamp;

use crate::payments::{Change, ChangeError, PaymentStore, PaymentsError, StoredPayment};
use crate::queue::{DeadLetterQueue, SendError};
use domain::{Failure, FailureCode, PaymentRef, Status};

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterResult {
    /// It was sent.
    Now,
    /// It had been sent before.
    Before,
    /// The payment is not FAILED any more: somebody has sent it again.
    NotFailed(Status),
    /// The table does not hold the payment.
    Missing,
}

/// Why a dead letter may be missing still: what asked for it must not be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The payment.
    #[error(transparent)]
    Payments(#[from] PaymentsError),
    /// The dead letter.
    #[error(transparent)]
    Unsent(#[from] SendError),
    /// The mark.
    #[error("noting a dead letter: {0}")]
    Mark(#[source] ChangeError),
}

/// Writes the dead letter of a payment that is FAILED, unless it has one: with the failure and
/// the payment as the table holds them, and with `raw`, what contradicts them if something does.
///
/// # Errors
/// [`DeadLetterError`]: the message that asked for it must then be delivered again.
pub async fn dead_letter(
    store: &dyn PaymentStore,
    queue: &DeadLetterQueue,
    reference: &PaymentRef,
    raw: Option<&str>,
    now: Timestamp,
) -> Result<DeadLetterResult, DeadLetterError> {
    let Some(stored) = store.get(reference).await? else { return Ok(DeadLetterResult::Missing) };
    match stored.status {
        Status::Failed => {}
        status @ (Status::Scheduled | Status::Pending | Status::Processed | Status::Cancelled) => {
            return Ok(DeadLetterResult::NotFailed(status));
        }
    }
    if stored.dead_letters.last.is_some() {
        return Ok(DeadLetterResult::Before);
    }
    queue.send_failed(&stored, failure_of(&stored), raw.map(str::to_owned)).await?;
    let count = stored.dead_letters.count.saturating_add(1);
    let mark = [Change::DeadLettered(reference, stored.attempts, count)];
    match store.apply(&mark, now).await?.pop() {
        Some(Ok(_)) => Ok(DeadLetterResult::Now),
        // An operator was quicker: the dead letter was there.
        Some(Err(ChangeError::InStatus(_) | ChangeError::Missing)) => Ok(DeadLetterResult::Now),
        Some(Err(error)) => Err(DeadLetterError::Mark(error)),
        None => Err(PaymentsError::ResultCount { expected: 1, got: 0 }.into()),
    }
}

/// Why a payment FAILED, as its item says.
fn failure_of(stored: &StoredPayment) -> Failure {
    stored.failure.clone().unwrap_or_else(|| {
        Failure::new(FailureCode::Unknown, "the item is FAILED without a reason")
    })
}

#[cfg(test)]
#[path = "dead_letters_tests.rs"]
mod tests;
