//! Election instances, candidates and the server of nodes and records, simulated in virtual time.
//!
//! Every run checks E1, E2, E4, E7, E9 and E10 at each write and each grant; what else must hold is up to the test.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Term;
use crate::election::{
    AttachmentId, CandidateRole, Effect, Group, Input, Join, LeaderRecord, Maintenance, MaintenanceChange, Message,
    NodeData, Note, Order, Probe, Progress, Promoted, Refused, RequestId, Seen, SetLeader, TICK, Timing, Version,
    Znode,
};

/// Way of a message or a call, one way.
const LATENCY: Duration = Duration::from_millis(1);
/// Time between a candidate's signs of life.
const BEAT: Duration = Duration::from_millis(50);
/// Silence after which the server gives a session up.
pub const SESSION: Duration = Duration::from_millis(1000);
/// Pause before a candidate attaches anew.
const RE_ATTACH: Duration = Duration::from_millis(10);
/// Ticks in a test at most.
const STEPS_MOST: u32 = 1_000_000;

/// A generator of its own, so that a seed means the same run for ever.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

#[derive(Debug)]
enum Event {
    ToInstance { instance: usize, life: u32, input: Input },
    ToCandidate { candidate: usize, attachment: AttachmentId, message: Message },
    StreamClosed { candidate: usize, attachment: AttachmentId },
    Attach { candidate: usize, incarnation: u64 },
    AtServer { instance: usize, life: u32, call: Call },
    Expire { session: u64 },
    ExpirePaused { instance: usize, session: u64 },
}

#[derive(Debug)]
enum Call {
    Make(NodeData, u64),
    Update(Znode, NodeData),
    Remove(Znode),
    Set(Option<Version>, LeaderRecord),
}

pub struct Instance {
    pub group: Group,
    pub alive: bool,
    pub paused: bool,
    /// Counts restarts: answers to a former life are lost.
    life: u32,
    session: u64,
    held_back: Vec<Input>,
    next_tick: Duration,
}

pub struct Candidate {
    pub name: String,
    pub incarnation: u64,
    pub alive: bool,
    pub frozen: bool,
    pub caught_up: bool,
    /// When it was caught up last.
    caught_up_last: Duration,
    pub role: CandidateRole,
    pub term: Term,
    known_term: Term,
    pub attached: Option<(usize, AttachmentId)>,
    pub obeys: bool,
    next_beat: Duration,
    pub heard: Vec<Message>,
}

pub struct World {
    pub now: Duration,
    pub random: Random,
    /// Instances that candidates attach to, in this order of preference.
    pub instances: Vec<Instance>,
    pub candidates: Vec<Candidate>,
    pub record: Option<(LeaderRecord, Version)>,
    nodes: BTreeMap<i64, (u64, Seen)>,
    next_sequence: i64,
    sessions: u64,
    pub server_down: bool,
    /// One in so many writes of the record has an unknown outcome; 0: none.
    pub unknown_one_in: u64,
    attachments: u64,
    queue: BTreeMap<(Duration, u64), Event>,
    queued: u64,
    /// Winner of each term.
    pub winners: BTreeMap<u64, (String, u64, Duration)>,
    pub notes: Vec<Note>,
    pub replies: Vec<(RequestId, Result<Promoted, Refused>)>,
    pub maintained: Vec<(RequestId, Result<Maintenance, Refused>)>,
    /// Whom somebody asked to lead, ever.
    promoted: BTreeSet<String>,
    timing: Timing,
}

impl World {
    pub fn new(instances: usize, seed: u64) -> Self {
        Self::with_timing(instances, seed, Timing::default())
    }

    pub fn with_timing(instances: usize, seed: u64, timing: Timing) -> Self {
        let mut world = Self {
            now: Duration::from_secs(1),
            random: Random::new(seed),
            instances: Vec::new(),
            candidates: Vec::new(),
            record: None,
            nodes: BTreeMap::new(),
            next_sequence: 0,
            sessions: 0,
            server_down: false,
            unknown_one_in: 0,
            attachments: 0,
            queue: BTreeMap::new(),
            queued: 0,
            winners: BTreeMap::new(),
            notes: Vec::new(),
            replies: Vec::new(),
            maintained: Vec::new(),
            promoted: BTreeSet::new(),
            timing,
        };
        for number in 0..instances {
            world.instances.push(Instance {
                group: Group::new(format!("election-{number}"), timing, world.now),
                alive: false,
                paused: false,
                life: 0,
                session: 0,
                held_back: Vec::new(),
                next_tick: world.now,
            });
            world.start_instance(number);
        }
        world
    }

