//! All payments of a day, whatever their status, from the index `due` of either table.

use super::super::attribute;
use super::super::due_query::{DUE_PAGE, DueRange};
use super::super::item::ItemAttributes;
use super::super::keys::reference_from;
use super::super::table::{Cursor, PaymentsTable};
use super::error::ArchiveError;
use crate::telemetry::calls;
use domain::{DueDate, PaymentRef, Status};

/// A payment as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueEntry {
    /// Which one.
    pub reference: PaymentRef,
    /// Where it stood a moment ago: the index follows the table.
    pub status: Status,
}

/// A page of the index.
#[derive(Debug)]
pub struct DueEntryPage {
    /// In the order of account and payment id.
    pub entries: Vec<DueEntry>,
    /// Entries that are no payment's, with what is wrong.
    pub unreadable: Vec<String>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<Cursor>,
}

impl PaymentsTable {
    /// Up to [`DUE_PAGE`] entries of one day and one partition.
    ///
    /// # Errors
    /// [`ArchiveError::Query`] when the call fails.
    pub(super) async fn entries(
        &self,
        day: DueDate,
        shard: u16,
        cursor: Option<Cursor>,
    ) -> Result<DueEntryPage, ArchiveError> {
        let output = self
            .due_query((day, shard), DueRange::All, &[])
            .set_exclusive_start_key(cursor.map(|cursor| cursor.0))
            .limit(DUE_PAGE.into())
            .send()
            .await
            .map_err(|error| ArchiveError::Query(Box::new(calls::noted("due", error))))?;
        calls::read("due", output.consumed_capacity());
        let mut page = DueEntryPage { entries: Vec::new(), unreadable: Vec::new(), next: None };
        for item in output.items() {
            match entry(item) {
                Ok(entry) => page.entries.push(entry),
                Err(reason) => page.unreadable.push(reason),
            }
        }
        page.next = output.last_evaluated_key.map(Cursor);
        Ok(page)
    }
}

fn entry(item: &impl ItemAttributes) -> Result<DueEntry, String> {
    let reference = reference_from(item).map_err(|error| error.to_string())?;
    let status = item.text(attribute::STATUS).unwrap_or_default().parse();
    let status = status.map_err(|error| format!("{reference}: {error}"))?;
    Ok(DueEntry { reference, status })
}
