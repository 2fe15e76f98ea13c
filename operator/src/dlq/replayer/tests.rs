use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatcher::CallLimits;
use domain::{
    Amount, BeneficiaryId, BlobDigest, DataBlob, Failure, FailureCode, KeyQuery, Outcome, Payment,
    TraceKey,
};
use jiff::Timestamp;
use shared::payments::{ApplyResult, BlobError};
use shared::queue::{
    DeadLetter, QueueApi, QueueCallError, ReceivedMessage, RefusedEntry, Visibility,
};

use super::*;

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
        currency: "EUR".parse().unwrap(),
        beneficiary: BeneficiaryId::parse("B").unwrap(),
        data: None,
        trace_key: TraceKey::generate(),
        created_at: now(),
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

fn case_of(stored: &StoredPayment) -> Case {
    let letter = DeadLetter {
        failure: stored.failure.clone().unwrap(),
        service: "dispatcher".to_owned(),
        at: now(),
        payment: Some(stored.payment.clone()),
        raw: None,
    };
    let text = serde_json::to_string(&letter).unwrap();
    Case {
        place: Some(0),
        letter: Some(Letter::read("m", "ACC", text)),
        reference: Some(stored.payment.reference()),
    }
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

#[derive(Debug, Default)]
struct Sent(Mutex<Vec<OutgoingMessage>>);

#[async_trait]
impl QueueApi for Sent {
    fn name(&self) -> &'static str {
        "sent.fifo"
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

fn replayer(stored: Vec<StoredPayment>, sent: &Arc<Sent>) -> Replayer<Overtaken, Answers> {
    Replayer {
        store: Arc::new(Overtaken(stored)),
        transactions: Arc::default(),
        questions: Questions::new(CALLS, now()),
        payments: Producer::new(Arc::clone(sent) as Arc<dyn QueueApi>),
        confirmations: Producer::new(Arc::clone(sent) as Arc<dyn QueueApi>),
        limits: AttemptLimits { attempts: 20, key_retention: Duration::from_secs(86_400) },
        codes: RefusalCodes::Form,
        clock: Clock::new(now),
        mode: Mode::Execute,
        version: None,
        memory: Arc::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_write_sent_off_first_is_not_replayed_again_when_it_fails_again() {
    let (stored, sent) = (rejected(), Arc::default());
    let replayer = replayer(vec![stored.clone()], &sent);
    let first = replayer.work(&[case_of(&stored)], |_| true).await;
    assert_eq!(first[0].state, State::Done, "{first:?}");
    let second = replayer.work(&[case_of(&stored)], |_| true).await;
    assert_eq!(second[0].state, State::Refused, "{second:?}");
    assert_eq!(sent.0.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_silence_the_service_is_asked_now_and_then_and_an_answer_ends_it() {
    let sent = Arc::default();
    let replayer = replayer(Vec::new(), &sent);
    let payment = rejected().payment;
    for _ in 0..SILENCE {
        replayer.question(payment.clone()).await;
    }
    replayer.transactions.0.lock().unwrap().push(KeyStatus::UnderWay);
    assert!(matches!(replayer.question(payment.clone()).await, KeyStatus::NoAnswer { .. }));
    tokio::time::advance(ASK_AGAIN).await;
    assert_eq!(replayer.question(payment.clone()).await, KeyStatus::UnderWay);
    replayer.transactions.0.lock().unwrap().push(KeyStatus::UnderWay);
    assert_eq!(replayer.question(payment.clone()).await, KeyStatus::UnderWay);
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
        Err(QueueCallError("down".to_owned()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_decides_nothing_while_the_clock_is_in_doubt() {
    let (stored, sent) = (rejected(), Arc::<Sent>::default());
    let mut replayer = replayer(vec![stored.clone()], &sent);
    // It stands still, while an hour goes by.
    replayer.clock = Clock::new(now).guarded();
    tokio::time::advance(Duration::from_secs(3_600)).await;
    let entries = replayer.work(&[case_of(&stored)], |_| true).await;
    assert_eq!(entries[0].state, State::Failed, "{entries:?}");
    assert!(sent.0.lock().unwrap().is_empty());
    replayer.clock.confirm(replayer.clock.read());
    let entries = replayer.work(&[case_of(&stored)], |_| true).await;
    assert_eq!(entries[0].state, State::Done, "{entries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_whose_message_was_not_sent_is_not_done() {
    let (stored, sent) = (rejected(), Arc::default());
    let mut replayer = replayer(vec![stored.clone()], &sent);
    replayer.payments = Producer::new(Arc::new(Down));
    let entries = replayer.work(&[case_of(&stored)], |_| true).await;
    assert_eq!(entries[0].state, State::Failed, "{entries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_the_table_refuses_sends_nothing() {
    let (stored, sent) = (rejected(), Arc::<Sent>::default());
    let replayer = replayer(Vec::new(), &sent);
    let replayer = Replayer {
        store: Arc::new(Closed(stored.clone())),
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
    let entries = replayer.work(&[case_of(&stored)], |_| true).await;
    assert_eq!(entries[0].state, State::Failed, "{entries:?}");
    assert!(sent.0.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replay_whose_letter_is_in_somebody_elses_hand_changes_nothing() {
    let (stored, sent) = (rejected(), Arc::default());
    let replayer = replayer(vec![stored.clone()], &sent);
    let entries = replayer.work(&[case_of(&stored)], |_| false).await;
    assert_eq!(entries[0].state, State::Failed, "{entries:?}");
    assert!(sent.0.lock().unwrap().is_empty());
}

#[test]
fn each_replay_has_an_id_of_its_own_for_its_letter_and_its_attempts() {
    let stored = rejected();
    let id = |letter: &str, attempts| {
        let mut case = case_of(&stored);
        letter.clone_into(&mut case.letter.as_mut().unwrap().message_id);
        match message(&case, &stored.payment, attempts) {
            Message::Payment(_, outgoing) => outgoing.deduplication,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(id("m", 1), id("m", 1));
    assert!(id("m", 1) != id("m", 2) && id("m", 1) != id("n", 1));
}
