//! The table as the services see it: change, read.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementError, BatchStatementErrorCodeEnum as Code,
    BatchStatementRequest, BatchStatementResponse, ReturnConsumedCapacity,
};
use jiff::Timestamp;

use super::attribute;
use super::change::Change;
use super::error::{BlobError, ChangeError, PaymentsError};
use super::keys::{due_key, is_blob, partition_key, sort_key};
use super::statement::Statements;
use super::store::{ApplyResult, PaymentStore, refused_change};
use super::stored_payment::StoredPayment;
use crate::retry;
use crate::telemetry::calls;
use domain::{AccountId, BlobDigest, DataBlob, Event, PaymentRef};

/// Most statements in one `BatchExecuteStatement` (`DynamoDB` API reference).
pub(super) const MAX_STATEMENTS: usize = 25;

/// Most items of one page of a scan: about a megabyte of small payments, where `DynamoDB` ends
/// a page by itself. The local one reads all the rest of the table for a page without a limit.
pub(super) const SCAN_PAGE: i32 = 2_000;

/// The payments table.
#[derive(Debug)]
pub struct PaymentsTable {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) statements: Statements,
    pub(super) due_shards: u16,
}

impl PaymentsTable {
    /// The table `name`, whose index `due` is spread over `due_shards` partitions.
    #[must_use]
    pub fn new(client: Client, name: &str, due_shards: u16) -> Self {
        Self { client, name: name.to_owned(), statements: Statements::new(name), due_shards }
    }

    /// The payments of one page of the whole table, in no order; `None` as the next cursor
    /// ends it, and a page may be empty though more follow. Costs the read units of everything in the table: for reports and checks, not for services.
    ///
    /// # Errors
    /// [`PaymentsError`] when the call fails or an item is no payment.
    pub async fn scan_page(
        &self,
        cursor: Option<Cursor>,
    ) -> Result<(Vec<StoredPayment>, Option<Cursor>), PaymentsError> {
        let output = self
            .client
            .scan()
            .table_name(&self.name)
            .limit(SCAN_PAGE)
            .set_exclusive_start_key(cursor.map(|cursor| cursor.0))
            .send()
            .await
            .map_err(|error| PaymentsError::Scan(Box::new(error)))?;
        let payments = output.items().iter().filter(|item| !is_blob(*item));
        let page = payments.map(StoredPayment::from_item);
        let page = page.collect::<Result<Vec<_>, _>>()?;
        Ok((page, output.last_evaluated_key.map(Cursor)))
    }

    /// Sends statements and repeats, with growing pauses, those that were throttled.
    pub(super) async fn execute(
        &self,
        operation: &'static str,
        requests: Vec<BatchStatementRequest>,
    ) -> Result<Vec<Result<(), BatchStatementError>>, PaymentsError> {
        let mut results: Vec<_> = requests.iter().map(|_| Ok(())).collect();
        let mut open: Vec<usize> = (0..requests.len()).collect();
        let mut pauses = retry::TABLE_STATEMENTS.pauses();
        loop {
            let batch = open.iter().map(|&index| requests[index].clone()).collect();
            let answers = self.execute_once(operation, batch).await?;
            let throttled = answers.iter().filter_map(|answer| answer.error.as_ref());
            match throttled.filter(|error| is_throttled(error)).count() {
                0 => {}
                throttled => calls::throttled(operation, throttled),
            }
            for (&index, answer) in open.iter().zip(answers) {
                results[index] = answer.error.map_or(Ok(()), Err);
            }
            open.retain(|&index| results[index].as_ref().is_err_and(is_transient));
            match (open.is_empty(), pauses.next()) {
                (true, _) | (false, None) => return Ok(results),
                (false, Some(pause)) => tokio::time::sleep(pause).await,
            }
        }
    }

    async fn execute_once(
        &self,
        operation: &'static str,
        requests: Vec<BatchStatementRequest>,
    ) -> Result<Vec<BatchStatementResponse>, PaymentsError> {
        let expected = requests.len();
        let output = self
            .client
            .batch_execute_statement()
            .set_statements(Some(requests))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| PaymentsError::Write(Box::new(calls::noted(operation, error))))?;
        calls::written(operation, output.consumed_capacity());
        let got = output.responses().len();
        if got != expected {
            return Err(PaymentsError::ResultCount { expected, got });
        }
        Ok(output.responses.unwrap_or_default())
    }
}

