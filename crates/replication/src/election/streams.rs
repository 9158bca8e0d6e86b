//! Candidates' streams: attached, alive, stepped down, broken, gone.

use std::time::Duration;

use super::group::{Group, Local, Prober, Told};
use super::judge::Evidence;
use super::timing::PROBE_PAUSE;
use super::{AttachmentId, Effect, Join, Note, Probe, Progress};
use crate::Term;

impl Group {
    pub(super) fn attach(&mut self, attachment: AttachmentId, join: Join, effects: &mut Vec<Effect>) {
        let now = self.now;
        self.first_candidate.get_or_insert(now);
        let name = join.candidate.clone();
        if let Some(local) = self.locals.get_mut(&name) {
            let alive = local.attachment.is_some() && !local.pulse.is_silent(now, self.timing.hang);
            if local.join.incarnation == join.incarnation {
                if let Some(old) = local.attachment.replace(attachment) {
                    let reason = "the candidate has opened another stream".into();
                    effects.push(Effect::Close { attachment: old, reason });
                }
                local.join = join;
                local.pulse.beat(now);
                local.attached_at = now;
                // what it said on the old stream may not be true any more
                local.progress = None;
                local.told = Told::default();
                return;
            }
            if alive && local.join.address != join.address {
                let reason = format!(
                    "candidate `{name}` takes part already from {}: give one of the two another name",
                    local.join.address
                );
                effects.push(Effect::Close { attachment, reason });
                return;
            }
            if let Some(old) = local.attachment {
                effects.push(Effect::Close { attachment: old, reason: "the candidate has restarted".into() });
            }
            self.remove(&name, "has restarted", Evidence::Certain, effects);
        }
        self.locals.insert(name, Local::new(attachment, join, now));
    }

    pub(super) fn hear_progress(&mut self, attachment: AttachmentId, progress: Progress) {
        let now = self.now;
        if let Some(local) = self.locals.values_mut().find(|local| local.attachment == Some(attachment)) {
            if now < self.distrust_until {
                local.pulse.forgive(now);
            } else {
                local.pulse.beat(now);
            }
            local.progress = Some(progress);
            local.join.known_term = local.join.known_term.max(progress.term);
            local.behind_since = if progress.caught_up { None } else { local.behind_since.or(Some(now)) };
        }
    }

    pub(super) fn hear_step_down(
        &mut self,
        attachment: AttachmentId,
        term: Term,
        (successor, parked): (String, bool),
        reason: String,
        effects: &mut Vec<Effect>,
    ) {
        let Some(name) = self.holder_of(attachment) else { return };
        let local = self.locals.get_mut(&name).expect("the holder of an attachment is a local candidate");
        local.pulse.beat(self.now);
        local.stepped_down = Some(term);
        let incarnation = local.join.incarnation;
        let Some(led) = self.led.as_ref().filter(|led| led.record.term == term && led.is(&name, incarnation)) else {
            return;
        };
        let wish = &led.record;
        let (evidence, text) = if successor.is_empty() {
            if !parked {
                self.failures.note(&name, true, self.now, &self.timing);
            }
            (Evidence::GaveUp, format!("`{name}` gave term {term} back: {reason}"))
        } else if wish.successor == successor && !wish.successor_reason.is_empty() {
            (Evidence::HandedOver { successor }, format!("handed over by `{name}`: {}", wish.successor_reason))
        } else {
            (Evidence::HandedOver { successor }, format!("handed over by `{name}`: {reason}"))
        };
        self.depose(text, evidence, effects);
    }

    pub(super) fn detach(&mut self, attachment: AttachmentId, effects: &mut Vec<Effect>) {
        if let Some(name) = self.holder_of(attachment) {
            let local = self.locals.get_mut(&name).expect("the holder of an attachment is a local candidate");
            local.attachment = None;
            local.told = Told::default();
            local.probe = Prober::NotBefore(Duration::ZERO);
            self.probe(&name, effects);
        }
    }

    fn probe(&mut self, name: &str, effects: &mut Vec<Effect>) {
        let now = self.now;
        if let Some(local) = self.locals.get_mut(name)
            && local.attachment.is_none()
            && matches!(local.probe, Prober::NotBefore(moment) if moment <= now)
        {
            local.probe = Prober::Waiting;
            effects.push(Effect::Probe {
                candidate: name.to_owned(),
                incarnation: local.join.incarnation,
                address: local.join.address.clone(),
            });
        }
    }

    pub(super) fn probed(&mut self, name: &str, incarnation: u64, outcome: Probe, effects: &mut Vec<Effect>) {
        let Some(local) = self.locals.get_mut(name).filter(|local| local.join.incarnation == incarnation) else {
            return;
        };
        local.probe = Prober::NotBefore(self.now + PROBE_PAUSE);
        if outcome == Probe::Refused && local.attachment.is_none() {
            let reason = format!("crashed: its stream broke and {} refuses connections", local.join.address);
            self.remove(name, &reason, Evidence::Certain, effects);
        }
    }

    /// A broken stream is waited for as long as a hang, and probed meanwhile: the port may close a moment later.
    pub(super) fn give_up_the_silent(&mut self, effects: &mut Vec<Effect>) {
        let detached: Vec<String> =
            self.locals.iter().filter(|(_, local)| local.attachment.is_none()).map(|(name, _)| name.clone()).collect();
        for name in detached {
            if self.locals[&name].pulse.is_silent(self.now, self.timing.hang) {
                self.remove(&name, "did not come back after its stream broke", Evidence::Certain, effects);
            } else {
                self.probe(&name, effects);
            }
        }
    }

    /// A candidate that was held here is gone for certain; if it leads, its term is over.
    pub(super) fn remove(&mut self, name: &str, reason: &str, evidence: Evidence, effects: &mut Vec<Effect>) {
        let Some(local) = self.locals.remove(name) else { return };
        if let Some(znode) = local.node.made() {
            effects.push(Effect::RemoveNode { znode: znode.clone() });
        }
        effects.push(Effect::Note(Note::Gone { candidate: name.to_owned(), reason: reason.to_owned() }));
        if self.led.as_ref().is_some_and(|led| led.is(name, local.join.incarnation)) {
            self.depose(format!("`{name}` {reason}"), evidence, effects);
        }
    }

    pub(super) fn holder_of(&self, attachment: AttachmentId) -> Option<String> {
        let held = self.locals.iter().find(|(_, local)| local.attachment == Some(attachment));
        held.map(|(name, _)| name.clone())
    }
}
