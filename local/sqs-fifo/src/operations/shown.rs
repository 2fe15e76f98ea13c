//! Received messages in JSON, written straight from the engine's.

use std::collections::BTreeMap;
use std::fmt::Display;

use rustack_sqs_model::types::MessageAttributeValue;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::answer::write_into;
use crate::engine::{Delivery, Md5, Receipt, SqsError};

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
            pattern => pattern.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix)),
        })
    }
}

/// The answer of `ReceiveMessage`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Messages::is_empty")]
    messages: Messages<'a>,
}

struct Messages<'a> {
    deliveries: &'a [Delivery],
    asked: &'a Asked<'a>,
}

impl Messages<'_> {
    fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.deliveries.iter().map(|one| Shown::new(one, self.asked)))
    }
}

/// Writes the answer into memory of the right size, found by a first look at all bodies: they
/// come from memory side by side, and not one after the other as they are written.
pub(super) fn write(deliveries: &[Delivery], asked: &Asked<'_>) -> Result<Vec<u8>, SqsError> {
    let bodies = deliveries.iter().map(|one| in_json(&one.message.body));
    let size = bodies.sum::<usize>() + deliveries.len() * BESIDE_BODY + 16;
    let messages = Messages { deliveries, asked };
    write_into(Vec::with_capacity(size), &Answer { messages })
}

/// Bytes of a text in JSON, if it has no control characters but line feeds and tabs.
fn in_json(text: &str) -> usize {
    let escaped = |byte: &&u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t');
    text.len() + text.as_bytes().iter().filter(escaped).count()
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
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
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
                if self.asked.system.iter().any(|asked| asked == "All" || asked == name) =>
            {
                map.serialize_entry(name, &Text(value))
            }
            _ => Ok(()),
        };
        let Delivery { receive_count, first_received, .. } = self.delivery;
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
        show("DeadLetterQueueSourceArn", source.map(|text| text as &dyn Display))?;
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
