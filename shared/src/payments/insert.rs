//! New payments: the blobs that lie in items of their own first, then the payments. A writer
//! that dies in between leaves a blob without a payment: inserting again finishes, and what
//! nobody inserts again goes by its time to live.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::BatchStatementErrorCodeEnum as Code;

use super::due::DueTable;
use super::error::{BlobError, PaymentsError};
use super::new_item::check_size;
use super::store::PaymentStore;
use super::table::{MAX_STATEMENTS, PaymentsTable, database_error};
use domain::{Data, Payment, Status};

/// What became of one insert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsertResult {
    /// It is scheduled now.
    New,
    /// The same instruction was there already, in this status.
    AlreadyThere(Status),
    /// Another instruction, or another blob, lies under this id; no payment was written.
    Conflict,
}

impl PaymentsTable {
    /// Inserts payments, 25 to a call, each only if its key is free. The results are in the
    /// order of `payments`. Those with a large blob take a call more for each 25.
    ///
    /// # Errors
    /// [`PaymentsError::TooLarge`] and [`PaymentsError::BlobNotAtHand`] before anything is
    /// written. Others when a call fails as a whole or a statement keeps failing; what was
    /// inserted until then is inserted, and repeating the call is safe.
    pub async fn insert(&self, payments: &[Payment]) -> Result<Vec<InsertResult>, PaymentsError> {
        for payment in payments {
            check_size(payment)?;
            if payment.blob_beside().is_some() {
                return Err(PaymentsError::BlobNotAtHand(payment.reference()));
            }
        }
        let mut results = Vec::with_capacity(payments.len());
        for chunk in payments.chunks(MAX_STATEMENTS) {
            let blobs = self.insert_blobs(chunk).await?;
            self.insert_chunk(chunk, &blobs, &mut results).await?;
        }
        Ok(results)
    }

    /// Writes the blobs of `chunk` that lie in items of their own, and says for each payment
    /// whether its blob lies where it should.
    async fn insert_blobs(&self, chunk: &[Payment]) -> Result<Vec<BlobPlace>, PaymentsError> {
        let mut blobs = vec![BlobPlace::InPlace; chunk.len()];
        let requests = chunk
            .iter()
            .enumerate()
            .filter_map(|(index, payment)| Some((index, self.statements.insert_blob(payment)?)));
        let (indices, requests): (Vec<_>, Vec<_>) = requests.unzip();
        if requests.is_empty() {
            return Ok(blobs);
        }
        let mut there = Vec::new();
        for (index, answer) in indices.into_iter().zip(self.execute("blob", requests).await?) {
            match answer {
                Ok(()) => {}
                Err(error) if error.code == Some(Code::DuplicateItem) => there.push(index),
                Err(error) => return Err(PaymentsError::Statement(database_error(error))),
            }
        }
        if there.is_empty() {
            return Ok(blobs);
        }
        // By an insert that died, by the same insert once more, or by somebody else's.
        let wanted = there.iter().filter_map(|&index| {
            let digest = chunk[index].data.as_ref().map(Data::digest)?;
            Some((chunk[index].reference(), digest))
        });
        let wanted: Vec<_> = wanted.collect();
        for (index, found) in there.into_iter().zip(self.blobs(&wanted).await?) {
            blobs[index] = match found {
                Ok(_) => BlobPlace::InPlace,
                Err(BlobError::Missing | BlobError::Differs) => BlobPlace::Another,
                Err(BlobError::Unread) => return Err(PaymentsError::Unread(1)),
            };
        }
        Ok(blobs)
    }

    async fn insert_chunk(
        &self,
        chunk: &[Payment],
        blobs: &[BlobPlace],
        results: &mut Vec<InsertResult>,
    ) -> Result<(), PaymentsError> {
        let open = chunk.iter().zip(blobs).filter(|(_, blob)| **blob == BlobPlace::InPlace);
        let requests: Vec<_> =
            open.map(|(payment, _)| self.statements.insert(payment, self.due_shards)).collect();
        let answers = match requests.is_empty() {
            true => Vec::new(),
            false => self.execute("insert", requests).await?,
        };
        let mut answers = answers.into_iter();
        for (payment, blob) in chunk.iter().zip(blobs) {
            let answer = if *blob == BlobPlace::InPlace { answers.next() } else { None };
            results.push(match answer {
                None => InsertResult::Conflict,
                Some(Ok(())) => InsertResult::New,
                Some(Err(error)) if error.code == Some(Code::DuplicateItem) => {
                    self.compare(payment).await?
                }
                Some(Err(error)) => return Err(PaymentsError::Statement(database_error(error))),
            });
        }
        Ok(())
    }

    /// What [`PaymentsTable::insert`] would say of each payment now, read in calls of 100 and
    /// written nowhere. Another writer may be there before the insert, and a blob that lies in
    /// the place of another one shows only then.
    ///
    /// # Errors
    /// [`PaymentsError`] when a call fails or the database keeps leaving items out.
    pub async fn look_up(&self, payments: &[Payment]) -> Result<Vec<InsertResult>, PaymentsError> {
        let mut references: Vec<_> = payments.iter().map(Payment::reference).collect();
        let mut named = HashSet::with_capacity(references.len());
        references.retain(|reference| named.insert(reference.clone()));
        let found: HashMap<_, _> = self.get_many(&references).await?.into_iter().collect();
        let judge = |payment: &Payment| match found.get(&payment.reference()) {
            None => InsertResult::New,
            Some(Ok(stored)) if stored.payment.same_instruction(payment) => {
                InsertResult::AlreadyThere(stored.status)
            }
            // Also what is no payment: it takes the key.
            Some(Ok(_) | Err(_)) => InsertResult::Conflict,
        };
        Ok(payments.iter().map(judge).collect())
    }

    async fn compare(&self, payment: &Payment) -> Result<InsertResult, PaymentsError> {
        let stored = self.get(&payment.reference()).await?;
        Ok(match stored {
            Some(stored) if stored.payment.same_instruction(payment) => {
                InsertResult::AlreadyThere(stored.status)
            }
            Some(_) | None => InsertResult::Conflict,
        })
    }
}

/// What lies in the place of a payment's blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlobPlace {
    /// Its own, or it needs none.
    InPlace,
    /// Another one.
    Another,
}
