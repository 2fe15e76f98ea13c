//! Claims queued payments and submits them to the transaction service.
//!
//! | module | contents |
//! |---|---|
//! | `receiver` | receives and claims payments |
//! | `job` | a payment in hand; sorts what a receive brought |
//! | `early` | payments whose day has not begun at the bank |
//! | `in_hand` | the place of a payment in hand |
//! | `blobs` | large blobs of claimed payments |
//! | `claim_result` | what a claim's result means |
//! | `account_worker` | works on the payments of one account in order |
//! | `attempt` | one attempt: may the payment be submitted, must it be asked for |
//! | `archive_lookup` | was a payment of a day that is over settled, and archived, before |
//! | `calls` | the call limiter before the transaction service, and the stop of dispatching |
//! | `recorder` | settlements into the confirmer's queue, then the messages are deleted |
//! | `events` | metrics and logs |

mod account_worker;
mod archive_lookup;
mod attempt;
mod blobs;
mod calls;
mod claim_result;
mod config;
mod early;
mod events;
mod in_hand;
mod job;
mod receiver;
mod recorder;

#[cfg(test)]
mod dead_letter_tests;
#[cfg(test)]
mod early_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod visibility_tests;

use std::process::ExitCode;
use std::sync::Arc;

pub use calls::queries::{CallLimits, Questions};
pub use config::{DispatcherConfig, Dispatching};
pub use events::METRICS;
use jiff::tz::TimeZone;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{Common, Names};
use shared::dispatch_stop::{DispatchStops, StopTable, process_name};
use shared::payments::archive::{ArchiveLookup, ArchiveTable};
use shared::payments::{PaymentStore, PaymentsTable};
use shared::queue::{Consumer, DeadLetterQueue, Producer, QueueError};
use shared::service::Service;
use shared::shutdown::{DrainExceeded, Shutdown};
use shared::telemetry::admin::Readiness;
use shared::transaction::{
    TransactionClient, TransactionClientError, TransactionIds, TransactionService,
    UniqueTransactionIds,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::account_worker::Group;
use crate::archive_lookup::Past;
use crate::attempt::Attempts;
use crate::calls::health_probe::probe;
use crate::calls::limiter::Gate;
use crate::calls::stop_monitor::StopWatch;
use crate::receiver::Worker;
use crate::recorder::Recorder;

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
    /// Where payments lie.
    pub store: Arc<dyn PaymentStore>,
    /// Where settled payments of days that are over lie.
    pub archive: Arc<dyn ArchiveLookup>,
    /// The bank's time zone, which decides when a day is over.
    pub zone: TimeZone,
    /// Payments to dispatch.
    pub payments: Consumer,
    /// Settlements for the confirmer.
    pub confirmations: Producer,
    /// What cannot be paid.
    pub dead_letters: DeadLetterQueue,
    /// The transaction service.
    pub transactions: Arc<dyn TransactionService>,
    /// Where a stop of dispatching is stored.
    pub stops: Arc<dyn DispatchStops>,
    /// Who this dispatcher is, for whoever reads of its stop.
    pub name: String,
    /// The time of day.
    pub clock: Clock,
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
            store: Arc::new(PaymentsTable::new(
                aws.dynamodb("payments"),
                &names.payments_table(),
                common.due_shards,
            )),
            archive: Arc::new(ArchiveTable::new(
                aws.dynamodb("archive"),
                &names.archive_table(),
                common.due_shards,
            )),
            zone: config.zone.clone(),
            payments: Consumer::open(aws, names.payments_queue(), config.receiving).await?,
            confirmations: Producer::open(aws, names.confirmations_queue()).await?,
            dead_letters: DeadLetterQueue::new(dead_letters, SERVICE.name),
            transactions: Arc::new(TransactionClient::new(&config.transaction)?),
            stops: Arc::new(StopTable::new(aws.dynamodb("control"), names.control_table())),
            name: process_name(SERVICE.name),
            clock: Clock::system(),
        })
    }
}

/// Dispatches until shutdown is asked for; then finishes the payments in hand.
///
/// # Errors
/// [`DispatcherError::Drain`] when that took longer than the drain deadline.
pub async fn run(
    config: Dispatching,
    deps: Deps,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), DispatcherError> {
    let Deps { store, archive, zone, payments, .. } = deps;
    let Deps { confirmations, dead_letters, transactions, stops, name, clock, .. } = deps;
    let transactions = UniqueTransactionIds::over(transactions, TransactionIds::default());
    let tasks = TaskTracker::new();
    let gate = Gate::new(config.gate(), clock.now());
    let (done, to_record) = mpsc::channel(config.calls.most);
    let recording = readiness.watch("recording settlements");
    let recorder = Recorder { confirmations, payments: payments.clone(), recording };
    let mut recording = tokio::spawn(recorder.run(to_record));
    let probing = probe(Arc::clone(&transactions), gate.clone(), shutdown.clone());
    let mut probing = tokio::spawn(probing);
    let watch = StopWatch::new(stops, gate.clone(), clock.clone(), name, config.stop_check);
    let mut watching = tokio::spawn(watch.run(readiness.clone(), shutdown.clone()));
    let attempts = Attempts {
        store: Arc::clone(&store),
        transactions,
        gate: gate.clone(),
        past: Past { archive, zone },
        limits: config.attempts,
        clock: clock.clone(),
    };
    let worker = Worker {
        group: Group {
            attempts,
            store: Arc::clone(&store),
            queue: payments.clone(),
            dead_letters,
            done,
            clock: clock.clone(),
            shutdown: shutdown.clone(),
        },
        gate,
        clock,
        receiving: readiness.watch(format!("receiving from {}", payments.name())),
        claiming: readiness.watch("claiming payments"),
        queue: payments,
        store,
        places: Arc::new(Semaphore::new(config.calls.most)),
        tasks: tasks.clone(),
    };
    let mut receivers = JoinSet::new();
    for _ in 0..config.receivers {
        receivers.spawn(worker.clone().receive(shutdown.clone()));
    }
    // Each task holds its own sender; the recorder ends with the last of them.
    drop(worker);
    tokio::select! {
        // First: the watch ends on shutdown, and is awaited once only.
        biased;
        () = shutdown.requested() => {}
        Some(ended) = receivers.join_next() => ended?,
        // Without it the first outage would be for ever.
        ended = &mut probing => ended?,
        // Without it no stop would hold, and none would end.
        ended = &mut watching => ended?,
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
            // A stop that this dispatcher has called for is worth the wait.
            watching.await?;
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
        run(config.dispatching, deps, readiness, shutdown).await?;
        Ok(())
    })
}
