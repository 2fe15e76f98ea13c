//! Ports that do what they are told, and note each call.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatcher::{CallLimits, DispatcherDependencies, DispatcherLimits};
use domain::{
    AccountId, Amount, AttemptLimits, BeneficiaryId, BlobDigest, Data, DataBlob, Failure, KeyQuery,
    KeyStatus, Outcome, Payment, PaymentId, PaymentRef, Settlement, Status,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::clock::Clock;
use shared::config::Receiving;
use shared::dispatch_stop::{StopInMemory, StopLimits};
use shared::payments::archive::ArchiveLookup;
use shared::payments::{
    ApplyResult, BlobError, Change, ChangeError, DeadLetters, PaymentStore, PaymentsError,
    StoredPayment,
};
use shared::queue::{
    Confirmation, Consumer, DeadLetter, DeadLetterQueue, MessageCount, OutgoingMessage, Producer,
    QueueApi, QueueCallError, ReceivedMessage, RefusedEntry, Visibility,
};
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use shared::testing::sample_payment;
use shared::transaction::TransactionService;
use tokio::time::Instant;

const PAYMENTS: &str = "payments.fifo";
const CONFIRMATIONS: &str = "confirmations.fifo";
const DEAD_LETTERS: &str = "payments-dlq.fifo";
/// How long a run goes on: longer than every retry of a call.
const LONG: Duration = Duration::from_secs(40);
const VISIBILITY: Duration = Duration::from_secs(120);

/// A kind of call that can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Claim,
    Fail,
    /// Refused by the database, for now, in a call that goes through.
    FailRefused,
    Confirm,
    DeadLetter,
    Archive,
}

/// All ports of one dispatcher.
#[derive(Debug)]
pub(crate) struct World {
    log: Mutex<Vec<String>>,
    names: HashMap<PaymentId, String>,
    payments: Vec<Payment>,
    /// Payments that are FAILED, as the table holds them.
    failed: Mutex<HashMap<PaymentId, StoredPayment>>,
    incoming: Mutex<Vec<ReceivedMessage>>,
    failing: HashSet<Call>,
    claims: HashMap<String, ChangeError>,
    turns: HashMap<String, ChangeError>,
    outcomes: HashMap<String, Outcome>,
    archived: Option<StoredPayment>,
    blob: Option<BlobError>,
    retention: Duration,
    rate: Option<u32>,
}

/// A payment of an account with a number, due on the day of the run.
pub(crate) fn payment(account: &str, number: u8) -> Payment {
    Payment {
        id: PaymentId::from_parts(1_795_392_000_000 + u64::from(number), &[number; 10]),
        account: AccountId::parse(account).unwrap(),
        due: "2026-11-23".parse().unwrap(),
        amount: Amount::from_minor_units(1).unwrap(),
        beneficiary: BeneficiaryId::parse(format!("{account}{number}")).unwrap(),
        created_at: "2026-11-23T01:00:00Z".parse().unwrap(),
        ..sample_payment()
    }
}

/// The same with a blob in an item of its own.
pub(crate) fn blob(payment: Payment) -> Payment {
    let digest = BlobDigest::of(&DataBlob::new("x").unwrap());
    Payment { data: Some(Data::Beside(digest)), ..payment }
}

/// The payment PENDING after so many attempts.
pub(crate) fn pending(payment: Payment, attempts: u32) -> ChangeError {
    let claimed_at = Some(payment.created_at);
    let stored = settled_in_archive(payment);
    let status = Status::Pending;
    ChangeError::InStatus(Box::new(StoredPayment {
        status,
        attempts,
        claimed_at,
        transaction_id: None,
        ..stored
    }))
}

/// The payment as the archive holds it.
pub(crate) fn settled_in_archive(payment: Payment) -> StoredPayment {
    StoredPayment {
        updated_at: payment.created_at,
        payment,
        status: Status::Processed,
        attempts: 1,
        attempts_before: 0,
        not_done: 0,
        claimed_at: None,
        transaction_id: Some("T".to_owned()),
        settled_at: None,
        failure: None,
        dead_letters: DeadLetters::default(),
    }
}

