//! Receiving, and what becomes of received messages.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName as Attribute,
};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::error::QueueError;
use super::heartbeat::{Held, InHand};
use super::producer::queue_url;
use super::wire::MAX_BATCH;
use crate::aws::Aws;
use crate::config::Receiving;
use crate::domain::redelivery_pause;
use crate::retry;
use crate::shutdown::Shutdown;
use crate::telemetry::calls;

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
    /// SQS's own id of it.
    pub message_id: String,
    held: Held,
}

/// The receiving end of a queue, with its heartbeat.
#[derive(Debug, Clone)]
pub struct Consumer {
    end: Arc<End>,
    heartbeat: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct End {
    queue: String,
    url: String,
    poll: Client,
    act: Client,
    receiving: Receiving,
    in_hand: Arc<InHand>,
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
        let act = aws.sqs("act");
        let url = queue_url(&act, &name).await?;
        let poll = aws.sqs_polling("poll", receiving.wait);
        let in_hand = Arc::new(InHand::default());
        let end = Arc::new(End { queue: name, url, poll, act, receiving, in_hand });
        let heartbeat = Arc::new(AbortOnDrop(tokio::spawn(beat(Arc::clone(&end)))));
        Ok(Self { end, heartbeat })
    }

    /// Up to 10 messages, in order within each group; none after the wait has passed.
    /// Dropping the call is safe: what it may have received becomes visible again.
    ///
    /// # Errors
    /// [`QueueError::Receive`]; the caller's loop repeats it under
    /// [`retry::NEVER_GIVE_UP`].
    pub async fn receive(&self) -> Result<Vec<Delivery>, QueueError> {
        let end = &self.end;
        if self.heartbeat.0.is_finished() {
            return Err(QueueError::Heartbeat { queue: end.queue.clone() });
        }
        calls::sqs("receive");
        // The visibility timeout runs from some moment of the call, so at worst from here.
        let asked_at = Instant::now();
        let output = end
            .poll
            .receive_message()
            .queue_url(&end.url)
            .max_number_of_messages(MAX_BATCH as i32)
            .wait_time_seconds(whole_seconds(end.receiving.wait))
            .visibility_timeout(whole_seconds(end.receiving.visibility))
            .message_system_attribute_names(Attribute::MessageGroupId)
            .message_system_attribute_names(Attribute::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|source| QueueError::Receive {
                queue: end.queue.clone(),
                source: Box::new(source),
            })?;
        // A long poll may have waited before it took anything: only its last moment counts.
        let held_since = asked_at.max(Instant::now() - end.receiving.visibility / 6);
        let messages = output.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(|message| self.delivery(message, held_since)).collect())
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

    fn delivery(&self, message: Message, since: Instant) -> Option<Delivery> {
        let receipt = message.receipt_handle()?;
        let attribute = |name| message.attributes().and_then(|all| all.get(&name));
        let group = attribute(Attribute::MessageGroupId).cloned().unwrap_or_default();
        let receive_count = attribute(Attribute::ApproximateReceiveCount)
            .and_then(|count| count.parse().ok())
            .unwrap_or(1);
        let held = self.end.in_hand.hold(receipt, since);
        Some(Delivery {
            group,
            receive_count,
            held,
            message_id: message.message_id.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
        })
    }

    /// Deletes messages whose work is durable elsewhere. One that cannot be deleted is
    /// delivered again, which costs work but harms nothing.
    pub async fn acknowledge(&self, deliveries: Vec<Delivery>) {
        for batch in deliveries.chunks(MAX_BATCH) {
            let mut open: Vec<usize> = (0..batch.len()).collect();
            let mut pauses = retry::QUEUE_ENTRIES.pauses();
            while let Err(reason) = self.end.delete(batch, &mut open).await {
                let Some(pause) = pauses.next() else {
                    let queue = &self.end.queue;
                    tracing::warn!(
                        queue,
                        left = open.len(),
                        reason,
                        "messages were not deleted and will be delivered again"
                    );
                    break;
                };
                tokio::time::sleep(pause).await;
            }
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
            let entries = batch.iter().map(|(delivery, pause)| (delivery.held.receipt(), *pause));
            if let Err(reason) = self.end.change_visibility("release", entries).await {
                let queue = &self.end.queue;
                tracing::warn!(
                    queue,
                    reason = reason.reason,
                    "messages were not released; their visibility timeout will do it"
                );
            }
        }
    }
}

