//! Follows the status of the mesh at the coordinator.

use mesh_proto::coordinator::{MeshStatusRequest, MeshStatusResponse};
use std::time::Duration;
use tokio::sync::watch;

use crate::mesh::Mesh;
use crate::status::View;

/// Wait before a broken watch is opened again.
const RETRY: Duration = Duration::from_millis(50);

/// The last status, kept up to date by a task that ends with the last receiver.
pub fn follow(mut mesh: Mesh) -> watch::Receiver<View> {
    let (sender, receiver) = watch::channel(View::new(&MeshStatusResponse::default(), None));
    tokio::spawn(async move {
        while !sender.is_closed() {
            let open = |mut client: crate::mesh::Client, request| async move { client.watch_status(request).await };
            if let Ok(mut stream) = mesh.stream(MeshStatusRequest::default(), open).await {
                while let Ok(Some(status)) = stream.message().await {
                    sender.send_replace(View::new(&status, None));
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    });
    receiver
}

/// What the script asks of a view.
impl View {
    /// The engine that leads the project's group, and its term.
    pub fn leader(&self) -> Option<(&str, u64)> {
        let group = self.groups.first().filter(|group| !group.leader.is_empty())?;
        Some((&group.leader, group.term))
    }

    /// Role of an engine's project.
    pub fn role(&self, engine: &str) -> Option<&str> {
        let engine = self.engines.iter().find(|one| one.engine == engine && one.answers)?;
        engine.projects.first().map(|project| project.role)
    }

    /// True when one engine leads and each of these others could take over at once.
    pub fn is_healthy(&self, engines: &[&str]) -> bool {
        let Some((leader, _)) = self.leader() else { return false };
        let in_role = |engine: &&str| {
            let wanted = if *engine == leader { "active" } else { "standby" };
            self.role(engine) == Some(wanted)
        };
        let Some(group) = self.groups.first() else { return false };
        let caught_up =
            |engine: &&str| group.candidates.iter().any(|one| one.candidate == **engine && one.caught_up == Some(true));
        engines.iter().all(in_role) && engines.iter().all(caught_up)
    }
}
