//! Ports that do what they are told, and note each call.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use confirmer::{ConfirmerDependencies, ConfirmerLimits, SweepSettings};
use domain::{
    AccountId, Amount, BlobDigest, DataBlob, Failure, FailureCode, KeyQuery, KeyStatus, Outcome,
    Payment, PaymentId, PaymentRef, Settlement, Status,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::clock::Clock;
use shared::config::{Receiving, SweptDays};
use shared::dispatch_stop::{StopInMemory, StopLimits};
use shared::payments::{
    ApplyResult, BlobError, Change, ChangeError, PaymentStore, PaymentsError, StoredPayment,
};
use shared::queue::{
    Confirmation, Consumer, DeadLetter, DeadLetterQueue, OutgoingMessage, Producer, QueueApi,
    QueueCallError, ReceivedMessage, RefusedEntry, ReportedResult, Visibility,
};
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use shared::testing::{CallFault, PaymentsInMemory, QueueInMemory, sample_payment, scheduled};
use shared::transaction::TransactionService;

/// How long a run goes on: longer than every retry of a call.
const LONG: Duration = Duration::from_secs(40);

/// A kind of call that can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Write,
    Read,
    DeadLetter,
    Archive,
}

/// All ports of one confirmer.
#[derive(Debug)]
pub(crate) struct World {
    log: Mutex<Vec<String>>,
    incoming: Mutex<Vec<ReceivedMessage>>,
    failing: HashSet<Call>,
    writes: Result<ApplyResult, ChangeError>,
    held: Option<StoredPayment>,
    archive: PaymentsInMemory,
}

fn at() -> Timestamp {
    "2026-11-23T01:00:00Z".parse().unwrap()
}

fn payment() -> Payment {
    Payment {
        id: PaymentId::from_parts(1_795_392_000_000, &[1; 10]),
        account: AccountId::parse("ACC").unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        created_at: at(),
        ..sample_payment()
    }
}

/// The payment in a status.
pub(crate) fn stored(status: Status, transaction: &str) -> StoredPayment {
    StoredPayment {
        status,
        attempts: 1,
        claimed_at: Some(at()),
        transaction_id: (status == Status::Processed).then(|| transaction.to_owned()),
        failure: (status == Status::Failed).then(refusal),
        ..scheduled(payment())
    }
}

/// It was settled.
pub(crate) fn settled(transaction: &str) -> ReportedResult {
    ReportedResult::Settled(Settlement { transaction_id: transaction.to_owned(), settled_at: at() })
}

/// It was refused after a 202.
pub(crate) fn refused() -> ReportedResult {
    ReportedResult::Rejected(refusal())
}

fn refusal() -> Failure {
    Failure::new(FailureCode::Refused, "422 closed: x")
}

impl World {
    /// A queue with one confirmation of the payment for each result, to be received together.
    pub(crate) fn with(results: &[ReportedResult]) -> Self {
        let body = |result: &ReportedResult| Confirmation {
            payment: payment().reference(),
            result: result.clone(),
            money: None,
            trace_key: None,
        };
        let incoming = results.iter().enumerate().map(|(number, result)| ReceivedMessage {
            receipt: format!("m{number}"),
            message_id: format!("m{number}"),
            group: "g".to_owned(),
            receive_count: 1,
            sent_at: None,
            body: serde_json::to_string(&body(result)).unwrap(),
        });
        Self {
            log: Mutex::default(),
            incoming: Mutex::new(incoming.collect()),
            failing: HashSet::new(),
            writes: Ok(ApplyResult::Now),
            held: None,
            archive: PaymentsInMemory::default(),
        }
    }

    /// One kind of call fails.
    pub(crate) fn failing(mut self, call: Call) -> Self {
        self.failing.insert(call);
        self
    }

    /// Every write has this result.
    pub(crate) fn writing(mut self, result: Result<ApplyResult, ChangeError>) -> Self {
        self.writes = result;
        self
    }

    /// The table holds this.
    pub(crate) fn holding(mut self, stored: StoredPayment) -> Self {
        self.held = Some(stored);
        self
    }

    /// The archive holds this.
    pub(crate) fn archived(self, stored: StoredPayment) -> Self {
        self.archive.put(stored);
        self
    }

    /// Each message is of a payment of its own.
    pub(crate) fn each_of_its_own_payment(self) -> Self {
        for message in self.incoming.lock().unwrap().iter_mut() {
            let mut confirmation: Confirmation = serde_json::from_str(&message.body).unwrap();
            confirmation.payment.id = PaymentId::generate();
            message.body = serde_json::to_string(&confirmation).unwrap();
        }
        self
    }

    /// The messages have another body.
    pub(crate) fn with_body(self, body: &str) -> Self {
        for message in self.incoming.lock().unwrap().iter_mut() {
            body.clone_into(&mut message.body);
        }
        self
    }

