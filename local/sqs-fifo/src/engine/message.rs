//! Messages: as they are asked to be sent, and as a queue keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use rustack_sqs_model::types::MessageAttributeValue;
use uuid::Uuid;

use super::digest::Md5;
use super::error::SqsError;
use super::ids::SequenceNumber;
use super::time::Millis;

/// Message attributes by name, in the order in which their digest takes them.
pub type MessageAttributes = BTreeMap<String, MessageAttributeValue>;

/// A message somebody wants to send, checked as far as that is possible without its queue.
#[derive(Debug, Clone)]
pub struct Draft {
    pub(crate) body: Arc<str>,
    pub(crate) body_md5: Md5,
    pub(crate) group: Arc<str>,
    pub(crate) deduplication_id: Option<Arc<str>>,
    pub(crate) attributes: Option<Arc<MessageAttributes>>,
    pub(crate) trace_header: Option<Arc<str>>,
}

impl Draft {
    /// Checks body, `MessageGroupId` and `MessageDeduplicationId`.
    ///
    /// # Errors
    /// `MissingParameter`, `InvalidMessageContents` or `InvalidParameterValue`.
    pub fn new(
        body: &str,
        group: Option<&str>,
        deduplication_id: Option<&str>,
    ) -> Result<Self, SqsError> {
        let group = group.ok_or_else(|| SqsError::MissingParameter("MessageGroupId".into()))?;
        if body.is_empty() {
            return Err(SqsError::MissingParameter("MessageBody".into()));
        }
        if !body.chars().all(allowed_in_text) {
            return Err(SqsError::InvalidMessageContents);
        }
        check_id("MessageGroupId", group)?;
        if let Some(id) = deduplication_id {
            check_id("MessageDeduplicationId", id)?;
        }
        Ok(Self {
            body: body.into(),
            body_md5: Md5::of_body(body),
            group: group.into(),
            deduplication_id: deduplication_id.map(Into::into),
            attributes: None,
            trace_header: None,
        })
    }

    /// Adds message attributes.
    ///
    /// # Errors
    /// `InvalidParameterValue` if there are more than ten, or one is malformed.
    pub fn with_attributes(
        mut self,
        attributes: impl IntoIterator<Item = (String, MessageAttributeValue)>,
    ) -> Result<Self, SqsError> {
        let attributes: MessageAttributes = attributes.into_iter().collect();
        if attributes.len() > 10 {
            return Err(SqsError::InvalidParameterValue(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [10].",
                attributes.len()
            )));
        }
        attributes.iter().try_for_each(|(name, value)| check_attribute(name, value))?;
        self.attributes = (!attributes.is_empty()).then(|| Arc::new(attributes));
        Ok(self)
    }

    /// Adds the system attribute `AWSTraceHeader`.
    #[must_use]
    pub fn with_trace_header(mut self, header: Option<&str>) -> Self {
        self.trace_header = header.map(Into::into);
        self
    }

    /// Digest of the body, for the sender to check.
    #[must_use]
    pub fn body_md5(&self) -> Md5 {
        self.body_md5
    }

    /// Digest of the message attributes, if there are any.
    #[must_use]
    pub fn attributes_md5(&self) -> Option<Md5> {
        Md5::of_attributes(self.attributes.iter().flat_map(|all| all.iter()))
    }

    /// Bytes that count towards the size limits: body, and names, types and values of attributes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().flat_map(|all| all.iter());
        let attributes = attributes.map(|(name, value)| {
            name.len()
                + value.data_type.len()
                + value.string_value.as_ref().map_or(0, String::len)
                + value.binary_value.as_ref().map_or(0, Vec::len)
        });
        self.body.len() + attributes.sum::<usize>()
    }
}

/// A message on a queue. Never changes; a move to another queue makes a new one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    /// `MessageId`.
    pub id: Uuid,
    /// `SequenceNumber`.
    pub sequence: SequenceNumber,
    /// `SentTimestamp`: when it came to this queue.
    pub sent: Millis,
    /// `MessageGroupId`.
    pub group: Arc<str>,
    /// `MessageDeduplicationId`.
    pub deduplication_id: Arc<str>,
    /// The body.
    pub body: Arc<str>,
    /// Digest of the body.
    pub body_md5: Md5,
    /// Message attributes, if any.
    pub attributes: Option<Arc<MessageAttributes>>,
    /// `AWSTraceHeader`.
    pub trace_header: Option<Arc<str>>,
    /// `DeadLetterQueueSourceArn`: the queue whose redrive policy moved it here.
    pub dead_letter_source: Option<Arc<str>>,
}

fn check_id(parameter: &str, id: &str) -> Result<(), SqsError> {
    let fits = (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(());
    }
    let reason = format!(
        "{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
    );
    Err(SqsError::invalid(parameter, id, &reason))
}

fn check_attribute(name: &str, value: &MessageAttributeValue) -> Result<(), SqsError> {
    let refused = |what: &str| {
        Err(SqsError::InvalidParameterValue(format!("The message attribute '{name}' {what}.")))
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !(1..=256).contains(&name.len()) || !name.bytes().all(named) {
        return refused("has an invalid name");
    }
    let kind = value.data_type.split('.').next().unwrap_or_default();
    match (kind, &value.string_value, &value.binary_value) {
        ("String" | "Number", Some(text), None) if text.is_empty() => {
            refused("must contain a non-empty value")
        }
        ("String" | "Number", Some(text), None) if !text.chars().all(allowed_in_text) => {
            Err(SqsError::InvalidMessageContents)
        }
        ("String" | "Number", Some(_), None) => Ok(()),
        ("Binary", None, Some(bytes)) if !bytes.is_empty() => Ok(()),
        ("String" | "Number" | "Binary", _, _) => refused("must contain a value of its type"),
        _ => refused("has an invalid type; the set of supported types is Binary, Number, String"),
    }
}

/// The characters of XML 1.0.
fn allowed_in_text(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
