//! Starting the service, changing its faults while it runs, stopping it at once.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    task::{JoinError, JoinHandle},
    time,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{desk::Desk, faults::Faults, line::MortalListener, routes::routes};
use crate::lines::{JournalError, TornLine};

/// Ample: at the stop every connection is cut, and none waits for a client.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no local address.
    #[error("find the address of the transaction service")]
    Address(#[source] io::Error),
    /// The journal could not be opened or recalled.
    #[error("open the journal of the transaction service")]
    Journal(#[source] JournalError),
    /// Reading the journal panicked.
    #[error("recall the journal of the transaction service")]
    Recall(#[source] JoinError),
}

/// The bank's transaction service, running. It stops when it is dropped.
#[derive(Debug)]
pub struct TransactionService {
    desk: Arc<Desk>,
    address: SocketAddr,
    torn: Option<TornLine>,
    server: JoinHandle<()>,
    running: DropGuard,
}

impl TransactionService {
    /// Starts serving on `listener`, after reading back the keys of the journal
    /// at `journal`, which is made if it is not there. A torn last line is cut
    /// off, logged, and kept in [`Self::torn_line`].
    ///
    /// # Errors
    /// When the journal cannot be opened, is in use by another service, or has
    /// a whole line that this service did not write.
    pub async fn start(
        listener: TcpListener,
        journal: &Path,
        faults: Faults,
    ) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(StartError::Address)?;
        let path = journal.to_owned();
        let opened = tokio::task::spawn_blocking(move || Desk::open(&path, faults));
        let (desk, torn) =
            opened.await.map_err(StartError::Recall)?.map_err(StartError::Journal)?;
        if let Some(torn) = &torn {
            let bytes = torn.text.len();
            tracing::warn!(journal = %journal.display(), line = torn.line, bytes, "cut off a torn line");
        }
        let desk = Arc::new(desk);
        let stopping = CancellationToken::new();
        let running = stopping.clone().drop_guard();
        let server = tokio::spawn(serve(listener, desk.clone(), stopping));
        Ok(Self { desk, address, torn, server, running })
    }

    /// Where the service is reached, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the faults for the requests that come from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.desk.set_faults(faults);
    }

    /// Settlements in the journal, those of earlier runs included. A key that
    /// was settled twice counts twice.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.desk.settled()
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
        let mut server = self.server;
        if time::timeout(STOP_LIMIT, &mut server).await.is_err() {
            tracing::warn!("the transaction service left a connection behind");
            server.abort();
        }
    }
}

async fn serve(tcp: TcpListener, desk: Arc<Desk>, stopping: CancellationToken) {
    let stopped = stopping.clone().cancelled_owned();
    let listener = MortalListener { tcp, stopping };
    let served = axum::serve(listener, routes(desk)).with_graceful_shutdown(stopped);
    if let Err(error) = served.await {
        tracing::error!(%error, "the transaction service ended");
    }
}
