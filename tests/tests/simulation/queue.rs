//! SQS FIFO: the engine of crate `sqs-fifo`, behind the port that the services use.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use shared::queue::{
    MAX_BATCH, MessageCount, OutgoingMessage, QueueApi, QueueCallError, ReceivedMessage,
    RefusedEntry, Visibility,
};
use sqs_fifo::engine::{Draft, Engine, Limits, Millis, ReceiveRequest};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bugs::Bug;
use crate::faults::{Fault, Faults};
use crate::life::Life;

/// The queue service.
#[derive(Debug, Clone)]
pub(crate) struct Sqs {
    engine: Arc<Mutex<Engine>>,
    began: Instant,
    bell: Arc<Notify>,
    /// Group and body of what was handed out, for the bug that needs to know.
    handed_out: Arc<Mutex<HashMap<String, (String, String)>>>,
}

/// How long a caller waits for SQS (`shared::aws`).
const LIMIT: Duration = Duration::from_secs(15);
/// Beginning of time.
const EPOCH: u64 = 1_800_000_000_000;

impl Sqs {
    pub(crate) fn new(seed: u64, queues: &[&str]) -> Self {
        let mut engine = Engine::new("us-east-1", "000000000000", Limits::default(), seed);
        let text = |text: &str| text.to_owned();
        for queue in queues {
            let attributes = HashMap::from([
                (text("FifoQueue"), text("true")),
                (text("DeduplicationScope"), text("messageGroup")),
                (text("FifoThroughputLimit"), text("perMessageGroupId")),
            ]);
            engine.create_queue(queue, &attributes, &HashMap::new(), Millis(EPOCH)).unwrap();
        }
        let engine = Arc::new(Mutex::new(engine));
        let (bell, handed_out) = (Arc::new(Notify::new()), Arc::default());
        Self { engine, began: Instant::now(), bell, handed_out }
    }

    fn now(&self) -> Millis {
        Millis(EPOCH) + self.began.elapsed()
    }

    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut Engine, Millis) -> T) -> T {
        let mut engine = self.engine.lock().unwrap();
        let now = self.now();
        engine.advance(now);
        let result = act(&mut engine, now);
        if !engine.take_available().is_empty() {
            self.bell.notify_waiters();
        }
        result
    }

    /// When messages next become visible by time alone.
    fn next(&self) -> Option<Duration> {
        let engine = self.engine.lock().unwrap();
        engine.next_wakeup().map(|at| at.since(self.now()))
    }

    pub(crate) fn send(&self, queue: &str, message: &OutgoingMessage) {
        let OutgoingMessage { group, deduplication, body } = message;
        let draft = Draft::new(body, Some(group), Some(deduplication)).unwrap();
        self.act(|engine, now| engine.send(queue, draft, now)).unwrap();
    }

    /// Puts a copy of a message that is in flight at the end of its group and deletes it; false
    /// when it is not in flight any more.
    fn send_behind(&self, queue: &str, receipt: &str) -> bool {
        let Some(message) = self.handed_out.lock().unwrap().get(receipt).cloned() else {
            return false;
        };
        if self.act(|engine, now| engine.delete(queue, receipt, now)).is_err() {
            return false;
        }
        let deduplication = format!("behind-{receipt}");
        self.send(queue, &OutgoingMessage { group: message.0, deduplication, body: message.1 });
        true
    }

    /// Everything in a queue, whatever its state, at the end of a run.
    pub(crate) fn drain(&self, queue: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let received = self.receive(queue, Duration::from_secs(30));
            if received.is_empty() {
                return bodies;
            }
            for message in received {
                self.act(|engine, now| engine.delete(queue, &message.receipt, now)).unwrap();
                bodies.push(message.body);
            }
        }
    }

    fn receive(&self, queue: &str, visibility: Duration) -> Vec<ReceivedMessage> {
        let seconds = i32::try_from(visibility.as_secs()).unwrap();
        let request = ReceiveRequest::new(MAX_BATCH as i32, Some(seconds), None).unwrap();
        let received = self.act(|engine, now| engine.receive(queue, &request, now)).unwrap();
        let incoming = received.into_iter().map(|delivery| ReceivedMessage {
            receipt: delivery.receipt.to_string(),
            message_id: delivery.message.id.to_string(),
            group: delivery.message.group.to_string(),
            receive_count: delivery.receive_count,
            sent_at: None,
            body: delivery.message.body.to_string(),
        });
        let incoming: Vec<_> = incoming.collect();
        let mut handed_out = self.handed_out.lock().unwrap();
        for message in &incoming {
            let group_and_body = (message.group.clone(), message.body.clone());
            handed_out.insert(message.receipt.clone(), group_and_body);
        }
        incoming
    }
}

