//! Every process of the mesh: is it there, which version, which clock, is it ready, and do its settings fit the others'.

use mesh_proto::admin::admin_client::AdminClient;
use mesh_proto::admin::{GetConfigRequest, GetInfoRequest, GetInfoResponse, Setting};
use mesh_proto::coordinator::{Finding, Member, Severity};
use mesh_service::grpc::{MESSAGE_BYTES_MAX, request};
use mesh_service::security::Link;
use mesh_service::{Kind, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::task::JoinSet;

use super::{finding, well};
use crate::clock::now_us;
use crate::members::{ELECTION, ENGINE};
use crate::mesh::Mesh;

/// A member answers within this time.
const DEADLINE: Duration = Duration::from_secs(1);

/// Members announce themselves every second or two.
const SILENT_MS: u64 = 6_000;

/// A clock may differ by this much: times in the history are compared by people.
const CLOCK_US: i64 = 500_000;

/// What a coordinator is called in announcements.
const COORDINATOR: &str = "coordinator";

/// Kinds of which one is not enough to survive a failure.
const AT_LEAST_TWO: [&str; 3] = [COORDINATOR, ELECTION, ENGINE];

/// Settings that differ from one instance to the next on purpose.
const OWN: [&str; 10] = [
    "name",
    "listen",
    "admin_listen",
    "advertise",
    "rest_listen",
    "state_dir",
    "log",
    "log_format",
    "elections",
    "coordinators",
];

/// What a member said.
pub(super) struct Asked {
    name: String,
    kind: String,
    address: String,
    seen_ms_ago: u64,
    answer: Result<Answer, Refusal>,
}

pub(super) struct Answer {
    info: GetInfoResponse,
    settings: Vec<Setting>,
    /// Its clock minus ours.
    clock_ahead_us: i64,
}

/// Asks all of them at once.
pub(super) async fn ask(mesh: &Mesh, members: &[Member]) -> Vec<Asked> {
    let mut calls = JoinSet::new();
    for member in members {
        let announced = member.announced.clone().unwrap_or_default();
        let link = mesh.members.link(&announced.address);
        let seen_ms_ago = member.seen_ms_ago;
        calls.spawn(async move {
            let target = format!("{} `{}` at {}", announced.kind, announced.name, announced.address);
            let answer = async { ask_one(&target, link?).await }.await;
            Asked { name: announced.name, kind: announced.kind, address: announced.address, seen_ms_ago, answer }
        });
    }
    let mut asked: Vec<Asked> = calls.join_all().await;
    asked.sort_by(|a, b| a.name.cmp(&b.name));
    asked
}

async fn ask_one(target: &str, link: Link) -> Result<Answer, Refusal> {
    let mut client = AdminClient::new(link).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let failed = |status: &tonic::Status| Refusal::from_status(target, status);
    let sent = now_us();
    let info = client.get_info(request(GetInfoRequest {}, DEADLINE)).await.map_err(|status| failed(&status))?;
    let info = info.into_inner();
    // its answer was made between the two, in the middle as far as we know
    let clock_ahead_us = info.clock_us - (sent + now_us()) / 2;
    let config = client.get_config(request(GetConfigRequest {}, DEADLINE)).await.map_err(|status| failed(&status))?;
    Ok(Answer { info, settings: config.into_inner().settings, clock_ahead_us })
}

/// The election instances, by the streams that are held to them.
pub(super) fn elections(mesh: &Mesh) -> Vec<Finding> {
    let away = mesh.elections.merged().unavailable;
    let way_out = "start it, or see that ZooKeeper is up; leaders go on, failover needs one instance with a session";
    let found = |(_, reason): (String, String)| finding(Severity::Problem, "election", "reachable", reason, way_out);
    let known = mesh.elections.instances();
    let none = (known == 0).then(|| {
        let found = "no instance is known".to_owned();
        finding(
            Severity::Problem,
            "election",
            "reachable",
            found,
            "set `elections`, or start esp-election with `coordinators`",
        )
    });
    let all_well = (known > 0 && away.is_empty())
        .then(|| well("election", "reachable", format!("{known} with a session with ZooKeeper")));
    none.into_iter().chain(all_well).chain(away.into_iter().map(found)).collect()
}

pub(super) fn findings(asked: &[Asked]) -> Vec<Finding> {
    let mut found: Vec<Finding> = asked.iter().flat_map(of_one).collect();
    for kind in AT_LEAST_TWO {
        let there = asked.iter().filter(|one| one.kind == kind && one.answer.is_ok()).count();
        if there == 1 {
            let text = format!("one {kind} answers");
            found.push(finding(
                Severity::Warning,
                kind,
                "reachable",
                text,
                "start a second one: the loss of one is survived then",
            ));
        }
    }
    let none = !asked.iter().any(|one| one.kind == ENGINE);
    found.extend(none.then(|| {
        let way_out = "start esp-engine with `coordinators`, `elections` and `kafka`";
        finding(Severity::Problem, ENGINE, "reachable", "no engine has announced itself".to_owned(), way_out)
    }));
    found
}

fn of_one(asked: &Asked) -> Vec<Finding> {
    let Asked { name, kind, address, seen_ms_ago, answer } = asked;
    let answer = match answer {
        Ok(answer) => answer,
        Err(refusal) if refusal.kind == Kind::Unsupported => {
            let found = "an older program, which says nothing of itself".to_owned();
            return vec![finding(Severity::Warning, name, "version", found, "finish the upgrade")];
        }
        Err(refusal) => {
            let way_out = format!("start it, or see that {address} can be reached from here (its setting `advertise`)");
            return vec![finding(Severity::Problem, name, "reachable", refusal.to_string(), &way_out)];
        }
    };
    let mut found = Vec::new();
    if *seen_ms_ago > SILENT_MS {
        let text = format!("answers, but announced itself {} s ago", seen_ms_ago / 1000);
        found.push(finding(Severity::Warning, name, "reachable", text, "see its setting `coordinators`"));
    }
    let (version, ours) = (answer.info.version.as_str(), env!("CARGO_PKG_VERSION"));
    if version != ours {
        let text = format!("{version}, this coordinator is {ours}");
        found.push(finding(Severity::Warning, name, "version", text, "finish the upgrade"));
    }
    if answer.clock_ahead_us.abs() > CLOCK_US {
        let text = format!("{:.1} s ahead of this coordinator's", answer.clock_ahead_us as f64 / 1e6);
        found.push(finding(
            Severity::Warning,
            name,
            "clock",
            text,
            "let a time service (chrony, systemd-timesyncd) set both",
        ));
    }
    if !answer.info.waiting_for.is_empty() {
        let text = format!("waits for {}", answer.info.waiting_for.join(", "));
        found.push(finding(Severity::Problem, name, "ready", text, "see its log and its own connections"));
    }
    if found.is_empty() {
        let uptime = answer.info.uptime_ms / 1000;
        found.push(well(name, "reachable", format!("{kind} {version} at {address}, ready, up for {uptime} s")));
    }
    found
}

/// Instances of a kind that are set differently.
pub(super) fn settings(asked: &[Asked]) -> Vec<Finding> {
    let mut found = Vec::new();
    for kind in AT_LEAST_TWO {
        let same: Vec<(&str, &[Setting])> = asked
            .iter()
            .filter(|one| one.kind == kind)
            .filter_map(|one| Some((one.name.as_str(), one.answer.as_ref().ok()?.settings.as_slice())))
            .collect();
        let differing = differing(&same);
        if differing.is_empty() && same.len() > 1 {
            found.push(well(kind, "settings", format!("the same for all {}", same.len())));
        }
        found.extend(differing.into_iter().map(|text| {
            finding(
                Severity::Warning,
                kind,
                "settings",
                text,
                "give all instances the same value, then restart them one by one",
            )
        }));
    }
    found
}

/// `setting: name has value, name has value`, a line a setting.
fn differing(instances: &[(&str, &[Setting])]) -> Vec<String> {
    let mut by_setting: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (name, settings) in instances {
        for setting in settings.iter().filter(|setting| !OWN.contains(&setting.setting.as_str())) {
            by_setting.entry(&setting.setting).or_default().push((name, &setting.value));
        }
    }
    let values = |given: &[(&str, &str)]| given.iter().map(|(_, value)| *value).collect::<BTreeSet<_>>().len();
    let text = |(setting, given): (&str, Vec<(&str, &str)>)| {
        let each: Vec<String> = given.iter().map(|(name, value)| format!("{name} has `{value}`")).collect();
        format!("`{setting}`: {}", each.join(", "))
    };
    by_setting.into_iter().filter(|(_, given)| values(given) > 1).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, version: &str, clock_ahead_us: i64, waits: &[&str]) -> Asked {
        let info = GetInfoResponse {
            version: version.into(),
            waiting_for: waits.iter().map(|part| (*part).to_owned()).collect(),
            ..GetInfoResponse::default()
        };
        let answer = Ok(Answer { info, settings: Vec::new(), clock_ahead_us });
        Asked { name: name.into(), kind: ENGINE.into(), address: "h:1".into(), seen_ms_ago: 0, answer }
    }

    #[test]
    fn a_member_is_told_by_what_is_wrong_with_it() {
        let ours = env!("CARGO_PKG_VERSION");
        let checks = |asked: &Asked| of_one(asked).into_iter().map(|finding| finding.check).collect::<Vec<_>>();
        assert_eq!(checks(&asked("e1", ours, 3_000, &[])), ["reachable"]);
        assert_eq!(of_one(&asked("e1", ours, 3_000, &[]))[0].severity(), Severity::Ok);
        assert_eq!(checks(&asked("e1", "0.0.1", -2_000_000, &["kafka"])), ["version", "clock", "ready"]);
        let mut gone = asked("e1", ours, 0, &[]);
        gone.answer = Err(Refusal::unavailable("call"));
        assert_eq!(of_one(&gone)[0].severity(), Severity::Problem);
        gone.answer = Err(Refusal::new(Kind::Unsupported, "call"));
        assert_eq!(checks(&gone), ["version"], "a program that is older than the call");
    }

    #[test]
    fn settings_that_should_be_the_same_are_compared() {
        let setting =
            |name: &str, value: &str| Setting { setting: name.into(), value: value.into(), ..Setting::default() };
        let (one, two) = (
            [setting("name", "e1"), setting("kafka", "a:1"), setting("grace", "10s")],
            [setting("name", "e2"), setting("kafka", "b:1"), setting("grace", "10s")],
        );
        assert_eq!(differing(&[("e1", &one), ("e2", &two)]), ["`kafka`: e1 has `a:1`, e2 has `b:1`"]);
        assert_eq!(differing(&[("e1", &one)]), Vec::<String>::new());
    }
}
