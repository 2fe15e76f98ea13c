//! Several relays in one process, under virtual time, with everything outside them faked: a
//! stream that splits, merges, trims and throttles, a table of leases and queues that fail
//! and lose answers.

mod batch_clock;
mod batch_page;
mod chaos;
mod contract_breaches;
mod day_opening;
mod gap_recovery;
mod lease_assignment;
mod lease_table;
mod lost_message_scan;
mod malformed_records;
mod pacing;
mod positions;
mod queues;
mod stream;
mod table;
mod unreadable_streams;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{AccountId, Amount, DueDate, Payment, PaymentId, Status};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::clock::Clock;
use shared::payments::DueTable;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use shared::testing::sample_payment;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::batch_page::Pages;
use self::lease_table::{LeaseStore, RelayLeases};
use self::queues::FakeQueues;
use self::stream::FakeStream;
use self::table::{FakeTable, SHARDS};
use crate::{BatchPorts, Deps, RelayConfig, RelayError, ShardSource, run};

/// Delays every call, and lets some of them fail.
#[derive(Debug)]
struct FaultInjector {
    random: Mutex<fastrand::Rng>,
    /// Share of calls that fail.
    failure_rate: Mutex<f64>,
}

impl FaultInjector {
    fn new(seed: u64) -> Self {
        Self { random: Mutex::new(fastrand::Rng::with_seed(seed)), failure_rate: Mutex::new(0.0) }
    }

    fn set(&self, failure_rate: f64) {
        *self.failure_rate.lock().unwrap() = failure_rate;
    }

    fn fails(&self) -> bool {
        let failure_rate = *self.failure_rate.lock().unwrap();
        self.random.lock().unwrap().f64() < failure_rate
    }

    fn below(&self, limit: usize) -> usize {
        self.random.lock().unwrap().usize(0..limit.max(1))
    }

    /// What a call takes.
    async fn delay(&self) {
        let millis = self.random.lock().unwrap().u64(1..30);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// Everything outside the relays.
struct Bank {
    faults: Arc<FaultInjector>,
    stream: Arc<FakeStream>,
    leases: Arc<LeaseStore>,
    queues: Arc<FakeQueues>,
    table: Arc<FakeTable>,
    pages: Arc<Pages>,
    clock: Clock,
    zone: TimeZone,
    /// What was inserted, oldest first.
    payments: Vec<Payment>,
}

/// How long after its start a day is opened.
const OPENING_DELAY: Duration = Duration::from_secs(60);
/// How often somebody watches, on average.
const SCAN_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// How often the days before the window are looked for.
const OLD_INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// How often the batch clock counts.
const BATCH_CLOCK_INTERVAL: Duration = Duration::from_secs(60);
/// How long after its opening a batch should have ended.
const BATCH_DEADLINE: Duration = Duration::from_secs(30 * 60);
/// Days before today that are opened and watched.
const WINDOW: u16 = 7;

/// A relay that runs.
struct RunningRelay {
    name: String,
    task: JoinHandle<Result<(), RelayError>>,
    shutdown: Shutdown,
    pages: Arc<Pages>,
}

impl RunningRelay {
    /// kill -9: everything it does ends where it is.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        self.pages.gone(&self.name);
        tokio::task::yield_now().await;
    }

    /// SIGTERM.
    async fn stop(self) {
        self.shutdown.request();
        self.task.await.unwrap().unwrap();
    }
}

impl Bank {
    /// A bank whose stream starts with so many shards.
    fn new(seed: u64, shards: u32) -> Self {
        Self::at("2026-11-24T12:00:00Z", TimeZone::UTC, seed, shards)
    }

    /// The same at another time and place.
    fn at(start: &str, zone: TimeZone, seed: u64, shards: u32) -> Self {
        let faults = Arc::new(FaultInjector::new(seed));
        let (start, started): (Timestamp, _) = (start.parse().unwrap(), Instant::now());
        let clock = Clock::new(move || start + started.elapsed());
        Self {
            stream: Arc::new(FakeStream::new(Arc::clone(&faults), shards, clock.clone())),
            leases: Arc::new(LeaseStore::new(Arc::clone(&faults))),
            queues: Arc::new(FakeQueues::new(Arc::clone(&faults))),
            table: Arc::new(FakeTable::default()),
            pages: Arc::default(),
            faults,
            clock,
            zone,
            payments: Vec::new(),
        }
    }

    fn relay(&self, name: &str) -> RunningRelay {
        self.relay_reading_from(name, Arc::clone(&self.stream) as _)
    }

    fn relay_reading_from(&self, name: &str, source: Arc<dyn ShardSource>) -> RunningRelay {
        self.relay_between(name, source, Arc::clone(&self.table) as _)
    }

