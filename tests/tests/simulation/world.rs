//! All of it together: the outside in memory, and the processes, which are the services' own
//! `run` over their ports.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use confirmer::{ConfirmerLimits, SweepSettings};
use dispatcher::{CallLimits, DispatcherLimits};
use domain::{
    AccountId, Amount, AttemptLimits, BeneficiaryId, Data, DataBlob, DueDate, Payment, PaymentId,
    PaymentRef, Status,
};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::config::{Receiving, SweptDays};
use shared::dispatch_stop::{DispatchStops, StopInMemory, StopLimits};
use shared::payments::{DueTable, StoredPayment};
use shared::queue::{Confirmation, Consumer, DeadLetterQueue, Dispatch, OutgoingMessage, Producer};
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use shared::testing::{PaymentsInMemory, sample_payment};
use shared::transaction::TransactionService;
use tests::history::{DeadLetterEvidence, Evidence};
use tokio::time::Instant;

use crate::bugs::Bug;
use crate::faults::Faults;
use crate::gateway::Gateway;
use crate::life::{Life, State};
use crate::queue::{Deleting, Queue, Sqs};
use crate::script::{DISPATCHERS, Others, Script};
use crate::service::{Books, Service};
use crate::table::{Items, Table};

pub(crate) const PAYMENTS: &str = "payments.fifo";
const CONFIRMATIONS: &str = "confirmations.fifo";
pub(crate) const DEAD_LETTERS: &str = "payments-dlq.fifo";
const VISIBILITY: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_secs(20);
const DRAIN: Duration = Duration::from_secs(25);
const STOP: StopLimits =
    StopLimits { rejected_accounts: 20, out_of_contract: 5, share_percent: 50, window: 200 };

/// The outside world.
pub(crate) struct World {
    seed: u64,
    pub(crate) bug: Bug,
    script: Script,
    pub(crate) faults: Faults,
    pub(crate) sqs: Sqs,
    pub(crate) items: Arc<Mutex<Items>>,
    books: Arc<Mutex<Books>>,
    stops: Arc<StopInMemory>,
    began: Instant,
    pub(crate) queued: Vec<Payment>,
    inserted: u64,
    /// Payments whose message a dispatcher with a wrong clock has let go, to be queued again on
    /// their day: behind what came meanwhile, so nobody compares their order.
    left: Arc<Mutex<HashSet<String>>>,
    /// Messages that nobody of this bank has sent.
    pub(crate) strays: u64,
    /// Payments whose order is not compared, because others had a hand in them.
    pub(crate) overtaken: HashSet<String>,
    /// Payments of which the relay has said that they were deleted.
    pub(crate) alarms: HashSet<String>,
}

/// A process in one life.
pub(crate) struct Process {
    pub(crate) life: Life,
    shutdown: Shutdown,
    skew: Arc<AtomicI64>,
}

impl Process {
    pub(crate) fn kill(&self) {
        self.life.set(State::Dead);
    }

    pub(crate) fn end(&self) {
        self.shutdown.request();
    }

    /// Its clock is so far from the right one, whatever it was before.
    pub(crate) fn live_at(&self, seconds: i64) {
        self.skew.store(seconds, Ordering::Relaxed);
    }

    pub(crate) fn jump(&self, seconds: i64) {
        self.skew.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Somebody has noticed that the clock was wrong.
    pub(crate) fn set_right(&self) {
        self.skew.store(0, Ordering::Relaxed);
    }
}

impl World {
    pub(crate) fn new(seed: u64, script: Script, bug: Bug) -> Self {
        Self {
            seed,
            bug,
            faults: Faults::new(seed, script.faults, script.spoilt),
            books: Arc::new(Mutex::new(Books::new(script.retention))),
            script,
            sqs: Sqs::new(&[PAYMENTS, CONFIRMATIONS, DEAD_LETTERS]),
            items: Arc::default(),
            stops: Arc::default(),
            began: Instant::now(),
            queued: Vec::new(),
            inserted: 0,
            left: Arc::default(),
            strays: 0,
            overtaken: HashSet::new(),
            alarms: HashSet::new(),
        }
    }

