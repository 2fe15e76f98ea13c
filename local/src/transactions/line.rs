//! A connection that dies when the service stops.
//!
//! axum closes connections gracefully: it waits for answers that are under way,
//! and a held request has none coming. So each connection listens for the stop
//! itself, and to hyper a stop looks as if the client had hung up.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Accepts connections that die when `stopping` is cancelled.
pub(crate) struct MortalListener {
    pub(crate) tcp: TcpListener,
    pub(crate) stopping: CancellationToken,
}

impl Listener for MortalListener {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (tcp, client) = Listener::accept(&mut self.tcp).await;
        // Without it, an answer waits for the client's delayed acknowledgement.
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%client, %error, "TCP_NODELAY not set");
        }
        let stopping = self.stopping.clone();
        let stopped = Box::pin(stopping.clone().cancelled_owned());
        (Line { tcp, stopping, stopped }, client)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// One client's connection.
pub(crate) struct Line {
    tcp: TcpStream,
    stopping: CancellationToken,
    /// Wakes the connection at the stop. hyper reads at all times, even while
    /// an answer is being made, to notice a client that hangs up.
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Line {
    /// Nothing leaves after the stop, not even the answer to a request that was
    /// cut off in the middle.
    fn check(&self) -> io::Result<()> {
        if self.stopping.is_cancelled() { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
