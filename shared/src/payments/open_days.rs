//! On which days payments lie in some statuses, whatever the days: the whole index `due`, page by
//! page. What has been forgotten for so long that nobody looks at its day any more is found here
//! (INV-17).
//!
//! Costs the read units of the whole index, half a unit for 4 KB: 25,000 for a million entries of
//! about 200 bytes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use super::attribute;
use super::due::DueTable;
use super::due_query::{COUNT_PAGE, status_filter};
use super::error::PaymentsError;
use super::item::ItemAttributes;
use super::table::{Cursor, PaymentsTable};
use crate::resources::DUE_INDEX;
use crate::telemetry::calls;
use domain::{DueDate, Status};

/// What one page of the index holds.
#[derive(Debug, Default)]
pub struct OpenDaysPage {
    /// How many payments of each day are in each of the statuses that were asked for.
    pub counts: HashMap<(DueDate, Status), u64>,
    /// Entries of those statuses whose day or status cannot be read.
    pub unreadable: u64,
    /// Entries that the page looked at, whatever their status.
    pub looked_at: u64,
    /// Where the next page starts; `None` when nothing follows.
    pub next: Option<Cursor>,
}

impl PaymentsTable {
    /// One page of the whole index (4,000 entries), in no order. `statuses` must not be empty.
    ///
    /// # Errors
    /// [`PaymentsError::Scan`] when the call fails.
    pub async fn open_page(
        &self,
        statuses: &[Status],
        cursor: Option<Cursor>,
    ) -> Result<OpenDaysPage, PaymentsError> {
        let (filter, values) = status_filter(statuses);
        let mut request = self
            .client
            .scan()
            .table_name(&self.name)
            .index_name(DUE_INDEX)
            .filter_expression(filter)
            .projection_expression("#shard, #status")
            .expression_attribute_names("#shard", attribute::DUE_SHARD)
            .expression_attribute_names("#status", attribute::STATUS);
        for (name, value) in values {
            request = request.expression_attribute_values(name, value);
        }
        let output = request
            .limit(COUNT_PAGE)
            .set_exclusive_start_key(cursor.map(|cursor| cursor.0))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| PaymentsError::Scan(Box::new(calls::noted("open_days", error))))?;
        calls::read("open_days", output.consumed_capacity());
        let mut page = OpenDaysPage {
            looked_at: u64::try_from(output.scanned_count()).unwrap_or_default(),
            ..OpenDaysPage::default()
        };
        for entry in output.items() {
            let day = entry.text(attribute::DUE_SHARD).and_then(|shard| shard.split_once('#'));
            let day = day.and_then(|(day, _)| day.parse::<DueDate>().ok());
            let status = entry.text(attribute::STATUS).and_then(|status| status.parse().ok());
            match day.zip(status) {
                Some(found) => *page.counts.entry(found).or_default() += 1,
                None => page.unreadable += 1,
            }
        }
        page.next = output.last_evaluated_key.map(Cursor);
        Ok(page)
    }
}

/// The days before a day on which payments lie in a status.
#[derive(Debug)]
pub struct OldDays {
    table: Arc<dyn DueTable>,
    status: Status,
    before: DueDate,
    cursor: Option<Cursor>,
    ended: bool,
    found: BTreeSet<DueDate>,
}

impl OldDays {
    /// The days before `before` with payments in `status`. Nothing is read yet.
    #[must_use]
    pub fn new(table: Arc<dyn DueTable>, status: Status, before: DueDate) -> Self {
        Self { table, status, before, cursor: None, ended: false, found: BTreeSet::new() }
    }

    /// Reads on; the days, the oldest first, once all is read. After an error the next call goes
    /// on at the same place.
    ///
    /// # Errors
    /// [`PaymentsError`] when the call fails.
    pub async fn read_on(&mut self) -> Result<Option<BTreeSet<DueDate>>, PaymentsError> {
        if !self.ended {
            let (days, next) = self.table.days_page(self.status, self.cursor.clone()).await?;
            self.found.extend(days.into_iter().filter(|day| *day < self.before));
            self.ended = next.is_none();
            self.cursor = next;
        }
        Ok(self.ended.then(|| std::mem::take(&mut self.found)))
    }
}
