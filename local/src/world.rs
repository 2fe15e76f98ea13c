//! All of it together.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use tokio::net::TcpListener;

use crate::dynamodb::DynamoDb;
use crate::transactions::{Faults, LocalTransactionService, ServiceStartError};
use sqs_fifo::{SnapshotError, Sqs, SqsOptions, StartError as SqsStartError};

/// Where things are to be.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Folder of the database and the journals; must exist.
    pub dir: PathBuf,
    /// Port of `DynamoDB`; 0 lets the system choose.
    pub dynamodb_port: u16,
    /// Port of SQS; 0 lets the system choose.
    pub sqs_port: u16,
    /// Port of the transaction service; 0 lets the system choose.
    pub transactions_port: u16,
    /// Whether queues outlive the process.
    pub queues: Queues,
    /// What the transaction service does wrong.
    pub faults: Faults,
}

impl LocalOptions {
    /// A world that ends with the process: queues in memory, ports that the system chooses.
    #[must_use]
    pub fn passing(dir: impl Into<PathBuf>, faults: Faults) -> Self {
        Self {
            dir: dir.into(),
            dynamodb_port: 0,
            sqs_port: 0,
            transactions_port: 0,
            queues: Queues::InMemory,
            faults,
        }
    }
}

/// Where queues are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queues {
    /// In memory; they end with the process.
    InMemory,
    /// Also in `queues.json`, which the next start goes on from.
    Kept,
}

/// Why it did not start, or stop, in order.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A port is taken.
    #[error("binding port {port} for {what}: {source}")]
    Port {
        /// For what.
        what: &'static str,
        /// Which.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// `DynamoDB`.
    #[error("the local DynamoDB: {0}")]
    DynamoDb(#[source] io::Error),
    /// SQS.
    #[error("the local SQS: {0}")]
    Sqs(#[from] SqsStartError),
    /// The queues could not be kept.
    #[error("the local SQS: {0}")]
    Queues(#[from] SnapshotError),
    /// An earlier build kept its queues in another form.
    #[error(
        "{} holds the queues of an earlier build, which this one does not read: finish them with \
         that build, or remove the file to start with empty queues",
        .0.display()
    )]
    OldQueues(PathBuf),
    /// The transaction service.
    #[error("the local transaction service: {0}")]
    Transactions(#[from] ServiceStartError),
}

/// A running outside world.
#[derive(Debug)]
pub struct Local {
    /// `DynamoDB` with Streams.
    pub dynamodb: DynamoDb,
    /// SQS.
    pub sqs: Sqs,
    /// The transaction service.
    pub transactions: LocalTransactionService,
    journal: PathBuf,
}

impl Local {
    /// Starts all three on loopback.
    ///
    /// # Errors
    /// [`LocalError`] names the part that did not start.
    pub async fn start(options: LocalOptions) -> Result<Self, LocalError> {
        let listener = bind("DynamoDB", options.dynamodb_port).await?;
        let listener = listener.into_std().map_err(LocalError::DynamoDb)?;
        let database = options.dir.join("dynamodb.sqlite");
        let dynamodb = DynamoDb::start(listener, &database).map_err(LocalError::DynamoDb)?;
        let listener = bind("SQS", options.sqs_port).await?;
        let kept = match options.queues {
            Queues::InMemory => None,
            Queues::Kept => Some(kept_queues(&options.dir)?),
        };
        let sqs =
            Sqs::start(listener, SqsOptions { snapshot: kept, ..SqsOptions::default() }).await?;
        let listener = bind("the transaction service", options.transactions_port).await?;
        let journal = options.dir.join("journal.jsonl");
        let transactions =
            LocalTransactionService::start(listener, &journal, options.faults).await?;
        Ok(Self { dynamodb, sqs, transactions, journal })
    }

    /// The journal of the transaction service.
    #[must_use]
    pub fn journal(&self) -> &std::path::Path {
        &self.journal
    }

    /// Stops all three.
    ///
    /// # Errors
    /// `DynamoDB` had failed before, or the queues could not be kept.
    pub async fn stop(self) -> Result<(), LocalError> {
        self.transactions.stop().await;
        let queues = self.sqs.stop().await;
        self.dynamodb.stop().map_err(LocalError::DynamoDb)?;
        Ok(queues?)
    }
}

/// The file of the queues in `dir`.
fn kept_queues(dir: &Path) -> Result<PathBuf, LocalError> {
    let old = dir.join("queues.jsonl");
    if old.exists() { Err(LocalError::OldQueues(old)) } else { Ok(dir.join("queues.json")) }
}

async fn bind(what: &'static str, port: u16) -> Result<TcpListener, LocalError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| LocalError::Port {
        what,
        port,
        source,
    })
}
