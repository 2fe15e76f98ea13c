//! The HTTP server for callbacks: accepts connections, within limits, until shutdown.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::clock::Clock;
use shared::queue::Producer;
use shared::shutdown::Shutdown;
use shared::transaction::EchoPolicy;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::handler::CallbackHandler;
use super::replay_cache::ReplayCache;
use super::secret::Secret;
use super::settings::CallbackSettings;

/// Connections at once, and so requests at once; more wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long a client may take to send the head of a request, or to ask anything at all.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Longest head of a request, and what is read ahead of a body.
const HEAD_BYTES: usize = 16 * 1024;
/// Pause after a failed accept, which mostly means that there are too many open files.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// A bound listener for callbacks.
#[derive(Debug)]
pub struct CallbackServer {
    listener: TcpListener,
    secrets: Vec<Secret>,
    echo: EchoPolicy,
}

impl CallbackServer {
    /// Binds the listener.
    ///
    /// # Errors
    /// The address cannot be bound, or its file cannot be written.
    pub async fn open(settings: &CallbackSettings, echo: EchoPolicy) -> io::Result<Self> {
        let file = settings.address_file.as_deref();
        let listener = shared::listener::open(settings.address, file, "callback port").await?;
        Ok(Self { listener, secrets: settings.secrets.clone(), echo })
    }

    /// Where it listens.
    #[cfg(test)]
    pub(super) fn address(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Puts what callbacks say into `confirmations` until shutdown; then finishes the
    /// requests in hand.
    pub(crate) async fn serve(self, confirmations: Producer, clock: Clock, shutdown: Shutdown) {
        let handler = CallbackHandler {
            secrets: self.secrets.clone().into(),
            confirmations,
            replays: ReplayCache::default(),
            echo: self.echo,
            clock,
        };
        let connections = TaskTracker::new();
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepting = accept(&self.listener, &permits);
            let Some((permit, accepted)) = shutdown.unless_requested(accepting).await else {
                break;
            };
            match accepted {
                Ok(stream) => {
                    let (handler, shutdown) = (handler.clone(), shutdown.clone());
                    connections.spawn(async move {
                        connection(stream, handler, shutdown).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the callback listener could not accept a connection: it tries again");
                    tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
                }
            }
        }
        // Whoever waits to be accepted is refused at once, and calls another confirmer.
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }
}

/// The next connection, once fewer than [`CONNECTIONS`] are open.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, io::Result<TcpStream>) {
    // It is never closed.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    (permit, listener.accept().await.map(|(stream, _)| stream))
}

/// Serves one connection; a request whose client goes away is dropped.
async fn connection(stream: TcpStream, handler: CallbackHandler, shutdown: Shutdown) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.respond(request.map(Body::new)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.requested() => {
            // The drain deadline bounds what is under way.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a callback's connection ended");
    }
}
