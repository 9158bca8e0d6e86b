//! The state of one group at one instance, and what each input does to it.
//!
//! Inputs only change the state; what has to be done follows from the state ([`Group::care`]), so that a lost message,
//! a failed write or a restart is repaired by the next step and needs no path of its own.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::failures::Failures;
use super::judge::{Deposed, Evidence};
use super::maintenance::Waiting;
use super::nodes::Node;
use super::promote::Promotion;
use super::pulse::Pulse;
use super::timing::{CONFLICT_PAUSE, DISTRUST, RETRY_PAUSE};
use super::{
    AttachmentId, Effect, Input, Join, LeaderRecord, Message, Note, Progress, Seen, SetLeader, Timing, Version,
};
use crate::Term;

/// Writes lost in a row after which our idea of the record is given up for the server's, even if that looks older.
const LOST_IN_A_ROW: u32 = 3;

/// One group, as one election instance sees and changes it.
#[derive(Debug)]
pub struct Group {
    pub(super) instance: String,
    pub(super) timing: Timing,
    pub(super) now: Duration,
    pub(super) session: Session,
    /// The leader record; newer than what the watch shows right after a write of our own.
    pub(super) led: Option<Led>,
    /// The leader record as the watch has shown it last.
    shown: Option<(LeaderRecord, Version)>,
    /// Candidates' nodes as the watch has shown them; `None` before it has.
    pub(super) seen: Option<Vec<Seen>>,
    /// Candidates whose stream is or was held here.
    pub(super) locals: BTreeMap<String, Local>,
    /// Nodes of ours without a candidate of ours, by path, and since when.
    pub(super) ghosts: BTreeMap<String, Duration>,
    pub(super) deposed: Option<Deposed>,
    pub(super) absent_since: Option<Duration>,
    /// Since when somebody else could do what the leader, which is cut off from its bus, cannot.
    pub(super) rival_since: Option<Duration>,
    /// Until then, signs of life may have waited in a queue while this instance stood still.
    pub(super) distrust_until: Duration,
    /// When the first candidate of the group was noticed.
    pub(super) first_candidate: Option<Duration>,
    /// The record that is being written.
    pub(super) in_flight: Option<Writing>,
    pub(super) retry_at: Duration,
    lost_in_a_row: u32,
    pub(super) failures: Failures,
    /// Highest term that was ever in the record.
    pub(super) highest: Term,
    pub(super) promotion: Option<Promotion>,
    /// Changes of what is held back, first come first written.
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) nobody_noted: bool,
}

#[derive(Debug)]
pub(super) struct Session {
    pub connected: bool,
    pub number: u64,
    /// When it was connected last.
    pub back_at: Duration,
    /// When it was connected again after it had been lost; before the first loss: the start.
    pub restored_at: Duration,
}

/// A write of the record that has no answer yet.
#[derive(Debug)]
pub(super) struct Writing {
    /// False: it only changes the wish for a successor.
    pub begins_term: bool,
    /// The leader that failed, and is held off if the write succeeds.
    pub failed: Option<String>,
}

#[derive(Debug)]
pub(super) struct Led {
    pub record: LeaderRecord,
    pub version: Version,
    /// When this instance heard of the term.
    pub since: Duration,
    /// When this instance heard of the wish for a successor.
    pub wish_since: Duration,
}

/// A candidate whose stream is held here, or was until just now.
#[derive(Debug)]
pub(super) struct Local {
    pub join: Join,
    /// `None`: the stream is broken, and it is not yet clear what that means.
    pub attachment: Option<AttachmentId>,
    pub attached_at: Duration,
    pub node: Node,
    pub pulse: Pulse,
    pub progress: Option<Progress>,
    /// Since when it has said that it is not caught up.
    pub behind_since: Option<Duration>,
    /// The term that it has given back.
    pub stepped_down: Option<Term>,
    pub told: Told,
    pub probe: Prober,
}