impl World {
    /// A queue with one message for each payment, to be received together.
    pub(crate) fn with(payments: &[Payment]) -> Self {
        let name = |payment: &Payment| payment.beneficiary.to_string();
        let same =
            |place: usize| payments[..place].iter().filter(move |p| p.id == payments[place].id);
        let receipt =
            |place| format!("{}{}", name(&payments[place]), "'".repeat(same(place).count()));
        let incoming = payments.iter().enumerate().map(|(place, payment)| ReceivedMessage {
            receipt: receipt(place),
            message_id: receipt(place),
            group: payment.account.to_string(),
            receive_count: 1,
            sent_at: None,
            body: serde_json::to_string(payment).unwrap(),
        });
        Self {
            log: Mutex::default(),
            names: payments.iter().map(|payment| (payment.id, name(payment))).collect(),
            payments: payments.to_vec(),
            failed: Mutex::default(),
            incoming: Mutex::new(incoming.collect()),
            failing: HashSet::new(),
            claims: HashMap::new(),
            turns: HashMap::new(),
            outcomes: HashMap::new(),
            archived: None,
            blob: None,
            retention: Duration::from_secs(86_400),
            rate: None,
        }
    }

    /// One kind of call fails.
    pub(crate) fn failing(mut self, call: Call) -> Self {
        self.failing.insert(call);
        self
    }

    /// The claim of one payment is refused.
    pub(crate) fn claiming(mut self, name: &str, refused: ChangeError) -> Self {
        self.claims.insert(name.to_owned(), refused);
        self
    }

    /// A later turn of one payment may not begin.
    pub(crate) fn turning(mut self, name: &str, refused: ChangeError) -> Self {
        self.turns.insert(name.to_owned(), refused);
        self
    }

    /// The submission of one payment is answered so.
    pub(crate) fn answering(mut self, name: &str, outcome: Outcome) -> Self {
        self.outcomes.insert(name.to_owned(), outcome);
        self
    }

    /// One message has another body.
    pub(crate) fn with_body(self, name: &str, body: &str) -> Self {
        for message in self.incoming.lock().unwrap().iter_mut().filter(|m| m.receipt == name) {
            body.clone_into(&mut message.body);
        }
        self
    }

    /// The archive holds this.
    pub(crate) fn archived(mut self, stored: StoredPayment) -> Self {
        self.archived = Some(stored);
        self
    }

    /// No blob can be had.
    pub(crate) fn with_blob(mut self, error: BlobError) -> Self {
        self.blob = Some(error);
        self
    }

    /// The transaction service remembers a key for so long.
    pub(crate) fn remembering(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// So many calls a second.
    pub(crate) fn at_most_a_second(mut self, calls: u32) -> Self {
        self.rate = Some(calls);
        self
    }

    fn note(&self, call: String) {
        self.log.lock().unwrap().push(call);
    }

    fn fail(&self, id: PaymentId, failure: &Failure, attempts: u32) {
        let payment = self.payments.iter().find(|payment| payment.id == id).unwrap().clone();
        let failed = StoredPayment {
            status: Status::Failed,
            attempts,
            transaction_id: None,
            failure: Some(failure.clone()),
            ..settled_in_archive(payment)
        };
        self.failed.lock().unwrap().insert(id, failed);
    }

    fn name(&self, id: PaymentId) -> &str {
        self.names.get(&id).map_or("?", String::as_str)
    }
}

const STOP: StopLimits =
    StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };

/// Runs a dispatcher until nothing more happens, and says what it did, in order.
pub(crate) async fn work(world: World) -> Vec<String> {
    let world = Arc::new(world);
    let queue = |name| Arc::new(Port { world: Arc::clone(&world), name }) as Arc<dyn QueueApi>;
    let receiving = Receiving { visibility: VISIBILITY, wait: Duration::from_secs(20) };
    let (began, start) = (Instant::now(), "2026-11-23T01:00:00Z".parse::<Timestamp>().unwrap());
    let deps = DispatcherDependencies {
        store: Arc::clone(&world) as Arc<dyn PaymentStore>,
        archive: Arc::clone(&world) as Arc<dyn ArchiveLookup>,
        zone: TimeZone::UTC,
        payments: Consumer::new(queue(PAYMENTS), receiving),
        confirmations: Producer::new(queue(CONFIRMATIONS)),
        unconfirmed: Arc::new(Port { world: Arc::clone(&world), name: CONFIRMATIONS }),
        dead_letters: DeadLetterQueue::new(Producer::new(queue(DEAD_LETTERS)), "dispatcher"),
        transactions: Arc::clone(&world) as Arc<dyn TransactionService>,
        stops: Arc::new(StopInMemory::default()),
        name: "dispatcher".to_owned(),
        clock: Clock::new(move || start + began.elapsed()),
    };
    let config = DispatcherLimits {
        calls: CallLimits { most: 20, least: 4, rate: world.rate },
        receivers: 1,
        attempts: AttemptLimits { attempts: 20, key_retention: world.retention },
        stop: STOP,
        stop_check: Duration::from_secs(2),
    };
    let shutdown = Shutdown::new(Duration::from_secs(25));
    let running =
        tokio::spawn(dispatcher::run(config, deps, Readiness::default(), shutdown.clone()));
    tokio::time::sleep(LONG).await;
    shutdown.request();
    running.await.unwrap().unwrap();
    let log = world.log.lock().unwrap();
    log.clone()
}

