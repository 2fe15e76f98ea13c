use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::payments::{ApplyResult, BlobError, DeadLetters};
use crate::queue::{
    DeadLetter, OutgoingMessage, Producer, QueueApi, QueueCallError, ReceivedMessage, RefusedEntry,
    Visibility,
};
use domain::{BlobDigest, DataBlob};

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// One item, whose mark may fail.
#[derive(Debug)]
struct Item {
    stored: Mutex<StoredPayment>,
    mark_fails: Mutex<u32>,
}

#[async_trait]
impl PaymentStore for Item {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        at: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let mut stored = self.stored.lock().unwrap();
        let [Change::DeadLettered(_, attempts, count)] = changes else { panic!("{changes:?}") };
        let mut fails = self.mark_fails.lock().unwrap();
        if *fails > 0 {
            *fails -= 1;
            return Err(PaymentsError::ResultCount { expected: 1, got: 0 });
        }
        if stored.status != Status::Failed || stored.attempts != *attempts {
            return Ok(vec![Err(ChangeError::InStatus(Box::new(stored.clone())))]);
        }
        stored.dead_letters = DeadLetters { count: *count, last: Some(at) };
        Ok(vec![Ok(ApplyResult::Now)])
    }

    async fn get(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        Ok(Some(self.stored.lock().unwrap().clone()))
    }

    async fn blobs(
        &self,
        _: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        Ok(Vec::new())
    }
}

#[derive(Debug, Default)]
struct Sent(Mutex<Vec<OutgoingMessage>>);

#[async_trait]
impl QueueApi for Sent {
    fn name(&self) -> &'static str {
        "payments-dlq.fifo"
    }

    async fn receive(
        &self,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Ok(Vec::new())
    }

    async fn change_visibility(
        &self,
        _: &[(&str, Duration)],
        _: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Ok(Vec::new())
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        self.0.lock().unwrap().extend(messages.iter().map(|message| (*message).clone()));
        Ok(Vec::new())
    }
}

/// A payment that FAILED after so many attempts.
fn failed(attempts: u32) -> Item {
    let stored = StoredPayment {
        payment: crate::testing::longest_payment(),
        status: Status::Failed,
        updated_at: now(),
        attempts,
        attempts_before: 0,
        not_done: 0,
        claimed_at: Some(now()),
        transaction_id: None,
        settled_at: None,
        failure: Some(Failure::new(FailureCode::Rejected, "422 limit: x")),
        dead_letters: DeadLetters::default(),
    };
    Item { stored: Mutex::new(stored), mark_fails: Mutex::new(0) }
}

/// Asks for the dead letter of an item.
async fn ask(item: &Item, sent: &Arc<Sent>) -> Result<DeadLetterResult, DeadLetterError> {
    let queue = Producer::new(Arc::clone(sent) as Arc<dyn QueueApi>);
    let queue = DeadLetterQueue::new(queue, "test");
    let reference = item.stored.lock().unwrap().payment.reference();
    dead_letter(item, &queue, &reference, Some("the message"), now()).await
}

fn ids(sent: &Sent) -> Vec<String> {
    sent.0.lock().unwrap().iter().map(|message| message.deduplication.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failure_has_one_dead_letter_however_often_it_is_asked_for() {
    let (item, sent) = (failed(3), Arc::default());
    assert_eq!(ask(&item, &sent).await.unwrap(), DeadLetterResult::Now);
    for _ in 0..24 {
        assert_eq!(ask(&item, &sent).await.unwrap(), DeadLetterResult::Before);
    }
    let letters = sent.0.lock().unwrap();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    let letter: DeadLetter = serde_json::from_str(&letter.body).unwrap();
    let stored = item.stored.lock().unwrap();
    assert_eq!(Some(&letter.failure), stored.failure.as_ref());
    assert_eq!(letter.payment.as_ref(), Some(&stored.payment));
    assert_eq!(letter.raw.as_deref(), Some("the message"));
    assert_eq!(stored.dead_letters, DeadLetters { count: 1, last: Some(now()) });
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_the_dead_letter_and_its_mark_sends_the_same_one_again() {
    let (item, sent) = (failed(3), Arc::default());
    *item.mark_fails.lock().unwrap() = 1;
    assert!(ask(&item, &sent).await.is_err());
    assert_eq!(ask(&item, &sent).await.unwrap(), DeadLetterResult::Now);
    let ids = ids(&sent);
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "SQS would not drop the second");
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_fails_again_after_a_replay_has_another_dead_letter() {
    let (item, sent) = (failed(0), Arc::default());
    ask(&item, &sent).await.unwrap();
    {
        // As a replay, a claim and the change to FAILED leave it.
        let mut stored = item.stored.lock().unwrap();
        stored.attempts = 2;
        stored.dead_letters.last = None;
    }
    assert_eq!(ask(&item, &sent).await.unwrap(), DeadLetterResult::Now);
    let ids = ids(&sent);
    assert_ne!(ids[0], ids[1], "SQS would drop the second within five minutes");
    assert_eq!(item.stored.lock().unwrap().dead_letters.count, 2);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_not_failed_has_no_dead_letter() {
    let (item, sent) = (failed(1), Arc::default());
    for status in Status::ALL.into_iter().filter(|status| *status != Status::Failed) {
        item.stored.lock().unwrap().status = status;
        assert_eq!(ask(&item, &sent).await.unwrap(), DeadLetterResult::NotFailed(status));
    }
    assert!(ids(&sent).is_empty());
}
