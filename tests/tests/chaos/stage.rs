//! A world behind fault proxies, for one run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use demo::local_world::{Process, World, temporary_folder};
use domain::Status;
use local::LocalOptions;
use local::transactions::Faults as TransactionFaults;
use shared::aws::{Aws, Endpoints};
use shared::payments::PaymentsTable;
use tempfile::TempDir;
use tests::history::{Evidence, Queues, read};
use tests::proxy::{Counts, Faults, Proxy, Service};

/// The `dueflow` command.
const DUEFLOW: &str = env!("CARGO_BIN_EXE_dueflow-under-test");
/// Starts of one process that may fail in a row: at start it needs answers that faults keep
/// from it, and ends if it gets none. A platform would start it again as well.
const STARTS: u32 = 10;

/// The world, its proxies, and clients that go through them.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) dynamodb: Proxy,
    pub(crate) sqs: Proxy,
    pub(crate) transactions: Proxy,
    /// The table through the proxy, as a writer reaches it.
    pub(crate) writer: PaymentsTable,
    /// The table itself.
    table: PaymentsTable,
    visibility: Duration,
    dir: Option<TempDir>,
}

impl Stage {
    /// A stage whose services hold a message for `visibility`.
    pub(crate) async fn set(
        faults: TransactionFaults,
        visibility: Duration,
    ) -> anyhow::Result<Self> {
        let dir = temporary_folder()?;
        let options = LocalOptions::passing(dir.path(), faults);
        let names = "dueflow".parse().map_err(anyhow::Error::msg)?;
        let world = World::start(options, names, PathBuf::from(DUEFLOW)).await?;
        let local = &world.local;
        let dynamodb = Proxy::start(Service::DynamoDb, local.dynamodb.endpoint()).await?;
        let sqs = Proxy::start(Service::Sqs, local.sqs.endpoint()).await?;
        let endpoint = local.transactions.endpoint();
        let transactions = Proxy::start(Service::Transactions, endpoint).await?;
        let endpoints = Endpoints { dynamodb: dynamodb.endpoint(), sqs: sqs.endpoint() };
        let name = world.names.payments_table();
        let writer = PaymentsTable::new(Aws::at(endpoints).await.dynamodb("writer"), &name, 16);
        let table = PaymentsTable::new(world.aws.dynamodb("judge"), &name, 16);
        Ok(Self { world, dynamodb, sqs, transactions, writer, table, visibility, dir: Some(dir) })
    }

    /// Starts a service behind the proxies and waits until it is ready.
    pub(crate) async fn start(&self, service: &str, name: &str) -> anyhow::Result<Process> {
        let dynamodb = self.dynamodb.endpoint();
        let settings = [
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.clone()),
            ("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", dynamodb),
            ("AWS_ENDPOINT_URL_SQS", self.sqs.endpoint()),
            ("DUEFLOW_TRANSACTION_URL", self.transactions.endpoint()),
            ("DUEFLOW_VISIBILITY_TIMEOUT", format!("{}s", self.visibility.as_secs())),
            ("DUEFLOW_RECEIVE_WAIT", "1s".to_owned()),
            ("DUEFLOW_TRANSACTION_TIMEOUT", "3s".to_owned()),
            ("DUEFLOW_DRAIN_TIMEOUT", "5s".to_owned()),
            ("DUEFLOW_CHECKPOINT_INTERVAL", "200ms".to_owned()),
            ("DUEFLOW_DISPATCHER_CONCURRENCY", "32".to_owned()),
        ];
        for _ in 0..STARTS {
            let mut process = self.world.spawn(service, name, &settings)?;
            match process.ready().await {
                Ok(()) => return Ok(process),
                Err(error) if process.ended()?.is_none() => return Err(error),
                Err(_) => {}
            }
        }
        bail!("{name} ended at start {STARTS} times; see its log")
    }

    /// From now on everything passes.
    pub(crate) fn calm(&self) {
        for proxy in [&self.dynamodb, &self.sqs, &self.transactions] {
            proxy.set_faults(Faults::default());
        }
    }

    /// What the proxies did.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.dynamodb.counts();
        counts.add(&self.sqs.counts());
        counts.add(&self.transactions.counts());
        counts
    }

    /// How many payments are SCHEDULED or PENDING.
    pub(crate) async fn open(&self) -> anyhow::Result<usize> {
        let (mut open, mut cursor) = (0, None);
        loop {
            let (page, next) = self.table.scan_page(cursor).await?;
            let unended =
                page.iter().filter(|p| matches!(p.status, Status::Scheduled | Status::Pending));
            open += unended.count();
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(open),
            }
        }
    }

    /// Waits until every payment has ended; returns how many have not after `patience`.
    pub(crate) async fn ended_within(&self, patience: Duration) -> anyhow::Result<usize> {
        let asked_at = Instant::now();
        loop {
            let open = self.open().await?;
            if open == 0 || asked_at.elapsed() > patience {
                return Ok(open);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// What the run left, once no message is in flight any more.
    pub(crate) async fn evidence(&self, inserted: u64) -> anyhow::Result<Evidence> {
        let queues = Queues::new(&self.world.aws);
        let names = &self.world.names;
        let asked_at = Instant::now();
        for queue in [names.payments_queue(), names.confirmations_queue()] {
            while queues.depth(&queue).await?.in_flight > 0
                && asked_at.elapsed() < self.visibility * 3
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        let mut evidence = read(&self.world, inserted).await.context("reading the evidence")?;
        evidence.overtaken = self.sqs.overtaken();
        Ok(evidence)
    }

    /// Keeps the folder of databases, journal and logs, and says where it is.
    pub(crate) fn keep(&mut self) -> Option<PathBuf> {
        self.dir.take().map(TempDir::keep)
    }
}

/// Stops services after a run, each of which must end in order.
pub(crate) async fn stop(processes: Vec<Process>) -> anyhow::Result<()> {
    for process in processes {
        let name = process.name.clone();
        let status = process.stop().await?;
        if !status.success() {
            bail!("{name} ended with {status}");
        }
    }
    Ok(())
}

/// The stage, shared by all that act on it.
pub(crate) type Shared = Arc<Stage>;
