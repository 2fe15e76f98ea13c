//! Claims queued payments and submits them to the transaction service.
//!
//! | module | room |
//! |---|---|
//! | `worker` | receive, claim |
//! | `job` | a payment in hand; what a receive brought, told apart |
//! | `verdict` | what a claim's result means |
//! | `group` | submitting the payments of one account in order |
//! | `recorder` | settlements into the confirmer's queue, then the messages go |
//! | `events` | what is counted and logged |

mod config;
mod events;
mod group;
mod job;
mod recorder;
mod verdict;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;

pub use config::DispatcherConfig;
pub use events::METRICS;
use shared::aws::Aws;
use shared::config::{Common, Names};
use shared::payments::PaymentsTable;
use shared::queue::{Consumer, DeadLetterQueue, Producer, QueueError};
use shared::service::Service;
use shared::shutdown::{DrainExceeded, Shutdown};
use shared::telemetry::admin::Readiness;
use shared::transaction::{TransactionClient, TransactionClientError};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::group::Group;
use crate::recorder::Recorder;
use crate::worker::Worker;

/// The service as executables know it.
pub const SERVICE: Service = Service {
    name: "dispatcher",
    about: "Claims queued payments and submits them to the transaction service.",
    metrics: METRICS,
};

/// Why the dispatcher ended other than by shutdown.
#[derive(Debug, thiserror::Error)]
pub enum DispatcherError {
    /// At start: a queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// At start: the client of the transaction service.
    #[error(transparent)]
    Transactions(#[from] TransactionClientError),
    /// A receive loop or the recorder panicked.
    #[error("a part of the dispatcher failed: {0}")]
    Part(#[from] tokio::task::JoinError),
    /// At the end.
    #[error(transparent)]
    Drain(#[from] DrainExceeded),
}

/// What the dispatcher works on.
#[derive(Debug)]
pub struct Deps {
    table: PaymentsTable,
    payments: Consumer,
    confirmations: Producer,
    dead_letters: DeadLetterQueue,
    transactions: TransactionClient,
}

impl Deps {
    /// Connects to the queues and makes the clients.
    ///
    /// # Errors
    /// [`DispatcherError`] says what is missing.
    pub async fn connect(
        aws: &Aws,
        common: &Common,
        config: &DispatcherConfig,
    ) -> Result<Self, DispatcherError> {
        let names: &Names = &common.names;
        let dead_letters = Producer::open(aws, names.dead_letter_queue()).await?;
        Ok(Self {
            table: PaymentsTable::new(
                aws.dynamodb("payments"),
                &names.payments_table(),
                common.due_shards,
            ),
            payments: Consumer::open(aws, names.payments_queue(), config.receiving).await?,
            confirmations: Producer::open(aws, names.confirmations_queue()).await?,
            dead_letters: DeadLetterQueue::new(dead_letters, SERVICE.name),
            transactions: TransactionClient::new(&config.transaction)?,
        })
    }
}

/// Dispatches until shutdown is asked for; then finishes the payments in hand.
///
/// # Errors
/// [`DispatcherError::Drain`] when that took longer than the drain deadline.
pub async fn run(
    config: DispatcherConfig,
    deps: Deps,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), DispatcherError> {
    let Deps { table, payments, confirmations, dead_letters, transactions } = deps;
    let table = Arc::new(table);
    let tasks = TaskTracker::new();
    let (settled, to_record) = mpsc::channel(config.concurrency);
    let recorder = Recorder { confirmations, payments: payments.clone() };
    let mut recording = tokio::spawn(recorder.run(to_record));
    let worker = Worker {
        group: Group {
            transactions,
            table: Arc::clone(&table),
            queue: payments.clone(),
            dead_letters: dead_letters.clone(),
            settled,
            shutdown: shutdown.clone(),
        },
        queue: payments,
        table,
        dead_letters,
        places: Arc::new(Semaphore::new(config.concurrency)),
        concurrency: config.concurrency,
        tasks: tasks.clone(),
    };
    let mut receivers = JoinSet::new();
    for _ in 0..config.receivers {
        receivers.spawn(worker.clone().receive(shutdown.clone()));
    }
    // Each task holds its own sender; the recorder ends with the last of them.
    drop(worker);
    readiness.ready();
    tokio::select! {
        () = shutdown.requested() => {}
        Some(ended) = receivers.join_next() => ended?,
        // It outlives the receivers, so this is a panic: without it, payments would be
        // submitted and never recorded.
        ended = &mut recording => return Ok(ended?),
    }
    shutdown
        .drain(async {
            while let Some(ended) = receivers.join_next().await {
                ended?;
            }
            tasks.close();
            tasks.wait().await;
            recording.await
        })
        .await??;
    Ok(())
}

/// The executable: settings, connections, then [`run`].
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    SERVICE.main(arguments, DispatcherConfig::read, async |common, config, readiness, shutdown| {
        let aws = Aws::from_environment().await;
        let deps = Deps::connect(&aws, &common, &config).await?;
        run(config, deps, readiness, shutdown).await?;
        Ok(())
    })
}
