//! Sending: batches of 10, in order, the failed entries again.

use std::sync::Arc;
use std::time::Duration;

use super::api::{MAX_BATCH, MAX_BATCH_BYTES, OutgoingMessage, QueueApi};
use super::error::QueueError;
use super::sqs::SqsQueue;
use crate::aws::Aws;
use crate::retry;

/// Some messages could not be sent; the indices are those of the call's list.
#[derive(Debug, thiserror::Error)]
#[error("{} message(s) to {queue} were not sent: {reason}", .indices.len())]
pub struct SendError {
    /// The queue.
    pub queue: String,
    /// Positions of the messages that SQS has not acknowledged.
    pub indices: Vec<usize>,
    /// The last error.
    pub reason: String,
}

/// The sending end of a queue.
#[derive(Debug, Clone)]
pub struct Producer {
    queue: Arc<dyn QueueApi>,
}

impl Producer {
    /// Opens the queue `name`.
    ///
    /// # Errors
    /// [`QueueError::Open`] when it does not exist or SQS cannot be reached.
    pub async fn open(aws: &Aws, name: String) -> Result<Self, QueueError> {
        let queue = SqsQueue::open(aws, name, Duration::ZERO, "send").await?;
        Ok(Self::new(Arc::new(queue)))
    }

    /// Sends to `queue`.
    #[must_use]
    pub fn new(queue: Arc<dyn QueueApi>) -> Self {
        Self { queue }
    }

    /// Sends messages in batches, in order. Returns when SQS has acknowledged all of them.
    ///
    /// # Errors
    /// [`SendError`] lists what was not acknowledged after [`retry::QUEUE_ENTRIES`]; those may
    /// still have arrived, and sending them again is safe. The batches after a failed one are
    /// not tried, so that nothing overtakes it.
    pub async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), SendError> {
        let mut batches = batches(messages).into_iter();
        while let Some(batch) = batches.next() {
            if let Err((mut indices, reason)) = self.send_batch(messages, batch).await {
                indices.extend(batches.flatten());
                return Err(SendError { queue: self.queue.name().to_owned(), indices, reason });
            }
        }
        Ok(())
    }

    async fn send_batch(
        &self,
        messages: &[OutgoingMessage],
        mut open: Vec<usize>,
    ) -> Result<(), (Vec<usize>, String)> {
        let mut pauses = retry::QUEUE_ENTRIES.pauses();
        loop {
            let reason = match self.send_once(messages, &mut open).await {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err((open, reason)),
            }
        }
    }

    /// One request; `open` keeps the entries that were refused.
    async fn send_once(
        &self,
        messages: &[OutgoingMessage],
        open: &mut Vec<usize>,
    ) -> Result<(), String> {
        let batch: Vec<_> = open.iter().map(|&index| &messages[index]).collect();
        let refused = self.queue.send(&batch).await.map_err(|failed| failed.to_string())?;
        let left = refused.iter().filter_map(|entry| open.get(entry.index).copied()).collect();
        *open = left;
        match refused.into_iter().next() {
            None => Ok(()),
            Some(entry) => Err(entry.reason),
        }
    }
}

/// Positions of the messages of each batch: at most 10, at most 1 MiB together, in order.
fn batches(messages: &[OutgoingMessage]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for (index, message) in messages.iter().enumerate() {
        let full = batches.last().is_none_or(|batch| {
            batch.len() == MAX_BATCH || bytes + message.body.len() > MAX_BATCH_BYTES
        });
        if full {
            batches.push(Vec::with_capacity(MAX_BATCH));
            bytes = 0;
        }
        bytes += message.body.len();
        if let Some(batch) = batches.last_mut() {
            batch.push(index);
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> OutgoingMessage {
        OutgoingMessage {
            group: "g".to_owned(),
            deduplication: "d".to_owned(),
            body: "x".repeat(bytes),
        }
    }

    #[test]
    fn batches_hold_ten_messages_in_order() {
        let messages: Vec<_> = (0..25).map(|_| message(8 * 1024)).collect();
        let batches = batches(&messages);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        assert!(batches.concat().is_sorted());
    }

    #[test]
    fn a_batch_never_exceeds_what_sqs_takes() {
        let messages: Vec<_> = (0..10).map(|_| message(256 * 1024)).collect();
        for batch in batches(&messages) {
            assert!(batch.len() <= 3);
        }
    }
}