    fn note(&self, call: impl Into<String>) {
        self.log.lock().unwrap().push(call.into());
    }

    fn fails(&self, call: Call) -> Result<(), PaymentsError> {
        if self.failing.contains(&call) { Err(PaymentsError::Unread(1)) } else { Ok(()) }
    }
}

/// Runs a confirmer until nothing more happens, and says what it did, in order.
pub(crate) async fn work(world: World) -> Vec<String> {
    let world = Arc::new(world);
    let queue = |name| Arc::new(Port { world: Arc::clone(&world), name }) as Arc<dyn QueueApi>;
    let receiving =
        Receiving { visibility: Duration::from_secs(120), wait: Duration::from_secs(20) };
    let lookups = Arc::clone(&world);
    let archive = world.archive.clone().on_call(move |_| {
        lookups.note("archive lookup");
        CallFault::not_sent_if(lookups.failing.contains(&Call::Archive))
    });
    let deps = ConfirmerDependencies {
        stops: Arc::new(StopInMemory::default()),
        name: "confirmer".to_owned(),
        store: Arc::clone(&world) as Arc<dyn PaymentStore>,
        archive: Arc::new(archive),
        due: Arc::new(PaymentsInMemory::default()),
        confirmations: Consumer::new(queue("confirmations.fifo"), receiving),
        reports: Producer::new(queue("confirmations.fifo")),
        payments: Producer::new(queue("payments.fifo")),
        waiting: Arc::new(QueueInMemory::new("payments.fifo")),
        transactions: Arc::clone(&world) as Arc<dyn TransactionService>,
        dead_letters: DeadLetterQueue::new(Producer::new(queue("dlq.fifo")), "confirmer"),
        callbacks: None,
        clock: Clock::new(at),
    };
    let (interval, limit) = (Duration::from_secs(3_600), Duration::from_secs(3_600));
    let config = ConfirmerLimits {
        stop: StopLimits {
            rejected_accounts: 20,
            out_of_contract: 5,
            share_percent: 50,
            window: 200,
        },
        receivers: 1,
        sweep: SweepSettings { interval, limit, old_interval: interval },
        days: SweptDays { zone: TimeZone::UTC, before: 1 },
    };
    let shutdown = Shutdown::new(Duration::from_secs(25));
    let running =
        tokio::spawn(confirmer::run(config, deps, Readiness::default(), shutdown.clone()));
    tokio::time::sleep(LONG).await;
    shutdown.request();
    running.await.unwrap().unwrap();
    let log = world.log.lock().unwrap();
    let mut log = log.clone();
    // A call that is repeated says nothing new.
    log.dedup();
    log
}

/// One queue.
#[derive(Debug)]
struct Port {
    world: Arc<World>,
    name: &'static str,
}

#[async_trait]
impl QueueApi for Port {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn receive(
        &self,
        wait: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        let incoming = std::mem::take(&mut *self.world.incoming.lock().unwrap());
        if incoming.is_empty() {
            tokio::time::sleep(wait).await;
        }
        Ok(incoming)
    }

    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        receipts.iter().for_each(|receipt| self.world.note(format!("delete {receipt}")));
        Ok(Vec::new())
    }

    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        if purpose == Visibility::Release {
            entries.iter().for_each(|(receipt, _)| self.world.note(format!("release {receipt}")));
        }
        Ok(Vec::new())
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        if self.world.failing.contains(&Call::DeadLetter) {
            self.world.note("no dead letter");
            return Err(QueueCallError::other("down"));
        }
        for message in messages {
            let dead_letter: DeadLetter = serde_json::from_str(&message.body).unwrap();
            let whose = dead_letter.payment.filter(|_| dead_letter.raw.is_none());
            let whose = whose.map_or(String::new(), |payment| format!(" of {}", payment.account));
            self.world.note(format!("dead letter {}{whose}", dead_letter.failure.code));
        }
        Ok(Vec::new())
    }
}

#[async_trait]
impl PaymentStore for World {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        _: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        for change in changes {
            self.note(match change {
                Change::Settle(..) | Change::SettleOf(..) => "settle",
                Change::DeadLettered(..) => "mark",
                _ => "refuse",
            });
        }
        if matches!(changes, [Change::DeadLettered(..)]) {
            return Ok(vec![Ok(ApplyResult::Now)]);
        }
        self.fails(Call::Write)?;
        Ok(changes.iter().map(|_| self.writes.clone()).collect())
    }

    async fn get(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        self.note("read");
        self.fails(Call::Read)?;
        Ok(self.held.clone())
    }

    async fn blobs(
        &self,
        _: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl TransactionService for World {
    async fn submit(&self, payment: &Payment) -> Outcome {
        panic!("a confirmer submitted {}", payment.id)
    }

    async fn find(&self, _: KeyQuery) -> KeyStatus {
        KeyStatus::Nothing
    }
}
