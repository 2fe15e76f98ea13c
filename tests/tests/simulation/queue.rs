//! SQS FIFO in memory, as lives of processes reach it, with bugs planted in it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shared::queue::{
    MessageCount, OutgoingMessage, QueueApi, QueueCallError, ReceivedMessage, RefusedEntry,
    Visibility,
};
use shared::testing::QueueInMemory;

use crate::bugs::Bug;
use crate::faults::{Fault, Faults};
use crate::life::Life;

/// How long a caller waits for SQS (`shared::aws`).
const LIMIT: Duration = Duration::from_secs(15);

/// The queues.
#[derive(Debug, Clone)]
pub(crate) struct Sqs(Arc<[(&'static str, Arc<QueueInMemory>)]>);

impl Sqs {
    pub(crate) fn new(queues: &[&'static str]) -> Self {
        Self(queues.iter().map(|name| (*name, Arc::new(QueueInMemory::new(name)))).collect())
    }

    pub(crate) fn queue(&self, name: &str) -> Arc<QueueInMemory> {
        let found = self.0.iter().find(|(queue, _)| *queue == name);
        Arc::clone(&found.unwrap().1)
    }

    pub(crate) fn send(&self, queue: &str, message: &OutgoingMessage) {
        self.queue(queue).put(message).unwrap();
    }

    /// Everything in a queue, whatever its state.
    pub(crate) fn drain(&self, queue: &str) -> Vec<String> {
        self.queue(queue).drain()
    }
}

/// Puts a copy of a message that is in flight at the end of its group and deletes it; false
/// when it is not in flight any more.
fn send_behind(queue: &QueueInMemory, receipt: &str) -> bool {
    let Some(message) = queue.delivery(receipt) else { return false };
    if queue.delete_one(receipt).is_err() {
        return false;
    }
    let deduplication = format!("behind-{receipt}");
    let (group, body) = (message.group, message.body);
    queue.put(&OutgoingMessage { group, deduplication, body }).unwrap();
    true
}

/// Looks at the body of a message before it is deleted.
pub(crate) type Deleting = Arc<dyn Fn(&str) + Send + Sync>;

/// One queue, as one life of a process uses it.
pub(crate) struct Queue {
    pub(crate) queue: Arc<QueueInMemory>,
    pub(crate) life: Life,
    pub(crate) faults: Faults,
    pub(crate) bug: Bug,
    pub(crate) deleting: Deleting,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.queue.fmt(f)
    }
}

fn lost() -> QueueCallError {
    QueueCallError::other("no answer")
}

#[async_trait]
impl QueueApi for Queue {
    fn name(&self) -> &str {
        self.queue.name()
    }

    async fn receive(
        &self,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        self.life.step().await;
        if self.faults.draw() == Fault::NotSent {
            return Err(lost());
        }
        let received = self.queue.receive(wait, visibility).await?;
        tokio::time::sleep(self.faults.millis(20)).await;
        self.life.step().await;
        if self.faults.draw() == Fault::AnswerLost {
            return Err(lost());
        }
        if self.bug == Bug::AcknowledgeFirst {
            for message in &received {
                let _ = self.queue.delete_one(&message.receipt);
            }
        }
        Ok(received)
    }

    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let queue = Arc::clone(&self.queue);
        let receipts: Vec<_> = receipts.iter().map(|receipt| (*receipt).to_owned()).collect();
        let deleting = Arc::clone(&self.deleting);
        let delete = move || {
            let results = receipts.iter().map(|receipt| {
                if let Some(message) = queue.delivery(receipt) {
                    deleting(&message.body);
                }
                queue.delete_one(receipt)
            });
            refused(results)
        };
        self.faults.call(&self.life, LIMIT, delete).await.ok_or_else(lost)
    }

    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let queue = Arc::clone(&self.queue);
        let mut entries: Vec<_> =
            entries.iter().map(|(receipt, timeout)| ((*receipt).to_owned(), *timeout)).collect();
        if self.bug == Bug::RestOvertakes && purpose == Visibility::Release {
            // The one that must wait is let go for good and comes again behind the rest.
            entries.retain(|(receipt, pause)| pause.is_zero() || !send_behind(&queue, receipt));
        }
        let change = move || {
            let change = |(receipt, timeout): &(String, Duration)| {
                queue.hide_one(receipt, *timeout, purpose)
            };
            refused(entries.iter().map(change))
        };
        self.faults.call(&self.life, LIMIT, change).await.ok_or_else(lost)
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let queue = Arc::clone(&self.queue);
        let messages: Vec<OutgoingMessage> =
            messages.iter().map(|&message| message.clone()).collect();
        let send = move || refused(messages.iter().map(|message| queue.put(message)));
        self.faults.call(&self.life, LIMIT, send).await.ok_or_else(lost)
    }
}

fn refused(results: impl Iterator<Item = Result<(), &'static str>>) -> Vec<RefusedEntry> {
    let results = results.enumerate().filter_map(|(index, result)| {
        let reason = result.err()?.to_owned();
        Some(RefusedEntry { index, for_good: true, reason })
    });
    results.collect()
}

#[async_trait]
impl MessageCount for Queue {
    async fn messages(&self) -> Result<u64, QueueCallError> {
        let queue = Arc::clone(&self.queue);
        let count = move || queue.bodies().len() as u64;
        self.faults.call(&self.life, LIMIT, count).await.ok_or_else(lost)
    }
}
