//! One SQS FIFO queue, through the AWS SDK.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageSystemAttributeName as Attribute, QueueAttributeName, SendMessageBatchRequestEntry,
};

use super::answer::{not_done, received, whole_seconds};
use super::api::{
    MAX_BATCH, MessageCount, OutgoingMessage, QueueApi, QueueCallError, QueueCallErrorClass,
    QueueDepth, ReceivedMessage, RefusedEntry, Visibility,
};
use super::error::QueueError;
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
    /// [`QueueError::Open`] when the queue does not exist or SQS cannot be reached,
    /// [`QueueError::NoUrl`] when the answer says not where it is.
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
        let Some(url) = output.queue_url.filter(|url| !url.is_empty()) else {
            return Err(QueueError::NoUrl { queue: name });
        };
        Ok(Self { name, url, poll: aws.sqs_polling("poll", longest_wait), act })
    }
}

impl SqsQueue {
    /// How many messages the queue holds; what is delayed counts as visible.
    ///
    /// # Errors
    /// [`QueueCallError`] when the call fails or its answer lacks a number.
    pub async fn depth(&self) -> Result<QueueDepth, QueueCallError> {
        calls::sqs("count");
        let request = self.act.get_queue_attributes().queue_url(&self.url);
        let request = request.set_attribute_names(Some(COUNTS.to_vec()));
        let output = request.send().await.map_err(|error| failed(&error))?;
        let attributes = output.attributes.unwrap_or_default();
        let count = |name: &QueueAttributeName| {
            attributes.get(name).and_then(|count| count.parse::<u64>().ok()).ok_or_else(|| {
                QueueCallError::other("the answer to GetQueueAttributes lacks a number of messages")
            })
        };
        let [visible, in_flight, delayed] = &COUNTS;
        let visible = count(visible)?.saturating_add(count(delayed)?);
        Ok(QueueDepth { visible, in_flight: count(in_flight)? })
    }
}

#[async_trait]
impl MessageCount for SqsQueue {
    async fn messages(&self) -> Result<u64, QueueCallError> {
        let QueueDepth { visible, in_flight } = self.depth().await?;
        Ok(visible.saturating_add(in_flight))
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
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
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
            .message_system_attribute_names(Attribute::SentTimestamp)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        let messages = output.messages.unwrap_or_default();
        calls::sqs_entries("receive", messages.len());
        received(messages)
    }

    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        calls::sqs("delete");
        let sent_entries = receipts.len();
        calls::sqs_entries("delete", sent_entries);
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
        let done = output.successful().iter().map(|entry| entry.id());
        Ok(counted("delete", not_done(sent_entries, done, output.failed())))
    }

    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        calls::sqs(purpose.as_str());
        let sent_entries = entries.len();
        calls::sqs_entries(purpose.as_str(), sent_entries);
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
        let done = output.successful().iter().map(|entry| entry.id());
        Ok(counted(purpose.as_str(), not_done(sent_entries, done, output.failed())))
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        calls::sqs("send");
        let sent_entries = messages.len();
        calls::sqs_entries("send", sent_entries);
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
        let done = output.successful().iter().map(|entry| entry.id());
        Ok(counted("send", not_done(sent_entries, done, output.failed())))
    }
}

fn failed<E>(error: &SdkError<E>) -> QueueCallError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let class = match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => QueueCallErrorClass::NoAnswer,
        _ => error.code().map_or(QueueCallErrorClass::Other, class_of),
    };
    QueueCallError { class, reason: DisplayErrorContext(error).to_string() }
}

/// The class of an error code of SQS, from its API reference.
fn class_of(code: &str) -> QueueCallErrorClass {
    match code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code) {
        "AccessDenied"
        | "AccessDeniedException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "NotAuthorized"
        | "OptInRequired" => QueueCallErrorClass::AccessDenied,
        "QueueDoesNotExist" | "NonExistentQueue" => QueueCallErrorClass::NoQueue,
        "RequestThrottled" | "Throttling" | "ThrottlingException" | "OverLimit" => {
            QueueCallErrorClass::Throttled
        }
        _ => QueueCallErrorClass::Other,
    }
}

fn counted(operation: &'static str, refused: Vec<RefusedEntry>) -> Vec<RefusedEntry> {
    if !refused.is_empty() {
        calls::sqs_failed(operation, refused.len());
    }
    refused
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
    fn access_that_is_denied_is_told_from_a_queue_that_is_not_there() {
        let denied = class_of("AccessDenied");
        assert_eq!(denied, QueueCallErrorClass::AccessDenied);
        let missing = class_of("AWS.SimpleQueueService.NonExistentQueue");
        assert_eq!(missing, QueueCallErrorClass::NoQueue);
        let error = QueueCallError { class: denied, reason: "403".to_owned() };
        assert_eq!(error.to_string(), "access denied (check credentials and policy): 403");
    }

    #[test]
    fn characters_that_sqs_refuses_are_escaped_and_read_back() {
        let text = "a\u{fffe}b\u{ffff}c";
        let body = acceptable(&serde_json::to_string(text).unwrap());
        assert!(!body.contains(['\u{fffe}', '\u{ffff}']));
        assert_eq!(serde_json::from_str::<String>(&body).unwrap(), text);
    }
}
