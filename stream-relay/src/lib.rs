//! Reads the stream of the payments table and queues what is due.
//!
//! | module | room |
//! |---|---|
//! | `stream` | `DynamoDB` Streams: shards, iterators, pages |
//! | `shards` | which shards may be read: parents before children |
//! | `lease`, `keeper` | who reads a shard, how far it is read |
//! | `reader` | one shard, page by page |
//! | `record` | what a record means |
//! | `forwarder`, `lanes` | into the queue, in order within an account |
//! | `events` | what is counted and logged |

mod config;
mod events;
mod forwarder;
mod keeper;
mod lanes;
mod lease;
mod reader;
mod record;
mod shards;
mod stream;

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::time::Duration;

pub use config::RelayConfig;
pub use events::METRICS;
pub use lease::LeaseError;
use shared::aws::Aws;
use shared::config::Names;
use shared::queue::{DeadLetterQueue, Producer, QueueError};
use shared::service::Service;
use shared::shutdown::{DrainExceeded, Shutdown};
use shared::telemetry::admin::Readiness;
pub use stream::StreamError;
use tokio::task::{Id, JoinSet};

use crate::forwarder::Forwarder;
use crate::lease::{Checkpoint, Leases};
use crate::reader::{End, Reader};
use crate::shards::{Shard, readable};
use crate::stream::Stream;

/// The service as executables know it.
pub const SERVICE: Service = Service {
    name: "stream-relay",
    about: "Reads the stream of the payments table and queues what is due.",
    metrics: METRICS,
};

/// How often the stream is asked for new shards (`DynamoDB` splits them every few hours).
const DISCOVERY: Duration = Duration::from_secs(10);

/// Why the relay ended other than by shutdown.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// At start: the stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// At start: a queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// At the end.
    #[error(transparent)]
    Drain(#[from] DrainExceeded),
}

/// What the relay works on.
#[derive(Debug, Clone)]
pub struct Deps {
    reader: Reader,
}

impl Deps {
    /// Connects to the stream and the queues.
    ///
    /// # Errors
    /// [`RelayError`] says what is missing.
    pub async fn connect(
        aws: &Aws,
        names: &Names,
        config: &RelayConfig,
    ) -> Result<Self, RelayError> {
        let streams = aws_sdk_dynamodbstreams::Client::new(aws.config());
        let stream =
            Stream::of_table(&names.payments_table(), aws.dynamodb("describe"), streams).await?;
        let dead_letters = Producer::open(aws, names.dead_letter_queue()).await?;
        let forwarder = Forwarder {
            payments: Producer::open(aws, names.payments_queue()).await?,
            dead_letters: DeadLetterQueue::new(dead_letters, SERVICE.name),
            zone: config.zone.clone(),
            sends: config.sends,
        };
        let leases = Leases::new(aws.dynamodb("leases"), names.leases_table(), config.name.clone());
        let (name, checkpoint_interval) = (config.name.clone(), config.checkpoint_interval);
        Ok(Self { reader: Reader { stream, leases, forwarder, name, checkpoint_interval } })
    }
}

/// Relays until shutdown is asked for; then finishes the pages in hand.
///
/// # Errors
/// [`RelayError::Drain`] when that took longer than the drain deadline.
pub async fn run(deps: Deps, readiness: Readiness, shutdown: Shutdown) -> Result<(), RelayError> {
    let Deps { reader } = deps;
    let mut readers = JoinSet::new();
    let mut reading: HashMap<Id, String> = HashMap::new();
    while !shutdown.is_requested() {
        match reader.stream.check().await {
            Err(error @ (StreamError::Replaced(_) | StreamError::NoStream(_))) => {
                return Err(error.into());
            }
            Err(error) => events::read_failed("all", &error),
            Ok(()) => {}
        }
        match reader.stream.shards().await {
            Ok(shards) => {
                start_readers(&reader, &shards, &mut readers, &mut reading, &shutdown).await;
                readiness.ready();
            }
            Err(error) => events::read_failed("all", &error),
        }
        events::shards(readers.len());
        tokio::select! {
            () = shutdown.requested() => {}
            () = tokio::time::sleep(DISCOVERY) => {}
            Some(ended) = readers.join_next_with_id() => match ended {
                Ok((id, end)) => {
                    let shard = reading.remove(&id);
                    tracing::info!(shard, ?end, "a shard's reader ended");
                }
                // Whatever it was, the next discovery reads on from the last position.
                Err(error) => {
                    let shard = reading.remove(&error.id());
                    tracing::error!(shard, %error, "a shard's reader failed");
                    shutdown.pause(DISCOVERY).await;
                }
            },
        }
    }
    shutdown.drain(async { while readers.join_next().await.is_some() {} }).await?;
    Ok(())
}

async fn start_readers(
    reader: &Reader,
    shards: &[Shard],
    readers: &mut JoinSet<End>,
    reading: &mut HashMap<Id, String>,
    shutdown: &Shutdown,
) {
    let mut finished = HashSet::new();
    let read: HashSet<String> = reading.values().cloned().collect();
    for shard in shards.iter().filter(|shard| !read.contains(&shard.id)) {
        match reader.leases.get(&reader.lease_key(&shard.id)).await {
            Ok(Some(lease)) if lease.checkpoint == Checkpoint::ShardEnd => {
                finished.insert(shard.id.clone());
            }
            Ok(_) => {}
            // Unknown counts as unfinished: children wait until it is known.
            Err(error) => events::lease_failed(&shard.id, &error),
        }
    }
    for shard in readable(shards, &finished).into_iter().filter(|s| !read.contains(&s.id)) {
        let (reader, own, shutdown) = (reader.clone(), shard.clone(), shutdown.clone());
        let task = readers.spawn(async move { Box::pin(reader.read(&own, &shutdown)).await });
        reading.insert(task.id(), shard.id.clone());
    }
}

/// The executable: settings, connections, then [`run`].
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    SERVICE.main(arguments, RelayConfig::read, async |common, config, readiness, shutdown| {
        let aws = Aws::from_environment().await;
        let deps = Deps::connect(&aws, &common.names, &config).await?;
        run(deps, readiness, shutdown).await?;
        Ok(())
    })
}
