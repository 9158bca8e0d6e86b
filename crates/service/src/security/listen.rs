//! Accepted connections: bounded in number, encrypted where there is a certificate, and ended with their server.
//!
//! tonic and axum spawn a task per connection, which outlives the future that serves. A service that was cut off or whose
//! task was dropped must not go on answering on connections that were open before.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected as ForRouter;
use axum::serve::IncomingStream;
use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::limit::{Limits, Rate};
use super::seldom::Seldom;
use super::tls::Door;

/// A handshake that takes longer is given up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// Pause after an accept that failed, which mostly means that there are no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whom a connection comes from, and what it may still ask for; an extension of each of its requests.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Address of the other side.
    pub address: SocketAddr,
    pub(super) rate: Arc<Rate>,
    pub(super) in_work: Arc<Semaphore>,
}

/// A connection that fails once the token is cancelled.
pub(crate) struct Connection {
    stream: Link,
    peer: Peer,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _permit: OwnedSemaphorePermit,
}

enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connections of a listener, ended by the token, at most as many at a time as the door says; more wait to be accepted.
pub(crate) fn incoming(
    listener: TcpListener,
    door: Door,
    limits: Limits,
    cut: CancellationToken,
) -> impl Stream<Item = Connection> + Send {
    let connections_max = door.connections_max;
    let permits = Arc::new(Semaphore::new(connections_max));
    let failures = Arc::new(Seldom::default());
    let accepted = stream::unfold((listener, permits), |(listener, permits)| async move {
        let permit = permits.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some(((stream, peer, permit), (listener, permits))),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    let opened = accepted.map(move |(stream, address, permit)| {
        // certificates may have been renewed since the connection before
        let (tls, cut, failures) = (door.acceptor(), cut.clone(), failures.clone());
        let rate = Arc::new(Rate::new(door.connection_rate_max));
        let peer = Peer { address, rate, in_work: limits.in_work() };
        async move {
            // small answers must not wait for the acknowledgement of the one before
            let link = match stream.set_nodelay(true) {
                Ok(()) => shake_hands(stream, tls).await,
                Err(error) => Err(error),
            };
            match link {
                Ok(stream) => Some(Connection { stream, peer, cut: Box::pin(cut.cancelled_owned()), _permit: permit }),
                Err(error) => {
                    if failures.due() {
                        let hint = "a connection was not opened; see `tls.cert` and `tls.client_ca`";
                        tracing::warn!(peer = %address, %error, "{hint}");
                    }
                    None
                }
            }
        }
    });
    // each handshake has its connection's permit, so there are never more
    opened.buffer_unordered(connections_max).filter_map(std::future::ready)
}

async fn shake_hands(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Link> {
    let Some(tls) = tls else { return Ok(Link::Plain(stream)) };
    match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(shaken) => Ok(Link::Tls(Box::new(shaken?))),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no TLS handshake within {HANDSHAKE_MAX:?}"))),
    }
}

impl Connection {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server has ended")),
            Poll::Pending => Ok(()),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // HTTP/2 reads all the time, so the cut always wakes the connection here
        self.check(cx)?;
        match &mut self.stream {
            Link::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Link::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Link::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Link::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Link::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Link::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Link::Plain(stream) => stream.is_write_vectored(),
            Link::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Link::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Link::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Link::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Link::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The same for axum's server.
pub(crate) struct RestListener<S> {
    incoming: Pin<Box<S>>,
    address: SocketAddr,
}

impl<S> RestListener<S> {
    pub(crate) fn new(address: SocketAddr, incoming: S) -> Self {
        RestListener { incoming: Box::pin(incoming), address }
    }
}

impl<S: Stream<Item = Connection> + Send + 'static> axum::serve::Listener for RestListener<S> {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        match self.incoming.next().await {
            Some(connection) => {
                let peer = connection.peer.clone();
                (connection, peer)
            }
            // the stream of a listener never ends
            None => std::future::pending().await,
        }
    }

    /// Nobody asks; what is told is this side, with nothing to ask for.
    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { address: self.address, rate: Arc::new(Rate::new(1)), in_work: Arc::new(Semaphore::new(0)) })
    }
}

impl<S: Stream<Item = Connection> + Send + 'static> ForRouter<IncomingStream<'_, RestListener<S>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, RestListener<S>>) -> Peer {
        stream.remote_addr().clone()
    }
}
