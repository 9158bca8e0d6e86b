//! An engine's process: the driver around the role, as in `services/engine/src/project/driver.rs`. The order of attention,
//! the generations and what is dropped when are the same.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mesh_replication::engine::{ASK_EVERY, BusContact, KeptOutputs, Now, RoleName};
use mesh_replication::{CommitKind, CommitNumber, Effect, EngineId, EngineRole, Input, Term};

use crate::fault::Moment;
use crate::plan::{MS, Plan};
use crate::project::{Output, Project};
use crate::world::brief::{brief, brief_effect};
use crate::world::heard::GONE;
use crate::world::readers::Readers;
use crate::world::store::Recovery;
use crate::world::streams::Candidate;
use crate::world::writer_thread::{FromWriter, Job, WriterThread};
use crate::world::{Event, Life, World, tell};

/// Longest wait of a driver whose role waits for the clock.
const IDLE_US: u64 = 20 * MS;
/// How long a leader may take for its last commit when it is stopped.
const STOP_US: u64 = 500 * MS;
/// Microseconds since the Unix epoch at the world's start.
const EPOCH_US: i64 = 1_000_000_000;

/// What the election, or whoever stops an engine, says.
#[derive(Debug, Clone)]
pub(crate) enum Control {
    Granted { term: Term },
    LeaderIs { term: Term, engine: EngineId },
    HandOver { term: Term, successor: EngineId },
    Stop,
}

/// An engine.
pub(crate) struct Engine {
    pub life: Life,
    pub id: EngineId,
    pub incarnation: u64,
    pub role: EngineRole,
    pub machine: Project,
    pub(super) kept: KeptOutputs<Output>,
    pub readers: Readers,
    pub recovery: Recovery,
    pub(super) pending: VecDeque<Input>,
    control: VecDeque<Control>,
    pub answers: VecDeque<FromWriter>,
    pub writer: WriterThread,
    pub bus_ready: bool,
    pub contact: BusContact,
    /// Faults that make it slow.
    pub slow: u32,
    /// Clock beside the true one.
    pub clock: (i64, i64),
    turn_due: bool,
    wake_due: bool,
    stopping: Option<u64>,
    /// Highest term that the role has given back.
    given_back: Term,
    /// A grant that the role has not heard yet.
    pub(super) owed: Option<Term>,
    pub candidate: Candidate,
    shown: (RoleName, Term, bool),
    number: CommitNumber,
    outputs: Vec<Output>,
    effects: Vec<Effect>,
}

