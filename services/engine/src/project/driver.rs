//! The thread of a project: it owns role and machine, and carries the role's effects out.
//!
//! Order of attention: control, the writer's answers, then the role's own next step, then the log, then input. So a
//! busy input never delays a takeover, and one that follows never overtakes the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, TrySendError, select};
use mesh_bus::ReadError;
use mesh_model::Project;
use mesh_proto::election::Progress;
use mesh_replication::engine::{BusContact, CommitFailure, Now, RoleName};
use mesh_replication::{CommitKind, Effect, Effects, EngineId, EngineRole, Input, Term};
use mesh_windows::Executor;

use crate::project::election::ElectionLink;
use crate::project::lines::Lines;
use crate::project::machine::Machine;
use crate::project::message::{
    Control, FromInputs, FromLog, FromWriter, InputCommand, InputNews, Job, LogCommand, LogNews, StopFlag,
};
use crate::project::meters::Meters;
use crate::project::report::{Extras, Identity, Reports, report, wire_role};
use crate::project::takeover::{Recovery, Takeover};

/// A sign of life goes out at least this often while the driver makes progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(20);
/// A report goes out at least this often.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// Longest wait of an idle driver; bounds what progress and reports wait for.
const IDLE_WAIT: Duration = Duration::from_millis(20);
/// How long a leader may take for its last commit when it is stopped.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// The channels of a driver.
pub struct Channels {
    /// From election and engine.
    pub control: Receiver<Control>,
    /// To the writer.
    pub jobs: Sender<Job>,
    /// From the writer.
    pub answers: Receiver<FromWriter>,
    /// To the reader of the log.
    pub log_commands: Sender<LogCommand>,
    /// From the reader of the log.
    pub log: Receiver<FromLog>,
    /// Holds the reader of the log back.
    pub log_hold: Arc<AtomicBool>,
    /// To the reader of the inputs.
    pub input_commands: Sender<InputCommand>,
    /// From the reader of the inputs.
    pub inputs: Receiver<FromInputs>,
}

/// Owns role and machine of one project.
pub struct Driver {
    pub(super) identity: Identity,
    pub(super) project: Arc<Project>,
    pub(super) role: EngineRole,
    pub(super) machine: Machine,
    pub(super) channels: Channels,
    pub(super) election: Box<dyn ElectionLink>,
    pub(super) reports: Reports,
    pub(super) meters: Meters,
    pub(super) lines: Lines,
    pub(super) stop: StopFlag,
    state: DriverState,
}

/// What changes while the driver runs, beside role and machine.
struct DriverState {
    pending: VecDeque<Input>,
    effects: Effects,
    log_generation: u64,
    input_generation: u64,
    takeover: Option<Takeover>,
    recovery: Option<Recovery>,
    extras: Extras,
    bus_ready: bool,
    /// When the bus was heard last: a leader with nothing to commit has no other way to know that it is cut off.
    contact: BusContact,
    /// The error shown does not pass with what comes next: a block that nobody can read stays in its topic.
    error_lasts: bool,
    shown_role: Option<(RoleName, Term)>,
    progress_at: Instant,
    report_at: Instant,
    began: Instant,
    stopping: Option<Instant>,
}

impl Driver {
    /// A driver that has heard nothing.
    #[expect(clippy::too_many_arguments, reason = "the parts of a project, put together in one place")]
    pub fn new(
        identity: Identity,
        project: Arc<Project>,
        role: EngineRole,
        machine: Machine,
        channels: Channels,
        election: Box<dyn ElectionLink>,
        reports: Reports,
        meters: Meters,
        stop: StopFlag,
    ) -> Driver {
        let now = Instant::now();
        let state = DriverState {
            pending: VecDeque::new(),
            effects: Effects::new(),
            log_generation: 0,
            input_generation: 0,
            takeover: None,
            recovery: Some(Recovery::begun("the engine starts the project")),
            extras: Extras::default(),
            bus_ready: false,
            contact: BusContact::new(Duration::ZERO),
            error_lasts: false,
            shown_role: None,
            progress_at: now,
            report_at: now,
            began: now,
            stopping: None,
        };
        let lines = Lines::new(&project);
        Driver { identity, project, role, machine, channels, election, reports, meters, lines, stop, state }
    }

