//! The outside of a dispatcher in memory, for its unit tests: a table, an archive, a transaction
//! service and a queue, each call of which can take its time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    AccountId, Amount, AttemptLimits, BeneficiaryId, BlobDigest, DataBlob, Failure, KeyQuery,
    KeyStatus, Outcome, Payment, PaymentId, PaymentRef, RefusalCodes, Status, TraceKey, transition,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::config::Receiving;
use shared::dispatch_stop::StopLimits;
use shared::payments::archive::ArchiveLookup;
use shared::payments::{
    ApplyResult, BlobError, Change, ChangeError, DeadLetters, PaymentStore, PaymentsError,
    StoredPayment, refused_change,
};
use shared::queue::{
    Consumer, DeadLetter, DeadLetterQueue, OutgoingMessage, Producer, QueueApi, QueueCallError,
    ReceivedMessage, RefusedEntry, Visibility,
};
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Calls;
use shared::transaction::TransactionService;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::account_worker::Group;
use crate::archive_lookup::Past;
use crate::attempt::Attempts;
use crate::calls::concurrency_limit::Bounds;
use crate::calls::limiter::{Gate, GateSettings};
use crate::in_hand::Place;
use crate::job::{Job, Received, sort};
use crate::receiver::Worker;
use crate::recorder::Done;

/// How long a message stays hidden. No heartbeat gets through here.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(60);
/// The day on which the tests play, at the bank.
pub(crate) const TODAY: &str = "2026-11-23";

/// Calls that may be under way at once.
pub(crate) const CALLS: usize = 10;

/// How long the transaction service remembers a key.
pub(crate) const KEY_RETENTION: Duration = Duration::from_secs(86_400);

/// A call that can take its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Archive,
    Write,
    Submit,
    Ask,
}

/// The outside.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) items: Mutex<HashMap<PaymentId, StoredPayment>>,
    /// The events that were written, in order.
    pub(crate) written: Mutex<Vec<(PaymentId, domain::Event)>>,
    pub(crate) submitted: Mutex<Vec<Payment>>,
    pub(crate) asked: Mutex<Vec<PaymentId>>,
    pub(crate) outcome: Mutex<Outcome>,
    pub(crate) found: Mutex<KeyStatus>,
    /// Calls that take long: as long as a message stays hidden, unless `takes` says otherwise.
    pub(crate) slow: Mutex<Vec<Call>>,
    pub(crate) takes: Mutex<Option<Duration>>,
    /// Messages that are to be received.
    waiting: Mutex<Vec<ReceivedMessage>>,
    /// Messages that were deleted, by receipt.
    pub(crate) deleted: Mutex<Vec<String>>,
    /// Messages that were given back, by receipt, and for how long.
    pub(crate) released: Mutex<Vec<(String, Duration)>>,
    pub(crate) letters: Mutex<Vec<DeadLetter>>,
    /// Whether the dead-letter queue takes nothing.
    pub(crate) no_letters: Mutex<bool>,
    /// Payments that cannot be read.
    pub(crate) unreadable: Mutex<Vec<PaymentId>>,
    skew: AtomicI64,
    /// Seconds that pass with each look at the clock.
    pub(crate) passing: AtomicI64,
}

impl Outside {
    async fn take_time(&self, call: Call) {
        let slow = self.slow.lock().unwrap().contains(&call);
        let long = self.takes.lock().unwrap().unwrap_or(VISIBILITY);
        tokio::time::sleep(if slow { long } else { Duration::ZERO }).await;
    }

    pub(crate) fn item(&self, payment: &Payment) -> StoredPayment {
        self.items.lock().unwrap()[&payment.id].clone()
    }

