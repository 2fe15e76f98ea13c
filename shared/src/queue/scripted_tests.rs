//! Each guard of the queue's two ends, against a queue that does what it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::*;
use crate::config::Receiving;
use domain::{Failure, FailureCode, PaymentRef, Settlement};

const VISIBILITY: Duration = Duration::from_secs(60);
const RECEIVING: Receiving = Receiving { visibility: VISIBILITY, wait: Duration::from_secs(20) };

/// How the queue takes one call.
#[derive(Debug, Clone)]
enum Answer {
    /// These entries are refused, for now.
    Refuses(Vec<usize>),
    /// The whole call fails.
    Fails,
}

/// A queue that takes everything but what it was told not to, and notes each call.
#[derive(Debug, Default)]
struct Scripted {
    incoming: Mutex<Vec<ReceivedMessage>>,
    /// The process stands still for so long within a receive.
    stops_for: Mutex<Duration>,
    sends: Mutex<VecDeque<Answer>>,
    sent: Mutex<Vec<Vec<String>>>,
    /// Whether an extension is refused, and for good.
    refuses_extension: Mutex<Option<bool>>,
    /// How long a release takes.
    release_takes: Mutex<Duration>,
    changes: Mutex<Vec<(Visibility, Vec<String>)>>,
}

#[async_trait]
impl QueueApi for Scripted {
    fn name(&self) -> &'static str {
        "scripted.fifo"
    }

    async fn receive(
        &self,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        let stops_for = *self.stops_for.lock().unwrap();
        if !stops_for.is_zero() {
            tokio::time::advance(stops_for).await;
        }
        Ok(std::mem::take(&mut *self.incoming.lock().unwrap()))
    }

    async fn delete(&self, _: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Ok(Vec::new())
    }

    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let receipts = entries.iter().map(|(receipt, _)| (*receipt).to_owned()).collect();
        self.changes.lock().unwrap().push((purpose, receipts));
        if purpose == Visibility::Release {
            let takes = *self.release_takes.lock().unwrap();
            tokio::time::sleep(takes).await;
            return Ok(Vec::new());
        }
        let refuses = *self.refuses_extension.lock().unwrap();
        let Some(for_good) = refuses else { return Ok(Vec::new()) };
        let refused = (0..entries.len()).map(|index| entry(index, for_good));
        Ok(refused.collect())
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let ids = messages.iter().map(|message| message.deduplication.clone()).collect();
        self.sent.lock().unwrap().push(ids);
        let answer = self.sends.lock().unwrap().pop_front();
        match answer {
            None => Ok(Vec::new()),
            Some(Answer::Fails) => Err(QueueCallError::other("down")),
            Some(Answer::Refuses(indices)) => {
                Ok(indices.into_iter().map(|index| entry(index, false)).collect())
            }
        }
    }
}

fn entry(index: usize, for_good: bool) -> RefusedEntry {
    RefusedEntry { index, for_good, reason: "refused".to_owned() }
}

fn messages(count: usize) -> Vec<OutgoingMessage> {
    let message = |number: usize| OutgoingMessage {
        group: "g".to_owned(),
        deduplication: number.to_string(),
        body: "x".to_owned(),
    };
    (0..count).map(message).collect()
}

/// A queue that answers the first calls like this and takes everything from then on.
fn answering(answers: impl IntoIterator<Item = Answer>) -> Arc<Scripted> {
    let queue = Scripted::default();
    queue.sends.lock().unwrap().extend(answers);
    Arc::new(queue)
}

