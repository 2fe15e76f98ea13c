//! An engine from changes that were kept.
//!
//! Receive attempts and move tasks are not recalled: a repeated attempt receives anew, and a task
//! that had not ended is to be started again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Engine;
use super::attributes::{DeduplicationScope, QueueAttributes};
use super::changes::{Change, FirstRecord, MessageRecord, QueueRecord};
use super::deduplication::{DeduplicationKey, First};
use super::error::SqsError;
use super::ids::{Ids, SequenceNumber};
use super::limits::Limits;
use super::queue::Queue;
use super::time::Millis;

/// Queues as changes tell of them.
#[derive(Debug)]
pub(crate) struct Recollection {
    limits: Limits,
    ids: Ids,
    queues: BTreeMap<String, Recalled>,
    deleted: BTreeMap<String, Millis>,
    latest: Millis,
}

#[derive(Debug)]
struct Recalled {
    record: QueueRecord,
    attributes: QueueAttributes,
    messages: BTreeMap<SequenceNumber, MessageRecord>,
    window: VecDeque<FirstRecord>,
}

/// Why a change cannot be recalled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecallError {
    #[error("there is no queue {0} before this line")]
    NoQueue(String),
    #[error("attributes of a queue")]
    Attributes(#[source] SqsError),
}

impl Recollection {
    /// Nothing recalled yet. Ids made from now on come from `seed`.
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            ids: Ids::new(seed),
            queues: BTreeMap::new(),
            deleted: BTreeMap::new(),
            latest: Millis::default(),
        }
    }

    /// Takes the next change in.
    pub(crate) fn apply(&mut self, change: Change) -> Result<(), RecallError> {
        match change {
            Change::Numbered { sequence, queue } => self.ids.skip(sequence, queue),
            Change::Created(record) => self.create(record)?,
            Change::Deleted { queue, at } => {
                self.queues.remove(&queue);
                self.deleted.insert(queue, at);
                self.passed(at);
            }
            Change::Set { queue, attributes, at } => {
                let attributes = self.attributes(&attributes)?;
                self.passed(at);
                self.queue(queue)?.set(attributes, at);
            }
            Change::Tagged { queue, tags } => self.queue(queue)?.record.tags = tags,
            Change::Purged { queue, at } => {
                self.passed(at);
                let queue = self.queue(queue)?;
                queue.record.purged = Some(at);
                queue.messages.clear();
            }
            Change::Sent { queue, scope, message } => {
                let until = message.sent + self.limits.deduplication;
                let by_group = scope == DeduplicationScope::MessageGroup;
                let first = FirstRecord {
                    group: by_group.then(|| message.group.clone()),
                    deduplication_id: message.deduplication_id.clone(),
                    id: message.id,
                    sequence: message.sequence,
                    until,
                };
                self.remember(queue.clone(), first)?;
                self.keep(queue, message)?;
            }
            Change::Kept { queue, message } => self.keep(queue, message)?,
            Change::Remembered { queue, first } => self.remember(queue, first)?,
            Change::Received { queue, sequence, receives } => {
                self.passed(receives.at);
                self.change(queue, sequence, |message| message.receives = Some(receives))?;
            }
            Change::Shown { queue, sequence, at } => {
                self.change(queue, sequence, |message| {
                    if let Some(receives) = &mut message.receives {
                        receives.visible_at = at;
                    }
                })?;
            }
            Change::Removed { queue, sequence } => {
                self.queue(queue)?.messages.remove(&sequence);
            }
            Change::Moved { from, sequence, queue, message } => {
                self.queue(from)?.messages.remove(&sequence);
                self.keep(queue, message)?;
            }
        }
        Ok(())
    }

    /// The engine that all this makes, at the time of the latest change.
    pub(crate) fn into_engine(self, region: &str, account: &str) -> Engine {
        let mut engine = Engine::new(region, account, self.limits, 0);
        engine.ids = self.ids;
        engine.now = self.latest;
        let deleted = self.deleted.into_iter();
        engine.deleted = deleted.map(|(name, at)| (Arc::from(name), at)).collect();
        for (name, recalled) in self.queues {
            let arn = engine.arn(&name);
            let queue = recalled.into_queue(arn, self.limits);
            engine.queues.insert(name.into(), queue);
        }
        engine
    }

    fn create(&mut self, record: QueueRecord) -> Result<(), RecallError> {
        self.ids.skip(SequenceNumber::default(), record.number);
        self.passed(record.modified);
        self.deleted.remove(&record.name);
        let recalled = Recalled {
            attributes: self.attributes(&record.attributes)?,
            messages: BTreeMap::new(),
            window: VecDeque::new(),
            record,
        };
        self.queues.insert(recalled.record.name.clone(), recalled);
        Ok(())
    }

    fn attributes(&self, told: &BTreeMap<String, String>) -> Result<QueueAttributes, RecallError> {
        QueueAttributes::recall(told, &self.limits).map_err(RecallError::Attributes)
    }

    fn keep(&mut self, queue: String, message: MessageRecord) -> Result<(), RecallError> {
        self.ids.skip(message.sequence, 0);
        self.passed(message.sent);
        self.queue(queue)?.messages.insert(message.sequence, message);
        Ok(())
    }

    fn remember(&mut self, queue: String, first: FirstRecord) -> Result<(), RecallError> {
        self.ids.skip(first.sequence, 0);
        let now = self.latest;
        let window = &mut self.queue(queue)?.window;
        while window.pop_front_if(|old| old.until <= now).is_some() {}
        window.push_back(first);
        Ok(())
    }

    /// Changes a message. One that is not there has outlived its retention period.
    fn change(
        &mut self,
        queue: String,
        sequence: SequenceNumber,
        change: impl FnOnce(&mut MessageRecord),
    ) -> Result<(), RecallError> {
        if let Some(message) = self.queue(queue)?.messages.get_mut(&sequence) {
            change(message);
        }
        Ok(())
    }

    fn queue(&mut self, name: String) -> Result<&mut Recalled, RecallError> {
        self.queues.get_mut(&name).ok_or(RecallError::NoQueue(name))
    }

    fn passed(&mut self, at: Millis) {
        self.latest = self.latest.max(at);
    }
}

impl Recalled {
    /// Messages that have outlived the retention period until now do not return when it grows.
    fn set(&mut self, attributes: QueueAttributes, at: Millis) {
        let retention = self.attributes.retention;
        self.messages.retain(|_, message| message.sent + retention > at);
        self.attributes = attributes;
        self.record.modified = at;
    }

    fn into_queue(self, arn: Arc<str>, limits: Limits) -> Queue {
        let Self { record, attributes, messages, window } = self;
        let name = record.name.into();
        let mut queue = Queue::new(name, arn, record.number, attributes, limits, record.created);
        queue.modified = record.modified;
        queue.purged = record.purged;
        queue.tags = record.tags;
        for first in window {
            let key = DeduplicationKey {
                group: first.group.map(Arc::from),
                id: first.deduplication_id.into(),
            };
            let FirstRecord { id, sequence, until, .. } = first;
            queue.window.remember_until(key, First { id, sequence }, until);
        }
        queue.recall(messages.into_values());
        queue
    }
}