    // what a test does

    pub fn start_candidate(&mut self, name: &str) -> usize {
        self.candidates.push(Candidate {
            name: name.into(),
            incarnation: 0,
            alive: false,
            frozen: false,
            caught_up: true,
            caught_up_last: self.now,
            role: CandidateRole::Standby,
            term: Term(0),
            known_term: Term(0),
            attached: None,
            obeys: true,
            next_beat: self.now,
            heard: Vec::new(),
        });
        let candidate = self.candidates.len() - 1;
        self.restart(candidate);
        candidate
    }

    pub fn restart(&mut self, candidate: usize) {
        let now = self.now;
        let it = &mut self.candidates[candidate];
        it.alive = true;
        it.frozen = false;
        it.incarnation += 1;
        it.role = CandidateRole::Standby;
        it.attached = None;
        it.next_beat = now;
        let incarnation = it.incarnation;
        self.schedule(LATENCY, Event::Attach { candidate, incarnation });
    }

    pub fn crash(&mut self, candidate: usize) {
        let it = &mut self.candidates[candidate];
        it.alive = false;
        if let Some((instance, attachment)) = it.attached.take() {
            self.send(instance, Input::Detached { attachment });
        }
    }

    /// Its stream breaks, and nothing else.
    pub fn break_stream(&mut self, candidate: usize) {
        if let Some((instance, attachment)) = self.candidates[candidate].attached {
            self.send(instance, Input::Detached { attachment });
            self.schedule(LATENCY, Event::StreamClosed { candidate, attachment });
        }
    }

    pub fn kill_instance(&mut self, instance: usize) {
        let it = &mut self.instances[instance];
        it.alive = false;
        it.paused = false;
        it.life += 1;
        it.held_back.clear();
        let session = it.session;
        self.schedule(SESSION, Event::Expire { session });
        let lost: Vec<_> = self
            .candidates
            .iter()
            .enumerate()
            .filter_map(|(candidate, it)| {
                it.attached.filter(|(held_by, _)| *held_by == instance).map(|(_, attachment)| (candidate, attachment))
            })
            .collect();
        for (candidate, attachment) in lost {
            self.schedule(LATENCY, Event::StreamClosed { candidate, attachment });
        }
    }

    pub fn start_instance(&mut self, instance: usize) {
        self.sessions += 1;
        let (now, session) = (self.now, self.sessions);
        let it = &mut self.instances[instance];
        it.group = Group::new(format!("election-{instance}"), self.timing, now);
        it.alive = true;
        it.session = session;
        it.next_tick = now;
        let connected = !self.server_down;
        self.send(instance, Input::Session { connected, number: session });
        self.show(instance);
    }

    /// Freezes an instance; the server gives its session up if that takes too long.
    pub fn pause_instance(&mut self, instance: usize) {
        self.instances[instance].paused = true;
        let session = self.instances[instance].session;
        self.schedule(SESSION, Event::ExpirePaused { instance, session });
    }

    pub fn resume_instance(&mut self, instance: usize) {
        self.instances[instance].paused = false;
        for input in std::mem::take(&mut self.instances[instance].held_back) {
            self.step(instance, input);
        }
    }

    /// The server stops answering; sessions expire meanwhile if the test says so.
    pub fn set_server_down(&mut self, down: bool, expire: bool) {
        self.server_down = down;
        for instance in 0..self.instances.len() {
            if down && expire {
                self.expire_session(instance);
            }
            let number = self.instances[instance].session;
            self.send(instance, Input::Session { connected: !down, number });
            if !down {
                self.show(instance);
            }
        }
    }

    pub fn expire_session(&mut self, instance: usize) {
        let old = self.instances[instance].session;
        self.nodes.retain(|_, (owner, _)| *owner != old);
        self.sessions += 1;
        self.instances[instance].session = self.sessions;
        let connected = !self.server_down;
        let number = self.sessions;
        self.send(instance, Input::Session { connected, number });
        self.show_all();
    }

    pub fn promote(&mut self, instance: usize, candidate: &str) -> RequestId {
        self.attachments += 1;
        let request = RequestId(self.attachments);
        self.promoted.insert(candidate.into());
        self.send(instance, Input::Promote { request, candidate: candidate.into(), reason: "asked".into() });
        request
    }

    pub fn maintain(&mut self, instance: usize, change: MaintenanceChange) -> RequestId {
        self.attachments += 1;
        let request = RequestId(self.attachments);
        self.send(instance, Input::Maintain { request, change });
        request
    }

