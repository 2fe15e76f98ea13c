//! Writes PROCESSED and the transaction id.
//!
//! | module | contents |
//! |---|---|
//! | `receiver` | receives confirmations, writes them, deletes their messages |
//! | `settle_result` | what the result of a settlement's write means |
//! | `callback` | results that the transaction service sends by itself |
//! | `refusal_monitor` | stops dispatching when too many refusals are reported |
//! | `sweep` | asks what became of payments that are PENDING for too long |
//! | `events` | metrics and logs |

mod callback;
mod config;
mod events;
mod receiver;
mod refusal_monitor;
mod settle_result;
mod sweep;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[doc(hidden)]
pub use callback::fuzzing;
pub use callback::{CallbackServer, CallbackSettings, Secret};
pub use config::{ConfirmerConfig, ConfirmerLimits, SweepSettings};
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

use crate::receiver::ConfirmationReceiver;
use crate::refusal_monitor::RefusalMonitor;
use crate::sweep::{SweepPorts, Sweeper};

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
    /// At start: the listener for callbacks.
    #[error(transparent)]
    CallbackListener(#[from] std::io::Error),
    /// A task panicked.
    #[error("a task of the confirmer failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// At the end.
    #[error(transparent)]
    Drain(#[from] DrainExceeded),
}

/// What the confirmer works on.
#[derive(Debug)]
pub struct ConfirmerDependencies {
    /// The payments table.
    pub store: Arc<dyn PaymentStore>,
    /// Settled payments of days that are over.
    pub archive: Arc<dyn ArchiveLookup>,
    /// The same as `store`, by due date.
    pub due: Arc<dyn DueTable>,
    /// What the transaction service reports.
    pub confirmations: Consumer,
    /// Where callbacks and sweeps put what it reports.
    pub reports: Producer,
    /// Payments to dispatch again.
    pub payments: Producer,
    /// How many messages wait for dispatchers.
    pub waiting: Arc<dyn MessageCount>,
    /// The transaction service.
    pub transactions: Arc<dyn TransactionService>,
    /// What contradicts the table, or cannot be read.
    pub dead_letters: DeadLetterQueue,
    /// The server for callbacks, if the transaction service sends them.
    pub callbacks: Option<CallbackServer>,
    /// The time of day.
    pub clock: Clock,
    /// Where a stop of dispatching is stored.
    pub stops: Arc<dyn DispatchStops>,
    /// The name of this confirmer, which its stop is stored with.
    pub name: String,
}

impl ConfirmerDependencies {
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
            reports: Producer::open(aws, confirmations.clone()).await?,
            confirmations: Consumer::open(aws, confirmations, config.receiving).await?,
            payments: Producer::new(Arc::clone(&payments) as _),
            waiting: payments,
            transactions: Arc::new(TransactionClient::new(&config.transaction)?),
            dead_letters: DeadLetterQueue::new(dead_letters, SERVICE.name),
            callbacks: match &config.callbacks {
                Some(callbacks) => {
                    Some(CallbackServer::open(callbacks, config.transaction.contract.echo).await?)
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
    limits: ConfirmerLimits,
    dependencies: ConfirmerDependencies,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), ConfirmerError> {
    let ids = TransactionIds::default();
    let (refusal_monitor, trips) = RefusalMonitor::new(limits.stop);
    let receiver = ConfirmationReceiver {
        receiving: readiness.watch(format!("receiving from {}", dependencies.confirmations.name())),
        settling: readiness.watch("settling payments"),
        ids: ids.clone(),
        refusal_monitor,
        queue: dependencies.confirmations,
        store: dependencies.store,
        archive: dependencies.archive,
        dead_letters: dependencies.dead_letters,
        clock: dependencies.clock.clone(),
        zone: limits.days.zone.clone(),
    };
    let mut tasks = JoinSet::new();
    for _ in 0..limits.receivers {
        tasks.spawn(receiver.clone().run(shutdown.clone()));
    }
    drop(receiver);
    tasks.spawn(refusal_monitor::store(
        dependencies.stops,
        trips,
        dependencies.clock.clone(),
        dependencies.name,
    ));
    if let Some(callbacks) = dependencies.callbacks {
        let confirmations = dependencies.reports.clone();
        tasks.spawn(callbacks.serve(confirmations, dependencies.clock.clone(), shutdown.clone()));
    }
    let ports = SweepPorts {
        table: dependencies.due,
        transactions: UniqueTransactionIds::over(dependencies.transactions, ids),
        payments: dependencies.payments,
        confirmations: dependencies.reports,
        clock: dependencies.clock,
    };
    let (waiting, days) = (dependencies.waiting, limits.days);
    let sweeper = Sweeper { ports, waiting, settings: limits.sweep, days };
    tasks.spawn(sweeper.run(shutdown.clone()));
    readiness.ready();
    // A task ends only on shutdown or by a panic, and a panic must not go unnoticed.
    tokio::select! {
        () = shutdown.requested() => {}
        Some(ended) = tasks.join_next() => ended?,
    }
    shutdown
        .drain(async {
            while let Some(ended) = tasks.join_next().await {
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
        let dependencies = ConfirmerDependencies::connect(&aws, &common, &config).await?;
        run(config.limits, dependencies, readiness, shutdown).await?;
        Ok(())
    })
}
