//! Receiving: what is handed out, to whom it is shown again, what is dead.

use std::sync::Arc;
use std::time::Duration;

use super::deadlines::Deadline;
use super::error::SqsError;
use super::groups::{GroupKey, QueuedMessage};
use super::ids::Ids;
use super::limits::{BATCH, LONGEST_VISIBILITY};
use super::message::Message;
use super::queue::Queue;
use super::receipt::Receipt;
use super::time::Millis;

/// What a `ReceiveMessage` asks for.
#[derive(Debug, Clone)]
pub struct ReceiveRequest {
    max_messages: usize,
    visibility_timeout: Option<Duration>,
    attempt_id: Option<String>,
}

impl ReceiveRequest {
    /// Asks for up to `max_messages` (1 to 10), hidden for `visibility_timeout` seconds
    /// (0 to 43,200) or for the queue's timeout.
    ///
    /// # Errors
    /// `InvalidParameterValue` for numbers out of range or a malformed attempt id.
    pub fn new(
        max_messages: i32,
        visibility_timeout: Option<i32>,
        attempt_id: Option<String>,
    ) -> Result<Self, SqsError> {
        let refused = |name: &str, value: &dyn ToString, why: &str| {
            Err(SqsError::invalid(name, &value.to_string(), why))
        };
        let Some(max) = usize::try_from(max_messages).ok().filter(|n| (1..=BATCH).contains(n))
        else {
            let why = "Must be between 1 and 10, if provided.";
            return refused("MaxNumberOfMessages", &max_messages, why);
        };
        let visibility_timeout = visibility_timeout.map(visibility).transpose()?;
        if let Some(id) = &attempt_id
            && !((1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()))
        {
            let why = "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in length.";
            return refused("ReceiveRequestAttemptId", id, why);
        }
        Ok(Self { max_messages: max, visibility_timeout, attempt_id })
    }
}

/// Checks a `VisibilityTimeout` in seconds.
pub(crate) fn visibility(seconds: i32) -> Result<Duration, SqsError> {
    let timeout = u64::try_from(seconds).ok().map(Duration::from_secs);
    timeout.filter(|timeout| *timeout <= LONGEST_VISIBILITY).ok_or_else(|| {
        let why = "Must be between 0 and 43200, if provided.";
        SqsError::invalid("VisibilityTimeout", &seconds.to_string(), why)
    })
}

/// A message handed out.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// Its receipt handle.
    pub receipt: Receipt,
    /// `ApproximateReceiveCount`, this receive included.
    pub receive_count: u32,
    /// `ApproximateFirstReceiveTimestamp`.
    pub first_received: Millis,
    /// When it becomes visible again, if it is neither deleted nor changed.
    pub visible_at: Millis,
}

impl Delivery {
    fn of(queued: &QueuedMessage, receipt: Receipt, visible_at: Millis) -> Self {
        Self {
            message: Arc::clone(&queued.message),
            receipt,
            receive_count: queued.receive_count,
            first_received: queued.first_received,
            visible_at,
        }
    }
}

/// What a receive brings about.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) deliveries: Vec<Delivery>,
    /// Messages that were received too often: gone from the queue, for its dead-letter queue.
    pub(crate) dead: Vec<Arc<Message>>,
}

impl Queue {
    /// Hands out messages, group by group in turn, each group from its head.
    ///
    /// With `max_receive_count`, messages received that often already are not handed out again.
    pub(crate) fn receive(
        &mut self,
        request: &ReceiveRequest,
        max_receive_count: Option<u32>,
        ids: &mut Ids,
        now: Millis,
    ) -> Received {
        let timeout = request.visibility_timeout;
        let until = now + timeout.unwrap_or(self.attributes.visibility_timeout);
        if let Some(id) = &request.attempt_id
            && let Some(deliveries) = self.repeat(id, until, now)
        {
            return Received { deliveries, dead: Vec::new() };
        }
        let room = self.limits.in_flight.saturating_sub(self.in_flight);
        let most = request.max_messages.min(room);
        let mut received = Received { deliveries: Vec::with_capacity(most), dead: Vec::new() };
        while received.deliveries.len() < most
            && let Some(key) = self.ready.front(&self.groups)
        {
            if let Some(count) = max_receive_count {
                self.remove_dead(key, count, now, &mut received.dead);
            }
            self.hand_out(key, most, until, ids, now, &mut received.deliveries);
        }
        self.deadlines.tidy(&self.groups, self.in_flight);
        if let Some(id) = &request.attempt_id
            && !received.deliveries.is_empty()
        {
            let receipts = received.deliveries.iter().map(|d| d.receipt).collect();
            self.attempts.keep(id, receipts, until, now);
        }
        received
    }

    /// Takes the messages at a group's head that were received too often.
    fn remove_dead(
        &mut self,
        key: GroupKey,
        count: u32,
        now: Millis,
        dead: &mut Vec<Arc<Message>>,
    ) {
        while let Some(group) = self.groups.get(key).filter(|g| g.admitted > 0)
            && group.messages.front().is_some_and(|first| first.receive_count >= count)
            && let Some(queued) = self.remove(key, 0, now)
        {
            dead.push(queued.message);
        }
    }

    /// Hands out from a group's head until `deliveries` holds `most`.
    fn hand_out(
        &mut self,
        key: GroupKey,
        most: usize,
        until: Millis,
        ids: &mut Ids,
        now: Millis,
        deliveries: &mut Vec<Delivery>,
    ) {
        let Some(group) = self.groups.get_mut(key).filter(|g| g.is_receivable()) else {
            return;
        };
        self.ready.withdraw(group);
        let count = group.admitted.min(most - deliveries.len());
        for queued in group.messages.iter_mut().take(count) {
            queued.receive = ids.receipt();
            queued.received = now;
            queued.receive_count += 1;
            if queued.receive_count == 1 {
                queued.first_received = now;
            }
            queued.visible_at = Some(until);
            let sequence = queued.sequence;
            self.deadlines.push(Deadline { at: until, group: key, sequence });
            let receipt =
                Receipt { queue: self.number, group: key, sequence, receive: queued.receive };
            deliveries.push(Delivery::of(queued, receipt, until));
        }
        group.in_flight += count;
        self.in_flight += count;
    }

    /// Hands out again what the attempt handed out, if all of it is as it was then.
    fn repeat(&mut self, id: &str, until: Millis, now: Millis) -> Option<Vec<Delivery>> {
        let attempt = self.attempts.find(id, now)?;
        let mut places = Vec::with_capacity(attempt.receipts.len());
        for receipt in &attempt.receipts {
            let group = self.groups.get(receipt.group)?;
            let index = group.position(receipt.sequence)?;
            let queued = &group.messages[index];
            let unchanged =
                queued.receive == receipt.receive && queued.visible_at == Some(attempt.visible_at);
            places.push(unchanged.then_some((*receipt, index))?);
        }
        attempt.visible_at = until;
        let mut deliveries = Vec::with_capacity(places.len());
        for (receipt, index) in places {
            let queued = &mut self.groups.get_mut(receipt.group)?.messages[index];
            queued.visible_at = Some(until);
            self.deadlines.push(Deadline {
                at: until,
                group: receipt.group,
                sequence: receipt.sequence,
            });
            deliveries.push(Delivery::of(queued, receipt, until));
        }
        Some(deliveries)
    }
}
