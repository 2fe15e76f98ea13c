//! A dispatcher over ports in memory, for its unit tests.

mod ports;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::{
    AccountId, Amount, AttemptLimits, BeneficiaryId, Failure, FailureCode, Outcome, Payment,
    PaymentId, RefusalCodes, Status,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::config::Receiving;
use shared::dispatch_stop::StopLimits;
use shared::payments::{PaymentStore, StoredPayment};
use shared::queue::{
    Consumer, DeadLetter, DeadLetterQueue, InStep, OutgoingMessage, Producer, QueueApi,
    ReceivedMessage,
};
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Calls;
use shared::testing::{sample_payment, scheduled};
use shared::transaction::TransactionService;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::account_worker::AccountWorker;
use crate::archive_lookup::ArchiveCheck;
use crate::attempt::AttemptRunner;
use crate::calls::concurrency_limit::ConcurrencyBounds;
use crate::calls::limiter::CallLimiter;
use crate::calls::settings::CallLimiterSettings;
use crate::claimer::Claimer;
use crate::closing::MessageCloser;
use crate::in_hand::InHandPermit;
use crate::job::{InHandMessage, Job, sort};
use crate::receiver::{PaymentReceiver, ReceiveConditions};
use crate::recorder::DispatchedPayment;

pub(crate) use ports::{Call, TestPorts, VISIBILITY};

/// The day on which the tests play, at the bank.
pub(crate) const TODAY: &str = "2026-11-23";

/// Calls that may be under way at once.
pub(crate) const CALLS: usize = 10;

/// How long the transaction service remembers a key.
pub(crate) const KEY_RETENTION: Duration = Duration::from_secs(86_400);

/// A dispatcher over its ports.
#[derive(Debug)]
pub(crate) struct TestDispatcher {
    pub(crate) ports: Arc<TestPorts>,
    pub(crate) receiver: PaymentReceiver,
    /// What was handed to the recorder.
    pub(crate) recorded: mpsc::Receiver<DispatchedPayment>,
}

impl TestDispatcher {
    /// Noon of [`TODAY`]; everything is settled, and nothing is known of any key.
    pub(crate) fn new() -> Self {
        let ports = TestPorts::new(noon());
        let (sender, recorded) = mpsc::channel(100);
        let receiver = receiver(&ports, sender);
        Self { ports, receiver, recorded }
    }

    /// Sets everybody's wall clock so many seconds after noon.
    pub(crate) fn clock(&self, seconds: i64) {
        self.ports.skew.store(seconds, Ordering::Relaxed);
    }

    /// Holds everybody's wall clock against the monotonic one, as it is in a service.
    pub(crate) fn guard_the_clock(&mut self) {
        let clock = self.receiver.clock.clone().guarded();
        let account_worker = &mut self.receiver.claimer.account_worker;
        account_worker.attempts.clock = clock.clone();
        account_worker.closer.clock = clock.clone();
        self.receiver.clock = clock;
    }

    /// Puts a payment into the table.
    pub(crate) fn hold(&self, payment: &Payment, status: Status, attempts: u32) {
        let failure = || Failure::new(FailureCode::Rejected, "422 limit: x");
        self.ports.table.put(StoredPayment {
            status,
            attempts,
            updated_at: noon(),
            claimed_at: (attempts > 0).then(noon),
            failure: (status == Status::Failed).then(failure),
            ..scheduled(payment.clone())
        });
    }

    /// Puts messages where they can be received; what was there before is forgotten.
    pub(crate) fn wait_for_delivery(&self, payments: &[&Payment]) {
        self.ports.payments.drain();
        for payment in payments {
            let message = OutgoingMessage {
                group: payment.account.to_string(),
                deduplication: PaymentId::generate().to_string(),
                body: serde_json::to_string(payment).unwrap(),
            };
            self.ports.payments.put(&message).unwrap();
        }
    }

    /// Delivers messages.
    pub(crate) async fn deliver(&self, payments: &[&Payment]) -> Vec<InHandMessage> {
        self.wait_for_delivery(payments);
        let deliveries = self.receiver.queue.receive().await.unwrap();
        let mut received = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let permit = Arc::clone(&self.receiver.permits).acquire_owned().await.unwrap();
            received.push(InHandMessage { delivery, permit: InHandPermit::new(permit) });
        }
        received
    }

    /// Delivers the message of one payment as a job.
    pub(crate) async fn job(&self, payment: &Payment) -> Job {
        sort(self.deliver(&[payment]).await).jobs.remove(0)
    }

    /// Delivers messages and has them worked on to the end.
    pub(crate) async fn work(&self, payments: &[&Payment]) {
        let received = self.deliver(payments).await;
        self.work_on(received).await;
    }