/// Looks at the body of a message before it is deleted.
pub(crate) type Deleting = Arc<dyn Fn(&str) + Send + Sync>;

/// One queue, as one life of a process uses it.
pub(crate) struct Queue {
    pub(crate) sqs: Sqs,
    pub(crate) name: &'static str,
    pub(crate) life: Life,
    pub(crate) faults: Faults,
    pub(crate) bug: Bug,
    pub(crate) deleting: Deleting,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn lost() -> QueueCallError {
    QueueCallError::other("no answer")
}

#[async_trait]
impl QueueApi for Queue {
    fn name(&self) -> &str {
        self.name
    }

    async fn receive(
        &self,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        self.life.step().await;
        let until = Instant::now() + wait;
        loop {
            let mut rung = std::pin::pin!(self.sqs.bell.notified());
            rung.as_mut().enable();
            let received = match self.faults.draw() {
                Fault::NotSent => None,
                Fault::None | Fault::AnswerLost | Fault::Slow => {
                    Some(self.sqs.receive(self.name, visibility))
                }
            };
            tokio::time::sleep(self.faults.millis(20)).await;
            self.life.step().await;
            match received {
                Some(received) if !received.is_empty() => {
                    if self.faults.draw() == Fault::AnswerLost {
                        return Err(lost());
                    }
                    if self.bug == Bug::AcknowledgeFirst {
                        for message in &received {
                            let _ = self
                                .sqs
                                .act(|engine, now| engine.delete(self.name, &message.receipt, now));
                        }
                    }
                    return Ok(received);
                }
                None => return Err(lost()),
                Some(_) if Instant::now() >= until => return Ok(Vec::new()),
                Some(_) => {}
            }
            let next = self.sqs.next().map_or(until, |next| Instant::now() + next).min(until);
            let _ = tokio::time::timeout_at(next, rung).await;
            self.life.step().await;
        }
    }

    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let (sqs, name) = (self.sqs.clone(), self.name);
        let receipts: Vec<_> = receipts.iter().map(|receipt| (*receipt).to_owned()).collect();
        let deleting = Arc::clone(&self.deleting);
        let delete = move || {
            let results = receipts.iter().map(|receipt| {
                if let Some((_, body)) = sqs.handed_out.lock().unwrap().get(receipt) {
                    deleting(body);
                }
                sqs.act(|engine, now| engine.delete(name, receipt, now))
            });
            refused(results.map(|result| result.map_err(|error| error.to_string())))
        };
        self.faults.call(&self.life, LIMIT, delete).await.ok_or_else(lost)
    }

    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let (sqs, name) = (self.sqs.clone(), self.name);
        let mut entries: Vec<_> =
            entries.iter().map(|(receipt, timeout)| ((*receipt).to_owned(), *timeout)).collect();
        if self.bug == Bug::RestOvertakes && purpose == Visibility::Release {
            // The one that must wait is let go for good and comes again behind the rest.
            entries.retain(|(receipt, pause)| pause.is_zero() || !sqs.send_behind(name, receipt));
        }
        let change = move || {
            let results = entries.iter().map(|(receipt, timeout)| {
                let seconds = i32::try_from(timeout.as_millis().div_ceil(1_000)).unwrap();
                let change = |engine: &mut Engine, now| {
                    engine.change_visibility(name, receipt, seconds, now)
                };
                sqs.act(change).map_err(|error| error.to_string())
            });
            refused(results)
        };
        self.faults.call(&self.life, LIMIT, change).await.ok_or_else(lost)
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let (sqs, name) = (self.sqs.clone(), self.name);
        let messages: Vec<OutgoingMessage> =
            messages.iter().map(|&message| message.clone()).collect();
        let send = move || messages.iter().for_each(|message| sqs.send(name, message));
        self.faults.call(&self.life, LIMIT, send).await.ok_or_else(lost)?;
        Ok(Vec::new())
    }
}

fn refused(results: impl Iterator<Item = Result<(), String>>) -> Vec<RefusedEntry> {
    let results = results.enumerate().filter_map(|(index, result)| {
        result.err().map(|reason| RefusedEntry { index, for_good: true, reason })
    });
    results.collect()
}

#[async_trait]
impl MessageCount for Queue {
    async fn messages(&self) -> Result<u64, QueueCallError> {
        let (sqs, name) = (self.sqs.clone(), self.name);
        let count = move || {
            let attributes = sqs.act(|engine, now| engine.queue_attributes(name, now)).unwrap();
            let counts = attributes.iter().filter(|(key, _)| key.starts_with("ApproximateNumber"));
            counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum()
        };
        self.faults.call(&self.life, LIMIT, count).await.ok_or_else(lost)
    }
}
