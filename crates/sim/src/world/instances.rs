//! Election instances around `Group`, and ZooKeeper: sessions, ephemeral nodes, the leader record by compare-and-set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_replication::Term;
use mesh_replication::election::{
    self as rules, AttachmentId, Effect, Group, LeaderRecord, NodeData, Note, Probe, RequestId, Seen, SetLeader, TICK,
    Timing, Version, Znode,
};

use crate::net::Node;
use crate::plan::MS;
use crate::world::streams::ToCandidate;
use crate::world::{Event, Life, World, tell};

/// Silence after which a session is given up.
const SESSION_US: u64 = 1000 * MS;
/// How often ZooKeeper looks at the sessions.
const SESSIONS_US: u64 = 100 * MS;
/// A candidate that was caught up within this time may be made leader.
const FIT_US: u64 = 4000 * MS;
/// A message on a way that is cut is looked at again this often.
const HELD_US: u64 = 20 * MS;
/// Most engines of a world.
const ENGINES_MOST: usize = 5;
/// How many of a thousand writes of the record have an unknown outcome while the network is bad.
const UNKNOWN_PERMILLE: u64 = 100;

/// What reaches an instance, and from which engine if from one.
#[derive(Debug)]
pub(crate) struct ToInstance {
    pub from: Option<usize>,
    pub input: rules::Input,
}

/// A call of ZooKeeper.
#[derive(Debug)]
pub(crate) enum Call {
    Make(NodeData, u64),
    Update(Znode, NodeData),
    Remove(Znode),
    Set(Option<Version>, LeaderRecord),
}

/// An election instance.
pub(crate) struct Instance {
    pub life: Life,
    pub group: Group,
    /// Streams it holds, and whose they are.
    pub streams: Vec<(AttachmentId, usize)>,
    session: u64,
    connected: bool,
    heard_at: u64,
    effects: Vec<Effect>,
}

impl Instance {
    pub fn new(index: usize) -> Instance {
        Instance {
            life: Life::default(),
            group: Group::new(format!("s{index}"), Timing::default(), Duration::ZERO),
            streams: Vec::new(),
            session: 0,
            connected: false,
            heard_at: 0,
            effects: Vec::new(),
        }
    }
}

/// ZooKeeper.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// Faults that take its quorum.
    pub down: u32,
    pub attachments: u64,
    pub(super) record: Option<(LeaderRecord, Version)>,
    /// Whom somebody asked to lead, ever.
    pub(super) promoted: BTreeSet<String>,
    nodes: BTreeMap<i64, (u64, Seen)>,
    next_sequence: i64,
    sessions: u64,
    /// Sessions whose instance has crashed and begun another, and when they were last heard of.
    orphans: Vec<(u64, u64)>,
    winners: BTreeMap<u64, (String, u64)>,
    requests: u64,
    watching: bool,
    /// What an engine sends waits until then, since its way was cut.
    held_until: [u64; ENGINES_MOST],
}

impl World {
    pub(crate) fn start_instance(&mut self, index: usize) {
        let now = Duration::from_micros(self.now);
        self.keeper.sessions += 1;
        let session = self.keeper.sessions;
        let it = &mut self.instances[index];
        if it.life.alive {
            return;
        }
        // Nobody closes the session of a crash: it goes when its time is up, and its nodes with it.
        if it.session > 0 {
            self.keeper.orphans.push((it.session, it.heard_at));
        }
        it.life.alive = true;
        it.life.number += 1;
        it.group = Group::new(format!("s{index}"), Timing::default(), now);
        it.streams.clear();
        it.session = session;
        it.connected = false;
        it.heard_at = self.now;
        let life = it.life.number;
        tell!(self, "s{index}    starts");
        self.after(0, Event::Tick { instance: index, life });
        if !self.keeper.watching {
            self.keeper.watching = true;
            self.after(SESSIONS_US, Event::Sessions);
        }
        self.look_at_session(index);
    }

    pub(crate) fn kill_instance(&mut self, index: usize) {
        let it = &mut self.instances[index];
        it.life.alive = false;
        it.life.stalled.clear();
        tell!(self, "s{index}    dies");
        for (attachment, engine) in std::mem::take(&mut self.instances[index].streams) {
            self.say_to_candidate(engine, attachment, ToCandidate::Closed);
        }
    }

