//! What a stream record means: pure.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record};
use domain::{DueDate, Failure, FailureCode, Payment, PaymentRef, Status, StatusError};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::payments::contract::{check_new, check_own};
use shared::payments::{ItemAttributes, StoredPayment, attribute, is_blob, reference_from};

use crate::labels::SkipReason;

/// What is to be done with a record.
#[derive(Debug)]
pub(crate) enum RecordAction {
    /// A scheduled payment that is due: into the queue.
    Forward(Box<Payment>),
    /// Nothing to do.
    Skip(SkipReason),
    /// No payment, or one that another program must not have written so: to the dead-letter
    /// queue, and not to be paid.
    DeadLetter(Box<RecordFault>),
    /// An item was deleted before it could have ended.
    Removed(PaymentRef),
}

/// What is wrong with an item, and what can be done about it.
#[derive(Debug)]
pub(crate) struct RecordFault {
    /// Why it goes to the dead-letter queue.
    pub(crate) failure: Failure,
    /// The attribute that is wrong, where it is known: what a log may say.
    pub(crate) attribute: &'static str,
    /// The payment, if it reads as one.
    pub(crate) payment: Option<Payment>,
    /// Which item is to become FAILED, if its keys can be named and its status allows it.
    pub(crate) mark: Option<ItemToFail>,
}

/// An item that must not be paid before a person has decided, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemToFail {
    /// By the keys of the item as they are stored.
    pub(crate) reference: PaymentRef,
    /// Its status then, and its attempts: whatever dueflow has done since is not undone.
    pub(crate) seen: ObservedStatus,
}

/// The status of an item when its record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObservedStatus {
    /// SCHEDULED after so many attempts.
    Scheduled(u32),
    /// PENDING after so many attempts.
    Pending(u32),
}

/// An image of a record.
pub(crate) struct RecordImage<'a>(pub(crate) &'a HashMap<String, AttributeValue>);

