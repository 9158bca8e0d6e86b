//! A channel to another part of the mesh that shows what this process has to show at that moment.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::body::Body;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::transport::{Channel, Endpoint, Error};
use tower::Service;

use super::caller::Shown;
use super::current::Current;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// A connection is asked whether it lives at this interval, even when nothing is called:
/// HTTP/2 does not notice a dead peer by itself.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(1);

/// It must answer within this time.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Headers of an answer that are taken: a refused project comes with all its problems, percent-encoded up to threefold.
const HEADERS_BYTES_MAX: u32 = 64 << 10;

/// A channel whose requests carry this process's token. When certificates or token were renewed, the next request opens a
/// connection with the new ones; streams that are open go on with what they were opened with. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    address: Arc<str>,
    shown: Current<Shown>,
    open: Arc<Mutex<Open>>,
}

struct Open {
    with: Arc<Shown>,
    channel: Channel,
}

/// Where to connect, and how; nothing is connected yet.
fn endpoint(address: &str, shown: &Shown) -> Result<Endpoint, Error> {
    let scheme = if shown.tls.is_some() { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?;
    if let Some(tls) = &shown.tls {
        endpoint = endpoint.tls_config(tls.clone())?;
    }
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADERS_BYTES_MAX))
}

impl Link {
    /// Connects when it is first used, and anew when the connection is lost.
    pub(super) fn new(address: &str, shown: &Current<Shown>) -> Result<Self, Error> {
        let with = shown.get();
        let channel = endpoint(address, &with)?.connect_lazy();
        let open = Arc::new(Mutex::new(Open { with, channel }));
        Ok(Link { address: address.into(), shown: shown.clone(), open })
    }

    /// The channel for the next request, and what it shows.
    fn channel(&self) -> (Channel, Option<HeaderValue>) {
        let shown = self.shown.get();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&open.with, &shown) {
            // what is shown was tried with an endpoint when it was read, so this does not fail
            if let Ok(endpoint) = endpoint(&self.address, &shown) {
                *open = Open { with: shown, channel: endpoint.connect_lazy() };
            }
        }
        (open.channel.clone(), open.with.authorization.clone())
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.address)
    }
}

impl Service<Request<Body>> for Link {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    /// Whether the channel has room is asked when it is known which one it is.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (mut channel, authorization) = self.channel();
        if let Some(value) = authorization {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Box::pin(async move {
            std::future::poll_fn(|cx| channel.poll_ready(cx)).await?;
            channel.call(request).await
        })
    }
}
