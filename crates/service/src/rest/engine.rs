//! An engine's status as the REST interface tells it.

use mesh_proto::election::Role;
use mesh_proto::engine::{ProjectStatus, StatusResponse};
use std::collections::BTreeMap;

use super::ServerInfo;

/// Port of publish and subscribe when no topic name says another one.
const PUBSUB_PORT: u16 = 31415;

/// A role in words.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "unknown",
        Role::Recovering => "recovering",
        Role::Standby => "standby",
        Role::TakingOver => "taking over",
        Role::Active => "active",
        Role::Quarantined => "quarantined",
    }
}

/// True when the engine is the active one for at least one of its projects.
pub fn is_primary(engine: &StatusResponse) -> bool {
    engine.projects.iter().any(|project| project.role() == Role::Active)
}

/// What `GET server` tells of an engine. `http`: address of its REST server, empty when it has none.
pub fn engine_info(engine: &StatusResponse, http: String) -> ServerInfo {
    let mut properties = BTreeMap::from([
        ("version".to_owned(), engine.version.clone()),
        ("url-host-port".to_owned(), engine.url_host_port.clone()),
        ("uptime-ms".to_owned(), engine.uptime_ms.to_string()),
        ("projects".to_owned(), engine.projects.len().to_string()),
    ]);
    for project in &engine.projects {
        properties.extend(project_properties(project));
    }
    let port = engine.url_host_port.rsplit('_').next().and_then(|port| port.parse().ok());
    ServerInfo {
        engine: engine.engine.clone(),
        primary: is_primary(engine),
        pubsub_port: port.unwrap_or(PUBSUB_PORT),
        http,
        properties,
    }
}

fn project_properties(project: &ProjectStatus) -> impl Iterator<Item = (String, String)> {
    let facts = [
        ("version", project.project_version.to_string()),
        ("role", role_name(project.role()).to_owned()),
        ("term", project.term.to_string()),
        ("commit", project.commit_number.to_string()),
        ("lag", project.lag_commits.to_string()),
        ("waits-for", project.waits_for.clone()),
        ("error", project.error.clone()),
    ];
    let connectors = project.connectors.iter().flat_map(|connector| {
        let told = [("state", connector.state.clone()), ("events", connector.events_total.to_string())];
        let error = Some(("error", connector.error.clone())).filter(|(_, error)| !error.is_empty());
        let facts = told.into_iter().chain(error);
        facts.map(move |(fact, value)| (format!("connector.{}.{fact}", connector.connector), value))
    });
    let name = project.project.clone();
    let told = facts.into_iter().filter(|(_, value)| !value.is_empty());
    let told: Vec<(String, String)> = told.map(|(fact, value)| (fact.to_owned(), value)).chain(connectors).collect();
    told.into_iter().map(move |(fact, value)| (format!("project.{name}.{fact}"), value))
}
