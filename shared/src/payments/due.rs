//! Payments by due date and status: the index `due` says which, the table says what they are.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};

use super::attribute;
use super::due_query::{DUE_PAGE, DueRange};
use super::error::PaymentsError;
use super::item::{ItemAttributes, ItemError};
use super::keys::{due_key, partition_key, reference_from, sort_key};
use super::stored_payment::StoredPayment;
use super::table::{Cursor, PaymentsTable};
use crate::retry;
use crate::telemetry::calls;
use domain::{DueDate, PaymentRef, Status};

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

    /// The days of one page of the whole index on which payments were in `status` a moment ago,
    /// whatever the days. `None` as the next cursor ends them. Costs the read units of everything
    /// in the index: for slow passes ([`super::OldDays`]).
    ///
    /// # Errors
    /// [`PaymentsError::Scan`] when the call fails.
    async fn days_page(
        &self,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError>;

    /// Payments by reference, read consistently, in the order of `references` (no two of
    /// which may be equal). Those that the table does not hold are left out; an item that is
    /// no payment is an error of its own, so that it does not hide the others.
    ///
    /// # Errors
    /// [`PaymentsError::ReadMany`] when a call fails, [`PaymentsError::Unread`] when the
    /// database keeps leaving items out.
    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError>;
}

/// An item, with whatever attributes it has.
pub(super) type Item = HashMap<String, AttributeValue>;

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
        let (from, range) = match &place {
            Some(place) => (None, DueRange::After(place)),
            None => (cursor.map(|cursor| cursor.0), DueRange::All),
        };
        let output = self
            .due_query((day, shard), range, &[status])
            .set_exclusive_start_key(from)
            .limit(DUE_PAGE.into())
            .send()
            .await
            .map_err(|error| PaymentsError::Due(Box::new(calls::noted("due", error))))?;
        calls::read("due", output.consumed_capacity());
        let mut page = Vec::with_capacity(output.items().len());
        for entry in output.items() {
            match reference_from(entry) {
                // Its place in the order is another payment's: whoever reads on behind it would
                // pass over others. It is not queued anyway (INV-18), and the audit finds it.
                Ok(reference)
                    if status == Status::Scheduled
                        && entry.text(attribute::DUE_KEY) != Some(&due_key(&reference)) =>
                {
                    tracing::error!(%day, shard, payment_id = %reference.id, "an entry of the index due has another payment's key: dueflow payments audit");
                }
                Ok(reference) => page.push(reference),
                Err(error) => {
                    tracing::error!(%day, shard, %error, "an entry of the index due is no payment");
                }
            }
        }
        Ok((page, output.last_evaluated_key.map(Cursor)))
    }

    async fn days_page(
        &self,
        status: Status,
        cursor: Option<Cursor>,
    ) -> Result<(BTreeSet<DueDate>, Option<Cursor>), PaymentsError> {
        let page = self.open_page(&[status], cursor).await?;
        if page.unreadable > 0 {
            tracing::error!(entries = page.unreadable, "entries of the index due have no day");
        }
        Ok((page.counts.into_keys().map(|(day, _)| day).collect(), page.next))
    }

    async fn get_many(&self, references: &[PaymentRef]) -> Result<DuePayments, PaymentsError> {
        let key = |reference: &PaymentRef| (partition_key(&reference.account), sort_key(reference));
        let items = self.batch_get("get", references.iter().map(key).collect()).await?;
        let unread = items.values().filter(|item| item.is_none()).count();
        if unread > 0 {
            return Err(PaymentsError::Unread(unread));
        }
        let found = references.iter().filter_map(|reference| {
            let item = items.get(&key(reference))?.as_ref()?;
            Some((reference.clone(), StoredPayment::from_item(item)))
        });
        Ok(found.collect())
    }
}

impl PaymentsTable {
    /// Reads items by partition key and sort key, none of them twice, 100 to a call, and
    /// again, with growing pauses, what the database left out. Those that it kept leaving out
    /// are `None`; those that the table does not hold are not there.
    pub(super) async fn batch_get(
        &self,
        operation: &'static str,
        keys: Vec<(String, String)>,
    ) -> Result<HashMap<(String, String), Option<Item>>, PaymentsError> {
        let mut items = HashMap::with_capacity(keys.len());
        for chunk in keys.chunks(MAX_ITEMS) {
            let mut open: Vec<Item> = chunk.iter().map(key_attributes).collect();
            let mut pauses = retry::TABLE_STATEMENTS.pauses();
            loop {
                open = self.batch_get_once(operation, open, &mut items).await?;
                if open.is_empty() {
                    break;
                }
                let Some(pause) = pauses.next() else {
                    items.extend(open.iter().map(|key| (key_of(key), None)));
                    break;
                };
                tokio::time::sleep(pause).await;
            }
        }
        Ok(items)
    }

    /// Reads once, and returns the keys that were left out.
    async fn batch_get_once(
        &self,
        operation: &'static str,
        open: Vec<Item>,
        items: &mut HashMap<(String, String), Option<Item>>,
    ) -> Result<Vec<Item>, PaymentsError> {
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
            .map_err(|error| PaymentsError::ReadMany(Box::new(calls::noted(operation, error))))?;
        calls::read(operation, output.consumed_capacity());
        // An item that is not there is left out of its table's list, but a list there is.
        let Some(responses) = output.responses else { return Err(PaymentsError::NoItems) };
        let read = responses.into_values().flatten();
        items.extend(read.map(|item| (key_of(&item), Some(item))));
        let unread = output.unprocessed_keys.unwrap_or_default().into_values();
        let unread: Vec<_> = unread.flat_map(|keys| keys.keys).collect();
        if !unread.is_empty() {
            calls::throttled(operation, unread.len());
        }
        Ok(unread)
    }
}

fn key_of(item: &Item) -> (String, String) {
    let key = |name| item.text(name).unwrap_or_default().to_owned();
    (key(attribute::PK), key(attribute::SK))
}

fn key_attributes((partition, sort): &(String, String)) -> Item {
    [(attribute::PK, partition), (attribute::SK, sort)]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.clone())))
        .into()
}
