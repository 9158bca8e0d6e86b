//! Questions that go on to one engine of a project: the one that leads, or one that does not.

use std::time::Duration;

use mesh_proto::election::Role;
use mesh_proto::engine::engine_client::EngineClient;
use mesh_proto::engine::{SkipRequest, SkipResponse, SnapshotRequest, SnapshotResponse};
use mesh_service::Refusal;
use mesh_service::grpc::request;
use mesh_service::security::Link;
use tonic::Response;

use crate::mesh::Mesh;

/// A snapshot of much state takes its time.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(600);
/// A leader answers at once whether a block can be skipped.
const SKIP_TIMEOUT: Duration = Duration::from_secs(10);

impl Mesh {
    /// Has a project's state saved now: by the named engine, else by a standby, else by the leader.
    pub(crate) async fn snapshot(&self, project: &str, engine: &str) -> Result<SnapshotResponse, Refusal> {
        let what = format!("snapshot of project `{project}`");
        let roles = [Role::Standby, Role::Active];
        let mut client = self.engine(&what, project, engine, &roles).await?;
        let asked = client.snapshot(request(SnapshotRequest { project: project.to_owned() }, SNAPSHOT_TIMEOUT)).await;
        asked.map(Response::into_inner).map_err(|status| Refusal::from_status(&what, &status))
    }

    /// Has the leader go on without the block at which the project is parked.
    pub(crate) async fn skip(&self, message: SkipRequest) -> Result<SkipResponse, Refusal> {
        let what = format!("skip a block of project `{}`", message.project);
        let mut client = self.engine(&what, &message.project, "", &[Role::Active]).await?;
        let asked = client.skip(request(message, SKIP_TIMEOUT)).await;
        asked.map(Response::into_inner).map_err(|status| Refusal::from_status(&what, &status))
    }

    /// An engine that has the project in one of these roles, the first that any has.
    async fn engine(
        &self,
        what: &str,
        project: &str,
        engine: &str,
        roles: &[Role],
    ) -> Result<EngineClient<Link>, Refusal> {
        let status = self.status(project).await;
        let having = |role: Role| {
            status.members.iter().find_map(|member| {
                let announced = member.announced.as_ref()?;
                let runs = member.engine.as_ref()?.projects.iter().any(|on| on.role == i32::from(role));
                let named = engine.is_empty() || announced.name == engine;
                (runs && named).then(|| announced.address.clone())
            })
        };
        let Some(address) = roles.iter().find_map(|role| having(*role)) else {
            let names: Vec<&str> = roles.iter().map(|role| role.as_str_name().trim_start_matches("ROLE_")).collect();
            return Err(Refusal::unavailable(what)
                .expected(format!("an engine with the project as {}", names.join(" or ").to_lowercase()))
                .found(if engine.is_empty() { "none".to_owned() } else { format!("`{engine}` is not one") })
                .way_out("`espctl status` shows the engines and what they wait for"));
        };
        Ok(EngineClient::new(self.members.link(&address)?))
    }
}