    /// Runs until it is stopped.
    pub fn run(mut self) {
        self.lines.start();
        while !self.is_done() {
            if !self.turn() {
                self.wait();
            }
            self.show();
        }
        self.election.leave();
        self.stop.set();
    }

    fn is_done(&self) -> bool {
        match self.state.stopping {
            None => self.stop.is_set(),
            Some(since) => {
                let leads = self.role.name().0 == RoleName::Active;
                if leads && since.elapsed() > STOP_DEADLINE {
                    tracing::warn!(project = self.identity.project, "stopped before the last commit was confirmed");
                }
                !leads || since.elapsed() > STOP_DEADLINE
            }
        }
    }

    /// Does one thing; false when there is nothing to do.
    fn turn(&mut self) -> bool {
        while let Ok(control) = self.channels.control.try_recv() {
            self.on_control(control);
        }
        while let Ok(answer) = self.channels.answers.try_recv() {
            self.on_answer(answer);
        }
        if let Some(input) = self.state.pending.pop_front() {
            self.step(input);
        } else if let Ok(news) = self.channels.log.try_recv() {
            self.on_log(news);
        } else if let Ok(news) = self.channels.inputs.try_recv() {
            self.on_inputs(news);
        } else {
            return false;
        }
        true
    }

    fn wait(&mut self) {
        let now = self.now();
        let due = self.role.next_deadline(now).map(|(due, _)| due.saturating_sub(now.mono));
        let channels = &self.channels;
        select! {
            recv(channels.control) -> control => if let Ok(control) = control { self.on_control(control) },
            recv(channels.answers) -> answer => if let Ok(answer) = answer { self.on_answer(answer) },
            recv(channels.log) -> news => if let Ok(news) = news { self.on_log(news) },
            recv(channels.inputs) -> news => if let Ok(news) = news { self.on_inputs(news) },
            default(due.unwrap_or(IDLE_WAIT).min(IDLE_WAIT)) => {
                if due.is_some() {
                    self.state.pending.push_back(Input::Wake);
                }
            }
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.state.began.elapsed(), wall_us: i64::try_from(wall.as_micros()).unwrap_or(i64::MAX) }
    }

    fn step(&mut self, input: Input) {
        let now = self.now();
        let mut effects = std::mem::take(&mut self.state.effects);
        self.role.step(input, now, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.state.effects = effects;
        self.channels.log_hold.store(!self.role.wants_log(), Ordering::Release);
    }

    fn fail(&mut self, reason: String) {
        let mut effects = Effects::new();
        self.role.fail(reason, &mut effects);
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Fence { term } => self.give(Job::Fence { term }),
            Effect::AskLogEnd { term } => self.ask_log(LogCommand::AskEnd { term }),
            Effect::StartInputs { positions } => {
                self.state.input_generation += 1;
                let generation = self.state.input_generation;
                self.ask_inputs(InputCommand::Start { generation, positions });
            }
            Effect::Apply { input, blocks, keep } => {
                let began = Instant::now();
                let events = self.machine.apply(input, blocks, keep);
                self.meters.applied(blocks, began.elapsed());
                self.applied(events);
            }
            Effect::Tick { clock_us, keep } => {
                self.machine.tick(clock_us, keep);
                self.applied(0);
            }
            Effect::Commit { record } => {
                if let (CommitKind::Term, Some(takeover)) = (&record.kind, &mut self.state.takeover) {
                    takeover.read();
                }
                let outputs = self.machine.kept().commit(record.number);
                self.give(Job::Commit { record, outputs });
            }
            Effect::ForgetOutputs { through } => self.machine.kept().forget(&through),
            Effect::Rebuild { reason } => self.rebuild(&reason),
            Effect::BecameActive { term } => self.became_active(term),
            Effect::BecameStandby { reason } => {
                tracing::info!(project = self.identity.project, reason, "became standby");
                self.lines.standby();
                self.give(Job::StandBy);
            }
            Effect::StepDown { term, successor, reason } => {
                tracing::info!(project = self.identity.project, term = term.0, reason, "stepped down");
                let successor = successor.filter(|successor| !successor.0.is_empty());
                self.election.stepped_down(term, successor.as_ref(), &reason);
            }
            Effect::Alarm { message } => self.alarm(message),
        }
    }

