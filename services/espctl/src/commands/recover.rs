//! `espctl recover`: why engines cannot go on with a project, how far recoveries are, and the ways out.

use mesh_proto::coordinator::MeshStatusRequest;
use mesh_proto::election::Role;
use mesh_proto::engine::ProjectStatus;

use crate::cli::Recover;
use crate::fail::Fail;
use crate::mesh::{ASK, Mesh};
use crate::out;

/// Looks at every engine that has the project.
pub async fn run(arguments: Recover, mesh: &mut Mesh) -> Result<(), Fail> {
    let message = MeshStatusRequest { project: arguments.project.clone() };
    let ask = |mut client: crate::mesh::Client, request| async move { client.status(request).await };
    let answer = mesh.call("read the status", ASK, message, ask).await?;
    let engines = answer.members.into_iter().filter_map(|member| member.engine);
    let found: Vec<(String, ProjectStatus)> = engines
        .flat_map(|engine| engine.projects.into_iter().map(move |project| (engine.engine.clone(), project)))
        .collect();
    if found.is_empty() {
        out::note(&format!("no engine has `{}`; `espctl project list` names what is deployed", arguments.project));
        return Ok(());
    }
    for (engine, project) in &found {
        for text in describe(engine, project) {
            out::line(&text)?;
        }
    }
    Ok(())
}

/// What there is to say of a project on an engine.
fn describe(engine: &str, on: &ProjectStatus) -> Vec<String> {
    let role = Role::try_from(on.role).unwrap_or_default();
    let name = role.as_str_name().trim_start_matches("ROLE_").to_lowercase();
    let mut lines = vec![format!("{engine}: {name} at commit {}", on.commit_number)];
    let project = &on.project;
    if let Some(recovery) = &on.recovery {
        let from = if recovery.snapshot.is_empty() { "the start of the commit log" } else { &recovery.snapshot };
        let read = format!("{} of {} bytes read", recovery.bytes_read, recovery.bytes);
        let left = format!("{} commits left, about {} ms", recovery.commits_left, recovery.eta_ms);
        lines.push(format!("  recovering from {from}: {read}, {left}"));
    }
    if let Some(parked) = &on.parked {
        lines.push(format!("  parked at offset {} of {}: {}", parked.position, parked.topic, parked.reason));
        lines.push(format!("  way out: `espctl skip {project} --position {}`", parked.position));
        lines.push("  way out: deploy a project file without the fault under a new project name".to_owned());
    }
    if role == Role::Quarantined {
        let why = if on.waits_for.is_empty() { &on.error } else { &on.waits_for };
        lines.push(format!("  cannot go on: {why}"));
        lines.push("  way out: put a snapshot that the topics still lead on from back into `snapshot_url`".to_owned());
        lines.push("  way out: put the topic's records back from a backup, at the same offsets".to_owned());
        lines.push(
            "  way out: deploy the same file under a new project name; it begins with what its inputs hold".to_owned(),
        );
        lines.push("  then restart this engine, and raise the topic's retention above `snapshot_interval`".to_owned());
    }
    if let Some(snapshots) = on.snapshots.as_ref().filter(|snapshots| !snapshots.error.is_empty()) {
        lines.push(format!("  snapshots: {}", snapshots.error));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::engine::{ParkedStatus, RecoveryStatus};

    #[test]
    fn what_stops_an_engine_comes_with_ways_out() {
        let status = |role: Role| ProjectStatus { project: "sums".into(), role: role.into(), ..Default::default() };
        let parked = ParkedStatus { topic: "h_1.sums.cq.src.I".into(), position: 7, reason: "overflow".into() };
        let text = describe("a", &ProjectStatus { parked: Some(parked), ..status(Role::Active) }).join("\n");
        assert!(text.contains("`espctl skip sums --position 7`") && text.contains("overflow"), "{text}");
        let gone = ProjectStatus { waits_for: "cannot recover: no".into(), ..status(Role::Quarantined) };
        let text = describe("a", &gone).join("\n");
        assert!(text.contains("cannot recover: no") && text.matches("way out").count() == 3, "{text}");
        let recovery = RecoveryStatus { snapshot: "s".into(), bytes: 9, bytes_read: 3, commits_left: 4, eta_ms: 5 };
        let text = describe("a", &ProjectStatus { recovery: Some(recovery), ..status(Role::Recovering) }).join("\n");
        assert!(text.contains("from s: 3 of 9 bytes read, 4 commits left, about 5 ms"), "{text}");
    }
}
