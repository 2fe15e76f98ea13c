//! The groups that can be received from, in turn.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::groups::{Group, GroupKey, Groups};

/// A queue of groups: one that becomes ready goes to the end, a receive takes from the front.
/// A group that leaves out of turn leaves its ticket behind, which no longer counts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ready {
    order: VecDeque<(GroupKey, u64)>,
    tickets: u64,
    groups: usize,
}

impl Ready {
    /// Puts a group at the end of the queue, unless it stands in it.
    pub(crate) fn push(&mut self, key: GroupKey, group: &mut Group) {
        if group.ticket.is_none() {
            self.tickets += 1;
            self.groups += 1;
            group.ticket = Some(self.tickets);
            self.order.push_back((key, self.tickets));
        }
    }

    /// The group at the front of the queue.
    pub(crate) fn front(&mut self, groups: &Groups) -> Option<GroupKey> {
        while let Some(&(key, ticket)) = self.order.front() {
            if groups.get(key).is_some_and(|g| g.ticket == Some(ticket)) {
                return Some(key);
            }
            self.order.pop_front();
        }
        None
    }

    /// Takes a group out of the queue.
    pub(crate) fn withdraw(&mut self, group: &mut Group) {
        if group.ticket.take().is_some() {
            self.groups -= 1;
        }
    }

    /// Drops the tickets left behind once they are the larger part of the queue.
    pub(crate) fn tidy(&mut self, groups: &Groups) {
        if self.order.len() > 2 * self.groups + 64 {
            self.order
                .retain(|&(key, ticket)| groups.get(key).is_some_and(|g| g.ticket == Some(ticket)));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups == 0
    }
}