impl ItemAttributes for RecordImage<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    fn digits(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_n().ok().map(String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// What records are classified by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordRules {
    /// The bank's day.
    pub(crate) today: DueDate,
    /// Partitions of the index `due`.
    pub(crate) shards: u16,
    /// The time, for a record that does not say when it was written.
    pub(crate) now: Timestamp,
}

/// Classifies a record.
pub(crate) fn classify(record: &Record, standard: RecordRules) -> RecordAction {
    let change = record.dynamodb();
    if record.event_name == Some(OperationType::Remove) {
        return removed(change.and_then(|change| change.keys()), standard.today);
    }
    let Some(image) = change.and_then(|change| change.new_image()) else {
        return malformed("the record has no new image".to_owned(), "NewImage");
    };
    let image = RecordImage(image);
    if is_blob(&image) {
        return RecordAction::Skip(SkipReason::Blob);
    }
    let status = match image.text(attribute::STATUS).map(str::parse) {
        Some(Ok(status)) => status,
        Some(Err(error)) => {
            let error: StatusError = error;
            return malformed(error.to_string(), attribute::STATUS);
        }
        None => return malformed("the item has no Status".to_owned(), attribute::STATUS),
    };
    if record.event_name == Some(OperationType::Insert) {
        inserted(&image, status, written_at(record).unwrap_or(standard.now), standard)
    } else {
        changed(&image, status)
    }
}

/// A new item: the whole of it is checked, days before it is due. What cannot be claimed must
/// not be queued, where it would hold up its account, and what no scan would find must not wait
/// in silence.
fn inserted(
    image: &RecordImage<'_>,
    status: Status,
    at: Timestamp,
    standard: RecordRules,
) -> RecordAction {
    match status {
        // PENDING would be asked for, and then paid, whenever it is due.
        Status::Scheduled | Status::Pending => {}
        // Somebody's copy, which nothing pays.
        Status::Processed | Status::Failed | Status::Cancelled => {
            return RecordAction::Skip(SkipReason::NotNew);
        }
    }
    let stored = match StoredPayment::from_item(image) {
        Ok(stored) => stored,
        Err(error) => {
            let failure = Failure::new(FailureCode::MalformedRecord, error.to_string());
            return unfit(image, status, failure, error.attribute(), None);
        }
    };
    match check_new(image, &stored, standard.shards, at) {
        Ok(()) if stored.payment.due <= standard.today => {
            RecordAction::Forward(Box::new(stored.payment))
        }
        Ok(()) => RecordAction::Skip(SkipReason::NotDue),
        Err(breach) => {
            let failure = Failure::new(FailureCode::InvalidItem, breach.to_string());
            unfit(image, status, failure, breach.attribute(), Some(stored.payment))
        }
    }
}

/// A change of an item: dueflow's own, or another program has written over a payment (ADR-15).
fn changed(image: &RecordImage<'_>, status: Status) -> RecordAction {
    let Err(breach) = check_own(image, status) else {
        return RecordAction::Skip(SkipReason::NotNew);
    };
    let reason = format!("written over as {status} by another program: {breach}");
    let failure = Failure::new(FailureCode::Overwritten, reason);
    let payment = StoredPayment::from_item(image).ok().map(|stored| stored.payment);
    unfit(image, status, failure, breach.attribute(), payment)
}

/// An item is gone. The archive takes days that are over; a payment of today or of a day ahead
/// has been deleted by another program. (The stream holds no old image that would say more.)
fn removed(keys: Option<&HashMap<String, AttributeValue>>, today: DueDate) -> RecordAction {
    match keys.map(|keys| reference_from(&RecordImage(keys))) {
        Some(Ok(reference)) if reference.due >= today => RecordAction::Removed(reference),
        Some(Ok(_) | Err(_)) | None => RecordAction::Skip(SkipReason::NotNew),
    }
}

fn unfit(
    image: &RecordImage<'_>,
    status: Status,
    failure: Failure,
    attribute: &'static str,
    payment: Option<Payment>,
) -> RecordAction {
    let attempts = image.digits(attribute::ATTEMPTS).and_then(|digits| digits.parse().ok());
    let seen = attempts.and_then(|attempts| match status {
        Status::Scheduled => Some(ObservedStatus::Scheduled(attempts)),
        Status::Pending => Some(ObservedStatus::Pending(attempts)),
        Status::Processed | Status::Failed | Status::Cancelled => None,
    });
    let reference = reference_from(image).ok();
    let mark = reference.zip(seen).map(|(reference, seen)| ItemToFail { reference, seen });
    RecordAction::DeadLetter(Box::new(RecordFault { failure, attribute, payment, mark }))
}

fn malformed(reason: String, attribute: &'static str) -> RecordAction {
    let failure = Failure::new(FailureCode::MalformedRecord, reason);
    RecordAction::DeadLetter(Box::new(RecordFault {
        failure,
        attribute,
        payment: None,
        mark: None,
    }))
}

/// When the stream took in a record, to the second.
pub(crate) fn written_at(record: &Record) -> Option<Timestamp> {
    let at = record.dynamodb()?.approximate_creation_date_time()?;
    Timestamp::from_second(at.secs()).ok()
}

/// The record in `DynamoDB`'s own JSON, whole, for the dead-letter queue.
pub(crate) fn record_json(record: &Record) -> Value {
    let change = record.dynamodb();
    json!({
        "eventID": record.event_id(),
        "eventName": record.event_name().map(OperationType::as_str),
        "dynamodb": {
            "Keys": change.and_then(|change| change.keys()).map(map_json),
            "NewImage": change.and_then(|change| change.new_image()).map(map_json),
            "SequenceNumber": change.and_then(|change| change.sequence_number()),
        },
    })
}

fn map_json(map: &HashMap<String, AttributeValue>) -> Value {
    map.iter().map(|(name, value)| (name.clone(), value_json(value))).collect()
}

fn value_json(value: &AttributeValue) -> Value {
    let hex = |blob: &aws_sdk_dynamodbstreams::primitives::Blob| -> String {
        blob.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(digits) => json!({ "NS": digits }),
        AttributeValue::L(values) => {
            json!({ "L": values.iter().map(value_json).collect::<Vec<_>>() })
        }
        AttributeValue::M(map) => json!({ "M": map_json(map) }),
        AttributeValue::B(blob) => json!({ "B (hex)": hex(blob) }),
        AttributeValue::Bs(blobs) => {
            json!({ "BS (hex)": blobs.iter().map(hex).collect::<Vec<_>>() })
        }
        other => json!({ "unknown type": format!("{other:?}") }),
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
