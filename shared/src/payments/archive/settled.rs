//! Everything that was settled, from either table whole.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use super::super::attribute;
use super::super::item::ItemAttributes;
use super::super::keys::reference_from;
use super::super::table::{Cursor, PaymentsTable};
use super::error::ArchiveError;
use super::tables::PaymentsAndArchive;
use crate::telemetry::calls;
use domain::PaymentRef;

/// A payment that has a transaction id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledPayment {
    /// Which one; `None` for an item whose key is no payment's.
    pub reference: Option<PaymentRef>,
    /// The transaction service's id.
    pub transaction_id: String,
}

/// A page of a table.
#[derive(Debug)]
pub struct SettledPage {
    /// In no order.
    pub settled: Vec<SettledPayment>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<Cursor>,
}

impl PaymentsTable {
    async fn settled(&self, cursor: Option<Cursor>) -> Result<SettledPage, ArchiveError> {
        let output = self
            .client
            .scan()
            .table_name(&self.name)
            .consistent_read(true)
            .filter_expression("attribute_exists(#transaction)")
            .projection_expression("#partition, #sort, #transaction")
            .expression_attribute_names("#partition", attribute::PK)
            .expression_attribute_names("#sort", attribute::SK)
            .expression_attribute_names("#transaction", attribute::TRANSACTION_ID)
            .set_exclusive_start_key(cursor.map(|cursor| cursor.0))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| ArchiveError::Scan(Box::new(calls::noted("scan", error))))?;
        calls::read("scan", output.consumed_capacity());
        let settled = output.items().iter().filter_map(|item| {
            let transaction_id = item.text(attribute::TRANSACTION_ID)?.to_owned();
            Some(SettledPayment { reference: reference_from(item).ok(), transaction_id })
        });
        let settled = settled.collect();
        Ok(SettledPage { settled, next: output.last_evaluated_key.map(Cursor) })
    }
}

impl PaymentsAndArchive {
    /// A page of the payments table, of those that have a transaction id.
    ///
    /// # Errors
    /// [`ArchiveError::Scan`] when the call fails.
    pub async fn settled_payments(
        &self,
        cursor: Option<Cursor>,
    ) -> Result<SettledPage, ArchiveError> {
        self.payments.settled(cursor).await
    }

    /// The same of the archive.
    ///
    /// # Errors
    /// [`ArchiveError::Scan`] when the call fails.
    pub async fn settled_archived(
        &self,
        cursor: Option<Cursor>,
    ) -> Result<SettledPage, ArchiveError> {
        self.archive.items.settled(cursor).await
    }
}
