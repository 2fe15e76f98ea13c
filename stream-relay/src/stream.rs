//! `DynamoDB` Streams: shards, iterators, pages of records.

use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodbstreams::operation::describe_stream::DescribeStreamError;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};

use crate::lease::Checkpoint;
use crate::shards::Shard;

/// Most records in one page (`DynamoDB` Streams API reference).
pub(crate) const MAX_PAGE: usize = 1000;

/// What can go wrong with the stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The table cannot be described.
    #[error("looking up the stream of {table} (made by `dueflow setup`): {}", DisplayErrorContext(.source))]
    Table {
        /// Its name.
        table: String,
        /// What the SDK said.
        source: Box<SdkError<DescribeTableError>>,
    },
    /// The table has no stream.
    #[error("the table {0} has no stream; run `dueflow setup` or enable one with NEW_IMAGE")]
    NoStream(String),
    /// The table has another stream now than at start.
    #[error("the table {0} has a new stream: restart the relay to read it from its beginning")]
    Replaced(String),
    /// The shards cannot be listed.
    #[error("listing the stream's shards: {}", DisplayErrorContext(.0))]
    List(Box<SdkError<DescribeStreamError>>),
    /// No iterator to be had.
    #[error("asking for a position in a shard: {}", DisplayErrorContext(.0))]
    Iterator(Box<SdkError<GetShardIteratorError>>),
    /// No page to be had.
    #[error("reading records: {}", DisplayErrorContext(.0))]
    Read(Box<SdkError<GetRecordsError>>),
    /// The position's time of 15 minutes has passed: ask for a new one.
    #[error("the position in the shard has expired")]
    Expired,
    /// The stream has dropped the records after the position.
    #[error("the stream has dropped the records at the position")]
    Trimmed,
}

/// A page of records; without `next` the shard ends with it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    pub(crate) next: Option<String>,
}

/// The stream of one table.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    client: Client,
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    pub(crate) arn: String,
}

impl Stream {
    /// The latest stream of `table`.
    pub(crate) async fn of_table(
        table: &str,
        dynamodb: aws_sdk_dynamodb::Client,
        client: Client,
    ) -> Result<Self, StreamError> {
        let arn = latest_arn(table, &dynamodb).await?;
        Ok(Self { client, dynamodb, table: table.to_owned(), arn })
    }

    /// Whether this is still the table's stream.
    pub(crate) async fn check(&self) -> Result<(), StreamError> {
        if latest_arn(&self.table, &self.dynamodb).await? == self.arn {
            Ok(())
        } else {
            Err(StreamError::Replaced(self.table.clone()))
        }
    }

    /// All shards the stream still lists.
    pub(crate) async fn shards(&self) -> Result<Vec<Shard>, StreamError> {
        let mut shards = Vec::new();
        let mut after = None;
        loop {
            let page = self.client.describe_stream().stream_arn(&self.arn);
            let page = page.set_exclusive_start_shard_id(after).send().await;
            let page = page.map_err(|error| StreamError::List(Box::new(error)))?;
            let Some(description) = page.stream_description else {
                return Ok(shards);
            };
            shards.extend(description.shards().iter().filter_map(|shard| {
                let parent = shard.parent_shard_id().map(str::to_owned);
                shard.shard_id().map(|id| Shard { id: id.to_owned(), parent })
            }));
            after = description.last_evaluated_shard_id;
            if after.is_none() {
                return Ok(shards);
            }
        }
    }

    /// An iterator after `checkpoint`; never at the latest record, which would skip those
    /// written while no relay ran.
    pub(crate) async fn iterator(
        &self,
        shard: &str,
        checkpoint: &Checkpoint,
    ) -> Result<Option<String>, StreamError> {
        let request = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(shard);
        let request = match checkpoint {
            Checkpoint::ShardEnd => return Ok(None),
            Checkpoint::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Checkpoint::After(sequence) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(sequence),
        };
        match request.send().await {
            Ok(output) => Ok(output.shard_iterator),
            Err(error) => Err(match error.as_service_error() {
                Some(GetShardIteratorError::TrimmedDataAccessException(_)) => StreamError::Trimmed,
                _ => StreamError::Iterator(Box::new(error)),
            }),
        }
    }

    /// The page at `iterator`.
    pub(crate) async fn page(&self, iterator: &str) -> Result<Page, StreamError> {
        match self.client.get_records().shard_iterator(iterator).send().await {
            Ok(output) => Ok(Page {
                next: output.next_shard_iterator,
                records: output.records.unwrap_or_default(),
            }),
            Err(error) => Err(match error.as_service_error() {
                Some(GetRecordsError::ExpiredIteratorException(_)) => StreamError::Expired,
                Some(GetRecordsError::TrimmedDataAccessException(_)) => StreamError::Trimmed,
                _ => StreamError::Read(Box::new(error)),
            }),
        }
    }
}

async fn latest_arn(
    table: &str,
    dynamodb: &aws_sdk_dynamodb::Client,
) -> Result<String, StreamError> {
    let described = dynamodb.describe_table().table_name(table).send().await;
    let output = described.map_err(|source| StreamError::Table {
        table: table.to_owned(),
        source: Box::new(source),
    })?;
    let arn = output.table().and_then(|table| table.latest_stream_arn());
    arn.map(str::to_owned).ok_or_else(|| StreamError::NoStream(table.to_owned()))
}
