//! How many payments of a day are in each status: one pass over the day in the index `due`.
//!
//! Costs what reading the day costs, half a read unit for 4 KB and half a unit at least for each
//! partition; of each entry only the status travels.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;

use super::attribute;
use super::due_query::{COUNT_PAGE, DueRange};
use super::error::PaymentsError;
use super::item::ItemAttributes;
use super::table::{Cursor, PaymentsTable};
use crate::telemetry::calls;
use domain::{DueDate, StatusCounts};

/// The index `due`, for counts. [`PaymentsTable`] is the real one.
#[async_trait]
pub trait StatusCounter: fmt::Debug + Send + Sync {
    /// The partitions of the index: each day lies in all of them.
    fn partitions(&self) -> Range<u16>;

    /// How many payments of one page (4,000 entries) of a day and partition were in each status a
    /// moment ago. `None` as the next cursor ends them. An entry without a status is left out.
    ///
    /// # Errors
    /// [`PaymentsError::Due`] when the call fails.
    async fn count_statuses(
        &self,
        place: (DueDate, u16),
        cursor: Option<Cursor>,
    ) -> Result<(StatusCounts, Option<Cursor>), PaymentsError>;
}

#[async_trait]
impl StatusCounter for PaymentsTable {
    fn partitions(&self) -> Range<u16> {
        0..self.due_shards
    }

    async fn count_statuses(
        &self,
        place: (DueDate, u16),
        cursor: Option<Cursor>,
    ) -> Result<(StatusCounts, Option<Cursor>), PaymentsError> {
        let output = self
            .due_query(place, DueRange::All, &[])
            .projection_expression("#status")
            .expression_attribute_names("#status", attribute::STATUS)
            .limit(COUNT_PAGE)
            .set_exclusive_start_key(cursor.map(|cursor| cursor.0))
            .send()
            .await
            .map_err(|error| PaymentsError::Due(Box::new(calls::noted("count", error))))?;
        calls::read("count", output.consumed_capacity());
        let mut counts = StatusCounts::default();
        for entry in output.items() {
            let status = entry.text(attribute::STATUS).and_then(|status| status.parse().ok());
            if let Some(status) = status {
                counts.add(status, 1);
            }
        }
        Ok((counts, output.last_evaluated_key.map(Cursor)))
    }
}