impl End {
    /// One delete request; `open` keeps the entries that were refused.
    async fn delete(&self, batch: &[Delivery], open: &mut Vec<usize>) -> Result<(), String> {
        calls::sqs("delete");
        let entry = |index: usize| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(batch[index].held.receipt())
                .build()
                .unwrap_or_else(|_| unreachable!("id and receipt are set"))
        };
        let output = self
            .act
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(open.iter().map(|&index| entry(index)).collect()))
            .send()
            .await
            .map_err(|error| DisplayErrorContext(error).to_string())?;
        let failed = output.failed();
        open.retain(|index| failed.iter().any(|entry| entry.id() == index.to_string()));
        failed_entries("delete", failed).map_err(|refused| refused.reason)
    }

    /// One request that sets when messages become visible.
    async fn change_visibility<'a>(
        &self,
        operation: &'static str,
        entries: impl Iterator<Item = (&'a str, Duration)>,
    ) -> Result<(), Refused> {
        calls::sqs(operation);
        let entries = entries.enumerate().map(|(index, (receipt, pause))| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(receipt)
                .visibility_timeout(whole_seconds(pause))
                .build()
                .unwrap_or_else(|_| unreachable!("id and receipt are set"))
        });
        let output = self
            .act
            .change_message_visibility_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .map_err(|error| Refused {
                reason: DisplayErrorContext(error).to_string(),
                all: true,
                ..Refused::default()
            })?;
        failed_entries(operation, output.failed())
    }
}

impl End {
    /// Extends one batch. A message that SQS refuses for good may be somebody else's by now;
    /// one refused for another reason is tried again with the next beat.
    async fn extend(&self, batch: &[Arc<str>]) {
        let at = Instant::now();
        let entries = batch.iter().map(|receipt| (&**receipt, self.receiving.visibility));
        let refused = match self.change_visibility("extend", entries).await {
            Ok(()) => Refused::default(),
            Err(refused) => refused,
        };
        let mut held = batch.iter().enumerate().filter(|(_, receipt)| self.in_hand.holds(receipt));
        if !refused.reason.is_empty() && held.any(|(index, _)| refused.concerns(index)) {
            let (queue, reason) = (&self.queue, &refused.reason);
            tracing::warn!(queue, reason, "extending the visibility of messages failed");
        }
        for (index, receipt) in batch.iter().enumerate() {
            if refused.for_good.contains(&index) {
                self.in_hand.lost(receipt);
            } else if !refused.concerns(index) {
                self.in_hand.extended(receipt, at);
            }
        }
    }
}

/// What of a batch SQS refused.
#[derive(Debug, Default)]
struct Refused {
    reason: String,
    /// The request failed as a whole.
    all: bool,
    /// Positions of entries refused because of the entry itself.
    for_good: Vec<usize>,
    /// Positions of entries refused because of SQS.
    for_now: Vec<usize>,
}

impl Refused {
    fn concerns(&self, index: usize) -> bool {
        self.all || self.for_good.contains(&index) || self.for_now.contains(&index)
    }
}

fn failed_entries(
    operation: &'static str,
    failed: &[BatchResultErrorEntry],
) -> Result<(), Refused> {
    let Some(first) = failed.first() else { return Ok(()) };
    calls::sqs_failed(operation, failed.len());
    let reason = format!("{}: {}", first.code(), first.message().unwrap_or_default());
    let positions = |for_good: bool| {
        let entries = failed.iter().filter(move |entry| entry.sender_fault() == for_good);
        entries.filter_map(|entry| entry.id().parse().ok()).collect()
    };
    Err(Refused { reason, all: false, for_good: positions(true), for_now: positions(false) })
}

/// SQS counts in whole seconds; a part of one is rounded up, so that nothing comes early.
fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).unwrap_or(i32::MAX)
}

/// Extends what is in hand once a third of its timeout has passed, so that a few beats may
/// fail before a message is lost. The batches of a beat go side by side, each under a limit
/// of its own: one that hangs must not cost the others their messages.
async fn beat(end: Arc<End>) {
    let visibility = end.receiving.visibility;
    let mut ticks = tokio::time::interval(visibility / 12);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let due = end.in_hand.older_than(visibility / 3, Instant::now());
        let mut batches = JoinSet::new();
        for batch in due.chunks(MAX_BATCH) {
            let (end, batch) = (Arc::clone(&end), batch.to_vec());
            batches.spawn(async move {
                let limit = visibility / 6;
                if tokio::time::timeout(limit, end.extend(&batch)).await.is_err() {
                    let queue = &end.queue;
                    tracing::warn!(queue, ?limit, "extending the visibility of messages hung");
                }
            });
        }
        while batches.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(43_200)), 43_200);
    }
}