    fn relay_between(
        &self,
        name: &str,
        source: Arc<dyn ShardSource>,
        table: Arc<dyn DueTable>,
    ) -> RunningRelay {
        self.relay_in(name, source, table, self.zone.clone())
    }

    /// A relay that was told another zone than the bank's.
    fn relay_in(
        &self,
        name: &str,
        source: Arc<dyn ShardSource>,
        table: Arc<dyn DueTable>,
        zone: TimeZone,
    ) -> RunningRelay {
        let deps = Deps {
            source,
            leases: Arc::new(RelayLeases::new(Arc::clone(&self.leases), name)),
            queues: Arc::clone(&self.queues) as _,
            table,
            store: Arc::clone(&self.table) as _,
            batch: BatchPorts {
                counter: Arc::clone(&self.table) as _,
                queues: Arc::clone(&self.queues) as _,
                page: self.pages.of(name),
            },
            due_shards: SHARDS,
            clock: self.clock.clone(),
        };
        let config = RelayConfig {
            zone,
            name: name.to_owned(),
            checkpoint_interval: Duration::from_secs(1),
            sends: 4,
            sweep_days: WINDOW,
            opening_delay: OPENING_DELAY,
            watch_interval: SCAN_INTERVAL,
            old_interval: OLD_INTERVAL,
            batch_clock_interval: BATCH_CLOCK_INTERVAL,
            batch_deadline: BATCH_DEADLINE,
        };
        let shutdown = Shutdown::new(Duration::from_secs(25));
        let stop = shutdown.clone();
        let task =
            tokio::spawn(async move { run(deps, &config, Readiness::default(), stop).await });
        RunningRelay { name: name.to_owned(), task, shutdown, pages: Arc::clone(&self.pages) }
    }

    /// The bank's day.
    fn today(&self) -> DueDate {
        DueDate::today(self.clock.now(), &self.zone)
    }

    /// A payment of an account that is due today, written now.
    fn payment(&self, account: usize) -> Payment {
        Payment {
            id: PaymentId::generate(),
            account: AccountId::parse(format!("ACC-{account}")).unwrap(),
            due: self.today(),
            amount: Amount::from_minor_units(1).unwrap(),
            created_at: self.clock.now(),
            ..sample_payment()
        }
    }

    /// Inserts a payment: into the table and into the stream.
    fn put(&mut self, payment: Payment) {
        self.stream.put(&payment);
        self.table.put(&payment);
        self.payments.push(payment);
    }

    /// Inserts a payment of an account that is due today.
    fn insert(&mut self, account: usize) {
        let payment = self.payment(account);
        self.put(payment);
    }

    /// Inserts payments that are due some days from now, taking turns over the accounts.
    fn insert_ahead(&mut self, days: u16, payments: usize, accounts: usize) {
        let due = self.today().days_after(days);
        for number in 0..payments {
            let payment = Payment { due, ..self.payment(number % accounts) };
            self.put(payment);
        }
    }

    /// Lets the dispatchers take so many messages and settle their payments.
    fn settle(&self, messages: usize) {
        self.queues.take(messages).iter().for_each(|id| self.table.end(id, Status::Processed));
    }

    /// One payment into each of many accounts, so that every shard gets some.
    fn insert_everywhere(&mut self) {
        (0..40).for_each(|account| self.insert(account));
    }

    fn queued(&self, payment: &Payment) -> bool {
        self.queues.arrived(&payment.id.to_string())
    }

    fn all_queued(&self) -> bool {
        self.payments.iter().all(|payment| self.queued(payment))
    }

    /// Waits until everything that was inserted is queued; how long it took.
    async fn until_all_queued(&self, patience: Duration) -> Duration {
        let took = until(patience, "not all is queued", || self.all_queued()).await;
        self.assert_order();
        took
    }

    /// The payments of each account arrived, the first time, in the order of their insertion.
    fn assert_order(&self) {
        self.assert_order_of(&self.payments);
    }

    fn assert_order_of(&self, payments: &[Payment]) {
        let mut last: HashMap<&str, (usize, &Payment)> = HashMap::new();
        for payment in payments {
            let at = self.queues.first_arrival(&payment.id.to_string()).unwrap();
            if let Some((before, earlier)) = last.insert(payment.account.as_str(), (at, payment)) {
                assert!(before < at, "{:?} overtook {:?}", payment.id, earlier.id);
            }
        }
    }
}

/// Waits until something holds; how long it took.
async fn until(patience: Duration, otherwise: &str, holds: impl Fn() -> bool) -> Duration {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < patience, "{otherwise} after {patience:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    since.elapsed()
}

/// Lets virtual time pass.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Runs a scenario under virtual time.
fn simulate<F: Future<Output = ()>>(seed: u64, scenario: impl FnOnce() -> F) {
    // For the jitter of the pauses between retries.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(scenario());
}
