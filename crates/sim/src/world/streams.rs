//! A candidate's side of the election: one stream to one of the instances, as in `crates/candidate`.
//!
//! Messages of a stream arrive in order. A stream breaks when either process dies, or when the candidate hears nothing
//! for too long (its pings get no answer).

use mesh_replication::election::{self as rules, AttachmentId, CandidateRole, Join, Message};
use mesh_replication::engine::RoleName;
use mesh_replication::{EngineId, Term};

use crate::net::Node;
use crate::plan::MS;
use crate::world::engine::Control;
use crate::world::instances::ToInstance;
use crate::world::{Event, World};

/// Time between signs of life.
const BEAT_US: u64 = 50 * MS;
/// Silence of an instance after which its candidates look for another.
const PING_US: u64 = 500 * MS;
/// Pause before the instances are tried again.
const BACKOFF_US: u64 = 20 * MS;

/// What reaches a candidate.
#[derive(Debug)]
pub(crate) enum ToCandidate {
    Say(Message),
    Closed,
}

/// A term that was given back, as the election is told of it.
#[derive(Debug, Clone)]
struct SteppedDown {
    term: Term,
    successor: String,
    parked: bool,
}

impl SteppedDown {
    fn to(&self, attachment: AttachmentId) -> rules::Input {
        let (term, successor, parked) = (self.term, self.successor.clone(), self.parked);
        rules::Input::SteppedDown { attachment, term, successor, parked, reason: "stepped down".to_owned() }
    }
}

/// What a candidate remembers, stream after stream.
#[derive(Debug, Default)]
pub(crate) struct Candidate {
    pub stream: Option<(usize, AttachmentId)>,
    known: Term,
    granted: Term,
    step_down: Option<SteppedDown>,
    next: usize,
    /// Signs of life since the last that was sent.
    alive: bool,
    cut_since: Option<u64>,
    last_arrival: u64,
    /// What was said last.
    said: Option<rules::Progress>,
    /// When it said last that it is caught up.
    pub fit_at: Option<u64>,
}

impl World {
    pub(crate) fn start_candidate(&mut self, index: usize) {
        if !self.instances.is_empty() {
            let life = self.engines[index].life.number;
            self.after(MS, Event::Attach { engine: index, life });
            self.after(BEAT_US, Event::Beat { engine: index, life });
        }
    }

    /// Opens a stream to the next instance that answers.
    pub(crate) fn attach(&mut self, index: usize) {
        if self.engines[index].candidate.stream.is_some() {
            return;
        }
        let life = self.engines[index].life.number;
        let count = self.instances.len();
        let first = self.engines[index].candidate.next;
        let answers = |instance: &usize| {
            let it = &self.instances[*instance].life;
            it.alive && it.held == 0 && !self.net.is_apart(Node::Engine(index), Node::Instance(*instance))
        };
        let Some(instance) = (0..count).map(|i| (first + i) % count).find(answers) else {
            return self.after(BACKOFF_US, Event::Attach { engine: index, life });
        };
        self.keeper.attachments += 1;
        let attachment = AttachmentId(self.keeper.attachments);
        let (_, term) = self.engines[index].role.name();
        let engine = &mut self.engines[index];
        let candidate = &mut engine.candidate;
        candidate.known = candidate.known.max(term);
        candidate.stream = Some((instance, attachment));
        candidate.next = (instance + 1) % count;
        candidate.cut_since = None;
        let join = Join {
            candidate: engine.id.to_string(),
            address: format!("{}:1", engine.id),
            incarnation: engine.incarnation,
            known_term: candidate.known,
        };
        let step_down = candidate.step_down.clone();
        self.instances[instance].streams.push((attachment, index));
        self.send_to_instance(index, rules::Input::Attached { attachment, join });
        if let Some(said) = step_down.filter(|said| said.term >= self.engines[index].candidate.known) {
            self.send_to_instance(index, said.to(attachment));
        }
        self.say_progress(index);
    }

    /// Sends something over the candidate's stream, in order.
    fn send_to_instance(&mut self, index: usize, input: rules::Input) {
        let Some((instance, _)) = self.engines[index].candidate.stream else { return };
        let at = (self.now + self.net.delay(&mut self.random)).max(self.engines[index].candidate.last_arrival + 1);
        self.engines[index].candidate.last_arrival = at;
        let life = self.instances[instance].life.number;
        let from = Some(index);
        self.after(at - self.now, Event::ToInstance { instance, life, input: ToInstance { from, input } });
    }

    /// The driver has shown itself; what the election can act on is said at once, the rest with the next beat.
    pub(crate) fn say_progress(&mut self, index: usize) {
        let engine = &mut self.engines[index];
        engine.candidate.alive = true;
        if engine.candidate.stream.is_some() {
            self.send_progress(index);
        }
    }

    pub(crate) fn beat(&mut self, index: usize) {
        let life = self.engines[index].life.number;
        self.after(BEAT_US, Event::Beat { engine: index, life });
        let now = self.now;
        if let Some((instance, _)) = self.engines[index].candidate.stream {
            let silent = self.instances[instance].life.held > 0
                || self.net.is_apart(Node::Engine(index), Node::Instance(instance));
            let candidate = &mut self.engines[index].candidate;
            let since = if silent { Some(candidate.cut_since.unwrap_or(now)) } else { None };
            candidate.cut_since = since;
            if since.is_some_and(|since| now >= since + PING_US) {
                return self.break_stream(index);
            }
        }
        // the driver turns at least every 20 ms, so a process that runs has something to say
        self.send_progress(index);
    }

