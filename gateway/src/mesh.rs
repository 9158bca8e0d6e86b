//! The mesh as the gateway knows it: one watch at any coordinator, the last status it sent.

use mesh_proto::coordinator::coordinator_client::CoordinatorClient;
use mesh_proto::coordinator::{MeshStatusRequest, MeshStatusResponse};
use mesh_service::grpc::{MESSAGE_BYTES_MAX, Peers};
use mesh_service::{Drain, Latch, Refusal};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Waits between attempts: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// The last known status of the mesh. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mesh {
    last: watch::Receiver<Last>,
    stale_after: Duration,
}

#[derive(Debug, Clone)]
struct Last {
    status: Option<(Instant, Arc<MeshStatusResponse>)>,
    /// Why there is no newer one.
    error: Option<Refusal>,
}

impl Mesh {
    /// Starts watching; `latch` is released at the first status.
    pub fn start(coordinators: Peers, stale_after: Duration, drain: Drain, latch: Latch) -> Self {
        let (sender, last) = watch::channel(Last { status: None, error: None });
        tokio::spawn(follow(coordinators, sender, drain, latch));
        Mesh { last, stale_after }
    }

    /// The status, unless it is too old to be true.
    pub fn status(&self) -> Result<Arc<MeshStatusResponse>, Refusal> {
        let last = self.last.borrow();
        if let Some((_, status)) = last.status.as_ref().filter(|(at, _)| at.elapsed() < self.stale_after) {
            return Ok(status.clone());
        }
        let found = last.error.as_ref().map_or_else(|| "no answer yet".to_owned(), Refusal::to_string);
        Err(Refusal::unavailable("status of the mesh")
            .expected(format!("an answer of a coordinator within the last {:?}", self.stale_after))
            .found(found)
            .way_out("see that a coordinator is up; the engines' own ports answer without it"))
    }
}

async fn follow(mut peers: Peers, sender: watch::Sender<Last>, drain: Drain, latch: Latch) {
    let mut latch = Some(latch);
    let mut backoff = BACKOFF.0;
    loop {
        let refusal = tokio::select! {
            () = drain.started() => return,
            refusal = read(&mut peers, |status| {
                drop(latch.take());
                backoff = BACKOFF.0;
                sender.send_replace(Last { status: Some((Instant::now(), Arc::new(status))), error: None });
            }) => refusal,
        };
        sender.send_modify(|last| {
            if last.error.is_none() {
                tracing::warn!(%refusal, "lost the coordinator");
            }
            last.error = Some(refusal);
        });
        peers.failed();
        tokio::select! {
            () = drain.started() => return,
            () = tokio::time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(BACKOFF.1);
    }
}

/// Reads a watch until it breaks; returns why.
async fn read(peers: &mut Peers, mut take: impl FnMut(MeshStatusResponse)) -> Refusal {
    let target = format!("coordinator at {}", peers.address());
    let link = match peers.link() {
        Ok(link) => link,
        Err(refusal) => return refusal,
    };
    let mut client = CoordinatorClient::new(link).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut stream = match client.watch_status(MeshStatusRequest::default()).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Refusal::from_status(&target, &status),
    };
    loop {
        match stream.message().await {
            Ok(Some(status)) => take(status),
            Ok(None) => return Refusal::unavailable(format!("watch at {target}")).found("it ended the watch"),
            Err(status) => return Refusal::from_status(&target, &status),
        }
    }
}