impl Engine {
    pub fn new(index: usize, plan: &Plan) -> Engine {
        let id = EngineId(Arc::from(format!("e{index}").as_str()));
        Engine {
            life: Life::default(),
            role: EngineRole::new(id.clone(), plan.limits.clone()),
            id,
            incarnation: 0,
            machine: Project::new(plan.inputs, plan.outputs, plan.limits.heartbeat_us.is_some()),
            kept: KeptOutputs::new(plan.outputs),
            readers: Readers::new(plan.inputs),
            recovery: Recovery::default(),
            pending: VecDeque::new(),
            control: VecDeque::new(),
            answers: VecDeque::new(),
            writer: WriterThread::default(),
            bus_ready: false,
            contact: BusContact::new(Duration::ZERO),
            slow: 0,
            clock: plan.clocks[index],
            turn_due: false,
            wake_due: false,
            stopping: None,
            given_back: Term(0),
            owed: None,
            candidate: Candidate::default(),
            shown: (RoleName::Recovering, Term(0), false),
            number: CommitNumber(0),
            outputs: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// The driver takes this in its turn.
    pub fn hear(&mut self, input: Input) {
        self.pending.push_back(input);
    }

    /// True when it says that it could lead at once.
    pub fn is_fit(&self, now: u64) -> bool {
        let level = !matches!(self.role.name().0, RoleName::Recovering | RoleName::Failed);
        level && self.bus_ready && !self.contact.is_lost(Duration::from_micros(now))
    }

    /// True when the process runs and its role has not given up.
    pub fn lives(&self) -> bool {
        self.life.alive && self.role.name().0 != RoleName::Failed
    }
}

impl World {
    /// The process of an engine begins, with nothing but its name.
    pub(crate) fn start_engine(&mut self, index: usize) {
        if self.engines[index].life.alive {
            return;
        }
        let old = &self.engines[index];
        let mut engine = Engine::new(index, &self.plan);
        engine.life.number = old.life.number + 1;
        engine.life.alive = true;
        engine.life.held = old.life.held;
        engine.slow = old.slow;
        engine.clock = old.clock;
        engine.incarnation = old.incarnation + 1;
        engine.contact = BusContact::new(Duration::from_micros(self.now));
        let life = engine.life.number;
        self.engines[index] = engine;
        tell!(self, "e{index}    starts");
        self.moment(Moment::Recovering, index);
        self.open_writer(index);
        self.begin_state(index);
        self.wake_driver(index);
        self.fetch_log(index);
        self.after(0, Event::Snapshot { engine: index, life });
        self.after(ASK_EVERY.as_micros() as u64, Event::Contact { engine: index, life });
        self.start_candidate(index);
    }

    /// The process dies.
    pub(crate) fn kill_engine(&mut self, index: usize) {
        let engine = &mut self.engines[index];
        if !engine.life.alive {
            return;
        }
        engine.life.alive = false;
        engine.life.stalled.clear();
        tell!(self, "e{index}    dies");
        self.candidate_gone(index);
    }

    pub(crate) fn stop_engine(&mut self, index: usize) {
        if self.engines[index].life.alive {
            let now = self.now;
            self.engines[index].stopping.get_or_insert(now);
            self.control(index, Control::Stop);
        }
    }

    pub(crate) fn control(&mut self, index: usize, control: Control) {
        self.engines[index].control.push_back(control);
        self.wake_driver(index);
    }

    pub(crate) fn wake_driver(&mut self, index: usize) {
        let engine = &mut self.engines[index];
        if !engine.turn_due {
            engine.turn_due = true;
            let delay = if engine.slow > 0 { 20 * self.plan.turn_us } else { 0 };
            let life = engine.life.number;
            self.after(delay, Event::Turn { engine: index, life });
        }
    }

    fn driver_now(&self, index: usize) -> Now {
        let (offset, drift) = self.engines[index].clock;
        let now = self.now as i64;
        Now { mono: Duration::from_micros(self.now), wall_us: EPOCH_US + now + offset + now * drift / 1_000_000 }
    }

    pub(crate) fn wake(&mut self, index: usize) {
        let engine = &mut self.engines[index];
        engine.wake_due = false;
        engine.pending.push_back(Input::Wake);
        self.wake_driver(index);
    }

    /// The driver does some steps, then lets others have their turn.
    pub(crate) fn turn(&mut self, index: usize) {
        self.engines[index].turn_due = false;
        let steps = if self.engines[index].slow > 0 { 1 } else { self.plan.steps_per_turn };
        for _ in 0..steps {
            if self.violation.is_some() || !self.one_step(index) {
                break;
            }
        }
        if self.has_work(index) && !self.engines[index].turn_due {
            let engine = &mut self.engines[index];
            engine.turn_due = true;
            let delay = self.plan.turn_us * if engine.slow > 0 { 20 } else { 1 };
            let life = engine.life.number;
            self.after(delay, Event::Turn { engine: index, life });
        }
        self.after_steps(index);
    }

    fn has_work(&self, index: usize) -> bool {
        let engine = &self.engines[index];
        !(engine.control.is_empty()
            && engine.answers.is_empty()
            && engine.pending.is_empty()
            && engine.readers.log_news.is_empty()
            && engine.readers.input_news.is_empty())
    }

    fn one_step(&mut self, index: usize) -> bool {
        while let Some(control) = self.engines[index].control.pop_front() {
            self.on_control(index, control);
        }
        while let Some(answer) = self.engines[index].answers.pop_front() {
            self.on_answer(index, answer);
        }
        let engine = &mut self.engines[index];
        if let Some(input) = engine.pending.pop_front() {
            self.step(index, input);
        } else if let Some(news) = engine.readers.log_news.pop_front() {
            self.on_log(index, news);
        } else if let Some(news) = engine.readers.input_news.pop_front() {
            self.on_inputs(index, news);
        } else {
            return false;
        }
        true
    }

    /// What the driver does between its steps: it shows itself, and looks when it wants to be woken.
    fn after_steps(&mut self, index: usize) {
        let now = self.driver_now(index);
        let engine = &mut self.engines[index];
        let (name, term) = engine.role.name();
        let caught_up = engine.is_fit(self.now);
        let changed = engine.shown != (name, term, caught_up);
        engine.shown = (name, term, caught_up);
        if !engine.wake_due
            && let Some((due, _)) = engine.role.next_deadline(now)
        {
            engine.wake_due = true;
            let delay = (due.saturating_sub(now.mono).as_micros() as u64).clamp(200, IDLE_US);
            let life = engine.life.number;
            self.after(delay, Event::Wake { engine: index, life });
        }
        if name == RoleName::Failed {
            let why = self.engines[index].role.view().waits_for;
            if !(self.plan.may_refuse() && why.contains(GONE)) {
                self.violate("role", format!("`e{index}` gives up: {why}"));
            }
        }
        if changed {
            self.say_progress(index);
        }
        // A term is told once: whoever throws away what waits keeps the grants.
        let engine = &self.engines[index];
        if let Some(term) = engine.owed.filter(|_| engine.pending.is_empty() && engine.lives()) {
            self.violate("role", format!("the grant of term {term} never reached the role of `e{index}`"));
        }
        if let Some(since) = self.engines[index].stopping
            && (name != RoleName::Active || self.now > since + STOP_US)
        {
            self.leave(index);
            self.kill_engine(index);
        }
        self.fetch_log(index);
    }

    pub(super) fn step(&mut self, index: usize, input: Input) {
        let now = self.driver_now(index);
        let engine = &mut self.engines[index];
        if let Input::Granted { term } = input {
            engine.owed = engine.owed.filter(|owed| *owed > term);
        }
        let mut effects = std::mem::take(&mut engine.effects);
        let phase = engine.role.phase();
        self.coverage.engine(phase, &input);
        tell!(self, "e{index} <- {}", brief(&input));
        let engine = &mut self.engines[index];
        engine.role.step(input, now, &mut effects);
        let reached = engine.role.phase();
        if phase != reached {
            tell!(self, "e{index}    {phase:?} -> {reached:?}");
            self.coverage.moved(phase, reached);
        }
        self.check_engine(index);
        for effect in effects.drain(..) {
            self.carry_out(index, effect);
        }
        self.engines[index].effects = effects;
    }

    /// R5, whenever an engine has come to another commit.
    fn check_engine(&mut self, index: usize) {
        let engine = &mut self.engines[index];
        let number = engine.role.number();
        if number == engine.number {
            return;
        }
        engine.number = number;
        if engine.role.name().0 == RoleName::Standby && engine.role.view().ahead_steps == 0 {
            let found = self.check.engine_at(&engine.id, number, &engine.machine.state());
            self.found(found);
        }
    }

    pub(crate) fn found(&mut self, found: Result<(), (&'static str, String)>) {
        if let Err((rule, text)) = found {
            self.violate(rule, text);
        }
    }

    pub(crate) fn carry_out(&mut self, index: usize, effect: Effect) {
        if !matches!(effect, Effect::Apply { .. } | Effect::Tick { .. }) {
            tell!(self, "e{index} -> {}", brief_effect(&effect));
        }
        match effect {
            Effect::Fence { term } => {
                if term <= self.engines[index].given_back {
                    self.violate("role", format!("`e{index}` fences for term {term}, which it has given back"));
                }
                self.moment(Moment::Fencing, index);
                self.give(index, Job::Fence(term));
            }
            Effect::AskLogEnd { term } => {
                self.moment(Moment::AskingEnd, index);
                self.ask_log_end(index, term);
            }
            Effect::StartInputs { positions } => self.start_inputs(index, positions),
            Effect::Apply { input, blocks, keep } => self.apply(index, input as usize, blocks, keep),
            Effect::Tick { clock_us, keep } => {
                let engine = &mut self.engines[index];
                engine.machine.tick(clock_us, &mut engine.outputs);
                self.applied(index, 0, keep);
            }
            Effect::Skip { input } => {
                self.skip(index, input as usize);
                self.applied(index, 0, false);
            }
            Effect::TakeSnapshot { point } => self.save(index, point),
            Effect::Commit { record } => {
                let moment = if record.kind == CommitKind::Term { Moment::Opening } else { Moment::Committing };
                let outputs = self.engines[index].kept.commit(record.number);
                self.give(index, Job::Commit(record, outputs));
                self.moment(moment, index);
            }
            Effect::ForgetOutputs { through } => self.engines[index].kept.forget(&through),
            Effect::Rebuild { refuse, .. } => self.rebuild(index, refuse),
            Effect::BecameActive { term } => {
                self.moment(Moment::Leading, index);
                self.grants.led = self.grants.led.max(term);
            }
            Effect::BecameStandby { .. } => self.give(index, Job::StandBy),
            Effect::StepDown { term, successor, parked, .. } => {
                let engine = &mut self.engines[index];
                engine.given_back = engine.given_back.max(term);
                let successor = successor.filter(|successor| !successor.0.is_empty());
                self.stepped_down(index, term, successor, parked);
            }
            Effect::Alarm { .. } | Effect::Diverged { .. } => {}
        }
    }

    fn apply(&mut self, index: usize, input: usize, blocks: u32, keep: bool) {
        if let Some(poison) = self.poison(index, input, blocks) {
            return self.engines[index].pending.push_back(Input::ApplyFailed { poison });
        }
        let engine = &mut self.engines[index];
        for _ in 0..blocks {
            let (offset, value) =
                engine.readers.waiting[input].pop_front().expect("the role applies only blocks that it was told of");
            assert!(offset >= engine.machine.positions[input], "input offsets only rise");
            engine.machine.apply(input, offset, value, &mut engine.outputs);
        }
        self.applied(index, u64::from(blocks), keep);
        self.fetch_input(index, input);
    }

    fn applied(&mut self, index: usize, events: u64, keep: bool) {
        let engine = &mut self.engines[index];
        if crate::planted!(SequencesNotCounted) && !keep {
            engine.outputs.iter().for_each(|output| engine.machine.sequences[usize::from(output.output)] -= 1);
        }
        for output in engine.outputs.drain(..).filter(|_| keep) {
            engine.kept.keep(output);
        }
        let state = engine.machine.state();
        engine.pending.push_back(Input::Applied { events, state });
    }

    fn rebuild(&mut self, index: usize, refuse: bool) {
        if refuse {
            self.refuse_snapshot(index);
        }
        let engine = &mut self.engines[index];
        engine.pending.retain(|input| input.outlives_rebuild() && !crate::planted!(GrantLostInRebuild));
        engine.machine = Project::new(self.plan.inputs, self.plan.outputs, self.plan.limits.heartbeat_us.is_some());
        engine.kept.clear();
        engine.readers.restart();
        engine.number = CommitNumber(0);
        self.moment(Moment::Rebuilding, index);
        self.begin_state(index);
        self.fetch_log(index);
    }

    pub(crate) fn fail(&mut self, index: usize, reason: String) {
        let mut effects = Vec::new();
        self.engines[index].role.fail(reason, &mut effects);
        for effect in effects {
            self.carry_out(index, effect);
        }
    }
}
