//! `DynamoDB` Streams.

use async_trait::async_trait;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::operation::describe_stream::DescribeStreamError;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_dynamodbstreams::types::{ShardIteratorType, StreamDescription, StreamStatus};

use crate::shards::position::Checkpoint;
use crate::shards::source::{Page, Shard, ShardSource, StreamError};

/// The stream of one table.
#[derive(Debug)]
pub(crate) struct TableStream {
    client: Client,
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    arn: String,
}

impl TableStream {
    /// The latest stream of `table`.
    pub(crate) async fn latest(
        table: &str,
        dynamodb: aws_sdk_dynamodb::Client,
        client: Client,
    ) -> Result<Self, StreamError> {
        let arn = latest_arn(table, &dynamodb).await?;
        Ok(Self { client, dynamodb, table: table.to_owned(), arn })
    }

    /// Asks the table, which is asked only when the stream itself gives a reason to.
    async fn must_be_latest(&self) -> Result<(), StreamError> {
        if latest_arn(&self.table, &self.dynamodb).await? == self.arn {
            Ok(())
        } else {
            Err(StreamError::Replaced(self.table.clone()))
        }
    }
}

#[async_trait]
impl ShardSource for TableStream {
    fn name(&self) -> &str {
        &self.arn
    }

    async fn shards(&self) -> Result<Vec<Shard>, StreamError> {
        let mut shards = Vec::new();
        let mut after = None;
        loop {
            let page = self.client.describe_stream().stream_arn(&self.arn);
            let page = page.set_exclusive_start_shard_id(after).send().await;
            let refused = page.as_ref().err().and_then(|error| error.as_service_error());
            if refused.is_some_and(DescribeStreamError::is_resource_not_found_exception) {
                self.must_be_latest().await?;
            }
            let page = page.map_err(|error| StreamError::List(Box::new(error)))?;
            let description = whole(page.stream_description, "description")?;
            if has_ended(&description, &self.arn) {
                self.must_be_latest().await?;
            }
            shards.extend(description.shards().iter().filter_map(|shard| {
                let parents = shard.parent_shard_id().map(str::to_owned).into_iter().collect();
                shard.shard_id().map(|id| Shard { id: id.to_owned(), parents })
            }));
            after = description.last_evaluated_shard_id;
            if after.is_none() {
                return Ok(shards);
            }
        }
    }

    async fn iterator(
        &self,
        shard: &str,
        from: &Checkpoint,
    ) -> Result<Option<String>, StreamError> {
        let request = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(shard);
        let request = match from {
            Checkpoint::ShardEnd => return Ok(None),
            // Never at the latest record, which would skip those written while no relay ran.
            Checkpoint::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Checkpoint::After(sequence) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(sequence),
        };
        match request.send().await {
            // Without one the shard would count as read to its end.
            Ok(output) => whole(output.shard_iterator, "iterator").map(Some),
            Err(error) => Err(match error.as_service_error() {
                Some(GetShardIteratorError::TrimmedDataAccessException(_)) => StreamError::Trimmed,
                _ => StreamError::Iterator(Box::new(error)),
            }),
        }
    }

    async fn page(&self, iterator: &str) -> Result<Page, StreamError> {
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

fn whole<T>(part: Option<T>, name: &'static str) -> Result<T, StreamError> {
    part.ok_or(StreamError::Incomplete(name))
}

/// Whether the stream `arn` takes no more records: disabled, it stays for another 24 hours. The
/// local `DynamoDB` answers for whatever stream the table has now, which another label tells.
fn has_ended(described: &StreamDescription, arn: &str) -> bool {
    let disabled =
        matches!(described.stream_status, Some(StreamStatus::Disabled | StreamStatus::Disabling));
    disabled || described.stream_label().is_some_and(|label| !arn.ends_with(label))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_ended_when_it_is_disabled_or_another_one_answers() {
        let arn = "arn:aws:dynamodb:eu-central-1:1:table/payments/stream/2026-11-26T01:00:00.000";
        let described = |status: StreamStatus, label: &str| {
            StreamDescription::builder().stream_status(status).stream_label(label).build()
        };
        let own = "2026-11-26T01:00:00.000";
        assert!(!has_ended(&described(StreamStatus::Enabled, own), arn));
        assert!(!has_ended(&described(StreamStatus::Enabling, own), arn));
        assert!(!has_ended(&StreamDescription::builder().build(), arn));
        assert!(has_ended(&described(StreamStatus::Disabling, own), arn));
        assert!(has_ended(&described(StreamStatus::Disabled, own), arn));
        assert!(has_ended(&described(StreamStatus::Enabled, "2026-11-26T02:00:00.000"), arn));
    }

    #[test]
    fn an_answer_that_lacks_something_is_an_error_and_not_an_end() {
        assert!(matches!(
            whole(None::<String>, "iterator"),
            Err(StreamError::Incomplete("iterator"))
        ));
        assert_eq!(whole(Some(1), "iterator").unwrap(), 1);
    }
}