    fn alarm(&mut self, message: String) {
        if self.state.extras.error != message {
            self.state.error_lasts = false;
            tracing::error!(project = self.identity.project, "{message}");
            self.state.extras.error = message;
        }
    }

    fn error_passed(&mut self) {
        if !self.state.error_lasts {
            self.state.extras.error.clear();
        }
    }

    fn applied(&mut self, events: u64) {
        let state = self.machine.state();
        self.state.pending.push_back(Input::Applied { events, state });
    }

    /// Hands a job to the writer; one that it cannot take counts as failed, so the role decides.
    fn give(&mut self, job: Job) {
        let reason = "the writer is busy with earlier jobs".to_owned();
        let answer = match self.channels.jobs.try_send(job) {
            Ok(()) => return,
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => match job {
                Job::StandBy => return, // then the next fence opens it
                Job::Fence { term } => FromWriter::FenceFailed { term, reason },
                Job::Commit { record, .. } => {
                    FromWriter::CommitFailed { number: record.number, failure: CommitFailure::Lost { reason } }
                }
            },
        };
        self.on_answer(answer);
    }

    fn ask_log(&mut self, command: LogCommand) {
        if self.channels.log_commands.try_send(command).is_err() {
            self.fail("the reader of the commit log takes no commands any more".to_owned());
        }
    }

    fn ask_inputs(&mut self, command: InputCommand) {
        if self.channels.input_commands.try_send(command).is_err() {
            self.fail("the reader of the input topics takes no commands any more".to_owned());
        }
    }

    fn rebuild(&mut self, reason: &str) {
        tracing::warn!(project = self.identity.project, reason, "rebuilding the state from the commit log");
        self.state.log_generation += 1;
        self.state.input_generation += 1; // what is still on its way belongs to the state thrown away
        self.state.pending.retain(Input::outlives_rebuild);
        self.state.recovery = Some(Recovery::begun(reason));
        self.machine.reset(Executor::new(self.project.clone()));
        self.ask_inputs(InputCommand::Stop);
        self.ask_log(LogCommand::Restart { generation: self.state.log_generation });
    }

