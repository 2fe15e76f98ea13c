//! How many payments of a day are in which status: the index `due` counts them, so that no
//! payment is read.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, Select};

use super::attribute;
use super::due_index::COUNT_PAGE;
use super::error::PaymentsError;
use super::keys::due_shard_key;
use super::table::{Cursor, PaymentsTable};
use crate::resources::DUE_INDEX;
use crate::telemetry::calls;
use domain::{AccountId, DueDate, Status};

impl PaymentsTable {
    /// Counts, in one page of one partition of the index `due` (4,000 entries), the
    /// payments that were in one of `statuses` a moment ago, of all accounts or of one. `None`
    /// as the next cursor ends them. `statuses` must not be empty.
    ///
    /// # Errors
    /// [`PaymentsError::Due`] when the call fails.
    pub async fn count_page(
        &self,
        (day, shard): (DueDate, u16),
        account: Option<&AccountId>,
        statuses: &[Status],
        cursor: Option<Cursor>,
    ) -> Result<(u64, Option<Cursor>), PaymentsError> {
        let names: Vec<String> = (0..statuses.len()).map(|place| format!(":s{place}")).collect();
        let mut request = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(DUE_INDEX)
            .select(Select::Count)
            .filter_expression(format!("#status IN ({})", names.join(", ")))
            .expression_attribute_names("#shard", attribute::DUE_SHARD)
            .expression_attribute_names("#status", attribute::STATUS)
            .expression_attribute_values(":shard", AttributeValue::S(due_shard_key(day, shard)));
        for (name, status) in names.into_iter().zip(statuses) {
            let status = AttributeValue::S(status.to_string());
            request = request.expression_attribute_values(name, status);
        }
        request = match account {
            None => request.key_condition_expression("#shard = :shard"),
            // No account holds a `#`, so no other account's key begins like this.
            Some(account) => request
                .key_condition_expression("#shard = :shard AND begins_with(#key, :account)")
                .expression_attribute_names("#key", attribute::DUE_KEY)
                .expression_attribute_values(":account", AttributeValue::S(format!("{account}#"))),
        };
        let output = request
            .limit(COUNT_PAGE)
            .set_exclusive_start_key(cursor.map(|cursor| cursor.0))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| PaymentsError::Due(Box::new(error)))?;
        calls::read("count", output.consumed_capacity());
        let counted = u64::try_from(output.count()).unwrap_or_default();
        Ok((counted, output.last_evaluated_key.map(Cursor)))
    }
}
