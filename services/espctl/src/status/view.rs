//! The status of the mesh as `--json` prints it: a contract of its own, made from the coordinator's answers.

use mesh_proto::coordinator::{Member, MeshStatusResponse};
use mesh_proto::election::{GroupStatus, Role};
use mesh_proto::engine::{ProjectStatus, StatusResponse};
use serde::Serialize;

/// The mesh.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Engines, in order of name.
    pub engines: Vec<Engine>,
    /// Groups, in order of name.
    pub groups: Vec<Group>,
    /// Coordinators, election instances, adapters, gateways.
    pub members: Vec<Other>,
    /// Parts that did not answer.
    pub unavailable: Vec<Away>,
    /// What somebody must look at now.
    pub alarms: Vec<String>,
}

/// An engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Engine {
    /// Name.
    pub engine: String,
    /// `host:port` of its gRPC server.
    pub address: String,
    /// Port of its REST server.
    pub rest_port: u32,
    /// Version of the program.
    pub version: String,
    /// False when it did not answer the coordinator.
    pub answers: bool,
    /// Milliseconds since it last announced itself.
    pub seen_ms_ago: u64,
    /// Milliseconds since its process started.
    pub uptime_ms: Option<u64>,
    /// Who took it out of the lead; `null` when nobody did.
    pub drained: Option<Order>,
    /// Its projects, in order of name.
    pub projects: Vec<Project>,
}

/// A project on an engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Project {
    /// Name.
    pub project: String,
    /// Version as deployed.
    pub version: u64,
    /// `active`, `standby`, `recovering`, `taking-over`, `quarantined`, `unknown`.
    pub role: &'static str,
    /// Term it works in.
    pub term: u64,
    /// Last commit applied.
    pub commit: u64,
    /// Commits behind the log.
    pub lag_commits: u64,
    /// For how long the oldest commit that is not applied has been known, milliseconds.
    pub lag_ms: u64,
    /// Memory of the rows of all windows.
    pub window_bytes: u64,
    /// Since the newest snapshot, milliseconds; 0: nothing was committed since. `null`: it keeps none.
    pub snapshot_age_ms: Option<u64>,
    /// Events applied since the process started.
    pub events_in: u64,
    /// Events published since the process started.
    pub events_out: u64,
    /// Events applied per second; `null` when there was nothing to compare with.
    pub events_in_per_s: Option<f64>,
    /// Events published per second; `null` when there was nothing to compare with.
    pub events_out_per_s: Option<f64>,
    /// What it waits for; empty when nothing.
    pub waits_for: String,
    /// How the bus fences.
    pub fencing: String,
    /// Last error that needs attention; empty when none.
    pub error: String,
    /// Input topics.
    pub inputs: Vec<Input>,
    /// Output topics.
    pub outputs: Vec<Output>,
    /// Its own connectors, in model order.
    pub connectors: Vec<Connector>,
    /// The last takeover that this process has done.
    pub last_takeover: Option<Takeover>,
}

/// A connector that the engine runs itself while it leads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Connector {
    /// `query/window/connector`.
    pub connector: String,
    /// Class.
    pub class: String,
    /// `publish` or `subscribe`.
    pub direction: &'static str,
    /// `standby`, `waiting`, `starting`, `running`, `finishing`, `finished`, `failed`.
    pub state: String,
    /// File or address.
    pub endpoint: String,
    /// Topic that it writes or reads.
    pub topic: String,
    /// Events of its source, or in its sink, in all.
    pub events: u64,
    /// Lines that could not be read and were skipped.
    pub bad_events: u64,
    /// Why it failed last; empty when it works.
    pub error: String,
    /// What must come first; empty when nothing.
    pub waits_for: String,
}

/// An input topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Input {
    /// Topic.
    pub topic: String,
    /// Next offset to apply.
    pub position: u64,
    /// Blocks read ahead.
    pub buffered_blocks: u64,
}

/// An output topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output {
    /// Topic.
    pub topic: String,
    /// Last sequence.
    pub sequence: u64,
}

