//! What the services ask of the payments table.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use super::change::Change;
use super::error::{BlobError, ChangeError, PaymentsError};
use super::stored_payment::StoredPayment;
use domain::{BlobDigest, DataBlob, PaymentRef};

/// A change that was made, or had been made before by the same hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyResult {
    /// This call made it.
    Now,
    /// The payment already held exactly this result.
    Before,
}

/// Where payments lie. [`PaymentsTable`](super::PaymentsTable) is the real one; a simulation
/// puts its own here.
#[async_trait]
pub trait PaymentStore: fmt::Debug + Send + Sync {
    /// Makes changes, each on its own condition. The results are in the order of `changes`;
    /// no two may concern the same payment.
    ///
    /// # Errors
    /// [`PaymentsError`] when a call fails as a whole: it is then unknown which of its
    /// changes were made, and making them again is safe.
    async fn apply(
        &self,
        changes: &[Change<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError>;

    /// One payment by reference, read consistently.
    ///
    /// # Errors
    /// [`PaymentsError`] when the call fails or the item is no payment.
    async fn get(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError>;

    /// The blobs of payments whose blobs lie in items of their own, read consistently, up to
    /// 100 in one call, in the order of `wanted`. Each is the one whose digest is given.
    ///
    /// # Errors
    /// [`PaymentsError::ReadMany`] when a call fails as a whole. One blob that is missing,
    /// another one, or left unread has an error of its own.
    async fn blobs(
        &self,
        wanted: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError>;
}

/// What a refused change means, from the item that did not meet its condition.
///
/// # Errors
/// [`ChangeError`] says what the item holds instead.
pub fn refused_change(
    change: &Change<'_>,
    stored: StoredPayment,
) -> Result<ApplyResult, ChangeError> {
    let mismatch = match change {
        Change::Claim(payment) | Change::ClaimAgain(payment, _) | Change::Resume(payment, _) => {
            // A message of a payment whose blob lies beside it has the digest too.
            !stored.payment.same_instruction(payment) || stored.payment.data != payment.data
        }
        Change::SettleOf(_, _, money) => {
            (stored.payment.amount, stored.payment.currency) != (money.amount, money.currency)
        }
        Change::Settle(..)
        | Change::Fail(..)
        | Change::Refuse(..)
        | Change::Replay(..)
        | Change::Discard(..)
        | Change::Cancel(_)
        | Change::Withhold(..)
        | Change::WithholdReplayed(..)
        | Change::Decide(_)
        | Change::NotDone(..)
        | Change::DeadLettered(..) => false,
    };
    let (_, target) = change.event().edge();
    let same_result = stored.status == target
        && match change {
            Change::Claim(_)
            | Change::ClaimAgain(..)
            | Change::Resume(..)
            | Change::Replay(..)
            | Change::Decide(_)
            | Change::NotDone(..)
            | Change::DeadLettered(..) => false,
            Change::Settle(_, settlement) | Change::SettleOf(_, settlement, _) => {
                stored.transaction_id.as_deref() == Some(&settlement.transaction_id)
            }
            Change::Fail(_, failure, _)
            | Change::Refuse(_, failure)
            | Change::Withhold(_, failure)
            | Change::WithholdReplayed(_, failure, _) => stored.failure.as_ref() == Some(failure),
            // Attempts tell it from one that its owner has withdrawn.
            Change::Discard(_, made) => stored.attempts == *made,
            // One that was attempted, and given up after it FAILED, was not withdrawn by its
            // owner: it may have been settled.
            Change::Cancel(_) => stored.attempts == 0,
        };
    if mismatch {
        Err(ChangeError::Mismatch(Box::new(stored)))
    } else if same_result {
        Ok(ApplyResult::Before)
    } else {
        Err(ChangeError::InStatus(Box::new(stored)))
    }
}
