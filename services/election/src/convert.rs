//! Between the vocabularies: the decisions' own, the coordination port's, the gRPC API's.

use mesh_coordination as port;
use mesh_proto::election as pb;
use mesh_replication::Term;
use mesh_replication::election as rules;
use mesh_service::{Kind, Refusal};

pub(crate) fn group_state(state: &port::GroupState) -> rules::Input {
    rules::Input::Group {
        leader: state.leader.as_ref().map(|led| (record_from_port(&led.record), rules::Version(led.version.0))),
        candidates: state
            .candidates
            .iter()
            .map(|candidate| rules::Seen {
                znode: znode_from_port(&candidate.znode),
                data: data_from_port(&candidate.data),
            })
            .collect(),
    }
}

fn record_from_port(record: &port::LeaderRecord) -> rules::LeaderRecord {
    rules::LeaderRecord {
        term: Term(record.term),
        candidate: record.candidate.clone(),
        incarnation: record.incarnation,
        reason: record.reason.clone(),
        at_us: record.at_us,
        successor: record.successor.clone(),
        successor_reason: record.successor_reason.clone(),
        maintenance: rules::Maintenance {
            paused: record.paused.as_ref().map(order_from_port),
            drained: record.drained.iter().map(|(name, order)| (name.clone(), order_from_port(order))).collect(),
        },
    }
}

fn order_from_port(order: &port::Order) -> rules::Order {
    rules::Order { by: order.by.clone(), reason: order.reason.clone(), at_us: order.at_us }
}

fn order_to_port(order: &rules::Order) -> port::Order {
    port::Order { by: order.by.clone(), reason: order.reason.clone(), at_us: order.at_us }
}

fn order_to_wire(order: &rules::Order) -> pb::Order {
    pb::Order { by: order.by.clone(), reason: order.reason.clone(), at_us: order.at_us }
}

pub(crate) fn maintenance_to_wire(held: &rules::Maintenance) -> pb::Maintenance {
    pb::Maintenance {
        paused: held.paused.as_ref().map(order_to_wire),
        drained: held.drained.iter().map(|(name, order)| (name.clone(), order_to_wire(order))).collect(),
    }
}

pub(crate) fn record_to_port(record: &rules::LeaderRecord) -> port::LeaderRecord {
    port::LeaderRecord {
        term: record.term.0,
        candidate: record.candidate.clone(),
        incarnation: record.incarnation,
        reason: record.reason.clone(),
        at_us: record.at_us,
        successor: record.successor.clone(),
        successor_reason: record.successor_reason.clone(),
        paused: record.maintenance.paused.as_ref().map(order_to_port),
        drained: record.maintenance.drained.iter().map(|(name, order)| (name.clone(), order_to_port(order))).collect(),
    }
}

pub(crate) fn znode_from_port(znode: &port::Znode) -> rules::Znode {
    rules::Znode { sequence: znode.sequence, path: znode.path.clone() }
}

pub(crate) fn znode_to_port(znode: &rules::Znode) -> port::Znode {
    port::Znode { sequence: znode.sequence, path: znode.path.clone() }
}

fn data_from_port(data: &port::CandidateData) -> rules::NodeData {
    rules::NodeData {
        candidate: data.candidate.clone(),
        address: data.address.clone(),
        instance: data.instance.clone(),
        incarnation: data.incarnation,
        term: Term(data.term),
        caught_up: data.caught_up,
    }
}

pub(crate) fn data_to_port(data: &rules::NodeData) -> port::CandidateData {
    port::CandidateData {
        candidate: data.candidate.clone(),
        address: data.address.clone(),
        instance: data.instance.clone(),
        incarnation: data.incarnation,
        term: data.term.0,
        caught_up: data.caught_up,
    }
}

pub(crate) fn progress_from_wire(progress: &pb::Progress) -> rules::Progress {
    let role = match progress.role() {
        pb::Role::Standby => rules::CandidateRole::Standby,
        pb::Role::TakingOver => rules::CandidateRole::TakingOver,
        pb::Role::Active => rules::CandidateRole::Active,
        pb::Role::Quarantined => rules::CandidateRole::Quarantined,
        // what is not known cannot lead
        pb::Role::Recovering | pb::Role::Unspecified => rules::CandidateRole::Recovering,
    };
    rules::Progress {
        caught_up: progress.caught_up,
        role,
        term: Term(progress.term),
        commit_number: progress.commit_number,
        lag_commits: progress.lag_commits,
        cut_off: progress.cut_off,
    }
}

fn progress_to_wire(progress: &rules::Progress) -> pb::Progress {
    let role = match progress.role {
        rules::CandidateRole::Recovering => pb::Role::Recovering,
        rules::CandidateRole::Standby => pb::Role::Standby,
        rules::CandidateRole::TakingOver => pb::Role::TakingOver,
        rules::CandidateRole::Active => pb::Role::Active,
        rules::CandidateRole::Quarantined => pb::Role::Quarantined,
    };
    pb::Progress {
        caught_up: progress.caught_up,
        role: role.into(),
        term: progress.term.0,
        commit_number: progress.commit_number,
        lag_commits: progress.lag_commits,
        cut_off: progress.cut_off,
    }
}

