//! Message groups and the messages they hold, in order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::SequenceNumber;
use super::limits::BATCH;
use super::message::Message;
use super::time::Millis;

/// Where a queue keeps a group. Reused once the group is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct GroupKey(pub(crate) u32);

/// A message in its place in a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct QueuedMessage {
    pub(crate) message: Arc<Message>,
    pub(crate) sequence: SequenceNumber,
    pub(crate) receive_count: u32,
    pub(crate) first_received: Millis,
    /// The latest receive: its number, and when it was.
    pub(crate) receive: u64,
    pub(crate) received: Millis,
    /// Set while the message is in flight.
    pub(crate) visible_at: Option<Millis>,
}

impl QueuedMessage {
    fn new(message: Message) -> Self {
        Self {
            sequence: message.sequence,
            message: Arc::new(message),
            receive_count: 0,
            first_received: Millis(0),
            receive: 0,
            received: Millis(0),
            visible_at: None,
        }
    }
}

/// The messages of one group. Those in flight are among the first ten, since a group hands out
/// at most ten from its head and then nothing until none of them is in flight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    id: Arc<str>,
    pub(crate) messages: VecDeque<QueuedMessage>,
    /// How many from the head may be received: neither delayed nor past the look-ahead.
    pub(crate) admitted: usize,
    pub(crate) in_flight: usize,
    /// The group's place among those ready to be received from.
    pub(crate) ticket: Option<u64>,
}

impl Group {
    /// Where a message is that is or lately was in flight.
    pub(crate) fn position(&self, sequence: SequenceNumber) -> Option<usize> {
        let head = self.messages.iter().take(BATCH);
        head.map(|queued| queued.sequence).position(|found| found == sequence)
    }

    pub(crate) fn is_receivable(&self) -> bool {
        self.in_flight == 0 && self.admitted > 0
    }
}

/// The groups of a queue that have messages.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Groups {
    by_id: HashMap<Arc<str>, GroupKey>,
    places: Vec<Option<Group>>,
    free: Vec<GroupKey>,
    messages: usize,
}

impl Groups {
    /// Puts a message at the end of its group.
    pub(crate) fn push(&mut self, message: Message) -> GroupKey {
        let key = match self.by_id.get(&message.group) {
            Some(&key) => key,
            None => self.open(&message.group),
        };
        if let Some(group) = self.get_mut(key) {
            group.messages.push_back(QueuedMessage::new(message));
            self.messages += 1;
        }
        key
    }

    fn open(&mut self, id: &Arc<str>) -> GroupKey {
        let key = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            GroupKey(u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX))
        });
        self.places[key.0 as usize] = Some(Group {
            id: Arc::clone(id),
            messages: VecDeque::new(),
            admitted: 0,
            in_flight: 0,
            ticket: None,
        });
        self.by_id.insert(Arc::clone(id), key);
        key
    }

    pub(crate) fn get(&self, key: GroupKey) -> Option<&Group> {
        self.places.get(key.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: GroupKey) -> Option<&mut Group> {
        self.places.get_mut(key.0 as usize)?.as_mut()
    }

    /// Takes a message out of its group, whose memory goes with its last message.
    pub(crate) fn remove(&mut self, key: GroupKey, index: usize) -> Option<QueuedMessage> {
        let group = self.get_mut(key)?;
        let queued = group.messages.remove(index)?;
        if index < group.admitted {
            group.admitted -= 1;
        }
        if queued.visible_at.is_some() {
            group.in_flight -= 1;
        }
        self.messages -= 1;
        Some(queued)
    }

    /// Gives an empty group's place back.
    pub(crate) fn close(&mut self, key: GroupKey) {
        if let Some(group) = self.places[key.0 as usize].take() {
            self.by_id.remove(&group.id);
            self.free.push(key);
        }
    }

    /// Messages in all groups.
    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    /// Groups that have messages.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}
