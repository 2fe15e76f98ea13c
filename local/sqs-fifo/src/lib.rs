//! Amazon SQS FIFO queues in process, for tests and development.
//!
//! [`Sqs`] serves them over the AWS JSON protocol. [`engine`] is a pure state machine; a shell
//! around it adds lock, clock and long polls, and `rustack-sqs-http` speaks the protocol.

pub mod engine;

mod answer;
mod calls;
mod clock;
mod handler;
mod operations;
mod query;
mod server;
mod shell;
mod snapshot;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustack_sqs_http::dispatch::SqsHandler;
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use clock::Clock;
use engine::{Engine, Limits};
use handler::Handler;
use shell::Shell;
use snapshot::SnapshotFile;

pub use snapshot::SnapshotError;

/// Least pause between two snapshots.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

/// What the queue service says of itself, and its quotas.
#[derive(Debug, Clone)]
pub struct SqsOptions {
    /// Region in ARNs.
    pub region: String,
    /// Account in ARNs, URLs and `SenderId`.
    pub account_id: String,
    /// Quotas; those of AWS unless changed.
    pub limits: Limits,
    /// File that keeps the queues over restarts; without one they end with the process. Region,
    /// account and quotas are then those of the first start.
    pub snapshot: Option<PathBuf>,
}

/// Why the queue service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no address.
    #[error("address of the queue service")]
    Address(#[source] io::Error),
    /// The snapshot cannot be used.
    #[error("snapshot of the queues")]
    Snapshot(#[from] SnapshotError),
}

impl Default for SqsOptions {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            limits: Limits::default(),
            snapshot: None,
        }
    }
}

/// The engine in the snapshot, or a new one.
fn open(options: &SqsOptions) -> Result<(Engine, Option<SnapshotFile>), SnapshotError> {
    let SqsOptions { region, account_id, limits, snapshot } = options;
    let (_, seed) = Uuid::now_v7().as_u64_pair();
    let new = || Engine::new(region, account_id, *limits, seed);
    let Some(path) = snapshot else {
        return Ok((new(), None));
    };
    let (file, engine) = SnapshotFile::open(path)?;
    let engine = engine.map(|mut engine| {
        engine.resume(seed);
        engine
    });
    Ok((engine.unwrap_or_else(new), Some(file)))
}

/// Writes the snapshot whenever something was called, until the service stops. It takes at most a
/// tenth of the time, however large the queues are.
async fn keep(shell: Arc<Shell>, file: Arc<SnapshotFile>) {
    let mut pause = SNAPSHOT_INTERVAL;
    loop {
        tokio::select! {
            () = shell.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let began = Instant::now();
        if let Err(error) = write(&shell, Arc::clone(&file)).await {
            tracing::error!(%error, "the snapshot of the queues could not be written; changes since the last one are lost if this process ends");
        }
        pause = SNAPSHOT_INTERVAL.max(began.elapsed() * 9);
    }
}

async fn write(shell: &Shell, file: Arc<SnapshotFile>) -> io::Result<()> {
    let Some(engine) = shell.copy() else { return Ok(()) };
    let written = tokio::task::spawn_blocking(move || file.write(&engine)).await;
    written.map_err(io::Error::other).flatten().inspect_err(|_| shell.discard_copy())
}

/// A running queue service. Dropping it stops it without waiting and without a last snapshot.
#[derive(Debug)]
pub struct Sqs {
    shell: Arc<Shell>,
    tasks: TaskTracker,
    stop: DropGuard,
    snapshot: Option<Arc<SnapshotFile>>,
}

impl Sqs {
    /// Serves SQS on `listener`. With a snapshot, the queues are as they were when it was written:
    /// at [`Sqs::stop`], or, after a process that was killed, about a second before its end.
    ///
    /// # Errors
    /// [`StartError`].
    // Async since it must be called within a runtime, whose clock and tasks it takes.
    pub async fn start(listener: TcpListener, options: SqsOptions) -> Result<Self, StartError> {
        let endpoint = format!("http://{}", listener.local_addr().map_err(StartError::Address)?);
        let (engine, file) = open(&options)?;
        let clock = Clock::start(engine.now());
        let SqsOptions { region, account_id, .. } = options;
        let shell = Arc::new(Shell::new(engine, clock, endpoint, account_id));
        let tasks = TaskTracker::new();
        let timer = Arc::clone(&shell);
        tasks.spawn(async move { timer.keep_time().await });
        let snapshot = file.map(Arc::new);
        if let Some(file) = &snapshot {
            tasks.spawn(keep(Arc::clone(&shell), Arc::clone(file)));
        }
        let handler = Handler(Arc::clone(&shell));
        tasks.spawn(server::serve(listener, handler, region, shell.stop.clone()));
        let stop = shell.stop.clone().drop_guard();
        Ok(Self { shell, tasks, stop, snapshot })
    }

    /// Where to reach it, such as `http://127.0.0.1:4100`. Queue URLs start with it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.shell.endpoint().to_owned()
    }

    /// How often each operation was called on each queue (on `""` for `ListQueues`). A batch is
    /// one call, and so is a long poll.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<(String, &'static str), u64> {
        self.shell.calls()
    }

    /// Answers in process, without HTTP: for benchmarks and simulations.
    #[must_use]
    pub fn handler(&self) -> impl SqsHandler + use<> {
        Handler(Arc::clone(&self.shell))
    }

    /// Ends open long polls at once, finishes what is being answered, writes the snapshot if there
    /// is one, and stops.
    ///
    /// # Errors
    /// [`SnapshotError::Write`]: the last snapshot that could be written is still there.
    pub async fn stop(self) -> Result<(), SnapshotError> {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
        let Some(file) = self.snapshot else { return Ok(()) };
        let path = file.path().to_owned();
        let written = write(&self.shell, file).await;
        written.map_err(|source| SnapshotError::Write { path, source })
    }
}
