//! The table of the action log. It is only ever added to: each entry is inserted under a key that
//! must be free, and nothing here changes or deletes one.

use std::collections::HashMap;
use std::fmt;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum as Code, BatchStatementRequest,
};
use shared::resources::actions::DAY;
use shared::retry;

use super::entry::ActionEntry;

/// Most statements in one `BatchExecuteStatement` (`DynamoDB` API reference).
const MAX_STATEMENTS: usize = 25;

/// An entry that may not have been written.
#[derive(Debug, thiserror::Error)]
#[error("writing the action log {table} (`dueflow setup` makes it): {reason}")]
pub(crate) struct ActionLogError {
    pub(super) table: String,
    pub(super) reason: String,
}

/// Where entries are put.
#[async_trait]
pub(super) trait ActionStore: fmt::Debug + Send + Sync {
    /// Puts entries, all of them or an error.
    async fn put(&self, entries: &[ActionEntry]) -> Result<(), ActionLogError>;
}

/// The table.
#[derive(Debug, Clone)]
pub(super) struct ActionsTable {
    client: Client,
    name: String,
}

/// Where the next page of a day starts.
type PageKey = HashMap<String, AttributeValue>;

impl ActionsTable {
    /// The log in the table `name`.
    pub(super) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Entries of a day, the last first.
    pub(super) async fn page(
        &self,
        day: &str,
        from: Option<PageKey>,
    ) -> anyhow::Result<(Vec<ActionEntry>, Option<PageKey>)> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression(format!("{DAY} = :day"))
            .expression_attribute_values(":day", AttributeValue::S(day.to_owned()))
            .scan_index_forward(false)
            .set_exclusive_start_key(from);
        let output = query.send().await?;
        let entries = output.items().iter().map(ActionEntry::from_item);
        let entries = entries.collect::<Result<_, _>>()?;
        Ok((entries, output.last_evaluated_key))
    }

    fn failed(&self, reason: String) -> ActionLogError {
        ActionLogError { table: self.name.clone(), reason }
    }

    fn statement(&self, entry: &ActionEntry) -> BatchStatementRequest {
        let (names, values): (Vec<_>, Vec<_>) = entry.attributes().into_iter().unzip();
        let names: Vec<_> = names.iter().map(|name| format!("'{name}':?")).collect();
        let text = format!(r#"INSERT INTO "{}" VALUE {{{}}}"#, self.name, names.join(","));
        let request = BatchStatementRequest::builder().statement(text);
        let request = request.set_parameters(Some(values)).build();
        request.unwrap_or_else(|_| unreachable!("the statement is set"))
    }

    /// Sends statements, and returns those that were not taken, with the last reason.
    async fn insert(
        &self,
        statements: Vec<BatchStatementRequest>,
    ) -> Result<(Vec<BatchStatementRequest>, String), ActionLogError> {
        let request = self.client.batch_execute_statement();
        let request = request.set_statements(Some(statements.clone()));
        let output = request.send().await;
        let output = output.map_err(|error| self.failed(DisplayErrorContext(error).to_string()))?;
        if output.responses().len() != statements.len() {
            return Err(self.failed("not as many results as entries".to_owned()));
        }
        let (mut left, mut last) = (Vec::new(), String::new());
        for (statement, response) in statements.into_iter().zip(output.responses()) {
            match &response.error {
                None => {}
                // An id is drawn once: it was written before, and the answer was lost.
                Some(error) if error.code == Some(Code::DuplicateItem) => {}
                Some(error) => {
                    last = format!("{:?}: {}", error.code, error.message().unwrap_or_default());
                    left.push(statement);
                }
            }
        }
        Ok((left, last))
    }
}

#[async_trait]
impl ActionStore for ActionsTable {
    async fn put(&self, entries: &[ActionEntry]) -> Result<(), ActionLogError> {
        for some in entries.chunks(MAX_STATEMENTS) {
            let mut open: Vec<_> = some.iter().map(|entry| self.statement(entry)).collect();
            let mut pauses = retry::TABLE_STATEMENTS.pauses();
            loop {
                let (left, reason) = self.insert(open).await?;
                match (left.is_empty(), pauses.next()) {
                    (true, _) => break,
                    (false, Some(pause)) => tokio::time::sleep(pause).await,
                    (false, None) => return Err(self.failed(reason)),
                }
                open = left;
            }
        }
        Ok(())
    }
}