    fn write(&self, change: &Change<'_>, now: Timestamp) -> Result<ApplyResult, ChangeError> {
        let mut items = self.items.lock().unwrap();
        let Some(stored) = items.get_mut(&change.reference().id) else {
            return Err(ChangeError::Missing);
        };
        let same = |payment: &Payment| stored.payment.same_instruction(payment);
        let fits = match change {
            Change::Claim(payment) => stored.attempts == 0 && same(payment),
            Change::ClaimAgain(payment, seen) | Change::Resume(payment, seen) => {
                stored.attempts == *seen && same(payment)
            }
            Change::Fail(_, _, made)
            | Change::WithholdReplayed(_, _, made)
            | Change::NotDone(_, made, _)
            | Change::DeadLettered(_, made, _) => stored.attempts == *made,
            Change::Withhold(..) => stored.attempts == 0,
            other => panic!("a dispatcher does not make {other:?}"),
        };
        let Ok(status) = transition(stored.status, change.event()) else {
            return refused_change(change, stored.clone());
        };
        if !fits {
            return refused_change(change, stored.clone());
        }
        stored.status = status;
        self.written.lock().unwrap().push((stored.payment.id, change.event()));
        match change {
            Change::Claim(_) => {
                stored.attempts = 1;
                stored.claimed_at = Some(now);
            }
            Change::ClaimAgain(..) | Change::Resume(..) => stored.attempts += 1,
            Change::NotDone(_, _, count) => stored.not_done = *count,
            Change::DeadLettered(_, _, count) => {
                stored.dead_letters = DeadLetters { count: *count, last: Some(now) };
            }
            Change::Fail(_, failure, _)
            | Change::Withhold(_, failure)
            | Change::WithholdReplayed(_, failure, _) => {
                stored.failure = Some((*failure).clone());
                stored.dead_letters.last = None;
            }
            other => panic!("a dispatcher does not make {other:?}"),
        }
        Ok(ApplyResult::Now)
    }
}

#[async_trait]
impl PaymentStore for Outside {
    async fn apply(
        &self,
        changes: &[Change<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<ApplyResult, ChangeError>>, PaymentsError> {
        let results = changes.iter().map(|change| self.write(change, now)).collect();
        self.take_time(Call::Write).await;
        Ok(results)
    }

    async fn get(&self, reference: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        if self.unreadable.lock().unwrap().contains(&reference.id) {
            return Err(PaymentsError::Unread(1));
        }
        Ok(self.items.lock().unwrap().get(&reference.id).cloned())
    }

    async fn blobs(
        &self,
        _: &[(PaymentRef, BlobDigest)],
    ) -> Result<Vec<Result<DataBlob, BlobError>>, PaymentsError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ArchiveLookup for Outside {
    async fn find(&self, _: &PaymentRef) -> Result<Option<StoredPayment>, PaymentsError> {
        self.take_time(Call::Archive).await;
        Ok(None)
    }
}

#[async_trait]
impl TransactionService for Outside {
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

/// The payments queue.
#[derive(Debug)]
struct Payments(Arc<Outside>);

#[async_trait]
impl QueueApi for Payments {
    fn name(&self) -> &'static str {
        "payments.fifo"
    }

    async fn receive(
        &self,
        wait: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        let received = std::mem::take(&mut *self.0.waiting.lock().unwrap());
        if received.is_empty() {
            tokio::time::sleep(wait).await;
        }
        Ok(received)
    }

    async fn delete(&self, receipts: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        let receipts = receipts.iter().map(|receipt| (*receipt).to_owned());
        self.0.deleted.lock().unwrap().extend(receipts);
        Ok(Vec::new())
    }

    async fn change_visibility(
        &self,
        entries: &[(&str, Duration)],
        purpose: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        match purpose {
            Visibility::Extend => Err(QueueCallError("no heartbeat gets through".to_owned())),
            Visibility::Release => {
                let entries = entries.iter().map(|(receipt, time)| ((*receipt).to_owned(), *time));
                self.0.released.lock().unwrap().extend(entries);
                Ok(Vec::new())
            }
        }
    }

    async fn send(&self, _: &[&OutgoingMessage]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        panic!("a dispatcher sends no payments")
    }
}

/// The dead-letter queue.
#[derive(Debug)]
struct Letters(Arc<Outside>);

#[async_trait]
impl QueueApi for Letters {
    fn name(&self) -> &'static str {
        "payments-dlq.fifo"
    }

    async fn receive(
        &self,
        _: Duration,
        _: Duration,
    ) -> Result<Vec<ReceivedMessage>, QueueCallError> {
        panic!("a dispatcher reads no dead letters")
    }

    async fn delete(&self, _: &[&str]) -> Result<Vec<RefusedEntry>, QueueCallError> {
        panic!("a dispatcher deletes no dead letters")
    }

    async fn change_visibility(
        &self,
        _: &[(&str, Duration)],
        _: Visibility,
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        panic!("a dispatcher holds no dead letters")
    }

    async fn send(
        &self,
        messages: &[&OutgoingMessage],
    ) -> Result<Vec<RefusedEntry>, QueueCallError> {
        if *self.0.no_letters.lock().unwrap() {
            return Err(QueueCallError("down".to_owned()));
        }
        let letters = messages.iter().map(|message| serde_json::from_str(&message.body).unwrap());
        self.0.letters.lock().unwrap().extend(letters);
        Ok(Vec::new())
    }
}

/// A dispatcher before its outside.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) outside: Arc<Outside>,
    pub(crate) worker: Worker,
    pub(crate) done: mpsc::Receiver<Done>,
}

impl Stage {
    /// Noon of [`TODAY`]; everything is settled, and nothing is known of any key.
    pub(crate) fn set() -> Self {
        let settled = domain::Settlement { transaction_id: "T1".to_owned(), settled_at: noon() };
        let outside = Arc::new(Outside {
            items: Mutex::default(),
            written: Mutex::default(),
            submitted: Mutex::default(),
            asked: Mutex::default(),
            outcome: Mutex::new(Outcome::Settled(settled)),
            found: Mutex::new(KeyStatus::Nothing),
            slow: Mutex::default(),
            takes: Mutex::default(),
            waiting: Mutex::default(),
            deleted: Mutex::default(),
            released: Mutex::default(),
            letters: Mutex::default(),
            no_letters: Mutex::default(),
            unreadable: Mutex::default(),
            skew: AtomicI64::new(0),
            passing: AtomicI64::new(0),
        });
        let (sender, done) = mpsc::channel(100);
        let worker = worker(&outside, sender);
        Self { outside, worker, done }
    }

