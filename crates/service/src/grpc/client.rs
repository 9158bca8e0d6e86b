//! Calling another part of the mesh.

use std::time::Duration;
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};

use crate::config::is_host_port;
use crate::status::Refusal;
use crate::telemetry;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// A connection is asked whether it lives at this interval, even when nothing is called:
/// HTTP/2 does not notice a dead peer by itself.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(1);

/// It must answer within this time.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Headers of an answer that are taken: a refused project comes with all its problems, percent-encoded up to threefold.
const HEADERS_BYTES_MAX: u32 = 64 << 10;

/// A channel to `host:port` that connects when it is first used, and anew when the connection is lost.
pub fn connect(address: &str) -> Result<Channel, Refusal> {
    let wrong = || Refusal::invalid("connect").expected("an address `host:port`").found(format!("`{address}`"));
    if !is_host_port(address) {
        return Err(wrong());
    }
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| wrong())?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .connect_lazy())
}

/// A request with its deadline, carrying the trace that is current here. Streams: the deadline covers their whole life
/// at the caller, so give them none ([`Request::new`]).
pub fn request<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    if let Some((traceparent, tracestate)) = telemetry::inject() {
        let metadata = request.metadata_mut();
        if let Ok(value) = MetadataValue::try_from(traceparent) {
            metadata.insert("traceparent", value);
        }
        if let Some(value) = MetadataValue::try_from(tracestate).ok().filter(|value| !value.is_empty()) {
            metadata.insert("tracestate", value);
        }
    }
    request
}

/// Instances of a service of which any will do: one is used until it fails, then the next.
#[derive(Debug, Clone)]
pub struct Peers {
    addresses: Vec<String>,
    at: usize,
    channel: Option<Channel>,
}

impl Peers {
    /// From `host:port` addresses.
    pub fn new(addresses: impl IntoIterator<Item = String>) -> Self {
        Peers { addresses: addresses.into_iter().collect(), at: 0, channel: None }
    }

    /// True when there is nobody to call.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// The one in use; empty when there is none.
    pub fn address(&self) -> &str {
        self.addresses.get(self.at).map_or("", String::as_str)
    }

    /// A channel to the one in use.
    pub fn channel(&mut self) -> Result<Channel, Refusal> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        let channel = connect(self.address())?;
        self.channel = Some(channel.clone());
        Ok(channel)
    }

    /// The one in use failed: the next call goes to the next one.
    pub fn failed(&mut self) {
        self.channel = None;
        if !self.addresses.is_empty() {
            self.at = (self.at + 1) % self.addresses.len();
        }
    }
}
