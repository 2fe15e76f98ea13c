//! The archive as a table: put, read, find.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum as Code, BatchStatementRequest,
    ReturnConsumedCapacity,
};

use super::super::attribute;
use super::super::due::{DuePayments, DueTable};
use super::super::error::PaymentsError;
use super::super::keys::{partition_key, reference_from};
use super::super::store::PaymentStore;
use super::super::stored_payment::StoredPayment;
use super::super::table::{Cursor, PaymentsTable, database_error};
use super::super::upcoming::UPCOMING_PAGE;
use super::error::ArchiveError;
use super::item::ArchiveItem;
use crate::resources::TRANSACTION_INDEX;
use crate::telemetry::calls;
use domain::{AccountId, DueDate, PaymentRef, Status};

/// What the services ask of the archive: was this payment settled before? [`ArchiveTable`] is
/// the real one; a simulation puts its own here.
#[async_trait]
pub trait ArchiveLookup: fmt::Debug + Send + Sync {
    /// One archived payment by reference, read consistently.
    ///
    /// # Errors
    /// [`PaymentsError`] when the call fails or the item is no payment: it is then unknown
    /// whether the payment is archived.
    async fn find(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError>;
}

/// What a put found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutResult {
    /// The key was free; the payment lies there now.
    New,
    /// Something lay there already, and does so still.
    There,
}

/// The archive. Its items have the keys, attributes and index `due` of the payments table.
#[derive(Debug)]
pub struct ArchiveTable {
    pub(super) items: PaymentsTable,
}

impl ArchiveTable {
    /// The archive `name`, whose index `due` is spread over `due_shards` partitions.
    #[must_use]
    pub fn new(client: Client, name: &str, due_shards: u16) -> Self {
        Self { items: PaymentsTable::new(client, name, due_shards) }
    }

    /// Puts payments there, each only if its key is free, 25 to a call at most. The results
    /// are in the order of `items`.
    ///
    /// # Errors
    /// [`PaymentsError`] when the call fails as a whole or a statement keeps failing; what was
    /// put until then stays.
    pub(super) async fn put(&self, items: &[ArchiveItem]) -> Result<Vec<PutResult>, PaymentsError> {
        let requests = items.iter().map(|item| insert(&self.items.name, item)).collect();
        let answers = self.items.execute("archive", requests).await?;
        let read = answers.into_iter().map(|answer| match answer {
            Ok(()) => Ok(PutResult::New),
            Err(error) if error.code == Some(Code::DuplicateItem) => Ok(PutResult::There),
            Err(error) => Err(PaymentsError::Statement(database_error(error))),
        });
        read.collect()
    }

    /// The payments that `transaction` has settled: one, unless something is very wrong.
    ///
    /// # Errors
    /// [`ArchiveError`] when the call fails.
    pub async fn by_transaction(&self, transaction: &str) -> Result<Vec<PaymentRef>, ArchiveError> {
        let table = &self.items;
        let query = table.client.query().table_name(&table.name).index_name(TRANSACTION_INDEX);
        let output = query
            .key_condition_expression("#id = :id")
            .expression_attribute_names("#id", attribute::TRANSACTION_ID)
            .expression_attribute_values(":id", AttributeValue::S(transaction.to_owned()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| ArchiveError::Query(Box::new(calls::noted("archive", error))))?;
        calls::read("archive", output.consumed_capacity());
        let found = output.items().iter().map(reference_from).collect::<Result<_, _>>();
        found.map_err(|error| ArchiveError::Archive(PaymentsError::Item(error)))
    }

    /// A page (at most 1 MB) of an account's archived payments that were due on the days from
    /// `first` to `last`, both included, oldest first; `None` as the next cursor ends them.
    ///
    /// # Errors
    /// [`ArchiveError`] when the call fails or an item is no payment.
    pub async fn account_page(
        &self,
        account: &AccountId,
        first: DueDate,
        last: DueDate,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<StoredPayment>, Option<Cursor>), ArchiveError> {
        // A day's keys go on with '#'; '$' is the character after it.
        let (from, to) = (first.to_string(), format!("{last}$"));
        let table = &self.items;
        let output = table
            .client
            .query()
            .table_name(&table.name)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .expression_attribute_names("#pk", attribute::PK)
            .expression_attribute_names("#sk", attribute::SK)
            .expression_attribute_values(":pk", AttributeValue::S(partition_key(account)))
            .expression_attribute_values(":from", AttributeValue::S(from))
            .expression_attribute_values(":to", AttributeValue::S(to))
            .limit(UPCOMING_PAGE.into())
            .set_exclusive_start_key(cursor.map(|cursor| cursor.0))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| ArchiveError::Query(Box::new(calls::noted("archive", error))))?;
        calls::read("archive", output.consumed_capacity());
        let page = output.items().iter().map(StoredPayment::from_item).collect::<Result<_, _>>();
        let page = page.map_err(|error| ArchiveError::Archive(PaymentsError::Item(error)))?;
        Ok((page, output.last_evaluated_key.map(Cursor)))
    }
}

#[async_trait]
impl ArchiveLookup for ArchiveTable {
    async fn find(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        self.items.get(reference).await
    }
}

/// The archive by due date: [`super::super::DueDay`] reads a day of it in order.
#[async_trait]
impl DueTable for ArchiveTable {
    fn due_shards(&self) -> Range<u16> {
        self.items.due_shards()
    }

    async fn due_page(
        &self,
        day: DueDate,
        shard: u16,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        self.items.due_page(day, shard, status, cursor).await
    }

    async fn days_page(
        &self,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        self.items.days_page(status, cursor).await
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        self.items.get_many(references).await
    }
}

/// The statement that writes an item if its key is free.
fn insert(table: &str, item: &ArchiveItem) -> BatchStatementRequest {
    let attributes = item.attributes();
    let names: Vec<_> = attributes.iter().map(|(name, _)| format!("'{name}':?")).collect();
    BatchStatementRequest::builder()
        .statement(format!(r#"INSERT INTO "{table}" VALUE {{{}}}"#, names.join(",")))
        .set_parameters(Some(attributes.into_iter().map(|(_, value)| value.clone()).collect()))
        .build()
        .unwrap_or_else(|_| unreachable!("the statement is set"))
}