    /// Sets everybody's wall clock so many seconds after noon.
    pub(crate) fn clock(&self, seconds: i64) {
        self.outside.skew.store(seconds, Ordering::Relaxed);
    }

    /// Holds everybody's wall clock against the monotonic one, as it is in a service.
    pub(crate) fn guard_the_clock(&mut self) {
        let clock = self.worker.clock.clone().guarded();
        let group = &mut self.worker.group;
        group.attempts.clock = clock.clone();
        group.clock = clock.clone();
        self.worker.clock = clock;
    }

    /// Puts a payment into the table.
    pub(crate) fn hold(&self, payment: &Payment, status: Status, attempts: u32) {
        let failure = || Failure::new(domain::FailureCode::Rejected, "422 limit: x");
        let stored = StoredPayment {
            payment: payment.clone(),
            status,
            updated_at: noon(),
            attempts,
            attempts_before: 0,
            not_done: 0,
            claimed_at: (attempts > 0).then(noon),
            transaction_id: None,
            settled_at: None,
            failure: (status == Status::Failed).then(failure),
            dead_letters: DeadLetters::default(),
        };
        self.outside.items.lock().unwrap().insert(payment.id, stored);
    }

    /// Puts messages where they can be received; their receipts are the payments' ids.
    pub(crate) fn wait_for_delivery(&self, payments: &[&Payment]) {
        let incoming = payments.iter().map(|payment| ReceivedMessage {
            receipt: payment.id.to_string(),
            message_id: format!("message-{}", payment.id),
            group: payment.account.to_string(),
            receive_count: 1,
            sent_at: None,
            body: serde_json::to_string(payment).unwrap(),
        });
        *self.outside.waiting.lock().unwrap() = incoming.collect();
    }

