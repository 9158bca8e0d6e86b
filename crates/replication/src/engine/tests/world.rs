//! Engines, a commit log, an input topic and an output topic in plain memory. Nothing happens by itself: tests say
//! which engine goes on, so that every order of events can be written down.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{
    CommitFailure, Effect, EngineRole, Input, KeptOutputs, Limits, MachineState, Now, RoleName, Sequenced,
};
use crate::{CommitKind, CommitNumber, CommitRecord, EngineId, Poison, SnapshotPoint, Step, Term};

pub const HEARTBEAT_US: i64 = 1_000_000;
pub const FINGERPRINT: u64 = 42;

/// Mixes a step into a digest: what a deterministic project does, in one line.
pub fn mix(digest: u64, value: u64) -> u64 {
    (digest ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17)
}

/// The outputs that a run which never failed gives for this log: derived from log and input alone.
pub fn interpret(log: &[CommitRecord], input: &[u64]) -> Vec<(u64, u64)> {
    let (mut digest, mut position, mut outputs) = (0, 0, Vec::new());
    for step in log.iter().flat_map(|record| &record.steps) {
        match *step {
            Step::Tick { clock_us } => digest = mix(digest, clock_us as u64),
            Step::Apply { blocks, .. } => {
                for _ in 0..blocks {
                    digest = mix(digest, input[position]);
                    position += 1;
                    outputs.push((outputs.len() as u64 + 1, digest));
                }
            }
            Step::Skip { .. } => position += 1,
        }
    }
    outputs
}

/// A block on which every machine fails.
pub const POISON: u64 = u64::MAX;

#[derive(Debug, Default, Clone)]
pub struct Machine {
    digest: u64,
    position: u64,
    sequence: u64,
    clock_us: i64,
    /// Planted fault: this machine computes something else from here on.
    wrong: bool,
}

impl Machine {
    fn state(&self) -> MachineState {
        MachineState {
            positions: vec![self.position],
            clock_us: self.clock_us,
            digests: vec![self.digest],
            sequences: vec![self.sequence],
            next_deadline_us: None,
        }
    }
}

/// An output of the naive machine.
#[derive(Debug, Clone, Copy)]
struct Out {
    sequence: u64,
    digest: u64,
}

impl Sequenced for Out {
    fn output(&self) -> usize {
        0
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }
}

#[derive(Debug)]
enum Job {
    Fence(Term),
    Commit(CommitRecord, Arc<Vec<Out>>),
}

/// What the bus does with the next commit of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Commit,
    LostButCommitted,
    LostNotCommitted,
}

pub struct Engine {
    pub role: EngineRole,
    pub id: EngineId,
    pub paused: bool,
    pub outcome: Outcome,
    pub effects_seen: Vec<Effect>,
    /// Commits stay with the bus until [`World::writer`] is called.
    pub hold_writer: bool,
    machine: Machine,
    kept: KeptOutputs<Out>,
    jobs: VecDeque<Job>,
    epoch: Option<u64>,
    log_read: usize,
    input_read: Option<usize>,
    began_from: Option<usize>,
    refused: Vec<usize>,
}

pub struct World {
    pub engines: Vec<Engine>,
    pub log: Vec<CommitRecord>,
    pub output: Vec<(u64, u64)>,
    pub input: Vec<u64>,
    pub wall_us: i64,
    pub snapshots: Vec<(SnapshotPoint, Machine)>,
    epoch: u64,
    limits: Limits,
}

impl World {
    pub fn new(engines: usize) -> World {
        let limits = Limits {
            inputs: 1,
            model_fingerprint: FINGERPRINT,
            heartbeat_us: Some(HEARTBEAT_US),
            apply_blocks_max: 3,
            commit_blocks_max: 8,
            commit_events_max: 100,
            log_records_max: 100,
            caught_up_commits: 1,
        };
        let mut world = World {
            engines: Vec::new(),
            log: Vec::new(),
            output: Vec::new(),
            input: Vec::new(),
            wall_us: 1_000_000_000,
            snapshots: Vec::new(),
            epoch: 0,
            limits,
        };
        for _ in 0..engines {
            world.add_engine();
        }
        world
    }

    /// A new or restarted engine.
    pub fn add_engine(&mut self) -> usize {
        let id = EngineId(Arc::from(format!("e{}", self.engines.len()).as_str()));
        self.engines.push(Engine {
            role: EngineRole::new(id.clone(), self.limits.clone()),
            id,
            paused: false,
            outcome: Outcome::Commit,
            effects_seen: Vec::new(),
            hold_writer: false,
            machine: Machine::default(),
            kept: KeptOutputs::new(1),
            jobs: VecDeque::new(),
            epoch: None,
            log_read: 0,
            input_read: None,
            began_from: None,
            refused: Vec::new(),
        });
        let engine = self.engines.len() - 1;
        self.restore(engine);
        engine
    }

