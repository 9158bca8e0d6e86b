//! Calls to the coordinator: the first of those named that answers.

use mesh_proto::admin::Change;
use mesh_proto::coordinator::coordinator_client::CoordinatorClient;
use mesh_service::grpc::{MESSAGE_BYTES_MAX, Peers, request};
use mesh_service::security::{Caller, Link};
use mesh_service::{Kind, Refusal};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::{Request, Response, Status};

use crate::fail::Fail;

/// How long a question may take.
pub const ASK: Duration = Duration::from_secs(5);
/// How long a change may take: topics are created, a handover waits for the engines.
pub const CHANGE: Duration = Duration::from_secs(30);

/// The client of a coordinator.
pub type Client = CoordinatorClient<Link>;

/// The coordinators, of which one is used.
#[derive(Debug)]
pub struct Mesh {
    peers: Peers,
    named: String,
    who: String,
}

impl Mesh {
    /// The coordinators at these addresses, how they are called, and the person or program that asks.
    pub fn new(addresses: &[String], caller: &Caller, who: impl Into<String>) -> Mesh {
        let peers = Peers::new(addresses.iter().cloned(), caller);
        Mesh { peers, named: addresses.join(","), who: who.into() }
    }

    /// How other parts of the mesh are called: as the coordinators are.
    pub fn caller(&self) -> &Caller {
        self.peers.caller()
    }

    /// Where coordinators are named.
    pub fn addresses(&self) -> Vec<String> {
        self.named.split(',').filter(|address| !address.is_empty()).map(str::to_owned).collect()
    }

    /// Who asks for a change, and why: part of every message that changes something.
    pub fn change(&self, why: impl Into<String>) -> Option<Change> {
        Some(Change { who: self.who.clone(), why: why.into(), request_id: request_id() })
    }

    /// Asks each coordinator in turn until one answers; a refusal is an answer.
    pub async fn call<Q, A, F>(
        &mut self,
        what: &str,
        deadline: Duration,
        message: Q,
        mut method: impl FnMut(Client, Request<Q>) -> F,
    ) -> Result<A, Fail>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut last = None;
        for _ in 0..self.peers.len() {
            let link = self.peers.link()?;
            let client = CoordinatorClient::new(link).max_decoding_message_size(MESSAGE_BYTES_MAX);
            match method(client, request(message.clone(), deadline)).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => {
                    let refusal = Refusal::from_status(&format!("coordinator at {}", self.peers.address()), &status);
                    if !nobody_there(&refusal, &status) {
                        return Err(refusal.into());
                    }
                    last = Some(refusal);
                    self.peers.failed();
                }
            }
        }
        Err(self.unreachable(what, last))
    }

    /// Opens a stream at the coordinator in use (call something first, so that it is one that answers).
    pub async fn stream<Q, A, F>(
        &mut self,
        message: Q,
        method: impl FnOnce(Client, Request<Q>) -> F,
    ) -> Result<tonic::Streaming<A>, Fail>
    where
        F: Future<Output = Result<Response<tonic::Streaming<A>>, Status>>,
    {
        let client = CoordinatorClient::new(self.peers.link()?).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let opened = method(client, Request::new(message)).await;
        opened.map(Response::into_inner).map_err(|status| self.lost(&status))
    }

    /// What to tell when a stream broke.
    pub fn lost(&self, status: &Status) -> Fail {
        Refusal::from_status(&format!("coordinator at {}", self.peers.address()), status).into()
    }

    fn unreachable(&self, what: &str, last: Option<Refusal>) -> Fail {
        let found = last.map_or_else(|| "no coordinator is named".to_owned(), |refusal| refusal.to_string());
        Refusal::unavailable(what)
            .expected(format!("an answer from a coordinator at {}", self.named))
            .found(found)
            .way_out("start `esp-coordinator`, or name a running one with --coordinator or ESP_COORDINATOR")
            .into()
    }
}

/// Another one each time: when an answer is lost and the next coordinator is asked, nothing is done twice.
fn request_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("espctl-{:x}-{:x}", now.as_nanos(), std::process::id())
}

/// True when no coordinator said this: another one may answer.
fn nobody_there(refusal: &Refusal, status: &Status) -> bool {
    let from_transport = std::error::Error::source(status).is_some() || refusal.what.starts_with("call to ");
    refusal.kind == Kind::Unavailable && from_transport
}
