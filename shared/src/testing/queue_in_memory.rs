//! A queue in memory. `tests/tests/conformance` holds it against SQS.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::call_fault::CallFault;
use super::fifo::Fifo;
use crate::queue::{
    MAX_BATCH, MessageCount, OutgoingMessage, QueueApi, QueueCallError, ReceivedMessage,
    RefusedEntry, Visibility,
};

/// What a receive takes at least.
const MOMENT: Duration = Duration::from_millis(1);

/// A call of the queue, as a hook sees it.
#[derive(Debug)]
pub enum QueueCall<'a> {
    /// [`QueueApi::receive`].
    Receive,
    /// [`QueueApi::delete`].
    Delete(&'a [&'a str]),
    /// [`QueueApi::change_visibility`].
    ChangeVisibility(&'a [(&'a str, Duration)], Visibility),
    /// [`QueueApi::send`].
    Send(&'a [&'a OutgoingMessage]),
    /// [`MessageCount::messages`].
    Count,
}

type CallHook = Box<dyn Fn(&QueueCall<'_>) -> CallFault + Send + Sync>;
type EntryHook = Box<dyn Fn(&QueueCall<'_>, usize) -> Option<RefusedEntry> + Send + Sync>;

/// One FIFO queue in memory, under tokio's clock.
pub struct QueueInMemory {
    name: &'static str,
    began: Instant,
    count_lag: Duration,
    state: Mutex<State>,
    bell: Notify,
    on_call: CallHook,
    on_entry: EntryHook,
}

#[derive(Debug, Default)]
struct State {
    fifo: Fifo,
    /// Deliveries by their receipts.
    handed_out: HashMap<String, ReceivedMessage>,
    /// What calls that arrived have brought, duplicates too.
    sent: Vec<OutgoingMessage>,
    deleted: Vec<ReceivedMessage>,
    released: Vec<(ReceivedMessage, Duration)>,
}

impl fmt::Debug for QueueInMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl QueueInMemory {
    /// An empty queue.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            began: Instant::now(),
            count_lag: Duration::ZERO,
            state: Mutex::default(),
            bell: Notify::new(),
            on_call: Box::new(|_| CallFault::None),
            on_entry: Box::new(|_, _| None),
        }
    }

    /// A message is counted only so long after it was sent, as at SQS.
    #[must_use]
    pub fn counting_after(mut self, lag: Duration) -> Self {
        self.count_lag = lag;
        self
    }

    /// This hook sees each call and says what becomes of it.
    #[must_use]
    pub fn on_call(
        mut self,
        hook: impl Fn(&QueueCall<'_>) -> CallFault + Send + Sync + 'static,
    ) -> Self {
        self.on_call = Box::new(hook);
        self
    }

    /// This hook sees each entry of a batch that arrives, by its place, and may refuse it.
    #[must_use]
    pub fn on_entry(
        mut self,
        hook: impl Fn(&QueueCall<'_>, usize) -> Option<RefusedEntry> + Send + Sync + 'static,
    ) -> Self {
        self.on_entry = Box::new(hook);
        self
    }

    /// Puts a message into the queue at once.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn put(&self, message: &OutgoingMessage) -> Result<(), &'static str> {
        self.act(|state| state.fifo.send(message, Instant::now(), self.time_of_day()))
    }

    fn time_of_day(&self) -> Timestamp {
        // As good a beginning as any: only how much time passes is told.
        Timestamp::UNIX_EPOCH + Duration::from_secs(1_795_392_000) + self.began.elapsed()
    }

    /// Takes what is visible, at once.
    pub fn take(&self, visibility: Duration) -> Vec<ReceivedMessage> {
        self.act(|state| {
            let received = state.fifo.receive(visibility, Instant::now());
            let receipts =
                received.iter().map(|message| (message.receipt.clone(), message.clone()));
            state.handed_out.extend(receipts);
            received
        })
    }

    /// Empties the queue, whatever is in flight; the bodies, group by group.
    pub fn drain(&self) -> Vec<String> {
        self.act(|state| {
            let bodies = state.fifo.bodies();
            state.fifo.clear();
            bodies
        })
    }

    /// The bodies of all messages, group by group.
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        self.act(|state| state.fifo.bodies())
    }

    /// The delivery that a receipt was given out for, whatever has become of it since.
    #[must_use]
    pub fn delivery(&self, receipt: &str) -> Option<ReceivedMessage> {
        self.act(|state| state.handed_out.get(receipt).cloned())
    }

    /// What was sent, duplicates too, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<OutgoingMessage> {
        self.act(|state| state.sent.clone())
    }

    /// What was deleted, in order.
    #[must_use]
    pub fn deleted(&self) -> Vec<ReceivedMessage> {
        self.act(|state| state.deleted.clone())
    }

    /// What was given back, and for how long it stays hidden, in order.
    #[must_use]
    pub fn released(&self) -> Vec<(ReceivedMessage, Duration)> {
        self.act(|state| state.released.clone())
    }

    /// Deletes one delivery at once.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn delete_one(&self, receipt: &str) -> Result<(), &'static str> {
        self.act(|state| {
            state.fifo.delete(receipt, Instant::now())?;
            state.deleted.extend(state.handed_out.get(receipt).cloned());
            Ok(())
        })
    }

    /// Changes how long one delivery stays hidden, at once.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn hide_one(
        &self,
        receipt: &str,
        timeout: Duration,
        purpose: Visibility,
    ) -> Result<(), &'static str> {
        // SQS counts in whole seconds.
        let timeout = Duration::from_secs(timeout.as_millis().div_ceil(1_000) as u64);
        self.act(|state| {
            state.fifo.hide(receipt, timeout, Instant::now())?;
            let released = state.handed_out.get(receipt).filter(|_| purpose == Visibility::Release);
            state.released.extend(released.cloned().map(|message| (message, timeout)));
            Ok(())
        })
    }

    fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.state.lock().unwrap());
        self.bell.notify_waiters();
        result
    }

    async fn call<T>(
        &self,
        call: &QueueCall<'_>,
        carry_out: impl FnOnce() -> T,
    ) -> Result<T, QueueCallError> {
        let fault = (self.on_call)(call);
        fault.around(carry_out).await.ok_or_else(|| QueueCallError::other("no answer"))
    }

    /// A call with so many entries, each carried out by itself.
    async fn batch(
        &self,
        call: QueueCall<'_>,
        entries: usize,
        carry_out: impl Fn(usize) -> Result<(), &'static str>,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        if !(1..=MAX_BATCH).contains(&entries) {
            return Err(QueueCallError::other(format!("{entries} entries in one batch")));
        }
        let one = |index| {
            let by_hook = (self.on_entry)(&call, index);
            let refused = |reason: &str| {
                let reason = reason.to_owned();
                RefusedEntry { index, for_good: true, reason }
            };
            by_hook.or_else(|| carry_out(index).err().map(refused))
        };
        self.call(&call, || (0..entries).filter_map(one).collect()).await
    }
}