/// A takeover.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Takeover {
    /// Term it opened.
    pub term: u64,
    /// Grant to fence, milliseconds.
    pub fence_ms: f64,
    /// Fence to the end of the log, milliseconds.
    pub read_ms: f64,
    /// From there to the committed term record, milliseconds.
    pub open_ms: f64,
    /// All three.
    pub total_ms: f64,
    /// Why it was granted.
    pub reason: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Name, `<host>_<port>.<project>`.
    pub group: String,
    /// Term; 0 when it never had a leader.
    pub term: u64,
    /// Leader; empty when none.
    pub leader: String,
    /// Why it leads.
    pub reason: String,
    /// Since when, microseconds since the Unix epoch.
    pub since_us: i64,
    /// Candidates in the order in which they would follow.
    pub candidates: Vec<Candidate>,
    /// Who paused failover; `null` when nobody did.
    pub paused: Option<Order>,
    /// Why the leader is to be replaced; empty: all is well.
    pub deposed: String,
}

/// Who ordered something, why and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Order {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, microseconds since the Unix epoch.
    pub at_us: i64,
}

/// A candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Name.
    pub candidate: String,
    /// Its znode.
    pub znode: String,
    /// Election instance that holds its stream.
    pub instance: String,
    /// Whether it could lead at once; `null` when not known here.
    pub caught_up: Option<bool>,
    /// Why it would not be elected now, or only if nobody else can; empty: it could lead, or it is not known here.
    pub unfit: String,
}

/// Another member.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Other {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: String,
    /// `host:port` of its gRPC server.
    pub address: String,
    /// `host:port` of its admin server.
    pub admin_address: String,
    /// Version of the program.
    pub version: String,
    /// Milliseconds since it last announced itself.
    pub seen_ms_ago: u64,
}

/// A part that did not answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Away {
    /// Which.
    pub part: String,
    /// What was tried, and what happened.
    pub reason: String,
}

impl View {
    /// From an answer, and for the rates from an earlier one.
    pub fn new(status: &MeshStatusResponse, before: Option<&MeshStatusResponse>) -> View {
        let (engines, others): (Vec<&Member>, Vec<&Member>) =
            status.members.iter().partition(|member| announced(member).kind == "engine");
        View {
            engines: engines.into_iter().map(|member| Engine::new(member, before)).collect(),
            groups: status.groups.iter().map(Group::new).collect(),
            members: others.into_iter().map(Other::new).collect(),
            alarms: status.alarms.clone(),
            unavailable: status
                .unavailable
                .iter()
                .map(|away| Away { part: away.part.clone(), reason: away.reason.clone() })
                .collect(),
        }
    }
}

fn announced(member: &Member) -> mesh_proto::coordinator::AnnounceRequest {
    member.announced.clone().unwrap_or_default()
}

impl Engine {
    fn new(member: &Member, before: Option<&MeshStatusResponse>) -> Engine {
        let told = announced(member);
        let earlier = before.and_then(|status| {
            let same = |other: &&Member| announced(other).name == told.name;
            status.members.iter().find(same).and_then(|member| member.engine.as_ref())
        });
        let project = |engine: &StatusResponse, project: &ProjectStatus| {
            let rates = earlier.and_then(|earlier| rates(earlier, engine, project));
            Project::new(project, rates)
        };
        Engine {
            engine: told.name,
            address: told.address,
            rest_port: told.rest_port,
            version: told.version,
            answers: member.engine.is_some(),
            seen_ms_ago: member.seen_ms_ago,
            uptime_ms: member.engine.as_ref().map(|engine| engine.uptime_ms),
            drained: member.drained.as_ref().map(Order::new),
            projects: member
                .engine
                .iter()
                .flat_map(|engine| engine.projects.iter().map(move |one| project(engine, one)))
                .collect(),
        }
    }
}

/// Events in and out per second, by the engine's own clock; `None` across a restart.
fn rates(earlier: &StatusResponse, now: &StatusResponse, project: &ProjectStatus) -> Option<(f64, f64)> {
    let before = earlier.projects.iter().find(|other| other.project == project.project)?;
    let ms = now.uptime_ms.checked_sub(earlier.uptime_ms).filter(|&ms| ms > 0)?;
    let rate = |from: u64, to: u64| to.checked_sub(from).map(|events| events as f64 * 1e3 / ms as f64);
    Some((rate(before.events_in, project.events_in)?, rate(before.events_out, project.events_out)?))
}

