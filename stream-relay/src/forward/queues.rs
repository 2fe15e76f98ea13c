//! Where the relay puts things: the queue of payments and the dead-letter queue.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Failure, Payment};
use shared::queue::{
    DeadLetterQueue, DeadLetterSource, MessageCount, OutgoingMessage, Producer, QueueCallError,
    SendError,
};

/// Shutdown came before everything was queued.
#[derive(Debug)]
pub(crate) struct ShutdownRequested;

/// The two queues; the count is of the queue of payments. Each call returns within a bound of time
/// of its own.
#[async_trait]
pub(crate) trait RelayQueues: MessageCount {
    /// Queues payments in order; returns once all are acknowledged. What [`SendError`] lists may
    /// have arrived all the same, and nothing behind the first of them was tried.
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), SendError>;

    /// Puts `raw` into the dead-letter queue, word for word, and beside it the payment that it
    /// reads as. The same `source` within five minutes is written once.
    async fn write_dead_letter(
        &self,
        source: &str,
        payment: Option<&Payment>,
        raw: String,
        failure: Failure,
    ) -> Result<(), SendError>;
}

/// The queues at SQS.
#[derive(Debug)]
pub(crate) struct SqsQueues {
    pub(crate) payments: Producer,
    /// The same queue, for its numbers.
    pub(crate) counted: Arc<dyn MessageCount>,
    pub(crate) dead_letters: DeadLetterQueue,
}

#[async_trait]
impl RelayQueues for SqsQueues {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), SendError> {
        self.payments.send(messages).await
    }

    async fn write_dead_letter(
        &self,
        source: &str,
        payment: Option<&Payment>,
        raw: String,
        failure: Failure,
    ) -> Result<(), SendError> {
        let source = DeadLetterSource::Record(source);
        match payment {
            Some(payment) => {
                self.dead_letters.send_payment(source, payment, Some(raw), failure).await
            }
            None => self.dead_letters.send_unreadable(source, raw, failure).await,
        }
    }
}

#[async_trait]
impl MessageCount for SqsQueues {
    async fn messages(&self) -> Result<u64, QueueCallError> {
        self.counted.messages().await
    }
}
