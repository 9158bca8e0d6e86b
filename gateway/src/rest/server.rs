//! Resource `server`: the mesh as if it were one engine; with `?engine=NAME`, one of its engines.

use mesh_proto::coordinator::{Member, MeshStatusResponse};
use mesh_service::Refusal;
use mesh_service::rest::{ServerInfo, ServerProvider, engine_info, is_primary};
use std::collections::BTreeMap;
use std::pin::Pin;

use crate::config::GatewayConfig;
use crate::mesh::Mesh;

/// Answers for the mesh.
pub(crate) struct MeshServer {
    mesh: Mesh,
    mesh_name: String,
    pubsub_port: u16,
    http: String,
}

impl MeshServer {
    pub(crate) fn new(config: &GatewayConfig, mesh: Mesh, http: String) -> Self {
        MeshServer { mesh, mesh_name: config.mesh_name.clone(), pubsub_port: config.pubsub_port, http }
    }

    fn mesh_info(&self, status: &MeshStatusResponse) -> ServerInfo {
        let engines = || status.members.iter().filter_map(|member| member.engine.as_ref());
        let names: Vec<&str> = engines().map(|engine| engine.engine.as_str()).collect();
        let mut properties =
            BTreeMap::from([("engines".to_owned(), names.join("|")), ("mesh".to_owned(), "true".to_owned())]);
        for group in &status.groups {
            properties.insert(format!("group.{}.leader", group.group), group.leader.clone());
            properties.insert(format!("group.{}.term", group.group), group.term.to_string());
        }
        for missing in &status.unavailable {
            properties.insert(format!("unavailable.{}", missing.part), missing.reason.clone());
        }
        let told = engines().find(|engine| !engine.url_host_port.is_empty());
        ServerInfo {
            engine: self.mesh_name.clone(),
            primary: engines().any(is_primary),
            pubsub_port: told.map_or(self.pubsub_port, |engine| engine_info(engine, String::new()).pubsub_port),
            http: self.http.clone(),
            properties,
        }
    }
}

/// `host:port` of an engine's own REST server; empty when it has none.
fn rest_address(member: &Member) -> String {
    let Some(announced) = member.announced.as_ref().filter(|announced| announced.rest_port != 0) else {
        return String::new();
    };
    let host = announced.address.rsplit_once(':').map_or(announced.address.as_str(), |(host, _)| host);
    format!("{host}:{}", announced.rest_port)
}

fn one_engine(status: &MeshStatusResponse, name: &str) -> Result<ServerInfo, Refusal> {
    let named = |member: &&Member| {
        member.announced.as_ref().is_some_and(|announced| announced.kind == "engine" && announced.name == name)
    };
    let Some(member) = status.members.iter().find(named) else {
        let known = status.members.iter().filter_map(|member| member.announced.as_ref());
        let names: Vec<&str> = known.filter(|one| one.kind == "engine").map(|one| one.name.as_str()).collect();
        return Err(Refusal::not_found(format!("engine `{name}`"))
            .expected(if names.is_empty() {
                "an engine of the mesh".into()
            } else {
                format!("one of {}", names.join(", "))
            })
            .found("no such engine")
            .way_out("leave `engine` out for the whole mesh"));
    };
    match &member.engine {
        Some(engine) => Ok(engine_info(engine, rest_address(member))),
        None => {
            let reason = status.unavailable.iter().find(|missing| missing.part == name);
            Err(Refusal::unavailable(format!("engine `{name}`"))
                .found(reason.map_or_else(|| "it did not answer".to_owned(), |missing| missing.reason.clone()))
                .way_out("the others go on without it; see its log"))
        }
    }
}

impl ServerProvider for MeshServer {
    fn server(&self, engine: Option<String>) -> Pin<Box<dyn Future<Output = Result<ServerInfo, Refusal>> + Send + '_>> {
        Box::pin(async move {
            let status = self.mesh.status()?;
            match engine {
                Some(name) => one_engine(&status, &name),
                None => Ok(self.mesh_info(&status)),
            }
        })
    }
}