    fn became_active(&mut self, term: Term) {
        let Some(takeover) = self.state.takeover.take() else { return };
        let (status, trace) = takeover.opened(&self.identity.project, self.machine.last_traced());
        tracing::info!(
            project = self.identity.project,
            term = term.0,
            fence_us = status.fence_us,
            read_us = status.read_us,
            open_us = status.open_us,
            reason = status.reason,
            trace_id = trace,
            "became active"
        );
        self.meters.took_over(&status);
        self.state.extras.took_over(status);
        self.error_passed();
        self.lines.active();
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::Joined { znode } => self.lines.joined(&znode),
            Control::Granted { term, reason } => {
                self.state.takeover = Some(Takeover::granted(term, reason));
                self.state.pending.push_back(Input::Granted { term });
            }
            Control::Leader { term, engine } => self.state.pending.push_back(Input::LeaderIs { term, engine }),
            Control::HandOver { term, successor } => {
                self.state.pending.push_back(Input::HandOver { term, successor });
            }
            Control::Watching { znode } => self.lines.watching(&znode),
            Control::Election { attached } => {
                if !attached {
                    tracing::warn!(project = self.identity.project, "no election instance answers; going on as before");
                }
            }
            Control::Stop => {
                self.state.stopping.get_or_insert_with(Instant::now);
                let (_, term) = self.role.name();
                // A handover to nobody in particular: the batch is closed and committed, then the role is standby.
                let successor = EngineId(Arc::from(""));
                self.state.pending.push_back(Input::HandOver { term, successor });
            }
        }
    }

    fn on_answer(&mut self, answer: FromWriter) {
        match answer {
            FromWriter::Ready => {
                self.state.bus_ready = true;
                self.error_passed();
            }
            FromWriter::NotReady { reason } => {
                self.state.bus_ready = false;
                self.alarm(reason);
            }
            FromWriter::Fenced { term, fallback, took } => {
                self.state.extras.fencing = match fallback {
                    None => "fast".to_owned(),
                    Some(why) => format!("fallback: {why}"),
                };
                if let Some(takeover) = self.state.takeover.as_mut().filter(|takeover| takeover.term == term) {
                    takeover.fenced();
                }
                tracing::debug!(project = self.identity.project, term = term.0, ?took, "fenced");
                self.state.pending.push_back(Input::Fenced { term });
            }
            FromWriter::FenceFailed { term, reason } => {
                self.state.pending.push_back(Input::FenceFailed { term, reason });
            }
            FromWriter::Committed { number, took } => {
                self.machine.kept().committed(number);
                self.meters.committed(took);
                self.state.pending.push_back(Input::Committed { number });
            }
            FromWriter::CommitFailed { number, failure } => {
                self.machine.kept().failed(number);
                self.meters.commit_failed(&failure);
                self.state.pending.push_back(Input::CommitFailed { number, failure });
            }
        }
    }

    fn on_log(&mut self, news: FromLog) {
        if !matches!(news.what, LogNews::Failed(_)) {
            self.state.contact.heard(self.state.began.elapsed());
        }
        if news.generation != self.state.log_generation {
            return; // read before the rebuild
        }
        match news.what {
            LogNews::Record { offset, record: Ok(record) } => self.step(Input::LogRecord { offset, record }),
            LogNews::Record { record: Err(reason), .. } => self.fail(reason),
            LogNews::Read { next_offset } => self.step(Input::LogRead { next_offset }),
            LogNews::End { term, offset } => self.step(Input::LogEnd { term, offset }),
            LogNews::Contact => {}
            LogNews::Failed(error) => self.read_failed(error),
        }
    }

    fn on_inputs(&mut self, news: FromInputs) {
        if news.generation != self.state.input_generation {
            if let InputNews::Blocks { input, blocks } = &news.what {
                self.machine.discard(*input, &blocks.records);
            }
            return;
        }
        match news.what {
            InputNews::Started { positions } => {
                self.machine.start_at(&positions);
                let state = self.machine.state();
                self.step(Input::InputsStarted { state });
            }
            InputNews::Blocks { input, blocks } => {
                let count = blocks.records.len() as u32;
                self.machine.push(input, blocks);
                self.step(Input::BlocksReady { input, blocks: count });
            }
            InputNews::BadBlock { error } => {
                self.meters.bad_block();
                self.alarm(error);
                self.state.error_lasts = true;
            }
            InputNews::Failed(error) => self.read_failed(error),
        }
    }

    fn read_failed(&mut self, error: ReadError) {
        match error {
            ReadError::Gone { .. } => self.fail(error.to_string()),
            // The reader tries again by itself.
            ReadError::NoTopic { .. } | ReadError::Unavailable { .. } => self.alarm(error.to_string()),
        }
    }

    /// Tells election and onlookers how things are, as often as they want to know.
    fn show(&mut self) {
        let now = Instant::now();
        let shown = Some(self.role.name());
        let changed = self.state.shown_role != shown;
        if !changed && now.duration_since(self.state.progress_at) < PROGRESS_EVERY {
            return;
        }
        let view = self.role.view();
        if changed || now.duration_since(self.state.progress_at) >= PROGRESS_EVERY {
            self.state.progress_at = now;
            self.election.progress(Progress {
                caught_up: view.caught_up
                    && self.state.bus_ready
                    && !self.state.contact.is_lost(now - self.state.began),
                role: wire_role(view.role).into(),
                term: view.term.0,
                commit_number: view.number.0,
                lag_commits: view.lag_commits,
            });
        }
        if changed || now.duration_since(self.state.report_at) >= REPORT_EVERY {
            self.state.report_at = now;
            self.state.shown_role = shown;
            let report = report(&self.identity, &view, &self.machine, &self.state.extras);
            self.meters.show(&report);
            if matches!(view.role, RoleName::Standby | RoleName::Active)
                && let Some(recovery) = self.state.recovery.take()
            {
                self.meters.recovered(recovery.done(&self.identity.project, view.number.0));
            }
            self.reports.publish(report);
        }
    }
}
