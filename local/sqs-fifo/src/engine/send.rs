//! Sending.

use std::sync::Arc;

use uuid::Uuid;

use super::account::Engine;
use super::attributes::DeduplicationScope;
use super::deduplication::{DeduplicationKey, FirstMessage};
use super::digest::content_id;
use super::error::SqsError;
use super::ids::SequenceNumber;
use super::limits::Limits;
use super::message::{Draft, Message};
use super::time::Millis;

/// What the sender is told. For a duplicate: the ids of the first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// `MessageId`.
    pub message_id: Uuid,
    /// `SequenceNumber`.
    pub sequence: SequenceNumber,
}

impl Engine {
    /// Sends a message, unless its duplicate was sent within the deduplication window.
    ///
    /// # Errors
    /// `QueueDoesNotExist`; `InvalidParameterValue` if the message is too large, or has no
    /// deduplication id on a queue without content-based deduplication.
    pub fn send(&mut self, queue: &str, draft: Draft, now: Millis) -> Result<Sent, SqsError> {
        self.on_queue(queue, now, |queue, ids, now| {
            let most = queue.attributes.message_bytes;
            if draft.bytes() > most {
                return Err(SqsError::InvalidParameterValue(format!(
                    "One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
                )));
            }
            let deduplication_id = match draft.deduplication_id {
                Some(id) => id,
                None if queue.attributes.content_based_deduplication => {
                    content_id(&draft.body).into()
                }
                None => return Err(SqsError::no_deduplication_id()),
            };
            let by_group = queue.attributes.deduplication_scope == DeduplicationScope::MessageGroup;
            let key = DeduplicationKey {
                group: by_group.then(|| Arc::clone(&draft.group)),
                id: Arc::clone(&deduplication_id),
            };
            if let Some(FirstMessage { id, sequence }) = queue.window.first(&key, now) {
                return Ok(Sent {
                    message_id: id,
                    sequence,
                });
            }
            let (id, sequence) = (ids.uuid(), ids.sequence());
            queue.window.remember(key, FirstMessage { id, sequence }, now);
            let message = Message {
                id,
                sequence,
                sent: now,
                group: draft.group,
                deduplication_id,
                body: draft.body,
                body_md5: draft.body_md5,
                attributes: draft.attributes,
                trace_header: draft.trace_header,
                dead_letter_source: None,
            };
            queue.push(message, now);
            Ok(Sent {
                message_id: id,
                sequence,
            })
        })
    }

    /// Whether messages must bring their deduplication ids.
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn requires_deduplication_id(&self, queue: &str) -> Result<bool, SqsError> {
        Ok(!self.queue(queue)?.attributes.content_based_deduplication)
    }

    /// The limits all queues share.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}