    /// Works on what was delivered to the end.
    pub(crate) async fn work_on(&self, received: Vec<InHandMessage>) {
        let claimer = &self.receiver.claimer;
        claimer.clone().work(received).await;
        claimer.tasks.close();
        claimer.tasks.wait().await;
        claimer.tasks.reopen();
    }

    /// Whether the message of a payment was deleted.
    pub(crate) fn is_gone(&self, payment: &Payment) -> bool {
        self.ports.payments.deleted().iter().any(|message| is_of(message, payment))
    }

    /// For how long the message of a payment was given back.
    pub(crate) fn released(&self, payment: &Payment) -> Option<Duration> {
        let released = self.ports.payments.released();
        let of = released.iter().find(|(message, _)| is_of(message, payment));
        of.map(|(_, time)| *time)
    }

    pub(crate) fn attempts(&self) -> &AttemptRunner {
        &self.receiver.claimer.account_worker.attempts
    }

    /// How often the transaction service was given a payment.
    pub(crate) fn submissions(&self) -> usize {
        self.ports.submitted.lock().unwrap().len()
    }

    /// How often it was asked for one.
    pub(crate) fn questions(&self) -> usize {
        self.ports.asked.lock().unwrap().len()
    }

    /// The dead letters.
    pub(crate) fn dead_letters(&self) -> Vec<DeadLetter> {
        let sent = self.ports.dead_letters.sent();
        sent.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
    }
}

fn is_of(message: &ReceivedMessage, payment: &Payment) -> bool {
    message.body.contains(&payment.id.to_string())
}

pub(crate) fn noon() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// A payment of an account that is due on a day.
pub(crate) fn payment(account: &str, due: &str) -> Payment {
    Payment {
        id: PaymentId::generate(),
        account: AccountId::parse(account).unwrap(),
        due: due.parse().unwrap(),
        amount: Amount::from_minor_units(1250).unwrap(),
        beneficiary: BeneficiaryId::parse("BEN-1").unwrap(),
        created_at: noon(),
        ..sample_payment()
    }
}

/// The same payment, changed by somebody.
pub(crate) fn dearer(payment: &Payment) -> Payment {
    Payment { amount: Amount::from_minor_units(99_900).unwrap(), ..payment.clone() }
}

fn receiver(ports: &Arc<TestPorts>, recorder: mpsc::Sender<DispatchedPayment>) -> PaymentReceiver {
    let receiving = Receiving { visibility: VISIBILITY, wait: Duration::from_secs(1) };
    let queue = Consumer::new(Arc::clone(&ports.payments) as Arc<dyn QueueApi>, receiving);
    let dead_letters = Producer::new(Arc::clone(&ports.dead_letters) as Arc<dyn QueueApi>);
    let store = Arc::new(ports.table.clone()) as Arc<dyn PaymentStore>;
    let for_clock = Arc::clone(ports);
    let clock = Clock::new(move || {
        let passing = for_clock.passing.load(Ordering::Relaxed);
        let skew = for_clock.skew.fetch_add(passing, Ordering::Relaxed);
        noon() + SignedDuration::from_secs(skew)
    });
    let stop =
        StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };
    let bounds = ConcurrencyBounds { least: CALLS, most: CALLS };
    let validity = Duration::from_secs(365 * 86_400);
    let settings = CallLimiterSettings { bounds, per_second: None, stop, validity };
    let limiter = CallLimiter::new(settings, noon());
    limiter.stop_read(None, Instant::now());
    let archive = ArchiveCheck { archive: Arc::new(ports.archive.clone()), zone: TimeZone::UTC };
    let closer = MessageCloser {
        store: Arc::clone(&store),
        archive: archive.clone(),
        queue: queue.clone(),
        dead_letters: DeadLetterQueue::new(dead_letters, "dispatcher"),
        clock: clock.clone(),
    };
    let attempts = AttemptRunner {
        store,
        transactions: Arc::clone(ports) as Arc<dyn TransactionService>,
        limiter: limiter.clone(),
        archive,
        limits: AttemptLimits { attempts: 5, key_retention: KEY_RETENTION },
        clock: clock.clone(),
    };
    let account_worker =
        AccountWorker { attempts, closer, recorder, shutdown: Shutdown::new(Duration::ZERO) };
    let claimer = Claimer { account_worker, tasks: TaskTracker::new(), claiming: Calls::default() };
    let permits = Arc::new(Semaphore::new(100));
    let conditions = ReceiveConditions { limiter, in_step: InStep::of(watch::channel(true).1) };
    PaymentReceiver { queue, claimer, conditions, clock, permits, receiving: Calls::default() }
}

/// A rejection in the contract's words.
pub(crate) fn rejected() -> Outcome {
    let code = RefusalCodes::Form.take("limit").unwrap();
    Outcome::Rejected { code, reason: "422 limit: x".to_owned() }
}
