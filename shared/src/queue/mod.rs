//! SQS FIFO queues: sending in batches, receiving, and the three ways a message ends.
//!
//! A received message is [`Consumer::acknowledge`]d once what it asks for is durable
//! elsewhere, [`Consumer::release`]d to be delivered again, or simply dropped, which leaves it
//! to its visibility timeout. While it is held, a heartbeat extends that timeout.

mod answer;
mod api;
mod backlog;
mod backlog_monitor;
mod consumer;
mod dead_letter;
mod deduplication;
mod error;
mod heartbeat;
mod messages;
mod producer;
#[cfg(test)]
mod scripted_tests;
mod sqs;

pub use api::{
    MAX_BATCH, MessageCount, OutgoingMessage, QueueApi, QueueCallError, QueueCallErrorClass,
    QueueDepth, ReceivedMessage, RefusedEntry, Visibility,
};
pub use backlog::BacklogLimits;
pub use backlog_monitor::{BacklogMonitor, BacklogReport, InStep, SentMessages};
pub use consumer::{Consumer, Delivery};
pub use dead_letter::{DeadLetter, DeadLetterQueue, MAX_RAW_BYTES};
pub use deduplication::{ConfirmationSource, DeadLetterSource, DeduplicationId, Dispatch};
pub use error::QueueError;
pub use messages::{Confirmation, ReportedResult, payment_message};
pub use producer::{Producer, SendError};
pub use sqs::SqsQueue;
