//! Queues in memory, which fail, take only the first part, or lose their answers.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Failure, Payment};
use shared::queue::{MessageCount, OutgoingMessage, QueueCallError, QueueDepth, SendError};
use tokio::time::Instant;

use super::FaultInjector;
use crate::batch_clock::queues::QueueDepths;
use crate::forward::queues::RelayQueues;
use crate::labels::QueueKind;

/// Both queues, for any number of relays.
#[derive(Debug)]
pub(super) struct FakeQueues {
    faults: Arc<FaultInjector>,
    dead_letters_down: AtomicBool,
    payments_down: AtomicBool,
    counted: AtomicUsize,
    depths: AtomicUsize,
    /// Messages that are counted though none of them is here.
    pretended: AtomicU64,
    arrivals: Mutex<Arrivals>,
}

#[derive(Debug, Default)]
struct Arrivals {
    count: usize,
    /// By payment id: when it came first, how often it came.
    payments: HashMap<String, (usize, usize)>,
    /// Messages that nobody has taken, by payment id.
    queue: VecDeque<String>,
    /// When each deduplication id came first.
    deduplicated: HashMap<String, Instant>,
    /// How long the queue was, from when on.
    lengths: Vec<(Instant, usize)>,
    dead_letters: Vec<(String, String)>,
    /// Of each, in the same order.
    reasons: Vec<Failure>,
}

/// For so long SQS drops what comes with the same deduplication id.
const DEDUPLICATION: Duration = Duration::from_secs(5 * 60);
/// So old is the number of messages that SQS tells.
const LAG: Duration = Duration::from_secs(60);

impl Arrivals {
    fn arrive(&mut self, message: &OutgoingMessage) {
        self.count += 1;
        let now = self.count;
        // The deduplication id begins with the due date, which has ten letters, and the id.
        let id = message.deduplication[11..47].to_owned();
        self.payments.entry(id.clone()).or_insert((now, 0)).1 += 1;
        let before = self.deduplicated.get(&message.deduplication);
        if before.is_none_or(|at| at.elapsed() >= DEDUPLICATION) {
            self.deduplicated.insert(message.deduplication.clone(), Instant::now());
            self.queue.push_back(id);
        }
        self.note();
    }

    fn note(&mut self) {
        self.lengths.push((Instant::now(), self.queue.len()));
    }
}

impl FakeQueues {
    /// How often a payment was sent.
    pub(super) fn times(&self, id: &str) -> usize {
        self.arrivals.lock().unwrap().payments.get(id).map_or(0, |(_, times)| *times)
    }

    /// Messages in the queue.
    pub(super) fn len(&self) -> usize {
        self.arrivals.lock().unwrap().queue.len()
    }

    /// Whether a message with this deduplication id came.
    pub(super) fn came(&self, deduplication: &str) -> bool {
        self.arrivals.lock().unwrap().deduplicated.contains_key(deduplication)
    }

    /// Takes messages out of the queue: the ids of their payments.
    pub(super) fn take(&self, most: usize) -> Vec<String> {
        let mut arrivals = self.arrivals.lock().unwrap();
        let most = most.min(arrivals.queue.len());
        let taken = arrivals.queue.drain(..most).collect();
        arrivals.note();
        taken
    }

