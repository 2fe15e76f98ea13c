//! SQS FIFO on this machine: the queue service's protocol over an engine of our own.
//!
//! [`engine`] is a pure state machine; a shell around it adds lock, clock and long polls, and
//! `rustack-sqs-http` speaks the protocol.

pub mod engine;

mod answer;
mod calls;
mod clock;
mod handler;
mod operations;
mod server;
mod shell;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustack_sqs_http::dispatch::SqsHandler;
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use engine::{Engine, Limits};
use handler::Handler;
use shell::Shell;

/// What the queue service says of itself, and its quotas.
#[derive(Debug, Clone)]
pub struct SqsOptions {
    /// Region in ARNs.
    pub region: String,
    /// Account in ARNs, URLs and `SenderId`.
    pub account_id: String,
    /// Quotas; those of AWS unless changed.
    pub limits: Limits,
}

impl Default for SqsOptions {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            limits: Limits::default(),
        }
    }
}

/// A running queue service. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Sqs {
    shell: Arc<Shell>,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Sqs {
    /// Serves SQS on `listener`.
    ///
    /// # Errors
    /// If the listener has no address.
    // Async since it must be called within a runtime, whose clock and tasks it takes.
    pub async fn start(listener: TcpListener, options: SqsOptions) -> std::io::Result<Self> {
        let SqsOptions { region, account_id, limits } = options;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (_, seed) = Uuid::now_v7().as_u64_pair();
        let engine = Engine::new(&region, &account_id, limits, seed);
        let shell = Arc::new(Shell::new(engine, endpoint, account_id));
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
