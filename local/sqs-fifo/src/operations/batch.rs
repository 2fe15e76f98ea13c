//! What all batches share: checks of their entries, and entries that failed.

use std::collections::HashSet;

use rustack_sqs_model::types::BatchResultErrorEntry;

use crate::engine::{BATCH, SqsError};

/// Checks number and ids of a batch's entries.
pub(super) fn check<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), SqsError> {
    match ids.len() {
        0 => return Err(SqsError::EmptyBatchRequest),
        count if count > BATCH => return Err(SqsError::TooManyEntriesInBatchRequest(count)),
        _ => {}
    }
    let mut seen = HashSet::new();
    for id in ids {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !(1..=80).contains(&id.len()) || !id.bytes().all(allowed) {
            return Err(SqsError::InvalidBatchEntryId);
        }
        if !seen.insert(id) {
            return Err(SqsError::BatchEntryIdsNotDistinct(id.to_owned()));
        }
    }
    Ok(())
}

/// An entry that failed by itself.
pub(super) fn failed(id: String, error: &SqsError) -> BatchResultErrorEntry {
    BatchResultErrorEntry {
        id,
        sender_fault: true,
        code: error.code().to_owned(),
        message: Some(error.to_string()),
    }
}
