//! A world with services in it, for one test.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use demo::local_world::{Process, SERVICES, World, temporary_folder};
use demo::{SchedulePlan, schedule};
use domain::{Payment, Status};
use local::LocalOptions;
use local::transactions::Faults;
use shared::payments::{InsertResult, PaymentsTable, StoredPayment};
use shared::telemetry::Samples;
use tempfile::TempDir;
use tests::history::{Expect, Findings, check, read};

/// The `dueflow` command.
pub(crate) const DUEFLOW: &str = env!("CARGO_BIN_EXE_dueflow-under-test");

/// Whatever is waited for has failed when it takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Settings that make crashes heal in seconds.
pub(crate) fn impatient() -> Vec<(&'static str, String)> {
    vec![
        ("DUEFLOW_VISIBILITY_TIMEOUT", "4s".to_owned()),
        ("DUEFLOW_RECEIVE_WAIT", "1s".to_owned()),
        ("DUEFLOW_TRANSACTION_TIMEOUT", "2s".to_owned()),
    ]
}

/// Settings of a confirmer that soon asks for what is PENDING for too long.
pub(crate) fn sweeping() -> Vec<(&'static str, String)> {
    let mut settings = impatient();
    settings.push(("DUEFLOW_PENDING_LIMIT", "5s".to_owned()));
    settings.push(("DUEFLOW_PENDING_SWEEP_INTERVAL", "1s".to_owned()));
    settings
}

/// A world of its own for one test.
pub(crate) struct Flow {
    pub(crate) world: World,
    pub(crate) table: Arc<PaymentsTable>,
    scheduled: u64,
    _dir: TempDir,
}

impl Flow {
    pub(crate) async fn start(faults: Faults) -> Self {
        let dir = temporary_folder().unwrap();
        let options = LocalOptions::passing(dir.path(), faults);
        let names = "dueflow".parse().unwrap();
        let world = World::start(options, names, PathBuf::from(DUEFLOW)).await.unwrap();
        let client = world.aws.dynamodb("test");
        let table = Arc::new(PaymentsTable::new(client, &world.names.payments_table(), 16));
        Self { world, table, scheduled: 0, _dir: dir }
    }

    /// Schedules payments due today.
    pub(crate) async fn schedule(&mut self, payments: u32, accounts: u32) {
        let plan = SchedulePlan { payments, accounts, rate: None };
        let counter = Arc::new(AtomicU64::new(0));
        schedule(Arc::clone(&self.table), plan, counter).await.unwrap();
        self.scheduled += u64::from(payments);
    }

    /// Schedules these payments.
    pub(crate) async fn insert(&mut self, payments: &[Payment]) {
        let results = self.table.insert(payments).await.unwrap();
        assert!(results.iter().all(|result| *result == InsertResult::New), "{results:?}");
        self.scheduled += payments.len() as u64;
    }

    /// Starts one service with [`impatient`] settings and waits until it is ready.
    pub(crate) async fn service(&self, service: &str) -> Process {
        self.service_with(service, service, &impatient()).await
    }

    /// Starts one service under a name of its own.
    pub(crate) async fn service_with(
        &self,
        service: &str,
        name: &str,
        settings: &[(&'static str, String)],
    ) -> Process {
        let mut process = self.world.spawn(service, name, settings).unwrap();
        process.ready().await.unwrap();
        process
    }

    /// Starts all three.
    pub(crate) async fn services(&self) -> Vec<Process> {
        let mut processes = Vec::new();
        for service in SERVICES {
            processes.push(self.service(service).await);
        }
        processes
    }

    /// All payments as they stand now.
    pub(crate) async fn payments(&self) -> Vec<StoredPayment> {
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let (page, next) = self.table.scan_page(cursor).await.unwrap();
            all.extend(page);
            match next {
                Some(next) => cursor = Some(next),
                None => return all,
            }
        }
    }

    /// How many payments are in `status` now.
    pub(crate) async fn count(&self, status: Status) -> usize {
        self.payments().await.iter().filter(|stored| stored.status == status).count()
    }

    /// Waits until at least `count` payments are in `status`.
    pub(crate) async fn until(&self, status: Status, count: usize) {
        let asked_at = Instant::now();
        loop {
            let now = self.count(status).await;
            if now >= count {
                return;
            }
            assert!(asked_at.elapsed() < PATIENCE, "only {now} of {count} are {status}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until every payment has ended.
    pub(crate) async fn until_ended(&self) {
        let asked_at = Instant::now();
        loop {
            let payments = self.payments().await;
            let open = payments
                .iter()
                .filter(|stored| matches!(stored.status, Status::Scheduled | Status::Pending));
            let open = open.count();
            if open == 0 {
                return;
            }
            assert!(asked_at.elapsed() < PATIENCE, "{open} payments have not ended");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What the history checker finds at the end of a run, after the services have stopped.
    pub(crate) async fn findings(&self) -> Findings {
        check(&read(&self.world, self.scheduled).await.unwrap(), Expect::Ended)
    }

    /// Nothing may be found, and every payment must be PROCESSED.
    pub(crate) async fn assert_all_settled_once(&self) {
        let findings = self.findings().await;
        assert!(findings.clean(), "{findings}");
        assert_eq!(findings.balance.processed, self.scheduled, "{findings}");
    }
}

/// A counter of a service's, summed over its labels.
pub(crate) async fn metric(process: &mut Process, name: &str) -> f64 {
    process.samples().await.unwrap().sum(name)
}

/// Waits until a metric, summed over its labels, has reached `count`. A counter follows what it
/// counts by a moment, so nobody may read it just once.
pub(crate) async fn until_counted(process: &mut Process, name: &str, count: f64) {
    until_reached(process, name, count, |samples| samples.sum(name)).await;
}

/// The same, over the series with `result`.
pub(crate) async fn until_result(process: &mut Process, name: &str, result: &str, count: f64) {
    until_reached(process, name, count, |samples| samples.labelled(name, "result", result)).await;
}

/// The same of any figure of the page.
pub(crate) async fn until_reached(
    process: &mut Process,
    name: &str,
    count: f64,
    of: impl Fn(&Samples) -> f64,
) {
    let asked_at = Instant::now();
    loop {
        let now = of(&process.samples().await.unwrap());
        if now >= count {
            return;
        }
        assert!(asked_at.elapsed() < PATIENCE, "{name} is {now} and does not reach {count}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Stops services, each of which must end in order.
pub(crate) async fn stop(processes: Vec<Process>) {
    for process in processes {
        let name = process.name.clone();
        let status = process.stop().await.unwrap();
        assert!(status.success(), "{name} ended with {status}");
    }
}
