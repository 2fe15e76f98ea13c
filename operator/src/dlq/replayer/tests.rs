use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatcher::CallLimits;
use domain::{Amount, Failure, FailureCode, KeyQuery, Outcome, Payment, Status};
use jiff::Timestamp;
use shared::config::Receiving;
use shared::payments::ChangeError;
use shared::queue::{Consumer, DeadLetter, QueueApi};
use shared::shutdown::Shutdown;
use shared::testing::{CallFault, PaymentsInMemory, QueueInMemory, sample_payment, scheduled};

use super::super::reader::{DeadLetterReader, QueueCounts};
use super::*;

/// How long a received dead letter stays hidden: nothing extends it here.
const VISIBILITY: Duration = Duration::from_secs(120);

const CALLS: CallLimits = CallLimits { most: 16, least: 16, rate: None };

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// A payment that was rejected in its only attempt.
fn rejected() -> StoredPayment {
    let payment = Payment {
        id: PaymentId::generate(),
        account: AccountId::parse("ACC").unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        created_at: now(),
        ..sample_payment()
    };
    StoredPayment {
        status: Status::Failed,
        attempts: 1,
        claimed_at: Some(now()),
        failure: Some(Failure::new(FailureCode::Rejected, "422 limit: x")),
        ..scheduled(payment)
    }
}

/// The payment's dead letter, as received from a queue.
async fn candidate_of(stored: &StoredPayment) -> Candidate {
    let dead_letter = DeadLetter {
        failure: stored.failure.clone().unwrap(),
        service: "dispatcher".to_owned(),
        at: now(),
        payment: Some(stored.payment.clone()),
        raw: None,
    };
    let message = OutgoingMessage {
        group: "ACC".to_owned(),
        deduplication: "m".to_owned(),
        body: serde_json::to_string(&dead_letter).unwrap(),
    };
    let queue = QueueInMemory::new("payments-dlq.fifo");
    queue.put(&message).unwrap();
    let receiving = Receiving { visibility: VISIBILITY, wait: Duration::from_secs(2) };
    let consumer = Consumer::new(Arc::new(queue), receiving);
    let shutdown = Shutdown::new(Duration::ZERO);
    let reader = DeadLetterReader::of(consumer, QueueCounts::default(), shutdown);
    let (received, dead_letter) = reader.next().await.unwrap().unwrap().new.pop().unwrap();
    Candidate::new(received, dead_letter)
}

/// A table of which each write finds the payment in `status`: another was first.
fn table(stored: Vec<StoredPayment>, status: Status) -> PaymentsInMemory {
    let first = stored.first().map(|stored| StoredPayment { status, ..stored.clone() });
    let refused = move || Some(ChangeError::InStatus(Box::new(first.clone()?)));
    let table = PaymentsInMemory::default().on_change(move |_| refused());
    stored.into_iter().for_each(|stored| table.put(stored));
    table
}

/// A transaction service that says what it is told to, in this order and then nothing more.
#[derive(Debug, Default)]
struct Answers(Mutex<Vec<KeyStatus>>);

#[async_trait]
impl TransactionService for Answers {
    async fn submit(&self, payment: &Payment) -> Outcome {
        panic!("a replay submitted {}", payment.id)
    }

    async fn find(&self, _: KeyQuery) -> KeyStatus {
        self.0.lock().unwrap().pop().unwrap_or_else(silent)
    }
}

fn silent() -> KeyStatus {
    KeyStatus::NoAnswer { retry_after: None, reason: "503".to_owned() }
}

fn sent() -> Arc<QueueInMemory> {
    Arc::new(QueueInMemory::new("sent.fifo"))
}

