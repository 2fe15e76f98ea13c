//! The whole payments table against the item contract: items that were stored before a relay
//! checked them, and those whose records the stream has lost. A scan finds what no index shows.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::ItemAttributes;
use super::attribute;
use super::contract::{Breach, check_keys, check_new, check_own};
use super::error::PaymentsError;
use super::keys::{is_blob, reference_from};
use super::stored_payment::StoredPayment;
use super::table::{Cursor, PaymentsTable, SCAN_PAGE};
use domain::{Failure, FailureCode, Payment, PaymentRef, Status};

/// An item that breaks the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Its partition key and sort key, as they are stored.
    pub keys: (String, String),
    /// Its status, if it has one.
    pub status: Option<Status>,
    /// What is wrong with it.
    pub failure: Failure,
    /// The payment, if it reads as one.
    pub payment: Option<Payment>,
    /// Where it lies and how often it was attempted, if it waits and may be withheld.
    pub withheld_at: Option<(PaymentRef, u32)>,
    /// The item itself.
    pub item: HashMap<String, AttributeValue>,
}

/// A page of an audit.
#[derive(Debug)]
pub struct AuditPage {
    /// Items that were looked at, without those of blobs.
    pub items: u64,
    /// What breaks the contract.
    pub violations: Vec<Violation>,
    /// Where the next page starts; `None` when nothing follows.
    pub next: Option<Cursor>,
}

impl PaymentsTable {
    /// One page of one of `segments` equal parts of the table, judged as of `now`. Read
    /// consistently, at the price of everything in it.
    ///
    /// # Errors
    /// [`PaymentsError::Scan`] when the call fails.
    pub async fn audit_page(
        &self,
        (segment, segments): (u16, u16),
        cursor: Option<Cursor>,
        now: Timestamp,
    ) -> Result<AuditPage, PaymentsError> {
        let output = self
            .client
            .scan()
            .table_name(&self.name)
            .segment(segment.into())
            .total_segments(segments.into())
            .consistent_read(true)
            .limit(SCAN_PAGE)
            .set_exclusive_start_key(cursor.map(|cursor| cursor.0))
            .send()
            .await
            .map_err(|error| PaymentsError::Scan(Box::new(error)))?;
        let mut audited = AuditPage { items: 0, violations: Vec::new(), next: None };
        for item in output.items() {
            if !is_blob(item) {
                audited.items += 1;
                audited.violations.extend(violation(item, self.due_shards, now));
            }
        }
        audited.next = output.last_evaluated_key.map(Cursor);
        Ok(audited)
    }
}

/// What an item of the table says against the contract: pure.
fn violation(
    item: &HashMap<String, AttributeValue>,
    shards: u16,
    now: Timestamp,
) -> Option<Violation> {
    let status = item.text(attribute::STATUS).and_then(|text| text.parse::<Status>().ok());
    let (failure, payment) = match StoredPayment::from_item(item) {
        // It is known already, and waits for a person.
        Ok(stored) if stored.failure.as_ref().is_some_and(is_known) => return None,
        Err(_) if is_marked(item, status) => return None,
        Err(error) => (Failure::new(FailureCode::MalformedRecord, error.to_string()), None),
        Ok(stored) => {
            let breach = breach(item, &stored, shards, now)?;
            let code = match &breach {
                Breach::Own(attribute::EXPIRES_AT) => FailureCode::InvalidItem,
                Breach::Own(_) | Breach::WithoutOwn(_) => FailureCode::Overwritten,
                Breach::Key { .. }
                | Breach::Attempts(_)
                | Breach::Status(_)
                | Breach::Ahead { .. }
                | Breach::Currency(_)
                | Breach::Updated { .. } => FailureCode::InvalidItem,
            };
            (Failure::new(code, breach.to_string()), Some(stored.payment))
        }
    };
    let attempts = item.digits(attribute::ATTEMPTS).and_then(|digits| digits.parse().ok());
    let waits = status == Some(Status::Scheduled);
    let withheld_at = reference_from(item).ok().zip(attempts).filter(|_| waits);
    let key = |name| item.text(name).unwrap_or_default().to_owned();
    let keys = (key(attribute::PK), key(attribute::SK));
    Some(Violation { keys, status, failure, payment, withheld_at, item: item.clone() })
}

fn breach(
    item: &HashMap<String, AttributeValue>,
    stored: &StoredPayment,
    shards: u16,
    now: Timestamp,
) -> Option<Breach> {
    match stored.status {
        Status::Scheduled if stored.attempts == 0 => check_new(item, stored, shards, now).err(),
        Status::Scheduled | Status::Pending => check_keys(item, &stored.payment, shards)
            .and_then(|()| check_own(item, stored.status))
            .err(),
        // The archive looks for it by its keys.
        Status::Processed | Status::Failed => check_keys(item, &stored.payment, shards).err(),
        Status::Cancelled => None,
    }
}

fn is_known(failure: &Failure) -> bool {
    match failure.code {
        FailureCode::InvalidItem | FailureCode::Overwritten | FailureCode::MalformedRecord => true,
        FailureCode::Rejected
        | FailureCode::Refused
        | FailureCode::MalformedMessage
        | FailureCode::Mismatch
        | FailureCode::Missing
        | FailureCode::Conflict
        | FailureCode::Exhausted
        | FailureCode::Unknown => false,
    }
}

/// An item that does not read, and that a relay has made FAILED for that.
fn is_marked(item: &HashMap<String, AttributeValue>, status: Option<Status>) -> bool {
    let malformed = Some(FailureCode::MalformedRecord.as_str());
    status == Some(Status::Failed) && item.text(attribute::FAILURE_CODE) == malformed
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
