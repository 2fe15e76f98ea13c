//! Dead-letter queues: which messages go there, and where from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::SqsError;

/// A queue's `RedrivePolicy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RedrivePolicy {
    /// Name of the dead-letter queue.
    pub(crate) target: Arc<str>,
    /// How often a message may be received before it goes there.
    pub(crate) max_receive_count: u32,
    /// The policy as it was given.
    pub(crate) text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    dead_letter_target_arn: String,
    max_receive_count: Count,
}

/// SQS takes the count as a number or as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u32),
    Text(String),
}

impl RedrivePolicy {
    pub(crate) fn parse(text: &str) -> Result<Self, SqsError> {
        let refused = |reason: &str| SqsError::invalid("RedrivePolicy", text, reason);
        let policy: Policy = serde_json::from_str(text)
            .map_err(|_| refused("Redrive policy is not a valid JSON map."))?;
        let count = match policy.max_receive_count {
            Count::Number(number) => Some(number),
            Count::Text(text) => text.parse().ok(),
        };
        let max_receive_count = count
            .filter(|count| (1..=1_000).contains(count))
            .ok_or_else(|| refused("Invalid value for maxReceiveCount."))?;
        let target = queue_of_arn(&policy.dead_letter_target_arn)
            .ok_or_else(|| refused("Invalid value for deadLetterTargetArn."))?;
        if !target.ends_with(".fifo") {
            return Err(refused("Dead-letter queue must be same type of queue as the source."));
        }
        Ok(Self { target: target.into(), max_receive_count, text: text.to_owned() })
    }
}

/// The queue's name in an ARN `arn:aws:sqs:REGION:ACCOUNT:NAME`.
pub(crate) fn queue_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    let is_sqs = parts.next() == Some("arn") && parts.nth(1) == Some("sqs");
    let name = parts.nth(2)?;
    (is_sqs && !name.is_empty() && parts.next().is_none()).then_some(name)
}
