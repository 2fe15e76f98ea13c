use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::payments::{ApplyResult, DeadLetters, FirstClaim};
use crate::queue::{DeadLetter, Producer, QueueApi};
use crate::testing::{
    CallFault, PaymentsCall, PaymentsInMemory, QueueInMemory, longest_payment, scheduled,
};

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// A table with one payment, whose next mark may fail, and a dead-letter queue.
struct Ports {
    table: PaymentsInMemory,
    mark_fails: Arc<AtomicBool>,
    payment: PaymentRef,
    queue: Arc<QueueInMemory>,
}

/// A payment that FAILED after so many attempts.
fn failed(attempts: u32) -> Ports {
    let mark_fails = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&mark_fails);
    let table = PaymentsInMemory::default().on_call(move |call| match call {
        PaymentsCall::Apply(_) => CallFault::not_sent_if(fails.swap(false, Ordering::Relaxed)),
        _ => CallFault::None,
    });
    let payment = longest_payment();
    let reference = payment.reference();
    let failure = Some(Failure::new(FailureCode::Rejected, "422 limit: x"));
    let status = Status::Failed;
    table.put(StoredPayment { status, attempts, failure, ..scheduled(payment) });
    let queue = Arc::new(QueueInMemory::new("payments-dlq.fifo"));
    Ports { table, mark_fails, payment: reference, queue }
}

impl Ports {
    fn stored(&self) -> StoredPayment {
        self.table.stored(&self.payment).unwrap()
    }

    /// Asks for the dead letter.
    async fn ask(&self) -> Result<DeadLetterResult, DeadLetterError> {
        let queue = Producer::new(Arc::clone(&self.queue) as Arc<dyn QueueApi>);
        let queue = DeadLetterQueue::new(queue, "test");
        dead_letter(&self.table, &queue, &self.payment, Some("the message"), now()).await
    }

    fn ids(&self) -> Vec<String> {
        self.queue.sent().into_iter().map(|message| message.deduplication).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_has_one_dead_letter_however_often_it_is_asked_for() {
    let ports = failed(3);
    assert_eq!(ports.ask().await.unwrap(), DeadLetterResult::Now);
    for _ in 0..24 {
        assert_eq!(ports.ask().await.unwrap(), DeadLetterResult::Before);
    }
    let letters = ports.queue.sent();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    let letter: DeadLetter = serde_json::from_str(&letter.body).unwrap();
    let stored = ports.stored();
    assert_eq!(Some(&letter.failure), stored.failure.as_ref());
    assert_eq!(letter.payment.as_ref(), Some(&stored.payment));
    assert_eq!(letter.raw.as_deref(), Some("the message"));
    assert_eq!(stored.dead_letters, DeadLetters { count: 1, last: Some(now()) });
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_the_dead_letter_and_its_mark_sends_the_same_one_again() {
    let ports = failed(3);
    ports.mark_fails.store(true, Ordering::Relaxed);
    assert!(ports.ask().await.is_err());
    assert_eq!(ports.ask().await.unwrap(), DeadLetterResult::Now);
    let ids = ports.ids();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "SQS would not drop the second");
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_fails_again_after_a_replay_has_another_dead_letter() {
    let ports = failed(0);
    ports.ask().await.unwrap();
    let (payment, failure) = (&ports.payment, ports.stored().failure.unwrap());
    for change in [
        Change::Replay(payment, 0, FirstClaim::Stays),
        Change::Claim(&ports.stored().payment),
        Change::Fail(payment, &failure, 1),
    ] {
        assert_eq!(ports.table.change(&change, now()), Ok(ApplyResult::Now));
    }
    assert_eq!(ports.ask().await.unwrap(), DeadLetterResult::Now);
    let ids = ports.ids();
    assert_ne!(ids[0], ids[1], "SQS would drop the second within five minutes");
    assert_eq!(ports.stored().dead_letters.count, 2);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_not_failed_has_no_dead_letter() {
    let ports = failed(1);
    for status in Status::ALL.into_iter().filter(|status| *status != Status::Failed) {
        ports.table.put(StoredPayment { status, ..ports.stored() });
        assert_eq!(ports.ask().await.unwrap(), DeadLetterResult::NotFailed(status));
    }
    assert!(ports.ids().is_empty());
}