    fn say_to_candidate(&mut self, engine: usize, attachment: AttachmentId, message: ToCandidate) {
        let life = self.engines[engine].life.number;
        // in order: the delay of a stream does not change while messages are under way
        let delay = self.plan.travel.base_us;
        self.after(delay, Event::ToCandidate { engine, life, attachment, message });
    }

    pub(crate) fn tick_instance(&mut self, index: usize) {
        let life = self.instances[index].life.number;
        self.after(TICK.as_micros() as u64, Event::Tick { instance: index, life });
        self.step_group(index, rules::Input::Tick);
    }

    /// Something reaches an instance. What was sent over a direction that is cut waits until it is mended.
    pub(crate) fn at_instance(&mut self, index: usize, what: ToInstance) {
        if let Some(engine) = what.from {
            let held_until = self.keeper.held_until[engine];
            if self.now < held_until || self.net.is_cut(Node::Engine(engine), Node::Instance(index)) {
                // what comes later on the same way waits behind it
                let until = held_until.max((self.now / HELD_US + 1) * HELD_US);
                self.keeper.held_until[engine] = until;
                let life = self.instances[index].life.number;
                return self.after(until - self.now, Event::ToInstance { instance: index, life, input: what });
            }
        }
        if let rules::Input::Session { connected, number } = &what.input {
            tell!(self, "s{index} <- session {number}, connected: {connected}");
        }
        self.step_group(index, what.input);
    }

    fn step_group(&mut self, index: usize, input: rules::Input) {
        let now = Duration::from_micros(self.now);
        let it = &mut self.instances[index];
        let mut effects = std::mem::take(&mut it.effects);
        let kind = crate::coverage::election_input(&input);
        it.group.step(input, now, &mut effects);
        self.coverage.election(kind, &effects);
        for effect in effects.drain(..) {
            self.carry_out_election(index, effect);
        }
        self.instances[index].effects = effects;
    }

    fn carry_out_election(&mut self, index: usize, effect: Effect) {
        let call = match effect {
            Effect::MakeNode { data, session } => Call::Make(data, session),
            Effect::UpdateNode { znode, data } => Call::Update(znode, data),
            Effect::RemoveNode { znode } => Call::Remove(znode),
            Effect::SetLeader { expected, record } => Call::Set(expected, record),
            Effect::Probe { candidate, incarnation, .. } => return self.probe(index, candidate, incarnation),
            Effect::Tell { attachment, message } => {
                tell!(self, "s{index} -> {message:?}");
                let held = self.instances[index].streams.iter().find(|(held, _)| *held == attachment);
                if let Some(&(_, engine)) = held {
                    self.say_to_candidate(engine, attachment, ToCandidate::Say(message));
                }
                return;
            }
            Effect::Close { attachment, .. } => {
                let streams = &mut self.instances[index].streams;
                if let Some(place) = streams.iter().position(|(held, _)| *held == attachment) {
                    let (_, engine) = streams.swap_remove(place);
                    self.say_to_candidate(engine, attachment, ToCandidate::Closed);
                }
                return;
            }
            Effect::Reply { .. } | Effect::Maintained { .. } => return,
            Effect::Note(note) => {
                if !matches!(note, Note::Stalled { .. }) {
                    tell!(self, "s{index} notes {note:?}");
                }
                return;
            }
        };
        let life = self.instances[index].life.number;
        let delay = self.net.delay(&mut self.random);
        self.after(delay, Event::AtKeeper { instance: index, life, call });
    }

    fn probe(&mut self, index: usize, candidate: String, incarnation: u64) {
        let engine = self.engines.iter().position(|engine| *engine.id.0 == *candidate);
        let outcome = match engine {
            Some(engine) if self.net.is_apart(Node::Engine(engine), Node::Instance(index)) => Probe::Unreachable,
            Some(engine) if self.engines[engine].life.alive => Probe::Answered,
            Some(_) | None => Probe::Refused,
        };
        self.tell_instance(index, rules::Input::Probed { candidate, incarnation, outcome });
    }

    fn tell_instance(&mut self, index: usize, input: rules::Input) {
        let life = self.instances[index].life.number;
        let delay = self.net.delay(&mut self.random);
        self.after(delay, Event::ToInstance { instance: index, life, input: ToInstance { from: None, input } });
    }