#[async_trait]
impl QueueApi for QueueInMemory {
    fn name(&self) -> &str {
        self.name
    }

    async fn receive(
        &self,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        let fault = (self.on_call)(&QueueCall::Receive);
        let until = Instant::now() + wait;
        while fault != CallFault::NotSent && Instant::now() < until {
            let mut rung = std::pin::pin!(self.bell.notified());
            rung.as_mut().enable();
            let (waiting, next) = {
                let state = &mut self.state.lock().unwrap();
                (state.fifo.has_visible(Instant::now()), state.fifo.next_visible())
            };
            if waiting {
                break;
            }
            let next = next.map_or(until, |next| next.min(until));
            let _ = tokio::time::timeout_at(next, rung).await;
        }
        // Under virtual time, whoever gives back at once what it receives would go on for ever.
        tokio::time::sleep(MOMENT).await;
        let received = fault.around(|| self.take(visibility)).await;
        received.ok_or_else(|| QueueCallError::other("no answer"))
    }

    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let delete = |index: usize| self.delete_one(receipts[index]);
        self.batch(QueueCall::Delete(receipts), receipts.len(), delete).await
    }

    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let change = |index: usize| self.hide_one(entries[index].0, entries[index].1, purpose);
        self.batch(QueueCall::ChangeVisibility(entries, purpose), entries.len(), change).await
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let send = |index: usize| {
            self.put(messages[index])?;
            self.act(|state| state.sent.push(messages[index].clone()));
            Ok(())
        };
        self.batch(QueueCall::Send(messages), messages.len(), send).await
    }
}

#[async_trait]
impl MessageCount for QueueInMemory {
    async fn messages(&self) -> Result<u64, QueueCallError> {
        let until = self.time_of_day() - self.count_lag;
        self.call(&QueueCall::Count, || self.act(|state| state.fifo.sent_until(until))).await
    }
}
