//! What can go wrong between a service and a queue.

use aws_sdk_sqs::error::{DisplayErrorContext, SdkError};
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;

use super::api::QueueCallError;

/// A call to a queue that failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue was not found, or SQS not reached, at start.
    #[error("looking up the queue {queue} (made by `dueflow setup`): {}", DisplayErrorContext(.source))]
    Open {
        /// Its name.
        queue: String,
        /// What the SDK said.
        source: Box<SdkError<GetQueueUrlError>>,
    },
    /// SQS answered, and did not say where the queue is.
    #[error("looking up the queue {queue}: the answer holds no URL")]
    NoUrl {
        /// Its name.
        queue: String,
    },
    /// The heartbeat failed: messages could not be kept while they are worked on.
    #[error("the heartbeat of {queue} has ended: restart the service")]
    Heartbeat {
        /// The queue's name.
        queue: String,
    },
    /// A receive failed.
    #[error("receiving from {queue}: {source}")]
    Receive {
        /// Its name.
        queue: String,
        /// What was said.
        source: QueueCallError,
    },
}