    fn epoch() -> Timestamp {
        "2026-11-24T01:00:00Z".parse().unwrap()
    }

    /// Inserts payments and queues them, as the relay does.
    pub(crate) fn insert(&mut self, count: u64) {
        for _ in 0..count {
            self.insert_of_any();
        }
    }

    /// Inserts a payment of some account and queues it.
    pub(crate) fn insert_of_any(&mut self) -> Payment {
        let account = self.faults.below(self.script.accounts);
        self.insert_one(u8::try_from(account).unwrap())
    }

    /// Its owner withdraws a payment, which the table may refuse.
    pub(crate) fn cancel(&self, payment: &PaymentRef) {
        self.items.lock().unwrap().cancel(payment, self.now());
    }

    /// Once a minute an operator looks, and has dispatching go on if it is stopped.
    pub(crate) fn have_stops_removed(&self) {
        let stops = Arc::clone(&self.stops);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(60)).await;
                if let Ok(Some(stop)) = stops.read().await {
                    drop(stops.lift(stop.id).await);
                }
            }
        });
    }

    pub(crate) fn now(&self) -> Timestamp {
        Self::epoch() + SignedDuration::try_from(self.began.elapsed()).unwrap()
    }

    /// Whether others do what they should not.
    pub(crate) fn is_hostile(&self) -> bool {
        self.script.others == Others::Hostile
    }

    /// The bank's day.
    pub(crate) fn today(&self) -> DueDate {
        DueDate::today(self.now(), &TimeZone::UTC)
    }

    /// Inserts a payment of one account and queues it.
    pub(crate) fn insert_one(&mut self, account: u8) -> Payment {
        let payment = self.another(account);
        let payment = self.items.lock().unwrap().insert(payment);
        self.send(&payment);
        self.queued.push(payment.clone());
        payment
    }

    /// The next payment of an account, which counts as inserted.
    pub(crate) fn another(&mut self, account: u8) -> Payment {
        let now = self.now();
        self.inserted += 1;
        let millis = u64::try_from(Self::epoch().as_millisecond()).unwrap() + self.inserted;
        let mut entropy = [0; 10];
        let drawn = tests::chance::draw(&[self.seed, self.inserted]);
        entropy[2..].copy_from_slice(&drawn.to_be_bytes());
        Payment {
            id: PaymentId::from_parts(millis, &entropy),
            account: AccountId::parse(format!("ACC-{account}")).unwrap(),
            due: "2026-11-24".parse::<DueDate>().unwrap(),
            amount: Amount::from_minor_units(i64::try_from(self.inserted).unwrap()).unwrap(),
            beneficiary: BeneficiaryId::parse("BEN").unwrap(),
            // Of each three, one is large.
            data: self.inserted.is_multiple_of(3).then(|| large(self.inserted)),
            created_at: now,
            ..sample_payment()
        }
    }

    /// Inserts a payment that was due so many days ago and is claimed, and loses its message.
    /// The queue holds no other.
    pub(crate) fn forget_one(&mut self, days: u16) {
        let payment = self.insert_one(0);
        self.sqs.drain(PAYMENTS);
        self.items.lock().unwrap().forget(&payment, days, self.now());
    }

    pub(crate) fn send(&self, payment: &Payment) {
        self.sqs.send(
            PAYMENTS,
            &OutgoingMessage {
                group: payment.account.to_string(),
                deduplication: format!("{}-{}", payment.due, payment.id),
                body: serde_json::to_string(payment).unwrap(),
            },
        );
    }

    /// The relay starts again at the beginning of the stream.
    pub(crate) fn relay_again(&self) {
        self.queued.iter().for_each(|payment| self.send(payment));
    }

    /// The scan for lost messages queues what is SCHEDULED, each time under other ids.
    pub(crate) fn scan(&self, number: u64) {
        let items = self.items.lock().unwrap();
        let today = self.today();
        // Only what its keys of the index lead to, and on its day.
        let all = items.table.all();
        let waiting = all.iter().filter(|stored| {
            stored.status == Status::Scheduled
                && stored.payment.due <= today
                && !items.hidden.contains(&stored.payment.id)
        });
        for stored in waiting {
            let mut message = Dispatch::First.message(&stored.payment);
            message.deduplication = format!("scan-{number}-{}", stored.payment.id);
            self.sqs.send(PAYMENTS, &message);
        }
    }

    pub(crate) fn service_down(&self, down: Down) {
        self.books.lock().unwrap().down = down == Down::Yes;
    }

    fn queue(&self, name: &'static str, life: &Life) -> Arc<Queue> {
        let (queue, life, faults) = (self.sqs.queue(name), life.clone(), self.faults.clone());
        let bug = if name == PAYMENTS { self.bug } else { Bug::None };
        let (items, books) = (Arc::clone(&self.items), Arc::clone(&self.books));
        let left = Arc::clone(&self.left);
        // Looked at before a message is deleted.
        let deleting: Deleting = Arc::new(move |body| {
            let Ok(payment) = serde_json::from_str::<Payment>(body) else { return };
            let stored = items.lock().unwrap().table.stored(&payment.reference());
            let status = stored.map(|stored| stored.status);
            let key = payment.id.to_string();
            let open = matches!(status, Some(Status::Scheduled | Status::Pending));
            if open && !books.lock().unwrap().journal.iter().any(|settled| settled.key == key) {
                left.lock().unwrap().insert(key);
            }
        });
        Arc::new(Queue { queue, life, faults, bug, deleting })
    }

    /// Starts the process `index`: a dispatcher or a confirmer.
    pub(crate) fn start(&self, index: usize) -> Process {
        let life = Life::new();
        let transactions = Arc::new(Service {
            books: Arc::clone(&self.books),
            life: life.clone(),
            faults: self.faults.clone(),
            clock: self.clock(&Arc::default()),
            rejects: self.script.rejects,
            seed: self.seed,
            bug: self.bug,
        });
        let (faults, bug) = (self.faults.clone(), self.bug);
        let gateway = Gateway { inner: transactions, faults, life: life.clone(), bug };
        self.start_with(index, life, Arc::new(gateway))
    }

    /// Starts it before this transaction service.
    pub(crate) fn start_with(
        &self,
        index: usize,
        life: Life,
        transactions: Arc<dyn TransactionService>,
    ) -> Process {
        let shutdown = Shutdown::new(DRAIN);
        let skew = Arc::new(AtomicI64::new(0));
        let clock = self.clock(&skew);
        let receiving = Receiving { visibility: VISIBILITY, wait: WAIT };
        let name = if index < DISPATCHERS { PAYMENTS } else { CONFIRMATIONS };
        let consumer = Consumer::new(self.queue(name, &life), receiving);
        let letters = Producer::new(self.queue(DEAD_LETTERS, &life));
        let table = Arc::new(Table {
            items: Arc::clone(&self.items),
            life: life.clone(),
            faults: self.faults.clone(),
            bug: self.bug,
        });
        let (readiness, ending) = (Readiness::default(), shutdown.clone());
        if index < DISPATCHERS {
            let deps = dispatcher::DispatcherDependencies {
                store: table,
                // No day is over in a simulation.
                archive: Arc::new(PaymentsInMemory::default()),
                zone: if self.bug == Bug::AheadOfTheBank { ahead() } else { TimeZone::UTC },
                payments: consumer,
                confirmations: Producer::new(self.queue(CONFIRMATIONS, &life)),
                unconfirmed: self.queue(CONFIRMATIONS, &life),
                dead_letters: DeadLetterQueue::new(letters, "dispatcher"),
                transactions,
                stops: Arc::clone(&self.stops) as Arc<dyn DispatchStops>,
                name: format!("dispatcher-{index}"),
                clock,
            };
            let run = dispatcher::run(dispatching(self.script.retention), deps, readiness, ending);
            tokio::spawn(async move { drop(run.await) });
        } else {
            let deps = confirmer::ConfirmerDependencies {
                due: Arc::clone(&table) as Arc<dyn DueTable>,
                store: table,
                // No day is over in a simulation.
                archive: Arc::new(PaymentsInMemory::default()),
                confirmations: consumer,
                reports: Producer::new(self.queue(CONFIRMATIONS, &life)),
                payments: Producer::new(self.queue(PAYMENTS, &life)),
                waiting: self.queue(PAYMENTS, &life),
                transactions,
                dead_letters: DeadLetterQueue::new(letters, "confirmer"),
                callbacks: None,
                clock,
                stops: Arc::clone(&self.stops) as Arc<dyn DispatchStops>,
                name: format!("confirmer-{index}"),
            };
            let run = confirmer::run(confirming(), deps, readiness, ending);
            tokio::spawn(async move { drop(run.await) });
        }
        Process { life, shutdown, skew }
    }

    fn clock(&self, skew: &Arc<AtomicI64>) -> Clock {
        let (began, skew) = (self.began, Arc::clone(skew));
        let clock = Clock::new(move || {
            let skew = SignedDuration::from_secs(skew.load(Ordering::Relaxed));
            Self::epoch() + SignedDuration::try_from(began.elapsed()).unwrap() + skew
        });
        if self.bug == Bug::BelievesItsClock { clock } else { clock.guarded() }
    }

    /// Whether every payment has ended.
    pub(crate) fn has_ended(&self) -> bool {
        use Status::{Pending, Scheduled};
        let items = self.items.lock().unwrap();
        let today = self.today();
        let all = items.table.all();
        let mut due = all.iter().filter(|stored| stored.payment.due <= today);
        let open = |stored: &StoredPayment| matches!(stored.status, Scheduled | Pending);
        due.all(|stored| items.hidden.contains(&stored.payment.id) || !open(stored))
    }

    /// What the checker looks at, when nothing runs any more.
    pub(crate) fn evidence(&self) -> Evidence {
        let items = self.items.lock().unwrap();
        let letters = self.sqs.drain(DEAD_LETTERS).into_iter().map(|body| {
            let letter: shared::queue::DeadLetter = serde_json::from_str(&body).unwrap();
            let payment = letter.payment.as_ref().map(|payment| payment.id);
            let payment = payment.or_else(|| named_in(letter.raw.as_deref()?));
            DeadLetterEvidence { payment, code: letter.failure.code.to_string() }
        });
        Evidence {
            inserted: self.inserted,
            journal: self.books.lock().unwrap().journal.clone(),
            table: items.table.all(),
            stream: items.stream.clone(),
            letters: letters.collect(),
            alarms: self.alarms.clone(),
            zone: Some(TimeZone::UTC),
            today: Some(self.today()),
            foreign: items.foreign.clone(),
            hidden: items.hidden.iter().map(ToString::to_string).collect(),
            overtaken: self.left.lock().unwrap().union(&self.overtaken).cloned().collect(),
            ..Evidence::default()
        }
    }
}

