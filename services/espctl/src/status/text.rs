//! The status of the mesh for people.

use std::fmt::Write;

use super::view::{Connector, Engine, Group, Order, Project, View};
use crate::out::{self, Column};

/// An announcement older than this is worth showing: members announce themselves every second or two.
const LATE_MS: u64 = 5_000;
/// Groups without candidates that are named.
const IDLE_GROUPS_MAX: usize = 3;

/// The whole view; never empty, and no colour carries a meaning that the words do not.
pub fn render(view: &View) -> String {
    let mut text = String::new();
    for away in &view.unavailable {
        let _ = writeln!(text, "{}: {}: {}", out::styled(out::WARNING, "unavailable"), away.part, away.reason);
    }
    for alarm in &view.alarms {
        let _ = writeln!(text, "{}: {alarm}", out::styled(out::WARNING, "alarm"));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&engines(&view.engines));
    let troubles: Vec<String> = view.engines.iter().flat_map(troubles).collect();
    if !troubles.is_empty() {
        let _ = write!(text, "\n\n{}", troubles.join("\n"));
    }
    let connectors: Vec<(&Project, &Connector)> = view.engines.iter().flat_map(connectors).collect();
    if !connectors.is_empty() {
        let _ = write!(text, "\n\n{}", connector_table(&connectors));
    }
    let (served, idle): (Vec<&Group>, Vec<&Group>) = view.groups.iter().partition(|group| !group.candidates.is_empty());
    if !served.is_empty() {
        let _ = write!(text, "\n\n{}", groups(&served));
    }
    let held: Vec<String> = served.iter().flat_map(|group| held_back(group)).collect();
    if !held.is_empty() {
        let _ = write!(text, "\n\n{}", held.join("\n"));
    }
    if !idle.is_empty() {
        let _ = write!(text, "\n\n{}", idle_groups(&idle));
    }
    if !view.members.is_empty() {
        let columns = [
            Column::Text("MEMBER"),
            Column::Text("KIND"),
            Column::Text("ADDRESS"),
            Column::Text("ADMIN"),
            Column::Text("SEEN"),
        ];
        let rows = view.members.iter().map(|other| {
            let admin = if other.admin_address.is_empty() { "-" } else { &other.admin_address };
            vec![
                other.name.clone(),
                other.kind.clone(),
                other.address.clone(),
                admin.to_owned(),
                seen(other.seen_ms_ago),
            ]
        });
        let _ = write!(text, "\n\n{}", out::table(&columns, rows));
    }
    text
}

fn engines(engines: &[Engine]) -> String {
    if engines.is_empty() {
        return "no engines; start one: esp-engine --coordinators HOST:PORT --elections HOST:PORT --kafka HOST:PORT"
            .to_owned();
    }
    let columns = [
        Column::Text("ENGINE"),
        Column::Text("PROJECT"),
        Column::Text("ROLE"),
        Column::Number("TERM"),
        Column::Number("COMMIT"),
        Column::Number("LAG"),
        Column::Number("IN/S"),
        Column::Number("OUT/S"),
        Column::Text("LAST TAKEOVER"),
    ];
    let rows = engines.iter().flat_map(|engine| {
        let bare = |role: String| {
            let mut row = vec![engine.engine.clone(), "-".to_owned(), role];
            row.resize(columns.len(), "-".to_owned());
            row
        };
        if !engine.answers {
            return vec![bare(format!("no answer, seen {}", seen(engine.seen_ms_ago)))];
        }
        if engine.projects.is_empty() {
            return vec![bare("no project".to_owned())];
        }
        engine.projects.iter().map(|project| row(engine, project)).collect()
    });
    out::table(&columns, rows)
}

fn row(engine: &Engine, project: &Project) -> Vec<String> {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
    let takeover = project.last_takeover.as_ref().map_or_else(
        || "-".to_owned(),
        |takeover| format!("term {} in {:.1} ms: {}", takeover.term, takeover.total_ms, takeover.reason),
    );
    vec![
        engine.engine.clone(),
        project.project.clone(),
        project.role.to_owned(),
        project.term.to_string(),
        project.commit.to_string(),
        lag(project),
        rate(project.events_in_per_s),
        rate(project.events_out_per_s),
        takeover,
    ]
}

/// The connectors of the engines that lead: the others' wait for their turn.
fn connectors(engine: &Engine) -> impl Iterator<Item = (&Project, &Connector)> {
    engine.projects.iter().flat_map(|project| {
        let leads = project.connectors.iter().filter(|connector| connector.state != "standby");
        leads.map(move |connector| (project, connector))
    })
}

fn connector_table(connectors: &[(&Project, &Connector)]) -> String {
    let columns = [
        Column::Text("PROJECT"),
        Column::Text("CONNECTOR"),
        Column::Text("CLASS"),
        Column::Text("STATE"),
        Column::Number("EVENTS"),
        Column::Number("BAD"),
        Column::Text("FILE OR ADDRESS"),
    ];
    let rows = connectors.iter().map(|(project, connector)| {
        vec![
            project.project.clone(),
            connector.connector.clone(),
            format!("{} {}", connector.class, connector.direction),
            connector.state.clone(),
            connector.events.to_string(),
            connector.bad_events.to_string(),
            connector.endpoint.clone(),
        ]
    });
    out::table(&columns, rows)
}