    /// The driver's part of a recovery: the newest snapshot that is not refused, or the log's start.
    fn restore(&mut self, engine: usize) {
        let e = &mut self.engines[engine];
        let usable = (0..self.snapshots.len()).rev().find(|index| !e.refused.contains(index));
        (e.began_from, e.log_read) = (usable, 0);
        let Some((point, machine)) = usable.map(|index| self.snapshots[index].clone()) else { return };
        e.machine = machine;
        e.log_read = point.log_offset as usize;
        let point = SnapshotPoint { state: e.machine.state(), ..point };
        self.input(engine, Input::Restored { point });
    }

    fn fails(&self, engine: usize, blocks: u32) -> bool {
        let from = self.engines[engine].machine.position as usize;
        self.input[from..from + blocks as usize].contains(&POISON)
    }

    /// Changes a snapshot so that its state is another one, which nothing but the log can tell.
    pub fn falsify(&mut self, snapshot: usize) {
        self.snapshots[snapshot].1.digest ^= 1;
    }

    /// Changes a snapshot so that what is applied after it gives another state.
    pub fn falsify_later(&mut self, snapshot: usize) {
        self.snapshots[snapshot].1.wrong = true;
    }

    /// Somebody skips the block at which the project is parked, if it is.
    pub fn skip(&mut self, engine: usize) {
        if let Some(poison) = self.parked(engine) {
            self.input(engine, Input::SkipWanted { input: 0, position: poison.from });
        }
    }

    /// Next input offset to apply, says the log.
    pub fn position(&self) -> u64 {
        self.log.last().map_or(0, |record| record.positions[0])
    }

    /// Publishes a block on which apply fails.
    pub fn publish_poison(&mut self) {
        self.input.push(POISON);
    }

    pub fn parked(&self, engine: usize) -> Option<Poison> {
        self.engines[engine].role.view().poison.filter(Poison::is_exact)
    }

    fn now(&self) -> Now {
        Now { mono: Duration::from_micros(self.wall_us as u64), wall_us: self.wall_us }
    }

    pub fn input(&mut self, engine: usize, input: Input) {
        let mut effects = Vec::new();
        let now = self.now();
        self.engines[engine].role.step(input, now, &mut effects);
        self.carry_out(engine, effects);
    }

    fn carry_out(&mut self, engine: usize, effects: Vec<Effect>) {
        for effect in effects {
            let fails = matches!(effect, Effect::Apply { blocks, .. } if self.fails(engine, blocks));
            let e = &mut self.engines[engine];
            e.effects_seen.push(effect.clone());
            match effect {
                Effect::Fence { term } => e.jobs.push_back(Job::Fence(term)),
                Effect::AskLogEnd { term } => {
                    let offset = self.log.len() as u64;
                    self.input(engine, Input::LogEnd { term, offset });
                }
                Effect::StartInputs { positions } => {
                    let from = positions.map_or(0, |positions| positions[0]);
                    e.machine.position = from;
                    e.input_read = Some(from as usize);
                    let state = e.machine.state();
                    self.input(engine, Input::InputsStarted { state });
                }
                Effect::Apply { input, blocks, .. } if fails => {
                    let from = e.machine.position;
                    let end = from + u64::from(blocks);
                    let poison = Poison { input: Some(input), from, end, blocks, reason: "poison".into() };
                    self.input(engine, Input::ApplyFailed { poison });
                }
                Effect::Skip { .. } => {
                    e.machine.position += 1;
                    let state = e.machine.state();
                    self.input(engine, Input::Applied { events: 0, state });
                }
                Effect::TakeSnapshot { point } => {
                    assert_eq!(point.state, e.machine.state(), "a snapshot is of the machine's very state");
                    self.snapshots.push((point, e.machine.clone()));
                }
                Effect::Apply { blocks, keep, .. } => {
                    for _ in 0..blocks {
                        let wrong = u64::from(e.machine.wrong);
                        e.machine.digest = mix(e.machine.digest, self.input[e.machine.position as usize] + wrong);
                        e.machine.position += 1;
                        e.machine.sequence += 1;
                        if keep {
                            e.kept.keep(Out { sequence: e.machine.sequence, digest: e.machine.digest });
                        }
                    }
                    let state = e.machine.state();
                    self.input(engine, Input::Applied { events: u64::from(blocks), state });
                }
                Effect::Tick { clock_us, .. } => {
                    assert!(clock_us > e.machine.clock_us, "the clock never goes back");
                    e.machine.digest = mix(e.machine.digest, clock_us as u64);
                    e.machine.clock_us = clock_us;
                    let state = e.machine.state();
                    self.input(engine, Input::Applied { events: 0, state });
                }
                Effect::Commit { record } => {
                    let outputs = e.kept.commit(record.number);
                    e.jobs.push_back(Job::Commit(record, outputs));
                }
                Effect::ForgetOutputs { through } => e.kept.forget(&through),
                Effect::Rebuild { refuse, .. } => {
                    if refuse {
                        e.refused.extend(e.began_from);
                    }
                    e.machine = Machine::default();
                    e.kept.clear();
                    e.input_read = None;
                    self.restore(engine);
                }
                Effect::BecameActive { .. }
                | Effect::BecameStandby { .. }
                | Effect::StepDown { .. }
                | Effect::Diverged { .. }
                | Effect::Alarm { .. } => {}
            }
        }
    }

