//! What SQS FIFO does with messages, apart from its clock and its calls.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::queue::{MAX_BATCH, OutgoingMessage, ReceivedMessage};

/// For so long a second message with the same group and deduplication id is dropped.
const DEDUPLICATION: Duration = Duration::from_secs(5 * 60);

/// For so long a delivery may stay hidden, from its receive on.
const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 3_600);

/// The messages of one queue.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    groups: BTreeMap<String, Group>,
    /// Group and deduplication id of what was sent lately, and when.
    sent: BTreeMap<(String, String), Instant>,
    messages: u64,
    receives: u64,
    /// How often a group became free: whose turn it is.
    turns: u64,
}

#[derive(Debug, Default)]
struct Group {
    messages: VecDeque<Message>,
    turn: Option<u64>,
}

#[derive(Debug)]
struct Message {
    id: u64,
    sent_at: Timestamp,
    body: String,
    receive_count: u32,
    /// The last receive: its number, and when it was.
    receive: u64,
    received: Option<Instant>,
    /// Set while the message is in flight.
    hidden_until: Option<Instant>,
}

/// A delivery that a receipt stands for.
struct InFlight<'a> {
    group: &'a mut Group,
    index: usize,
}

impl Fifo {
    /// Puts a message at the end of its group, unless it is a duplicate.
    pub(super) fn send(
        &mut self,
        message: &OutgoingMessage,
        now: Instant,
        sent_at: Timestamp,
    ) -> Result<(), &'static str> {
        for id in [&message.group, &message.deduplication] {
            if !(1..=128).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err("InvalidParameterValue: 1 to 128 letters, digits and punctuation");
            }
        }
        self.pass(now);
        self.sent.retain(|_, at| now - *at < DEDUPLICATION);
        let key = (message.group.clone(), message.deduplication.clone());
        if self.sent.contains_key(&key) {
            return Ok(());
        }
        self.sent.insert(key, now);
        self.messages += 1;
        let group = self.groups.entry(message.group.clone()).or_default();
        group.messages.push_back(Message {
            id: self.messages,
            sent_at,
            body: message.body.clone(),
            receive_count: 0,
            receive: 0,
            received: None,
            hidden_until: None,
        });
        self.pass(now);
        Ok(())
    }

    /// Hands out messages, group by group in turn, each group from its head: nothing of a group
    /// of which some is in flight.
    pub(super) fn receive(&mut self, visibility: Duration, now: Instant) -> Vec<ReceivedMessage> {
        self.pass(now);
        let mut received = Vec::new();
        while received.len() < MAX_BATCH
            && let Some((name, group)) = self
                .groups
                .iter_mut()
                .filter(|(_, group)| group.turn.is_some())
                .min_by_key(|(_, group)| group.turn)
        {
            group.turn = None;
            let room = MAX_BATCH - received.len();
            for message in group.messages.iter_mut().take(room) {
                self.receives += 1;
                message.receive = self.receives;
                message.receive_count += 1;
                message.received = Some(now);
                message.hidden_until = Some(now + visibility);
                received.push(ReceivedMessage {
                    receipt: format!("{}-{}", message.id, message.receive),
                    message_id: message.id.to_string(),
                    group: name.clone(),
                    receive_count: message.receive_count,
                    sent_at: Some(message.sent_at),
                    body: message.body.clone(),
                });
            }
        }
        received
    }

    /// Deletes a delivery's message. One that is gone counts as deleted.
    pub(super) fn delete(&mut self, receipt: &str, now: Instant) -> Result<(), &'static str> {
        if let Some(InFlight { group, index }) = self.in_flight(receipt, now)? {
            group.messages.remove(index);
        }
        self.groups.retain(|_, group| !group.messages.is_empty());
        self.pass(now);
        Ok(())
    }

    /// Hides a delivery for so long from now.
    pub(super) fn hide(
        &mut self,
        receipt: &str,
        timeout: Duration,
        now: Instant,
    ) -> Result<(), &'static str> {
        let found = self.in_flight(receipt, now)?;
        let InFlight { group, index } = found.ok_or("InvalidParameterValue: it is gone")?;
        let message = &mut group.messages[index];
        if message.received.is_some_and(|at| now + timeout > at + LONGEST_VISIBILITY) {
            return Err("InvalidParameterValue: longer than 12 hours");
        }
        message.hidden_until = Some(now + timeout);
        self.pass(now);
        Ok(())
    }

    /// Whether a receive finds something.
    pub(super) fn has_visible(&mut self, now: Instant) -> bool {
        self.pass(now);
        self.groups.values().any(|group| group.turn.is_some())
    }

    /// When a message next becomes visible by time alone.
    pub(super) fn next_visible(&self) -> Option<Instant> {
        let all = self.groups.values().flat_map(|group| &group.messages);
        all.filter_map(|message| message.hidden_until).min()
    }

    /// The bodies of all messages, group by group.
    pub(super) fn bodies(&self) -> Vec<String> {
        let all = self.groups.values().flat_map(|group| &group.messages);
        all.map(|message| message.body.clone()).collect()
    }

    /// How many messages were sent by then.
    pub(super) fn sent_until(&self, until: Timestamp) -> u64 {
        let all = self.groups.values().flat_map(|group| &group.messages);
        all.filter(|message| message.sent_at <= until).count() as u64
    }

    /// Forgets all messages.
    pub(super) fn clear(&mut self) {
        self.groups.clear();
    }

    /// Lets time pass: deliveries whose time is over are visible again, and groups of which
    /// nothing is in flight any more stand behind those that were free before.
    fn pass(&mut self, now: Instant) {
        for group in self.groups.values_mut() {
            let mut in_flight = false;
            for message in &mut group.messages {
                message.hidden_until = message.hidden_until.filter(|until| *until > now);
                in_flight |= message.hidden_until.is_some();
            }
            if !in_flight && group.turn.is_none() {
                self.turns += 1;
                group.turn = Some(self.turns);
            }
        }
    }

    /// What a receipt stands for now; `None` when its message is gone.
    fn in_flight(
        &mut self,
        receipt: &str,
        now: Instant,
    ) -> Result<Option<InFlight<'_>>, &'static str> {
        self.pass(now);
        let parts = receipt
            .split_once('-')
            .map(|(id, receive)| (id.parse::<u64>(), receive.parse::<u64>()));
        let Some((Ok(id), Ok(receive))) = parts else { return Err("ReceiptHandleIsInvalid") };
        let found = self.groups.values_mut().find_map(|group| {
            let index = group.messages.iter().position(|message: &Message| message.id == id)?;
            Some(InFlight { group, index })
        });
        let Some(found) = found else { return Ok(None) };
        let message = &found.group.messages[found.index];
        if message.receive != receive {
            Err("InvalidParameterValue: it was received anew")
        } else if message.hidden_until.is_none() {
            Err("MessageNotInflight")
        } else {
            Ok(Some(found))
        }
    }
}