    pub fn order(&self) -> Order {
        let at_us = i64::try_from(self.now.as_micros()).expect("a test is short");
        Order { by: "ada".into(), reason: "maintenance".into(), at_us }
    }

    pub fn pause(&mut self, instance: usize) -> RequestId {
        let order = self.order();
        self.maintain(instance, MaintenanceChange::Pause(order))
    }

    pub fn drain(&mut self, instance: usize, candidate: &str) -> RequestId {
        let order = self.order();
        self.maintain(instance, MaintenanceChange::Drain { candidate: candidate.into(), order })
    }

    pub fn step_down(&mut self, candidate: usize, successor: &str) {
        self.give_back(candidate, successor, false);
    }

    /// As [`World::step_down`], and whether it parked the project.
    pub fn give_back(&mut self, candidate: usize, successor: &str, parked: bool) {
        let it = &mut self.candidates[candidate];
        it.role = CandidateRole::Standby;
        if let Some((instance, attachment)) = it.attached {
            let term = it.term;
            let (successor, reason) = (successor.into(), "test".into());
            self.send(instance, Input::SteppedDown { attachment, term, successor, parked, reason });
        }
    }

    pub fn leave(&mut self, candidate: usize) {
        let it = &mut self.candidates[candidate];
        it.alive = false;
        if let Some((instance, attachment)) = it.attached.take() {
            self.send(instance, Input::Left { attachment });
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..STEPS_MOST {
            let ticks = self.instances.iter().filter(|it| it.alive && !it.paused).map(|it| it.next_tick);
            let beats = self.candidates.iter().filter(|it| it.alive && !it.frozen).map(|it| it.next_beat);
            let queued = self.queue.keys().next().map(|(moment, _)| *moment);
            let next = ticks.chain(beats).chain(queued).min().unwrap_or(end);
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.do_what_is_due();
        }
        self.now = end;
    }

    pub fn run_ms(&mut self, millis: u64) {
        self.run(Duration::from_millis(millis));
    }

    pub fn leader(&self) -> Option<(&str, u64)> {
        let led = self.record.as_ref().filter(|(record, _)| record.term > Term(0));
        led.map(|(record, _)| (record.candidate.as_str(), record.term.0))
    }

    /// Candidates by name as the server has them.
    pub fn nodes_of(&self, name: &str) -> usize {
        self.nodes.values().filter(|(_, seen)| seen.data.candidate == name).count()
    }

    // what the world does

    fn schedule(&mut self, after: Duration, event: Event) {
        self.queued += 1;
        // some messages take longer, so that those of different senders overtake each other
        let jitter = Duration::from_micros(self.random.below(2000));
        self.queue.insert((self.now + after + jitter, self.queued), event);
    }

    /// Sends in order: no jitter, as on one stream.
    fn send(&mut self, instance: usize, input: Input) {
        self.queued += 1;
        let life = self.instances[instance].life;
        let event = Event::ToInstance { instance, life, input };
        self.queue.insert((self.now + LATENCY, self.queued), event);
    }

    fn do_what_is_due(&mut self) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let event = entry.remove();
            self.happen(event);
        }
        for instance in 0..self.instances.len() {
            let it = &mut self.instances[instance];
            if it.alive && !it.paused && it.next_tick <= self.now {
                it.next_tick = self.now + TICK;
                self.step(instance, Input::Tick);
            }
        }
        for candidate in 0..self.candidates.len() {
            let now = self.now;
            let it = &mut self.candidates[candidate];
            if it.caught_up {
                it.caught_up_last = now;
            }
            if it.alive && !it.frozen && it.next_beat <= now {
                it.next_beat = now + BEAT;
                let progress = Progress {
                    caught_up: it.caught_up,
                    role: it.role,
                    term: it.term,
                    commit_number: 0,
                    lag_commits: u64::from(!it.caught_up),
                    cut_off: false,
                };
                if let Some((instance, attachment)) = it.attached {
                    self.send(instance, Input::Progress { attachment, progress });
                }
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToInstance { instance, life, input } => {
                if self.instances[instance].alive && self.instances[instance].life == life {
                    // a watch hands out what is there when it is looked at
                    let input = if matches!(input, Input::Group { .. }) { self.state() } else { input };
                    if self.instances[instance].paused {
                        self.instances[instance].held_back.push(input);
                    } else {
                        self.step(instance, input);
                    }
                }
            }
            Event::ToCandidate { candidate, attachment, message } => self.hear(candidate, attachment, message),
            Event::StreamClosed { candidate, attachment } => {
                let it = &mut self.candidates[candidate];
                if it.attached.is_some_and(|(_, held)| held == attachment) {
                    it.attached = None;
                    let incarnation = it.incarnation;
                    self.schedule(RE_ATTACH, Event::Attach { candidate, incarnation });
                }
            }
            Event::Attach { candidate, incarnation } => self.attach(candidate, incarnation),
            Event::AtServer { instance, life, call } => self.serve(instance, life, call),
            Event::ExpirePaused { instance, session } => {
                if self.instances[instance].paused && self.instances[instance].session == session {
                    self.expire_session(instance);
                }
            }
            Event::Expire { session } => {
                self.nodes.retain(|_, (owner, _)| *owner != session);
                self.show_all();
            }
        }
    }

