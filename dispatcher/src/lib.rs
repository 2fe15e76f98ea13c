//! Claims queued payments and submits them to the transaction service.
//!
//! | module | contents |
//! |---|---|
//! | `receiver`, `claimer` | receive payments; claim them |
//! | `job` | a payment in hand; sorts what a receive brought |
//! | `early` | payments whose day has not begun at the bank |
//! | `in_hand` | how many payments are in hand |
//! | `blobs` | large blobs of claimed payments |
//! | `claim_result` | what a claim's result means |
//! | `closing` | deletes or dead-letters messages whose payments are not worked on |
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
mod claimer;
mod closing;
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
mod metrics_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod visibility_tests;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

pub use calls::queries::QueryLimiter;
pub use calls::settings::CallLimits;
pub use config::{DispatcherConfig, DispatcherLimits};
pub use events::METRICS;
use jiff::tz::TimeZone;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{Common, Names};
use shared::dispatch_stop::{DispatchStops, StopTable, process_name};
use shared::payments::archive::{ArchiveLookup, ArchiveTable};
use shared::payments::{PaymentStore, PaymentsTable};
use shared::queue::{
    BacklogLimits, BacklogMonitor, Consumer, DeadLetterQueue, MessageCount, Producer, QueueError,
    SentMessages, SqsQueue,
};
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

use crate::account_worker::AccountWorker;
use crate::archive_lookup::ArchiveCheck;
use crate::attempt::AttemptRunner;
use crate::calls::health_probe::probe;
use crate::calls::limiter::CallLimiter;
use crate::calls::stop_monitor::StopMonitor;
use crate::claimer::Claimer;
use crate::closing::MessageCloser;
use crate::events::SettlementLag;
use crate::receiver::{PaymentReceiver, ReceiveConditions};
use crate::recorder::{DispatchedPayment, Recorder};

/// The service as executables know it.
pub const SERVICE: Service = Service {
    name: "dispatcher",
    about: "Claims queued payments and submits them to the transaction service.",
    metrics: METRICS,
};

/// Most settlements that may wait for the confirmer before more payments are received: a payment
/// that is settled and not yet PROCESSED is PENDING for everybody who looks. Half a second of the
/// 2,000 confirmations a second that the product is built for may always wait, which is more than
/// SQS's counts are off by.
const UNCONFIRMED: BacklogLimits = BacklogLimits { longest: Duration::from_secs(3), always: 1_000 };

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
    #[error("a task of the dispatcher failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// At the end.
    #[error(transparent)]
    Drain(#[from] DrainExceeded),
}

/// What the dispatcher works on.
#[derive(Debug)]
pub struct DispatcherDependencies {
    /// The payments table.
    pub store: Arc<dyn PaymentStore>,
    /// Settled payments of days that are over.
    pub archive: Arc<dyn ArchiveLookup>,
    /// The bank's time zone, which decides when a day is over.
    pub zone: TimeZone,
    /// Payments to dispatch.
    pub payments: Consumer,
    /// Settlements for the confirmer.
    pub confirmations: Producer,
    /// The same queue, for its depth.
    pub unconfirmed: Arc<dyn MessageCount>,
    /// Payments that FAILED, and messages that cannot be paid.
    pub dead_letters: DeadLetterQueue,
    /// The transaction service.
    pub transactions: Arc<dyn TransactionService>,
    /// Where a stop of dispatching is stored.
    pub stops: Arc<dyn DispatchStops>,
    /// The name of this dispatcher, which its stop is stored with.
    pub name: String,
    /// The time of day.
    pub clock: Clock,
}

