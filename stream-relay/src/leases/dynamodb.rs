//! The table of leases in `DynamoDB`: one item for each shard, day and relay, and one for the
//! lost-message scan.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::update_item::{
    UpdateItemError, builders::UpdateItemFluentBuilder,
};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;
use shared::resources::lease::KEY;

use crate::events;
use crate::leases::keys::{heartbeat_key, sweep_lease_prefix};
use crate::leases::position::StoredPosition;
use crate::leases::table::{
    Lease, LeaseEntries, LeaseError, LeaseTable, RelayHeartbeat, existing_lease,
};

const OWNER: &str = "LeaseOwner";
const COUNTER: &str = "LeaseCounter";
const CHECKPOINT: &str = "Checkpoint";
const READ_UP_TO: &str = "ReadUpTo";
const UPDATED_AT: &str = "UpdatedAt";

type Item = HashMap<String, AttributeValue>;

/// The table, for the relay `name`.
#[derive(Debug)]
pub(crate) struct DynamoDbLeases {
    client: Client,
    table: String,
    name: String,
}

impl DynamoDbLeases {
    pub(crate) fn new(client: Client, table: String, name: String) -> Self {
        Self { client, table, name }
    }

    fn update(&self, key: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(KEY, text(key))
            .expression_attribute_values(":now", text(&format!("{:.3}", Timestamp::now())))
    }
}

#[async_trait]
impl LeaseTable for DynamoDbLeases {
    async fn all(&self, stream: &str) -> Result<LeaseEntries, LeaseError> {
        let sweep_leases = sweep_lease_prefix(stream);
        let mut entries = LeaseEntries::default();
        let mut after = None;
        loop {
            let page = self
                .client
                .scan()
                .table_name(&self.table)
                .filter_expression(format!(
                    "begins_with({KEY}, :stream) OR begins_with({KEY}, :sweeps)"
                ))
                .expression_attribute_values(":stream", text(stream))
                .expression_attribute_values(":sweeps", text(&sweep_leases))
                .consistent_read(true)
                .set_exclusive_start_key(after)
                .send()
                .await
                .map_err(|error| LeaseError::Read(Box::new(error)))?;
            for item in page.items() {
                match (heartbeat_from(stream, item), lease_from(item)) {
                    (Some(presence), _) => entries.relays.push(presence),
                    (None, Some(sweep_lease)) if sweep_lease.key.starts_with(&sweep_leases) => {
                        entries.sweep_leases.push(sweep_lease);
                    }
                    (None, Some(lease)) => entries.leases.push(lease),
                    (None, None) => events::lease_failed("unknown", &form(item)),
                }
            }
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(entries);
            }
        }
    }

    fn relay(&self) -> &str {
        &self.name
    }

    async fn write(&self, before: Option<&Lease>, next: Lease) -> Result<Lease, LeaseError> {
        let mut set = format!("SET {COUNTER} = :next, {CHECKPOINT} = :to, {UPDATED_AT} = :now");
        let mut update = self.update(&next.key);
        if let Some(owner) = &next.owner {
            set.push_str(&format!(", {OWNER} = :owner"));
            update = update.expression_attribute_values(":owner", text(owner));
        }
        if let Some(read_up_to) = next.position.read_up_to {
            set.push_str(&format!(", {READ_UP_TO} = :read"));
            update = update.expression_attribute_values(":read", text(&read_up_to.to_string()));
        }
        if next.owner.is_none() {
            set.push_str(&format!(" REMOVE {OWNER}"));
        }
        let update = match before {
            None => update.condition_expression(format!("attribute_not_exists({KEY})")),
            Some(before) => update
                .condition_expression(format!("{COUNTER} = :before"))
                .expression_attribute_values(":before", number(before.counter)),
        };
        let written = update
            .update_expression(set)
            .expression_attribute_values(":next", number(next.counter))
            .expression_attribute_values(":to", text(&next.position.checkpoint))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = written else { return Ok(next) };
        let Some(UpdateItemError::ConditionalCheckFailedException(failed)) =
            error.as_service_error()
        else {
            return Err(LeaseError::Write(Box::new(error)));
        };
        let found = failed.item().map(|item| lease_from(item).ok_or_else(|| form(item)));
        existing_lease(found.transpose()?, &next, &self.name)
    }

    async fn write_heartbeat(&self, stream: &str) -> Result<(), LeaseError> {
        let sign = self.update(&heartbeat_key(stream, &self.name)).update_expression(format!(
            "SET {OWNER} = :me, {COUNTER} = if_not_exists({COUNTER}, :zero) + :one, \
             {UPDATED_AT} = :now"
        ));
        let sign = sign
            .expression_attribute_values(":me", text(&self.name))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1));
        sign.send().await.map_err(|error| LeaseError::Write(Box::new(error)))?;
        Ok(())
    }

    async fn leave(&self, stream: &str) -> Result<(), LeaseError> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete.key(KEY, text(&heartbeat_key(stream, &self.name)));
        delete.send().await.map_err(|error| LeaseError::Forget(Box::new(error)))?;
        Ok(())
    }

    async fn forget(&self, key: &str, counter: u64) -> Result<(), LeaseError> {
        let delete = self.client.delete_item().table_name(&self.table).key(KEY, text(key));
        let delete = delete
            .condition_expression(format!("{COUNTER} = :counter"))
            .expression_attribute_values(":counter", number(counter));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(LeaseError::Forget(Box::new(error))),
            },
        }
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn text_of(item: &Item, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

fn counter_of(item: &Item) -> Option<u64> {
    item.get(COUNTER)?.as_n().ok()?.parse().ok()
}

fn form(item: &Item) -> LeaseError {
    LeaseError::Form(text_of(item, KEY).unwrap_or_default())
}

fn lease_from(item: &Item) -> Option<Lease> {
    Some(Lease {
        key: text_of(item, KEY)?,
        owner: text_of(item, OWNER),
        counter: counter_of(item)?,
        position: StoredPosition {
            checkpoint: text_of(item, CHECKPOINT)?,
            read_up_to: text_of(item, READ_UP_TO).and_then(|at| at.parse().ok()),
        },
    })
}

fn heartbeat_from(stream: &str, item: &Item) -> Option<RelayHeartbeat> {
    let (key, relay) = (text_of(item, KEY)?, text_of(item, OWNER)?);
    (key == heartbeat_key(stream, &relay)).then_some(())?;
    Some(RelayHeartbeat { key, relay, counter: counter_of(item)? })
}