    fn attach(&mut self, candidate: usize, incarnation: u64) {
        let it = &self.candidates[candidate];
        if !it.alive || it.attached.is_some() || it.incarnation != incarnation {
            return;
        }
        let Some(instance) = self.instances.iter().position(|instance| instance.alive && !instance.paused) else {
            self.schedule(RE_ATTACH, Event::Attach { candidate, incarnation });
            return;
        };
        self.attachments += 1;
        let attachment = AttachmentId(self.attachments);
        let it = &mut self.candidates[candidate];
        it.attached = Some((instance, attachment));
        let join = Join {
            candidate: it.name.clone(),
            address: format!("{}:1", it.name),
            incarnation,
            known_term: it.known_term,
        };
        self.send(instance, Input::Attached { attachment, join });
    }

    fn hear(&mut self, candidate: usize, attachment: AttachmentId, message: Message) {
        let it = &mut self.candidates[candidate];
        if !it.alive || it.attached.is_none_or(|(_, held)| held != attachment) {
            return;
        }
        it.heard.push(message.clone());
        match message {
            Message::Grant { term, .. } => {
                let winner = self.winners.get(&term.0).map(|(name, incarnation, _)| (name.as_str(), *incarnation));
                let it = &mut self.candidates[candidate];
                assert_eq!(winner, Some((it.name.as_str(), it.incarnation)), "E7: a grant of another's term {term}");
                if term > it.known_term {
                    (it.known_term, it.term, it.role) = (term, term, CandidateRole::Active);
                }
            }
            Message::Leader { term, candidate: leader } => {
                it.known_term = it.known_term.max(term);
                if leader != it.name && term > it.term {
                    it.role = CandidateRole::Standby;
                }
            }
            Message::HandOver { successor, .. } if it.obeys => self.step_down(candidate, &successor),
            Message::HandOver { .. } | Message::Joined { .. } | Message::Watching { .. } => {}
        }
    }

    fn step(&mut self, instance: usize, input: Input) {
        let mut effects = Vec::new();
        let now = self.now;
        self.instances[instance].group.step(input, now, &mut effects);
        let life = self.instances[instance].life;
        for effect in effects {
            let call = match effect {
                Effect::MakeNode { data, session } => Call::Make(data, session),
                Effect::UpdateNode { znode, data } => Call::Update(znode, data),
                Effect::RemoveNode { znode } => Call::Remove(znode),
                Effect::SetLeader { expected, record } => Call::Set(expected, record),
                Effect::Probe { candidate, incarnation, .. } => {
                    let up = self.candidates.iter().any(|it| it.name == candidate && it.alive);
                    let outcome = if up { Probe::Answered } else { Probe::Refused };
                    self.send(instance, Input::Probed { candidate, incarnation, outcome });
                    continue;
                }
                Effect::Tell { attachment, message } => {
                    if let Some(candidate) = self.candidate_of(attachment) {
                        self.queued += 1;
                        let event = Event::ToCandidate { candidate, attachment, message };
                        self.queue.insert((self.now + LATENCY, self.queued), event);
                    }
                    continue;
                }
                Effect::Close { attachment, .. } => {
                    if let Some(candidate) = self.candidate_of(attachment) {
                        self.schedule(LATENCY, Event::StreamClosed { candidate, attachment });
                    }
                    continue;
                }
                Effect::Reply { request, outcome } => {
                    self.replies.push((request, outcome));
                    continue;
                }
                Effect::Maintained { request, outcome } => {
                    self.maintained.push((request, outcome));
                    continue;
                }
                Effect::Note(note) => {
                    self.notes.push(note);
                    continue;
                }
            };
            self.schedule(LATENCY, Event::AtServer { instance, life, call });
        }
    }

    fn candidate_of(&self, attachment: AttachmentId) -> Option<usize> {
        self.candidates.iter().position(|it| it.attached.is_some_and(|(_, held)| held == attachment))
    }

