//! A connection that ends when the service stops or goes down.
//!
//! axum closes connections gracefully: it waits for answers that are under way,
//! and a held request has none coming. So each connection listens for the end
//! itself, and to hyper the end looks as if the client had hung up.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::availability::AvailabilitySwitch;

/// Accepts connections that end when the service goes down or the service stops.
pub(crate) struct ServiceListener {
    pub(crate) tcp: TcpListener,
    pub(crate) availability: Arc<AvailabilitySwitch>,
}

impl Listener for ServiceListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (tcp, client) = Listener::accept(&mut self.tcp).await;
        // Without it, an answer waits for the client's delayed acknowledgement.
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%client, %error, "TCP_NODELAY not set");
        }
        let cut = self.availability.cut();
        let woken = Box::pin(cut.clone().cancelled_owned());
        let connection = Connection {
            tcp,
            availability: self.availability.clone(),
            cut,
            woken,
            state: ConnectionState::Open,
        };
        (connection, client)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// One client's connection.
pub(crate) struct Connection {
    tcp: TcpStream,
    availability: Arc<AvailabilitySwitch>,
    cut: CancellationToken,
    /// Wakes the connection at the cut. hyper reads at all times, even while
    /// an answer is being made, to notice a client that hangs up.
    woken: Pin<Box<WaitForCancellationFutureOwned>>,
    state: ConnectionState,
}

/// Whether the connection was cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionState {
    Open,
    Cut,
}

impl Connection {
    /// Nothing leaves after the cut, not even the answer to a request that was
    /// cut off in the middle.
    fn check(&self) -> io::Result<()> {
        let open = self.state == ConnectionState::Open && !self.cut.is_cancelled();
        if open { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    /// Waits for the first byte of a request, counts it and hangs up. A
    /// connection on which nothing is asked is no request, and is good for one
    /// when the availability is open again.
    fn count_unanswered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut first = [0; 1];
        let mut first = ReadBuf::new(&mut first);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut first))?;
        if !first.filled().is_empty() {
            self.availability.count_unanswered();
        }
        self.state = ConnectionState::Cut;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.state == ConnectionState::Cut {
            return Poll::Ready(Ok(()));
        }
        if self.woken.as_mut().poll(cx).is_ready() {
            // A request may have come over an open connection at that very moment.
            if self.availability.is_down() {
                let _ = self.count_unanswered(cx);
            }
            self.state = ConnectionState::Cut;
            return Poll::Ready(Ok(()));
        }
        if self.availability.is_down() {
            return self.count_unanswered(cx);
        }
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
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
