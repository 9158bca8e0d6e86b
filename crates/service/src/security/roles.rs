//! What each call needs. A role has all rights of those before it.

use serde::{Deserialize, Serialize};

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look: status, history, lists, topics, REST.
    View,
    /// Keep it running: hand over, drain, pause failover, save, skip, log level.
    Operate,
    /// Change what runs: projects and topics.
    Deploy,
    /// Be a part of the mesh: announce, take part in elections.
    Mesh,
}

impl Role {
    /// Its name in the file of tokens.
    pub fn name(self) -> &'static str {
        match self {
            Role::View => "view",
            Role::Operate => "operate",
            Role::Deploy => "deploy",
            Role::Mesh => "mesh",
        }
    }
}

/// Calls by the weakest role that may make them; whatever is not here is for the mesh itself.
const CALLS: [(Role, &str, &[&str]); 11] = [
    (
        Role::View,
        "mesh.coordinator.v1.Coordinator",
        &[
            "ListProjects",
            "ListVersions",
            "WatchProjects",
            "Status",
            "WatchStatus",
            "Diagnose",
            "History",
            "ListTopics",
        ],
    ),
    (
        Role::Operate,
        "mesh.coordinator.v1.Coordinator",
        &["Promote", "Drain", "Undrain", "Rebalance", "PauseFailover", "ResumeFailover", "Snapshot", "Skip"],
    ),
    (
        Role::Deploy,
        "mesh.coordinator.v1.Coordinator",
        &["Deploy", "Undeploy", "Rollback", "CreateTopic", "DeleteTopic"],
    ),
    (Role::View, "mesh.engine.v1.Engine", &["Status", "Watch"]),
    (Role::Operate, "mesh.engine.v1.Engine", &["Snapshot", "Skip"]),
    (Role::View, "mesh.election.v1.Election", &["Status", "Watch"]),
    (Role::Operate, "mesh.election.v1.Election", &["Promote", "Maintain"]),
    (Role::View, "mesh.adapter.v1.Adapter", &["Status", "Watch"]),
    (Role::View, "mesh.admin.v1.Admin", &["GetInfo", "GetConfig"]),
    (Role::Operate, "mesh.admin.v1.Admin", &["SetLogLevel"]),
    (Role::View, "grpc.reflection.v1.ServerReflection", &["ServerReflectionInfo"]),
];

/// Whether it lives is told to everybody: who orchestrates processes has no token.
const OPEN: &str = "/grpc.health.v1.Health/";

/// The weakest role that may make a gRPC call, by its path `/package.Service/Method`; `None`: anybody.
pub fn needed(path: &str) -> Option<Role> {
    if path.starts_with(OPEN) {
        return None;
    }
    let (service, method) = path.strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or_default();
    let call = CALLS.iter().find(|(_, known, methods)| *known == service && methods.contains(&method));
    Some(call.map_or(Role::Mesh, |(role, _, _)| *role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use std::collections::BTreeSet;

    /// Every call of the mesh's own packages.
    fn calls() -> Vec<(String, String)> {
        let set = prost_types::FileDescriptorSet::decode(mesh_proto::DESCRIPTOR_SET).unwrap();
        let of_file = |file: &prost_types::FileDescriptorProto| {
            let of_service = |service: &prost_types::ServiceDescriptorProto| {
                let name = format!("{}.{}", file.package(), service.name());
                service.method.iter().map(|method| (name.clone(), method.name().to_owned())).collect::<Vec<_>>()
            };
            file.service.iter().flat_map(of_service).collect::<Vec<_>>()
        };
        set.file.iter().flat_map(of_file).collect()
    }

    /// Whoever adds a call decides who may make it.
    #[test]
    fn every_call_that_there_is_has_been_decided_on() {
        let for_the_mesh = ["/mesh.coordinator.v1.Coordinator/Announce", "/mesh.election.v1.Election/Attend"];
        let mut found = BTreeSet::new();
        for (service, method) in calls() {
            let path = format!("/{service}/{method}");
            let expected_mesh = for_the_mesh.contains(&path.as_str());
            assert_eq!(needed(&path) == Some(Role::Mesh), expected_mesh, "{path}: name it in CALLS, or in this test");
            found.insert((service, method));
        }
        for (_, service, methods) in CALLS.iter().filter(|(_, service, _)| service.starts_with("mesh.")) {
            for method in *methods {
                assert!(found.contains(&((*service).to_owned(), (*method).to_owned())), "{service}/{method} is gone");
            }
        }
    }

    #[test]
    fn what_is_not_known_needs_most_and_health_nothing() {
        assert_eq!(needed("/mesh.coordinator.v1.Coordinator/NoSuch"), Some(Role::Mesh));
        assert_eq!(needed("nonsense"), Some(Role::Mesh));
        assert_eq!(needed("/grpc.health.v1.Health/Check"), None);
        assert!(Role::View < Role::Operate && Role::Operate < Role::Deploy && Role::Deploy < Role::Mesh);
    }
}
