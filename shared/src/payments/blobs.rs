//! Blobs that lie in items of their own: read in batches, and compared with their digests.

use std::collections::HashMap;

use super::error::PaymentsError;
use super::item::{Attributes, attribute, blob_partition_key, sort_key};
use super::table::PaymentsTable;
use domain::{BlobDigest, DataBlob, PaymentRef};

/// Why a blob is not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// There is no such item, or no blob in it.
    #[error("the table holds no blob of the payment")]
    Missing,
    /// There is another blob.
    #[error("the blob of the payment is not the one whose digest the payment has")]
    Differs,
    /// The database kept leaving it out; it may be read later.
    #[error("the blob of the payment was not read, after all retries")]
    Unread,
}

impl PaymentsTable {
    /// What [`super::PaymentStore::blobs`] asks for.
    pub(super) async fn read_blobs(
        &self,
        wanted: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        let mut keys: Vec<_> = wanted.iter().map(|(reference, _)| key(reference)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut blobs = HashMap::with_capacity(keys.len());
        for (key, item) in self.batch_get("blobs", keys).await? {
            let blob = item.map(|item| {
                let text = item.text(attribute::DATA);
                text.and_then(|text| DataBlob::new(text).ok()).ok_or(BlobError::Missing)
            });
            blobs.insert(key, blob.unwrap_or(Err(BlobError::Unread)));
        }
        let found = |(reference, digest): &(PaymentRef, BlobDigest)| {
            let blob = blobs.get(&key(reference)).cloned().unwrap_or(Err(BlobError::Missing))?;
            if BlobDigest::of(&blob) == *digest { Ok(blob) } else { Err(BlobError::Differs) }
        };
        Ok(wanted.iter().map(found).collect())
    }
}

/// Partition key and sort key of the item.
fn key(reference: &PaymentRef) -> (String, String) {
    (blob_partition_key(&reference.account), sort_key(reference))
}
