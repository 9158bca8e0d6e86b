//! Calling another part of the mesh.

use std::time::Duration;
use tonic::Request;
use tonic::metadata::MetadataValue;

use crate::security::{Caller, Link};
use crate::status::Refusal;
use crate::telemetry;

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
    caller: Caller,
    link: Option<Link>,
}

impl Peers {
    /// From `host:port` addresses, and how they are called.
    pub fn new(addresses: impl IntoIterator<Item = String>, caller: &Caller) -> Self {
        Peers { addresses: addresses.into_iter().collect(), at: 0, caller: caller.clone(), link: None }
    }

    /// How they are called.
    pub fn caller(&self) -> &Caller {
        &self.caller
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
    pub fn link(&mut self) -> Result<Link, Refusal> {
        if let Some(link) = &self.link {
            return Ok(link.clone());
        }
        let link = self.caller.connect(self.address())?;
        self.link = Some(link.clone());
        Ok(link)
    }

    /// The one in use failed: the next call goes to the next one.
    pub fn failed(&mut self) {
        self.link = None;
        if !self.addresses.is_empty() {
            self.at = (self.at + 1) % self.addresses.len();
        }
    }
}
