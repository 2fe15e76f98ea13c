//! Reading a stream from its beginning. The local one never drops a record.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use shared::aws::Aws;
use shared::payments::attribute;

use super::evidence::Change;

/// Empty pages in a row after which an open shard counts as read. `DynamoDB` may give one
/// although more follows.
const EMPTY_PAGES: u32 = 2;

type Image = HashMap<String, AttributeValue>;

/// Every change of a payment in the stream of `table` at `endpoint`, shard by shard in the
/// order of the list, parents before children. Records of items that are no payments are left
/// out.
///
/// # Errors
/// The table has no stream, or it cannot be read.
pub async fn read_stream(aws: &Aws, endpoint: &str, table: &str) -> anyhow::Result<Vec<Change>> {
    let described = aws.dynamodb("judge").describe_table().table_name(table).send().await?;
    let arn = described.table().and_then(|table| table.latest_stream_arn());
    let arn = arn.context("the table has no stream")?.to_owned();
    let config = aws_sdk_dynamodbstreams::config::Builder::from(aws.config());
    let client = Client::from_conf(config.endpoint_url(endpoint).build());
    let stream = client.describe_stream().stream_arn(&arn).send().await?;
    let stream = stream.stream_description.context("a stream without a description")?;
    let mut changes = Vec::new();
    for shard in stream.shards() {
        let iterator = client
            .get_shard_iterator()
            .stream_arn(&arn)
            .shard_id(shard.shard_id().unwrap_or_default())
            .shard_iterator_type(ShardIteratorType::TrimHorizon);
        let mut next = iterator.send().await?.shard_iterator;
        let mut empty = 0;
        while let Some(iterator) = next.filter(|_| empty < EMPTY_PAGES) {
            let page = client.get_records().shard_iterator(iterator).send().await?;
            let records = page.records.unwrap_or_default();
            empty = if records.is_empty() { empty + 1 } else { 0 };
            changes.extend(records.iter().filter_map(change));
            next = page.next_shard_iterator;
        }
    }
    Ok(changes)
}

fn text<'a>(image: Option<&'a Image>, name: &str) -> Option<&'a str> {
    image?.get(name)?.as_s().ok().map(String::as_str)
}

/// What a record says of a payment. The keys alone name it, so that a removal does too.
fn change(record: &Record) -> Option<Change> {
    let record = record.dynamodb()?;
    let (due, payment) = text(record.keys(), attribute::SK)?.split_once('#')?;
    let account = text(record.keys(), attribute::PK)?.strip_prefix("ACCOUNT#")?;
    payment.parse::<domain::PaymentId>().ok()?;
    let image = record.new_image();
    let amount = image.and_then(|image| image.get(attribute::AMOUNT)?.as_n().ok());
    let attempts = image.and_then(|image| image.get(attribute::ATTEMPTS)?.as_n().ok());
    let instruction = [
        amount.map_or("", String::as_str),
        text(image, attribute::CURRENCY).unwrap_or_default(),
        text(image, attribute::BENEFICIARY).unwrap_or_default(),
    ];
    Some(Change {
        payment: payment.to_owned(),
        account: account.to_owned(),
        due: due.parse().ok(),
        status: text(image, attribute::STATUS).and_then(|status| status.parse().ok()),
        attempts: attempts.and_then(|attempts| attempts.parse().ok()),
        instruction: instruction.join(" "),
        transaction_id: text(image, attribute::TRANSACTION_ID).map(str::to_owned),
    })
}
