//! `DynamoDB` with Streams: the crate `dynoxide-rs` on a database file, in a thread of its
//! own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread::JoinHandle;

use dynoxide::Database;
use rusqlite::Connection;
use tokio::sync::oneshot;

/// Indexes that the stream table lacks. Without them each write looks for the highest
/// sequence number among all records, and the database slows down with every payment.
const STREAM_INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS local_stream_sequence
        ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
    CREATE INDEX IF NOT EXISTS local_stream_shard_sequence
        ON _stream_records (table_name, shard_id, CAST(sequence_number AS INTEGER));";

/// A running `DynamoDB`.
#[derive(Debug)]
pub struct DynamoDb {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), String>>,
}

impl DynamoDb {
    /// Serves the database in `file` (made if it is not there) on `listener`.
    ///
    /// # Errors
    /// The database cannot be opened, or the thread cannot be started.
    pub fn start(listener: TcpListener, file: &Path) -> io::Result<Self> {
        let path = file
            .to_str()
            .ok_or_else(|| io::Error::other(format!("{} is not valid Unicode", file.display())))?;
        let database = Database::new(path)
            .map_err(|error| io::Error::other(format!("opening the database {path}: {error}")))?;
        // What is lost with the machine is lost with its temporary directory anyway.
        database.enable_bulk_loading().map_err(|error| {
            io::Error::other(format!("setting up the database {path}: {error}"))
        })?;
        add_stream_indexes(file)
            .map_err(|error| io::Error::other(format!("indexing the stream of {path}: {error}")))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("local-dynamodb".to_owned())
            .spawn(move || serve(listener, database, stopped))?;
        Ok(Self { address, stop, thread })
    }

    /// Its address, for `AWS_ENDPOINT_URL_DYNAMODB` and `AWS_ENDPOINT_URL_DYNAMODB_STREAMS`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it, and waits until requests under way are answered.
    ///
    /// # Errors
    /// The server had failed before.
    pub fn stop(self) -> io::Result<()> {
        // A closed channel means that it ended already; the join tells how.
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(ended) => ended.map_err(io::Error::other),
            Err(_) => Err(io::Error::other("the thread of the local DynamoDB panicked")),
        }
    }
}

fn add_stream_indexes(file: &Path) -> rusqlite::Result<()> {
    Connection::open(file)?.execute_batch(STREAM_INDEXES)
}

fn serve(
    listener: TcpListener,
    database: Database,
    stopped: oneshot::Receiver<()>,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|e| e.to_string())?;
        let server = dynoxide::server::serve_on(listener, database);
        tokio::select! {
            () = server => Ok(()),
            _ = stopped => Ok(()),
        }
    })
}
