//! Reads the stream of the payments table and queues what is due.
//!
//! | module | room |
//! |---|---|
//! | `stream` | the port to a stream; `DynamoDB` Streams behind it |
//! | `shards` | which shards may be read: parents before children |
//! | `lease`, `keeper` | who reads a shard, how far it is read; which relays there are |
//! | `sharing`, `expiry` | which shards a relay takes and gives: pure |
//! | `relay` | the relay's loop |
//! | `reader`, `progress` | one shard, page by page; how far it counts as read |
//! | `record` | what a record means |
//! | `forwarder`, `lanes`, `outlet` | into the queue, in order within an account |
//! | `burial` | into the dead-letter queue, beside the reading |
//! | `sweep` | what the stream has lost, from the table |
//! | `survey` | the relays as they are seen from outside |
//! | `events` | what is counted and logged |

mod burial;
mod config;
mod events;
mod expiry;
mod forwarder;
mod keeper;
mod lanes;
mod lease;
mod outlet;
mod progress;
mod reader;
mod record;
mod relay;
mod shards;
mod sharing;
#[cfg(test)]
mod simulation;
mod stream;
mod survey;
mod sweep;

use std::process::ExitCode;
use std::sync::Arc;

pub use config::RelayConfig;
pub use events::METRICS;
pub use lease::LeaseError;
use shared::aws::Aws;
use shared::config::Names;
use shared::payments::{DueTable, PaymentsTable};
use shared::queue::{DeadLetterQueue, Producer, QueueError};
use shared::service::Service;
use shared::shutdown::{DrainExceeded, Shutdown};
use shared::telemetry::admin::Readiness;
pub use stream::{Checkpoint, Page, Shard, ShardSource, StreamError};
pub use survey::{SIGN_OF_LIFE, ShardLease, Survey};
use tokio::task::{JoinError, JoinSet};

use crate::burial::Burials;
use crate::forwarder::Forwarder;
use crate::lease::{DynamoDbLeases, LeaseTable};
use crate::outlet::{Outlet, Queues};
use crate::reader::Reader;
use crate::relay::Relay;
use crate::stream::TableStream;
use crate::sweep::{Sweeper, sweeps};

/// The service as executables know it.
pub const SERVICE: Service = Service {
    name: "stream-relay",
    about: "Reads the stream of the payments table and queues what is due.",
    metrics: METRICS,
};

/// Why the relay ended other than by shutdown.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// At start: the stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// At start: a queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The sweeper panicked: gaps would stay open, and positions before them.
    #[error("the sweeper failed")]
    Sweeper(#[source] JoinError),
    /// At the end.
    #[error(transparent)]
    Drain(#[from] DrainExceeded),
}

/// What the relay works on.
#[derive(Debug)]
pub struct Deps {
    source: Arc<dyn ShardSource>,
    leases: Arc<dyn LeaseTable>,
    outlet: Arc<dyn Outlet>,
    table: Arc<dyn DueTable>,
}

impl Deps {
    /// Connects to the stream, the tables and the queues. The index `due` is spread over
    /// `due_shards` partitions.
    ///
    /// # Errors
    /// [`RelayError`] says what is missing.
    pub async fn connect(
        aws: &Aws,
        names: &Names,
        due_shards: u16,
        config: &RelayConfig,
    ) -> Result<Self, RelayError> {
        let streams = aws_sdk_dynamodbstreams::Client::new(aws.config());
        let table = names.payments_table();
        let source = TableStream::latest(&table, aws.dynamodb("describe"), streams).await?;
        let dead_letters = Producer::open(aws, names.dead_letter_queue()).await?;
        let outlet = Queues {
            payments: Producer::open(aws, names.payments_queue()).await?,
            dead_letters: DeadLetterQueue::new(dead_letters, SERVICE.name),
        };
        let leases = aws.brisk_dynamodb("leases");
        Ok(Self {
            source: Arc::new(source),
            leases: Arc::new(DynamoDbLeases::new(
                leases,
                names.leases_table(),
                config.name.clone(),
            )),
            outlet: Arc::new(outlet),
            table: Arc::new(PaymentsTable::new(aws.dynamodb("sweep"), &table, due_shards)),
        })
    }

    /// The same with another stream, for tests of what the table's own cannot be made to do.
    #[must_use]
    pub fn reading_from(self, source: Arc<dyn ShardSource>) -> Self {
        Self { source, ..self }
    }

    fn into_parts(self, config: &RelayConfig) -> (Relay, Sweeper) {
        let Self { source, leases, outlet, table } = self;
        let burials = Burials::new(Arc::clone(&outlet));
        let forwarder = Forwarder { outlet, zone: config.zone.clone(), sends: config.sends };
        let (sweeps, sweeper) =
            sweeps(table, forwarder.clone(), burials.clone(), config.sweep_days);
        let checkpoint_interval = config.checkpoint_interval;
        let reader = Reader { source, leases, forwarder, burials, sweeps, checkpoint_interval };
        (Relay::new(reader, config.name.clone()), sweeper)
    }
}

/// Relays until shutdown is asked for; then finishes the pages in hand and gives its shards
/// up.
///
/// # Errors
/// [`RelayError::Drain`] when that took longer than the drain deadline;
/// [`RelayError::Sweeper`] after the same end in order.
pub async fn run(
    deps: Deps,
    config: &RelayConfig,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), RelayError> {
    let (mut relay, sweeper) = deps.into_parts(config);
    // In a set, so that it ends with this call, however that ends.
    let mut sweeping = JoinSet::new();
    sweeping.spawn(sweeper.run(shutdown.clone()));
    let mut relaying = std::pin::pin!(relay.run(&readiness, &shutdown));
    tokio::select! {
        relayed = &mut relaying => relayed,
        Some(swept) = sweeping.join_next() => {
            // Without a failure that is shutdown, which the relay sees by itself.
            if swept.is_err() {
                shutdown.request();
            }
            let relayed = relaying.await;
            swept.map_err(RelayError::Sweeper).and(relayed)
        }
    }
}

/// The executable: settings, connections, then [`run`].
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    SERVICE.main(arguments, RelayConfig::read, async |common, config, readiness, shutdown| {
        let aws = Aws::from_environment().await;
        let deps = Deps::connect(&aws, &common.names, common.due_shards, &config).await?;
        run(deps, &config, readiness, shutdown).await?;
        Ok(())
    })
}
