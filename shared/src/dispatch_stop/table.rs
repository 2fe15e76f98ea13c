//! The stop as an item of the table `control`. It is there, or not: being there is the stop.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::{DispatchStop, DispatchStops, LiftResult, StopError, StopId};
use crate::resources::control::KEY;

/// The value of `ControlKey`.
const STOP: &str = "dispatch-stop";
const ID: &str = "StopId";
const CAUSE: &str = "StopCause";
const REASON: &str = "StopReason";
const BY: &str = "StoppedBy";
const AT: &str = "StoppedAt";
const COUNT: &str = "StopCount";

type Item = HashMap<String, AttributeValue>;

/// The table.
#[derive(Debug, Clone)]
pub struct StopTable {
    client: Client,
    table: String,
}

impl StopTable {
    /// The stop in `table`. Calls of the client should end soon: dispatching waits for them.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    fn stop_from(&self, item: &Item) -> Result<DispatchStop, StopError> {
        Ok(DispatchStop {
            id: self.parsed(item, ID)?,
            cause: self.parsed(item, CAUSE)?,
            reason: self.text(item, REASON)?.to_owned(),
            by: self.text(item, BY)?.to_owned(),
            at: self.parsed(item, AT)?,
            count: item
                .get(COUNT)
                .and_then(|count| count.as_n().ok()?.parse().ok())
                .ok_or_else(|| self.form(COUNT))?,
        })
    }

    fn text<'a>(&self, item: &'a Item, name: &'static str) -> Result<&'a str, StopError> {
        let text = item.get(name).and_then(|value| value.as_s().ok());
        text.map(String::as_str).ok_or_else(|| self.form(name))
    }

    fn parsed<T: std::str::FromStr>(
        &self,
        item: &Item,
        name: &'static str,
    ) -> Result<T, StopError> {
        self.text(item, name)?.parse().map_err(|_| self.form(name))
    }

    fn form(&self, attribute: &'static str) -> StopError {
        StopError::Form { table: self.table.clone(), attribute }
    }

    fn store(&self, reason: String) -> StopError {
        StopError::Store { table: self.table.clone(), reason }
    }
}

fn text(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

#[async_trait]
impl DispatchStops for StopTable {
    async fn read(&self) -> Result<Option<DispatchStop>, StopError> {
        let get = self.client.get_item().table_name(&self.table).key(KEY, text(STOP));
        let output = get.consistent_read(true).send().await.map_err(|error| StopError::Read {
            table: self.table.clone(),
            reason: DisplayErrorContext(error).to_string(),
        })?;
        output.item.map(|item| self.stop_from(&item)).transpose()
    }

    async fn place(&self, stop: &DispatchStop) -> Result<DispatchStop, StopError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(KEY, text(STOP))
            .item(ID, text(stop.id))
            .item(CAUSE, text(stop.cause))
            .item(REASON, text(&stop.reason))
            .item(BY, text(&stop.by))
            .item(AT, text(format!("{:.3}", stop.at)))
            .item(COUNT, AttributeValue::N(stop.count.to_string()))
            .condition_expression(format!("attribute_not_exists({KEY})"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(stop.clone()) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let item = failed.item().ok_or_else(|| {
                    self.store("one stands, and the database did not show it".to_owned())
                })?;
                self.stop_from(item)
            }
            _ => Err(self.store(DisplayErrorContext(error).to_string())),
        }
    }

    async fn lift(&self, id: StopId) -> Result<LiftResult, StopError> {
        let delete = self.client.delete_item().table_name(&self.table).key(KEY, text(STOP));
        let delete = delete
            .condition_expression(format!("{ID} = :seen"))
            .expression_attribute_values(":seen", text(id))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = delete.send().await else { return Ok(LiftResult::Now) };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(failed)) => match failed.item() {
                None => Ok(LiftResult::NoneThere),
                Some(item) => Ok(LiftResult::Another(Box::new(self.stop_from(item)?))),
            },
            _ => Err(StopError::Remove {
                table: self.table.clone(),
                reason: DisplayErrorContext(error).to_string(),
            }),
        }
    }
}