    /// How often the messages were counted.
    pub(super) fn counted(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    /// How often a relay asked for the depth of a queue to show it.
    pub(super) fn depths(&self) -> usize {
        self.depths.load(Ordering::Relaxed)
    }

    /// Counts so many messages more than are here.
    pub(super) fn pretend(&self, messages: u64) {
        self.pretended.store(messages, Ordering::Relaxed);
    }

    pub(super) fn new(faults: Arc<FaultInjector>) -> Self {
        Self {
            faults,
            dead_letters_down: AtomicBool::new(false),
            payments_down: AtomicBool::new(false),
            counted: 0.into(),
            depths: 0.into(),
            pretended: 0.into(),
            arrivals: Mutex::default(),
        }
    }

    pub(super) fn first_arrival(&self, id: &str) -> Option<usize> {
        self.arrivals.lock().unwrap().payments.get(id).map(|(first, _)| *first)
    }

    pub(super) fn arrived(&self, id: &str) -> bool {
        self.first_arrival(id).is_some()
    }

    /// Messages, counted as often as they came.
    pub(super) fn count(&self) -> usize {
        self.arrivals.lock().unwrap().count
    }

    /// What is in the dead-letter queue, by source and text.
    pub(super) fn dead_letters(&self) -> Vec<(String, String)> {
        self.arrivals.lock().unwrap().dead_letters.clone()
    }

    /// Why it is there.
    pub(super) fn reasons(&self) -> Vec<Failure> {
        self.arrivals.lock().unwrap().reasons.clone()
    }

    pub(super) fn fail_dead_letters(&self) {
        self.dead_letters_down.store(true, Ordering::Relaxed);
    }

    /// Takes no payment from here on.
    pub(super) fn fail_payments(&self) {
        self.payments_down.store(true, Ordering::Relaxed);
    }

    pub(super) fn restore_payments(&self) {
        self.payments_down.store(false, Ordering::Relaxed);
    }

    pub(super) fn restore_dead_letters(&self) {
        self.dead_letters_down.store(false, Ordering::Relaxed);
    }

    fn unsent(indices: Vec<usize>) -> SendError {
        SendError { queue: "q".to_owned(), indices, reason: "a storm".to_owned() }
    }
}

#[async_trait]
impl RelayQueues for FakeQueues {
    async fn send(&self, messages: &[OutgoingMessage]) -> Result<(), SendError> {
        self.faults.delay().await;
        if self.payments_down.load(Ordering::Relaxed) {
            return Err(Self::unsent((0..messages.len()).collect()));
        }
        let lost = self.faults.fails();
        let taken = if lost { self.faults.below(messages.len() + 1) } else { messages.len() };
        {
            let mut arrivals = self.arrivals.lock().unwrap();
            messages[..taken].iter().for_each(|message| arrivals.arrive(message));
        }
        self.faults.delay().await;
        if lost {
            // What was taken may be reported as not taken too.
            let first = self.faults.below(taken + 1);
            return Err(Self::unsent((first..messages.len()).collect()));
        }
        Ok(())
    }

    async fn write_dead_letter(
        &self,
        source: &str,
        _payment: Option<&Payment>,
        raw: String,
        failure: Failure,
    ) -> Result<(), SendError> {
        self.faults.delay().await;
        if self.dead_letters_down.load(Ordering::Relaxed) || self.faults.fails() {
            return Err(Self::unsent(vec![0]));
        }
        let mut arrivals = self.arrivals.lock().unwrap();
        let deduplication = format!("{source}-{}", failure.code);
        let before = arrivals.deduplicated.insert(deduplication, Instant::now());
        if before.is_none_or(|at| at.elapsed() >= DEDUPLICATION) {
            arrivals.dead_letters.push((source.to_owned(), raw));
            arrivals.reasons.push(failure);
        }
        Ok(())
    }
}

#[async_trait]
impl QueueDepths for FakeQueues {
    async fn depth(&self, queue: QueueKind) -> Result<QueueDepth, QueueCallError> {
        self.faults.delay().await;
        self.depths.fetch_add(1, Ordering::Relaxed);
        if self.faults.fails() {
            return Err(QueueCallError::other("a storm"));
        }
        let arrivals = self.arrivals.lock().unwrap();
        let visible = match queue {
            QueueKind::Payments => arrivals.queue.len(),
            QueueKind::Confirmations => 0,
            QueueKind::DeadLetters => arrivals.dead_letters.len(),
        };
        Ok(QueueDepth { visible: visible as u64, in_flight: 0 })
    }
}

#[async_trait]
impl MessageCount for FakeQueues {
    async fn messages(&self) -> Result<u64, QueueCallError> {
        self.faults.delay().await;
        self.counted.fetch_add(1, Ordering::Relaxed);
        if self.faults.fails() {
            return Err(QueueCallError::other("a storm"));
        }
        let arrivals = self.arrivals.lock().unwrap();
        let then = arrivals.lengths.iter().rev().find(|(at, _)| at.elapsed() >= LAG);
        let here = then.map_or(0, |(_, length)| *length as u64);
        Ok(here + self.pretended.load(Ordering::Relaxed))
    }
}
