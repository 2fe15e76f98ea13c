//! Reads the stream of the payments table and queues what is due.
//!
//! | folder | content |
//! |---|---|
//! | `shards` | the stream: its shards, parents before children, one shard page by page |
//! | `leases` | who reads which shard, opens a day or scans; which relays there are |
//! | `forward` | what a record means; into the queue in order, or into the dead-letter queue |
//! | `sweeps` | from the table: day opening, gap recovery, lost-message scan |
//! | `relay` | the relay's loop over all of them |
//! | `batch_clock` | how today's batch stands, counted by one relay |
//! | `batch_page` | where that relay shows it |
//! | `events` | what is counted and logged |

mod batch_clock;
mod batch_page;
mod config;
mod events;
mod forward;
#[doc(hidden)]
pub mod fuzzing;
mod labels;
mod leases;
mod relay;
mod shards;
#[cfg(test)]
mod simulation;
mod sweeps;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

pub use config::RelayConfig;
pub use events::METRICS;
pub use leases::table::LeaseError;
pub use relay::RelayError;
pub use shards::position::Checkpoint;
pub use shards::relay_status::{HEARTBEAT_INTERVAL, RelayStatus, ShardLease};
pub use shards::source::{Page, Shard, ShardSource, StreamError};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Names;
use shared::payments::{DueTable, PaymentStore, PaymentsTable, StatusCounter};
use shared::queue::{
    BacklogMonitor, DeadLetterQueue, InStep, MessageCount, Producer, SentMessages, SqsQueue,
};
use shared::service::Service;
use shared::shutdown::Shutdown;
use shared::telemetry::admin::Readiness;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::batch_clock::exporter::{BatchClockExporter, BatchClockSettings};
use crate::batch_clock::queues::{QueueDepths, SqsDepths};
use crate::batch_page::{BatchPage, MetricsPage};
use crate::events::DispatchLag;
use crate::forward::dead_letter::DeadLetterWriter;
use crate::forward::forwarder::Forwarder;
use crate::forward::pacing::{Pacing, UNDISPATCHED};
use crate::forward::queues::{RelayQueues, SqsQueues};
use crate::leases::dynamodb::DynamoDbLeases;
use crate::leases::table::LeaseTable;
use crate::relay::Relay;
use crate::shards::dynamodb::TableStream;
use crate::shards::reader::Reader;
use crate::sweeps::DueIndex;
use crate::sweeps::day_opening::DayOpener;
use crate::sweeps::gap_recovery::SweepRunner;
use crate::sweeps::gap_request::GapRecoveryQueue;
use crate::sweeps::lost_message_scan::{LostMessageScan, ScanSchedule, ScanState};

/// The service as executables know it.
pub const SERVICE: Service = Service {
    name: "stream-relay",
    about: "Reads the stream of the payments table and queues what is due.",
    metrics: METRICS,
};

/// What the relay works on.
#[derive(Debug)]
pub struct Deps {
    source: Arc<dyn ShardSource>,
    leases: Arc<dyn LeaseTable>,
    queues: Arc<dyn RelayQueues>,
    table: Arc<dyn DueTable>,
    store: Arc<dyn PaymentStore>,
    batch: BatchPorts,
    due_shards: u16,
    clock: Clock,
}

/// What the batch clock works on.
#[derive(Debug)]
struct BatchPorts {
    counter: Arc<dyn StatusCounter>,
    queues: Arc<dyn QueueDepths>,
    page: Arc<dyn BatchPage>,
}