/// One queue.
#[derive(Debug)]
struct Port {
    world: Arc<World>,
    name: &'static str,
}

impl Port {
    fn sent(&self, message: &OutgoingMessage) -> Result<(), QueueCallError> {
        let World { failing, .. } = &*self.world;
        let down = || QueueCallError::other("down");
        match self.name {
            CONFIRMATIONS if failing.contains(&Call::Confirm) => return Err(down()),
            DEAD_LETTERS if failing.contains(&Call::DeadLetter) => {
                self.world.note("no dead letter".to_owned());
                return Err(down());
            }
            CONFIRMATIONS => {
                let confirmation: Confirmation = serde_json::from_str(&message.body).unwrap();
                self.world.note(format!("confirm {}", confirmation.payment.account));
            }
            _ => {
                let dead_letter: DeadLetter = serde_json::from_str(&message.body).unwrap();
                let whose = dead_letter.payment.map(|payment| payment.beneficiary.to_string());
                let whose = whose.unwrap_or_else(|| "raw".to_owned());
                self.world.note(format!("dead letter {whose} {}", dead_letter.failure.code));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl MessageCount for Port {
    async fn messages(&self) -> Result<u64, QueueCallError> {
        Ok(0)
    }
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
        messages.iter().try_for_each(|message| self.sent(message))?;
        Ok(Vec::new())
    }
}

fn broken() -> PaymentsError {
    PaymentsError::Unread(1)
}

#[async_trait]
impl PaymentStore for World {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        _: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let mut results = Vec::new();
        for change in changes {
            let id = change.reference().id;
            let (kind, what) = match change {
                Change::Claim(_) => (Some(Call::Claim), "claim"),
                Change::Resume(..) => (None, "resume"),
                Change::Fail(..) => (Some(Call::Fail), "fail"),
                Change::DeadLettered(..) => (None, "mark"),
                _ => (None, "change"),
            };
            self.note(format!("{what} {}", self.name(id)));
            if kind.is_some_and(|kind| self.failing.contains(&kind)) {
                return Err(broken());
            }
            if kind == Some(Call::Fail) && self.failing.contains(&Call::FailRefused) {
                let (code, message) = ("x".to_owned(), "throttled".to_owned());
                results.push(Err(ChangeError::Database { code, message }));
                continue;
            }
            if let Change::Fail(_, failure, attempts) = change {
                self.fail(id, failure, *attempts);
            }
            let refused = match change {
                Change::Claim(_) => self.claims.get(self.name(id)),
                Change::Resume(..) => self.turns.get(self.name(id)),
                _ => None,
            };
            results.push(refused.cloned().map_or(Ok(ApplyResult::Now), Err));
        }
        Ok(results)
    }

    async fn get(&self, payment: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        Ok(self.failed.lock().unwrap().get(&payment.id).cloned())
    }

    async fn blobs(
        &self,
        wanted: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        let blob = || self.blob.map_or_else(|| Ok(DataBlob::new("x").unwrap()), Err);
        Ok(wanted.iter().map(|_| blob()).collect())
    }
}

#[async_trait]
impl ArchiveLookup for World {
    async fn find(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        if self.failing.contains(&Call::Archive) {
            Err(broken())
        } else {
            Ok(self.archived.clone())
        }
    }
}

#[async_trait]
impl TransactionService for World {
    async fn submit(&self, payment: &Payment) -> Outcome {
        let name = self.name(payment.id);
        self.note(format!("submit {name}"));
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.note(format!("answer {name}"));
        let settled = || {
            let transaction_id = format!("T-{name}");
            Outcome::Settled(Settlement { transaction_id, settled_at: payment.created_at })
        };
        self.outcomes.get(name).cloned().unwrap_or_else(settled)
    }

    async fn find(&self, asked: KeyQuery) -> KeyStatus {
        self.note(format!("ask {}", self.name(asked.key)));
        KeyStatus::Nothing
    }
}
