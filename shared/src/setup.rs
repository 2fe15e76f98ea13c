//! Makes the tables and queues of [`crate::resources`], and stores what every service and command
//! must agree on. Each step may be repeated.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TableDescription,
    TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde::Serialize;

use crate::aws::Aws;
use crate::clock::Clock;
use crate::config::Installation;
use crate::config::Names;
use crate::installation::{Agreement, InstallationError};
use crate::resources::{self, IndexDefinition, QueueDefinition, TableDefinition};

/// How long a table may take to become active (AWS: seconds, an index a little more).
const ACTIVE: Duration = Duration::from_secs(300);

/// What was done with one table or queue.
#[derive(Debug, Serialize)]
pub struct Done {
    /// `table`, `queue` or `settings`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// `created`, `present` or `updated`.
    pub result: &'static str,
}

/// A table or queue that was not made, or is there and is another.
#[derive(Debug, thiserror::Error)]
#[error("making the {kind} {name}")]
pub struct SetupError {
    kind: &'static str,
    name: String,
    source: CallError,
}

type CallError = Box<dyn Error + Send + Sync>;

/// Stores what all services and commands must agree on.
///
/// # Errors
/// Other values are stored, or the call fails.
pub async fn store(
    aws: &Aws,
    names: &Names,
    installation: &Installation,
) -> Result<Done, InstallationError> {
    let agreement = Agreement::of(aws, names, installation.clone(), Clock::system());
    let result = if agreement.store().await? { "created" } else { "present" };
    let Installation { zone, due_shards } = installation;
    let name = format!("time zone {zone}, {due_shards} shards");
    Ok(Done { kind: "settings", name, result })
}

/// Makes every table and queue that is not there, and gives existing queues the attributes
/// they should have.
///
/// # Errors
/// The first call that fails, with what it was about; running it again goes on from there.
pub async fn set_up(aws: &Aws, names: &Names) -> Result<Vec<Done>, SetupError> {
    let dynamodb = aws.dynamodb("setup");
    let sqs = aws.sqs("setup");
    let mut done = Vec::new();
    for table in resources::tables(names) {
        let result = make_table(&dynamodb, &table).await;
        let failed = |source| SetupError { kind: "table", name: table.name.clone(), source };
        let result = result.map_err(failed)?;
        done.push(Done { kind: "table", name: table.name, result });
    }
    for queue in resources::queues(names) {
        let result = make_queue(&sqs, &queue).await;
        let failed = |source| SetupError { kind: "queue", name: queue.name.clone(), source };
        let result = result.map_err(failed)?;
        done.push(Done { kind: "queue", name: queue.name, result });
    }
    Ok(done)
}

async fn make_table(
    client: &aws_sdk_dynamodb::Client,
    table: &TableDefinition,
) -> Result<&'static str, CallError> {
    let mut strings = vec![table.partition_key];
    strings.extend(table.sort_key);
    let mut request = client
        .create_table()
        .table_name(&table.name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(table.partition_key, table.sort_key)?));
    for index in &table.indexes {
        strings.push(index.partition_key);
        strings.extend(index.sort_key);
        let index = GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .set_key_schema(Some(key_schema(index.partition_key, index.sort_key)?))
            .projection(projection(index))
            .build()?;
        request = request.global_secondary_indexes(index);
    }
    if table.stream {
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewImage);
        request = request.stream_specification(stream.build()?);
    }
    for name in strings {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        request = request
            .attribute_definitions(attribute.attribute_type(ScalarAttributeType::S).build()?);
    }
    let result = match request.send().await.map_err(aws_sdk_dynamodb::Error::from) {
        Ok(_) => "created",
        Err(aws_sdk_dynamodb::Error::ResourceInUseException(_)) => "present",
        Err(error) => return Err(error.into()),
    };
    let description = until_active(client, &table.name).await?;
    check_table(table, &description)?;
    if let Some(attribute) = table.expiry {
        let made = expire_by(client, &table.name, attribute).await?;
        return Ok(if made && result == "present" { "updated" } else { result });
    }
    Ok(result)
}

fn projection(index: &IndexDefinition) -> Projection {
    let projection = Projection::builder();
    if index.projected.is_empty() {
        return projection.projection_type(ProjectionType::KeysOnly).build();
    }
    let projected = index.projected.iter().map(ToString::to_string).collect();
    let projection = projection.projection_type(ProjectionType::Include);
    projection.set_non_key_attributes(Some(projected)).build()
}

/// Sets the table's time to live; false when it is set already. (`DynamoDB` refuses to set it
/// twice.)
async fn expire_by(
    client: &aws_sdk_dynamodb::Client,
    name: &str,
    attribute: &str,
) -> Result<bool, CallError> {
    let described = client.describe_time_to_live().table_name(name).send().await;
    let described = described.map_err(aws_sdk_dynamodb::Error::from)?;
    if let Some(found) = described.time_to_live_description() {
        let on = match found.time_to_live_status() {
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => true,
            Some(_) | None => false,
        };
        match found.attribute_name() {
            Some(has) if on && has == attribute => return Ok(false),
            Some(other) if on => {
                return Err(format!("its items expire by {other} and not by {attribute}").into());
            }
            Some(_) | None => {}
        }
    }
    let specification = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true);
    let update = client.update_time_to_live().table_name(name);
    let update = update.time_to_live_specification(specification.build()?).send().await;
    update.map_err(aws_sdk_dynamodb::Error::from)?;
    Ok(true)
}

