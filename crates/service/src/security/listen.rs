//! Accepted connections: bounded in number, encrypted where there is a certificate, and ended with their server.
//!
//! tonic and axum spawn a task per connection, which outlives the future that serves. A service that was cut off or whose
//! task was dropped must not go on answering on connections that were open before.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// A handshake that takes longer is given up.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// Pause after an accept that failed, which mostly means that there are no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Strangers cannot fill the log with handshakes that fail: one line in this time.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A connection that fails once the token is cancelled.
pub(crate) struct Connection {
    stream: Link,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _permit: OwnedSemaphorePermit,
}

enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connections of a listener, ended by the token. At most `connections_max` at a time; more wait to be accepted.
pub(crate) fn incoming(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections_max: usize,
    cut: CancellationToken,
) -> impl Stream<Item = Connection> + Send {
    let permits = Arc::new(Semaphore::new(connections_max));
    let failures = Arc::new(Failures { since: Instant::now(), next_ms: AtomicU64::new(0) });
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
    let opened = accepted.map(move |(stream, peer, permit)| {
        let (tls, cut, failures) = (tls.clone(), cut.clone(), failures.clone());
        async move {
            // small answers must not wait for the acknowledgement of the one before
            let link = match stream.set_nodelay(true) {
                Ok(()) => shake_hands(stream, tls).await,
                Err(error) => Err(error),
            };
            match link {
                Ok(stream) => {
                    let local = stream.tcp().local_addr().ok();
                    Some(Connection { stream, peer, local, cut: Box::pin(cut.cancelled_owned()), _permit: permit })
                }
                Err(error) => {
                    failures.tell(peer, &error);
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

/// Handshakes that failed: told, but not all of them.
struct Failures {
    since: Instant,
    next_ms: AtomicU64,
}

impl Failures {
    fn tell(&self, peer: SocketAddr, error: &io::Error) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let pause = TELL_EVERY.as_millis() as u64;
        let due = self.next_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            (now >= next).then_some(now.saturating_add(pause))
        });
        if due.is_ok() {
            tracing::warn!(%peer, %error, "a connection was not opened; see `tls.cert` and `tls.client_ca`");
        }
    }
}

impl Link {
    fn tcp(&self) -> &TcpStream {
        match self {
            Link::Plain(stream) => stream,
            Link::Tls(stream) => stream.get_ref().0,
        }
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
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        TcpConnectInfo { local_addr: self.local, remote_addr: Some(self.peer) }
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
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.incoming.next().await {
            Some(connection) => {
                let peer = connection.peer;
                (connection, peer)
            }
            // the stream of a listener never ends
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
