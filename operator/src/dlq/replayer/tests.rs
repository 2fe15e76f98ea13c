use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatcher::CallLimits;
use domain::{
    Amount, BlobDigest, DataBlob, Failure, FailureCode, KeyQuery, Outcome, Payment, Status,
};
use jiff::Timestamp;
use shared::config::Receiving;
use shared::payments::{ApplyResult, BlobError, Change};
use shared::queue::{
    Consumer, DeadLetter, QueueApi, QueueCallError, ReceivedMessage, RefusedEntry, Visibility,
};
use shared::shutdown::Shutdown;
use shared::testing::sample_payment;

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
        payment,
        status: Status::Failed,
        updated_at: now(),
        attempts: 1,
        attempts_before: 0,
        not_done: 0,
        claimed_at: Some(now()),
        transaction_id: None,
        settled_at: None,
        failure: Some(Failure::new(FailureCode::Rejected, "422 limit: x")),
        dead_letters: shared::payments::DeadLetters::default(),
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
    let incoming = ReceivedMessage {
        receipt: "r".to_owned(),
        message_id: "m".to_owned(),
        group: "ACC".to_owned(),
        receive_count: 1,
        sent_at: None,
        body: serde_json::to_string(&dead_letter).unwrap(),
    };
    let queue = FakeQueue { incoming: Mutex::new(vec![incoming]), ..FakeQueue::default() };
    let receiving = Receiving { visibility: VISIBILITY, wait: Duration::from_secs(2) };
    let consumer = Consumer::new(Arc::new(queue), receiving);
    let shutdown = Shutdown::new(Duration::ZERO);
    let reader = DeadLetterReader::of(consumer, QueueCounts::default(), shutdown);
    let (received, dead_letter) = reader.next().await.unwrap().unwrap().new.pop().unwrap();
    Candidate::new(received, dead_letter)
}

/// A table of which each write finds that another was first.
#[derive(Debug)]
struct Overtaken(Vec<StoredPayment>);

#[async_trait]
impl PaymentStore for Overtaken {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        _: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let under_way = StoredPayment { status: Status::Scheduled, ..self.0[0].clone() };
        Ok(changes
            .iter()
            .map(|_| Err(ChangeError::InStatus(Box::new(under_way.clone()))))
            .collect())
    }

    async fn get(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        Ok(self.0.iter().find(|stored| stored.payment.id == reference.id).cloned())
    }

    async fn blobs(
        &self,
        _: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        panic!("a replay read a blob")
    }
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

/// A queue that hands out what it is given, once, and keeps what is sent.
#[derive(Debug, Default)]
struct FakeQueue {
    incoming: Mutex<Vec<ReceivedMessage>>,
    sent: Mutex<Vec<OutgoingMessage>>,
}

#[async_trait]
impl QueueApi for FakeQueue {
    fn name(&self) -> &'static str {
        "sent.fifo"
    }

    async fn receive(
        &self,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        Ok(std::mem::take(&mut *self.incoming.lock().unwrap()))
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
        self.sent.lock().unwrap().extend(messages.iter().map(|message| (*message).clone()));
        Ok(Vec::new())
    }
}