impl Project {
    fn new(project: &ProjectStatus, rates: Option<(f64, f64)>) -> Project {
        let input = |input: &mesh_proto::engine::InputStatus| Input {
            topic: input.topic.clone(),
            position: input.position,
            buffered_blocks: input.buffered_blocks,
        };
        let output = |output: &mesh_proto::engine::OutputStatus| Output {
            topic: output.topic.clone(),
            sequence: output.sequence,
        };
        Project {
            project: project.project.clone(),
            version: project.project_version,
            role: role(project.role()),
            term: project.term,
            commit: project.commit_number,
            lag_commits: project.lag_commits,
            lag_ms: project.lag_ms,
            window_bytes: project.windows.iter().map(|window| window.bytes).sum(),
            snapshot_age_ms: project.snapshots.as_ref().map(|snapshots| snapshots.age_ms),
            events_in: project.events_in,
            events_out: project.events_out,
            events_in_per_s: rates.map(|(events, _)| events),
            events_out_per_s: rates.map(|(_, events)| events),
            waits_for: project.waits_for.clone(),
            fencing: project.fencing.clone(),
            error: project.error.clone(),
            inputs: project.inputs.iter().map(input).collect(),
            outputs: project.outputs.iter().map(output).collect(),
            connectors: project.connectors.iter().map(Connector::new).collect(),
            last_takeover: project.takeovers.last().map(Takeover::new),
        }
    }
}

impl Connector {
    fn new(connector: &mesh_proto::engine::ConnectorStatus) -> Connector {
        Connector {
            connector: connector.connector.clone(),
            class: connector.class.clone(),
            direction: if connector.publishes { "publish" } else { "subscribe" },
            state: connector.state.clone(),
            endpoint: connector.endpoint.clone(),
            topic: connector.topic.clone(),
            events: connector.events_total,
            bad_events: connector.bad_events,
            error: connector.error.clone(),
            waits_for: connector.waits_for.clone(),
        }
    }
}

impl Takeover {
    fn new(takeover: &mesh_proto::engine::TakeoverStatus) -> Takeover {
        let ms = |us: u64| us as f64 / 1e3;
        Takeover {
            term: takeover.term,
            fence_ms: ms(takeover.fence_us),
            read_ms: ms(takeover.read_us),
            open_ms: ms(takeover.open_us),
            total_ms: ms(takeover.fence_us.saturating_add(takeover.read_us).saturating_add(takeover.open_us)),
            reason: takeover.reason.clone(),
        }
    }
}

impl Group {
    fn new(group: &GroupStatus) -> Group {
        let candidate = |candidate: &mesh_proto::election::CandidateStatus| Candidate {
            candidate: candidate.candidate.clone(),
            znode: candidate.znode.clone(),
            instance: candidate.instance.clone(),
            caught_up: candidate.progress.as_ref().map(|progress| progress.caught_up),
            unfit: candidate.unfit.clone(),
        };
        Group {
            group: group.group.clone(),
            term: group.term,
            leader: group.leader.clone(),
            reason: group.reason.clone(),
            since_us: group.since_us,
            candidates: group.candidates.iter().map(candidate).collect(),
            paused: group.maintenance.as_ref().and_then(|held| held.paused.as_ref()).map(Order::new),
            deposed: group.deposed.clone(),
        }
    }
}

impl Order {
    fn new(order: &mesh_proto::election::Order) -> Order {
        Order { by: order.by.clone(), reason: order.reason.clone(), at_us: order.at_us }
    }
}

impl Other {
    fn new(member: &Member) -> Other {
        let told = announced(member);
        Other {
            name: told.name,
            kind: told.kind,
            address: told.address,
            admin_address: told.admin_address,
            version: told.version,
            seen_ms_ago: member.seen_ms_ago,
        }
    }
}

/// The role in a word.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "unknown",
        Role::Recovering => "recovering",
        Role::Standby => "standby",
        Role::TakingOver => "taking-over",
        Role::Active => "active",
        Role::Quarantined => "quarantined",
    }
}