/// The payment of which an unreadable message, or a confirmation, speaks.
fn named_in(raw: &str) -> Option<PaymentId> {
    let payment = serde_json::from_str::<Payment>(raw).map(|payment| payment.id);
    let confirmation = || serde_json::from_str::<Confirmation>(raw).map(|said| said.payment.id);
    payment.or_else(|_| confirmation()).ok()
}

/// Whether the transaction service is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    Yes,
    No,
}

fn confirming() -> ConfirmerLimits {
    let (interval, limit) = (Duration::from_secs(300), Duration::from_secs(900));
    ConfirmerLimits {
        receivers: 1,
        sweep: SweepSettings { interval, limit, old_interval: interval * 12 },
        days: SweptDays { zone: TimeZone::UTC, before: 1 },
        stop: STOP,
    }
}

/// A zone in which it is tomorrow all day.
fn ahead() -> TimeZone {
    TimeZone::fixed(Offset::constant(24))
}

fn dispatching(key_retention: Duration) -> DispatcherLimits {
    DispatcherLimits {
        calls: CallLimits { most: 20, least: 4, rate: None },
        receivers: 2,
        attempts: AttemptLimits { attempts: 20, key_retention },
        stop: STOP,
        stop_check: Duration::from_secs(10),
    }
}

/// A blob that is its payment's own.
fn large(number: u64) -> Data {
    Data::Whole(DataBlob::new(format!("{number:01000}")).unwrap())
}
