//! Who is next.

use std::cmp::Reverse;

use super::failures::Standing;
use super::group::{Group, Local, Writing};
use super::judge::Evidence;
use super::{CandidateRole, Effect, LeaderRecord, Note};
use crate::Term;

/// A candidate that could lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Eligible {
    pub name: String,
    pub incarnation: u64,
    pub sequence: i64,
    /// Term that it leads in by its own account; 0 when it does not.
    active_in: Term,
}

impl Group {
    /// A candidate that is held here, shows life, and is caught up.
    pub(super) fn could_lead(&self, local: &Local) -> bool {
        local.attachment.is_some()
            && (local.says_caught_up() || planted!(UnfitElected))
            && local.pulse.is_alive(self.now, self.timing.hang)
    }

    /// Who is alive, has a node, is caught up (E4) and not drained (E10), in the order of the nodes.
    pub(super) fn eligible(&self) -> Vec<Eligible> {
        let mut found: Vec<Eligible> = self
            .locals
            .values()
            .filter(|local| self.could_lead(local) && self.drained(&local.join.candidate).is_none())
            .filter_map(|local| {
                let active = local.progress.filter(|progress| progress.role == CandidateRole::Active);
                Some(Eligible {
                    name: local.join.candidate.clone(),
                    incarnation: local.join.incarnation,
                    sequence: local.node.made()?.sequence,
                    active_in: active.map_or(Term(0), |progress| progress.term),
                })
            })
            .collect();
        // after an outage, other instances need a moment to say how their candidates are now
        let restored_at = self.session.restored_at;
        let settled = restored_at.is_zero() || self.now.saturating_sub(restored_at) >= self.timing.hang;
        for node in self.seen.iter().flatten().filter(|_| settled) {
            let newest = self.newest_of(&node.data.candidate).is_some_and(|newest| newest.znode == node.znode);
            // a node of ours without a candidate of ours is about to go
            let of_others = node.data.instance != self.instance;
            let fit = node.data.caught_up && self.drained(&node.data.candidate).is_none();
            if newest && of_others && fit && !self.locals.contains_key(&node.data.candidate) {
                found.push(Eligible {
                    name: node.data.candidate.clone(),
                    incarnation: node.data.incarnation,
                    sequence: node.znode.sequence,
                    active_in: Term(0),
                });
            }
        }
        found.sort_by_key(|candidate| candidate.sequence);
        found
    }

    /// Writes a new leader record when one is needed and somebody can lead.
    pub(super) fn elect(&mut self, effects: &mut Vec<Effect>) {
        if !self.session.connected || self.in_flight.is_some() || self.now < self.retry_at || self.seen.is_none() {
            return;
        }
        let asked = self.asked_to_lead().is_some();
        let reason = match (self.leader(), &self.deposed) {
            (Some(_), None) => return,
            (Some(_), Some(deposed)) if asked => format!("promoted: {}", deposed.reason),
            (Some(_), Some(deposed)) => deposed.reason.clone(),
            (None, _) if asked => "promoted as the first leader of the group".to_owned(),
            (None, _) => {
                let settled = |since| self.now.saturating_sub(since) >= self.timing.settle;
                if !self.first_candidate.is_some_and(settled) {
                    return;
                }
                "first leader of the group".to_owned()
            }
        };
        let Some(next) = self.choose() else {
            if !self.nobody_noted && self.leader().is_some() {
                self.nobody_noted = true;
                let paused = self.is_paused();
                let note = if paused { Note::Paused { reason } } else { Note::NobodyCanLead { reason } };
                effects.push(Effect::Note(note));
            }
            return;
        };
        let record = LeaderRecord {
            term: self.next_term(),
            candidate: next.name,
            incarnation: next.incarnation,
            reason,
            at_us: 0,
            successor: String::new(),
            successor_reason: String::new(),
            maintenance: self.maintenance(),
        };
        let failed = self.failed_leader();
        let begins_term = true;
        self.write(record, Writing { begins_term, failed }, effects);
    }

    pub(super) fn write(&mut self, record: LeaderRecord, writing: Writing, effects: &mut Vec<Effect>) {
        let expected = self.led.as_ref().map(|led| led.version);
        self.in_flight = Some(writing);
        effects.push(Effect::SetLeader { expected, record });
    }

    /// The lowest node, but: a named successor first, the failed leader last, those with failures later. While the group
    /// is paused only whom a promotion allows (E9).
    fn choose(&self) -> Option<Eligible> {
        let record = self.leader().map(|led| &led.record);
        let evidence = self.deposed.as_ref().map(|deposed| &deposed.evidence);
        let asked = self.asked_to_lead();
        let preferred = match evidence {
            _ if asked.is_some() => asked.unwrap_or_default(),
            Some(Evidence::HandedOver { successor }) => successor.as_str(),
            _ => record.map_or("", |record| record.successor.as_str()),
        };
        let may_lead_again = matches!(evidence, Some(Evidence::HandedOver { .. } | Evidence::GaveUp));
        let mut found = self.eligible();
        if self.is_paused() {
            found.retain(|candidate| self.allowed_while_paused(&candidate.name, candidate.incarnation));
        }
        found.retain(|candidate| {
            let deposed =
                record.is_some_and(|led| led.candidate == candidate.name && led.incarnation == candidate.incarnation);
            let barred = self.failures.standing(&candidate.name, self.now) == Standing::Barred;
            (!deposed || may_lead_again) && (!barred || asked == Some(candidate.name.as_str()))
        });
        found.into_iter().min_by_key(|candidate| {
            let failed = record.is_some_and(|led| led.candidate == candidate.name);
            // without a record, whoever leads by its own account goes on: the record was lost, the leader was not
            let active = if record.is_none() { candidate.active_in } else { Term(0) };
            (
                candidate.name != preferred,
                failed,
                self.failures.standing(&candidate.name, self.now),
                Reverse(active),
                candidate.sequence,
            )
        })
    }

    /// E2: above everything that anybody knows of.
    fn next_term(&self) -> Term {
        let locals = self.locals.values().map(|local| local.join.known_term);
        let nodes = self.seen.iter().flatten().map(|node| node.data.term);
        let highest = locals.chain(nodes).fold(self.highest, Term::max);
        Term(highest.0.saturating_add(1))
    }
}
