//! Ports in memory, some of whose calls fail, and a note of each call.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use dispatcher::{CallLimits, DispatcherDependencies, DispatcherLimits};
use domain::{
    AccountId, Amount, AttemptLimits, BeneficiaryId, BlobDigest, Data, DataBlob, KeyQuery,
    KeyStatus, Outcome, Payment, PaymentId, Settlement, Status,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::clock::Clock;
use shared::config::Receiving;
use shared::dispatch_stop::{StopInMemory, StopLimits};
use shared::payments::{BlobError, Change, ChangeError, StoredPayment};
use shared::queue::{
    Confirmation, Consumer, DeadLetter, DeadLetterQueue, OutgoingMessage, Producer, QueueApi,
    Visibility,
};
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use shared::testing::{
    CallFault, PaymentsCall, PaymentsInMemory, QueueCall, QueueInMemory, sample_payment, scheduled,
};
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

/// What lies in the ports of one dispatcher, and what fails there.
#[derive(Debug)]
pub(crate) struct World {
    log: Mutex<Vec<String>>,
    payments: Vec<Payment>,
    /// Bodies of the messages, by the names of their payments.
    bodies: Vec<(String, String)>,
    /// The queue of these messages.
    queue: OnceLock<Arc<QueueInMemory>>,
    failing: HashSet<Call>,
    claims: HashMap<String, ChangeError>,
    turns: HashMap<String, ChangeError>,
    outcomes: HashMap<String, Outcome>,
    settled: Mutex<HashMap<PaymentId, Settlement>>,
    archive: PaymentsInMemory,
    blob: Option<BlobError>,
    retention: Duration,
    rate: Option<u32>,
}

fn name(payment: &Payment) -> String {
    payment.beneficiary.to_string()
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
    let status = Status::Pending;
    let stored = scheduled(payment);
    ChangeError::InStatus(Box::new(StoredPayment { status, attempts, claimed_at, ..stored }))
}

/// The payment as the archive holds it.
pub(crate) fn settled_in_archive(payment: Payment) -> StoredPayment {
    let (status, transaction_id) = (Status::Processed, Some("T".to_owned()));
    StoredPayment { status, attempts: 1, transaction_id, ..scheduled(payment) }
}

impl World {
    /// A queue with one message for each payment, to be received together.
    pub(crate) fn with(payments: &[Payment]) -> Self {
        let body = |payment: &Payment| (name(payment), serde_json::to_string(payment).unwrap());
        Self {
            log: Mutex::default(),
            payments: payments.to_vec(),
            bodies: payments.iter().map(body).collect(),
            queue: OnceLock::new(),
            failing: HashSet::new(),
            claims: HashMap::new(),
            turns: HashMap::new(),
            outcomes: HashMap::new(),
            settled: Mutex::default(),
            archive: PaymentsInMemory::default(),
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

    /// The claim of one payment is refused, because of what the table holds or by the database.
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
    pub(crate) fn with_body(mut self, name: &str, body: &str) -> Self {
        for (_, other) in self.bodies.iter_mut().filter(|(of, _)| of == name) {
            body.clone_into(other);
        }
        self
    }

    /// The archive holds this.
    pub(crate) fn archived(self, stored: StoredPayment) -> Self {
        self.archive.put(stored);
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

    fn name(&self, id: PaymentId) -> String {
        name(self.payments.iter().find(|payment| payment.id == id).unwrap())
    }

    fn name_of(&self, receipt: &str) -> &str {
        let delivery = self.queue.get().unwrap().delivery(receipt).unwrap();
        &self.bodies.iter().find(|(_, body)| *body == delivery.body).unwrap().0
    }

    fn fails(&self, call: Call) -> CallFault {
        CallFault::not_sent_if(self.failing.contains(&call))
    }

    /// What the table is to hold of a payment.
    fn put_into(&self, table: &PaymentsInMemory, payment: &Payment) {
        let other = Some(Data::Whole(DataBlob::new("y".repeat(2_000)).unwrap()));
        match self.blob {
            Some(BlobError::Differs) => {
                table.insert(Payment { data: other, ..payment.clone() });
            }
            Some(BlobError::Unread) => table.leave_out_blob(payment.id),
            Some(BlobError::Missing) | None => {}
        }
        match self.claims.get(&name(payment)) {
            Some(ChangeError::InStatus(stored) | ChangeError::Mismatch(stored)) => {
                table.put((**stored).clone());
            }
            Some(ChangeError::Missing) => {}
            Some(ChangeError::Item(_) | ChangeError::Database { .. }) | None => {
                table.put(scheduled(payment.clone()));
            }
        }
    }

    fn table_called(&self, call: &PaymentsCall<'_>) -> CallFault {
        let PaymentsCall::Apply(changes) = call else { return CallFault::None };
        let mut fault = CallFault::None;
        for change in *changes {
            let (what, fails) = match change {
                Change::Claim(_) => ("claim", self.fails(Call::Claim)),
                Change::Resume(..) => ("resume", CallFault::None),
                Change::Fail(..) => ("fail", self.fails(Call::Fail)),
                Change::DeadLettered(..) => ("mark", CallFault::None),
                _ => ("change", CallFault::None),
            };
            self.note(format!("{what} {}", self.name(change.reference().id)));
            fault = if fails == CallFault::None { fault } else { fails };
        }
        fault
    }

    /// What the database refuses.
    fn refuses(&self, change: &Change<'_>) -> Option<ChangeError> {
        let name = self.name(change.reference().id);
        let (code, message) = ("x".to_owned(), "throttled".to_owned());
        match change {
            Change::Claim(_) => {
                let refused = self.claims.get(&name).cloned();
                refused.filter(|refused| matches!(refused, ChangeError::Database { .. }))
            }
            Change::Resume(..) => self.turns.get(&name).cloned(),
            Change::Fail(..) if self.failing.contains(&Call::FailRefused) => {
                Some(ChangeError::Database { code, message })
            }
            _ => None,
        }
    }

    fn queue_called(&self, name: &str, call: &QueueCall<'_>) -> CallFault {
        match call {
            QueueCall::Delete(receipts) => receipts
                .iter()
                .for_each(|receipt| self.note(format!("delete {}", self.name_of(receipt)))),
            QueueCall::ChangeVisibility(entries, Visibility::Release) => entries
                .iter()
                .for_each(|(receipt, _)| self.note(format!("release {}", self.name_of(receipt)))),
            QueueCall::Send(_)
                if name == CONFIRMATIONS && self.failing.contains(&Call::Confirm) =>
            {
                return CallFault::NotSent;
            }
            QueueCall::Send(_)
                if name != CONFIRMATIONS && self.failing.contains(&Call::DeadLetter) =>
            {
                self.note("no dead letter".to_owned());
                return CallFault::NotSent;
            }
            QueueCall::Send(messages) => {
                messages.iter().for_each(|message| self.sent(name, message))
            }
            QueueCall::ChangeVisibility(_, Visibility::Extend)
            | QueueCall::Receive
            | QueueCall::Count => {}
        }
        CallFault::None
    }

    fn sent(&self, name: &str, message: &OutgoingMessage) {
        if name == CONFIRMATIONS {
            let confirmation: Confirmation = serde_json::from_str(&message.body).unwrap();
            return self.note(format!("confirm {}", confirmation.payment.account));
        }
        let dead_letter: DeadLetter = serde_json::from_str(&message.body).unwrap();
        let whose = dead_letter.payment.map(|payment| payment.beneficiary.to_string());
        let whose = whose.unwrap_or_else(|| "raw".to_owned());
        self.note(format!("dead letter {whose} {}", dead_letter.failure.code));
    }
}

/// The table and the archive.
fn tables(world: &Arc<World>) -> (PaymentsInMemory, PaymentsInMemory) {
    let [calls, changes, lookups] = [0; 3].map(|_| Arc::clone(world));
    let table = PaymentsInMemory::default()
        .on_call(move |call| calls.table_called(call))
        .on_change(move |change| changes.refuses(change));
    world.payments.iter().for_each(|payment| world.put_into(&table, payment));
    let archive = world.archive.clone().on_call(move |_| lookups.fails(Call::Archive));
    (table, archive)
}

const STOP: StopLimits =
    StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };

/// Runs a dispatcher until nothing more happens, and says what it did, in order.
pub(crate) async fn work(world: World) -> Vec<String> {
    let world = Arc::new(world);
    let queue = |name| {
        let called = Arc::clone(&world);
        Arc::new(QueueInMemory::new(name).on_call(move |call| called.queue_called(name, call)))
    };
    let payments = queue(PAYMENTS);
    for (number, (payment, (_, body))) in world.payments.iter().zip(&world.bodies).enumerate() {
        let (group, deduplication) = (payment.account.to_string(), number.to_string());
        payments.put(&OutgoingMessage { group, deduplication, body: body.clone() }).unwrap();
    }
    world.queue.set(Arc::clone(&payments)).unwrap();
    let (table, archive) = tables(&world);
    let receiving = Receiving { visibility: VISIBILITY, wait: Duration::from_secs(20) };
    let (began, start) = (Instant::now(), "2026-11-23T01:00:00Z".parse::<Timestamp>().unwrap());
    let deps = DispatcherDependencies {
        store: Arc::new(table),
        archive: Arc::new(archive),
        zone: TimeZone::UTC,
        payments: Consumer::new(payments as Arc<dyn QueueApi>, receiving),
        confirmations: Producer::new(queue(CONFIRMATIONS)),
        // Confirmers take what is sent.
        unconfirmed: Arc::new(QueueInMemory::new(CONFIRMATIONS)),
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
        let outcome = self.outcomes.get(&name).cloned().unwrap_or_else(settled);
        if let Outcome::Settled(settlement) = &outcome {
            self.settled.lock().unwrap().insert(payment.id, settlement.clone());
        }
        outcome
    }

    async fn find(&self, asked: KeyQuery) -> KeyStatus {
        self.note(format!("ask {}", self.name(asked.key)));
        let settled = self.settled.lock().unwrap().get(&asked.key).cloned();
        settled.map_or(KeyStatus::Nothing, KeyStatus::Settled)
    }
}
