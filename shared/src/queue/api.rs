//! What dueflow asks of a queue service: five calls, none of which repeats itself.
//!
//! [`SqsQueue`](super::SqsQueue) is the real one. A simulation puts a queue of its own here,
//! so that the code above this line (batches, heartbeat, failed entries) runs as it is.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Most entries of one batch request (SQS API reference).
pub const MAX_BATCH: usize = 10;

/// Most bytes of all bodies of one batch request: 1 MiB (SQS quotas), less room for
/// attributes.
pub(super) const MAX_BATCH_BYTES: usize = 1024 * 1024 - 16 * 1024;

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    /// Messages of one group are delivered in order, one worker at a time.
    pub group: String,
    /// A second message with this id within 5 minutes is dropped by SQS. It saves work and
    /// guards nothing (INV-4).
    pub deduplication: String,
    /// The message itself.
    pub body: String,
}

/// A received message as the queue service hands it out.
#[derive(Debug, Clone)]
pub struct ReceivedMessage {
    /// Names this delivery of the message; a later delivery has another.
    pub receipt: String,
    /// The queue service's own id of the message.
    pub message_id: String,
    /// Its group.
    pub group: String,
    /// How often it was delivered, this time included.
    pub receive_count: u32,
    /// When it was put into the queue, if the service says so.
    pub sent_at: Option<Timestamp>,
    /// The message itself.
    pub body: String,
}

/// An entry of a batch that was refused, while others were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedEntry {
    /// Its position in the call's list.
    pub index: usize,
    /// Refused because of the entry itself, so that repeating it changes nothing.
    pub for_good: bool,
    /// The service's code and words.
    pub reason: String,
}

/// A call that failed as a whole. It may have been carried out all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", .class.as_str())]
pub struct QueueCallError {
    /// Of which class the failure is.
    pub class: QueueCallErrorClass,
    /// What the SDK or the service said.
    pub reason: String,
}

impl QueueCallError {
    /// A failure of no class of its own.
    #[must_use]
    pub fn other(reason: impl Into<String>) -> Self {
        Self { class: QueueCallErrorClass::Other, reason: reason.into() }
    }
}

/// What an operator has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueCallErrorClass {
    /// The credentials or the policy of this process.
    AccessDenied,
    /// The queue does not exist.
    NoQueue,
    /// The network, or a service that does not answer.
    NoAnswer,
    /// The quota of the account.
    Throttled,
    /// Anything else.
    Other,
}

impl QueueCallErrorClass {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access denied (check credentials and policy): ",
            Self::NoQueue => "the queue does not exist (run `dueflow setup`): ",
            Self::NoAnswer => "no answer (check network and endpoint): ",
            Self::Throttled => "throttled: ",
            Self::Other => "",
        }
    }
}

/// One queue. Batches hold at most [`MAX_BATCH`] entries; an empty list in
/// the answer of a batch means that every entry was taken.
#[async_trait]
pub trait QueueApi: fmt::Debug + Send + Sync {
    /// The queue's name, for messages to people.
    fn name(&self) -> &str;

    /// Up to ten messages, in order within each group, hidden from others for `visibility`;
    /// none when none came within `wait`. May be dropped at any time.
    async fn receive(
        &self,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError>;

    /// Deletes deliveries. A message that is gone already counts as deleted.
    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError>;

    /// Sets how long from now each delivery stays hidden, in whole seconds; entries are
    /// carried out in their order.
    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError>;

    /// Puts messages into the queue, in their order within each group.
    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError>;
}

/// How many messages a queue holds. Approximate: what was sent, received or deleted within about a
/// minute may not be counted yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that wait to be received.
    pub visible: u64,
    /// Messages that were received and are hidden.
    pub in_flight: u64,
}

/// How many messages a queue holds.
#[async_trait]
pub trait MessageCount: fmt::Debug + Send + Sync {
    /// All messages of the queue, visible, in flight and delayed. Approximate: what was sent or
    /// deleted within about a minute may not be counted yet.
    async fn messages(&self) -> Result<u64, QueueCallError>;
}

/// Why a visibility is changed: a label of the metric of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// The message stays in hand.
    Extend,
    /// The message is given back.
    Release,
}

impl Visibility {
    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Extend => "extend",
            Self::Release => "release",
        }
    }
}
