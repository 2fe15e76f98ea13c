//! The index `due` for people and programs that ask: counts, and entries from a place on.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::Select;
use tokio::task::JoinSet;

use super::attribute;
use super::cursor::CursorError;
use super::due_query::{COUNT_PAGE, DueRange};
use super::due_scan::{DueCursor, DueScan, Entry, Found, IndexReader};
use super::error::PaymentsError;
use super::item::ItemAttributes;
use super::keys::reference_from;
use super::table::{Cursor, PaymentsTable};
use crate::telemetry::calls;
use domain::{AccountId, DueDate, Status};

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
        DueScan::new(Arc::clone(self) as Arc<dyn IndexReader>, day, status, after)
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
            counting.spawn(async move { table.count_partition((day, partition), status).await });
        }
        let mut sum = 0;
        while let Some(counted) = counting.join_next().await {
            sum += counted.map_err(PaymentsError::DueTask)??;
        }
        Ok(sum)
    }

    async fn count_partition(
        &self,
        place: (DueDate, u16),
        status: Status,
    ) -> Result<u64, PaymentsError> {
        let (mut sum, mut cursor) = (0, None);
        loop {
            let (counted, next) = self.count_page(place, None, &[status], cursor).await?;
            sum += counted;
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(sum),
            }
        }
    }

    /// Counts, in one page of one partition of the index `due` (4,000 entries), the
    /// payments that were in one of `statuses` a moment ago, of all accounts or of one. `None`
    /// as the next cursor ends them.
    ///
    /// # Errors
    /// [`PaymentsError::Due`] when the call fails.
    pub async fn count_page(
        &self,
        place: (DueDate, u16),
        account: Option<&AccountId>,
        statuses: &[Status],
        cursor: Option<Cursor>,
    ) -> Result<(u64, Option<Cursor>), PaymentsError> {
        let range = account.map_or(DueRange::All, DueRange::Account);
        let output = self
            .due_query(place, range, statuses)
            .select(Select::Count)
            .limit(COUNT_PAGE)
            .set_exclusive_start_key(cursor.map(|cursor| cursor.0))
            .send()
            .await
            .map_err(|error| PaymentsError::Due(Box::new(calls::noted("count", error))))?;
        calls::read("count", output.consumed_capacity());
        let counted = u64::try_from(output.count()).unwrap_or_default();
        Ok((counted, output.last_evaluated_key.map(Cursor)))
    }
}

#[async_trait]
impl IndexReader for PaymentsTable {
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
        let range = after.as_deref().map_or(DueRange::All, DueRange::After);
        let query = self.due_query((day, partition), range, &[status]).limit(most.into());
        let output = query
            .send()
            .await
            .map_err(|error| PaymentsError::Due(Box::new(calls::noted("due", error))))?;
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