fn producer(queue: &Arc<Scripted>) -> Producer {
    Producer::new(Arc::clone(queue) as Arc<dyn QueueApi>)
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_refused_is_sent_again_and_alone() {
    let queue = answering([Answer::Refuses(vec![1, 3])]);
    producer(&queue).send(&messages(4)).await.unwrap();
    assert_eq!(*queue.sent.lock().unwrap(), [vec!["0", "1", "2", "3"], vec!["1", "3"]]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_refused_to_the_end_is_never_taken_for_sent() {
    // Of the four the second is left, and it is the first of each request from then on.
    let refused = std::iter::once(Answer::Refuses(vec![1]));
    let queue = answering(refused.chain((0..100).map(|_| Answer::Refuses(vec![0]))));
    let unsent = producer(&queue).send(&messages(4)).await.unwrap_err();
    assert_eq!(unsent.indices, [1]);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_that_fails_carried_counts_as_unsent_and_nothing_behind_it_is_tried() {
    let queue = answering((0..100).map(|_| Answer::Fails));
    let unsent = producer(&queue).send(&messages(25)).await.unwrap_err();
    assert_eq!(unsent.indices, (0..25).collect::<Vec<_>>());
    for batch in queue.sent.lock().unwrap().iter() {
        assert_eq!(batch[0], "0", "a batch overtook one that failed");
    }
}

fn incoming(receipt: &str) -> ReceivedMessage {
    ReceivedMessage {
        receipt: receipt.to_owned(),
        message_id: receipt.to_owned(),
        group: "g".to_owned(),
        receive_count: 1,
        sent_at: None,
        body: String::new(),
    }
}

/// A consumer of a queue that has three messages of one group.
fn consumer() -> (Arc<Scripted>, Consumer) {
    let queue = Arc::new(Scripted::default());
    *queue.incoming.lock().unwrap() = ["a", "b", "c"].map(incoming).into();
    let consumer = Consumer::new(Arc::clone(&queue) as Arc<dyn QueueApi>, RECEIVING);
    (queue, consumer)
}

#[tokio::test(start_paused = true)]
async fn of_a_group_that_is_given_back_the_last_is_released_first() {
    let (queue, consumer) = consumer();
    let deliveries = consumer.receive().await.unwrap();
    consumer.release(deliveries.into_iter().map(|one| (one, Duration::ZERO)).collect()).await;
    let changes = queue.changes.lock().unwrap();
    assert_eq!(*changes, [(Visibility::Release, ["c", "b", "a"].map(str::to_owned).into())]);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_given_back_is_not_extended_any_more() {
    let (queue, consumer) = consumer();
    let deliveries = consumer.receive().await.unwrap();
    *queue.release_takes.lock().unwrap() = VISIBILITY / 2;
    consumer.release(deliveries.into_iter().map(|one| (one, Duration::ZERO)).collect()).await;
    let extended = |(purpose, _): &(Visibility, _)| *purpose == Visibility::Extend;
    assert!(!queue.changes.lock().unwrap().iter().any(extended), "a beat came in between");
}

#[tokio::test(start_paused = true)]
async fn a_message_in_hand_is_extended_for_as_long_as_the_queue_takes_it() {
    let (_queue, consumer) = consumer();
    let deliveries = consumer.receive().await.unwrap();
    tokio::time::sleep(VISIBILITY * 5).await;
    assert!(deliveries.iter().all(Delivery::is_held));
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_extension_is_refused_for_good_is_lost_at_once_and_for_now_it_is_not() {
    for for_good in [true, false] {
        let (queue, consumer) = consumer();
        *queue.refuses_extension.lock().unwrap() = Some(for_good);
        let deliveries = consumer.receive().await.unwrap();
        // After the first beat that extends, long before the timeout ends.
        tokio::time::sleep(VISIBILITY / 2).await;
        assert!(deliveries.iter().all(|one| one.is_held() != for_good), "{for_good}");
        // Without an extension it ends all the same.
        tokio::time::sleep(VISIBILITY / 2).await;
        assert!(!deliveries.iter().any(Delivery::is_held));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_came_while_the_process_stood_still_is_not_held() {
    let (queue, consumer) = consumer();
    *queue.stops_for.lock().unwrap() = VISIBILITY;
    let before = Instant::now();
    let deliveries = consumer.receive().await.unwrap();
    assert_eq!(before.elapsed(), VISIBILITY);
    assert!(!deliveries.iter().any(Delivery::is_held), "it may be another worker's by now");
}

fn confirmation(payment: &str, transaction: &str) -> Confirmation {
    let settled_at = "2026-11-23T01:00:00Z".parse().unwrap();
    let payment: PaymentRef = payment.parse().unwrap();
    let settlement = Settlement { transaction_id: transaction.to_owned(), settled_at };
    Confirmation {
        payment,
        result: ReportedResult::Settled(settlement),
        money: None,
        trace_key: None,
    }
}

#[test]
fn a_confirmation_has_an_id_of_its_own_for_each_payment_occasion_and_result() {
    let one = "A/2026-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ab";
    let other = "A/2026-11-23/019ab1f4-5c1e-7d3a-8b2f-0123456789ac";
    let id = |payment, transaction, attempt: u32| {
        let source = ConfirmationSource::Attempt(attempt);
        confirmation(payment, transaction).message(source).deduplication
    };
    let first = id(one, "T1", 1);
    assert_eq!(first, id(one, "T1", 1));
    for another in [id(other, "T1", 1), id(one, "T2", 1), id(one, "T1", 2)] {
        assert_ne!(first, another, "SQS would drop it within five minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_has_an_id_of_its_own_for_each_message_and_reason() {
    let queue = Arc::new(Scripted::default());
    let letters = DeadLetterQueue::new(producer(&queue), "test");
    for (source, code) in [
        ("m1", FailureCode::Rejected),
        ("m1", FailureCode::Rejected),
        ("m2", FailureCode::Rejected),
        ("m1", FailureCode::Refused),
    ] {
        let source = DeadLetterSource::Message(source);
        letters.send_unreadable(source, "x".to_owned(), Failure::new(code, "x")).await.unwrap();
    }
    let ids = queue.sent.lock().unwrap().concat();
    assert_eq!(ids[0], ids[1]);
    assert!(ids[0] != ids[2] && ids[0] != ids[3] && ids[2] != ids[3], "{ids:?}");
}