    // ZooKeeper

    fn keeper_hears(&self, index: usize) -> bool {
        self.keeper.down == 0 && !self.net.is_apart(Node::Instance(index), Node::Keeper)
    }

    pub(crate) fn look_at_sessions(&mut self) {
        self.after(SESSIONS_US, Event::Sessions);
        for index in 0..self.instances.len() {
            self.look_at_session(index);
        }
        self.look_at_orphans();
    }

    fn look_at_orphans(&mut self) {
        let (now, down, before) = (self.now, self.keeper.down > 0, self.keeper.nodes.len());
        let Keeper { orphans, nodes, .. } = &mut self.keeper;
        orphans.retain_mut(|(session, heard_at)| {
            if down {
                *heard_at = now;
            }
            let lives = now < *heard_at + SESSION_US;
            if !lives {
                nodes.retain(|_, (owner, _)| owner != session);
            }
            lives
        });
        if self.keeper.nodes.len() < before {
            self.show_all();
        }
    }

    fn look_at_session(&mut self, index: usize) {
        let hears = self.keeper_hears(index);
        let it = &mut self.instances[index];
        let lives = it.life.alive && it.life.held == 0;
        if lives && hears {
            it.heard_at = self.now;
            if !it.connected {
                it.connected = true;
                let number = it.session;
                self.tell_instance(index, rules::Input::Session { connected: true, number });
                self.show(index);
            }
            return;
        }
        if lives && it.connected {
            it.connected = false;
            let number = it.session;
            self.tell_instance(index, rules::Input::Session { connected: false, number });
        }
        // without a quorum nobody counts the silence
        if self.keeper.down > 0 {
            self.instances[index].heard_at = self.now;
        } else if self.now >= self.instances[index].heard_at + SESSION_US {
            self.expire(index);
        }
    }

    /// ZooKeeper gives a session up; its instance learns of it when it is heard again.
    pub(crate) fn expire(&mut self, index: usize) {
        let it = &mut self.instances[index];
        let old = it.session;
        self.keeper.sessions += 1;
        it.session = self.keeper.sessions;
        it.connected = false;
        it.heard_at = self.now;
        self.keeper.nodes.retain(|_, (owner, _)| *owner != old);
        self.show_all();
    }

    fn show_all(&mut self) {
        for index in 0..self.instances.len() {
            self.show(index);
        }
    }

    /// The watch of an instance hands out the state as it is now.
    fn show(&mut self, index: usize) {
        if self.instances[index].life.alive && self.instances[index].connected && self.keeper_hears(index) {
            let candidates = self.keeper.nodes.values().map(|(_, seen)| seen.clone()).collect();
            let leader = self.keeper.record.clone();
            let life = self.instances[index].life.number;
            let input = ToInstance { from: None, input: rules::Input::Group { leader, candidates } };
            // watches come in order
            self.after(self.plan.travel.base_us, Event::ToInstance { instance: index, life, input });
        }
    }

    pub(crate) fn at_keeper(&mut self, index: usize, life: u32, call: Call) {
        let hears = self.keeper_hears(index);
        let session = self.instances[index].session;
        let keeper = &mut self.keeper;
        let mut changed = false;
        let answer = match call {
            Call::Make(data, asked_in) => {
                let znode = (hears && asked_in == session).then(|| {
                    let sequence = keeper.next_sequence;
                    keeper.next_sequence += 1;
                    let znode = Znode { sequence, path: format!("/ESP/g/server-n_{sequence:010}") };
                    keeper.nodes.insert(sequence, (session, Seen { znode: znode.clone(), data: data.clone() }));
                    changed = true;
                    znode
                });
                let (candidate, incarnation) = (data.candidate, data.incarnation);
                Some(rules::Input::NodeMade { candidate, incarnation, session: asked_in, znode })
            }
            Call::Update(znode, data) => {
                let node = keeper.nodes.get_mut(&znode.sequence).filter(|_| hears);
                let missing = node.is_none() && hears;
                let written = node.map(|(_, seen)| {
                    seen.data = data.clone();
                    changed = true;
                    data
                });
                Some(rules::Input::NodeUpdated { znode, written, missing })
            }
            Call::Remove(znode) => {
                changed = hears && keeper.nodes.remove(&znode.sequence).is_some();
                None
            }
            Call::Set(expected, mut record) => {
                if record.at_us == 0 {
                    record.at_us = i64::try_from(self.now).expect("a run is short") + 1;
                }
                let unknown = self.net.travel.lost_permille > 0 && self.random.permille(UNKNOWN_PERMILLE);
                let on_the_way = unknown && self.random.permille(500);
                let outcome = if !hears {
                    SetLeader::Unavailable
                } else if on_the_way {
                    SetLeader::Unknown
                } else {
                    let outcome = self.set_leader(expected, &record);
                    changed = true;
                    if unknown { SetLeader::Unknown } else { outcome }
                };
                Some(rules::Input::LeaderSet { record, outcome })
            }
        };
        if changed {
            self.show_all();
        }
        if let Some(input) = answer {
            let delay = self.net.delay(&mut self.random);
            self.after(delay, Event::ToInstance { instance: index, life, input: ToInstance { from: None, input } });
        }
    }

