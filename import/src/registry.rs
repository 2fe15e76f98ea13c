//! The batches that were imported, in the table `<prefix>-imports`: whose rows these are.
//!
//! Two kinds of items. `rows#<hash>` names the batches that have brought these rows; the first is
//! entered under a condition, so of two names at the same moment one wins. `batch#<name>` says how
//! far the batch is. Both are written before the first payment, the end after the last: an import
//! that dies in between goes on under its name.

use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use domain::PaymentId;
use jiff::Timestamp;
use shared::payments::ItemAttributes;
use shared::resources::imports;

use super::progress::Counts;

const BATCH: &str = "Batch";
const BATCHES: &str = "Batches";
const CONTENT: &str = "ContentHash";
const ROWS: &str = "Rows";
const STATE: &str = "State";
const STARTED_AT: &str = "StartedAt";
const IMPORT: &str = "Import";
const ENDED_AT: &str = "EndedAt";
const STARTED: &str = "started";
const ENDED: &str = "ended";

/// Whether rows that another batch has brought are taken once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Refused,
    /// As payments of their own.
    Taken,
}

/// A batch and the rows that it brings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) batch: &'a str,
    pub(crate) content: &'a str,
    pub(crate) rows: u64,
}

/// A batch as the table of imports has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entered {
    /// Of the first import under this name: what another table knows is of another import.
    pub(crate) import: String,
    pub(crate) before: Before,
}

/// What was found when a batch was entered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Its rows are its own.
    New,
    /// It was entered before and did not come to its end.
    Unfinished { since: String },
    /// It was entered before and came to its end.
    Finished,
}

/// Why a batch is not entered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    /// Another batch has brought the same rows.
    #[error("{0}")]
    Brought(Brought),
    /// The table.
    #[error("the table {table} of imports (`dueflow setup` makes it): {reason}")]
    Table {
        /// Its name.
        table: String,
        /// What DynamoDB said.
        reason: String,
    },
}

/// The same rows under another name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Brought {
    pub(crate) batch: String,
    pub(crate) since: String,
    pub(crate) ended: bool,
    pub(crate) rows: u64,
}

impl fmt::Display for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, since, ended, rows } = self;
        let state = if *ended { "" } else { " and did not come to its end" };
        write!(
            f,
            "the batch {batch:?}, imported at {since}{state}, has the same {rows} rows: under another \
             name they would be paid once more, so nothing was written. To go on with it, give \
             --batch {batch}; if they are other payments that only look the same, give --again"
        )
    }
}

/// The table of imports.
#[derive(Debug)]
pub(crate) struct Registry {
    client: Client,
    table: String,
}

impl Registry {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Enters a batch before its first payment. Rows that are none, or all have ids of their own,
    /// belong to nobody.
    pub(crate) async fn enter(
        &self,
        entry: Entry<'_>,
        again: Again,
        now: Timestamp,
    ) -> Result<Entered, RegistryError> {
        if entry.rows > 0 {
            self.take_rows(entry, again, now).await?;
        }
        self.start(entry, now).await
    }

    async fn take_rows(
        &self,
        entry: Entry<'_>,
        again: Again,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(imports::KEY, text(format!("rows#{}", entry.content)))
            .update_expression(
                "SET #batch = if_not_exists(#batch, :batch), #at = if_not_exists(#at, :now), #rows = :rows ADD #batches :batches",
            )
            .expression_attribute_names("#batch", BATCH)
            .expression_attribute_names("#batches", BATCHES)
            .expression_attribute_names("#at", STARTED_AT)
            .expression_attribute_names("#rows", ROWS)
            .expression_attribute_values(":batch", text(entry.batch))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":rows", AttributeValue::N(entry.rows.to_string()))
            .expression_attribute_values(":batches", AttributeValue::Ss(vec![entry.batch.to_owned()]))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        let update = match again {
            Again::Taken => update,
            Again::Refused => update
                .expression_attribute_names("#key", imports::KEY)
                .condition_expression("attribute_not_exists(#key) OR contains(#batches, :batch)"),
        };
        let Err(error) = update.send().await else { return Ok(()) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let found = failed.item().cloned().unwrap_or_default();
                Err(RegistryError::Brought(self.brought(found, entry.rows).await?))
            }
            _ => Err(self.failed(DisplayErrorContext(error))),
        }
    }

    /// Which batch has the rows, and how far it is.
    async fn brought(
        &self,
        rows: impl ItemAttributes,
        count: u64,
    ) -> Result<Brought, RegistryError> {
        let batch = rows.text(BATCH).unwrap_or_default().to_owned();
        let since = rows.text(STARTED_AT).unwrap_or_default().to_owned();
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(imports::KEY, text(format!("batch#{batch}")))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed(DisplayErrorContext(error)))?;
        let state = found.item().and_then(|item| item.text(STATE));
        Ok(Brought { batch, since, ended: state == Some(ENDED), rows: count })
    }

    async fn start(&self, entry: Entry<'_>, now: Timestamp) -> Result<Entered, RegistryError> {
        let own = PaymentId::generate().to_string();
        let before = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(imports::KEY, text(format!("batch#{}", entry.batch)))
            .update_expression(
                "SET #content = :content, #rows = :rows, #state = :started, #at = :now, #import = if_not_exists(#import, :import) REMOVE #ended",
            )
            .expression_attribute_names("#content", CONTENT)
            .expression_attribute_names("#rows", ROWS)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#at", STARTED_AT)
            .expression_attribute_names("#ended", ENDED_AT)
            .expression_attribute_names("#import", IMPORT)
            .expression_attribute_values(":import", text(&own))
            .expression_attribute_values(":content", text(entry.content))
            .expression_attribute_values(":rows", AttributeValue::N(entry.rows.to_string()))
            .expression_attribute_values(":started", text(STARTED))
            .expression_attribute_values(":now", text(now.to_string()))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| self.failed(DisplayErrorContext(error)))?;
        let Some(before) = before.attributes().filter(|before| before.has(STATE)) else {
            return Ok(Entered { import: own, before: Before::New });
        };
        let import = before.text(IMPORT).map_or(own, str::to_owned);
        let before = if before.text(STATE) == Some(ENDED) {
            Before::Finished
        } else {
            Before::Unfinished { since: before.text(STARTED_AT).unwrap_or_default().to_owned() }
        };
        Ok(Entered { import, before })
    }

    /// Writes down that the last payment is in the table. An import of the same name with other
    /// rows that has begun meanwhile is left alone.
    pub(crate) async fn end(
        &self,
        entry: Entry<'_>,
        counts: Counts,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let ended = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(imports::KEY, text(format!("batch#{}", entry.batch)))
            .update_expression(
                "SET #state = :ended, #at = :now, Scheduled = :scheduled, AlreadyScheduled = :already, Refused = :refused",
            )
            .condition_expression("#content = :content")
            .expression_attribute_names("#content", CONTENT)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#at", ENDED_AT)
            .expression_attribute_values(":content", text(entry.content))
            .expression_attribute_values(":ended", text(ENDED))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":scheduled", number(counts.scheduled))
            .expression_attribute_values(":already", number(counts.already_scheduled))
            .expression_attribute_values(":refused", number(counts.refused))
            .send()
            .await;
        match ended {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(self.failed(DisplayErrorContext(error))),
            },
        }
    }

    fn failed(&self, reason: impl fmt::Display) -> RegistryError {
        RegistryError::Table { table: self.table.clone(), reason: reason.to_string() }
    }
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}