/// What the candidate was told on its present stream.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub joined: bool,
    pub term: Term,
    pub watching: String,
    pub hand_over: Option<(Term, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prober {
    Waiting,
    NotBefore(Duration),
}

impl Local {
    pub fn new(attachment: AttachmentId, join: Join, now: Duration) -> Self {
        Self {
            join,
            attachment: Some(attachment),
            attached_at: now,
            node: Node::Wanted { not_before: Duration::ZERO },
            pulse: Pulse::new(now),
            progress: None,
            behind_since: Some(now),
            stepped_down: None,
            told: Told::default(),
            probe: Prober::NotBefore(Duration::ZERO),
        }
    }
}

impl Led {
    pub fn is(&self, candidate: &str, incarnation: u64) -> bool {
        self.record.candidate == candidate && (self.record.incarnation == incarnation || planted!(GrantByName))
    }
}

impl Group {
    /// A group about which nothing is known yet, as seen by the instance of this name. Without a session at first.
    pub fn new(instance: impl Into<String>, timing: Timing, now: Duration) -> Self {
        Self {
            instance: instance.into(),
            timing,
            now,
            session: Session { connected: false, number: 0, back_at: now, restored_at: Duration::ZERO },
            led: None,
            shown: None,
            seen: None,
            locals: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            deposed: None,
            absent_since: None,
            rival_since: None,
            distrust_until: Duration::ZERO,
            first_candidate: None,
            in_flight: None,
            retry_at: Duration::ZERO,
            lost_in_a_row: 0,
            failures: Failures::default(),
            highest: Term(0),
            promotion: None,
            waiting: VecDeque::new(),
            nobody_noted: false,
        }
    }

    /// Takes an input at a moment (time since any fixed start; it does not run backwards), and says what to do.
    pub fn step(&mut self, input: Input, now: Duration, effects: &mut Vec<Effect>) {
        self.pass_time(now, effects);
        match input {
            Input::Tick => {}
            Input::Session { connected, number } => self.hear_session(connected, number, effects),
            Input::Group { leader, candidates } => self.hear_group(leader, candidates, effects),
            Input::Attached { attachment, join } => self.attach(attachment, join, effects),
            Input::Progress { attachment, progress } => self.hear_progress(attachment, progress),
            Input::SteppedDown { attachment, term, successor, parked, reason } => {
                self.hear_step_down(attachment, term, (successor, parked), reason, effects);
            }
            Input::Left { attachment } => {
                if let Some(candidate) = self.holder_of(attachment) {
                    effects.push(Effect::Close { attachment, reason: "left on purpose".into() });
                    let planned = Evidence::HandedOver { successor: String::new() };
                    self.remove(&candidate, "left on purpose", planned, effects);
                }
            }
            Input::Detached { attachment } => self.detach(attachment, effects),
            Input::Probed { candidate, incarnation, outcome } => self.probed(&candidate, incarnation, outcome, effects),
            Input::NodeMade { candidate, incarnation, session, znode } => {
                self.node_made(&candidate, incarnation, session, znode, effects);
            }
            Input::NodeUpdated { znode, written, missing } => self.node_updated(&znode, written, missing),
            Input::LeaderSet { record, outcome } => self.leader_set(record, outcome, effects),
            Input::Promote { request, candidate, reason } => self.promote(request, candidate, reason, effects),
            Input::Maintain { request, change } => self.maintain(request, change, effects),
        }
        self.care(effects);
    }

    /// Does what follows from the state.
    fn care(&mut self, effects: &mut Vec<Effect>) {
        self.judge(effects);
        self.give_up_the_silent(effects);
        self.care_for_maintenance(effects);
        self.care_for_promotion(effects);
        self.elect(effects);
        self.tell(effects);
        // after telling: the leader's node says the term that it was told
        self.care_for_nodes(effects);
    }

    /// E8: when this instance stood still, everybody's signs of life may be waiting in its queues.
    fn pass_time(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let step = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        if step <= self.timing.own_stall {
            return;
        }
        for local in self.locals.values_mut() {
            local.pulse.forgive(now);
            local.behind_since = local.behind_since.map(|_| now);
        }
        self.absent_since = self.absent_since.map(|_| now);
        self.rival_since = self.rival_since.map(|_| now);
        self.distrust_until = now + DISTRUST;
        let millis = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
        effects.push(Effect::Note(Note::Stalled { millis }));
    }

    fn hear_session(&mut self, connected: bool, number: u64, effects: &mut Vec<Effect>) {
        if number != self.session.number {
            for local in self.locals.values_mut() {
                local.node.lost_with_session();
            }
        }
        if connected && !self.session.connected {
            if self.session.number != 0 {
                self.session.restored_at = self.now;
            }
            self.session.back_at = self.now;
            self.retry_at = self.now;
            effects.push(Effect::Note(Note::SessionBack));
        }
        if !connected && self.session.connected {
            effects.push(Effect::Note(Note::SessionLost));
        }
        self.session.connected = connected;
        self.session.number = number;
    }

    fn hear_group(
        &mut self,
        leader: Option<(LeaderRecord, Version)>,
        candidates: Vec<Seen>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some((record, version)) = &leader
            && self.led.as_ref().is_none_or(|led| led.version < *version)
        {
            self.set_led(record.clone(), *version);
        }
        self.shown = leader;
        if !candidates.is_empty() {
            self.first_candidate.get_or_insert(self.now);
        }
        self.see_nodes(candidates, effects);
    }

    fn set_led(&mut self, record: LeaderRecord, version: Version) {
        let old = self.led.as_ref().filter(|led| led.record.term == record.term);
        let since = old.map_or(self.now, |led| led.since);
        let wish_since =
            old.filter(|led| led.record.successor == record.successor).map_or(self.now, |led| led.wish_since);
        if old.is_none() {
            self.deposed = None;
            self.absent_since = None;
            self.rival_since = None;
            self.nobody_noted = false;
        }
        self.highest = self.highest.max(record.term);
        self.led = Some(Led { record, version, since, wish_since });
    }

    fn leader_set(&mut self, record: LeaderRecord, outcome: SetLeader, effects: &mut Vec<Effect>) {
        let Some(writing) = self.in_flight.take() else {
            return;
        };
        let term = record.term;
        if outcome != SetLeader::Lost {
            self.lost_in_a_row = 0;
        }
        match outcome {
            SetLeader::Won(version) => {
                if writing.begins_term {
                    if let Some(failed) = &writing.failed {
                        self.failures.note(failed, false, self.now, &self.timing);
                    }
                    effects.push(Effect::Note(Note::Elected {
                        term,
                        candidate: record.candidate.clone(),
                        reason: record.reason.clone(),
                    }));
                }
                if self.led.as_ref().is_none_or(|led| led.version < version) {
                    self.set_led(record, version);
                }
            }
            SetLeader::Lost => {
                effects.push(Effect::Note(Note::Conflict { term }));
                self.retry_at = self.now + CONFLICT_PAUSE;
                self.lost_in_a_row += 1;
                if self.lost_in_a_row >= LOST_IN_A_ROW {
                    self.lost_in_a_row = 0;
                    self.adopt_what_is_shown();
                }
            }
            SetLeader::Unknown if planted!(UnknownCountsAsWon) => {
                let version = self.led.as_ref().map_or(0, |led| led.version.0 + 1);
                self.set_led(record, Version(version));
            }
            SetLeader::Unknown => {
                effects.push(Effect::Note(Note::Unknown { term }));
                self.retry_at = self.now + RETRY_PAUSE;
            }
            SetLeader::Unavailable => self.retry_at = self.now + RETRY_PAUSE,
        }
    }

    /// The record that the server shows is the true one, even if its version is lower: somebody has wiped the server.
    fn adopt_what_is_shown(&mut self) {
        match self.shown.clone() {
            Some((record, version)) => self.set_led(record, version),
            None => {
                self.led = None;
                self.deposed = None;
            }
        }
    }

    /// Says to every candidate what it has not been told yet (E7).
    fn tell(&mut self, effects: &mut Vec<Effect>) {
        let leader_path = self.leader_path();
        for (name, local) in &mut self.locals {
            let Some(attachment) = local.attachment else { continue };
            let mut say = |message| effects.push(Effect::Tell { attachment, message });
            let term = self.led.as_ref().map_or(Term(0), |led| led.record.term);
            let Some(znode) = local.node.made() else { continue };
            if !local.told.joined {
                local.told.joined = true;
                say(Message::Joined { znode: znode.path.clone(), term });
            }
            let Some(led) = &self.led else { continue };
            let leads = led.is(name, local.join.incarnation);
            if term > local.told.term {
                local.told.term = term;
                if leads && local.join.known_term < term {
                    local.join.known_term = term;
                    say(Message::Grant { term, reason: led.record.reason.clone() });
                } else {
                    say(Message::Leader { term, candidate: led.record.candidate.clone() });
                }
            }
            if !leads
                && let Some(path) = &leader_path
                && local.told.watching != *path
            {
                local.told.watching.clone_from(path);
                say(Message::Watching { znode: path.clone() });
            }
            let wish = (term, led.record.successor.clone());
            if leads && !wish.1.is_empty() && local.told.hand_over.as_ref() != Some(&wish) {
                local.told.hand_over = Some(wish.clone());
                say(Message::HandOver { term, successor: wish.1 });
            }
        }
    }
}