/// In commits and, when it is behind, for how long.
fn lag(project: &Project) -> String {
    match project.lag_commits {
        0 => "0".to_owned(),
        commits => format!("{commits} ({} ms)", project.lag_ms),
    }
}

/// What needs somebody's attention, a line each.
fn troubles(engine: &Engine) -> Vec<String> {
    let of = |project: &Project| {
        let place = format!("{}/{}", engine.engine, project.project);
        let waits = (!project.waits_for.is_empty()).then(|| format!("{place} waits for {}", project.waits_for));
        let slow = project
            .fencing
            .strip_prefix("fallback")
            .map(|why| format!("{}: {place}: slow fencing{why}", out::styled(out::WARNING, "warning")));
        let error = (!project.error.is_empty())
            .then(|| format!("{}: {place}: {}", out::styled(out::ERROR, "error"), project.error));
        let of_connector = |connector: &Connector| {
            let place = format!("{place}/{}", connector.connector);
            let waits = (!connector.waits_for.is_empty()).then(|| format!("{place} waits for {}", connector.waits_for));
            let error = (!connector.error.is_empty())
                .then(|| format!("{}: {place}: {}", out::styled(out::ERROR, "error"), connector.error));
            waits.into_iter().chain(error)
        };
        let connectors: Vec<String> = project.connectors.iter().flat_map(of_connector).collect();
        waits.into_iter().chain(slow).chain(error).chain(connectors)
    };
    let drained = engine.drained.as_ref().map(|order| {
        let (name, since) = (&engine.engine, ordered(order));
        format!("{}: {name} is drained by {since}; espctl undrain {name}", out::styled(out::WARNING, "maintenance"))
    });
    drained.into_iter().chain(engine.projects.iter().flat_map(of)).collect()
}

/// Why nobody leads, or nobody would follow, a line each.
fn held_back(group: &Group) -> Vec<String> {
    let project = group.group.rsplit('.').next().unwrap_or(&group.group);
    let paused = group.paused.as_ref().map(|order| {
        let label = out::styled(out::WARNING, "maintenance");
        format!("{label}: failover of {project} is paused by {}; espctl failover resume {project}", ordered(order))
    });
    let deposed = (!group.deposed.is_empty())
        .then(|| format!("{}: {project} needs a leader: {}", out::styled(out::ERROR, "error"), group.deposed));
    paused.into_iter().chain(deposed).collect()
}

/// Who, since when, and why.
fn ordered(order: &Order) -> String {
    let by = if order.by.is_empty() { "somebody" } else { &order.by };
    format!("{by} since {}: {}", out::time(order.at_us), order.reason)
}

/// Groups of projects that ran once, or whose engines are all gone: named, no more.
fn idle_groups(groups: &[&Group]) -> String {
    let shown: Vec<&str> = groups.iter().take(IDLE_GROUPS_MAX).map(|group| group.group.as_str()).collect();
    let more = groups.len() - shown.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more (--json shows all)") };
    format!("without candidates: {}{more}", shown.join(", "))
}

fn groups(groups: &[&Group]) -> String {
    let columns = [
        Column::Text("GROUP"),
        Column::Number("TERM"),
        Column::Text("LEADER"),
        Column::Text("SINCE"),
        Column::Text("CANDIDATES"),
        Column::Text("REASON"),
    ];
    let rows = groups.iter().map(|group| {
        let candidates = group.candidates.iter().map(|candidate| match candidate.caught_up {
            _ if !candidate.unfit.is_empty() && candidate.candidate != group.leader => {
                format!("{} ({})", candidate.candidate, candidate.unfit)
            }
            Some(false) => format!("{} (behind)", candidate.candidate),
            _ => candidate.candidate.clone(),
        });
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        vec![
            group.group.clone(),
            group.term.to_string(),
            or_dash(group.leader.clone()),
            if group.since_us == 0 { "-".to_owned() } else { out::time(group.since_us) },
            or_dash(candidates.collect::<Vec<_>>().join(", ")),
            or_dash(group.reason.clone()),
        ]
    });
    out::table(&columns, rows)
}

