use domain::{Settlement, Status};
use shared::queue::QueueApi;
use shared::testing::{CallFault, QueueCall, QueueInMemory};
use tokio::time::Instant;

use super::*;
use crate::testing::{TODAY, TestDispatcher, noon, payment};

/// So many payments of accounts of their own that were settled.
async fn settled(world: &TestDispatcher, count: usize) -> Vec<DispatchedPayment> {
    let mut settled = Vec::with_capacity(count);
    for number in 0..count {
        let payment = payment(&format!("ACC-{number}"), TODAY);
        world.hold(&payment, Status::Pending, 1);
        let job = world.job(&payment).await;
        let settlement = Settlement { transaction_id: format!("T-{number}"), settled_at: noon() };
        settled.push(DispatchedPayment {
            job,
            attempt: 1,
            result: DispatchResult::Settled(settlement),
        });
    }
    settled
}

#[tokio::test(start_paused = true)]
async fn a_request_holds_ten_settlements_and_the_rest_wait_for_the_next() {
    let world = TestDispatcher::new();
    let (sender, mut done) = mpsc::channel(100);
    for one in settled(&world, 12).await {
        sender.send(one).await.unwrap();
    }
    drop(sender);
    let began = Instant::now();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        sizes.push(gather(&mut done).await.len());
    }
    assert_eq!(sizes, [10, 2, 0]);
    assert!(began.elapsed() < LINGER, "it waited though there will be no more");
}

#[tokio::test(start_paused = true)]
async fn a_settlement_waits_a_moment_for_others_and_no_longer() {
    let world = TestDispatcher::new();
    let (sender, mut done) = mpsc::channel(100);
    let mut settled = settled(&world, 3).await.into_iter();
    let began = Instant::now();
    sender.send(settled.next().unwrap()).await.unwrap();
    let others = tokio::spawn(async move {
        tokio::time::sleep(LINGER / 2).await;
        sender.send(settled.next().unwrap()).await.unwrap();
        tokio::time::sleep(LINGER).await;
        sender.send(settled.next().unwrap()).await.unwrap();
        sender
    });
    assert_eq!(gather(&mut done).await.len(), 2);
    // A timer of tokio's is exact to a millisecond.
    assert!((LINGER..LINGER * 3 / 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(gather(&mut done).await.len(), 1);
    drop(others.await.unwrap());
}

/// A recorder of the payments' messages, over a queue of confirmations that does not take those of
/// the payment `refused`.
fn recorder(world: &TestDispatcher, refused: String) -> (Recorder, Arc<QueueInMemory>) {
    let confirmations = QueueInMemory::new("confirmations.fifo").on_call(move |call| {
        let is_refused =
            |messages: &[&OutgoingMessage]| messages.iter().any(|one| one.group == refused);
        CallFault::not_sent_if(matches!(call, QueueCall::Send(messages) if is_refused(messages)))
    });
    let confirmations = Arc::new(confirmations);
    let recorder = Recorder {
        confirmations: Producer::new(Arc::clone(&confirmations) as Arc<dyn QueueApi>),
        payments: world.receiver.queue.clone(),
        recording: Calls::default(),
        sent: SentMessages::default(),
    };
    (recorder, confirmations)
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_once_its_settlement_is_queued_and_not_before() {
    for queued in [true, false] {
        let world = TestDispatcher::new();
        let batch = settled(&world, 1).await;
        let payment = batch[0].job.payment.clone();
        let refused = if queued { String::new() } else { payment.id.to_string() };
        let (recorder, confirmations) = recorder(&world, refused);
        recorder.flush(batch).await;
        assert_eq!(!confirmations.sent().is_empty(), queued);
        assert_eq!(world.is_gone(&payment), queued);
        assert_eq!(world.released(&payment).is_some(), !queued, "it comes again");
    }
}

#[tokio::test(start_paused = true)]
async fn the_message_of_a_payment_that_was_taken_with_202_goes_without_a_settlement() {
    let world = TestDispatcher::new();
    let mut batch = settled(&world, 1).await;
    batch[0].result = DispatchResult::Accepted;
    let payment = batch[0].job.payment.clone();
    let (recorder, confirmations) = recorder(&world, String::new());
    recorder.flush(batch).await;
    assert!(world.is_gone(&payment));
    assert!(confirmations.sent().is_empty());
}
