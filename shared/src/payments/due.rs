//! Payments by due date and status: the index `due` says which, the table says what they are.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};

use super::capacity::Units;
use super::error::PaymentsError;
use super::item::{
    Attributes, ItemError, StoredPayment, attribute, due_shard_key, partition_key, reference_from,
    sort_key,
};
use super::table::{Cursor, PaymentsTable};
use crate::domain::{DueDate, PaymentRef, Status};
use crate::resources::DUE_INDEX;
use crate::retry;
use crate::telemetry::calls;

/// Most entries of the index that one page looks at.
pub const DUE_PAGE: u16 = 1000;

/// Most items of one `BatchGetItem` (`DynamoDB` API reference).
const MAX_ITEMS: usize = 100;

/// Payments as the table holds them, or what is wrong with the item.
pub type DuePayments = Vec<(PaymentRef, Result<StoredPayment, ItemError>)>;

/// The table, by due date. Each call returns within a bound of time of its own, and may fail.
/// [`PaymentsTable`] is the real one; a simulation puts its own here. [`super::DueDay`] reads
/// a day whole.
#[async_trait]
pub trait DueTable: fmt::Debug + Send + Sync {
    /// The partitions of the index: each day lies in all of them.
    fn due_shards(&self) -> Range<u16>;

    /// Up to [`DUE_PAGE`] payments of one day and one partition of the index that were in
    /// `status` a moment ago: the index follows the table, so a payment may have moved on, or
    /// been inserted, since. In the order of account and payment id. A page may be empty
    /// though more follow; `None` as the next cursor ends them.
    ///
    /// An entry whose keys are no payment's is logged and left out, so that it holds nobody
    /// up: the item stays where it is.
    ///
    /// # Errors
    /// [`PaymentsError::Due`] when the call fails.
    async fn due_page(
        &self,
        day: DueDate,
        shard: u16,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError>;

    /// Payments by reference, read consistently, in the order of `references` (no two of
    /// which may be equal). Those that the table does not hold are left out; an item that is
    /// no payment is an error of its own, so that it does not hide the others.
    ///
    /// # Errors
    /// [`PaymentsError::ReadMany`] when a call fails, [`PaymentsError::Unread`] when the
    /// database keeps leaving items out.
    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError>;
}

type Item = HashMap<String, AttributeValue>;

#[async_trait]
impl DueTable for PaymentsTable {
    fn due_shards(&self) -> Range<u16> {
        0..self.due_shards
    }

    async fn due_page(
        &self,
        day: DueDate,
        shard: u16,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<PaymentRef>, Option<Cursor>), PaymentsError> {
        let place = cursor.as_ref().and_then(Cursor::place).map(str::to_owned);
        let (from, behind) = match &place {
            Some(_) => (None, " AND #key > :place"),
            None => (cursor.map(|cursor| cursor.0), ""),
        };
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(DUE_INDEX)
            .key_condition_expression(format!("#shard = :shard{behind}"))
            .filter_expression("#status = :status")
            .expression_attribute_names("#shard", attribute::DUE_SHARD)
            .expression_attribute_names("#status", attribute::STATUS)
            .expression_attribute_values(":shard", AttributeValue::S(due_shard_key(day, shard)))
            .expression_attribute_values(":status", AttributeValue::S(status.to_string()));
        if let Some(place) = place {
            query = query
                .expression_attribute_names("#key", attribute::DUE_KEY)
                .expression_attribute_values(":place", AttributeValue::S(place));
        }
        let output = query
            .set_exclusive_start_key(from)
            .limit(DUE_PAGE.into())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| PaymentsError::Due(Box::new(error)))?;
        calls::read("due", Units::of(output.consumed_capacity()));
        let mut page = Vec::with_capacity(output.items().len());
        for entry in output.items() {
            match reference_from(entry) {
                Ok(reference) => page.push(reference),
                Err(error) => {
                    tracing::error!(%day, shard, %error, "an entry of the index due is no payment");
                }
            }
        }
        Ok((page, output.last_evaluated_key.map(Cursor)))
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        let mut found = Vec::with_capacity(references.len());
        for chunk in references.chunks(MAX_ITEMS) {
            let items = self.batch_get(chunk).await?;
            found.extend(chunk.iter().filter_map(|reference| {
                let item = items.get(&(partition_key(&reference.account), sort_key(reference)))?;
                Some((reference.clone(), StoredPayment::from_item(item)))
            }));
        }
        Ok(found)
    }
}

impl PaymentsTable {
    /// Reads one batch, and again, with growing pauses, what the database left out.
    async fn batch_get(
        &self,
        references: &[PaymentRef],
    ) -> Result<HashMap<(String, String), Item>, PaymentsError> {
        let mut open: Vec<Item> = references.iter().map(key).collect();
        let mut items = HashMap::with_capacity(references.len());
        let mut pauses = retry::TABLE_STATEMENTS.pauses();
        loop {
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(open))
                .consistent_read(true)
                .build()
                .unwrap_or_else(|_| unreachable!("the keys are set"));
            let output = self
                .client
                .batch_get_item()
                .request_items(&self.name, keys)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| PaymentsError::ReadMany(Box::new(error)))?;
            calls::read("get", Units::of(output.consumed_capacity()));
            for item in output.responses.unwrap_or_default().into_values().flatten() {
                let key = |name| item.text(name).unwrap_or_default().to_owned();
                items.insert((key(attribute::PK), key(attribute::SK)), item);
            }
            let unread = output.unprocessed_keys.unwrap_or_default().into_values();
            open = unread.flat_map(|keys| keys.keys).collect();
            match (open.len(), pauses.next()) {
                (0, _) => return Ok(items),
                (unread, None) => return Err(PaymentsError::Unread(unread)),
                (_, Some(pause)) => tokio::time::sleep(pause).await,
            }
        }
    }
}

fn key(reference: &PaymentRef) -> Item {
    [(attribute::PK, partition_key(&reference.account)), (attribute::SK, sort_key(reference))]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
        .into()
}