fn replayer(stored: Vec<StoredPayment>, sent: &Arc<FakeQueue>) -> Replayer<Overtaken, Answers> {
    Replayer {
        store: Overtaken(stored),
        transactions: Answers::default(),
        questions: QueryLimiter::new(CALLS, now()),
        payments: Producer::new(Arc::clone(sent) as Arc<dyn QueueApi>),
        confirmations: Producer::new(Arc::clone(sent) as Arc<dyn QueueApi>),
        limits: AttemptLimits { attempts: 20, key_retention: Duration::from_secs(86_400) },
        codes: RefusalCodes::Form,
        clock: Clock::new(now),
        mode: ReplayMode::Execute,
        version: None,
        memory: Mutex::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_write_sent_off_first_is_not_replayed_again_when_it_fails_again() {
    let (stored, sent) = (rejected(), Arc::default());
    let replayer = replayer(vec![stored.clone()], &sent);
    let first = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(first[0].outcome.state, ReplayState::Done, "{first:?}");
    let second = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(second[0].outcome.state, ReplayState::Refused, "{second:?}");
    assert_eq!(sent.sent.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_silence_the_service_is_asked_now_and_then_and_an_answer_ends_it() {
    let sent = Arc::default();
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

/// A table that lets nobody change it any more.
#[derive(Debug)]
struct Closed(StoredPayment);

#[async_trait]
impl PaymentStore for Closed {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        _: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let processed = StoredPayment { status: Status::Processed, ..self.0.clone() };
        let refused = || Err(ChangeError::InStatus(Box::new(processed.clone())));
        Ok(changes.iter().map(|_| refused()).collect())
    }

    async fn get(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        Ok(Some(self.0.clone()))
    }

    async fn blobs(
        &self,
        _: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        panic!("a replay read a blob")
    }
}

/// A queue that takes nothing.
#[derive(Debug)]
struct Down;

#[async_trait]
impl QueueApi for Down {
    fn name(&self) -> &'static str {
        "down.fifo"
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

    async fn send(&self, _: &[&OutgoingMessage]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        Err(QueueCallError::other("down"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_decides_nothing_while_the_clock_is_in_doubt() {
    let (stored, sent) = (rejected(), Arc::<FakeQueue>::default());
    let mut replayer = replayer(vec![stored.clone()], &sent);
    // It stands still, while an hour goes by.
    replayer.clock = Clock::new(now).guarded();
    tokio::time::advance(Duration::from_secs(3_600)).await;
    let replays = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Failed, "{replays:?}");
    assert!(sent.sent.lock().unwrap().is_empty());
    replayer.clock.confirm(replayer.clock.read());
    let replays = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Done, "{replays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_whose_message_was_not_sent_is_not_done() {
    let (stored, sent) = (rejected(), Arc::default());
    let mut replayer = replayer(vec![stored.clone()], &sent);
    replayer.payments = Producer::new(Arc::new(Down));
    let replays = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Failed, "{replays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_the_table_refuses_sends_nothing() {
    let (stored, sent) = (rejected(), Arc::<FakeQueue>::default());
    let replayer = replayer(Vec::new(), &sent);
    let replayer = Replayer {
        store: Closed(stored.clone()),
        transactions: replayer.transactions,
        questions: replayer.questions,
        payments: replayer.payments,
        confirmations: replayer.confirmations,
        limits: replayer.limits,
        codes: replayer.codes,
        clock: replayer.clock,
        mode: replayer.mode,
        version: replayer.version,
        memory: replayer.memory,
    };
    let replays = replayer.work(vec![candidate_of(&stored).await]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Failed, "{replays:?}");
    assert!(sent.sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replay_whose_dead_letter_another_command_may_have_changes_nothing() {
    let (stored, sent) = (rejected(), Arc::default());
    let replayer = replayer(vec![stored.clone()], &sent);
    let candidate = candidate_of(&stored).await;
    tokio::time::advance(VISIBILITY).await;
    let replays = replayer.work(vec![candidate]).await;
    assert_eq!(replays[0].outcome.state, ReplayState::Failed, "{replays:?}");
    assert!(sent.sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_table_does_not_hold_is_refused() {
    let (stored, sent) = (rejected(), Arc::<FakeQueue>::default());
    let replayer = replayer(Vec::new(), &sent);
    let named = Candidate::named(stored.payment.reference());
    let replays = replayer.work(vec![candidate_of(&stored).await, named]).await;
    assert!(
        replays.iter().all(|replay| replay.outcome.state == ReplayState::Refused),
        "{replays:?}"
    );
    assert!(sent.sent.lock().unwrap().is_empty());
}
