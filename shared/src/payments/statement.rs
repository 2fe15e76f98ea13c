//! The `PartiQL` statements behind each write, made once per table.
//!
//! Up to 25 of them travel in one `BatchExecuteStatement`; each stands alone, with its own
//! condition and its own result (ADR-5).

use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementRequest, ReturnValuesOnConditionCheckFailure,
};
use jiff::Timestamp;

use super::item::{new_item, partition_key, sort_key, time_text};
use crate::domain::{Event, Failure, Payment, PaymentRef, Settlement};

/// A change of one payment: the event, with what it writes.
#[derive(Debug, Clone)]
pub enum Change<'a> {
    /// SCHEDULED → PENDING, provided that the table holds the same instruction as the
    /// message: the queue is never the source of truth for money.
    Claim(&'a Payment),
    /// PENDING → PROCESSED.
    Settle(&'a PaymentRef, &'a Settlement),
    /// PENDING → FAILED.
    Fail(&'a PaymentRef, &'a Failure),
}

impl Change<'_> {
    /// The event this change writes down.
    #[must_use]
    pub fn event(&self) -> Event {
        match self {
            Self::Claim(_) => Event::Claim,
            Self::Settle(..) => Event::Settle,
            Self::Fail(..) => Event::Fail,
        }
    }

    fn reference(&self) -> PaymentRef {
        match self {
            Self::Claim(payment) => payment.reference(),
            Self::Settle(reference, _) | Self::Fail(reference, _) => (*reference).clone(),
        }
    }
}

/// The texts of the statements for one table.
#[derive(Debug)]
pub(super) struct Statements {
    table: String,
    claim: String,
    claim_with_data: String,
    settle: String,
    fail: String,
}

impl Statements {
    pub(super) fn new(table: &str) -> Self {
        let update = |event: Event, sets: &str, and: &str| {
            let (from, to) = event.edge();
            format!(
                r#"UPDATE "{table}" SET "Status"='{to}' SET "UpdatedAt"=?{sets} WHERE "PK"=? AND "SK"=? AND "Status"='{from}'{and}"#
            )
        };
        // A quoted name is no operand: arithmetic takes bare names only.
        let claim = |data: &str| {
            let same = r#" AND "Amount"=? AND "Currency"=? AND "BeneficiaryID"=? AND "#;
            update(Event::Claim, " SET Attempts=Attempts+1", &format!("{same}{data}"))
        };
        Self {
            claim: claim(r#""DataBlob" IS MISSING"#),
            claim_with_data: claim(r#""DataBlob"=?"#),
            settle: update(Event::Settle, r#" SET "TransactionID"=? SET "SettledAt"=?"#, ""),
            fail: update(Event::Fail, r#" SET "FailureCode"=? SET "FailureReason"=?"#, ""),
            table: table.to_owned(),
        }
    }

    /// The statement that makes `change` at `now`. A failed condition returns the item, so
    /// that nothing has to be read.
    pub(super) fn change(&self, change: &Change<'_>, now: Timestamp) -> BatchStatementRequest {
        let text = |value: String| AttributeValue::S(value);
        let (statement, sets, and) = match change {
            Change::Claim(payment) => {
                let mut same = vec![
                    AttributeValue::N(payment.amount.to_string()),
                    text(payment.currency.to_string()),
                    text(payment.beneficiary.to_string()),
                ];
                same.extend(payment.data.iter().map(|data| text(data.as_str().to_owned())));
                let with_data = payment.data.is_some();
                (if with_data { &self.claim_with_data } else { &self.claim }, vec![], same)
            }
            Change::Settle(_, settlement) => (
                &self.settle,
                vec![
                    text(settlement.transaction_id.clone()),
                    text(time_text(settlement.settled_at)),
                ],
                vec![],
            ),
            Change::Fail(_, failure) => (
                &self.fail,
                vec![text(failure.code.to_string()), text(failure.reason.clone())],
                vec![],
            ),
        };
        let reference = change.reference();
        let mut parameters = vec![text(time_text(now))];
        parameters.extend(sets);
        parameters.push(text(partition_key(&reference.account)));
        parameters.push(text(sort_key(&reference)));
        parameters.extend(and);
        request(statement.clone(), parameters)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .unwrap_or_else(|_| unreachable!("the statement is set"))
    }

    /// The statement that inserts `payment` if its key is free.
    pub(super) fn insert(&self, payment: &Payment, shards: u16) -> BatchStatementRequest {
        let item = new_item(payment, shards);
        let names: Vec<_> = item.iter().map(|(name, _)| format!("'{name}':?")).collect();
        let statement = format!(r#"INSERT INTO "{}" VALUE {{{}}}"#, self.table, names.join(","));
        request(statement, item.into_iter().map(|(_, value)| value).collect())
            .build()
            .unwrap_or_else(|_| unreachable!("the statement is set"))
    }
}

fn request(
    statement: String,
    parameters: Vec<AttributeValue>,
) -> aws_sdk_dynamodb::types::builders::BatchStatementRequestBuilder {
    BatchStatementRequest::builder().statement(statement).set_parameters(Some(parameters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::attribute;

    /// A change that wrote one of these would cost three units in the index instead of one.
    const INDEX_KEYS: [&str; 2] = [attribute::DUE_SHARD, attribute::DUE_KEY];

    #[test]
    fn conditions_come_from_the_transition_function() {
        let statements = Statements::new("dueflow-payments");
        assert!(statements.claim.contains(r#"SET "Status"='PENDING'"#));
        assert!(statements.claim.contains(r#"AND "Status"='SCHEDULED'"#));
        assert!(statements.settle.contains(r#"AND "Status"='PENDING'"#));
        assert!(statements.fail.contains(r#"AND "Status"='PENDING'"#));
    }

    #[test]
    fn no_change_of_status_writes_a_key_of_the_index() {
        let statements = Statements::new("dueflow-payments");
        let Statements { claim, claim_with_data, settle, fail, .. } = statements;
        for statement in [claim, claim_with_data, settle, fail] {
            for key in INDEX_KEYS {
                assert!(!statement.contains(key), "{statement} writes {key}");
            }
        }
    }
}