fn seen(ms_ago: u64) -> String {
    if ms_ago < LATE_MS { "now".to_owned() } else { format!("{} ago", out::age(ms_ago)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use mesh_proto::coordinator::{AnnounceRequest, Member, MeshStatusResponse, Unavailable};
    use mesh_proto::election::{CandidateStatus, GroupStatus, Maintenance, Progress, Role};
    use mesh_proto::engine::{ProjectStatus, StatusResponse, TakeoverStatus};

    fn engine(name: &str, uptime_ms: u64, project: Option<ProjectStatus>) -> Member {
        let answer = StatusResponse {
            engine: name.to_owned(),
            uptime_ms,
            projects: project.into_iter().collect(),
            ..StatusResponse::default()
        };
        let announced =
            AnnounceRequest { name: name.to_owned(), kind: "engine".to_owned(), ..AnnounceRequest::default() };
        Member { announced: Some(announced), engine: Some(answer), seen_ms_ago: 300, drained: None }
    }

    fn weather(role: Role, term: u64, events: u64) -> ProjectStatus {
        let takeover = TakeoverStatus {
            term,
            fence_us: 2_000,
            read_us: 500,
            open_us: 9_500,
            reason: "engine-b is gone".to_owned(),
            ..TakeoverStatus::default()
        };
        ProjectStatus {
            project: "weather".to_owned(),
            role: role.into(),
            term,
            commit_number: 1234,
            events_in: events,
            events_out: events * 2,
            takeovers: if role == Role::Active { vec![takeover] } else { Vec::new() },
            ..ProjectStatus::default()
        }
    }

    fn order(by: &str, reason: &str) -> mesh_proto::election::Order {
        mesh_proto::election::Order { by: by.to_owned(), reason: reason.to_owned(), at_us: 1_764_000_060_000_000 }
    }

    fn mesh(uptime_ms: u64, events: u64) -> MeshStatusResponse {
        let mut gone = engine("engine-b", 0, None);
        gone.engine = None;
        gone.seen_ms_ago = 12_300;
        gone.drained = Some(order("ada", "new disk"));
        let mut behind = weather(Role::Recovering, 7, events / 2);
        (behind.lag_commits, behind.lag_ms) = (3, 420);
        behind.waits_for = "the commit log".to_owned();
        let candidate = |name: &str, caught_up| CandidateStatus {
            candidate: name.to_owned(),
            progress: Some(Progress { caught_up, ..Progress::default() }),
            ..CandidateStatus::default()
        };
        MeshStatusResponse {
            members: vec![
                engine("engine-a", uptime_ms, Some(weather(Role::Active, 7, events))),
                gone,
                engine("engine-c", uptime_ms, Some(behind)),
                Member {
                    announced: Some(AnnounceRequest {
                        name: "coordinator-1".to_owned(),
                        kind: "coordinator".to_owned(),
                        address: "127.0.0.1:50100".to_owned(),
                        ..AnnounceRequest::default()
                    }),
                    ..Member::default()
                },
            ],
            groups: vec![GroupStatus {
                group: "esp_31415.weather".to_owned(),
                term: 7,
                leader: "engine-a".to_owned(),
                reason: "engine-b is gone".to_owned(),
                since_us: 1_764_000_000_000_000,
                candidates: vec![candidate("engine-a", true), candidate("engine-c", false)],
                maintenance: Some(Maintenance { paused: Some(order("bob", "new switch")), ..Maintenance::default() }),
                deposed: String::new(),
            }]
            .into_iter()
            .chain(
                ["a", "b", "c", "d"].map(|name| GroupStatus { group: format!("{name}.old"), ..GroupStatus::default() }),
            )
            .collect(),
            unavailable: vec![Unavailable { part: "etcd".to_owned(), reason: "no answer in 2s".to_owned() }],
            alarms: Vec::new(),
        }
    }

    #[test]
    fn people_see_roles_rates_and_what_is_away() {
        let view = View::new(&mesh(20_500, 3_000), Some(&mesh(20_000, 1_000)));
        let text = anstream::adapter::strip_str(&render(&view)).to_string();
        expect![[r#"
            unavailable: etcd: no answer in 2s

            ENGINE    PROJECT  ROLE                        TERM  COMMIT         LAG  IN/S  OUT/S  LAST TAKEOVER
            engine-a  weather  active                         7    1234           0  4000   8000  term 7 in 12.0 ms: engine-b is gone
            engine-b  -        no answer, seen 12.3 s ago     -       -           -     -      -  -
            engine-c  weather  recovering                     7    1234  3 (420 ms)  2000   4000  -

            maintenance: engine-b is drained by ada since 2025-11-24T16:01:00.000Z: new disk; espctl undrain engine-b
            engine-c/weather waits for the commit log

            GROUP              TERM  LEADER    SINCE                     CANDIDATES                   REASON
            esp_31415.weather     7  engine-a  2025-11-24T16:00:00.000Z  engine-a, engine-c (behind)  engine-b is gone

            maintenance: failover of weather is paused by bob since 2025-11-24T16:01:00.000Z: new switch; espctl failover resume weather

            without candidates: a.old, b.old, c.old and 1 more (--json shows all)

            MEMBER         KIND         ADDRESS          ADMIN  SEEN
            coordinator-1  coordinator  127.0.0.1:50100  -      now"#]]
        .assert_eq(&text);
    }

    #[test]
    fn a_rate_needs_two_looks_at_the_same_process() {
        let first = View::new(&mesh(20_500, 3_000), None);
        assert_eq!(first.engines[0].projects[0].events_in_per_s, None);
        let restarted = View::new(&mesh(100, 3_000), Some(&mesh(20_000, 1_000)));
        assert_eq!(restarted.engines[0].projects[0].events_in_per_s, None);
    }

    #[test]
    fn an_empty_mesh_says_what_to_do_next() {
        let text = render(&View::new(&MeshStatusResponse::default(), None));
        assert!(text.starts_with("no engines; start one: esp-engine "), "{text}");
    }
}
