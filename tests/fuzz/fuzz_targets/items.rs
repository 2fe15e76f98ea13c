//! Items of the payments table, as a writer may put them: the item of the contract with some
//! attributes changed, absent, or of another type.

#![no_main]

use std::collections::HashMap;

use arbitrary::Arbitrary;
use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, StreamRecord};
use libfuzzer_sys::fuzz_target;
use domain::{Amount, DueDate, Payment};
use stream_relay::fuzzing::{ClassifiedRecord, classify};

const RIGHT: [(&str, &str); 16] = [
    ("PK", "ACCOUNT#ACC-1"),
    ("SK", "2026-11-23#019ab1f4-5c1e-7d3a-8b2f-0123456789ab"),
    ("DueShard", "2026-11-23#08"),
    ("DueKey", "ACC-1#019ab1f4-5c1e-7d3a-8b2f-0123456789ab"),
    ("AccountID", "ACC-1"),
    ("PaymentID", "019ab1f4-5c1e-7d3a-8b2f-0123456789ab"),
    ("ScheduledDate", "2026-11-23"),
    ("Status", "SCHEDULED"),
    ("Amount", "1250"),
    ("Currency", "EUR"),
    ("BeneficiaryID", "BEN-1"),
    ("TraceKey", "019ab1f4-0000-7000-8000-000000000001"),
    ("CreatedAt", "2026-11-23T01:00:00.123Z"),
    ("UpdatedAt", "2026-11-23T01:00:00.123Z"),
    ("Attempts", "0"),
    ("DataBlob", "x"),
];
/// Attributes that a new item has not.
const OTHERS: [&str; 7] = [
    "BlobDigest",
    "AttemptsBefore",
    "ClaimedAt",
    "TransactionID",
    "SettledAt",
    "FailureCode",
    "FailureReason",
];

#[derive(Debug, Arbitrary)]
enum Other<'a> {
    Absent,
    Text(&'a str),
    Digits(&'a str),
    Flag(bool),
    Map,
}

#[derive(Debug, Arbitrary)]
struct Put<'a> {
    changes: Vec<(u8, Other<'a>)>,
    modified: bool,
    days_ago: u8,
}

fn item(changes: Vec<(u8, Other<'_>)>) -> HashMap<String, AttributeValue> {
    let value = |name: &str, text: &str| match name {
        "Amount" | "Attempts" => AttributeValue::N(text.to_owned()),
        _ => AttributeValue::S(text.to_owned()),
    };
    let right = RIGHT.iter().map(|(name, text)| ((*name).to_owned(), value(name, text)));
    let mut item: HashMap<_, _> = right.collect();
    let names: Vec<_> = RIGHT.iter().map(|(name, _)| *name).chain(OTHERS).collect();
    for (index, other) in changes {
        let name = names[usize::from(index) % names.len()].to_owned();
        let value = match other {
            Other::Absent => {
                item.remove(&name);
                continue;
            }
            Other::Text(text) => AttributeValue::S(text.to_owned()),
            Other::Digits(digits) => AttributeValue::N(digits.to_owned()),
            Other::Flag(flag) => AttributeValue::Bool(flag),
            Other::Map => AttributeValue::M(HashMap::new()),
        };
        item.insert(name, value);
    }
    item
}

fuzz_target!(|put: Put<'_>| {
    let Put { changes, modified, days_ago } = put;
    let item = item(changes);
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    let change = StreamRecord::builder().set_new_image(Some(item.clone()));
    let event = if modified { OperationType::Modify } else { OperationType::Insert };
    let record = Record::builder().event_name(event).dynamodb(change.build()).build();
    let today: DueDate = "2026-11-23".parse().unwrap();
    let today = today.days_before(u16::from(days_ago % 3));
    let now = "2026-11-23T02:00:00Z".parse().unwrap();
    match classify(&record, today, now) {
        ClassifiedRecord::Forward(payment) => {
            assert!(!modified, "a change is no payment");
            assert_eq!(text("Status").as_deref(), Some("SCHEDULED"));
            assert!(payment.due <= today, "{} is due later", payment.due);
            assert!((1..=Amount::MAX).contains(&payment.amount.minor_units()));
            let body = serde_json::to_string(&*payment).unwrap();
            assert!(body.len() < 64 * 1024);
            assert_eq!(serde_json::from_str::<Payment>(&body).unwrap(), *payment);
            // What the item says, and nothing else, is what is paid.
            assert_eq!(text("AccountID").as_deref(), Some(payment.account.as_str()));
            assert_eq!(text("BeneficiaryID").as_deref(), Some(payment.beneficiary.as_str()));
            assert_eq!(text("Currency").as_deref(), Some(payment.currency.code()));
            assert_eq!(text("PaymentID"), Some(payment.id.to_string()));
            assert_eq!(text("ScheduledDate"), Some(payment.due.to_string()));
        }
        ClassifiedRecord::DeadLetter { failure, raw, withheld } => {
            assert!(!failure.reason.is_empty());
            serde_json::from_str::<serde_json::Value>(&raw).unwrap();
            if withheld.is_some() {
                assert_eq!(text("Status").as_deref(), Some("SCHEDULED"));
            }
        }
        ClassifiedRecord::Removed(_) => unreachable!("nothing is removed"),
        ClassifiedRecord::Skip => {}
    }
});
