//! HTTP/1.1 with keep-alive, a task per connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustack_sqs_http::body::SqsResponseBody;
use rustack_sqs_http::service::{SqsHttpConfig, SqsHttpService};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::handler::Handler;
use super::query;

/// How long a connection may take to finish its answer once the server stops.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// Pause after a failed accept, which mostly means that there are too many open files.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

type Service = SqsHttpService<Handler>;

/// Accepts connections until `stop`, and waits for them to end.
pub(crate) async fn serve(
    listener: TcpListener,
    handler: Handler,
    region: String,
    stop: CancellationToken,
) {
    let config = SqsHttpConfig { region, ..SqsHttpConfig::default() };
    let service = SqsHttpService::new(Arc::new(handler), config);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, service.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Serves one connection. A request whose client goes away is dropped, its long poll with it.
async fn connection(stream: TcpStream, service: Service, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request| answer(service.clone(), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(LAST_ANSWER, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Answers one request, in the protocol that it came in.
async fn answer(
    service: Service,
    request: Request<Incoming>,
) -> Result<Response<SqsResponseBody>, Infallible> {
    if query::is_query(&request) { Ok(query::refusal()) } else { service.call(request).await }
}
