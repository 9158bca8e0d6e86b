//! Projects: who leads, who could follow, what engines complain of, whether their states agree; and what is held back.

use mesh_proto::coordinator::{Finding, MeshStatusResponse, Severity};
use mesh_proto::election::{GroupStatus, Order};
use mesh_proto::engine::ProjectStatus;
use std::collections::BTreeMap;

use super::{finding, well};
use crate::store::StoredProject;

/// Everything about projects that are deployed.
pub(super) fn findings(
    status: &MeshStatusResponse,
    deployed: Option<&BTreeMap<String, StoredProject>>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for project in deployed.into_iter().flat_map(BTreeMap::values) {
        let part = format!("project {}", project.name);
        let name = project.group();
        let group = status.groups.iter().find(|group| group.group == name);
        let mut roles =
            group.map_or_else(|| vec![no_leader(&part, "nobody has taken part yet")], |group| of_group(&part, group));
        let engines: Vec<(&str, &ProjectStatus)> = status
            .members
            .iter()
            .filter_map(|member| member.engine.as_ref())
            .filter_map(|engine| {
                let here = engine.projects.iter().find(|here| here.project == project.name)?;
                Some((engine.engine.as_str(), here))
            })
            .collect();
        roles.extend(engines.iter().flat_map(|(engine, here)| of_engine(&part, engine, here, project.version)));
        roles.extend(split(&part, &engines));
        if roles.is_empty() {
            let leader = group.map_or("", |group| group.leader.as_str());
            roles.push(well(&part, "roles", format!("{leader} leads, somebody could follow, states agree")));
        }
        found.extend(roles);
    }
    let alarms = crate::alarms::alarms(&status.members).into_iter();
    found.extend(alarms.map(|alarm| finding(Severity::Problem, "engines", "states", alarm.text, &alarm.way_out)));
    let drained =
        status.members.iter().filter_map(|member| Some((member.announced.as_ref()?, member.drained.as_ref()?)));
    found.extend(drained.map(|(announced, order)| {
        let way_out = format!("when the work is done: espctl undrain {}", announced.name);
        held_back(&announced.name, "drained", order, &way_out)
    }));
    found
}

fn no_leader(part: &str, why: &str) -> Finding {
    let way_out =
        "an engine leads as soon as one is caught up: see `espctl recover PROJECT`; or `espctl promote` when paused";
    finding(Severity::Problem, part, "roles", format!("nobody leads: {why}"), way_out)
}

fn held_back(part: &str, how: &str, order: &Order, way_out: &str) -> Finding {
    finding(Severity::Note, part, "maintenance", format!("{how} by {}: {}", order.by, order.reason), way_out)
}

fn of_group(part: &str, group: &GroupStatus) -> Vec<Finding> {
    let mut found = Vec::new();
    if group.leader.is_empty() {
        found.push(no_leader(part, "nobody was elected yet"));
    } else if !group.deposed.is_empty() {
        found.push(no_leader(part, &group.deposed));
    }
    let held = group.maintenance.clone().unwrap_or_default();
    let fit = group.candidates.iter().filter(|candidate| {
        let caught_up = candidate.progress.as_ref().is_some_and(|progress| progress.caught_up);
        candidate.candidate != group.leader && caught_up && !held.drained.contains_key(&candidate.candidate)
    });
    if !group.leader.is_empty() && fit.count() == 0 {
        let found_text = format!("nobody could follow {}", group.leader);
        let way_out = "start another engine, or see why none is caught up: `espctl recover PROJECT`";
        found.push(finding(Severity::Warning, part, "roles", found_text, way_out));
    }
    if let Some(order) = &held.paused {
        let project = group.group.rsplit('.').next().unwrap_or(&group.group);
        let way_out = format!("when the work is done: espctl failover resume {project}");
        found.push(held_back(part, "failover is paused", order, &way_out));
    }
    found
}

fn of_engine(part: &str, engine: &str, here: &ProjectStatus, version: u64) -> Vec<Finding> {
    let mut found = Vec::new();
    if !here.error.is_empty() {
        let text = format!("on {engine}: {}", here.error);
        found.push(finding(
            Severity::Problem,
            part,
            "roles",
            text,
            "see `espctl recover PROJECT` and the engine's log",
        ));
    }
    if let Some(parked) = &here.parked {
        let text = format!("on {engine}: parked at {} of `{}`: {}", parked.position, parked.topic, parked.reason);
        found.push(finding(
            Severity::Problem,
            part,
            "roles",
            text,
            "`espctl skip PROJECT --position N`, or deploy a project without the fault",
        ));
    }
    if let Some(why) = here.fencing.strip_prefix("fallback: ") {
        let text = format!("on {engine}: slow fencing: {why}");
        found.push(finding(
            Severity::Warning,
            part,
            "roles",
            text,
            "a takeover is half a second slower; see `kafka_settings`",
        ));
    }
    if here.project_version != 0 && here.project_version != version {
        let text = format!("{engine} runs version {}, deployed is {version}", here.project_version);
        found.push(finding(
            Severity::Warning,
            part,
            "version",
            text,
            "see its log; an engine that reaches a coordinator changes at once",
        ));
    }
    found
}