fn replayer(
    stored: Vec<StoredPayment>,
    sent: &Arc<QueueInMemory>,
) -> Replayer<PaymentsInMemory, Answers> {
    Replayer {
        store: table(stored, Status::Scheduled),
        transactions: Answers::default(),
        questions: QueryLimiter::new(CALLS, now()),
        payments: Producer::new(Arc::clone(sent) as Arc<dyn QueueApi>),
        confirmations: Producer::new(Arc::clone(sent) as Arc<dyn QueueApi>),
        limits: AttemptLimits { attempts: 20, key_retention: Duration::from_secs(86_400) },
        codes: RefusalCodes::Form,
        clock: Clock::new(now),
        mode: ReplayMode::Execute,
        version: None,
        purpose: RunPurpose::Replay,
        actions: None,
        pacer: None,
        shutdown: Shutdown::new(Duration::ZERO),
        memory: Mutex::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_write_sent_off_first_is_not_replayed_again_when_it_fails_again() {
    let (stored, sent) = (rejected(), sent());
    let replayer = replayer(vec![stored.clone()], &sent);
    let first = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(first[0].outcome.state, ReplayState::Done, "{first:?}");
    let second = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(second[0].outcome.state, ReplayState::Refused, "{second:?}");
    assert_eq!(sent.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_silence_the_service_is_asked_now_and_then_and_an_answer_ends_it() {
    let sent = sent();
    let replayer = replayer(Vec::new(), &sent);
    let payment = rejected().payment;
    for _ in 0..SILENCE {
        replayer.ask(&payment).await;
    }
    replayer.transactions.0.lock().unwrap().push(KeyStatus::UnderWay);
    assert!(matches!(replayer.ask(&payment).await, KeyStatus::NoAnswer { .. }));
    tokio::time::advance(ASK_AGAIN).await;
    assert_eq!(replayer.ask(&payment).await, KeyStatus::UnderWay);
    replayer.transactions.0.lock().unwrap().push(KeyStatus::UnderWay);
    assert_eq!(replayer.ask(&payment).await, KeyStatus::UnderWay);
}

#[tokio::test(start_paused = true)]
async fn a_replay_decides_nothing_while_the_clock_is_in_doubt() {
    let (stored, sent) = (rejected(), sent());
    let mut replayer = replayer(vec![stored.clone()], &sent);
    // It stands still, while an hour goes by.
    replayer.clock = Clock::new(now).guarded();
    tokio::time::advance(Duration::from_secs(3_600)).await;
    let replays = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Failed, "{replays:?}");
    assert!(sent.sent().is_empty());
    replayer.clock.confirm(replayer.clock.read());
    let replays = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Done, "{replays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_whose_message_was_not_sent_is_not_done() {
    let (stored, sent) = (rejected(), sent());
    let mut replayer = replayer(vec![stored.clone()], &sent);
    let down = QueueInMemory::new("down.fifo").on_call(|_| CallFault::NotSent);
    replayer.payments = Producer::new(Arc::new(down));
    let replays = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Failed, "{replays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_the_table_refuses_sends_nothing() {
    let (stored, sent) = (rejected(), sent());
    let mut replayer = replayer(Vec::new(), &sent);
    replayer.store = table(vec![stored.clone()], Status::Processed);
    let replays = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Failed, "{replays:?}");
    assert!(sent.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replay_whose_dead_letter_another_command_may_have_changes_nothing() {
    let (stored, sent) = (rejected(), sent());
    let replayer = replayer(vec![stored.clone()], &sent);
    let candidate = candidate_of(&stored).await;
    tokio::time::advance(VISIBILITY).await;
    let replays = replayer.work(vec![candidate]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Failed, "{replays:?}");
    assert!(sent.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_table_does_not_hold_is_refused() {
    let (stored, sent) = (rejected(), sent());
    let replayer = replayer(Vec::new(), &sent);
    let named = Candidate::named(stored.payment.reference());
    let replays = replayer.work(vec![candidate_of(&stored).await, named]).await;
    assert!(
        replays.iter().all(|replay| replay.outcome.state == ReplayState::Refused),
        "{replays:?}"
    );
    assert!(sent.sent().is_empty());
}