fn key_schema(partition: &str, sort: Option<&str>) -> Result<Vec<KeySchemaElement>, CallError> {
    let element =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let mut schema = vec![element(partition, KeyType::Hash)?];
    if let Some(sort) = sort {
        schema.push(element(sort, KeyType::Range)?);
    }
    Ok(schema)
}

async fn until_active(
    client: &aws_sdk_dynamodb::Client,
    name: &str,
) -> Result<TableDescription, CallError> {
    let asked_at = tokio::time::Instant::now();
    loop {
        let described = client.describe_table().table_name(name).send().await;
        let described = described.map_err(aws_sdk_dynamodb::Error::from)?;
        let description = described.table.ok_or("DescribeTable gave no table")?;
        if description.table_status() == Some(&TableStatus::Active) {
            return Ok(description);
        }
        if asked_at.elapsed() > ACTIVE {
            return Err(format!("it is not active after {ACTIVE:?}; run setup again later").into());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A table of this name with other keys or without the stream cannot be brought up to date,
/// only replaced, and that is for a person to decide.
fn check_table(table: &TableDefinition, found: &TableDescription) -> Result<(), CallError> {
    let wanted = key_schema(table.partition_key, table.sort_key)?;
    if found.key_schema() != wanted {
        return Err(format!("it exists with another key: {:?}", found.key_schema()).into());
    }
    for index in &table.indexes {
        let found = found.global_secondary_indexes();
        if !found.iter().any(|has| has.index_name() == Some(index.name)) {
            return Err(format!("it exists without its index {}", index.name).into());
        }
    }
    let streams = found.stream_specification().is_some_and(|stream| {
        stream.stream_enabled() && stream.stream_view_type() == Some(&StreamViewType::NewImage)
    });
    if table.stream && !streams {
        return Err("it exists without a stream of new images".into());
    }
    Ok(())
}

async fn make_queue(
    client: &aws_sdk_sqs::Client,
    queue: &QueueDefinition,
) -> Result<&'static str, CallError> {
    let attributes = queue_attributes(client, queue).await?;
    // SQS answers the same for a new queue and an equal one, so it is asked first.
    let there = find_queue(client, &queue.name).await?.is_some();
    let created = client
        .create_queue()
        .queue_name(&queue.name)
        .set_attributes(Some(attributes.clone()))
        .send()
        .await
        .map_err(aws_sdk_sqs::Error::from);
    match created {
        Ok(_) => Ok(if there { "present" } else { "created" }),
        Err(aws_sdk_sqs::Error::QueueNameExists(_)) => {
            let url = queue_url(client, &queue.name).await?;
            let mut changeable = attributes;
            changeable.remove(&QueueAttributeName::FifoQueue);
            client
                .set_queue_attributes()
                .queue_url(url)
                .set_attributes(Some(changeable))
                .send()
                .await
                .map_err(aws_sdk_sqs::Error::from)?;
            Ok("updated")
        }
        Err(error) => Err(error.into()),
    }
}

/// Where a queue is; `None` when there is none of this name.
async fn find_queue(client: &aws_sdk_sqs::Client, name: &str) -> Result<Option<String>, CallError> {
    let found = client.get_queue_url().queue_name(name).send().await;
    match found.map_err(aws_sdk_sqs::Error::from) {
        Ok(output) => Ok(Some(output.queue_url.ok_or("GetQueueUrl gave no URL")?)),
        Err(aws_sdk_sqs::Error::QueueDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn queue_url(client: &aws_sdk_sqs::Client, name: &str) -> Result<String, CallError> {
    Ok(find_queue(client, name).await?.ok_or_else(|| format!("there is no queue {name}"))?)
}

async fn queue_attributes(
    client: &aws_sdk_sqs::Client,
    queue: &QueueDefinition,
) -> Result<HashMap<QueueAttributeName, String>, CallError> {
    let mut attributes: HashMap<_, _> = queue
        .attributes
        .iter()
        .map(|(name, value)| (QueueAttributeName::from(*name), value.clone()))
        .collect();
    if let Some((target, max_receive_count)) = &queue.redrive {
        let url = queue_url(client, target).await?;
        let output = client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .map_err(aws_sdk_sqs::Error::from)?;
        let arn = output
            .attributes()
            .and_then(|attributes| attributes.get(&QueueAttributeName::QueueArn))
            .ok_or_else(|| format!("the queue {target} has no ARN"))?;
        let policy = serde_json::json!({
            "deadLetterTargetArn": arn,
            "maxReceiveCount": max_receive_count,
        });
        attributes.insert(QueueAttributeName::RedrivePolicy, policy.to_string());
    }
    Ok(attributes)
}
