//! The index `due` for people and programs that ask: entries from a place on, and counts.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, Select};
use tokio::task::JoinSet;

use super::attribute;
use super::cursor::CursorError;
use super::due_scan::{DueCursor, DueIndex, DueScan, Entry, Found};
use super::error::PaymentsError;
use super::item::ItemAttributes;
use super::keys::{due_shard_key, reference_from};
use super::table::PaymentsTable;
use crate::resources::DUE_INDEX;
use crate::telemetry::calls;
use domain::{DueDate, Status};

/// Entries that one call of a count looks at: a few hundred kilobytes, so that the call ends
/// well within its time limit.
pub(super) const COUNT_PAGE: i32 = 4_000;

impl PaymentsTable {
    /// The payments of `day` in `status`, from `after` on or from the beginning, in the order
    /// of account and payment id. Nothing is read yet.
    ///
    /// # Errors
    /// [`CursorError::OtherQuery`] when the cursor was made for another day or status.
    pub fn due(
        self: &Arc<Self>,
        day: DueDate,
        status: Status,
        after: Option<DueCursor>,
    ) -> Result<DueScan, CursorError> {
        DueScan::new(Arc::clone(self) as Arc<dyn DueIndex>, day, status, after)
    }

    /// How many payments of `day` were in `status` a moment ago. Costs the same read units as
    /// reading them, but no payment travels.
    ///
    /// # Errors
    /// [`PaymentsError::Due`] when a call fails.
    pub async fn count_due(
        self: &Arc<Self>,
        day: DueDate,
        status: Status,
    ) -> Result<u64, PaymentsError> {
        let mut counting = JoinSet::new();
        for partition in 0..self.due_shards {
            let table = Arc::clone(self);
            counting.spawn(async move { table.count_partition(day, partition, status).await });
        }
        let mut sum = 0;
        while let Some(counted) = counting.join_next().await {
            sum += counted.map_err(PaymentsError::DueTask)??;
        }
        Ok(sum)
    }

    async fn count_partition(
        &self,
        day: DueDate,
        partition: u16,
        status: Status,
    ) -> Result<u64, PaymentsError> {
        let (mut sum, mut start) = (0, None);
        loop {
            let query = self.due_query(day, partition, status).select(Select::Count);
            let output = query
                .key_condition_expression("#shard = :shard")
                .limit(COUNT_PAGE)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| PaymentsError::Due(Box::new(error)))?;
            calls::read("due", output.consumed_capacity());
            sum += u64::try_from(output.count()).unwrap_or_default();
            match output.last_evaluated_key {
                Some(last) => start = Some(last),
                None => return Ok(sum),
            }
        }
    }

    /// A query of one partition and status, without its condition on the keys.
    fn due_query(&self, day: DueDate, partition: u16, status: Status) -> QueryFluentBuilder {
        let text = AttributeValue::S;
        self.client
            .query()
            .table_name(&self.name)
            .index_name(DUE_INDEX)
            .filter_expression("#status = :status")
            .expression_attribute_names("#shard", attribute::DUE_SHARD)
            .expression_attribute_names("#status", attribute::STATUS)
            .expression_attribute_values(":shard", text(due_shard_key(day, partition)))
            .expression_attribute_values(":status", text(status.to_string()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }
}

#[async_trait]
impl DueIndex for PaymentsTable {
    fn partitions(&self) -> Range<u16> {
        0..self.due_shards
    }

    async fn look(
        &self,
        day: DueDate,
        partition: u16,
        status: Status,
        after: Option<String>,
        most: u16,
    ) -> Result<Found, PaymentsError> {
        let query = self.due_query(day, partition, status).limit(most.into());
        let query = match after {
            None => query.key_condition_expression("#shard = :shard"),
            Some(after) => query
                .key_condition_expression("#shard = :shard AND #key > :after")
                .expression_attribute_names("#key", attribute::DUE_KEY)
                .expression_attribute_values(":after", AttributeValue::S(after)),
        };
        let output = query.send().await.map_err(|error| PaymentsError::Due(Box::new(error)))?;
        calls::read("due", output.consumed_capacity());
        let mut found = Found::default();
        for entry in output.items() {
            match (reference_from(entry), entry.text(attribute::DUE_KEY)) {
                (Ok(reference), Some(key)) => {
                    found.entries.push(Entry { key: key.to_owned(), reference });
                }
                (Err(_), _) | (Ok(_), None) => found.unreadable += 1,
            }
        }
        let last = output.last_evaluated_key.as_ref();
        found.last = last.and_then(|key| key.text(attribute::DUE_KEY)).map(str::to_owned);
        Ok(found)
    }
}
