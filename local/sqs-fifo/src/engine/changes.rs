//! What calls have changed, told so that it can be kept and recalled.
//!
//! A change says what is, not what was asked for, so that it can be recalled by an engine that
//! would decide otherwise today. What time alone brings about is not told: whoever recalls has a
//! clock too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::attributes::DeduplicationScope;
use super::groups::{GroupKey, Held};
use super::ids::SequenceNumber;
use super::message::{Message, MessageAttributes};
use super::queue::{Delivery, Queue};
use super::time::Millis;

/// One change. Each is whole by itself: between any two of them the queues make sense.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// Numbers given away so far; new ones are larger.
    Numbered { sequence: SequenceNumber, queue: u32 },
    /// There is a queue, without messages.
    Created(QueueRecord),
    /// A queue is gone with its messages.
    Deleted { queue: String, at: Millis },
    /// A queue has these attributes now.
    Set { queue: String, attributes: BTreeMap<String, String>, at: Millis },
    /// A queue has these tags now.
    Tagged { queue: String, tags: BTreeMap<String, String> },
    /// A queue has no messages now.
    Purged { queue: String, at: Millis },
    /// A message was sent, and is remembered for deduplication within `scope`.
    Sent { queue: String, scope: DeduplicationScope, message: MessageRecord },
    /// There is a message. Told when all is told anew.
    Kept { queue: String, message: MessageRecord },
    /// A deduplication id is remembered. Told when all is told anew.
    Remembered { queue: String, first: FirstRecord },
    /// A message was handed out.
    Received { queue: String, sequence: SequenceNumber, receives: Receives },
    /// A message in flight becomes visible then, or is visible.
    Shown { queue: String, sequence: SequenceNumber, at: Option<Millis> },
    /// A message was deleted.
    Removed { queue: String, sequence: SequenceNumber },
    /// A message left one queue for another, as a new one there.
    Moved { from: String, sequence: SequenceNumber, queue: String, message: MessageRecord },
}

/// A queue without its messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct QueueRecord {
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) created: Millis,
    pub(crate) modified: Millis,
    pub(crate) purged: Option<Millis>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl QueueRecord {
    pub(crate) fn of(queue: &Queue) -> Self {
        Self {
            name: queue.name.to_string(),
            number: queue.number,
            created: queue.created,
            modified: queue.modified,
            purged: queue.purged,
            attributes: queue.attributes.told(),
            tags: queue.tags.clone(),
        }
    }
}

/// A message with its place. Its digest is not kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    pub(crate) id: Uuid,
    pub(crate) sequence: SequenceNumber,
    pub(crate) sent: Millis,
    pub(crate) group: String,
    /// Where the group is kept: receipt handles say it.
    pub(crate) place: GroupKey,
    pub(crate) deduplication_id: String,
    pub(crate) body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attributes: Option<MessageAttributes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace_header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receives: Option<Receives>,
}

impl MessageRecord {
    pub(crate) fn of(message: &Message, place: GroupKey) -> Self {
        Self {
            id: message.id,
            sequence: message.sequence,
            sent: message.sent,
            group: message.group.to_string(),
            place,
            deduplication_id: message.deduplication_id.to_string(),
            body: message.body.to_string(),
            attributes: message.attributes.as_deref().cloned(),
            trace_header: message.trace_header.as_deref().map(str::to_owned),
            dead_letter_source: message.dead_letter_source.as_deref().map(str::to_owned),
            receives: None,
        }
    }

    pub(crate) fn of_held(held: &Held, place: GroupKey) -> Self {
        let receives = (held.receive_count > 0).then_some(Receives {
            count: held.receive_count,
            first: held.first_received,
            latest: held.receive,
            at: held.received,
            visible_at: held.visible_at,
        });
        Self { receives, ..Self::of(&held.message, place) }
    }
}

/// How often and when a message was received.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Receives {
    pub(crate) count: u32,
    pub(crate) first: Millis,
    /// Number and time of the latest.
    pub(crate) latest: u64,
    pub(crate) at: Millis,
    /// Set while the message is in flight.
    pub(crate) visible_at: Option<Millis>,
}

impl Receives {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        Self {
            count: delivery.receive_count,
            first: delivery.first_received,
            latest: delivery.receipt.receive,
            at: delivery.received,
            visible_at: Some(delivery.visible_at),
        }
    }
}

/// A deduplication id that is remembered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FirstRecord {
    /// With the scope `messageGroup`.
    pub(crate) group: Option<String>,
    pub(crate) deduplication_id: String,
    /// Ids of the first message with it.
    pub(crate) id: Uuid,
    pub(crate) sequence: SequenceNumber,
    pub(crate) until: Millis,
}

/// Changes since they were last taken, if anybody keeps them.
#[derive(Debug, Default)]
pub(crate) struct Notes(Option<Vec<Change>>);

impl Notes {
    /// Notes changes from now on.
    pub(crate) fn begin(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(crate) fn are_taken(&self) -> bool {
        self.0.is_some()
    }

    /// Notes a change, which is only made if anybody keeps it.
    pub(crate) fn note(&mut self, change: impl FnOnce() -> Change) {
        if let Some(changes) = &mut self.0 {
            changes.push(change());
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Change> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
