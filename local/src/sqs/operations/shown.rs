//! Received messages in JSON, written straight from the engine's.

use std::collections::BTreeMap;
use std::fmt::Display;

use rustack_sqs_model::types::MessageAttributeValue;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::sqs::answer::write_into;
use crate::sqs::engine::{Delivery, Md5, Receipt, SqsError};

/// Bytes of a message in an answer, body and message attributes left out.
const BESIDE_BODY: usize = 640;

/// What a receive wants to know of its messages.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) account: &'a str,
    /// Names of system attributes, or `All`.
    pub(super) system: &'a [String],
    /// Names of message attributes, prefixes ending in `.*`, or `All`.
    pub(super) message: &'a [String],
}

impl Asked<'_> {
    fn wants_message_attribute(&self, name: &str) -> bool {
        self.message.iter().any(|asked| match asked.as_str() {
            "All" | ".*" => true,
            exact if exact == name => true,
            pattern => pattern
                .strip_suffix(".*")
                .is_some_and(|prefix| name.starts_with(prefix)),
        })
    }
}

/// The answer of `ReceiveMessage`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Messages<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Shown<'a>>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(deliveries: &'a [Delivery], asked: &'a Asked<'a>) -> Self {
        let messages = deliveries
            .iter()
            .map(|one| Shown::new(one, asked))
            .collect();
        Self { messages }
    }

    /// Writes the answer into memory of about the right size: most answers of a busy queue are
    /// these, and growing step by step would be a good part of their cost.
    pub(super) fn write(&self) -> Result<Vec<u8>, SqsError> {
        let bodies: usize = self.messages.iter().map(|one| one.body.len()).sum();
        let size = bodies + bodies / 4 + self.messages.len() * BESIDE_BODY + 16;
        write_into(Vec::with_capacity(size), self)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown<'a> {
    message_id: Text<uuid::Uuid>,
    receipt_handle: Text<Receipt>,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: Text<Md5>,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<SystemAttributes<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<&'a String, &'a MessageAttributeValue>,
    #[serde(
        rename = "MD5OfMessageAttributes",
        skip_serializing_if = "Option::is_none"
    )]
    md5_of_message_attributes: Option<Text<Md5>>,
}

impl<'a> Shown<'a> {
    fn new(delivery: &'a Delivery, asked: &'a Asked<'a>) -> Self {
        let message = &*delivery.message;
        let message_attributes: BTreeMap<_, _> = message
            .attributes
            .iter()
            .flat_map(|all| all.iter())
            .filter(|(name, _)| asked.wants_message_attribute(name))
            .collect();
        let md5 = Md5::of_attributes(message_attributes.iter().map(|(k, v)| (*k, *v)));
        Self {
            message_id: Text(message.id),
            receipt_handle: Text(delivery.receipt),
            md5_of_body: Text(message.body_md5),
            body: &message.body,
            attributes: (!asked.system.is_empty()).then_some(SystemAttributes { delivery, asked }),
            message_attributes,
            md5_of_message_attributes: md5.map(Text),
        }
    }
}

struct SystemAttributes<'a> {
    delivery: &'a Delivery,
    asked: &'a Asked<'a>,
}

impl Serialize for SystemAttributes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let message = &*self.delivery.message;
        let mut map = to.serialize_map(None)?;
        let mut show = |name: &str, value: Option<&dyn Display>| match value {
            Some(value)
                if self
                    .asked
                    .system
                    .iter()
                    .any(|asked| asked == "All" || asked == name) =>
            {
                map.serialize_entry(name, &Text(value))
            }
            _ => Ok(()),
        };
        let Delivery {
            receive_count,
            first_received,
            ..
        } = self.delivery;
        let trace = message.trace_header.as_ref();
        let source = message.dead_letter_source.as_ref();
        show("SenderId", Some(&self.asked.account))?;
        show("SentTimestamp", Some(&message.sent))?;
        show("ApproximateReceiveCount", Some(receive_count))?;
        show("ApproximateFirstReceiveTimestamp", Some(first_received))?;
        show("SequenceNumber", Some(&message.sequence))?;
        show("MessageDeduplicationId", Some(&message.deduplication_id))?;
        show("MessageGroupId", Some(&message.group))?;
        show("AWSTraceHeader", trace.map(|text| text as &dyn Display))?;
        show(
            "DeadLetterQueueSourceArn",
            source.map(|text| text as &dyn Display),
        )?;
        map.end()
    }
}

/// A value written as its text.
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}
