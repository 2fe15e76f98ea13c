//! Writes PROCESSED and the transaction id.
//!
//! | module | room |
//! |---|---|
//! | `worker` | receive, settle, acknowledge |
//! | `verdict` | what the result of a settlement's write means |
//! | `events` | what is counted and logged |

mod config;
mod events;
mod verdict;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;

pub use config::ConfirmerConfig;
pub use events::METRICS;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Common;
use shared::payments::{PaymentStore, PaymentsTable};
use shared::queue::{Consumer, DeadLetterQueue, Producer, QueueError};
use shared::service::Service;
use shared::shutdown::{DrainExceeded, Shutdown};
use shared::telemetry::admin::Readiness;
use tokio::task::JoinSet;

use crate::worker::Worker;

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
    /// A receive loop panicked.
    #[error("a receive loop failed: {0}")]
    Receiver(#[from] tokio::task::JoinError),
    /// At the end.
    #[error(transparent)]
    Drain(#[from] DrainExceeded),
}

/// What the confirmer works on.
#[derive(Debug)]
pub struct Deps {
    /// Where payments lie.
    pub store: Arc<dyn PaymentStore>,
    /// What the transaction service says.
    pub confirmations: Consumer,
    /// What contradicts the table, or cannot be read.
    pub dead_letters: DeadLetterQueue,
    /// The time of day.
    pub clock: Clock,
}

impl Deps {
    /// Connects to the queues and makes the clients.
    ///
    /// # Errors
    /// [`ConfirmerError`] says what is missing.
    pub async fn connect(
        aws: &Aws,
        common: &Common,
        config: ConfirmerConfig,
    ) -> Result<Self, ConfirmerError> {
        let names = &common.names;
        let dead_letters = Producer::open(aws, names.dead_letter_queue()).await?;
        let client = aws.dynamodb("payments");
        let table = PaymentsTable::new(client, &names.payments_table(), common.due_shards);
        let confirmations = names.confirmations_queue();
        Ok(Self {
            store: Arc::new(table),
            confirmations: Consumer::open(aws, confirmations, config.receiving).await?,
            dead_letters: DeadLetterQueue::new(dead_letters, SERVICE.name),
            clock: Clock::system(),
        })
    }
}

/// Confirms until shutdown is asked for; then finishes the batches in hand.
///
/// # Errors
/// [`ConfirmerError::Drain`] when that took longer than the drain deadline.
pub async fn run(
    config: ConfirmerConfig,
    deps: Deps,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), ConfirmerError> {
    let Deps { store, confirmations, dead_letters, clock } = deps;
    let worker = Worker { queue: confirmations, store, dead_letters, clock };
    let mut receivers = JoinSet::new();
    for _ in 0..config.receivers {
        receivers.spawn(worker.clone().receive(shutdown.clone()));
    }
    readiness.ready();
    // A receiver ends only on shutdown or by a panic, and a panic must not go unnoticed.
    tokio::select! {
        () = shutdown.requested() => {}
        Some(ended) = receivers.join_next() => ended?,
    }
    shutdown
        .drain(async {
            while let Some(ended) = receivers.join_next().await {
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
        let deps = Deps::connect(&aws, &common, config).await?;
        run(config, deps, readiness, shutdown).await?;
        Ok(())
    })
}
