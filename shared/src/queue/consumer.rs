//! Receiving, and what becomes of received messages.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::api::{MAX_BATCH, QueueApi, ReceivedMessage, Visibility};
use super::error::QueueError;
use super::heartbeat::{InFlightMessage, InFlightMessages, beat};
use super::sqs::SqsQueue;
use crate::aws::Aws;
use crate::config::Receiving;
use crate::retry;
use crate::shutdown::Shutdown;
use domain::redelivery_pause;

/// How long a receive under way may still take after shutdown was asked for: long enough for
/// an answer that is being written, too short for a poll that has nothing to give.
const LAST_RECEIVE: Duration = Duration::from_millis(500);

/// A received message in hand. Dropping it ends its heartbeat and leaves it to its
/// visibility timeout.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub body: String,
    /// Its group.
    pub group: String,
    /// How often it was delivered, this time included.
    pub receive_count: u32,
    /// The queue's own id of it.
    pub message_id: String,
    /// When it was put into the queue, if the queue says so.
    pub sent_at: Option<Timestamp>,
    held: InFlightMessage,
}

impl Delivery {
    /// Whether it is still hidden from all others. Once it is not, another worker may have
    /// it, and the right to act on it is gone (INV-10).
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.is_held()
    }
}

/// The receiving end of a queue, with its heartbeat.
#[derive(Debug, Clone)]
pub struct Consumer {
    queue: Arc<dyn QueueApi>,
    receiving: Receiving,
    in_hand: Arc<InFlightMessages>,
    heartbeat: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Consumer {
    /// Opens the queue `name` and starts the heartbeat.
    ///
    /// # Errors
    /// [`QueueError::Open`] when the queue does not exist or SQS cannot be reached.
    pub async fn open(aws: &Aws, name: String, receiving: Receiving) -> Result<Self, QueueError> {
        let queue = SqsQueue::open(aws, name, receiving.wait, "act").await?;
        Ok(Self::new(Arc::new(queue), receiving))
    }

    /// Receives from `queue`, and starts the heartbeat on the running runtime.
    #[must_use]
    pub fn new(queue: Arc<dyn QueueApi>, receiving: Receiving) -> Self {
        let in_hand = Arc::new(InFlightMessages::new(receiving.visibility));
        let beating = tokio::spawn(beat(Arc::clone(&queue), Arc::clone(&in_hand)));
        Self { queue, receiving, in_hand, heartbeat: Arc::new(AbortOnDrop(beating)) }
    }

    /// The queue's name, for messages to people.
    #[must_use]
    pub fn name(&self) -> &str {
        self.queue.name()
    }

    /// Up to 10 messages, in order within each group; none after the wait has passed.
    /// Dropping the call is safe: what it may have received becomes visible again.
    ///
    /// # Errors
    /// [`QueueError::Receive`]; the caller's loop repeats it under
    /// [`retry::NEVER_GIVE_UP`].
    pub async fn receive(&self) -> Result<Vec<Delivery>, QueueError> {
        let Receiving { visibility, wait } = self.receiving;
        if self.heartbeat.0.is_finished() {
            return Err(QueueError::Heartbeat { queue: self.queue.name().to_owned() });
        }
        // The visibility timeout runs from some moment of the call, so at worst from its start.
        // A long poll waits before it takes anything, so later moments count as long as this
        // process surely ran: after one at which it was stopped there may have been an answer.
        let mut unanswered = Instant::now();
        let (late, look) = (visibility / 6, visibility / 12);
        let mut receiving = self.queue.receive(wait, visibility);
        let received = loop {
            tokio::select! {
                biased;
                received = &mut receiving => break received,
                () = tokio::time::sleep(look) => {
                    if unanswered.elapsed() < late {
                        unanswered = Instant::now();
                    }
                }
            }
        };
        let messages = received.map_err(|source| QueueError::Receive {
            queue: self.queue.name().to_owned(),
            source,
        })?;
        Ok(messages.into_iter().map(|message| self.delivery(message, unanswered)).collect())
    }

    /// As [`Consumer::receive`], or `None` once shutdown is asked for. A receive under way
    /// then has a moment to end, and what it brought is given back at once: others need not
    /// wait for a visibility timeout.
    pub async fn receive_until(
        &self,
        shutdown: &Shutdown,
    ) -> Option<Result<Vec<Delivery>, QueueError>> {
        if shutdown.is_requested() {
            return None;
        }
        let mut receiving = Box::pin(self.receive());
        if let Some(result) = shutdown.unless_requested(&mut receiving).await {
            return Some(result);
        }
        if let Ok(Ok(deliveries)) = tokio::time::timeout(LAST_RECEIVE, receiving).await {
            let untouched = deliveries.into_iter().map(|delivery| (delivery, Duration::ZERO));
            self.release(untouched.collect()).await;
        }
        None
    }

    fn delivery(&self, message: ReceivedMessage, since: Instant) -> Delivery {
        let ReceivedMessage { receipt, message_id, group, receive_count, sent_at, body } = message;
        let held = self.in_hand.hold(&receipt, since);
        Delivery { body, group, receive_count, message_id, sent_at, held }
    }

    /// Deletes messages whose work is durable elsewhere. One that cannot be deleted is
    /// delivered again, which costs work but harms nothing.
    pub async fn acknowledge(&self, deliveries: Vec<Delivery>) {
        for batch in deliveries.chunks(MAX_BATCH) {
            let mut open: Vec<&str> =
                batch.iter().map(|delivery| delivery.held.receipt()).collect();
            let mut pauses = retry::QUEUE_ENTRIES.pauses();
            while let Err(reason) = self.delete(&mut open).await {
                let Some(pause) = pauses.next() else {
                    let (queue, left) = (self.queue.name(), open.len());
                    tracing::warn!(
                        queue,
                        left,
                        reason,
                        "messages were not deleted and will be delivered again"
                    );
                    break;
                };
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// One delete request; `open` keeps the entries that may be taken another time.
    async fn delete(&self, open: &mut Vec<&str>) -> Result<(), String> {
        let refused = self.queue.delete(open).await.map_err(|failed| failed.to_string())?;
        for entry in refused.iter().filter(|entry| entry.for_good) {
            // Its visibility timeout has ended: it is somebody else's to delete.
            tracing::info!(queue = self.queue.name(), reason = entry.reason, "not deleted");
        }
        let passing = refused.iter().filter(|entry| !entry.for_good);
        let left: Vec<_> = passing.filter_map(|entry| open.get(entry.index).copied()).collect();
        *open = left;
        match refused.into_iter().find(|entry| !entry.for_good) {
            None => Ok(()),
            Some(entry) => Err(entry.reason),
        }
    }

    /// Gives messages back that could not be dealt with, each for the longer the more often
    /// it was delivered.
    pub async fn retry_later(&self, deliveries: Vec<Delivery>) {
        let paused = deliveries.into_iter().map(|delivery| {
            let pause = redelivery_pause(delivery.receive_count);
            (delivery, pause)
        });
        self.release(paused.collect()).await;
    }

    /// Gives messages back, each to become visible after its own pause; zero means at once.
    /// Within a group the last goes first, so that none overtakes one before it. One that
    /// cannot be given back becomes visible when its timeout ends.
    pub async fn release(&self, mut deliveries: Vec<(Delivery, Duration)>) {
        // A beat must not lengthen what is being given back.
        deliveries.iter().for_each(|(delivery, _)| delivery.held.stop());
        deliveries.reverse();
        for batch in deliveries.chunks(MAX_BATCH) {
            let mut open: Vec<_> =
                batch.iter().map(|(delivery, pause)| (delivery.held.receipt(), *pause)).collect();
            let mut pauses = retry::QUEUE_ENTRIES.pauses();
            while let Err(reason) = self.release_once(&mut open).await {
                let Some(pause) = pauses.next() else {
                    let queue = self.queue.name();
                    tracing::warn!(
                        queue,
                        reason,
                        "messages were not released; their visibility timeout will do it"
                    );
                    break;
                };
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// One request; `open` keeps the entries that may be taken another time.
    async fn release_once(&self, open: &mut Vec<(&str, Duration)>) -> Result<(), String> {
        let changed = self.queue.change_visibility(open, Visibility::Release).await;
        let refused = changed.map_err(|failed| failed.to_string())?;
        let passing = refused.iter().filter(|entry| !entry.for_good);
        let left: Vec<_> = passing.filter_map(|entry| open.get(entry.index).copied()).collect();
        *open = left;
        match refused.into_iter().find(|entry| !entry.for_good) {
            None => Ok(()),
            Some(entry) => Err(entry.reason),
        }
    }
}
