//! What a confirmation does to payments that end FAILED, and their dead letters.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{BlobDigest, DataBlob, Settlement, Status, transition};
use jiff::Timestamp;
use shared::config::Receiving;
use shared::dispatch_stop::StopLimits;
use shared::payments::{
    ApplyResult, BlobError, ChangeError, DeadLetters, PaymentsError, StoredPayment, refused_change,
};
use shared::queue::{
    DeadLetter, OutgoingMessage, Producer, QueueApi, QueueCallError, ReceivedMessage, RefusedEntry,
    Visibility,
};

use shared::telemetry::admin::Calls;

use super::*;

const STOP: StopLimits =
    StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };
const RECEIVING: Receiving =
    Receiving { visibility: Duration::from_secs(30), wait: Duration::from_secs(1) };

/// One payment, one confirmation of it, and the dead-letter queue.
#[derive(Debug)]
struct TestPorts {
    stored: Mutex<StoredPayment>,
    confirmation: Confirmation,
    deleted: Mutex<usize>,
    dead_letters: Mutex<Vec<DeadLetter>>,
    /// The deduplication ids of the dead letters.
    ids: Mutex<Vec<String>>,
    received: Mutex<u32>,
}

impl TestPorts {
    fn of(status: Status, attempts: u32, result: ReportedResult) -> Arc<Self> {
        let stored = crate::sweep::simulation::stored(1);
        let stored = StoredPayment { status, attempts, ..stored };
        let payment = stored.payment.reference();
        Arc::new(Self {
            stored: Mutex::new(stored),
            confirmation: Confirmation { payment, result, money: None, trace_key: None },
            deleted: Mutex::default(),
            dead_letters: Mutex::default(),
            ids: Mutex::default(),
            received: Mutex::default(),
        })
    }
}

#[async_trait]
impl PaymentStore for TestPorts {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let mut stored = self.stored.lock().unwrap();
        let [change] = changes else { panic!("{changes:?}") };
        let Ok(status) = transition(stored.status, change.event()) else {
            return Ok(vec![refused_change(change, stored.clone())]);
        };
        stored.status = status;
        match change {
            Change::Settle(..) => {}
            Change::Refuse(_, failure) | Change::Withhold(_, failure) => {
                stored.failure = Some((*failure).clone());
                stored.dead_letters.last = None;
            }
            Change::DeadLettered(_, _, count) => {
                stored.dead_letters = DeadLetters { count: *count, last: Some(now) };
            }
            other => panic!("a confirmer does not make {other:?}"),
        }
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

#[async_trait]
impl ArchiveLookup for TestPorts {
    async fn find(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        Ok(None)
    }
}

#[derive(Debug)]
struct Queue(Arc<TestPorts>);

#[async_trait]
impl QueueApi for Queue {
    fn name(&self) -> &'static str {
        "queue.fifo"
    }

    async fn receive(
        &self,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        let mut received = self.0.received.lock().unwrap();
        *received += 1;
        Ok(vec![ReceivedMessage {
            receipt: "receipt".to_owned(),
            message_id: format!("message-{received}"),
            group: "group".to_owned(),
            receive_count: 1,
            sent_at: None,
            body: serde_json::to_string(&self.0.confirmation).unwrap(),
        }])
    }

    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        *self.0.deleted.lock().unwrap() += receipts.len();
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
        let dead_letters =
            messages.iter().map(|message| serde_json::from_str(&message.body).unwrap());
        self.0.dead_letters.lock().unwrap().extend(dead_letters);
        let ids = messages.iter().map(|message| message.deduplication.clone());
        self.0.ids.lock().unwrap().extend(ids);
        Ok(Vec::new())
    }
}

/// Delivers the confirmation so many times.
async fn deliver(ports: &Arc<TestPorts>, times: usize) {
    let dead_letters = Producer::new(Arc::new(Queue(Arc::clone(ports))));
    let worker = ConfirmationReceiver {
        ids: shared::transaction::TransactionIds::default(),
        queue: Consumer::new(Arc::new(Queue(Arc::clone(ports))), RECEIVING),
        store: Arc::clone(ports) as Arc<dyn PaymentStore>,
        archive: Arc::clone(ports) as Arc<dyn ArchiveLookup>,
        dead_letters: DeadLetterQueue::new(dead_letters, "confirmer"),
        refusal_monitor: RefusalMonitor::new(STOP).0,
        clock: Clock::system(),
        receiving: Calls::default(),
        settling: Calls::default(),
    };
    for _ in 0..times {
        let deliveries = worker.queue.receive().await.unwrap();
        worker.settle(deliveries).await;
    }
}

fn refused() -> ReportedResult {
    ReportedResult::Rejected(Failure::new(FailureCode::Refused, "422 closed: x"))
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_comes_again_leaves_one_dead_letter() {
    let ports = TestPorts::of(Status::Pending, 1, refused());
    deliver(&ports, 8).await;
    let dead_letters = ports.dead_letters.lock().unwrap();
    assert_eq!((dead_letters.len(), dead_letters[0].failure.code), (1, FailureCode::Refused));
    assert_eq!(*ports.deleted.lock().unwrap(), 8);
    assert_eq!(ports.stored.lock().unwrap().dead_letters.count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_of_a_payment_that_was_never_claimed_withholds_it() {
    let settled_at = "2026-11-23T01:00:00Z".parse().unwrap();
    let settled = Settlement { transaction_id: "T".to_owned(), settled_at };
    for reported in [ReportedResult::Settled(settled.clone()), refused()] {
        let ports = TestPorts::of(Status::Scheduled, 0, reported);
        deliver(&ports, 1).await;
        let stored = ports.stored.lock().unwrap().clone();
        assert_eq!((stored.status, stored.attempts), (Status::Failed, 0));
        assert_eq!(stored.failure.unwrap().code, FailureCode::Conflict);
        let dead_letters = ports.dead_letters.lock().unwrap();
        assert_eq!((dead_letters.len(), dead_letters[0].failure.code), (1, FailureCode::Conflict));
        assert!(dead_letters[0].raw.is_some() && dead_letters[0].payment.is_some());
    }
    // After a replay it is asked for first: that settles it.
    let replayed = TestPorts::of(Status::Scheduled, 1, ReportedResult::Settled(settled));
    deliver(&replayed, 1).await;
    assert_eq!(replayed.stored.lock().unwrap().status, Status::Scheduled);
    assert_eq!(replayed.dead_letters.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn however_many_confirmations_say_the_same_of_a_conflict_it_is_one_case() {
    let settled_at = "2026-11-23T01:00:00Z".parse().unwrap();
    let settled = Settlement { transaction_id: "T".to_owned(), settled_at };
    let ports = TestPorts::of(Status::Processed, 1, ReportedResult::Settled(settled));
    deliver(&ports, 2).await;
    let ids = ports.ids.lock().unwrap();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "SQS would not drop the second");
}
