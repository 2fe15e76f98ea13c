//! Put, verify, delete: how payments move, a few at a time.

use std::fmt;

use async_trait::async_trait;

use super::super::due::Item;
use super::error::ArchiveError;
use super::item::{ArchiveItem, ItemComparison, NotArchivable};
use super::table::PutResult;
use domain::PaymentRef;

/// What a move asks of the two tables. Each call may fail, before or after it had its effect.
/// [`PaymentsAndArchive`](super::PaymentsAndArchive) are the real ones; a test puts its own here.
#[async_trait]
pub trait ArchiverTables: fmt::Debug + Send + Sync {
    /// The payments, read consistently and whole, that the payments table holds of `wanted`
    /// (no two of which may be equal); those that it does not hold are left out.
    ///
    /// # Errors
    /// [`ArchiveError`] when a call fails.
    async fn held(
        &self,
        wanted: &[PaymentRef],
    ) -> Result<Vec<(PaymentRef, Result<ArchiveItem, NotArchivable>)>, ArchiveError>;

    /// Puts payments into the archive, each only if its key is free, in the order given.
    ///
    /// # Errors
    /// [`ArchiveError`] when a call fails; some of them may have been put.
    async fn put(&self, items: &[ArchiveItem]) -> Result<Vec<PutResult>, ArchiveError>;

    /// What the archive holds under their keys, read consistently, in the order given.
    ///
    /// # Errors
    /// [`ArchiveError`] when a call fails.
    async fn read_back(&self, items: &[ArchiveItem]) -> Result<Vec<Option<Item>>, ArchiveError>;

    /// Deletes payments from the payments table, each only if it is still settled by the same
    /// transaction, in the order given.
    ///
    /// # Errors
    /// [`ArchiveError`] when a call fails; some of them may have been deleted.
    async fn delete(&self, items: &[ArchiveItem]) -> Result<Vec<DeleteResult>, ArchiveError>;
}

/// What a delete found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteResult {
    /// The payment is not there any more, by this call or one before.
    Gone,
    /// Something else lies under the key by now; it stays.
    Changed,
}

/// Why a payment that was to be moved is still in the payments table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotArchived {
    /// It is none to be archived.
    #[error(transparent)]
    NotArchivable(#[from] NotArchivable),
    /// The archive holds something else under its key. Nothing was overwritten or deleted.
    #[error("CONFLICT: the archive holds another payment, or another transaction, under its key")]
    Conflict,
    /// It was put and is not there.
    #[error("it was put into the archive and cannot be read back")]
    Unverified,
    /// It changed between the look at it and the delete. The archive holds what was put.
    #[error("it changed while it was moved; the archive holds it as it was before")]
    Changed,
}

/// What became of some payments.
#[derive(Debug, Default)]
pub struct ArchiveResult {
    /// Put by this call, verified, and gone from the payments table.
    pub archived: u64,
    /// In the archive already, put by a run that died or by another that goes on; verified,
    /// and gone from the payments table.
    pub finished: u64,
    /// Inserted anew after they had been archived, and found settled by the same transaction;
    /// gone from the payments table.
    pub repeated: u64,
    /// What stayed, and why.
    pub stayed: Vec<(PaymentRef, NotArchived)>,
}

/// A payment on its way.
struct VerifiedPayment {
    item: ArchiveItem,
    put: PutResult,
    likeness: ItemComparison,
}

/// Moves those of `wanted` (25 at most: one request of each kind) that are settled. A payment
/// is deleted only after it was read back from the archive, every attribute as it was.
///
/// # Errors
/// [`ArchiveError`] when a call fails: each payment is then in at least one table, and doing
/// it again finishes what was begun.
pub async fn archive_payments(
    tables: &dyn ArchiverTables,
    wanted: &[PaymentRef],
) -> Result<ArchiveResult, ArchiveError> {
    let mut moved = ArchiveResult::default();
    let mut items = Vec::with_capacity(wanted.len());
    for (reference, held) in tables.held(wanted).await? {
        match held {
            Ok(item) => items.push(item),
            Err(why) => moved.stayed.push((reference, why.into())),
        }
    }
    if items.is_empty() {
        return Ok(moved);
    }
    let puts = tables.put(&items).await?;
    let found = tables.read_back(&items).await?;
    let mut verified = Vec::with_capacity(items.len());
    for ((item, put), found) in items.into_iter().zip(puts).zip(found) {
        match (found.map(|found| item.likeness(&found)), put) {
            (Some(likeness @ (ItemComparison::Same | ItemComparison::Repeated)), put) => {
                verified.push(VerifiedPayment { item, put, likeness });
            }
            (Some(ItemComparison::Other), _) => {
                moved.stayed.push((item.reference(), NotArchived::Conflict));
            }
            (None, _) => moved.stayed.push((item.reference(), NotArchived::Unverified)),
        }
    }
    if verified.is_empty() {
        return Ok(moved);
    }
    let settled: Vec<_> = verified.iter().map(|moving| moving.item.clone()).collect();
    for (moving, deleted) in verified.into_iter().zip(tables.delete(&settled).await?) {
        match (deleted, moving.likeness, moving.put) {
            (DeleteResult::Changed, _, _) => {
                moved.stayed.push((moving.item.reference(), NotArchived::Changed));
            }
            (DeleteResult::Gone, ItemComparison::Same, PutResult::New) => moved.archived += 1,
            (DeleteResult::Gone, ItemComparison::Same, PutResult::There) => moved.finished += 1,
            (DeleteResult::Gone, ItemComparison::Repeated | ItemComparison::Other, _) => {
                moved.repeated += 1
            }
        }
    }
    Ok(moved)
}

#[cfg(test)]
#[path = "archiver_tests.rs"]
mod tests;