    /// Delivers messages.
    pub(crate) async fn deliver(&self, payments: &[&Payment]) -> Vec<Received> {
        self.wait_for_delivery(payments);
        let deliveries = self.worker.queue.receive().await.unwrap();
        let mut received = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let place = Arc::clone(&self.worker.places).acquire_owned().await.unwrap();
            received.push(Received { delivery, place: Place::taken(place) });
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
    pub(crate) async fn work_on(&self, received: Vec<Received>) {
        self.worker.clone().work(received).await;
        self.worker.tasks.close();
        self.worker.tasks.wait().await;
        self.worker.tasks.reopen();
    }

    /// Whether the message of a payment was deleted.
    pub(crate) fn is_gone(&self, payment: &Payment) -> bool {
        self.outside.deleted.lock().unwrap().contains(&payment.id.to_string())
    }

    /// For how long the message of a payment was given back.
    pub(crate) fn released(&self, payment: &Payment) -> Option<Duration> {
        let released = self.outside.released.lock().unwrap();
        let of = released.iter().find(|(receipt, _)| *receipt == payment.id.to_string());
        of.map(|(_, time)| *time)
    }

    /// How often the transaction service was given a payment.
    pub(crate) fn submissions(&self) -> usize {
        self.outside.submitted.lock().unwrap().len()
    }

    /// How often it was asked for one.
    pub(crate) fn questions(&self) -> usize {
        self.outside.asked.lock().unwrap().len()
    }

    /// How many dead letters there are.
    pub(crate) fn letters(&self) -> Vec<DeadLetter> {
        self.outside.letters.lock().unwrap().clone()
    }
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
        currency: "EUR".parse().unwrap(),
        beneficiary: BeneficiaryId::parse("BEN-1").unwrap(),
        data: None,
        trace_key: TraceKey::generate(),
        created_at: noon(),
    }
}

/// The same payment, changed by somebody.
pub(crate) fn dearer(payment: &Payment) -> Payment {
    Payment { amount: Amount::from_minor_units(99_900).unwrap(), ..payment.clone() }
}

fn worker(outside: &Arc<Outside>, done: mpsc::Sender<Done>) -> Worker {
    let receiving = Receiving { visibility: VISIBILITY, wait: Duration::from_secs(1) };
    let queue = Consumer::new(Arc::new(Payments(Arc::clone(outside))), receiving);
    let letters = Producer::new(Arc::new(Letters(Arc::clone(outside))));
    let store = Arc::clone(outside) as Arc<dyn PaymentStore>;
    let for_clock = Arc::clone(outside);
    let clock = Clock::new(move || {
        let passing = for_clock.passing.load(Ordering::Relaxed);
        let skew = for_clock.skew.fetch_add(passing, Ordering::Relaxed);
        noon() + SignedDuration::from_secs(skew)
    });
    let stop =
        StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };
    let bounds = Bounds { least: CALLS, most: CALLS };
    let validity = Duration::from_secs(365 * 86_400);
    let gate = Gate::new(GateSettings { bounds, per_second: None, stop, validity }, noon());
    gate.read(None, Instant::now());
    let attempts = Attempts {
        store: Arc::clone(&store),
        transactions: Arc::clone(outside) as Arc<dyn TransactionService>,
        gate: gate.clone(),
        past: Past { archive: Arc::clone(outside) as Arc<dyn ArchiveLookup>, zone: TimeZone::UTC },
        limits: AttemptLimits { attempts: 5, key_retention: KEY_RETENTION },
        clock: clock.clone(),
    };
    Worker {
        group: Group {
            attempts,
            store: Arc::clone(&store),
            queue: queue.clone(),
            dead_letters: DeadLetterQueue::new(letters, "dispatcher"),
            done,
            clock: clock.clone(),
            shutdown: Shutdown::new(Duration::ZERO),
        },
        gate,
        clock,
        queue,
        store,
        places: Arc::new(Semaphore::new(100)),
        receiving: Calls::default(),
        claiming: Calls::default(),
        tasks: TaskTracker::new(),
    }
}

/// A rejection in the contract's words.
pub(crate) fn rejected() -> Outcome {
    let code = RefusalCodes::Form.take("limit").unwrap();
    Outcome::Rejected { code, reason: "422 limit: x".to_owned() }
}
