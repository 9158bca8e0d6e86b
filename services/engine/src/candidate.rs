//! The project's side of the election: a candidate of the project's group.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use mesh_candidate::{
    CandidateEvent, CandidateHandle, CandidateOptions, Credentials, CredentialsSource, Progress as CandidateProgress,
    Role,
};
use mesh_proto::election::{Progress, Role as WireRole};
use mesh_replication::{EngineId, Term};

use crate::project::election::ElectionLink;
use crate::project::message::Control;
use crate::projects::Host;

/// Time between signs of life.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// A candidate's handle, as the driver uses it. Without one (wrong options) the project only follows.
struct Link(Option<CandidateHandle>);

impl ElectionLink for Link {
    fn progress(&self, progress: Progress) {
        let Some(handle) = &self.0 else { return };
        let role = match WireRole::try_from(progress.role).unwrap_or_default() {
            WireRole::Unspecified | WireRole::Recovering => Role::Recovering,
            WireRole::Standby => Role::Standby,
            WireRole::TakingOver => Role::TakingOver,
            WireRole::Active => Role::Active,
            WireRole::Quarantined => Role::Quarantined,
        };
        handle.progress(CandidateProgress {
            caught_up: progress.caught_up,
            role,
            term: progress.term,
            commit_number: progress.commit_number,
            lag_commits: progress.lag_commits,
            cut_off: progress.cut_off,
        });
    }

    fn stepped_down(&self, term: Term, successor: Option<&EngineId>, reason: &str) {
        if let Some(handle) = &self.0 {
            handle.stepped_down(term.0, successor.map_or("", |successor| &successor.0), reason);
        }
    }

    fn parked(&self, term: Term, reason: &str) {
        if let Some(handle) = &self.0 {
            handle.parked(term.0, reason);
        }
    }

    fn leave(&self) {
        if let Some(handle) = &self.0 {
            handle.leave();
        }
    }
}

/// Joins a group; what the election says goes to the driver. To be called inside the tokio runtime.
pub fn attend(host: &Arc<Host>, group: String, control: Sender<Control>) -> Box<dyn ElectionLink> {
    let caller = host.scope.security.caller.clone();
    let shown = move || Credentials { tls: caller.tls(), authorization: caller.authorization() };
    let options = CandidateOptions {
        group: group.clone(),
        candidate: host.name.clone(),
        address: host.address.clone(),
        incarnation: host.incarnation,
        endpoints: host.config.elections.clone(),
        heartbeat: HEARTBEAT,
        credentials: CredentialsSource::new(shown),
    };
    match CandidateHandle::start(options) {
        Ok((handle, mut events)) => {
            tokio::spawn(async move {
                while let Some(event) = events.recv().await {
                    // The control channel holds far more than an election says between two turns of the driver; when it
                    // is full all the same, the driver is stuck and shall not lead: dropping the events says so.
                    if control.try_send(translate(event)).is_err() {
                        tracing::error!(group, "the project's driver takes no events of the election, leaving it");
                        return;
                    }
                }
            });
            Box::new(Link(Some(handle)))
        }
        Err(error) => {
            tracing::error!(%error, "the project takes no part in the election");
            Box::new(Link(None))
        }
    }
}

fn translate(event: CandidateEvent) -> Control {
    let engine = |name: String| EngineId(Arc::from(name.as_str()));
    match event {
        CandidateEvent::Attached { .. } => Control::Election { attached: true },
        CandidateEvent::Detached => Control::Election { attached: false },
        CandidateEvent::Joined { znode, .. } => Control::Joined { znode },
        CandidateEvent::Granted { term, reason } => Control::Granted { term: Term(term), reason },
        CandidateEvent::Leader { term, candidate } => Control::Leader { term: Term(term), engine: engine(candidate) },
        CandidateEvent::HandOver { term, successor } => {
            Control::HandOver { term: Term(term), successor: engine(successor) }
        }
        CandidateEvent::Watching { znode } => Control::Watching { znode },
    }
}
