//! The imported batches, in the table `<prefix>-imports`: which batch has brought which rows.
//!
//! It has two kinds of items. `rows#<hash>` names the batches that have brought these rows; the first
//! is written under a condition, so of two names at the same moment one wins. `batch#<name>` is the
//! state of the batch. Both are written before the first payment, the end after the last: an import
//! that dies in between continues under its name.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use domain::PaymentId;
use jiff::Timestamp;
use shared::payments::ItemAttributes;
use shared::resources::imports;

use super::checkpoint::RowCounts;
use crate::error::ImportError;

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

/// What an import had done when the table of imports failed.
const NOTHING_WRITTEN: &str = "nothing was written";
const ALL_DONE: &str =
    "all rows are done, but their batch is not recorded as ended; run the import again";

/// A batch and the rows whose ids are made from its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchContent<'a> {
    pub(crate) batch: &'a str,
    pub(crate) hash: &'a str,
    pub(crate) rows: u64,
}

/// A registered batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RegisteredBatch {
    /// The id of the first import under this name in this table.
    pub(crate) import: String,
    pub(crate) earlier: EarlierImport,
}

/// The import of the batch before this one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EarlierImport {
    None,
    Unfinished { started_at: String },
    Finished,
}

/// The table of imports.
#[derive(Debug)]
pub(crate) struct BatchRegistry {
    client: Client,
    table: String,
}

impl BatchRegistry {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Registers a batch before its first payment. Content without rows belongs to no batch: all
    /// rows have ids of their own. With `repeat`, rows that another batch has brought are registered
    /// for this one too.
    ///
    /// # Errors
    /// [`ImportError::InvalidFile`] when another batch has brought the same rows.
    pub(crate) async fn start(
        &self,
        content: BatchContent<'_>,
        repeat: bool,
        now: Timestamp,
    ) -> Result<RegisteredBatch, ImportError> {
        if content.rows > 0 {
            self.register_rows(content, repeat, now).await?;
        }
        self.register_batch(content, now).await
    }

    async fn register_rows(
        &self,
        content: BatchContent<'_>,
        repeat: bool,
        now: Timestamp,
    ) -> Result<(), ImportError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(imports::KEY, text(format!("rows#{}", content.hash)))
            .update_expression(
                "SET #batch = if_not_exists(#batch, :batch), #at = if_not_exists(#at, :now), #rows = :rows ADD #batches :batches",
            )
            .expression_attribute_names("#batch", BATCH)
            .expression_attribute_names("#batches", BATCHES)
            .expression_attribute_names("#at", STARTED_AT)
            .expression_attribute_names("#rows", ROWS)
            .expression_attribute_values(":batch", text(content.batch))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":rows", AttributeValue::N(content.rows.to_string()))
            .expression_attribute_values(":batches", AttributeValue::Ss(vec![content.batch.to_owned()]))
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        let update = if repeat {
            update
        } else {
            update
                .expression_attribute_names("#key", imports::KEY)
                .condition_expression("attribute_not_exists(#key) OR contains(#batches, :batch)")
        };
        let Err(error) = update.send().await else { return Ok(()) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let item = failed.item().cloned().unwrap_or_default();
                Err(self.already_imported(item, content.rows).await?)
            }
            _ => Err(self.failed(NOTHING_WRITTEN, error)),
        }
    }

    /// The error that names the batch that has brought the rows.
    async fn already_imported(
        &self,
        item: impl ItemAttributes,
        rows: u64,
    ) -> Result<ImportError, ImportError> {
        let batch = item.text(BATCH).unwrap_or_default().to_owned();
        let started_at = item.text(STARTED_AT).unwrap_or_default();
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(imports::KEY, text(format!("batch#{batch}")))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed(NOTHING_WRITTEN, error))?;
        let state = found.item().and_then(|item| item.text(STATE));
        let unfinished = if state == Some(ENDED) { "" } else { ", which did not end," };
        Ok(ImportError::InvalidFile(format!(
            "the batch {batch:?} brought the same {rows} rows: its import started at \
             {started_at}{unfinished} and under another name they would be paid again, so nothing was \
             written. To continue that batch, give --batch {batch}; if these are other payments with \
             the same content, give --again"
        )))
    }

    async fn register_batch(
        &self,
        content: BatchContent<'_>,
        now: Timestamp,
    ) -> Result<RegisteredBatch, ImportError> {
        let own = PaymentId::generate().to_string();
        let before = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(imports::KEY, text(format!("batch#{}", content.batch)))
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
            .expression_attribute_values(":content", text(content.hash))
            .expression_attribute_values(":rows", AttributeValue::N(content.rows.to_string()))
            .expression_attribute_values(":started", text(STARTED))
            .expression_attribute_values(":now", text(now.to_string()))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| self.failed(NOTHING_WRITTEN, error))?;
        let Some(before) = before.attributes().filter(|before| before.has(STATE)) else {
            return Ok(RegisteredBatch { import: own, earlier: EarlierImport::None });
        };
        let import = before.text(IMPORT).map_or(own, str::to_owned);
        let earlier = if before.text(STATE) == Some(ENDED) {
            EarlierImport::Finished
        } else {
            let started_at = before.text(STARTED_AT).unwrap_or_default().to_owned();
            EarlierImport::Unfinished { started_at }
        };
        Ok(RegisteredBatch { import, earlier })
    }

    /// Records that the last payment is in the table. An import under the same name with other rows
    /// that has started meanwhile keeps its state.
    pub(crate) async fn end(
        &self,
        content: BatchContent<'_>,
        counts: RowCounts,
        now: Timestamp,
    ) -> Result<(), ImportError> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let ended = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(imports::KEY, text(format!("batch#{}", content.batch)))
            .update_expression(
                "SET #state = :ended, #at = :now, Scheduled = :scheduled, AlreadyScheduled = :already, Refused = :refused",
            )
            .condition_expression("#content = :content")
            .expression_attribute_names("#content", CONTENT)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#at", ENDED_AT)
            .expression_attribute_values(":content", text(content.hash))
            .expression_attribute_values(":ended", text(ENDED))
            .expression_attribute_values(":now", text(now.to_string()))
            .expression_attribute_values(":scheduled", number(counts.scheduled))
            .expression_attribute_values(":already", number(counts.already_scheduled))
            .expression_attribute_values(":refused", number(counts.rejected))
            .send()
            .await;
        match ended {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(self.failed(ALL_DONE, error)),
            },
        }
    }

    fn failed<E, R>(&self, done: &'static str, error: SdkError<E, R>) -> ImportError
    where
        SdkError<E, R>: std::error::Error,
    {
        let (table, reason) = (self.table.clone(), DisplayErrorContext(error).to_string());
        ImportError::ImportsTable { done, table, reason }
    }
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}
