//! Blobs that lie in items of their own: read in batches, and compared with their digests.

use std::collections::HashMap;

use super::attribute;
use super::error::{BlobError, PaymentsError};
use super::item::ItemAttributes;
use super::keys::{blob_partition_key, sort_key};
use super::table::PaymentsTable;
use domain::{BlobDigest, DataBlob, PaymentRef};

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