    fn send_progress(&mut self, index: usize) {
        let engine = &mut self.engines[index];
        let Some((_, attachment)) = engine.candidate.stream else { return };
        let view = engine.role.view();
        let role = match view.role {
            RoleName::Recovering => CandidateRole::Recovering,
            RoleName::Standby => CandidateRole::Standby,
            RoleName::TakingOver => CandidateRole::TakingOver,
            RoleName::Active => CandidateRole::Active,
            RoleName::Failed => CandidateRole::Quarantined,
        };
        let progress = rules::Progress {
            caught_up: engine.is_fit(self.now),
            role,
            term: view.term,
            commit_number: view.number.0,
            lag_commits: view.lag_commits,
            cut_off: view.caught_up && !engine.is_fit(self.now),
        };
        // a planted bug: an idle thread goes on saying what the executor said last
        let idle = crate::planted!(IdleHeartbeat) && engine.life.held > 0;
        let progress = if idle { engine.candidate.said.unwrap_or(progress) } else { progress };
        engine.candidate.said = Some(progress);
        if progress.caught_up {
            engine.candidate.fit_at = Some(self.now);
        }
        engine.candidate.known = engine.candidate.known.max(view.term);
        self.send_to_instance(index, rules::Input::Progress { attachment, progress });
    }

    /// The leader leads no longer; said again at every attachment until a higher term is heard of.
    pub(crate) fn tell_step_down(&mut self, index: usize, term: Term, successor: Option<EngineId>, parked: bool) {
        let successor = successor.map_or_else(String::new, |successor| successor.to_string());
        let said = SteppedDown { term, successor, parked };
        let candidate = &mut self.engines[index].candidate;
        candidate.step_down = Some(said.clone());
        if term >= candidate.known
            && let Some((_, attachment)) = candidate.stream
        {
            self.send_to_instance(index, said.to(attachment));
        }
    }

    /// The engine leaves on purpose.
    pub(crate) fn leave(&mut self, index: usize) {
        if let Some((_, attachment)) = self.engines[index].candidate.stream {
            self.send_to_instance(index, rules::Input::Left { attachment });
        }
    }

    /// Something has come over a stream.
    pub(crate) fn at_candidate(&mut self, index: usize, attachment: AttachmentId, message: ToCandidate) {
        let candidate = &mut self.engines[index].candidate;
        if candidate.stream.is_none_or(|(_, held)| held != attachment) {
            return;
        }
        match message {
            ToCandidate::Closed => {
                candidate.stream = None;
                let life = self.engines[index].life.number;
                self.after(MS, Event::Attach { engine: index, life });
            }
            ToCandidate::Say(message) => self.hear(index, message),
        }
    }

    fn hear(&mut self, index: usize, message: Message) {
        let candidate = &mut self.engines[index].candidate;
        match message {
            Message::Grant { term, .. } => {
                if term <= candidate.granted {
                    return;
                }
                candidate.granted = term;
                candidate.hear_of(term);
                self.check_grant(index, term);
                self.grants.highest = self.grants.highest.max(term.0);
                self.control(index, Control::Granted { term });
            }
            Message::Leader { term, candidate: leader } => {
                candidate.hear_of(term);
                let engine = EngineId(leader.as_str().into());
                self.control(index, Control::LeaderIs { term, engine });
            }
            Message::HandOver { term, successor } => {
                let successor = EngineId(successor.as_str().into());
                self.control(index, Control::HandOver { term, successor });
            }
            Message::Joined { .. } | Message::Watching { .. } => {}
        }
    }

    /// The candidate's stream breaks, and nothing else.
    pub(crate) fn break_stream(&mut self, index: usize) {
        let Some((_, attachment)) = self.engines[index].candidate.stream.take() else { return };
        self.detach(index, attachment);
        let life = self.engines[index].life.number;
        self.after(MS, Event::Attach { engine: index, life });
    }

    /// The process of a candidate is gone, and its connections with it.
    pub(crate) fn candidate_gone(&mut self, index: usize) {
        if let Some((_, attachment)) = self.engines[index].candidate.stream.take() {
            self.detach(index, attachment);
        }
    }

    fn detach(&mut self, index: usize, attachment: AttachmentId) {
        for instance in 0..self.instances.len() {
            let it = &mut self.instances[instance];
            let Some(place) = it.streams.iter().position(|(held, _)| *held == attachment) else { continue };
            it.streams.swap_remove(place);
            let life = it.life.number;
            let at = (self.now + self.net.delay(&mut self.random)).max(self.engines[index].candidate.last_arrival + 1);
            self.engines[index].candidate.last_arrival = at;
            let input = ToInstance { from: Some(index), input: rules::Input::Detached { attachment } };
            self.after(at - self.now, Event::ToInstance { instance, life, input });
        }
    }
}

impl Candidate {
    fn hear_of(&mut self, term: Term) {
        self.known = self.known.max(term);
        if self.step_down.as_ref().is_some_and(|said| said.term < term) {
            self.step_down = None;
        }
    }
}
