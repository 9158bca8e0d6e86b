//! A small configuration of the same code, every order of events: a model for stateright.
//!
//! Engines, a commit log, one input of a few blocks, one output. Every step of every process is an action of its own, so
//! a process may pause for ever between any two of them. Bounded: terms, blocks, crashes, lost answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mesh_replication::engine::{CommitFailure, Effect, EngineRole, Input, KeptOutputs, Limits, Now, RoleName};
use mesh_replication::{CommitKind, CommitNumber, CommitRecord, EngineId, Step, Term};
use stateright::{Checker, Model, Property};

use crate::project::{Output, Project};

/// Bounds of the model.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Engines, each a candidate.
    pub engines: usize,
    /// Terms granted, to whomever.
    pub terms: u64,
    /// Blocks of the input; each is a commit of its own.
    pub blocks: u64,
    /// Crashes, of whomever, at any time; who crashes begins anew.
    pub crashes: u8,
    /// Commits whose answer is lost.
    pub lost: u8,
}

/// What the checker found.
#[derive(Debug)]
pub struct Checked {
    /// Different states.
    pub states: usize,
    /// Longest way to one.
    pub depth: usize,
    /// Broken properties, each with the way to it.
    pub violations: Vec<String>,
    /// Goals that no way leads to: the model would prove nothing.
    pub missed: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Job {
    Fence(Term),
    Commit(CommitRecord, Vec<Output>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Engine {
    role: EngineRole,
    machine: Project,
    kept: KeptOutputs<Output>,
    jobs: VecDeque<Job>,
    epoch: Option<u8>,
    log_read: usize,
    /// The log was told to be read up to there.
    told: Option<usize>,
    asked: Option<Term>,
    inputs: Option<u64>,
}

/// A state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mesh {
    engines: Vec<Engine>,
    log: Vec<CommitRecord>,
    output: Vec<Output>,
    epoch: u8,
    granted: u64,
    crashes: u8,
    lost: u8,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next term is granted to an engine.
    Grant(usize),
    /// An engine's writer does its next job.
    Write(usize),
    /// The same, but the answer is lost; the flag says whether the commit takes place.
    WriteLost(usize, bool),
    /// An engine reads the log to its present end.
    Read(usize),
    /// An engine hears where the log ends now.
    End(usize),
    /// An engine reads the input.
    Inputs(usize),
    /// An engine crashes and begins anew.
    Crash(usize),
}

const NOW: Now = Now { mono: Duration::from_secs(1), wall_us: 1 };

impl Engine {
    fn new(index: usize) -> Engine {
        let limits = Limits {
            inputs: 1,
            model_fingerprint: 42,
            heartbeat_us: None,
            apply_blocks_max: 1,
            commit_blocks_max: 1,
            commit_events_max: 1,
            log_records_max: 16,
            caught_up_commits: 1,
        };
        Engine {
            role: EngineRole::new(EngineId(Arc::from(format!("e{index}").as_str())), limits),
            machine: Project::new(1, 1, false),
            kept: KeptOutputs::new(1),
            jobs: VecDeque::new(),
            epoch: None,
            log_read: 0,
            told: None,
            asked: None,
            inputs: None,
        }
    }

    fn hear(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.role.step(input, NOW, &mut effects);
            for effect in effects {
                self.carry_out(effect, &mut inputs);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, inputs: &mut VecDeque<Input>) {
        match effect {
            Effect::Fence { term } => self.jobs.push_back(Job::Fence(term)),
            Effect::AskLogEnd { term } => self.asked = Some(term),
            Effect::StartInputs { positions } => {
                let from = positions.map_or(0, |positions| positions[0]);
                self.machine.positions[0] = from;
                self.inputs = Some(from);
                inputs.push_back(Input::InputsStarted { state: self.machine.state() });
            }
            Effect::Apply { blocks, keep, .. } => {
                let mut out = Vec::new();
                for _ in 0..blocks {
                    let offset = self.machine.positions[0];
                    self.machine.apply(0, offset, value(offset), &mut out);
                }
                out.into_iter().filter(|_| keep).for_each(|output| self.kept.keep(output));
                inputs.push_back(Input::Applied { events: u64::from(blocks), state: self.machine.state() });
            }
            Effect::Commit { record } => {
                let outputs = self.kept.commit(record.number).to_vec();
                self.jobs.push_back(Job::Commit(record, outputs));
            }
            Effect::ForgetOutputs { through } => self.kept.forget(&through),
            Effect::Rebuild { .. } => {
                inputs.retain(Input::outlives_rebuild);
                self.machine = Project::new(1, 1, false);
                self.kept.clear();
                (self.log_read, self.told, self.asked, self.inputs) = (0, None, None, None);
            }
            Effect::Tick { .. }
            | Effect::Skip { .. }
            | Effect::TakeSnapshot { .. }
            | Effect::BecameActive { .. }
            | Effect::BecameStandby { .. }
            | Effect::StepDown { .. }
            | Effect::Diverged { .. }
            | Effect::Alarm { .. } => {}
        }
    }
}

/// Value of a block of the input.
fn value(offset: u64) -> u64 {
    offset * 7 + 3
}

/// The output of a run that never failed, from log and input alone.
fn interpret(log: &[CommitRecord]) -> Vec<Output> {
    let (mut project, mut out) = (Project::new(1, 1, false), Vec::new());
    for step in log.iter().flat_map(|record| &record.steps) {
        if let Step::Apply { blocks, .. } = *step {
            for _ in 0..blocks {
                let offset = project.positions[0];
                project.apply(0, offset, value(offset), &mut out);
            }
        }
    }
    out
}

impl Mesh {
    fn write(&mut self, index: usize, lost: Option<bool>) -> bool {
        let engine = &mut self.engines[index];
        match (engine.jobs.pop_front(), lost) {
            (None, _) | (Some(Job::Fence(_)), Some(_)) => return false,
            (Some(Job::Fence(term)), None) => {
                self.epoch += 1;
                engine.epoch = Some(self.epoch);
                engine.hear(Input::Fenced { term });
            }
            (Some(Job::Commit(record, outputs)), lost) => {
                let number = record.number;
                if engine.epoch != Some(self.epoch) {
                    engine.kept.failed(number);
                    engine.hear(Input::CommitFailed { number, failure: CommitFailure::Fenced });
                    return lost.is_none();
                }
                if lost != Some(false) {
                    self.output.extend(outputs);
                    self.log.push(record);
                }
                if lost.is_some() {
                    engine.kept.failed(number);
                    engine.epoch = None; // such a producer is dropped
                    let reason = "no answer".to_owned();
                    engine.hear(Input::CommitFailed { number, failure: CommitFailure::Lost { reason } });
                } else {
                    engine.kept.committed(number);
                    engine.hear(Input::Committed { number });
                }
            }
        }
        true
    }

    fn read(&mut self, index: usize) -> bool {
        let engine = &mut self.engines[index];
        if engine.told == Some(self.log.len()) {
            return false;
        }
        // a rebuild sets it back to the start
        while let Some(record) = self.log.get(engine.log_read).cloned() {
            let offset = engine.log_read as u64;
            engine.log_read += 1;
            engine.hear(Input::LogRecord { offset, record });
        }
        engine.told = Some(self.log.len());
        engine.hear(Input::LogRead { next_offset: self.log.len() as u64 });
        true
    }

    fn is_right(&self) -> bool {
        let numbered = self.log.iter().enumerate().all(|(i, record)| record.number == CommitNumber(i as u64 + 1));
        let follows = self.log.windows(2).all(|pair| match pair[1].term.cmp(&pair[0].term) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => pair[0].engine == pair[1].engine,
            std::cmp::Ordering::Greater => pair[1].kind == CommitKind::Term,
        });
        let same = self.engines.iter().all(|engine| {
            let (number, view) = (engine.role.number().0, engine.role.name().0);
            let record = number.checked_sub(1).and_then(|index| self.log.get(index as usize));
            view != RoleName::Standby
                || engine.role.view().ahead_steps > 0
                || record.is_none_or(|record| {
                    record.positions != engine.machine.positions || record.digests == engine.machine.digests
                })
        });
        let failed = self.engines.iter().any(|engine| engine.role.name().0 == RoleName::Failed);
        numbered && follows && same && !failed && self.output == interpret(&self.log)
    }
}

impl Model for Bounds {
    type State = Mesh;
    type Action = Action;

    fn init_states(&self) -> Vec<Mesh> {
        let engines = (0..self.engines).map(Engine::new).collect();
        vec![Mesh { engines, log: Vec::new(), output: Vec::new(), epoch: 0, granted: 0, crashes: 0, lost: 0 }]
    }

    fn actions(&self, state: &Mesh, actions: &mut Vec<Action>) {
        for index in 0..self.engines {
            if state.granted < self.terms {
                actions.push(Action::Grant(index));
            }
            if let Some(job) = state.engines[index].jobs.front() {
                actions.push(Action::Write(index));
                if state.lost < self.lost && matches!(job, Job::Commit(..)) {
                    actions.extend([Action::WriteLost(index, true), Action::WriteLost(index, false)]);
                }
            }
            if state.engines[index].asked.is_some() {
                actions.push(Action::End(index));
            }
            if state.engines[index].inputs.is_some_and(|read| read < self.blocks) {
                actions.push(Action::Inputs(index));
            }
            if state.crashes < self.crashes {
                actions.push(Action::Crash(index));
            }
            actions.push(Action::Read(index));
        }
    }

    fn next_state(&self, last: &Mesh, action: Action) -> Option<Mesh> {
        let mut state = last.clone();
        let changed = match action {
            Action::Grant(index) => {
                state.granted += 1;
                let term = Term(state.granted);
                state.engines[index].hear(Input::Granted { term });
                true
            }
            Action::Write(index) => state.write(index, None),
            Action::WriteLost(index, done) => {
                state.lost += 1;
                state.write(index, Some(done))
            }
            Action::Read(index) => state.read(index),
            Action::End(index) => {
                let offset = state.log.len() as u64;
                let term = state.engines[index].asked.take()?;
                state.engines[index].hear(Input::LogEnd { term, offset });
                true
            }
            Action::Inputs(index) => {
                let engine = &mut state.engines[index];
                let read = engine.inputs?;
                engine.inputs = Some(self.blocks);
                engine.hear(Input::BlocksReady { input: 0, blocks: (self.blocks - read) as u32 });
                true
            }
            Action::Crash(index) => {
                state.crashes += 1;
                state.engines[index] = Engine::new(index);
                true
            }
        };
        changed.then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the log and the output are right", |_, state: &Mesh| state.is_right()),
            Property::sometimes("the last term leads", |model: &Bounds, state: &Mesh| {
                let leads = |engine: &Engine| engine.role.name() == (RoleName::Active, Term(model.terms));
                state.engines.iter().any(leads)
            }),
            Property::sometimes("all is put out in the last term", |model: &Bounds, state: &Mesh| {
                let applied = state.log.last().is_some_and(|record| record.positions == [model.blocks]);
                applied && state.log.last().is_some_and(|record| record.term == Term(model.terms))
            }),
        ]
    }
}

/// Goes through every state.
pub fn check(bounds: Bounds, threads: usize) -> Checked {
    let checker = bounds.checker().threads(threads.max(1)).spawn_bfs().join();
    let found = checker.discoveries();
    let broken = found.iter().filter(|(name, _)| name.starts_with("the log"));
    let goals = ["the last term leads", "all is put out in the last term"];
    Checked {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        violations: broken.map(|(name, path)| format!("{name}: {:?}", path.clone().into_actions())).collect(),
        missed: goals.into_iter().filter(|goal| !found.contains_key(goal)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_engines_are_right_in_every_order_of_events() {
        let checked = check(Bounds { engines: 2, terms: 2, blocks: 1, crashes: 0, lost: 0 }, 1);
        assert_eq!((checked.violations.len(), checked.missed.len()), (0, 0), "{checked:?}");
        assert!(checked.states > 500, "{checked:?}");
    }
}
