//! `ReceiveRequestAttemptId`: receives that can be asked for again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::receipt::Receipt;
use super::time::Millis;

/// What a receive handed out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) receipts: Vec<Receipt>,
    /// When all of its messages become visible, if none was changed since.
    pub(crate) visible_at: Millis,
    until: Millis,
}

/// The receives of a queue that carried an attempt id, for a fixed time each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempts {
    span: Duration,
    by_id: HashMap<Arc<str>, Attempt>,
    order: VecDeque<(Millis, Arc<str>)>,
}

impl Attempts {
    pub(crate) fn new(span: Duration) -> Self {
        Self { span, by_id: HashMap::new(), order: VecDeque::new() }
    }

    /// The latest receive with that id.
    pub(crate) fn find(&mut self, id: &str, now: Millis) -> Option<&mut Attempt> {
        while let Some((until, old)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            if self.by_id.get(&old).is_some_and(|kept| kept.until == until) {
                self.by_id.remove(&old);
            }
        }
        self.by_id.get_mut(id)
    }

    /// Keeps a receive, in place of an earlier one with that id.
    pub(crate) fn keep(
        &mut self,
        id: &str,
        receipts: Vec<Receipt>,
        visible_at: Millis,
        now: Millis,
    ) {
        let id: Arc<str> = id.into();
        let until = now + self.span;
        self.order.push_back((until, Arc::clone(&id)));
        let attempt = Attempt { receipts, visible_at, until };
        self.by_id.insert(id, attempt);
    }
}
