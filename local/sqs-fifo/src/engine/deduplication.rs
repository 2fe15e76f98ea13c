//! The deduplication window: what was sent lately.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::ids::SequenceNumber;
use super::time::Millis;

/// What makes two messages the same: the deduplication id, and with the scope `messageGroup`
/// also the group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DeduplicationKey {
    pub(crate) group: Option<Arc<str>>,
    pub(crate) id: Arc<str>,
}

/// The first message sent with a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct First {
    pub(crate) id: Uuid,
    pub(crate) sequence: SequenceNumber,
}

/// Remembers each key for a fixed time from its first message on; a duplicate does not renew it.
#[derive(Debug)]
pub(crate) struct Window {
    span: Duration,
    firsts: HashMap<DeduplicationKey, First>,
    line: VecDeque<(Millis, DeduplicationKey)>,
}

impl Window {
    pub(crate) fn new(span: Duration) -> Self {
        Self { span, firsts: HashMap::new(), line: VecDeque::new() }
    }

    /// The first message with that key, if it was sent within the window.
    pub(crate) fn first(&mut self, key: &DeduplicationKey, now: Millis) -> Option<First> {
        while let Some((_, old)) = self.line.pop_front_if(|(until, _)| *until <= now) {
            self.firsts.remove(&old);
        }
        self.firsts.get(key).copied()
    }

    pub(crate) fn remember(&mut self, key: DeduplicationKey, first: First, now: Millis) {
        self.remember_until(key, first, now + self.span);
    }

    /// Remembers what was remembered before, in the order of their ends.
    pub(crate) fn remember_until(&mut self, key: DeduplicationKey, first: First, until: Millis) {
        self.line.push_back((until, key.clone()));
        self.firsts.insert(key, first);
    }

    /// What is remembered, in the order of their ends.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Millis, &DeduplicationKey, First)> {
        let line = self.line.iter();
        line.filter_map(|(until, key)| Some((*until, key, *self.firsts.get(key)?)))
    }
}
