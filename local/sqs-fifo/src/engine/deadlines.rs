//! When messages in flight become visible again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use super::groups::{GroupKey, Groups};
use super::ids::SequenceNumber;
use super::time::Millis;

/// The end of one message's visibility timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Deadline {
    pub(crate) at: Millis,
    pub(crate) group: GroupKey,
    pub(crate) sequence: SequenceNumber,
}

impl Deadline {
    /// The message's place in its group, if it is in flight and this is still its deadline.
    fn place(&self, groups: &Groups) -> Option<usize> {
        let group = groups.get(self.group)?;
        let index = group.position(self.sequence)?;
        (group.messages[index].visible_at == Some(self.at)).then_some(index)
    }
}

/// A heap of deadlines. One that was changed or whose message was deleted stays in it until its
/// time comes, or until such are the larger part of the heap.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Deadlines(BinaryHeap<Reverse<Deadline>>);

impl Deadlines {
    pub(crate) fn push(&mut self, deadline: Deadline) {
        self.0.push(Reverse(deadline));
    }

    /// Takes the place of a message whose deadline has come.
    pub(crate) fn pop_due(&mut self, groups: &Groups, now: Millis) -> Option<(GroupKey, usize)> {
        while let Some(Reverse(first)) = self.0.peek().copied() {
            if first.at > now {
                return None;
            }
            self.0.pop();
            if let Some(index) = first.place(groups) {
                return Some((first.group, index));
            }
        }
        None
    }

    /// The next deadline of a message in flight.
    pub(crate) fn next(&mut self, groups: &Groups) -> Option<Millis> {
        while let Some(Reverse(first)) = self.0.peek() {
            if first.place(groups).is_some() {
                return Some(first.at);
            }
            self.0.pop();
        }
        None
    }

    /// Drops the deadlines that no longer count once they are the larger part.
    pub(crate) fn tidy(&mut self, groups: &Groups, in_flight: usize) {
        if self.0.len() > 2 * in_flight + 1_024 {
            self.0.retain(|Reverse(one)| one.place(groups).is_some());
        }
    }
}
