//! Whether the leader is still one.

use std::time::Duration;

use super::group::{Group, Led, Local};
use super::timing::TICK;
use super::{CandidateRole, Effect, Note};
use crate::Term;

/// A leader in another instance's care shows that its grant has arrived within this many times the limit of a hang.
const ACKNOWLEDGE_HANGS: u32 = 2;

/// Why the leader's term is over, or believed to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Its process is gone, or another one has its name.
    Certain,
    /// It looks like it; a sign of life refutes it.
    Suspicion,
    /// It has handed over.
    HandedOver { successor: String },
    /// It has given the term back, to nobody in particular.
    GaveUp,
}

/// The leader of a term that is to be replaced.
#[derive(Debug)]
pub(super) struct Deposed {
    pub term: Term,
    pub reason: String,
    pub evidence: Evidence,
}

impl Group {
    /// Ends the term in our eyes; the record says so only when another leader was found.
    pub(super) fn depose(&mut self, reason: String, evidence: Evidence, effects: &mut Vec<Effect>) {
        let Some(led) = &self.led else { return };
        let stronger = self.deposed.as_ref().is_none_or(|deposed| deposed.evidence == Evidence::Suspicion);
        if !stronger {
            return;
        }
        effects.push(Effect::Note(Note::Deposed {
            term: led.record.term,
            candidate: led.record.candidate.clone(),
            reason: reason.clone(),
            suspicion: evidence == Evidence::Suspicion,
        }));
        self.deposed = Some(Deposed { term: led.record.term, reason, evidence });
    }

    /// Looks at the leader (E3): deposes it for a reason, or takes a suspicion back.
    pub(super) fn judge(&mut self, effects: &mut Vec<Effect>) {
        self.track_absence();
        self.track_rivals();
        let fault = self.fault_of_leader();
        match (&self.deposed, fault) {
            (None, Some((reason, evidence)))
                if evidence != Evidence::Suspicion || self.term_age() >= self.timing.minimum_term =>
            {
                self.depose(reason, evidence, effects);
            }
            (Some(deposed), Some((reason, Evidence::Certain))) if deposed.evidence == Evidence::Suspicion => {
                self.depose(reason, Evidence::Certain, effects);
            }
            (Some(deposed), None) if deposed.evidence == Evidence::Suspicion && self.in_flight.is_none() => {
                let (term, led) = (deposed.term, self.led.as_ref());
                let candidate = led.map(|led| led.record.candidate.clone()).unwrap_or_default();
                self.deposed = None;
                self.nobody_noted = false;
                effects.push(Effect::Note(Note::Cleared { term, candidate }));
            }
            _ => {}
        }
    }

    fn term_age(&self) -> Duration {
        self.led.as_ref().map_or(Duration::ZERO, |led| self.now.saturating_sub(led.since))
    }

    /// A leader that nobody holds a stream or a node of: for how long.
    fn track_absence(&mut self) {
        let absent = self.leader().is_some_and(|led| {
            !self.locals.contains_key(&led.record.candidate) && self.newest_of(&led.record.candidate).is_none()
        });
        if absent {
            self.absent_since.get_or_insert(self.now);
        } else {
            self.absent_since = None;
        }
    }

    /// After an outage of the whole bus one candidate hears it again a moment before another: only somebody who has
    /// been fit for a while is a reason to replace a leader that is cut off.
    fn track_rivals(&mut self) {
        let cut_off = self.led.as_ref().is_some_and(|led| {
            let local = self.locals.get(&led.record.candidate);
            local.is_some_and(|local| local.behind_since.is_some()) && self.could_replace(&led.record.candidate)
        });
        self.rival_since = if cut_off { self.rival_since.or(Some(self.now)) } else { None };
    }

    /// What is wrong with the leader, if anything.
    fn fault_of_leader(&self) -> Option<(String, Evidence)> {
        let led = self.leader()?;
        let (name, incarnation) = (&led.record.candidate, led.record.incarnation);
        let restarted = || Some((format!("`{name}` has restarted"), Evidence::Certain));
        if let Some(local) = self.locals.get(name) {
            return if local.join.incarnation == incarnation { self.fault_of(local, led) } else { restarted() };
        }
        match self.newest_of(name) {
            Some(node) if node.data.incarnation != incarnation => restarted(),
            Some(node) => {
                let limit = self.timing.hang * ACKNOWLEDGE_HANGS;
                let waited = self.now.saturating_sub(led.since.max(self.session.back_at));
                (self.session.connected && node.data.term < led.record.term && waited >= limit).then(|| {
                    let instance = &node.data.instance;
                    let text = format!("instance `{instance}` has not told `{name}` of its term for {limit:?}");
                    (text, Evidence::Suspicion)
                })
            }
            None => self.fault_of_absent(name),
        }
    }

    fn fault_of_absent(&self, name: &str) -> Option<(String, Evidence)> {
        let absent = self.now.saturating_sub(self.absent_since?);
        // after an outage every instance makes the nodes of its candidates anew, some later than others
        let settled = self.now.saturating_sub(self.session.back_at) >= self.timing.return_grace;
        let over = self.session.connected && self.seen.is_some() && settled && absent >= self.timing.hang;
        over.then(|| (format!("`{name}` has had no node for {} ms", absent.as_millis()), Evidence::Suspicion))
    }

    /// What is wrong with a leader that is held here. What a living leader cannot do is held against it only when
    /// another candidate could do it.
    fn fault_of(&self, local: &Local, led: &Led) -> Option<(String, Evidence)> {
        let name = &local.join.candidate;
        let suspicion = |text: String| Some((text, Evidence::Suspicion));
        if local.stepped_down == Some(led.record.term) {
            return Some((format!("`{name}` stepped down"), Evidence::GaveUp));
        }
        if local.pulse.is_silent(self.now, self.timing.hang) {
            let silence = local.pulse.silence(self.now).as_millis();
            return suspicion(match local.attachment {
                Some(_) => format!("`{name}` hangs: no progress for {silence} ms"),
                None => format!("`{name}` did not come back for {silence} ms after its stream broke"),
            });
        }
        let leads = local
            .progress
            .is_some_and(|progress| progress.role == CandidateRole::Active && progress.term >= led.record.term);
        let waited = self.now.saturating_sub(led.since.max(local.attached_at));
        if !leads && waited >= self.timing.takeover && self.could_replace(name) {
            return suspicion(format!("`{name}` has not taken over for {} ms", waited.as_millis()));
        }
        let behind = self.now.saturating_sub(local.behind_since?);
        let rival = self.now.saturating_sub(self.rival_since?);
        // Who was fit all the time while the leader was not has an own way to the bus; who became fit meanwhile may only
        // have heard a bus that is back a moment earlier.
        let patience = if rival + TICK * 2 >= behind { self.timing.cut_off } else { self.timing.hang };
        let cut_off = behind >= self.timing.cut_off && rival >= patience;
        cut_off
            .then(|| (format!("`{name}` has not reached its bus for {} ms", behind.as_millis()), Evidence::Suspicion))
    }

    fn could_replace(&self, leader: &str) -> bool {
        self.eligible().iter().any(|candidate| candidate.name != leader)
    }

    /// The leader that failed and has to wait before it leads again; one that handed over did not fail.
    pub(super) fn failed_leader(&self) -> Option<String> {
        let failed = |evidence: &Evidence| matches!(evidence, Evidence::Certain | Evidence::Suspicion);
        let deposed = self.deposed.as_ref().filter(|deposed| failed(&deposed.evidence));
        deposed.and(self.led.as_ref()).map(|led| led.record.candidate.clone())
    }
}