#[async_trait]
impl PaymentStore for PaymentsTable {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let mut results = Vec::with_capacity(changes.len());
        for chunk in changes.chunks(MAX_STATEMENTS) {
            let operation = chunk.first().map_or("change", |change| event_name(change.event()));
            let requests = chunk.iter().map(|change| self.statements.change(change, now));
            let answers = self.execute(operation, requests.collect()).await?;
            results.extend(chunk.iter().zip(answers).map(|(change, answer)| match answer {
                Ok(()) => Ok(ApplyResult::Now),
                Err(error) => refused(change, error),
            }));
        }
        Ok(results)
    }

    async fn get(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .key(attribute::PK, AttributeValue::S(partition_key(&reference.account)))
            .key(attribute::SK, AttributeValue::S(sort_key(reference)))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| PaymentsError::Read(Box::new(calls::noted("get", error))))?;
        calls::read("get", output.consumed_capacity());
        output.item().map(StoredPayment::from_item).transpose().map_err(PaymentsError::Item)
    }

    async fn blobs(
        &self,
        wanted: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        self.read_blobs(wanted).await
    }
}

/// Where the next page starts.
#[derive(Debug, Clone)]
pub struct Cursor(pub(in crate::payments) HashMap<String, AttributeValue>);

impl Cursor {
    /// Right after the place of this payment in any partition of the index `due`, whether or
    /// not it lies in there.
    #[must_use]
    pub fn after(reference: &PaymentRef) -> Self {
        let key = AttributeValue::S(due_key(reference));
        Self(HashMap::from([(attribute::DUE_KEY.to_owned(), key)]))
    }

    /// Right after all payments of this account in any partition of the index `due`.
    #[must_use]
    pub fn past(account: &AccountId) -> Self {
        // Behind every payment id, and before every other account: ids are hexadecimal, and no
        // account holds a character before `#`.
        let key = AttributeValue::S(format!("{account}#~"));
        Self(HashMap::from([(attribute::DUE_KEY.to_owned(), key)]))
    }

    /// The sort key of the index behind which a cursor of [`Cursor::after`] stands.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        let AttributeValue::S(place) = self.0.get(attribute::DUE_KEY)? else { return None };
        (self.0.len() == 1).then_some(place)
    }
}

fn event_name(event: Event) -> &'static str {
    match event {
        Event::Claim => "claim",
        Event::Resume => "resume",
        Event::Settle => "settle",
        Event::Fail => "fail",
        Event::Replay => "replay",
        Event::Discard => "discard",
        Event::Cancel => "cancel",
        Event::Withhold => "withhold",
        Event::NotDone => "not_done",
        Event::DeadLetter => "dead_letter",
    }
}

/// Whether the same statement may succeed a little later.
fn is_transient(error: &BatchStatementError) -> bool {
    is_throttled(error)
        || matches!(error.code, Some(Code::InternalServerError | Code::TransactionConflict))
}

/// Whether there was no capacity for the statement.
fn is_throttled(error: &BatchStatementError) -> bool {
    matches!(
        error.code,
        Some(
            Code::ProvisionedThroughputExceeded
                | Code::RequestLimitExceeded
                | Code::ThrottlingError
        )
    )
}

pub(super) fn database_error(error: BatchStatementError) -> ChangeError {
    ChangeError::Database {
        code: error.code.map_or_else(|| "no code".to_owned(), |code| code.to_string()),
        message: error.message.unwrap_or_default(),
    }
}

/// What a refused statement means for its change: the item that failed the condition tells.
fn refused(change: &Change<'_>, error: BatchStatementError) -> Result<ApplyResult, ChangeError> {
    if error.code != Some(Code::ConditionalCheckFailed) {
        return Err(database_error(error));
    }
    let Some(item) = error.item else {
        return Err(ChangeError::Missing);
    };
    let stored = StoredPayment::from_item(&item).map_err(ChangeError::Item)?;
    refused_change(change, stored)
}
