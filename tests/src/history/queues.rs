//! Reading a FIFO queue whole. SQS hands out ten messages of a group and keeps the rest back
//! until these are gone, so looking is not enough: the messages are taken out and, when all
//! are out, put back in the same order under new deduplication ids. Only for queues that
//! nobody else reads at that time.

use anyhow::Context;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName as Attribute, QueueAttributeName};
use domain::PaymentId;
use serde_json::Value;
use shared::aws::Aws;

use super::evidence::DeadLetterEvidence;

/// The code of a dead letter that no service wrote: SQS moved the message by itself.
pub(super) const REDRIVEN: &str = "redriven";

/// Seconds a receive waits. A message that is still in flight becomes visible only after its
/// visibility timeout, so the caller waits for that first.
const WAIT: i32 = 1;

/// Access to queues.
#[derive(Debug)]
pub struct Queues {
    client: Client,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Not received, or given back.
    pub visible: u64,
    /// Received, and neither deleted nor given back.
    pub in_flight: u64,
}

/// A message that was taken out.
#[derive(Debug)]
struct Taken {
    body: String,
    group: String,
    id: String,
}

impl Queues {
    /// Of the queues behind `aws`.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        Self { client: aws.sqs("judge") }
    }

    /// All dead letters. They stay.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub async fn letters(&self, queue: &str) -> anyhow::Result<Vec<DeadLetterEvidence>> {
        let bodies = self.bodies(queue).await?;
        Ok(bodies.iter().map(|body| letter(body)).collect())
    }

    /// How many messages a queue holds.
    ///
    /// # Errors
    /// The queue does not say.
    pub async fn depth(&self, queue: &str) -> anyhow::Result<Depth> {
        let url = self.url(queue).await?;
        let asked = self.client.get_queue_attributes().queue_url(url);
        let asked = asked.attribute_names(QueueAttributeName::All).send().await?;
        let attributes = asked.attributes.context("a queue without attributes")?;
        let count = |name| attributes.get(&name).and_then(|count: &String| count.parse().ok());
        let (visible, in_flight) = (
            count(QueueAttributeName::ApproximateNumberOfMessages),
            count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        );
        visible
            .zip(in_flight)
            .map(|(visible, in_flight)| Depth { visible, in_flight })
            .context("a queue that does not count")
    }

    /// The payments of which a queue holds a message. The messages stay.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub async fn payments(&self, queue: &str) -> anyhow::Result<Vec<String>> {
        let bodies = self.bodies(queue).await?;
        Ok(bodies.iter().filter_map(|body| payment_id(&parsed(body))).collect())
    }

    async fn url(&self, queue: &str) -> anyhow::Result<String> {
        let found = self.client.get_queue_url().queue_name(queue).send().await;
        let found = found.with_context(|| format!("looking for {queue}"))?;
        found.queue_url.context("a queue without an address")
    }

    async fn bodies(&self, queue: &str) -> anyhow::Result<Vec<String>> {
        let url = self.url(queue).await?;
        let taken = self.take(&url).await.with_context(|| format!("reading {queue}"))?;
        for message in &taken {
            let sent = self
                .client
                .send_message()
                .queue_url(&url)
                .message_body(&message.body)
                .message_group_id(&message.group)
                .message_deduplication_id(format!("judge-{}", message.id))
                .send();
            sent.await.with_context(|| format!("putting back into {queue}: {}", message.body))?;
        }
        Ok(taken.into_iter().map(|message| message.body).collect())
    }

    async fn take(&self, url: &str) -> anyhow::Result<Vec<Taken>> {
        let mut taken = Vec::new();
        loop {
            let received = self
                .client
                .receive_message()
                .queue_url(url)
                .max_number_of_messages(10)
                .wait_time_seconds(WAIT)
                .message_system_attribute_names(Attribute::MessageGroupId)
                .send()
                .await?;
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() {
                return Ok(taken);
            }
            for message in messages {
                let receipt = message.receipt_handle.unwrap_or_default();
                let delete = self.client.delete_message().queue_url(url).receipt_handle(receipt);
                delete.send().await?;
                let group = message.attributes.unwrap_or_default();
                taken.push(Taken {
                    body: message.body.unwrap_or_default(),
                    group: group.get(&Attribute::MessageGroupId).cloned().unwrap_or_default(),
                    id: message.message_id.unwrap_or_default(),
                });
            }
        }
    }
}

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_default()
}

/// The payment of a message: the body itself, inside a letter, or named by a confirmation.
fn payment_id(body: &Value) -> Option<String> {
    let payment = &body["payment"];
    let named = payment.as_str().and_then(|reference| reference.rsplit('/').next());
    let id = body["PaymentID"].as_str().or_else(|| payment["PaymentID"].as_str()).or(named);
    id.map(str::to_owned)
}

fn letter(body: &str) -> DeadLetterEvidence {
    let body = parsed(body);
    let payment = payment_id(&body).and_then(|id| id.parse::<PaymentId>().ok());
    let code = body["code"].as_str().unwrap_or(REDRIVEN).to_owned();
    DeadLetterEvidence { payment, code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_that_no_service_wrote_is_told_from_one_with_a_reason() {
        let id = "019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
        let written = format!(r#"{{"code":"rejected","payment":{{"PaymentID":"{id}"}}}}"#);
        assert_eq!(
            letter(&written),
            DeadLetterEvidence { payment: id.parse().ok(), code: "rejected".into() }
        );
        let moved = format!(r#"{{"PaymentID":"{id}"}}"#);
        assert_eq!(
            letter(&moved),
            DeadLetterEvidence { payment: id.parse().ok(), code: REDRIVEN.into() }
        );
    }
}
