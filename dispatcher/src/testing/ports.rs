//! The ports of a dispatcher in memory: a table, an archive, a transaction service and its queues,
//! each call of which can take its time.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Event, KeyQuery, KeyStatus, Outcome, Payment, PaymentId, Settlement};
use jiff::Timestamp;
use shared::payments::StoredPayment;
use shared::queue::Visibility;
use shared::testing::{CallFault, PaymentsCall, PaymentsInMemory, QueueCall, QueueInMemory};
use shared::transaction::TransactionService;

/// How long a message stays hidden. No heartbeat gets through here.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(60);

/// A call that can take its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Archive,
    Blobs,
    Write,
    Submit,
    Ask,
}

/// The ports.
#[derive(Debug)]
pub(crate) struct TestPorts {
    pub(super) table: PaymentsInMemory,
    pub(super) archive: PaymentsInMemory,
    pub(super) payments: Arc<QueueInMemory>,
    pub(super) dead_letters: Arc<QueueInMemory>,
    pub(crate) submitted: Mutex<Vec<Payment>>,
    pub(crate) asked: Mutex<Vec<PaymentId>>,
    pub(crate) outcome: Mutex<Outcome>,
    pub(crate) found: Mutex<KeyStatus>,
    pub(crate) faults: Arc<Faults>,
    pub(super) skew: AtomicI64,
    /// Seconds that pass with each reading of the clock.
    pub(crate) passing: AtomicI64,
}

/// What goes wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Calls that take long: as long as a message stays hidden, unless `takes` says otherwise.
    pub(crate) slow: Mutex<Vec<Call>>,
    pub(crate) takes: Mutex<Option<Duration>>,
    /// Whether the dead-letter queue takes nothing.
    pub(crate) no_dead_letters: Mutex<bool>,
    /// Payments that cannot be read.
    pub(crate) unreadable: Mutex<Vec<PaymentId>>,
}

impl Faults {
    fn time_of(&self, call: Call) -> Duration {
        let slow = self.slow.lock().unwrap().contains(&call);
        let long = self.takes.lock().unwrap().unwrap_or(VISIBILITY);
        if slow { long } else { Duration::ZERO }
    }

    fn of_table(&self, call: &PaymentsCall<'_>) -> CallFault {
        match call {
            PaymentsCall::Apply(_) => CallFault::Slow(self.time_of(Call::Write)),
            PaymentsCall::Blobs(_) => CallFault::Slow(self.time_of(Call::Blobs)),
            PaymentsCall::Find(_) => CallFault::Slow(self.time_of(Call::Archive)),
            PaymentsCall::Get(payment) => {
                CallFault::not_sent_if(self.unreadable.lock().unwrap().contains(&payment.id))
            }
            other => panic!("a dispatcher does not call {other:?}"),
        }
    }
}

impl TestPorts {
    /// Everything is settled, and nothing is known of any key.
    pub(crate) fn new(now: Timestamp) -> Arc<Self> {
        let settled = Settlement { transaction_id: "T1".to_owned(), settled_at: now };
        let faults = Arc::new(Faults::default());
        let table = || {
            let faults = Arc::clone(&faults);
            PaymentsInMemory::default().on_call(move |call| faults.of_table(call))
        };
        let payments = QueueInMemory::new("payments.fifo").on_call(|call| match call {
            // No heartbeat gets through.
            QueueCall::ChangeVisibility(_, Visibility::Extend) => CallFault::NotSent,
            _ => CallFault::None,
        });
        let of_letters = Arc::clone(&faults);
        let dead_letters = QueueInMemory::new("payments-dlq.fifo")
            .on_call(move |_| CallFault::not_sent_if(*of_letters.no_dead_letters.lock().unwrap()));
        Arc::new(Self {
            table: table(),
            archive: table(),
            payments: Arc::new(payments),
            dead_letters: Arc::new(dead_letters),
            submitted: Mutex::default(),
            asked: Mutex::default(),
            outcome: Mutex::new(Outcome::Settled(settled)),
            found: Mutex::new(KeyStatus::Nothing),
            faults,
            skew: AtomicI64::new(0),
            passing: AtomicI64::new(0),
        })
    }

    async fn take_time(&self, call: Call) {
        tokio::time::sleep(self.faults.time_of(call)).await;
    }

    pub(crate) fn item(&self, payment: &Payment) -> StoredPayment {
        self.table.stored(&payment.reference()).unwrap()
    }

    /// The events that were written, in order.
    pub(crate) fn written(&self) -> Vec<Event> {
        self.table.made().into_iter().map(|(_, event)| event).collect()
    }
}

#[async_trait]
impl TransactionService for TestPorts {
    async fn submit(&self, payment: &Payment) -> Outcome {
        self.submitted.lock().unwrap().push(payment.clone());
        self.take_time(Call::Submit).await;
        self.outcome.lock().unwrap().clone()
    }

    async fn find(&self, asked: KeyQuery) -> KeyStatus {
        self.asked.lock().unwrap().push(asked.key);
        self.take_time(Call::Ask).await;
        self.found.lock().unwrap().clone()
    }
}
