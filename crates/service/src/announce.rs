//! Tells the coordinator that this process is there, for as long as it is.

use mesh_proto::coordinator::AnnounceRequest;
use mesh_proto::coordinator::coordinator_client::CoordinatorClient;
use std::time::Duration;

use crate::drain::Drain;
use crate::grpc::{Peers, request};
use crate::security::Caller;
use crate::status::Refusal;

/// How often; the coordinator expects it at least every 2 s.
const EVERY: Duration = Duration::from_secs(1);

/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(1);

/// Waits after failures: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Announces until the drain starts. With several coordinators, the next one is tried when one fails.
pub async fn run(coordinators: Vec<String>, caller: Caller, announcement: AnnounceRequest, drain: Drain) {
    let mut peers = Peers::new(coordinators, &caller);
    if peers.is_empty() {
        return;
    }
    let mut backoff = BACKOFF.0;
    let mut reached: Option<bool> = None;
    loop {
        let wait = match announce_once(&mut peers, &announcement).await {
            Ok(()) => {
                if reached != Some(true) {
                    tracing::info!(coordinator = peers.address(), name = announcement.name, "announced");
                }
                reached = Some(true);
                backoff = BACKOFF.0;
                EVERY
            }
            Err(refusal) => {
                if reached != Some(false) {
                    tracing::warn!(%refusal, "coordinator not reached, going on without it");
                }
                reached = Some(false);
                peers.failed();
                let wait = backoff;
                backoff = (backoff * 2).min(BACKOFF.1);
                wait
            }
        };
        tokio::select! {
            () = drain.started() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn announce_once(peers: &mut Peers, announcement: &AnnounceRequest) -> Result<(), Refusal> {
    let mut client = CoordinatorClient::new(peers.link()?);
    let answer = client.announce(request(announcement.clone(), DEADLINE)).await;
    answer.map(|_| ()).map_err(|status| Refusal::from_status(&format!("coordinator at {}", peers.address()), &status))
}