/// Engines at the same commit whose windows do not agree.
fn split(part: &str, engines: &[(&str, &ProjectStatus)]) -> Option<Finding> {
    let digests = |here: &ProjectStatus| here.windows.iter().map(|window| window.digest).collect::<Vec<_>>();
    let differ = engines.iter().enumerate().find_map(|(at, (one, here))| {
        let (other, _) = engines[at + 1..].iter().find(|(_, there)| {
            let same = here.commit_number == there.commit_number && here.model_fingerprint == there.model_fingerprint;
            same && here.commit_number > 0 && digests(here) != digests(there)
        })?;
        Some((*one, *other, here.commit_number))
    });
    differ.map(|(one, other, commit)| {
        let text = format!("{one} and {other} differ at commit {commit}");
        finding(
            Severity::Warning,
            part,
            "roles",
            text,
            "look again: reports of a moment may be mixed; a state that differs from the log is rebuilt by itself",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::coordinator::{AnnounceRequest, Member};
    use mesh_proto::election::{CandidateStatus, Maintenance, Progress};
    use mesh_proto::engine::{StatusResponse, WindowStatus};

    fn deployed() -> BTreeMap<String, StoredProject> {
        let text = r#"{"name":"w","version":2,"xml":"","url_host_port":"h_1","deployed_us":0,"model_fingerprint":1,"stopped":false}"#;
        BTreeMap::from([("w".to_owned(), serde_json::from_str(text).expect("a stored project of an older version"))])
    }

    fn engine(name: &str, digest: u64) -> Member {
        let windows = vec![WindowStatus { digest, ..WindowStatus::default() }];
        let project = ProjectStatus {
            project: "w".into(),
            project_version: 2,
            commit_number: 7,
            windows,
            ..ProjectStatus::default()
        };
        Member {
            announced: Some(AnnounceRequest { name: name.into(), ..AnnounceRequest::default() }),
            engine: Some(StatusResponse { engine: name.into(), projects: vec![project], ..StatusResponse::default() }),
            ..Member::default()
        }
    }

    fn mesh() -> MeshStatusResponse {
        let candidate = |name: &str| CandidateStatus {
            candidate: name.into(),
            progress: Some(Progress { caught_up: true, ..Progress::default() }),
            ..CandidateStatus::default()
        };
        let candidates = vec![candidate("e1"), candidate("e2")];
        let group =
            GroupStatus { group: "h_1.w".into(), term: 1, leader: "e1".into(), candidates, ..GroupStatus::default() };
        MeshStatusResponse {
            members: vec![engine("e1", 5), engine("e2", 5)],
            groups: vec![group],
            unavailable: Vec::new(),
            alarms: Vec::new(),
        }
    }

    fn told(status: &MeshStatusResponse) -> Vec<(Severity, String)> {
        findings(status, Some(&deployed())).into_iter().map(|finding| (finding.severity(), finding.found)).collect()
    }

    #[test]
    fn a_healthy_project_is_well_and_every_fault_is_named() {
        let mut status = mesh();
        assert_eq!(told(&status), [(Severity::Ok, "e1 leads, somebody could follow, states agree".to_owned())]);
        status.members[1] = engine("e2", 6);
        assert_eq!(told(&status)[0].1, "e1 and e2 differ at commit 7");
        let mut status = mesh();
        let held = Maintenance {
            paused: Some(Order { by: "ada".into(), reason: "work".into(), at_us: 1 }),
            drained: [("e2".to_owned(), Order::default())].into(),
        };
        status.groups[0].maintenance = Some(held);
        status.members[1].drained = Some(Order { by: "bob".into(), reason: "disk".into(), at_us: 1 });
        let texts: Vec<String> = told(&status).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["nobody could follow e1", "failover is paused by ada: work", "drained by bob: disk"]);
        status.groups[0].deposed = "`e1` crashed".into();
        assert_eq!(told(&status)[0], (Severity::Problem, "nobody leads: `e1` crashed".to_owned()));
        status.groups.clear();
        assert_eq!(told(&status)[0], (Severity::Problem, "nobody leads: nobody has taken part yet".to_owned()));
    }

    #[test]
    fn what_engines_complain_of_is_told() {
        let mut status = mesh();
        let project = &mut status.members[0].engine.as_mut().expect("it answers").projects[0];
        project.error = "no space".into();
        project.fencing = "fallback: TLS".into();
        project.project_version = 1;
        let texts: Vec<String> = told(&status).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["on e1: no space", "on e1: slow fencing: TLS", "e1 runs version 1, deployed is 2"]);
    }
}
