//! The one query of the index `due`.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};

use super::attribute;
use super::keys::due_shard_key;
use super::table::PaymentsTable;
use crate::resources::DUE_INDEX;
use domain::{AccountId, DueDate, Status};

/// Most entries of the index that one page looks at.
pub const DUE_PAGE: u16 = 1000;

/// Entries that one call of a count looks at: a few hundred kilobytes, so that the call ends
/// well within its time limit.
pub(super) const COUNT_PAGE: i32 = 4_000;

/// What of a partition of the index is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum DueRange<'a> {
    /// All of it.
    All,
    /// What lies behind this sort key.
    After(&'a str),
    /// The payments of one account.
    Account(&'a AccountId),
}

/// The filter expression for payments in one of `statuses`, with the values that it names.
pub(super) fn status_filter(statuses: &[Status]) -> (String, Vec<(String, AttributeValue)>) {
    let names = (0..statuses.len()).map(|place| format!(":s{place}"));
    let values = statuses.iter().map(|status| AttributeValue::S(status.to_string()));
    let values: Vec<_> = names.zip(values).collect();
    let names: Vec<_> = values.iter().map(|(name, _)| name.as_str()).collect();
    (format!("#status IN ({})", names.join(", ")), values)
}

impl PaymentsTable {
    /// A query of one day and partition of the index, of payments in one of `statuses`, or in any
    /// when none is named. In the order of account and payment id.
    pub(super) fn due_query(
        &self,
        (day, shard): (DueDate, u16),
        range: DueRange<'_>,
        statuses: &[Status],
    ) -> QueryFluentBuilder {
        let text = AttributeValue::S;
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(DUE_INDEX)
            .expression_attribute_names("#shard", attribute::DUE_SHARD)
            .expression_attribute_values(":shard", text(due_shard_key(day, shard)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let (condition, key) = match range {
            DueRange::All => ("#shard = :shard", None),
            DueRange::After(key) => ("#shard = :shard AND #key > :key", Some(key.to_owned())),
            // No account holds a `#`, so no other account's key begins like this.
            DueRange::Account(account) => {
                ("#shard = :shard AND begins_with(#key, :key)", Some(format!("{account}#")))
            }
        };
        query = query.key_condition_expression(condition);
        if let Some(key) = key {
            query = query
                .expression_attribute_names("#key", attribute::DUE_KEY)
                .expression_attribute_values(":key", text(key));
        }
        if !statuses.is_empty() {
            let (filter, values) = status_filter(statuses);
            query = query
                .filter_expression(filter)
                .expression_attribute_names("#status", attribute::STATUS);
            for (name, value) in values {
                query = query.expression_attribute_values(name, value);
            }
        }
        query
    }
}
