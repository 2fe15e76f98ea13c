//! One FIFO queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arrivals::{Admission, Arrival, Arrivals};
use super::attempts::Attempts;
use super::attributes::QueueAttributes;
use super::deadlines::Deadlines;
use super::deduplication::Window;
use super::groups::{GroupKey, Groups, QueuedMessage};
use super::limits::Limits;
use super::message::Message;
use super::move_task::MoveTask;
use super::ready::Ready;
use super::time::Millis;

/// A queue: its settings, its messages, and the orders in which these are looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Queue {
    pub(crate) name: Arc<str>,
    pub(crate) arn: Arc<str>,
    pub(crate) number: u32,
    pub(crate) created: Millis,
    pub(crate) modified: Millis,
    pub(crate) purged: Option<Millis>,
    pub(crate) attributes: QueueAttributes,
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(skip)]
    pub(crate) moves: VecDeque<MoveTask>,
    pub(crate) window: Window,
    pub(super) attempts: Attempts,
    pub(super) limits: Limits,
    pub(super) groups: Groups,
    pub(super) ready: Ready,
    pub(super) arrivals: Arrivals,
    pub(super) deadlines: Deadlines,
    pub(super) in_flight: usize,
    /// Something happened that may let a waiting receive find messages.
    pub(super) may_be_receivable: bool,
}

impl Queue {
    pub(crate) fn new(
        name: Arc<str>,
        arn: Arc<str>,
        number: u32,
        attributes: QueueAttributes,
        limits: Limits,
        now: Millis,
    ) -> Self {
        Self {
            name,
            arn,
            number,
            created: now,
            modified: now,
            purged: None,
            attributes,
            tags: BTreeMap::new(),
            moves: VecDeque::new(),
            window: Window::new(limits.deduplication),
            attempts: Attempts::new(limits.receive_attempt),
            limits,
            groups: Groups::default(),
            ready: Ready::default(),
            arrivals: Arrivals::default(),
            deadlines: Deadlines::default(),
            in_flight: 0,
            may_be_receivable: false,
        }
    }

    /// Puts a message at the end of its group.
    pub(crate) fn push(&mut self, message: Message, now: Millis) {
        let (sequence, sent) = (message.sequence, message.sent);
        let group = self.groups.push(message);
        self.arrivals.push(Arrival { sequence, sent, group });
        self.admit(now);
    }

    /// Does what time has brought: ends visibility timeouts, delays and retention periods.
    pub(crate) fn advance(&mut self, now: Millis) {
        while let Some((key, index)) = self.deadlines.pop_due(&self.groups, now) {
            self.release(key, index);
        }
        self.admit(now);
        self.drop_outlived(now);
    }

    /// Removes all messages, also those in flight.
    pub(crate) fn purge(&mut self) {
        self.groups = Groups::default();
        self.ready = Ready::default();
        self.arrivals = Arrivals::default();
        self.deadlines = Deadlines::default();
        self.in_flight = 0;
    }

    /// Whether a receive would find a message.
    pub(crate) fn is_receivable(&self) -> bool {
        !self.ready.is_empty() && self.in_flight < self.limits.in_flight
    }

    /// Whether messages may have become receivable since this was last asked.
    pub(crate) fn take_may_be_receivable(&mut self) -> bool {
        std::mem::take(&mut self.may_be_receivable) && self.is_receivable()
    }

    /// When `advance` next makes messages receivable.
    pub(crate) fn next_wakeup(&mut self) -> Option<Millis> {
        let deadline = self.deadlines.next(&self.groups);
        let admission = self.arrivals.next_admission(&self.admission());
        let step = self.moves.front().and_then(MoveTask::next_step);
        [deadline, admission, step].into_iter().flatten().min()
    }

    /// Visible, in flight and delayed messages.
    pub(crate) fn counts(&self, now: Millis) -> (usize, usize, usize) {
        let delayed = self.arrivals.delayed(&self.admission(), now);
        let visible = self.groups.messages() - self.in_flight - delayed;
        (visible, self.in_flight, delayed)
    }

    /// Groups that have messages.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The message a move task takes next: the first of the group whose turn it is.
    pub(crate) fn next_to_move(&mut self) -> Option<Arc<Message>> {
        let key = self.ready.front(&self.groups)?;
        let first = self.groups.get(key)?.messages.front()?;
        Some(Arc::clone(&first.message))
    }

    /// Removes that message; its group goes to the end of the line.
    pub(crate) fn remove_moved(&mut self, now: Millis) {
        if let Some(key) = self.ready.front(&self.groups) {
            if let Some(group) = self.groups.get_mut(key) {
                self.ready.withdraw(group);
            }
            self.remove(key, 0, now);
        }
    }

    fn admission(&self) -> Admission {
        Admission { delay: self.attributes.delay, look_ahead: self.limits.look_ahead }
    }

    fn admit(&mut self, now: Millis) {
        let admission = self.admission();
        while let Some(key) = self.arrivals.admit(&admission, now) {
            if let Some(group) = self.groups.get_mut(key) {
                group.admitted += 1;
            }
            self.offer(key);
        }
    }

    /// Puts a group in the line if it can be received from.
    fn offer(&mut self, key: GroupKey) {
        if let Some(group) = self.groups.get_mut(key).filter(|g| g.is_receivable()) {
            self.ready.push(key, group);
            self.may_be_receivable = true;
        }
    }

    /// Makes a message in flight visible again, in its place.
    pub(super) fn release(&mut self, key: GroupKey, index: usize) {
        if let Some(group) = self.groups.get_mut(key) {
            group.messages[index].visible_at = None;
            group.in_flight -= 1;
            self.in_flight -= 1;
            self.may_be_receivable = true;
        }
        self.offer(key);
    }

    /// Removes an admitted message.
    pub(super) fn remove(
        &mut self,
        key: GroupKey,
        index: usize,
        now: Millis,
    ) -> Option<QueuedMessage> {
        let queued = self.groups.remove(key, index)?;
        if queued.visible_at.is_some() {
            self.in_flight -= 1;
        }
        self.may_be_receivable = true;
        self.close_if_empty(key);
        let groups = &self.groups;
        self.arrivals.left(|arrival| is_present(groups, arrival));
        self.offer(key);
        self.admit(now);
        Some(queued)
    }

    fn close_if_empty(&mut self, key: GroupKey) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        if group.admitted == 0 {
            self.ready.withdraw(group);
        }
        if group.messages.is_empty() {
            self.groups.close(key);
            self.ready.tidy(&self.groups);
        }
    }

    fn drop_outlived(&mut self, now: Millis) {
        let Some(limit) = now.checked_sub(self.attributes.retention) else {
            return;
        };
        loop {
            let groups = &self.groups;
            let outlived = self.arrivals.outlived(limit, |arrival| is_present(groups, arrival));
            let Some(arrival) = outlived else {
                return;
            };
            let admitted = groups.get(arrival.group).is_some_and(|g| g.admitted > 0);
            if admitted {
                self.remove(arrival.group, 0, now);
            } else {
                self.arrivals.drop_waiting();
                self.groups.remove(arrival.group, 0);
                self.close_if_empty(arrival.group);
            }
        }
    }
}

/// Whether a message is still on the queue. Asked of arrivals at the front of the queue only,
/// or of all; messages of a group arrive in its order.
fn is_present(groups: &Groups, arrival: &Arrival) -> bool {
    groups.get(arrival.group).is_some_and(|group| {
        let messages = &group.messages;
        messages.binary_search_by_key(&arrival.sequence, |queued| queued.sequence).is_ok()
    })
}
