//! The blobs of claimed payments that lie in items of their own: all of one receive are read
//! in one call.

use domain::{DataBlob, Failure, FailureCode, Payment};
use shared::payments::{BlobError, PaymentStore};

use crate::events;
use crate::job::{ClaimedPayment, PaymentBlob};

/// Whether all payments of a group can be submitted as their messages have them.
pub(crate) fn is_complete(group: &[ClaimedPayment]) -> bool {
    group.iter().all(|claimed| claimed.job.blob == PaymentBlob::InMessage)
}

/// Reads what the groups still lack. What could not be read stays [`PaymentBlob::Unread`].
pub(crate) async fn read(store: &dyn PaymentStore, groups: &mut [Vec<ClaimedPayment>]) {
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
                job.blob = usable(&job.payment, found);
            }
        }
        Err(error) => events::error("blobs", &error),
    }
}

fn usable(payment: &Payment, read: Result<DataBlob, BlobError>) -> PaymentBlob {
    let (code, error) = match read {
        Ok(blob) => {
            events::blob_read();
            return PaymentBlob::Read(blob);
        }
        Err(BlobError::Unread) => {
            events::blob_unread(payment);
            return PaymentBlob::Unread;
        }
        Err(error @ BlobError::Missing) => (FailureCode::Missing, error),
        Err(error @ BlobError::Differs) => (FailureCode::Mismatch, error),
    };
    let failure = Failure::new(code, error.to_string());
    events::blob_unusable(payment, &failure);
    PaymentBlob::Unusable(failure)
}