pub(crate) fn message_to_wire(message: rules::Message) -> pb::ElectionMessage {
    use pb::election_message::Message;
    let message = match message {
        rules::Message::Joined { znode, term } => Message::Joined(pb::Joined { znode, term: term.0 }),
        rules::Message::Grant { term, reason } => Message::Grant(pb::Grant { term: term.0, reason }),
        rules::Message::Leader { term, candidate } => Message::Leader(pb::Leader { term: term.0, candidate }),
        rules::Message::HandOver { term, successor } => Message::HandOver(pb::HandOver { term: term.0, successor }),
        rules::Message::Watching { znode } => Message::Watching(pb::Watching { znode }),
    };
    pb::ElectionMessage { message: Some(message) }
}

pub(crate) fn view_to_wire(group: &str, view: &rules::GroupView) -> pb::GroupStatus {
    let leader = view.leader.as_ref();
    pb::GroupStatus {
        group: group.to_owned(),
        term: leader.map_or(0, |record| record.term.0),
        leader: leader.map(|record| record.candidate.clone()).unwrap_or_default(),
        reason: leader.map(|record| record.reason.clone()).unwrap_or_default(),
        since_us: leader.map_or(0, |record| record.at_us),
        maintenance: Some(maintenance_to_wire(&view.maintenance)),
        deposed: view.deposed.clone().unwrap_or_default(),
        candidates: view
            .candidates
            .iter()
            .map(|candidate| {
                let elsewhere = pb::Progress { caught_up: candidate.caught_up, ..pb::Progress::default() };
                pb::CandidateStatus {
                    candidate: candidate.candidate.clone(),
                    address: candidate.address.clone(),
                    znode: candidate.znode.clone(),
                    instance: candidate.instance.clone(),
                    progress: Some(candidate.progress.as_ref().map_or(elsewhere, progress_to_wire)),
                    unfit: candidate.unfit.clone(),
                }
            })
            .collect(),
    }
}

/// What was refused in a group (`handover`, `maintenance`), as the caller reads it.
pub(crate) fn refusal(what: &str, group: &str, refused: rules::Refused) -> Refusal {
    use rules::Refused;
    let what = format!("{what} of group `{group}`");
    let new = |kind| Refusal::new(kind, what.clone());
    match refused {
        Refused::NoLeader => new(Kind::Conflict)
            .expected("a leader that hands over")
            .found("none, or one that is just being replaced")
            .way_out("see `espctl status`; a leader is elected as soon as a candidate is caught up"),
        Refused::Leads { candidate, term } => new(Kind::Conflict)
            .expected("another candidate than the leader")
            .found(format!("`{candidate}`, which leads in term {term}")),
        Refused::NotACandidate { candidate, known } => new(Kind::NotFound)
            .expected(format!("one of its candidates: {}", known.join(", ")))
            .found(format!("`{candidate}`")),
        Refused::NotCaughtUp { candidate, lag_commits } => {
            let lag = lag_commits.map_or(String::new(), |lag| format!(", {lag} commits behind"));
            new(Kind::Conflict)
                .expected("a candidate that is caught up")
                .found(format!("`{candidate}` is not{lag}"))
                .way_out("wait until `espctl status` shows it as caught up")
        }
        Refused::NobodyElse => new(Kind::Conflict)
            .expected("a caught-up candidate beside the leader")
            .found("none")
            .way_out("start another engine, and wait until it is caught up"),
        Refused::Drained { candidate, by, reason } => new(Kind::Conflict)
            .expected("a candidate that is not drained")
            .found(format!("`{candidate}`, drained by {by}: {reason}"))
            .way_out(format!("`espctl undrain {candidate}`, then try again")),
        Refused::TooMany { limit } => new(Kind::Exhausted)
            .expected(format!("at most {limit}"))
            .found("one more")
            .way_out("let some of the drained candidates lead again (`espctl undrain`)"),
        Refused::NotWritten => new(Kind::Deadline)
            .expected("the leader record to be written in time (setting `handover_timeout`)")
            .found("that it was not")
            .way_out("see that ZooKeeper is up, then try again"),
        Refused::TooLate { leader, .. } if leader.is_empty() => new(Kind::Deadline)
            .expected("a candidate to lead in time (setting `handover_timeout`)")
            .found("that nobody does")
            .way_out("see `espctl status` for candidates that are caught up"),
        Refused::Busy { successor } => new(Kind::Conflict)
            .expected("no other handover under way")
            .found(format!("one to `{successor}`"))
            .way_out("try again when it is done"),
        Refused::NoSession => new(Kind::Unavailable)
            .expected("a session with ZooKeeper")
            .found("none")
            .way_out("leaders go on meanwhile; see that ZooKeeper is up"),
        Refused::TooLate { leader, term } => new(Kind::Deadline)
            .expected(format!("`{leader}` to hand over term {term} in time (setting `handover_timeout`)"))
            .found("that it leads on")
            .way_out("see its log; the wish was taken back"),
        Refused::Overtaken { leader, term } => new(Kind::Conflict)
            .expected("the candidate that was named to lead next")
            .found(format!("`{leader}` leads in term {term}"))
            .way_out("try again if that matters"),
    }
}
