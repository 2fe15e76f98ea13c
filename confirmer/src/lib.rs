//! Writes PROCESSED and the transaction id.
//!
//! | module | contents |
//! |---|---|
//! | `receiver` | receives confirmations, writes them, deletes their messages |
//! | `settle_result` | what the result of a settlement's write means |
//! | `callback` | results that the transaction service sends by itself |
//! | `stop_trigger` | stops dispatching when too many refusals are reported |
//! | `sweep` | asks what became of payments that are PENDING for too long |
//! | `events` | metrics and logs |

mod callback;
mod config;
mod events;
mod receiver;
mod settle_result;
mod stop_trigger;
mod sweep;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[doc(hidden)]
pub use callback::fuzzing;
pub use callback::{CallbackSettings, Callbacks, Secret};
pub use config::{ConfirmerConfig, Confirming, Sweeping};
pub use events::METRICS;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Common;
use shared::dispatch_stop::{DispatchStops, StopTable, process_name};
use shared::payments::archive::{ArchiveLookup, ArchiveTable};
use shared::payments::{DueTable, PaymentStore, PaymentsTable};
use shared::queue::{Consumer, DeadLetterQueue, MessageCount, Producer, QueueError, SqsQueue};
use shared::service::Service;
use shared::shutdown::{DrainExceeded, Shutdown};
use shared::telemetry::admin::Readiness;
use shared::transaction::{
    TransactionClient, TransactionClientError, TransactionIds, TransactionService,
    UniqueTransactionIds,
};
use tokio::task::JoinSet;

use crate::receiver::Worker;
use crate::stop_trigger::Stopper;
use crate::sweep::Sweeper;

/// The service as executables know it.
pub const SERVICE: Service = Service {
    name: "confirmer",
    about: "Writes PROCESSED and the transaction id of settled payments.",
    metrics: METRICS,
};

/// Why the confirmer ended other than by shutdown.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmerError {
    /// At start: a queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// At start: the client of the transaction service.
    #[error(transparent)]
    Transactions(#[from] TransactionClientError),
    /// At start: the port of callbacks.
    #[error(transparent)]
    CallbackPort(#[from] std::io::Error),
    /// A part panicked.
    #[error("a part of the confirmer failed: {0}")]
    Part(#[from] tokio::task::JoinError),
    /// At the end.
    #[error(transparent)]
    Drain(#[from] DrainExceeded),
}

/// What the confirmer works on.
#[derive(Debug)]
pub struct Deps {
    /// Where payments lie.
    pub store: Arc<dyn PaymentStore>,
    /// Where settled payments of days that are over lie.
    pub archive: Arc<dyn ArchiveLookup>,
    /// The same as `store`, by due date.
    pub due: Arc<dyn DueTable>,
    /// What the transaction service says.
    pub confirmations: Consumer,
    /// What it says when it is asked.
    pub findings: Producer,
    /// Payments to dispatch again.
    pub payments: Producer,
    /// How many messages wait for dispatchers.
    pub waiting: Arc<dyn MessageCount>,
    /// The transaction service.
    pub transactions: Arc<dyn TransactionService>,
    /// What contradicts the table, or cannot be read.
    pub dead_letters: DeadLetterQueue,
    /// Where the transaction service reports by itself, if it does.
    pub callbacks: Option<Callbacks>,
    /// The time of day.
    pub clock: Clock,
    /// Where a stop of dispatching is stored.
    pub stops: Arc<dyn DispatchStops>,
    /// Who this confirmer is, for whoever reads of its stop.
    pub name: String,
}

impl Deps {
    /// Connects to the queues and makes the clients.
    ///
    /// # Errors
    /// [`ConfirmerError`] says what is missing.
    pub async fn connect(
        aws: &Aws,
        common: &Common,
        config: &ConfirmerConfig,
    ) -> Result<Self, ConfirmerError> {
        let names = &common.names;
        let dead_letters = Producer::open(aws, names.dead_letter_queue()).await?;
        let client = aws.dynamodb("payments");
        let table = PaymentsTable::new(client, &names.payments_table(), common.due_shards);
        let table = Arc::new(table);
        let confirmations = names.confirmations_queue();
        let queue = names.payments_queue();
        let payments = Arc::new(SqsQueue::open(aws, queue, Duration::ZERO, "send").await?);
        Ok(Self {
            due: Arc::clone(&table) as Arc<dyn DueTable>,
            store: table,
            archive: Arc::new(ArchiveTable::new(
                aws.dynamodb("archive"),
                &names.archive_table(),
                common.due_shards,
            )),
            findings: Producer::open(aws, confirmations.clone()).await?,
            confirmations: Consumer::open(aws, confirmations, config.receiving).await?,
            payments: Producer::new(Arc::clone(&payments) as _),
            waiting: payments,
            transactions: Arc::new(TransactionClient::new(&config.transaction)?),
            dead_letters: DeadLetterQueue::new(dead_letters, SERVICE.name),
            callbacks: match &config.callbacks {
                Some(callbacks) => {
                    Some(Callbacks::open(callbacks, config.transaction.contract.echo).await?)
                }
                None => None,
            },
            clock: Clock::system(),
            stops: Arc::new(StopTable::new(aws.dynamodb("control"), names.control_table())),
            name: process_name(SERVICE.name),
        })
    }
}

/// Confirms until shutdown is asked for; then finishes the batches in hand.
///
/// # Errors
/// [`ConfirmerError::Drain`] when that took longer than the drain deadline.
pub async fn run(
    config: Confirming,
    deps: Deps,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), ConfirmerError> {
    let ids = TransactionIds::default();
    let (stopper, trips) = Stopper::new(config.stop);
    let worker = Worker {
        receiving: readiness.watch(format!("receiving from {}", deps.confirmations.name())),
        settling: readiness.watch("settling payments"),
        ids: ids.clone(),
        stopper,
        queue: deps.confirmations,
        store: deps.store,
        archive: deps.archive,
        dead_letters: deps.dead_letters,
        clock: deps.clock.clone(),
    };
    let mut parts = JoinSet::new();
    for _ in 0..config.receivers {
        parts.spawn(worker.clone().receive(shutdown.clone()));
    }
    drop(worker);
    parts.spawn(stop_trigger::store(deps.stops, trips, deps.clock.clone(), deps.name));
    if let Some(callbacks) = deps.callbacks {
        let confirmations = deps.findings.clone();
        parts.spawn(callbacks.serve(confirmations, deps.clock.clone(), shutdown.clone()));
    }
    let sweeper = Sweeper {
        table: deps.due,
        transactions: UniqueTransactionIds::over(deps.transactions, ids),
        payments: deps.payments,
        waiting: deps.waiting,
        confirmations: deps.findings,
        sweeping: config.sweeping,
        days: config.days,
        clock: deps.clock,
    };
    parts.spawn(sweeper.run(shutdown.clone()));
    readiness.ready();
    // A part ends only on shutdown or by a panic, and a panic must not go unnoticed.
    tokio::select! {
        () = shutdown.requested() => {}
        Some(ended) = parts.join_next() => ended?,
    }
    shutdown
        .drain(async {
            while let Some(ended) = parts.join_next().await {
                ended?;
            }
            Ok(())
        })
        .await?
}

/// The executable: settings, connections, then [`run`].
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    SERVICE.main(arguments, ConfirmerConfig::read, async |common, config, readiness, shutdown| {
        let aws = Aws::from_environment().await;
        let deps = Deps::connect(&aws, &common, &config).await?;
        run(config.confirming, deps, readiness, shutdown).await?;
        Ok(())
    })
}
