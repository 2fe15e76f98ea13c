//! What a stream record means: pure.

use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record};
use serde_json::{Value, json};
use shared::domain::{DueDate, Payment, Status};
use shared::payments::{Attributes, StoredPayment, attribute};
use std::collections::HashMap;

/// What is to be done with a record.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// A scheduled payment that is due: into the queue.
    Forward(Box<Payment>),
    /// Nothing to do.
    Skip(Skipped),
    /// No payment, though it should be one: to the dead-letter queue.
    Malformed {
        /// What is wrong.
        reason: String,
    },
}

/// Why there is nothing to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// Due on a later day: the opening of that day forwards it, because it was inserted before
    /// the day began.
    NotDue,
    /// A change or removal, or an item that is not SCHEDULED: dueflow's own writes.
    NotNew,
}

impl Skipped {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::NotNew => "not_new",
        }
    }
}

struct Image<'a>(&'a HashMap<String, AttributeValue>);

impl Attributes for Image<'_> {
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

/// Judges a record as of the bank's `today`.
pub(crate) fn judge(record: &Record, today: DueDate) -> Verdict {
    if record.event_name != Some(OperationType::Insert) {
        return Verdict::Skip(Skipped::NotNew);
    }
    let Some(image) = record.dynamodb().and_then(|change| change.new_image()) else {
        return Verdict::Malformed { reason: "the record has no new image".to_owned() };
    };
    let image = Image(image);
    match image.text(attribute::STATUS).map(str::parse) {
        Some(Ok(Status::Scheduled)) => {}
        Some(Ok(Status::Pending | Status::Processed | Status::Failed | Status::Cancelled)) => {
            return Verdict::Skip(Skipped::NotNew);
        }
        Some(Err(error)) => {
            return Verdict::Malformed { reason: error.to_string() };
        }
        None => {
            return Verdict::Malformed { reason: "the item has no Status".to_owned() };
        }
    }
    // The whole item, not only the payment: what cannot be claimed must not be queued, where
    // it would hold up its account.
    match StoredPayment::from_item(&image) {
        Ok(stored) if stored.payment.due <= today => Verdict::Forward(Box::new(stored.payment)),
        Ok(_) => Verdict::Skip(Skipped::NotDue),
        Err(error) => Verdict::Malformed { reason: error.to_string() },
    }
}

/// The record in `DynamoDB`'s own JSON, whole, for the dead-letter queue.
pub(crate) fn as_json(record: &Record) -> Value {
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
mod tests {
    use super::*;
    use aws_sdk_dynamodbstreams::types::StreamRecord;

    fn image() -> HashMap<String, AttributeValue> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        [
            ("AccountID", text("ACC-1")),
            ("PaymentID", text("019ab1f4-5c1e-7d3a-8b2f-0123456789ab")),
            ("ScheduledDate", text("2026-11-23")),
            ("Status", text("SCHEDULED")),
            ("Amount", AttributeValue::N("1250".to_owned())),
            ("Currency", text("EUR")),
            ("BeneficiaryID", text("BEN-1")),
            ("TraceKey", text("019ab1f4-0000-7000-8000-000000000001")),
            ("CreatedAt", text("2026-11-23T01:00:00.123Z")),
            ("UpdatedAt", text("2026-11-23T01:00:00.123Z")),
            ("Attempts", AttributeValue::N("0".to_owned())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn record(event: OperationType, image: HashMap<String, AttributeValue>) -> Record {
        let change = StreamRecord::builder()
            .set_new_image(Some(image))
            .sequence_number("100000000000000000001");
        Record::builder().event_name(event).dynamodb(change.build()).build()
    }

    fn on(day: &str) -> DueDate {
        day.parse().unwrap()
    }

    #[test]
    fn an_insert_that_is_due_or_overdue_is_forwarded() {
        for day in ["2026-11-23", "2026-11-24"] {
            let verdict = judge(&record(OperationType::Insert, image()), on(day));
            assert!(matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
        }
    }

    #[test]
    fn an_insert_for_a_later_day_is_left_for_that_day() {
        let verdict = judge(&record(OperationType::Insert, image()), on("2026-11-22"));
        assert!(matches!(verdict, Verdict::Skip(Skipped::NotDue)));
    }

    #[test]
    fn dueflows_own_updates_are_skipped() {
        for event in [OperationType::Modify, OperationType::Remove] {
            let verdict = judge(&record(event, image()), on("2026-11-23"));
            assert!(matches!(verdict, Verdict::Skip(Skipped::NotNew)));
        }
    }

    #[test]
    fn an_insert_that_is_no_payment_is_malformed_and_kept_whole() {
        let mut blob_is_a_map = image();
        blob_is_a_map.insert("DataBlob".to_owned(), AttributeValue::M(HashMap::new()));
        let verdict = judge(&record(OperationType::Insert, blob_is_a_map), on("2026-11-23"));
        assert!(matches!(verdict, Verdict::Malformed { .. }), "{verdict:?}");
        for name in ["Status", "Amount", "AccountID", "PaymentID", "Attempts", "UpdatedAt"] {
            let mut broken = image();
            broken.insert(name.to_owned(), AttributeValue::S("n#nsense".to_owned()));
            let record = record(OperationType::Insert, broken);
            let Verdict::Malformed { reason } = judge(&record, on("2026-11-23")) else {
                panic!("{name} was accepted");
            };
            assert!(!reason.is_empty());
            let json = as_json(&record);
            assert_eq!(json["dynamodb"]["NewImage"][name]["S"], "n#nsense");
            assert_eq!(json["dynamodb"]["NewImage"]["Currency"]["S"], "EUR");
        }
    }
}
