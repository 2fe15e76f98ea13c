//! The stream as the relay sees it: shards, positions in them, pages of records.

use std::fmt::Debug;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodbstreams::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodbstreams::operation::describe_stream::DescribeStreamError;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_dynamodbstreams::types::Record;

use crate::shards::position::Checkpoint;

/// Most records in one page (`DynamoDB` Streams API reference).
pub(crate) const MAX_PAGE: usize = 1000;

/// A shard of a stream, as the stream lists it. Whether it is closed is never taken from
/// there (an ending sequence number proves nothing): a shard is read to its end when its
/// next iterator is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shards it continues: none, one after a split, several after a merge.
    pub parents: Vec<String>,
}

/// A page of records; without `next` the shard ends with it.
#[derive(Debug, Default)]
pub struct Page {
    /// The records, oldest first; often none.
    pub records: Vec<Record>,
    /// The iterator of the following page, good for 15 minutes.
    pub next: Option<String>,
}

/// A stream that is cut into shards. Records of one item lie in one shard, oldest first; a
/// shard that ends is followed by children, whose records are younger than all of its own.
///
/// Every method returns within a bound of time of its own, and may fail at any time; the
/// caller repeats. Dropping a call halfway changes nothing.
#[async_trait]
pub trait ShardSource: Debug + Send + Sync {
    /// What tells this stream from every other, also from one that replaces it. Leases are
    /// kept under it.
    fn name(&self) -> &str;

    /// All shards that the stream still lists, ended or not.
    ///
    /// # Errors
    /// [`StreamError::Replaced`] or [`StreamError::NoStream`] when this is not the stream to be
    /// read any more; never a part of the list instead.
    async fn shards(&self) -> Result<Vec<Shard>, StreamError>;

    /// An iterator of the first record after `from`; `None` when the shard is known to have
    /// no more.
    ///
    /// # Errors
    /// [`StreamError::Trimmed`] when records after `from` may have been dropped.
    async fn iterator(&self, shard: &str, from: &Checkpoint)
    -> Result<Option<String>, StreamError>;

    /// The page at `iterator`, at most 1,000 records.
    ///
    /// # Errors
    /// [`StreamError::Expired`] when the iterator is too old, [`StreamError::Trimmed`] when
    /// the records at it were dropped.
    async fn page(&self, iterator: &str) -> Result<Page, StreamError>;
}

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
    /// An answer without something that belongs in it, which would mean something else.
    #[error("the stream's answer lacks its {0}")]
    Incomplete(&'static str),
    /// The position's time of 15 minutes has passed: ask for a new one.
    #[error("the position in the shard has expired")]
    Expired,
    /// The stream has dropped the records after the position.
    #[error("the stream has dropped the records at the position")]
    Trimmed,
}
