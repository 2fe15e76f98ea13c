//! Starting the service, changing its faults while it runs, stopping it at once.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinError, JoinHandle},
    time,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::journal_reader::{JournalError, TornLine};
use super::{
    availability::AvailabilitySwitch,
    callback::{Callback, CallbackError, Receiver},
    connection::ServiceListener,
    faults::Faults,
    handler::RequestHandler,
    routes::routes,
    timings::RequestTiming,
    webhook_sender::WebhookSender,
};

/// Ample: at the stop every connection is cut, and none waits for a client.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceStartError {
    /// The listener has no local address.
    #[error("find the address of the transaction service")]
    Address(#[source] io::Error),
    /// The journal could not be opened or recalled.
    #[error("open the journal of the transaction service")]
    Journal(#[source] JournalError),
    /// Reading the journal panicked.
    #[error("recall the journal of the transaction service")]
    LogReplay(#[source] JoinError),
}

/// The bank's transaction service, running. It stops when it is dropped.
#[derive(Debug)]
pub struct LocalTransactionService {
    handler: Arc<RequestHandler>,
    availability: Arc<AvailabilitySwitch>,
    receiver: watch::Sender<Option<Arc<Receiver>>>,
    address: SocketAddr,
    torn: Option<TornLine>,
    server: JoinHandle<()>,
    webhook_sender: JoinHandle<()>,
    running: DropGuard,
}

/// Requests that arrived since the start; `/healthz` and unknown paths are not
/// counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All of them.
    pub total: u64,
    /// Those that arrived while the service was down and got no answer.
    pub while_down: u64,
}

impl LocalTransactionService {
    /// Starts timing on `listener`, after reading back the keys of the journal
    /// at `journal`, which is made if it is not there. A torn last line is cut
    /// off, logged, and kept in [`Self::torn_line`].
    ///
    /// What was accepted with 202 is in a second file beside it, `journal.accepted.jsonl`
    /// beside `journal.jsonl`. Payments that were under way end now, and results that
    /// nobody has received are sent, as soon as a callback is set.
    ///
    /// # Errors
    /// When a file cannot be opened, is in use by another service, or has a
    /// whole line that this service did not write.
    pub async fn start(
        listener: TcpListener,
        journal: &Path,
        faults: Faults,
    ) -> Result<Self, ServiceStartError> {
        let address = listener.local_addr().map_err(ServiceStartError::Address)?;
        let path = journal.to_owned();
        let opened = tokio::task::spawn_blocking(move || RequestHandler::open(&path, faults));
        let (handler, torn, events) = opened
            .await
            .map_err(ServiceStartError::LogReplay)?
            .map_err(ServiceStartError::Journal)?;
        if let Some(torn) = &torn {
            let bytes = torn.text.len();
            tracing::warn!(journal = %journal.display(), line = torn.line, bytes, "cut off a torn line");
        }
        let handler = Arc::new(handler);
        let stopping = CancellationToken::new();
        let running = stopping.clone().drop_guard();
        let availability = Arc::new(AvailabilitySwitch::new(faults.availability, stopping.clone()));
        let (receiver, watched) = watch::channel(None);
        let webhook_sender = WebhookSender::new(handler.clone(), watched, events);
        let webhook_sender = tokio::spawn(webhook_sender.work(stopping.clone()));
        let listener = ServiceListener { tcp: listener, availability: availability.clone() };
        let server = tokio::spawn(serve(listener, handler.clone(), stopping));
        Ok(Self { handler, availability, receiver, address, torn, server, webhook_sender, running })
    }

    /// Where the service is reached, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the faults for the requests that come from now on. Payments that
    /// are under way keep the moment of their end.
    pub fn set_faults(&self, faults: Faults) {
        self.handler.set_faults(faults);
        self.availability.set(faults.availability);
    }

    /// Changes who receives the results of payments that were accepted with 202.
    /// Without one, results wait (up to 100,000 of them) until there is one.
    ///
    /// # Errors
    /// When the urls or the secret cannot be used; nothing is changed then.
    pub fn set_callback(&self, callback: Option<Callback>) -> Result<(), CallbackError> {
        let receiver = callback.map(Receiver::new).transpose()?;
        self.receiver.send_replace(receiver.map(Arc::new));
        Ok(())
    }

    /// Requests that arrived since the start.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let while_down = self.availability.unanswered();
        Requests { total: self.handler.requests() + while_down, while_down }
    }

    /// Requests that a worker has answered since this was last asked, in the order of their
    /// answers; at most the last 16,384. `/healthz` and requests while it was down are not counted.
    #[must_use]
    pub fn request_timings(&self) -> Vec<RequestTiming> {
        self.handler.request_timings()
    }

    /// Payments that were accepted with 202 and have not ended yet.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.handler.under_way()
    }

    /// Settlements in the journal, those of earlier runs included. A key that
    /// was settled twice counts twice.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.handler.settled()
    }

    /// The torn line that was cut off the journal at the start.
    #[must_use]
    pub fn torn_line(&self) -> Option<&TornLine> {
        self.torn.as_ref()
    }

    /// Stops at once: cuts every connection, answered or not, as a crash would,
    /// and closes the journal.
    pub async fn stop(self) {
        drop(self.running);
        end("a connection", self.server).await;
        end("the webhook sender", self.webhook_sender).await;
    }
}

/// Waits for a task that was told to end.
async fn end(what: &str, mut task: JoinHandle<()>) {
    if time::timeout(STOP_LIMIT, &mut task).await.is_err() {
        tracing::warn!("the transaction service could not stop {what} in time and aborts it");
        task.abort();
    }
}

async fn serve(
    listener: ServiceListener,
    handler: Arc<RequestHandler>,
    stopping: CancellationToken,
) {
    let stopped = stopping.cancelled_owned();
    let served = axum::serve(listener, routes(handler)).with_graceful_shutdown(stopped);
    if let Err(error) = served.await {
        tracing::error!(%error, "the transaction service ended");
    }
}