    /// The bus does the engine's next job.
    pub fn writer(&mut self, engine: usize) -> bool {
        let Some(job) = self.engines[engine].jobs.pop_front() else { return false };
        let answer = match job {
            Job::Fence(term) => {
                self.epoch += 1;
                self.engines[engine].epoch = Some(self.epoch);
                Input::Fenced { term }
            }
            Job::Commit(record, outputs) => {
                let number = record.number;
                let e = &mut self.engines[engine];
                let outcome = std::mem::replace(&mut e.outcome, Outcome::Commit);
                if e.epoch != Some(self.epoch) {
                    e.kept.failed(number);
                    Input::CommitFailed { number, failure: CommitFailure::Fenced }
                } else {
                    if outcome != Outcome::LostNotCommitted {
                        self.output.extend(outputs.iter().map(|out| (out.sequence, out.digest)));
                        self.log.push(record);
                    }
                    if outcome == Outcome::Commit {
                        e.kept.committed(number);
                        Input::Committed { number }
                    } else {
                        e.kept.failed(number);
                        e.epoch = None; // the driver drops a writer whose outcome is unknown
                        Input::CommitFailed { number, failure: CommitFailure::Lost { reason: "timed out".into() } }
                    }
                }
            }
        };
        self.input(engine, answer);
        true
    }

    /// One engine reads what there is to read; true when something happened.
    pub fn turn(&mut self, engine: usize) -> bool {
        if self.engines[engine].paused {
            return false;
        }
        let mut busy = false;
        if !self.engines[engine].hold_writer {
            busy |= self.writer(engine);
        }
        while self.engines[engine].log_read < self.log.len() {
            let offset = self.engines[engine].log_read;
            self.engines[engine].log_read += 1;
            let record = self.log[offset].clone();
            self.input(engine, Input::LogRecord { offset: offset as u64, record });
            busy = true;
        }
        let next_offset = self.log.len() as u64;
        self.input(engine, Input::LogRead { next_offset });
        busy |= self.engines[engine].log_read < self.log.len(); // rebuilt
        if let Some(read) = self.engines[engine].input_read
            && read < self.input.len()
        {
            self.engines[engine].input_read = Some(self.input.len());
            let blocks = (self.input.len() - read) as u32;
            self.input(engine, Input::BlocksReady { input: 0, blocks });
            busy = true;
        }
        busy
    }

    /// Everybody goes on until nothing happens any more.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut busy = false;
            for engine in 0..self.engines.len() {
                busy |= self.turn(engine);
            }
            if !busy {
                return;
            }
        }
        panic!("the engines never come to rest");
    }

    pub fn grant(&mut self, engine: usize, term: u64) {
        self.input(engine, Input::Granted { term: Term(term) });
    }

    pub fn publish(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.input.push(self.input.len() as u64 * 7 + 1);
        }
    }

    pub fn pass(&mut self, micros: i64) {
        self.wall_us += micros;
    }

    /// Plants a fault: the engine's machine computes something else from now on.
    pub fn corrupt(&mut self, engine: usize) {
        self.engines[engine].machine.wrong = true;
    }

    pub fn role(&self, engine: usize) -> RoleName {
        self.engines[engine].role.view().role
    }

    pub fn number(&self, engine: usize) -> CommitNumber {
        self.engines[engine].role.view().number
    }

    pub fn saw(&self, engine: usize, wanted: impl Fn(&Effect) -> bool) -> bool {
        self.engines[engine].effects_seen.iter().any(wanted)
    }

    /// The promise: the output is that of a run which never failed; numbers contiguous, terms never fall; and every
    /// engine that follows has the state of its commit number.
    pub fn check(&self) {
        assert_eq!(self.output, interpret(&self.log, &self.input), "output differs from a run that never failed");
        for (i, record) in self.log.iter().enumerate() {
            assert_eq!(record.number, CommitNumber(i as u64 + 1), "R1");
            assert!(i == 0 || record.term >= self.log[i - 1].term, "R1");
            let new_term = i == 0 || record.term > self.log[i - 1].term;
            assert!(!new_term || record.kind == CommitKind::Term, "a term is opened by its term record");
            let writers = self.log.iter().filter(|other| other.term == record.term).map(|other| &other.engine);
            assert!(writers.clone().all(|engine| *engine == record.engine), "one writer per term");
        }
        for engine in &self.engines {
            let view = engine.role.view();
            if view.ahead_steps == 0 && view.role == RoleName::Standby && view.number.0 > 1 {
                let record = &self.log[view.number.0 as usize - 1];
                assert_eq!(record.digests, [engine.machine.digest], "R5: {} at commit {}", engine.id, view.number);
            }
        }
    }

    /// Everything published has come out.
    pub fn check_complete(&self) {
        self.check();
        let skipped = self.log.iter().flat_map(|record| &record.steps).filter(|step| matches!(step, Step::Skip { .. }));
        assert_eq!(self.output.len() + skipped.count(), self.input.len(), "lost events");
    }
}