impl BatchPorts {
    /// The batch clock of the relay that `scan` is of.
    fn exporter(
        self,
        config: &RelayConfig,
        scan: &LostMessageScan,
        sent: SentMessages,
    ) -> BatchClockExporter {
        let Self { counter, queues, page } = self;
        BatchClockExporter {
            leases: Arc::clone(&scan.leases),
            stream: scan.stream.clone(),
            name: scan.name.clone(),
            clock: scan.clock.clone(),
            zone: scan.zone.clone(),
            settings: BatchClockSettings {
                interval: config.batch_clock_interval,
                deadline: config.batch_deadline,
                opening_delay: config.opening_delay,
            },
            sweep_leases: scan.sweep_leases.clone(),
            counter,
            queues,
            page,
            sent,
        }
    }
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
        let payments = names.payments_queue();
        let payments = Arc::new(SqsQueue::open(aws, payments, Duration::ZERO, "send").await?);
        let queues = SqsQueues {
            payments: Producer::new(Arc::clone(&payments) as _),
            counted: payments,
            dead_letters: DeadLetterQueue::new(dead_letters, SERVICE.name),
        };
        let leases = aws.brisk_dynamodb("leases");
        let payments = |role| PaymentsTable::new(aws.dynamodb(role), &table, due_shards);
        Ok(Self {
            source: Arc::new(source),
            leases: Arc::new(DynamoDbLeases::new(
                leases,
                names.leases_table(),
                config.name.clone(),
            )),
            queues: Arc::new(queues),
            table: Arc::new(payments("sweep")),
            store: Arc::new(payments("withhold")),
            batch: BatchPorts {
                counter: Arc::new(payments("batch_clock")),
                queues: Arc::new(SqsDepths::new(aws, names)),
                page: Arc::new(MetricsPage),
            },
            due_shards,
            clock: Clock::system(),
        })
    }

    /// The same with another stream, for tests of what the table's own cannot be made to do.
    #[must_use]
    pub fn reading_from(self, source: Arc<dyn ShardSource>) -> Self {
        Self { source, ..self }
    }

    fn into_parts(
        self,
        config: &RelayConfig,
        readiness: &Readiness,
        sent: SentMessages,
        dispatchers: InStep,
    ) -> (Relay, DayOpener, SweepRunner, BatchClockExporter) {
        let Self { source, leases, queues, table, store, batch, due_shards, clock } = self;
        let dead_letters = DeadLetterWriter::new(Arc::clone(&queues), store, clock.clone());
        let forwarder = Forwarder {
            queues,
            clock: clock.clone(),
            zone: config.zone.clone(),
            due_shards,
            sends: config.sends,
            sending: readiness.watch("queueing payments"),
            sent: sent.clone(),
        };
        let due_index =
            DueIndex { table, forwarder: forwarder.clone(), dead_letters: dead_letters.clone() };
        let pacing = Pacing { dispatchers, clock: clock.clone() };
        let (sweeps, requests) = GapRecoveryQueue::open();
        let (sweep_lease_sender, sweep_leases) = watch::channel(Default::default());
        let (stream, name) = (source.name().to_owned(), config.name.clone());
        let checkpoint_interval = config.checkpoint_interval;
        let opener = DayOpener {
            due_index: due_index.clone(),
            leases: Arc::clone(&leases),
            stream: stream.clone(),
            name: name.clone(),
            window: config.sweep_days,
            delay: config.opening_delay,
            checkpoint_interval,
            sweep_leases: sweep_leases.clone(),
        };
        let scan = LostMessageScan {
            leases: Arc::clone(&leases),
            stream,
            name: name.clone(),
            clock,
            zone: config.zone.clone(),
            interval: config.watch_interval,
            checkpoint_interval,
            sweep_leases,
            schedule: ScanSchedule::default(),
            window: config.sweep_days,
            old_interval: config.old_interval,
            state: ScanState::default(),
        };
        let batch_clock = batch.exporter(config, &scan, sent);
        let sweeper = SweepRunner { due_index, window: config.sweep_days, requests, scan };
        let reading = readiness.watch("reading the stream");
        let reader = Reader {
            source,
            leases,
            forwarder,
            dead_letters,
            pacing,
            sweeps,
            checkpoint_interval,
            reading,
        };
        let lease_calls = readiness.watch("reading the table of leases");
        (Relay::new(reader, name, sweep_lease_sender, lease_calls), opener, sweeper, batch_clock)
    }
}

/// Relays until shutdown is asked for; then finishes the pages in progress and gives its shards
/// up.
///
/// # Errors
/// [`RelayError::Drain`] when that took longer than the drain deadline;
/// [`RelayError::SweepRunner`] after the same end in order.
pub async fn run(
    deps: Deps,
    config: &RelayConfig,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), RelayError> {
    let sent = SentMessages::default();
    let queue = Arc::clone(&deps.queues) as Arc<dyn MessageCount>;
    let (monitor, dispatchers) =
        BacklogMonitor::new(queue, UNDISPATCHED, sent.clone(), DispatchLag);
    let (mut relay, opener, sweeper, batch_clock) =
        deps.into_parts(config, &readiness, sent, dispatchers);
    // In a set, so that they end with this call, however that ends.
    let mut sweeping = JoinSet::new();
    sweeping.spawn(monitor.run(shutdown.clone()));
    sweeping.spawn(opener.run(shutdown.clone()));
    sweeping.spawn(sweeper.run(shutdown.clone()));
    sweeping.spawn(batch_clock.run(shutdown.clone()));
    let relaying = async {
        let relayed = relay.run(&readiness, &shutdown).await;
        // A stream that is to be read no more ends all: the process is started anew.
        shutdown.request();
        relayed
    };
    let (relayed, swept) = tokio::join!(relaying, sweep(&mut sweeping, &shutdown));
    swept.and(relayed)
}

/// Waits for the sweeps, which end with shutdown, and asks for it when one fails.
async fn sweep(sweeping: &mut JoinSet<()>, shutdown: &Shutdown) -> Result<(), RelayError> {
    let mut ended = Box::pin(async {
        while let Some(swept) = sweeping.join_next().await {
            if swept.is_err() {
                shutdown.request();
            }
            swept.map_err(RelayError::SweepRunner)?;
        }
        Ok(())
    });
    tokio::select! {
        ended = &mut ended => return ended,
        () = shutdown.requested() => {}
    }
    shutdown.drain(ended).await?
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
