//! All queues of one account: what every call goes through, and receiving and what follows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::SqsError;
use super::ids::Ids;
use super::limits::Limits;
use super::message::Message;
use super::queue::Queue;
use super::receive::{Delivery, ReceiveRequest, Received, visibility};
use super::time::Millis;

/// All queues of one account in one region.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Engine {
    pub(super) region: String,
    pub(super) account: String,
    pub(super) limits: Limits,
    pub(super) queues: BTreeMap<Arc<str>, Queue>,
    /// When queues were deleted whose names are not free yet.
    pub(super) deleted: BTreeMap<Arc<str>, Millis>,
    pub(super) ids: Ids,
    pub(super) now: Millis,
    pub(super) wakeup: Option<Millis>,
    pub(super) available: Vec<Arc<str>>,
}

impl Engine {
    /// No queues yet. Two engines with the same seed and the same calls give the same ids.
    #[must_use]
    pub fn new(region: &str, account: &str, limits: Limits, seed: u64) -> Self {
        Self {
            region: region.to_owned(),
            account: account.to_owned(),
            limits,
            queues: BTreeMap::new(),
            deleted: BTreeMap::new(),
            ids: Ids::new(seed),
            now: Millis::default(),
            wakeup: None,
            available: Vec::new(),
        }
    }

    /// Receives messages. An empty answer is not an error; see [`Engine::take_available`].
    ///
    /// # Errors
    /// `QueueDoesNotExist`.
    pub fn receive(
        &mut self,
        queue: &str,
        request: &ReceiveRequest,
        now: Millis,
    ) -> Result<Vec<Delivery>, SqsError> {
        let redrive = self.queue(queue)?.attributes.redrive.as_ref();
        let redrive = redrive.filter(|policy| self.queues.contains_key(&policy.target));
        let redrive = redrive.map(|policy| (Arc::clone(&policy.target), policy.max_receive_count));
        let count = redrive.as_ref().map(|(_, count)| *count);
        let received = self
            .on_queue(queue, now, |queue, ids, now| Ok(queue.receive(request, count, ids, now)))?;
        let Received { deliveries, dead } = received;
        if let (Some((target, _)), false) = (redrive, dead.is_empty()) {
            self.dead_letter(queue, &target, dead, now)?;
        }
        if !deliveries.is_empty() && self.queue(queue)?.is_receivable() {
            self.announce(queue);
        }
        Ok(deliveries)
    }

    /// Puts dead messages on a dead-letter queue. Their own ids become their deduplication ids,
    /// so that none is taken for another's duplicate.
    fn dead_letter(
        &mut self,
        source: &str,
        target: &str,
        dead: Vec<Arc<Message>>,
        now: Millis,
    ) -> Result<(), SqsError> {
        let arn = Arc::clone(&self.queue(source)?.arn);
        self.on_queue(target, now, |queue, ids, now| {
            for message in dead {
                let moved = Message {
                    sequence: ids.sequence(),
                    sent: now,
                    deduplication_id: message.id.to_string().into(),
                    dead_letter_source: Some(Arc::clone(&arn)),
                    ..Message::clone(&message)
                };
                queue.push(moved, now);
            }
            Ok(())
        })
    }

    /// Deletes the message of a receipt handle. A message that is gone counts as deleted.
    ///
    /// # Errors
    /// `QueueDoesNotExist`; `ReceiptHandleIsInvalid` if it is none of this queue's;
    /// `InvalidParameterValue` if the visibility timeout has ended since the receive.
    pub fn delete(&mut self, queue: &str, handle: &str, now: Millis) -> Result<(), SqsError> {
        self.on_queue(queue, now, |queue, _, now| queue.delete(&handle.parse()?, now))
    }

    /// Makes the message of a receipt handle visible `seconds` from now, at once for zero.
    ///
    /// # Errors
    /// As [`Engine::delete`]; `MessageNotInflight` if the message is visible again;
    /// `InvalidParameterValue` also for more than 12 hours since the receive, and for a message
    /// that is gone.
    pub fn change_visibility(
        &mut self,
        queue: &str,
        handle: &str,
        seconds: i32,
        now: Millis,
    ) -> Result<(), SqsError> {
        let timeout = visibility(seconds)?;
        self.on_queue(queue, now, |queue, _, now| {
            queue.change_visibility(&handle.parse()?, timeout, now)
        })
    }

    /// Does on all queues what time has brought. To be called when [`Engine::next_wakeup`] comes.
    pub fn advance(&mut self, now: Millis) {
        let now = self.clock(now);
        self.wakeup = None;
        let names: Vec<_> = self.queues.keys().cloned().collect();
        for name in &names {
            self.step_move(name, now);
            // The queue was just listed.
            let _ = self.on_queue(name, now, |_, _, _| Ok(()));
        }
    }

    /// When messages next become receivable, or are moved, by time alone. Never too late.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        self.wakeup
    }

    /// The queues on which messages may have become receivable since this was last asked.
    ///
    /// Whoever waits for messages should be told one at a time: a receive that leaves more to be
    /// received names its queue again.
    pub fn take_available(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.available)
    }

    /// Goes on from a snapshot, which may be older than the last calls: ids and numbers that were
    /// given away since it was taken are not given away again.
    pub(crate) fn resume(&mut self, seed: u64) {
        self.ids.skip_ahead(seed);
    }

    /// Time never goes back.
    pub(super) fn clock(&mut self, now: Millis) -> Millis {
        self.now = self.now.max(now);
        self.now
    }

    /// The time of the latest call.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    pub(super) fn arn(&self, name: &str) -> Arc<str> {
        format!("arn:aws:sqs:{}:{}:{name}", self.region, self.account).into()
    }

    pub(super) fn queue(&self, name: &str) -> Result<&Queue, SqsError> {
        self.queues.get(name).ok_or(SqsError::QueueDoesNotExist)
    }

    /// Does something on a queue that is up to date, and takes note of what that brought about.
    pub(super) fn on_queue<T>(
        &mut self,
        name: &str,
        now: Millis,
        work: impl FnOnce(&mut Queue, &mut Ids, Millis) -> Result<T, SqsError>,
    ) -> Result<T, SqsError> {
        let now = self.clock(now);
        let queue = self.queues.get_mut(name);
        let queue = queue.ok_or(SqsError::QueueDoesNotExist)?;
        queue.advance(now);
        let result = work(queue, &mut self.ids, now);
        self.wakeup = [self.wakeup, queue.next_wakeup()].into_iter().flatten().min();
        if queue.take_may_be_receivable() {
            self.announce(name);
        }
        result
    }

    fn announce(&mut self, queue: &str) {
        if !self.available.iter().any(|name| **name == *queue) {
            self.available.push(queue.into());
        }
    }
}
