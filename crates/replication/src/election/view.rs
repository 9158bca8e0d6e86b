//! What others may see of a group.

use super::group::{Group, Local};
use super::{CandidateRole, LeaderRecord, Maintenance, Progress};
use crate::Term;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Who leads, if anybody ever did.
    pub leader: Option<LeaderRecord>,
    /// Why the leader is to be replaced; `None`: all is well.
    pub deposed: Option<String>,
    /// What is held back.
    pub maintenance: Maintenance,
    /// Candidates in the order of their nodes; those without a node come last.
    pub candidates: Vec<CandidateView>,
}

/// A candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateView {
    /// Name.
    pub candidate: String,
    /// `host:port` that its crash closes.
    pub address: String,
    /// Path of its node; empty: none.
    pub znode: String,
    /// Instance that holds its stream.
    pub instance: String,
    /// True when it could lead.
    pub caught_up: bool,
    /// Its last sign of life, where its stream is held.
    pub progress: Option<Progress>,
    /// Why it would not be elected now, or only if nobody else can; empty: it could lead. Known where its stream is held.
    pub unfit: String,
}

impl Group {
    /// The group now.
    pub fn view(&self) -> GroupView {
        let mut candidates: Vec<(i64, CandidateView)> = self
            .locals
            .values()
            .map(|local| {
                let znode = local.node.made();
                let view = CandidateView {
                    candidate: local.join.candidate.clone(),
                    address: local.join.address.clone(),
                    znode: znode.map(|znode| znode.path.clone()).unwrap_or_default(),
                    instance: self.instance.clone(),
                    caught_up: local.says_caught_up(),
                    progress: local.progress,
                    unfit: self.unfit(local).unwrap_or_default(),
                };
                (znode.map_or(i64::MAX, |znode| znode.sequence), view)
            })
            .collect();
        for node in self.seen.iter().flatten() {
            let newest = self.newest_of(&node.data.candidate).is_some_and(|newest| newest.znode == node.znode);
            if newest && !self.locals.contains_key(&node.data.candidate) {
                let view = CandidateView {
                    candidate: node.data.candidate.clone(),
                    address: node.data.address.clone(),
                    znode: node.znode.path.clone(),
                    instance: node.data.instance.clone(),
                    caught_up: node.data.caught_up,
                    progress: None,
                    unfit: String::new(),
                };
                candidates.push((node.znode.sequence, view));
            }
        }
        candidates.sort_by_key(|(sequence, _)| *sequence);
        GroupView {
            leader: self.leader().map(|led| led.record.clone()),
            maintenance: self.maintenance(),
            deposed: self.deposed.as_ref().map(|deposed| deposed.reason.clone()),
            candidates: candidates.into_iter().map(|(_, view)| view).collect(),
        }
    }

    /// Why a candidate that is held here would not be elected, or only if nobody else can.
    fn unfit(&self, local: &Local) -> Option<String> {
        let name = &local.join.candidate;
        if local.attachment.is_none() {
            return Some("its stream is broken".to_owned());
        }
        if !local.pulse.is_alive(self.now, self.timing.hang) {
            return Some(format!("no sign of life for {} ms", local.pulse.silence(self.now).as_millis()));
        }
        let Some(progress) = local.progress else { return Some("it has not said yet how it is".to_owned()) };
        let behind = || format!("{} commits behind the log", progress.lag_commits);
        let held_back = || Some(format!("drained by {}", self.drained(name)?.by));
        let why = match progress.role {
            CandidateRole::Quarantined => "its state differs from the log and is made anew".to_owned(),
            _ if progress.cut_off => "it gets no answer from its bus".to_owned(),
            CandidateRole::Recovering => format!("it rebuilds its state, {}", behind()),
            _ if !progress.caught_up => behind(),
            _ => return held_back().or_else(|| self.failures.told(name, self.now)),
        };
        Some(why)
    }

    /// Term of the group now; 0 when it never had a leader.
    pub fn term(&self) -> Term {
        self.led.as_ref().map_or(Term(0), |led| led.record.term)
    }

    /// True when nothing of the group is held here: no stream, no request, no write.
    pub fn is_idle(&self) -> bool {
        self.locals.is_empty() && self.waiting.is_empty() && self.promotion.is_none() && self.in_flight.is_none()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.view().candidates.into_iter().map(|view| view.candidate).collect()
    }
}
