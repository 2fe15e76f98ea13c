//! The keys of items, in the table and in the index `due`, and the payment that they stand for.

use super::attribute;
use super::item::{ItemAttributes, ItemError, parsed, text};
use domain::{AccountId, DueDate, PaymentRef};

/// Partition key of an account's payments.
pub(super) fn partition_key(account: &AccountId) -> String {
    format!("ACCOUNT#{account}")
}

/// What the partition keys of blobs' own items begin with.
const BLOB_PREFIX: &str = "BLOB#";

/// Partition key of an account's blobs: another one than its payments have, so that reading
/// these never reads blobs (ADR-12).
pub(super) fn blob_partition_key(account: &AccountId) -> String {
    format!("{BLOB_PREFIX}{account}")
}

/// Whether an item of the table is a blob's own, and so no payment.
#[must_use]
pub fn is_blob(item: &impl ItemAttributes) -> bool {
    item.text(attribute::PK).is_some_and(|key| key.starts_with(BLOB_PREFIX))
}

/// Sort key of one payment, and of its blob's own item.
pub(super) fn sort_key(reference: &PaymentRef) -> String {
    format!("{}#{}", reference.due, reference.id)
}

/// Partition key of the index `due`.
pub(super) fn due_shard_key(due: DueDate, shard: u16) -> String {
    format!("{due}#{shard:02}")
}

/// Sort key of the index `due`.
pub(super) fn due_key(reference: &PaymentRef) -> String {
    format!("{}#{}", reference.account, reference.id)
}

/// The reference that the keys of an item (or of an entry of the index) stand for, whatever its
/// other attributes say.
///
/// # Errors
/// [`ItemError`] when a key is missing or of another form.
pub fn reference_from(item: &impl ItemAttributes) -> Result<PaymentRef, ItemError> {
    let partition = text(item, attribute::PK)?;
    let account = partition.strip_prefix("ACCOUNT#").unwrap_or_default();
    let (due, id) = text(item, attribute::SK)?.split_once('#').unwrap_or_default();
    Ok(PaymentRef {
        account: parsed(attribute::PK, AccountId::parse(account))?,
        due: parsed(attribute::SK, due.parse())?,
        id: parsed(attribute::SK, id.parse())?,
    })
}
