//! Connections: accepting them, and cutting them.

use std::collections::HashSet;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request as HyperRequest, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Sleep;

use super::faults::Shares;
use super::line::{Line, Reply};
use super::upstream::{Answer, Request, Upstream};
use super::{Bug, Counts, Faults, Service};

/// Most bytes of a request. SQS takes 1 MiB.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// Half an answer is given time to arrive before the connection is cut.
const HALF: Duration = Duration::from_millis(10);

/// A running proxy in front of one service. It stops when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    server: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    /// Starts a proxy in front of `service` at `endpoint`, on a port of loopback that the
    /// system chooses. It passes everything until told otherwise.
    ///
    /// # Errors
    /// No port, or no HTTP client.
    pub async fn start(service: Service, endpoint: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let line = Arc::new(Line::new(service, Upstream::new(endpoint)?));
        let server = tokio::spawn(accept(listener, Arc::clone(&line)));
        Ok(Self { address, line, server })
    }

    /// Starts a proxy that delays each answer by up to `latest`, spread evenly from nothing on, as
    /// the way to an AWS region does.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub async fn late(
        service: Service,
        endpoint: String,
        latest: Duration,
    ) -> anyhow::Result<Self> {
        let proxy = Self::start(service, endpoint).await?;
        let shares = Shares { late_answer: 1.0, ..Shares::default() };
        proxy.set_faults(Faults { seed: 1, shares, latest });
        Ok(proxy)
    }

    /// Where clients reach it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What goes wrong from the next request on.
    pub fn set_faults(&self, faults: Faults) {
        self.line.set_faults(faults);
    }

    /// Makes the services behave as if they had `bug` from the next request on.
    pub fn plant(&self, bug: Bug) {
        self.line.plant(bug);
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.line.counts()
    }

    /// Ids of payments that were queued behind later ones of their account, because SQS took
    /// a part of a batch and refused them.
    #[must_use]
    pub fn overtaken(&self) -> HashSet<String> {
        self.line.overtaken()
    }
}

async fn accept(listener: TcpListener, line: Arc<Line>) {
    // Dropped with the server, which cuts every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection(stream, Arc::clone(&line)));
                }
                // No more file handles: some will be free again.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, line: Arc<Line>) {
    let service = service_fn(|request| {
        let line = Arc::clone(&line);
        async move {
            let request = read(request).await?;
            // A task of its own: it goes on when the client hangs up.
            let serving = tokio::spawn(async move { line.serve(request).await });
            respond(serving.await.map_err(|_| Cut)?)
        }
    });
    // However it ends, there is nobody to tell.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn read(request: HyperRequest<Incoming>) -> Result<Request, Cut> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
        if let Ok(data) = frame.map_err(|_| Cut)?.into_data() {
            body.extend_from_slice(&data);
        }
        if body.len() > MAX_REQUEST {
            return Err(Cut);
        }
    }
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok(Request { method: head.method, path_and_query, headers: head.headers, body })
}

fn respond(reply: Reply) -> Result<Response<AnswerBody>, Cut> {
    let (answer, body) = match reply {
        Reply::Cut => return Err(Cut),
        Reply::Whole(mut answer) => {
            let body = Bytes::from(std::mem::take(&mut answer.body));
            (answer, AnswerBody::Whole(Some(body)))
        }
        Reply::Half(mut answer) => {
            let whole = std::mem::take(&mut answer.body);
            if whole.is_empty() {
                return Err(Cut);
            }
            let first = Bytes::copy_from_slice(&whole[..whole.len() / 2]);
            let pause = Box::pin(tokio::time::sleep(HALF));
            (answer, AnswerBody::Half { length: whole.len() as u64, first: Some(first), pause })
        }
    };
    let Answer { status, headers, .. } = answer;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The connection is to be cut: `hyper` closes it without another word.
#[derive(Debug, thiserror::Error)]
#[error("the fault proxy cuts the connection")]
struct Cut;

/// The body of an answer, whole or broken off.
enum AnswerBody {
    Whole(Option<Bytes>),
    Half { length: u64, first: Option<Bytes>, pause: Pin<Box<Sleep>> },
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut *self {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Half { first, pause, .. } => match first.take() {
                Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
                None => pause.as_mut().poll(cx).map(|()| Some(Err(Cut))),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            Self::Half { length, .. } => SizeHint::with_exact(*length),
        }
    }
}