    /// Compare-and-set on the leader record; E1 and E2 are checked here.
    fn set_leader(&mut self, expected: Option<Version>, record: &LeaderRecord) -> SetLeader {
        let found = self.keeper.record.as_ref().map(|(_, version)| *version);
        if found != expected && !crate::planted!(BlindLeaderWrite) {
            return SetLeader::Lost;
        }
        let before = self.keeper.record.as_ref().map_or(Term(0), |(old, _)| old.term);
        let winner = (record.candidate.clone(), record.incarnation);
        // before anybody leads, a record may say what is held back, and names nobody
        let of_nobody = record.term == Term(0) && before == Term(0) && record.candidate.is_empty();
        if record.term > before {
            tell!(self, "zk       leader record: term {} is `{}`, {}", record.term, record.candidate, record.reason);
            if self.keeper.winners.insert(record.term.0, winner).is_some() {
                self.violate("election", format!("E1: term {} has two winners", record.term));
            }
            self.check_fit(record);
            self.check_held_back(record);
        } else if !of_nobody && (self.keeper.winners.get(&record.term.0) != Some(&winner) || record.term < before) {
            self.violate(
                "election",
                format!("E1, E2: term {} of `{}` after term {before}", record.term, record.candidate),
            );
        }
        let version = Version(found.map_or(0, |version| version.0 + 1));
        self.keeper.record = Some((record.clone(), version));
        SetLeader::Won(version)
    }

    /// E4: only who was caught up lately is made leader; what others say of it may be as old as a session.
    fn check_fit(&mut self, record: &LeaderRecord) {
        let it = self.engines.iter().find(|engine| *engine.id.0 == *record.candidate);
        // a process that has gone meanwhile is none of the election's business
        let same = it.filter(|engine| engine.incarnation == record.incarnation);
        let fit = same.is_none_or(|engine| engine.candidate.fit_at.is_some_and(|at| self.now <= at + FIT_US));
        if !fit {
            let text =
                format!("E4: `{}` is made leader of term {} and was not caught up", record.candidate, record.term);
            self.violate("election", text);
        }
    }

    /// E7: a grant is only for the winner of the term.
    pub(crate) fn check_grant(&mut self, engine: usize, term: Term) {
        let winner = self.keeper.winners.get(&term.0);
        let it = &self.engines[engine];
        if winner.is_none_or(|(name, incarnation)| **name != *it.id.0 || *incarnation != it.incarnation) {
            let text = format!("E7: `{}` was granted term {term} of {winner:?}", it.id);
            self.violate("election", text);
        }
    }

    /// Somebody asks an instance to promote an engine.
    pub(crate) fn promote(&mut self, engine: usize) {
        let (candidate, reason) = (self.engines[engine].id.to_string(), "asked".to_owned());
        self.keeper.promoted.insert(candidate.clone());
        self.ask(|request| rules::Input::Promote { request, candidate, reason });
    }

    /// Asks the first instance that runs.
    pub(super) fn ask(&mut self, question: impl FnOnce(RequestId) -> rules::Input) {
        let up = (0..self.instances.len()).find(|index| self.instances[*index].life.alive);
        if let Some(index) = up {
            self.keeper.requests += 1;
            self.tell_instance(index, question(RequestId(self.keeper.requests)));
        }
    }
}
