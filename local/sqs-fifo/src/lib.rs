//! Amazon SQS FIFO queues in process, for tests and development.
//!
//! [`Sqs`] serves them over the AWS JSON protocol. [`engine`] is a pure state machine; a shell
//! around it adds lock, clock and long polls, and `rustack-sqs-http` speaks the protocol.

pub mod engine;

mod answer;
mod calls;
mod clock;
mod handler;
mod journal;
#[doc(hidden)]
pub mod lines;
mod operations;
mod query;
mod server;
mod shell;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustack_sqs_http::dispatch::SqsHandler;
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use clock::Clock;
use engine::{Engine, Limits, Recollection};
use handler::Handler;
use journal::QueueJournal;
use shell::Shell;

pub use lines::JournalError;

/// What the queue service says of itself, and its quotas.
#[derive(Debug, Clone)]
pub struct SqsOptions {
    /// Region in ARNs.
    pub region: String,
    /// Account in ARNs, URLs and `SenderId`.
    pub account_id: String,
    /// Quotas; those of AWS unless changed.
    pub limits: Limits,
    /// File that keeps the queues over restarts; without one they end with the process.
    pub journal: Option<PathBuf>,
}

/// Why the queue service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no address.
    #[error("address of the queue service")]
    Address(#[source] io::Error),
    /// The journal cannot be used.
    #[error("journal of the queues")]
    Journal(#[from] JournalError),
}

impl Default for SqsOptions {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            limits: Limits::default(),
            journal: None,
        }
    }
}

/// The engine that the journal tells of, or a new one without a journal.
fn recall(options: &SqsOptions) -> Result<(Engine, Option<QueueJournal>), JournalError> {
    let SqsOptions { region, account_id, limits, journal } = options;
    let (_, seed) = Uuid::now_v7().as_u64_pair();
    let Some(path) = journal else {
        return Ok((Engine::new(region, account_id, *limits, seed), None));
    };
    let mut recollection = Recollection::new(*limits, seed);
    let mut journal = QueueJournal::open(path, &mut recollection)?;
    let mut engine = recollection.into_engine(region, account_id);
    engine.advance(Clock::start(engine.now()).now());
    journal.write_anew(&engine)?;
    engine.keep_changes();
    Ok((engine, Some(journal)))
}

/// A running queue service. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Sqs {
    shell: Arc<Shell>,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Sqs {
    /// Serves SQS on `listener`. With a journal, the queues are as they were when it was last
    /// written to, but for what time has brought about since.
    ///
    /// # Errors
    /// [`StartError`].
    // Async since it must be called within a runtime, whose clock and tasks it takes.
    pub async fn start(listener: TcpListener, options: SqsOptions) -> Result<Self, StartError> {
        let endpoint = format!("http://{}", listener.local_addr().map_err(StartError::Address)?);
        let (engine, journal) = recall(&options)?;
        let clock = Clock::start(engine.now());
        let SqsOptions { region, account_id, .. } = options;
        let shell = Arc::new(Shell::new(engine, journal, clock, endpoint, account_id));
        let tasks = TaskTracker::new();
        let timer = Arc::clone(&shell);
        tasks.spawn(async move { timer.keep_time().await });
        let handler = Handler(Arc::clone(&shell));
        tasks.spawn(server::serve(listener, handler, region, shell.stop.clone()));
        let stop = shell.stop.clone().drop_guard();
        Ok(Self { shell, tasks, stop })
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

    /// Ends open long polls at once, finishes what is being answered, and stops.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
    }
}
