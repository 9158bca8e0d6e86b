//! Between our vocabulary and that of the election's gRPC API.

use mesh_proto::election as pb;

use crate::event::{CandidateEvent, Progress, Role};
use crate::handle::StepDown;
use crate::options::CandidateOptions;

pub(crate) fn join(options: &CandidateOptions, known_term: u64) -> pb::CandidateMessage {
    message(pb::candidate_message::Message::Join(pb::Join {
        group: options.group.clone(),
        candidate: options.candidate.clone(),
        address: options.address.clone(),
        known_term,
        incarnation: options.incarnation,
    }))
}

pub(crate) fn progress(progress: Progress) -> pb::CandidateMessage {
    let role = match progress.role {
        Role::Recovering => pb::Role::Recovering,
        Role::Standby => pb::Role::Standby,
        Role::TakingOver => pb::Role::TakingOver,
        Role::Active => pb::Role::Active,
        Role::Quarantined => pb::Role::Quarantined,
    };
    message(pb::candidate_message::Message::Progress(pb::Progress {
        caught_up: progress.caught_up,
        role: role.into(),
        term: progress.term,
        commit_number: progress.commit_number,
        lag_commits: progress.lag_commits,
        cut_off: progress.cut_off,
    }))
}

pub(crate) fn step_down(step_down: &StepDown) -> pb::CandidateMessage {
    message(pb::candidate_message::Message::SteppedDown(pb::SteppedDown {
        term: step_down.term,
        successor: step_down.successor.clone(),
        parked: step_down.parked,
        reason: step_down.reason.clone(),
    }))
}

pub(crate) fn leave() -> pb::CandidateMessage {
    message(pb::candidate_message::Message::Leave(pb::Leave {}))
}

fn message(message: pb::candidate_message::Message) -> pb::CandidateMessage {
    pb::CandidateMessage { message: Some(message) }
}

/// `None`: a message of a newer election that means nothing to us.
pub(crate) fn event(message: pb::ElectionMessage) -> Option<CandidateEvent> {
    use pb::election_message::Message;
    Some(match message.message? {
        Message::Joined(joined) => CandidateEvent::Joined { znode: joined.znode, term: joined.term },
        Message::Grant(grant) => CandidateEvent::Granted { term: grant.term, reason: grant.reason },
        Message::Leader(leader) => CandidateEvent::Leader { term: leader.term, candidate: leader.candidate },
        Message::HandOver(wanted) => CandidateEvent::HandOver { term: wanted.term, successor: wanted.successor },
        Message::Watching(watching) => CandidateEvent::Watching { znode: watching.znode },
    })
}
