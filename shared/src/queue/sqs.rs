//! One SQS FIFO queue, through the AWS SDK.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName as Attribute,
    QueueAttributeName, SendMessageBatchRequestEntry,
};

use super::api::{CallFailed, Incoming, QueueApi, RefusedEntry, Visibility};
use super::error::QueueError;
use super::producer::Outgoing;
use super::wire::MAX_BATCH;
use crate::aws::Aws;
use crate::telemetry::calls;

/// What together is every message of a queue.
const COUNTS: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
];

/// A queue at SQS.
#[derive(Debug)]
pub struct SqsQueue {
    name: String,
    url: String,
    /// Long polls have time limits and a retry budget of their own.
    poll: Client,
    act: Client,
}

impl SqsQueue {
    /// Opens the queue `name`; receives wait for at most `longest_wait`. `role` names the
    /// retry budget of everything but the polls.
    ///
    /// # Errors
    /// [`QueueError::Open`] when the queue does not exist or SQS cannot be reached.
    pub async fn open(
        aws: &Aws,
        name: String,
        longest_wait: Duration,
        role: &'static str,
    ) -> Result<Self, QueueError> {
        let act = aws.sqs(role);
        calls::sqs("get_url");
        let opened = act.get_queue_url().queue_name(&name).send().await;
        let output = opened
            .map_err(|source| QueueError::Open { queue: name.clone(), source: Box::new(source) })?;
        let url = output.queue_url.unwrap_or_default();
        Ok(Self { name, url, poll: aws.sqs_polling("poll", longest_wait), act })
    }

    /// How many messages the queue holds: visible, in flight and delayed. SQS calls the
    /// numbers approximate: they follow what is sent and deleted within about a minute.
    ///
    /// # Errors
    /// [`CallFailed`] when the call fails or its answer lacks a number.
    pub async fn messages(&self) -> Result<u64, CallFailed> {
        calls::sqs("count");
        let request = self.act.get_queue_attributes().queue_url(&self.url);
        let request = request.set_attribute_names(Some(COUNTS.to_vec()));
        let output = request.send().await.map_err(|error| failed(&error))?;
        let attributes = output.attributes.unwrap_or_default();
        let count = |name| attributes.get(name).and_then(|count| count.parse::<u64>().ok());
        COUNTS.iter().map(count).sum::<Option<u64>>().ok_or_else(|| {
            CallFailed("the answer to GetQueueAttributes lacks a number of messages".to_owned())
        })
    }
}

#[async_trait]
impl QueueApi for SqsQueue {
    fn name(&self) -> &str {
        &self.name
    }

    async fn receive(
        &self,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Incoming>, CallFailed> {
        calls::sqs("receive");
        let output = self
            .poll
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MAX_BATCH as i32)
            .wait_time_seconds(whole_seconds(wait))
            .visibility_timeout(whole_seconds(visibility))
            .message_system_attribute_names(Attribute::MessageGroupId)
            .message_system_attribute_names(Attribute::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        Ok(output.messages.unwrap_or_default().into_iter().filter_map(incoming).collect())
    }

    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, CallFailed> {
        calls::sqs("delete");
        let entries = receipts.iter().enumerate().map(|(index, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(*receipt)
                .build()
                .unwrap_or_else(|_| unreachable!("id and receipt are set"))
        });
        let request = self.act.delete_message_batch().queue_url(&self.url);
        let sent = request.set_entries(Some(entries.collect())).send().await;
        let output = sent.map_err(|error| failed(&error))?;
        Ok(refused("delete", output.failed()))
    }

    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, CallFailed> {
        calls::sqs(purpose.as_str());
        let entries = entries.iter().enumerate().map(|(index, (receipt, timeout))| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(*receipt)
                .visibility_timeout(whole_seconds(*timeout))
                .build()
                .unwrap_or_else(|_| unreachable!("id and receipt are set"))
        });
        let request = self.act.change_message_visibility_batch().queue_url(&self.url);
        let sent = request.set_entries(Some(entries.collect())).send().await;
        let output = sent.map_err(|error| failed(&error))?;
        Ok(refused(purpose.as_str(), output.failed()))
    }

    async fn send(&self, messages: &[&Outgoing]) -> Result<Vec<RefusedEntry>, CallFailed> {
        calls::sqs("send");
        let entries = messages.iter().enumerate().map(|(index, message)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_group_id(&message.group)
                .message_deduplication_id(&message.deduplication)
                .message_body(acceptable(&message.body))
                .build()
                .unwrap_or_else(|_| unreachable!("id and body are set"))
        });
        let request = self.act.send_message_batch().queue_url(&self.url);
        let sent = request.set_entries(Some(entries.collect())).send().await;
        let output = sent.map_err(|error| failed(&error))?;
        Ok(refused("send", output.failed()))
    }
}

fn incoming(message: Message) -> Option<Incoming> {
    let attribute = |name| message.attributes().and_then(|all| all.get(&name));
    let group = attribute(Attribute::MessageGroupId).cloned().unwrap_or_default();
    let receive_count = attribute(Attribute::ApproximateReceiveCount)
        .and_then(|count| count.parse().ok())
        .unwrap_or(1);
    Some(Incoming {
        group,
        receive_count,
        receipt: message.receipt_handle?,
        message_id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    })
}

fn failed<E: std::error::Error>(error: &E) -> CallFailed {
    CallFailed(DisplayErrorContext(error).to_string())
}

fn refused(operation: &'static str, failed: &[BatchResultErrorEntry]) -> Vec<RefusedEntry> {
    if !failed.is_empty() {
        calls::sqs_failed(operation, failed.len());
    }
    let entry = |entry: &BatchResultErrorEntry| {
        let reason = format!("{}: {}", entry.code(), entry.message().unwrap_or_default());
        let index = entry.id().parse().ok()?;
        Some(RefusedEntry { index, for_good: is_for_good(entry.code()), reason })
    };
    failed.iter().filter_map(entry).collect()
}

/// Whether an entry was refused because of the receipt or the message itself. `SenderFault`
/// does not tell: throttling comes with it too.
fn is_for_good(code: &str) -> bool {
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    matches!(code, "ReceiptHandleIsInvalid" | "InvalidParameterValue" | "MessageNotInflight")
}

/// SQS counts in whole seconds; a part of one is rounded up, so that nothing comes early.
fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).unwrap_or(i32::MAX)
}

/// SQS refuses the characters U+FFFE and U+FFFF (`SendMessage` API reference), which JSON
/// may hold as they are; escaped they are the same JSON.
fn acceptable(body: &str) -> String {
    body.replace('\u{fffe}', r"\ufffe").replace('\u{ffff}', r"\uffff")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_concerns_the_message_itself_is_refused_for_good() {
        for code in ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight"] {
            assert!(is_for_good(code), "{code}");
        }
        for code in ["RequestThrottled", "ThrottlingException", "InternalError", ""] {
            assert!(!is_for_good(code), "{code}");
        }
    }

    #[test]
    fn parts_of_a_second_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(43_200)), 43_200);
    }

    #[test]
    fn characters_that_sqs_refuses_are_escaped_and_read_back() {
        let text = "a\u{fffe}b\u{ffff}c";
        let body = acceptable(&serde_json::to_string(text).unwrap());
        assert!(!body.contains(['\u{fffe}', '\u{ffff}']));
        assert_eq!(serde_json::from_str::<String>(&body).unwrap(), text);
    }
}
