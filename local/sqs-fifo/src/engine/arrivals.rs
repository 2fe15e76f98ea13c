//! All messages of a queue in the order of their arrival: which may be received yet, which has
//! outlived its retention period.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::groups::GroupKey;
use super::ids::SequenceNumber;
use super::time::Millis;

/// A message's arrival.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Arrival {
    pub(crate) sequence: SequenceNumber,
    pub(crate) sent: Millis,
    pub(crate) group: GroupKey,
}

/// Messages wait until the queue's delay has passed and they are near enough to
/// the front to be found. Both come true in the order of arrival.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Arrivals {
    waiting: VecDeque<Arrival>,
    /// Admitted messages, and traces of those that have left since.
    admitted: VecDeque<Arrival>,
    present: usize,
}

impl Arrivals {
    pub(crate) fn push(&mut self, arrival: Arrival) {
        self.waiting.push_back(arrival);
    }

    /// Lets the next message pass if its time has come.
    pub(crate) fn admit(&mut self, admission: &Admission, now: Millis) -> Option<GroupKey> {
        let first = self.waiting.front()?;
        if self.present >= admission.look_ahead || first.sent + admission.delay > now {
            return None;
        }
        let arrival = self.waiting.pop_front()?;
        self.present += 1;
        self.admitted.push_back(arrival);
        Some(arrival.group)
    }

    /// When the delay of the next message ends, if that is all it waits for.
    pub(crate) fn next_admission(&self, admission: &Admission) -> Option<Millis> {
        let first = self.waiting.front()?;
        (self.present < admission.look_ahead).then(|| first.sent + admission.delay)
    }

    /// Messages whose delay has not passed.
    pub(crate) fn delayed(&self, admission: &Admission, now: Millis) -> usize {
        let due = |arrival: &Arrival| arrival.sent + admission.delay <= now;
        self.waiting.len() - self.waiting.partition_point(due)
    }

    /// Takes note that an admitted message has left the queue.
    pub(crate) fn left(&mut self, is_present: impl Fn(&Arrival) -> bool) {
        self.present -= 1;
        if self.admitted.len() > 2 * self.present + 1_024 {
            self.admitted.retain(is_present);
        }
    }

    /// The oldest message, if it was sent at or before `limit`.
    pub(crate) fn outlived(
        &mut self,
        limit: Millis,
        is_present: impl Fn(&Arrival) -> bool,
    ) -> Option<Arrival> {
        while let Some(&first) = self.admitted.front() {
            if first.sent > limit {
                return None;
            }
            if is_present(&first) {
                return Some(first);
            }
            self.admitted.pop_front();
        }
        self.waiting.front().copied().filter(|a| a.sent <= limit)
    }

    /// Removes the first waiting message: it has outlived its retention period.
    pub(crate) fn drop_waiting(&mut self) {
        self.waiting.pop_front();
    }
}

/// What a message waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    /// The queue's `DelaySeconds`.
    pub(crate) delay: Duration,
    /// How many messages may be admitted at a time.
    pub(crate) look_ahead: usize,
}
