//! Several relays in one process, under virtual time, with everything outside them faked: a
//! stream that splits, merges, trims and throttles, a table of leases and queues that fail
//! and lose answers.

mod ailing;
mod chaos;
mod gaps;
mod leases;
mod malformed;
mod outlet;
mod sharing;
mod stream;
mod table;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use shared::domain::{AccountId, Amount, BeneficiaryId, DueDate, Payment, PaymentId, TraceKey};
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::leases::{LeaseStore, RelayLeases};
use self::outlet::FakeOutlet;
use self::stream::FakeStream;
use self::table::FakeTable;
use crate::{Deps, RelayConfig, RelayError, ShardSource, run};

/// Delays every call, and lets some of them fail.
#[derive(Debug)]
struct Weather {
    random: Mutex<fastrand::Rng>,
    /// Share of calls that fail.
    storms: Mutex<f64>,
}

impl Weather {
    fn new(seed: u64) -> Self {
        Self { random: Mutex::new(fastrand::Rng::with_seed(seed)), storms: Mutex::new(0.0) }
    }

    fn set(&self, storms: f64) {
        *self.storms.lock().unwrap() = storms;
    }

    fn strikes(&self) -> bool {
        let storms = *self.storms.lock().unwrap();
        self.random.lock().unwrap().f64() < storms
    }

    fn below(&self, limit: usize) -> usize {
        self.random.lock().unwrap().usize(0..limit.max(1))
    }

    /// What a call takes.
    async fn travel(&self) {
        let millis = self.random.lock().unwrap().u64(1..30);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// Everything outside the relays.
struct Bank {
    weather: Arc<Weather>,
    stream: Arc<FakeStream>,
    leases: Arc<LeaseStore>,
    outlet: Arc<FakeOutlet>,
    table: Arc<FakeTable>,
    /// What was inserted, oldest first.
    payments: Vec<Payment>,
}

/// A relay that runs.
struct Running {
    name: String,
    task: JoinHandle<Result<(), RelayError>>,
    shutdown: Shutdown,
}

impl Running {
    /// kill -9: everything it does ends where it is.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
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
        let weather = Arc::new(Weather::new(seed));
        Self {
            stream: Arc::new(FakeStream::new(Arc::clone(&weather), shards)),
            leases: Arc::new(LeaseStore::new(Arc::clone(&weather))),
            outlet: Arc::new(FakeOutlet::new(Arc::clone(&weather))),
            table: Arc::new(FakeTable::default()),
            weather,
            payments: Vec::new(),
        }
    }

    fn relay(&self, name: &str) -> Running {
        self.relay_reading_from(name, Arc::clone(&self.stream) as _)
    }

    fn relay_reading_from(&self, name: &str, source: Arc<dyn ShardSource>) -> Running {
        let deps = Deps {
            source,
            leases: Arc::new(RelayLeases::new(Arc::clone(&self.leases), name)),
            outlet: Arc::clone(&self.outlet) as _,
            table: Arc::clone(&self.table) as _,
        };
        let config = RelayConfig {
            zone: TimeZone::UTC,
            name: name.to_owned(),
            checkpoint_interval: Duration::from_secs(1),
            sends: 4,
            sweep_days: 7,
        };
        let shutdown = Shutdown::new(Duration::from_secs(25));
        let stop = shutdown.clone();
        let task =
            tokio::spawn(async move { run(deps, &config, Readiness::default(), stop).await });
        Running { name: name.to_owned(), task, shutdown }
    }

    /// Inserts a payment of an account: into the table and into the stream.
    fn insert(&mut self, account: usize) {
        let payment = Payment {
            id: PaymentId::generate(),
            account: AccountId::parse(format!("ACC-{account}")).unwrap(),
            due: DueDate::today(jiff::Timestamp::now(), &TimeZone::UTC),
            amount: Amount::from_minor_units(1).unwrap(),
            currency: "EUR".parse().unwrap(),
            beneficiary: BeneficiaryId::parse("B").unwrap(),
            data: None,
            trace_key: TraceKey::generate(),
            created_at: jiff::Timestamp::now(),
        };
        self.stream.put(&payment);
        self.table.put(&payment);
        self.payments.push(payment);
    }

    /// One payment into each of many accounts, so that every shard gets some.
    fn insert_everywhere(&mut self) {
        (0..40).for_each(|account| self.insert(account));
    }

    fn queued(&self, payment: &Payment) -> bool {
        self.outlet.arrived(&payment.id.to_string())
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
        let mut last: HashMap<&str, (usize, &Payment)> = HashMap::new();
        for payment in &self.payments {
            let at = self.outlet.first_arrival(&payment.id.to_string()).unwrap();
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
