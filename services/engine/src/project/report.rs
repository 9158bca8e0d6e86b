//! What a project shows of itself: written by its driver, read by the gRPC and REST servers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_proto::engine::{
    ConnectorStatus, DivergedStatus, InputStatus, OutputStatus, ParkedStatus, ProjectStatus, RecoveryStatus,
    SnapshotStatus, TakeoverStatus, WindowStatus,
};
use mesh_replication::engine::{Now, RoleName, RoleView};
use tokio::sync::watch;

use crate::project::machine::Machine;
use crate::project::recovery::SnapshotState;
use crate::project::snapshots::bytes_read;

/// Takeovers remembered for status; older ones are in the coordinator's history.
const TAKEOVERS_MAX: usize = 32;

/// The last report of a project; readers may wait for the next one.
#[derive(Debug, Clone)]
pub struct Reports {
    last: Arc<Mutex<ProjectStatus>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Reports {
    /// Reports of a project that has not begun.
    pub fn new(first: ProjectStatus) -> Reports {
        Reports { last: Arc::new(Mutex::new(first)), changed: Arc::new(watch::Sender::new(0)) }
    }

    /// The last report.
    pub fn last(&self) -> ProjectStatus {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells when the role changes.
    pub fn role_changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Replaces the report.
    pub fn publish(&self, report: ProjectStatus) {
        let role = (report.role, report.term);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = role != (last.role, last.term);
        *last = report;
        drop(last);
        if changed {
            self.changed.send_modify(|count| *count += 1);
        }
    }
}

/// What the driver knows beside role and machine.
#[derive(Debug, Default)]
pub struct Extras {
    /// Takeovers done, oldest first.
    pub takeovers: Vec<TakeoverStatus>,
    /// For how long the oldest commit that is not applied has been known.
    pub behind: Duration,
    /// How the bus fences.
    pub fencing: String,
    /// What somebody must look at; empty when nothing.
    pub error: String,
    /// The project's own connectors.
    pub connectors: Vec<ConnectorStatus>,
    /// Where its state differed from the log last.
    pub diverged: Option<DivergedStatus>,
}

impl Extras {
    /// Remembers a takeover.
    pub fn took_over(&mut self, takeover: TakeoverStatus) {
        if self.takeovers.len() == TAKEOVERS_MAX {
            self.takeovers.remove(0);
        }
        self.takeovers.push(takeover);
    }
}

/// Name and topics of a project, which do not change while it runs.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Name.
    pub project: String,
    /// Version as deployed.
    pub version: u64,
    /// Fingerprint of the model.
    pub fingerprint: u64,
    /// Input topics by index.
    pub inputs: Vec<Arc<str>>,
    /// Output topics by index.
    pub outputs: Vec<Arc<str>>,
    /// Snapshots are made of it.
    pub keeps_snapshots: bool,
}

/// The wire form of a role.
pub fn wire_role(role: RoleName) -> mesh_proto::election::Role {
    match role {
        RoleName::Recovering => mesh_proto::election::Role::Recovering,
        RoleName::Standby => mesh_proto::election::Role::Standby,
        RoleName::TakingOver => mesh_proto::election::Role::TakingOver,
        RoleName::Active => mesh_proto::election::Role::Active,
        RoleName::Failed => mesh_proto::election::Role::Quarantined,
    }
}

/// Puts a report together.
pub(super) fn report(
    identity: &Identity,
    view: &RoleView,
    machine: &Machine,
    extras: &Extras,
    snapshots: &SnapshotState,
    now: Now,
) -> ProjectStatus {
    let (positions, waiting, sequences) = machine.places();
    let (events_in, events_out) = machine.counts();
    let executor = machine.executor();
    let mut digests = Vec::new();
    executor.digests(&mut digests);
    let stats = executor.stats();
    let inputs = identity.inputs.iter().enumerate().map(|(i, topic)| InputStatus {
        topic: topic.to_string(),
        position: positions[i],
        buffered_blocks: waiting[i] as u64,
    });
    let outputs = identity
        .outputs
        .iter()
        .zip(sequences)
        .map(|(topic, &sequence)| OutputStatus { topic: topic.to_string(), sequence });
    let windows =
        executor.window_names().iter().zip(&stats).zip(&digests).map(|((window, stats), &digest)| WindowStatus {
            window: window.clone(),
            rows: stats.rows,
            digest,
            bad_events: stats.bad_events,
            bytes: stats.bytes,
        });
    ProjectStatus {
        project: identity.project.clone(),
        project_version: identity.version,
        model_fingerprint: identity.fingerprint,
        role: wire_role(view.role).into(),
        term: view.term.0,
        commit_number: view.number.0,
        lag_commits: view.lag_commits,
        lag_ms: extras.behind.as_millis() as u64,
        waits_for: view.waits_for.clone(),
        events_in,
        events_out,
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        windows: windows.collect(),
        takeovers: extras.takeovers.clone(),
        fencing: extras.fencing.clone(),
        error: extras.error.clone(),
        connectors: extras.connectors.clone(),
        diverged: extras.diverged.clone(),
        recovery: (view.role == RoleName::Recovering).then(|| recovery(view, snapshots)),
        snapshots: Some(snapshot_status(snapshots, view, now)).filter(|_| identity.keeps_snapshots),
        parked: view.poison.as_ref().filter(|poison| poison.is_exact()).map(|poison| ParkedStatus {
            topic: poison.input.map_or_else(String::new, |input| identity.inputs[input as usize].to_string()),
            position: poison.from,
            reason: poison.reason.clone(),
        }),
    }
}

fn recovery(view: &RoleView, snapshots: &SnapshotState) -> RecoveryStatus {
    let (loading, bytes, bytes_read) = match &snapshots.loading {
        Some((name, bytes, read)) => (Some(name.clone()), *bytes, bytes_read(read)),
        None => (None, 0, 0),
    };
    // Each commit counts alike; good enough for a person who waits.
    let eta_ms = snapshots.replay.as_ref().map_or(0, |(began, first)| {
        let done = view.number.0.saturating_sub(first.0);
        let per_commit = began.elapsed().as_millis().checked_div(u128::from(done)).unwrap_or(0);
        u64::try_from(per_commit * u128::from(view.lag_commits)).unwrap_or(u64::MAX)
    });
    RecoveryStatus {
        snapshot: loading.or_else(|| snapshots.began_from.clone()).unwrap_or_default(),
        bytes,
        bytes_read,
        commits_left: view.lag_commits,
        eta_ms,
    }
}

fn snapshot_status(snapshots: &SnapshotState, view: &RoleView, now: Now) -> SnapshotStatus {
    let age_ms = match snapshots.newest {
        Some(newest) if newest.number >= view.number.0 => 0,
        Some(newest) => u64::try_from(now.wall_us / 1000).unwrap_or(0).saturating_sub(newest.written_ms),
        None if view.number.0 == 0 => 0,
        None => now.mono.as_millis() as u64,
    };
    let taken = snapshots.taken.clone().unwrap_or_default();
    SnapshotStatus {
        commit_number: taken.number,
        name: taken.name,
        state_bytes: taken.state_bytes,
        stored_bytes: taken.stored_bytes,
        took_ms: taken.took.as_millis() as u64,
        error: snapshots.failed.clone(),
        age_ms,
    }
}
