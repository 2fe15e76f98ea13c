//! The port of callbacks: so many connections, each with its limits, until shutdown.

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

use super::CallbackSettings;
use super::handler::Desk;
use super::replay_cache::TakenLately;
use super::secret::Secret;

/// Connections at once, and so requests at once; more wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long a client may take to send the head of a request, or to ask anything at all.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Longest head of a request, and what is read ahead of a body.
const HEAD_BYTES: usize = 16 * 1024;
/// Pause after a failed accept, which mostly means that there are too many open files.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// An open port for callbacks.
#[derive(Debug)]
pub struct Callbacks {
    listener: TcpListener,
    secrets: Vec<Secret>,
    echo: EchoPolicy,
}

impl Callbacks {
    /// Opens the port.
    ///
    /// # Errors
    /// The address cannot be bound, or its file cannot be written.
    pub async fn open(settings: &CallbackSettings, echo: EchoPolicy) -> io::Result<Self> {
        let file = settings.address_file.as_deref();
        let listener = shared::listener::open(settings.address, file, "callback port").await?;
        Ok(Self { listener, secrets: settings.secrets.clone(), echo })
    }

    /// Puts what callbacks say into `confirmations` until shutdown; then finishes the
    /// requests in hand.
    pub(crate) async fn serve(self, confirmations: Producer, clock: Clock, shutdown: Shutdown) {
        let desk = Desk {
            secrets: self.secrets.clone().into(),
            confirmations,
            taken: TakenLately::default(),
            echo: self.echo,
            clock,
        };
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepting = accept(&self.listener, &places);
            let Some((place, accepted)) = shutdown.unless_requested(accepting).await else {
                break;
            };
            match accepted {
                Ok(stream) => {
                    let (desk, shutdown) = (desk.clone(), shutdown.clone());
                    connections.spawn(async move {
                        connection(stream, desk, shutdown).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a callback's connection was not accepted");
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

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, io::Result<TcpStream>) {
    // It is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    (place, listener.accept().await.map(|(stream, _)| stream))
}

/// Serves one connection; a request whose client goes away is dropped.
async fn connection(stream: TcpStream, desk: Desk, shutdown: Shutdown) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(desk.respond(request.map(Body::new)).await) }
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
