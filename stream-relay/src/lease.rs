//! Leases: who reads which shard, and how far it is read.
//!
//! A lease is an item whose counter grows with every write of its owner. Another relay takes
//! it over when it has watched the counter stand still for [`EXPIRY`] by its own monotonic
//! clock, so no two clocks are ever compared.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::update_item::{
    UpdateItemError, builders::UpdateItemFluentBuilder,
};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use shared::resources::lease::KEY;

/// How long a counter must stand still before the lease counts as abandoned.
pub(crate) const EXPIRY: Duration = Duration::from_secs(10);
/// How often an owner writes its lease at least; three writes may fail before it expires.
pub(crate) const RENEWAL: Duration = Duration::from_secs(3);

const OWNER: &str = "LeaseOwner";
const COUNTER: &str = "LeaseCounter";
const CHECKPOINT: &str = "Checkpoint";
const PARENT: &str = "ParentKey";
const UPDATED_AT: &str = "UpdatedAt";

/// How far a shard is read: every record up to here is acknowledged by SQS (INV-3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// Nothing is read yet.
    TrimHorizon,
    /// Read up to and with this sequence number.
    After(String),
    /// Read to its end; its children may start.
    ShardEnd,
}

impl Checkpoint {
    fn as_str(&self) -> &str {
        match self {
            Self::TrimHorizon => "TRIM_HORIZON",
            Self::After(sequence) => sequence,
            Self::ShardEnd => "SHARD_END",
        }
    }

    fn from_text(text: &str) -> Self {
        match text {
            "TRIM_HORIZON" => Self::TrimHorizon,
            "SHARD_END" => Self::ShardEnd,
            sequence => Self::After(sequence.to_owned()),
        }
    }
}

/// A lease as it lies in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) key: String,
    pub(crate) owner: String,
    pub(crate) counter: u64,
    pub(crate) checkpoint: Checkpoint,
}

/// What can go wrong with a lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another relay holds it now. An ordinary outcome.
    #[error("the lease is held by {owner}")]
    Lost {
        /// Who has it.
        owner: String,
    },
    /// It could not be read.
    #[error("reading a lease: {}", DisplayErrorContext(.0))]
    Read(Box<SdkError<GetItemError>>),
    /// It could not be written.
    #[error("writing a lease: {}", DisplayErrorContext(.0))]
    Write(Box<SdkError<UpdateItemError>>),
    /// It is not in the form this release writes.
    #[error("the lease {0} is not in a form that this release knows")]
    Form(String),
}

/// The table of leases, as one relay uses it.
#[derive(Debug, Clone)]
pub(crate) struct Leases {
    client: Client,
    table: String,
    name: String,
}

impl Leases {
    pub(crate) fn new(client: Client, table: String, name: String) -> Self {
        Self { client, table, name }
    }

    /// The lease `key`, read consistently.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Lease>, LeaseError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(KEY, AttributeValue::S(key.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| LeaseError::Read(Box::new(error)))?;
        output.item().map(|item| lease_from(key, item)).transpose()
    }

    /// Takes the lease, from whoever has it; their next write then fails.
    pub(crate) async fn take(&self, key: &str, parent: Option<&str>) -> Result<Lease, LeaseError> {
        let mut set = format!(
            "SET {OWNER} = :me, {COUNTER} = if_not_exists({COUNTER}, :zero) + :one, \
             {CHECKPOINT} = if_not_exists({CHECKPOINT}, :horizon), {UPDATED_AT} = :now"
        );
        let mut update = self
            .update(key)
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":horizon", text(Checkpoint::TrimHorizon.as_str()))
            .return_values(ReturnValue::AllNew);
        if let Some(parent) = parent {
            set.push_str(&format!(", {PARENT} = if_not_exists({PARENT}, :parent)"));
            update = update.expression_attribute_values(":parent", text(parent));
        }
        let output = update
            .update_expression(set)
            .send()
            .await
            .map_err(|error| LeaseError::Write(Box::new(error)))?;
        lease_from(key, output.attributes().unwrap_or(&HashMap::new()))
    }

    /// Writes how far the shard is read, which also renews the lease.
    pub(crate) async fn checkpoint(
        &self,
        lease: &Lease,
        checkpoint: Checkpoint,
    ) -> Result<Lease, LeaseError> {
        let next = Lease { counter: lease.counter + 1, checkpoint, ..lease.clone() };
        let written = self
            .update(&lease.key)
            .update_expression(format!(
                "SET {COUNTER} = :next, {CHECKPOINT} = :checkpoint, {UPDATED_AT} = :now"
            ))
            .condition_expression(format!("{OWNER} = :me AND {COUNTER} = :counter"))
            .expression_attribute_values(":next", number(next.counter))
            .expression_attribute_values(":counter", number(lease.counter))
            .expression_attribute_values(":checkpoint", text(next.checkpoint.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = written else { return Ok(next) };
        let Some(UpdateItemError::ConditionalCheckFailedException(failed)) =
            error.as_service_error()
        else {
            return Err(LeaseError::Write(Box::new(error)));
        };
        let found = failed.item().map(|item| lease_from(&lease.key, item));
        match found.transpose()? {
            // The last write of this relay, whose answer was lost: it goes on from there.
            Some(found) if found.owner == self.name && found.counter == next.counter => Ok(found),
            Some(found) => Err(LeaseError::Lost { owner: found.owner }),
            None => Err(LeaseError::Lost { owner: "nobody: it was deleted".to_owned() }),
        }
    }

    fn update(&self, key: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(KEY, AttributeValue::S(key.to_owned()))
            .expression_attribute_values(":me", text(&self.name))
            .expression_attribute_values(":now", text(&format!("{:.3}", Timestamp::now())))
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn lease_from(key: &str, item: &HashMap<String, AttributeValue>) -> Result<Lease, LeaseError> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    let counter = item.get(COUNTER).and_then(|value| value.as_n().ok()?.parse().ok());
    match (text(OWNER), counter, text(CHECKPOINT)) {
        (Some(owner), Some(counter), Some(checkpoint)) => Ok(Lease {
            key: key.to_owned(),
            owner,
            counter,
            checkpoint: Checkpoint::from_text(&checkpoint),
        }),
        _ => Err(LeaseError::Form(key.to_owned())),
    }
}