impl DispatcherDependencies {
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
        let queue = names.confirmations_queue();
        let confirmations = Arc::new(SqsQueue::open(aws, queue, Duration::ZERO, "send").await?);
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
            confirmations: Producer::new(Arc::clone(&confirmations) as _),
            unconfirmed: confirmations,
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
    limits: DispatcherLimits,
    dependencies: DispatcherDependencies,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), DispatcherError> {
    let unique = UniqueTransactionIds::over(dependencies.transactions, TransactionIds::default());
    let dependencies = DispatcherDependencies { transactions: unique, ..dependencies };
    let tasks = TaskTracker::new();
    let limiter = CallLimiter::new(limits.limiter_settings(), dependencies.clock.now());
    let (recorder, to_record) = mpsc::channel(limits.calls.most);
    let recording = Recorder {
        confirmations: dependencies.confirmations.clone(),
        payments: dependencies.payments.clone(),
        recording: readiness.watch("recording settlements"),
        sent: SentMessages::default(),
    };
    let (queue, sent) = (Arc::clone(&dependencies.unconfirmed), recording.sent.clone());
    let (monitor, in_step) = BacklogMonitor::new(queue, UNCONFIRMED, sent, SettlementLag);
    let mut loops = JoinSet::new();
    loops.spawn(monitor.run(shutdown.clone()));
    let mut recording = tokio::spawn(recording.run(to_record));
    let transactions = Arc::clone(&dependencies.transactions);
    let mut probing = tokio::spawn(probe(transactions, limiter.clone(), shutdown.clone()));
    let (stops, name) = (Arc::clone(&dependencies.stops), dependencies.name.clone());
    let clock = dependencies.clock.clone();
    let monitor = StopMonitor::new(stops, limiter.clone(), clock, name, limits.stop_check);
    let mut monitoring = tokio::spawn(monitor.run(readiness.clone(), shutdown.clone()));
    let conditions = ReceiveConditions { limiter, in_step };
    let receiver =
        receiver(&limits, dependencies, conditions, recorder, &tasks, &readiness, &shutdown);
    for _ in 0..limits.receivers {
        loops.spawn(receiver.clone().run(shutdown.clone()));
    }
    // Each task holds its own sender; the recorder ends with the last of them.
    drop(receiver);
    tokio::select! {
        // First: the monitor ends on shutdown, and is awaited once only.
        biased;
        () = shutdown.requested() => {}
        Some(ended) = loops.join_next() => ended?,
        // Without it the first outage would be for ever.
        ended = &mut probing => ended?,
        // Without it no stop would hold, and none would end.
        ended = &mut monitoring => ended?,
        // It outlives the receivers, so this is a panic: without it, payments would be
        // submitted and never recorded.
        ended = &mut recording => return Ok(ended?),
    }
    shutdown
        .drain(async {
            while let Some(ended) = loops.join_next().await {
                ended?;
            }
            tasks.close();
            tasks.wait().await;
            // A stop that this dispatcher has called for is worth the wait.
            monitoring.await?;
            recording.await
        })
        .await??;
    Ok(())
}

/// What receives payments and works on them.
fn receiver(
    limits: &DispatcherLimits,
    dependencies: DispatcherDependencies,
    conditions: ReceiveConditions,
    recorder: mpsc::Sender<DispatchedPayment>,
    tasks: &TaskTracker,
    readiness: &Readiness,
    shutdown: &Shutdown,
) -> PaymentReceiver {
    let DispatcherDependencies { store, archive, zone, payments, .. } = dependencies;
    let DispatcherDependencies { dead_letters, transactions, clock, .. } = dependencies;
    let archive = ArchiveCheck { archive, zone };
    let closer = MessageCloser {
        store: Arc::clone(&store),
        archive: archive.clone(),
        queue: payments.clone(),
        dead_letters,
        clock: clock.clone(),
    };
    let attempts = AttemptRunner {
        store,
        transactions,
        limiter: conditions.limiter.clone(),
        archive,
        limits: limits.attempts,
        clock: clock.clone(),
    };
    let account_worker = AccountWorker { attempts, closer, recorder, shutdown: shutdown.clone() };
    let receiving = readiness.watch(format!("receiving from {}", payments.name()));
    let claimer = Claimer {
        account_worker,
        tasks: tasks.clone(),
        claiming: readiness.watch("claiming payments"),
    };
    let permits = Arc::new(Semaphore::new(limits.calls.most));
    PaymentReceiver { queue: payments, claimer, conditions, clock, permits, receiving }
}

/// The executable: settings, connections, then [`run`].
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    SERVICE.main(arguments, DispatcherConfig::read, async |common, config, readiness, shutdown| {
        let aws = Aws::from_environment().await;
        let dependencies = DispatcherDependencies::connect(&aws, &common, &config).await?;
        run(config.limits, dependencies, readiness, shutdown).await?;
        Ok(())
    })
}
