//! What a confirmation does to payments that end FAILED, and their dead letters.

use std::sync::Arc;
use std::time::Duration;

use domain::{Settlement, Status};
use jiff::{SignedDuration, Timestamp};
use shared::config::Receiving;
use shared::dispatch_stop::StopLimits;
use shared::payments::StoredPayment;
use shared::queue::{DeadLetter, OutgoingMessage, Producer, QueueApi};
use shared::telemetry::Metrics;
use shared::telemetry::admin::Calls;
use shared::testing::{PaymentsInMemory, QueueInMemory};

use super::*;

const STOP: StopLimits =
    StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };
const RECEIVING: Receiving =
    Receiving { visibility: Duration::from_secs(30), wait: Duration::from_secs(1) };

/// One payment, confirmations of it, and the dead-letter queue.
struct TestPorts {
    table: PaymentsInMemory,
    payment: PaymentRef,
    result: ReportedResult,
    confirmations: Arc<QueueInMemory>,
    dead_letters: Arc<QueueInMemory>,
}

impl TestPorts {
    fn of(status: Status, attempts: u32, result: ReportedResult) -> Self {
        let stored = crate::sweep::simulation::stored(1);
        let payment = stored.payment.reference();
        let table = PaymentsInMemory::default();
        table.put(StoredPayment { status, attempts, ..stored });
        let queue = |name| Arc::new(QueueInMemory::new(name));
        let (confirmations, dead_letters) = (queue("confirmations.fifo"), queue("dlq.fifo"));
        Self { table, payment, result, confirmations, dead_letters }
    }

    fn stored(&self) -> StoredPayment {
        self.table.stored(&self.payment).unwrap()
    }

    fn dead_letters(&self) -> Vec<DeadLetter> {
        let sent = self.dead_letters.sent();
        sent.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
    }
}

/// Delivers the confirmation so many times.
async fn deliver(ports: &TestPorts, times: usize) {
    deliver_at(ports, times, Timestamp::now()).await;
}

/// The same at a time of day.
async fn deliver_at(ports: &TestPorts, times: usize, now: Timestamp) {
    let dead_letters = Arc::clone(&ports.dead_letters) as Arc<dyn QueueApi>;
    let confirmations = Arc::clone(&ports.confirmations) as Arc<dyn QueueApi>;
    let worker = ConfirmationReceiver {
        ids: shared::transaction::TransactionIds::default(),
        queue: Consumer::new(confirmations, RECEIVING),
        store: Arc::new(ports.table.clone()),
        archive: Arc::new(PaymentsInMemory::default()),
        dead_letters: DeadLetterQueue::new(Producer::new(dead_letters), "confirmer"),
        refusal_monitor: RefusalMonitor::new(STOP).0,
        clock: Clock::new(move || now),
        zone: TimeZone::UTC,
        receiving: Calls::default(),
        settling: Calls::default(),
    };
    let (payment, result) = (ports.payment.clone(), ports.result.clone());
    let confirmation = Confirmation { payment, result, money: None, trace_key: None };
    let body = serde_json::to_string(&confirmation).unwrap();
    for number in 0..times {
        let (group, body) = ("group".to_owned(), body.clone());
        let deduplication = number.to_string();
        ports.confirmations.put(&OutgoingMessage { group, deduplication, body }).unwrap();
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
    let dead_letters = ports.dead_letters();
    assert_eq!((dead_letters.len(), dead_letters[0].failure.code), (1, FailureCode::Refused));
    assert_eq!(ports.confirmations.deleted().len(), 8);
    assert_eq!(ports.stored().dead_letters.count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_of_a_payment_that_was_never_claimed_withholds_it() {
    let settled_at = "2026-11-23T01:00:00Z".parse().unwrap();
    let settled = Settlement { transaction_id: "T".to_owned(), settled_at };
    for reported in [ReportedResult::Settled(settled.clone()), refused()] {
        let ports = TestPorts::of(Status::Scheduled, 0, reported);
        deliver(&ports, 1).await;
        let stored = ports.stored();
        assert_eq!((stored.status, stored.attempts), (Status::Failed, 0));
        assert_eq!(stored.failure.unwrap().code, FailureCode::Conflict);
        let dead_letters = ports.dead_letters();
        assert_eq!((dead_letters.len(), dead_letters[0].failure.code), (1, FailureCode::Conflict));
        assert!(dead_letters[0].raw.is_some() && dead_letters[0].payment.is_some());
    }
    // After a replay it is asked for first: that settles it.
    let replayed = TestPorts::of(Status::Scheduled, 1, ReportedResult::Settled(settled));
    deliver(&replayed, 1).await;
    assert_eq!(replayed.stored().status, Status::Scheduled);
    assert_eq!(replayed.dead_letters().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn however_many_confirmations_say_the_same_of_a_conflict_it_is_one_case() {
    let settled_at = "2026-11-23T01:00:00Z".parse().unwrap();
    let settled = Settlement { transaction_id: "T".to_owned(), settled_at };
    let ports = TestPorts::of(Status::Processed, 1, ReportedResult::Settled(settled));
    deliver(&ports, 2).await;
    assert_eq!(ports.dead_letters.sent().len(), 2);
    assert_eq!(ports.dead_letters.bodies().len(), 1, "SQS would not drop the second");
}

#[tokio::test(start_paused = true)]
async fn the_time_from_due_to_processed_and_failed_is_recorded_once_for_each_change() {
    let (metrics, _guard) = Metrics::of_this_thread(events::METRICS).unwrap();
    let recorded = |name: &str| {
        let of = |part: &str| {
            metrics.samples().sum(&format!("dueflow_confirmer_time_to_{name}_seconds_{part}"))
        };
        (of("count"), of("sum"))
    };
    let settled_at = "2026-11-23T01:00:00Z".parse().unwrap();
    let settled = Settlement { transaction_id: "T".to_owned(), settled_at };
    let ports = TestPorts::of(Status::Pending, 1, ReportedResult::Settled(settled));
    // Made after its day began.
    let made = |ports: &TestPorts| {
        Timestamp::from_millisecond(ports.payment.id.millis().try_into().unwrap()).unwrap()
    };
    deliver_at(&ports, 2, made(&ports) + SignedDuration::from_secs(1_500)).await;
    assert_eq!((recorded("processed"), recorded("failed")), ((1.0, 1_500.0), (0.0, 0.0)));
    let refused = TestPorts::of(Status::Pending, 1, refused());
    // This confirmer's clock is behind: zero, and not less.
    deliver_at(&refused, 2, made(&refused) - SignedDuration::from_secs(60)).await;
    assert_eq!((recorded("processed"), recorded("failed")), ((1.0, 1_500.0), (1.0, 0.0)));
}