    fn serve(&mut self, instance: usize, life: u32, call: Call) {
        // a call of a former life may still arrive, as on a real network; its answer may not
        let (down, session) = (self.server_down, self.instances[instance].session);
        let answer = match call {
            Call::Make(data, asked_in) => {
                let made = (!down && asked_in == session).then(|| {
                    let sequence = self.next_sequence;
                    self.next_sequence += 1;
                    let znode = Znode { sequence, path: format!("/ESP/g/server-n_{sequence:010}") };
                    let seen = Seen { znode: znode.clone(), data: data.clone() };
                    self.nodes.insert(sequence, (session, seen));
                    znode
                });
                let (candidate, incarnation) = (data.candidate, data.incarnation);
                Some(Input::NodeMade { candidate, incarnation, session: asked_in, znode: made })
            }
            Call::Update(znode, data) => {
                let node = self.nodes.get_mut(&znode.sequence).filter(|_| !down);
                let missing = node.is_none() && !down;
                let written = node.map(|(_, seen)| {
                    seen.data = data.clone();
                    data
                });
                Some(Input::NodeUpdated { znode, written, missing })
            }
            Call::Remove(znode) => {
                if !down {
                    self.nodes.remove(&znode.sequence);
                }
                None
            }
            Call::Set(expected, mut record) => {
                if record.at_us == 0 {
                    record.at_us = i64::try_from(self.now.as_micros()).expect("a test is short");
                }
                let unknown = self.unknown_one_in > 0 && self.random.chance(self.unknown_one_in);
                let lost_on_the_way = unknown && self.random.chance(2);
                let outcome = if down {
                    SetLeader::Unavailable
                } else if lost_on_the_way {
                    SetLeader::Unknown
                } else {
                    let outcome = self.set(expected, &record);
                    if unknown { SetLeader::Unknown } else { outcome }
                };
                Some(Input::LeaderSet { record, outcome })
            }
        };
        if !down {
            self.show_all();
        }
        if let Some(input) = answer
            && self.instances[instance].life == life
        {
            self.send(instance, input);
        }
    }

    fn set(&mut self, expected: Option<Version>, record: &LeaderRecord) -> SetLeader {
        let found = self.record.as_ref().map(|(_, version)| *version);
        if found != expected {
            return SetLeader::Lost;
        }
        let before = self.record.as_ref().map_or(Term(0), |(old, _)| old.term);
        if record.term == before {
            let old = self.record.as_ref().map_or(("", 0), |(old, _)| (old.candidate.as_str(), old.incarnation));
            assert_eq!(old, (record.candidate.as_str(), record.incarnation), "E1: the same term, another winner");
        } else {
            assert!(record.term > before, "E2: {} after {before}", record.term);
            let it = self.candidates.iter().find(|it| it.name == record.candidate).expect("a candidate is elected");
            let lag = self.now - it.caught_up_last;
            assert!(lag < Duration::from_secs(3), "E4: not caught up for {lag:?}");
            self.check_held_back(record);
            let winner = (record.candidate.clone(), record.incarnation, self.now);
            assert!(self.winners.insert(record.term.0, winner).is_none(), "E1: two winners of {}", record.term);
        }
        let version = Version(found.map_or(0, |version| version.0 + 1));
        self.record = Some((record.clone(), version));
        SetLeader::Won(version)
    }

    /// E9 and E10, and that a new term takes over what is held back.
    fn check_held_back(&self, record: &LeaderRecord) {
        let Some((old, _)) = &self.record else { return };
        let (who, held) = (&record.candidate, &old.maintenance);
        assert_eq!(record.maintenance, *held, "a term changes nothing of what is held back");
        assert!(!held.drained.contains_key(who), "E10: `{who}` is drained");
        let again = old.candidate == *who && old.incarnation == record.incarnation && !old.successor.is_empty();
        let allowed = self.promoted.contains(who) || old.successor == *who || again;
        assert!(held.paused.is_none() || allowed, "E9: `{who}` is elected in a paused group: {}", record.reason);
    }

    fn state(&self) -> Input {
        let candidates = self.nodes.values().map(|(_, seen)| seen.clone()).collect();
        Input::Group { leader: self.record.clone(), candidates }
    }

    fn show(&mut self, instance: usize) {
        if !self.server_down {
            let state = self.state();
            let life = self.instances[instance].life;
            self.schedule(LATENCY, Event::ToInstance { instance, life, input: state });
        }
    }

    fn show_all(&mut self) {
        for instance in 0..self.instances.len() {
            self.show(instance);
        }
    }
}
