//! Both tables, as a move and a comparison need them.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum as Code, BatchStatementRequest,
    ReturnValuesOnConditionCheckFailure,
};

use super::super::attribute;
use super::super::due::{DuePayments, DueTable, Item};
use super::super::error::PaymentsError;
use super::super::keys::{partition_key, sort_key};
use super::super::stored_payment::StoredPayment;
use super::super::table::{Cursor, PaymentsTable, database_error};
use super::archiver::{ArchiverTables, DeleteResult};
use super::entries::DueEntryPage;
use super::error::ArchiveError;
use super::item::{ArchiveItem, NotArchivable};
use super::table::{ArchiveTable, PutResult};
use crate::config::Names;
use domain::{DueDate, PaymentRef, Status};

/// The payments table and the archive.
#[derive(Debug)]
pub struct PaymentsAndArchive {
    pub(super) payments: PaymentsTable,
    pub(super) archive: ArchiveTable,
}

impl PaymentsAndArchive {
    /// Both, under these names.
    #[must_use]
    pub fn new(client: &Client, names: &Names, due_shards: u16) -> Self {
        Self {
            payments: PaymentsTable::new(client.clone(), &names.payments_table(), due_shards),
            archive: ArchiveTable::new(client.clone(), &names.archive_table(), due_shards),
        }
    }

    /// The partitions of the index `due`: each day lies in all of them, in both tables.
    #[must_use]
    pub fn due_shards(&self) -> std::ops::Range<u16> {
        self.payments.due_shards()
    }

    /// A page of one day and one partition of the payments table's index `due`, in the order
    /// of account and payment id.
    ///
    /// # Errors
    /// [`ArchiveError::Query`] when the call fails.
    pub async fn payment_entries(
        &self,
        day: DueDate,
        shard: u16,
        cursor: Option<Cursor>,
    ) -> Result<DueEntryPage, ArchiveError> {
        self.payments.entries(day, shard, cursor).await
    }

    /// The same of the archive.
    ///
    /// # Errors
    /// [`ArchiveError::Query`] when the call fails.
    pub async fn archive_entries(
        &self,
        day: DueDate,
        shard: u16,
        cursor: Option<Cursor>,
    ) -> Result<DueEntryPage, ArchiveError> {
        self.archive.items.entries(day, shard, cursor).await
    }

    /// What the payments table holds of these, read consistently.
    ///
    /// # Errors
    /// [`ArchiveError::Payments`] when a call fails.
    pub async fn payments(&self, wanted: &[PaymentRef]) -> Result<DuePayments, ArchiveError> {
        self.payments.get_many(wanted).await.map_err(ArchiveError::Payments)
    }

    /// What the archive holds of these, read consistently.
    ///
    /// # Errors
    /// [`ArchiveError::Archive`] when a call fails.
    pub async fn archived(&self, wanted: &[PaymentRef]) -> Result<DuePayments, ArchiveError> {
        self.archive.get_many(wanted).await.map_err(ArchiveError::Archive)
    }
}

#[async_trait]
impl ArchiverTables for PaymentsAndArchive {
    async fn held(
        &self,
        wanted: &[PaymentRef],
    ) -> Result<Vec<(PaymentRef, Result<ArchiveItem, NotArchivable>)>, ArchiveError> {
        let mut items = raw(&self.payments, wanted).await.map_err(ArchiveError::Payments)?;
        let beside: Vec<_> = wanted
            .iter()
            .filter_map(|reference| {
                let stored = StoredPayment::from_item(items.get(&key_of(reference))?).ok()?;
                Some((reference.clone(), stored.payment.blob_beside()?))
            })
            .collect();
        let blobs = self.payments.read_blobs(&beside).await.map_err(ArchiveError::Payments)?;
        let mut blobs: HashMap<_, _> =
            beside.iter().map(|(reference, _)| key_of(reference)).zip(blobs).collect();
        let held = wanted.iter().filter_map(|reference| {
            let item = items.remove(&key_of(reference))?;
            Some((reference.clone(), ArchiveItem::of(item, blobs.remove(&key_of(reference)))))
        });
        Ok(held.collect())
    }

    async fn put(&self, items: &[ArchiveItem]) -> Result<Vec<PutResult>, ArchiveError> {
        self.archive.put(items).await.map_err(ArchiveError::Archive)
    }

    async fn read_back(&self, items: &[ArchiveItem]) -> Result<Vec<Option<Item>>, ArchiveError> {
        let wanted: Vec<_> = items.iter().map(ArchiveItem::reference).collect();
        let mut found = raw(&self.archive.items, &wanted).await.map_err(ArchiveError::Archive)?;
        Ok(wanted.iter().map(|reference| found.remove(&key_of(reference))).collect())
    }

    async fn delete(&self, items: &[ArchiveItem]) -> Result<Vec<DeleteResult>, ArchiveError> {
        let requests = items.iter().map(|item| delete(&self.payments.name, item)).collect();
        let answers = self.payments.execute("delete", requests).await;
        let read =
            answers.map_err(ArchiveError::Payments)?.into_iter().map(|answer| match answer {
                Ok(()) => Ok(DeleteResult::Gone),
                Err(error) if error.code == Some(Code::ConditionalCheckFailed) => {
                    Ok(if error.item.is_some() {
                        DeleteResult::Changed
                    } else {
                        DeleteResult::Gone
                    })
                }
                Err(error) => {
                    Err(ArchiveError::Payments(PaymentsError::Statement(database_error(error))))
                }
            });
        read.collect()
    }
}

/// Items by reference, read consistently, whatever they hold, by their keys.
async fn raw(
    table: &PaymentsTable,
    references: &[PaymentRef],
) -> Result<HashMap<(String, String), Item>, PaymentsError> {
    let items = table.batch_get("archive", references.iter().map(key_of).collect()).await?;
    let read = items.into_iter().map(|(key, item)| Some((key, item?)));
    read.collect::<Option<_>>().ok_or(PaymentsError::Unread(references.len()))
}

fn key_of(reference: &PaymentRef) -> (String, String) {
    (partition_key(&reference.account), sort_key(reference))
}

/// The statement that deletes a payment if it is still settled by the same transaction.
fn delete(table: &str, item: &ArchiveItem) -> BatchStatementRequest {
    let reference = item.reference();
    let keys = [partition_key(&reference.account), sort_key(&reference)];
    let [pk, sk] = keys.map(AttributeValue::S);
    let transaction = AttributeValue::S(item.transaction_id().to_owned());
    let (status, id) = (attribute::STATUS, attribute::TRANSACTION_ID);
    let processed = Status::Processed;
    let statement = format!(
        r#"DELETE FROM "{table}" WHERE "PK"=? AND "SK"=? AND "{status}"='{processed}' AND "{id}"=?"#
    );
    BatchStatementRequest::builder()
        .statement(statement)
        .set_parameters(Some(vec![pk, sk, transaction]))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .unwrap_or_else(|_| unreachable!("the statement is set"))
}
