//! The blobs of claimed payments that lie in items of their own: all of one receive are read
//! in one call.

use domain::{Failure, FailureCode};
use shared::payments::{BlobError, PaymentStore};

use crate::events;
use crate::job::{Blob, Claimed};

/// Whether all payments of a group can be submitted as their messages have them.
pub(crate) fn is_complete(group: &[Claimed]) -> bool {
    group.iter().all(|claimed| claimed.job.blob == Blob::InMessage)
}

/// Reads what the groups still lack. What could not be read stays [`Blob::Unread`].
pub(crate) async fn read(store: &dyn PaymentStore, groups: &mut [Vec<Claimed>]) {
    let jobs = groups.iter_mut().flatten().map(|claimed| &mut claimed.job);
    let (wanted, jobs): (Vec<_>, Vec<_>) = jobs
        .filter_map(|job| {
            let digest = job.payment.blob_beside()?;
            Some(((job.payment.reference(), digest), job))
        })
        .unzip();
    if wanted.is_empty() {
        return;
    }
    match store.blobs(&wanted).await {
        Ok(found) => {
            for (job, found) in jobs.into_iter().zip(found) {
                job.blob = usable(found);
                events::blob(&job.payment, &job.blob);
            }
        }
        Err(error) => events::error("blobs", &error),
    }
}

fn usable(found: Result<domain::DataBlob, BlobError>) -> Blob {
    match found {
        Ok(blob) => Blob::Read(blob),
        Err(BlobError::Unread) => Blob::Unread,
        Err(error @ BlobError::Missing) => {
            Blob::Unusable(Failure::new(FailureCode::Missing, error.to_string()))
        }
        Err(error @ BlobError::Differs) => {
            Blob::Unusable(Failure::new(FailureCode::Mismatch, error.to_string()))
        }
    }
}
