//! The tables and queues of dueflow: one definition for `dueflow setup`, the demo and the
//! tests; `infra/terraform` says the same, and a test compares the two.

use std::collections::BTreeMap;

use crate::config::Names;
use crate::payments::attribute;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDefinition {
    /// Its name.
    pub name: String,
    /// Partition key, a string.
    pub partition_key: &'static str,
    /// Sort key, a string.
    pub sort_key: Option<&'static str>,
    /// Its indexes.
    pub indexes: Vec<IndexDefinition>,
    /// Whether changes appear in a stream, with the new image.
    pub stream: bool,
    /// The number attribute that says, in seconds since 1970, when an item may be deleted.
    pub expiry: Option<&'static str>,
}

/// A global secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexDefinition {
    /// Its name.
    pub name: &'static str,
    /// Partition key, a string.
    pub partition_key: &'static str,
    /// Sort key, a string.
    pub sort_key: Option<&'static str>,
    /// Attributes projected besides the keys; none at all for keys only.
    pub projected: &'static [&'static str],
}

/// Name of the index by due date, of the payments table and of the archive.
pub const DUE_INDEX: &str = "due";
/// Name of the archive's index by transaction id.
pub const TRANSACTION_INDEX: &str = "transaction";

/// Attribute names of the table `leases`.
pub mod lease {
    /// Partition key: what is leased.
    pub const KEY: &str = "LeaseKey";
}

/// Attribute names of the table `control`: what holds for the whole installation.
pub mod control {
    /// Partition key: what it is about.
    pub const KEY: &str = "ControlKey";
    /// The item that holds the bank's time zone and the number of partitions of the index `due`.
    pub const INSTALLATION: &str = "installation";
}

/// Attribute names of the table `imports`: the batches that were imported.
pub mod imports {
    /// Partition key: a batch by its name, or by the hash of its rows.
    pub const KEY: &str = "ImportKey";
}

/// Attribute names of the table `actions`: what operators have changed, and why.
pub mod actions {
    /// Partition key: the day in UTC.
    pub const DAY: &str = "ActionDay";
    /// Sort key: an id in the order of time.
    pub const ID: &str = "ActionId";
}

/// The tables, in the order in which they are made.
#[must_use]
pub fn tables(names: &Names) -> Vec<TableDefinition> {
    vec![
        TableDefinition {
            name: names.payments_table(),
            partition_key: attribute::PK,
            sort_key: Some(attribute::SK),
            indexes: vec![due_index()],
            stream: true,
            // Only blobs' own items have it.
            expiry: Some(attribute::EXPIRES_AT),
        },
        TableDefinition {
            name: names.archive_table(),
            partition_key: attribute::PK,
            sort_key: Some(attribute::SK),
            indexes: vec![
                due_index(),
                IndexDefinition {
                    name: TRANSACTION_INDEX,
                    partition_key: attribute::TRANSACTION_ID,
                    sort_key: None,
                    projected: &[],
                },
            ],
            stream: false,
            expiry: None,
        },
        keyed_by(names.leases_table(), lease::KEY),
        keyed_by(names.control_table(), control::KEY),
        keyed_by(names.imports_table(), imports::KEY),
        TableDefinition {
            sort_key: Some(actions::ID),
            ..keyed_by(names.actions_table(), actions::DAY)
        },
    ]
}

fn keyed_by(name: String, partition_key: &'static str) -> TableDefinition {
    TableDefinition {
        name,
        partition_key,
        sort_key: None,
        indexes: Vec::new(),
        stream: false,
        expiry: None,
    }
}

fn due_index() -> IndexDefinition {
    IndexDefinition {
        name: DUE_INDEX,
        partition_key: attribute::DUE_SHARD,
        sort_key: Some(attribute::DUE_KEY),
        projected: &[attribute::STATUS],
    }
}

/// A FIFO queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDefinition {
    /// Its name.
    pub name: String,
    /// Its attributes by SQS's names, without the redrive policy.
    pub attributes: BTreeMap<&'static str, String>,
    /// The dead-letter queue and the deliveries after which SQS moves a message there.
    pub redrive: Option<(String, u32)>,
}

/// Deliveries after which SQS gives a message up by itself: the most that it allows. Only a
/// backstop: payments are bounded by their own attempts, and a message that lies behind
/// others of its account is delivered with each of theirs.
const MAX_RECEIVE_COUNT: u32 = 1_000;

/// Seconds a message stays: 14 days, the longest SQS keeps one.
const RETENTION: &str = "1209600";

/// The queues, the dead-letter queue first, because the others name it.
#[must_use]
pub fn queues(names: &Names) -> Vec<QueueDefinition> {
    let attributes: BTreeMap<&'static str, String> = [
        ("FifoQueue", "true"),
        ("ContentBasedDeduplication", "false"),
        // High throughput for FIFO: limits count by group, not by queue.
        ("DeduplicationScope", "messageGroup"),
        ("FifoThroughputLimit", "perMessageGroupId"),
        ("MessageRetentionPeriod", RETENTION),
        ("VisibilityTimeout", "60"),
        ("SqsManagedSseEnabled", "true"),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()))
    .collect();
    let dead_letters = names.dead_letter_queue();
    let with_redrive = |name: String| QueueDefinition {
        name,
        attributes: attributes.clone(),
        redrive: Some((dead_letters.clone(), MAX_RECEIVE_COUNT)),
    };
    vec![
        QueueDefinition {
            name: dead_letters.clone(),
            attributes: attributes.clone(),
            redrive: None,
        },
        with_redrive(names.payments_queue()),
        with_redrive(names.confirmations_queue()),
    ]
}
