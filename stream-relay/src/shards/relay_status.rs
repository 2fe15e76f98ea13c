//! What the table of leases shows of the relays, for other programs.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::aws::Aws;
use shared::config::Names;

use crate::leases::dynamodb::DynamoDbLeases;
use crate::leases::position::LeasePosition;
use crate::leases::table::{LeaseError, LeaseTable, RENEWAL};
use crate::shards::position::{Checkpoint, ShardPosition};

/// How often a relay writes its heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = RENEWAL;

/// The relays of one stream and the shards they read, at one moment. Counters say something
/// only beside those of another moment: what lives moves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelayStatus {
    /// The counter of each relay's heartbeats.
    pub relays: BTreeMap<String, u64>,
    /// The lease of each shard.
    pub shards: BTreeMap<String, ShardLease>,
}

/// The lease of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardLease {
    /// The relay that reads it; nobody after it was given up.
    pub owner: Option<String>,
    /// Grows with every write of the owner.
    pub counter: u64,
    /// How far it is read.
    pub checkpoint: Checkpoint,
}

impl RelayStatus {
    /// Reads the table of leases once, and writes nothing.
    ///
    /// # Errors
    /// [`LeaseError::Read`] when the table cannot be read.
    pub async fn read(aws: &Aws, names: &Names, stream: &str) -> Result<Self, LeaseError> {
        let client = aws.brisk_dynamodb("status");
        let table = DynamoDbLeases::new(client, names.leases_table(), "status".to_owned());
        let entries = table.all(stream).await?;
        let relays = entries.relays.into_iter().map(|sign| (sign.relay, sign.counter)).collect();
        let shards = entries.leases.into_iter().map(|lease| {
            let shard = lease.key.rsplit('/').next().unwrap_or_default().to_owned();
            let ShardPosition { checkpoint, .. } = ShardPosition::from_stored(&lease.position);
            let (owner, counter) = (lease.owner, lease.counter);
            (shard, ShardLease { owner, counter, checkpoint })
        });
        Ok(Self { relays, shards: shards.collect() })
    }
}
