//! The thread of a project: it owns role and machine, and carries the role's effects out.
//!
//! Order of attention: control, the writer's answers, then the role's own next step, then the log, then input. So a
//! busy input never delays a takeover, and one that follows never overtakes the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select};
use mesh_model::Project;
use mesh_proto::election::Progress;
use mesh_replication::engine::{BusContact, Now, RoleName};
use mesh_replication::{CommitNumber, Effects, EngineRole, Input, Term};

use crate::clock;
use crate::project::behind::Behind;
use crate::project::connectors::Shared;
use crate::project::election::ElectionLink;
use crate::project::lines::Lines;
use crate::project::machine::Machine;
use crate::project::message::{Control, FromInputs, FromLog, FromWriter, InputCommand, Job, LogCommand, StopFlag};
use crate::project::meters::Meters;
use crate::project::recovery::{SnapshotChannels, SnapshotState};
use crate::project::report::{Extras, Identity, Reports, report, wire_role};
use crate::project::takeover::{Recovery, Takeover};

/// A sign of life goes out at least this often while the driver makes progress.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_millis(20);
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
    /// To and from the thread that keeps snapshots; none when they are off.
    pub snapshots: Option<SnapshotChannels>,
    /// To and from the thread that runs the project's own connectors.
    pub connectors: Shared,
}

/// Owns role and machine of one project.
pub struct Driver {
    pub(super) identity: Identity,
    pub(super) role: EngineRole,
    pub(super) machine: Machine,
    pub(super) channels: Channels,
    pub(super) election: Box<dyn ElectionLink>,
    pub(super) reports: Reports,
    pub(super) meters: Meters,
    pub(super) lines: Lines,
    pub(super) stop: StopFlag,
    pub(super) state: DriverState,
}

/// What changes while the driver runs, beside role and machine.
pub(super) struct DriverState {
    pub(super) pending: VecDeque<Input>,
    pub(super) effects: Effects,
    pub(super) log_generation: u64,
    pub(super) input_generation: u64,
    pub(super) takeover: Option<Takeover>,
    /// When a commit was heard last that is not of the takeover under way.
    pub(super) last_commit: Option<Instant>,
    /// Number and positions of the commit under way.
    pub(super) committing: Option<(CommitNumber, Vec<u64>)>,
    pub(super) recovery: Option<Recovery>,
    pub(super) extras: Extras,
    pub(super) bus_ready: bool,
    /// When the bus was heard last: a leader with nothing to commit has no other way to know that it is cut off.
    pub(super) contact: BusContact,
    /// The error shown does not pass with what comes next: a block that nobody can read stays in its topic.
    pub(super) error_lasts: bool,
    pub(super) shown_role: Option<(RoleName, Term)>,
    pub(super) progress_at: Instant,
    pub(super) report_at: Instant,
    pub(super) began: Instant,
    pub(super) stopping: Option<Instant>,
    /// The last sign of life.
    pub(super) progress: Progress,
    pub(super) snapshots: SnapshotState,
    behind: Behind,
}

impl Driver {
    /// A driver that has heard nothing.
    #[expect(clippy::too_many_arguments, reason = "the parts of a project, put together in one place")]
    pub fn new(
        identity: Identity,
        project: &Project,
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
            last_commit: None,
            committing: None,
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
            progress: Progress::default(),
            snapshots: SnapshotState::default(),
            behind: Behind::default(),
        };
        let lines = Lines::new(project);
        Driver { identity, role, machine, channels, election, reports, meters, lines, stop, state }
    }

    /// Runs until it is stopped.
    pub fn run(mut self) {
        self.lines.start();
        self.begin();
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
        if let Some(snapshots) = &self.channels.snapshots
            && let Ok(news) = snapshots.news.try_recv()
        {
            self.on_snapshots(news);
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
        let nothing = never();
        let snapshots = channels.snapshots.as_ref().map_or(&nothing, |snapshots| &snapshots.news);
        select! {
            recv(channels.control) -> control => if let Ok(control) = control { self.on_control(control) },
            recv(channels.answers) -> answer => if let Ok(answer) = answer { self.on_answer(answer) },
            recv(channels.log) -> news => if let Ok(news) = news { self.on_log(news) },
            recv(snapshots) -> news => if let Ok(news) = news { self.on_snapshots(news) },
            recv(channels.inputs) -> news => if let Ok(news) = news { self.on_inputs(news) },
            default(due.unwrap_or(IDLE_WAIT).min(IDLE_WAIT)) => {
                if due.is_some() {
                    self.state.pending.push_back(Input::Wake);
                }
            }
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: self.state.began.elapsed(), wall_us: clock::wall_us() }
    }

    pub(super) fn step(&mut self, input: Input) {
        let now = self.now();
        let mut effects = std::mem::take(&mut self.state.effects);
        self.role.step(input, now, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.state.effects = effects;
        self.channels.log_hold.store(!self.role.wants_log(), Ordering::Release);
    }

    /// Tells election and onlookers how things are, as often as they want to know.
    fn show(&mut self) {
        let now = Instant::now();
        let shown = Some(self.role.name());
        self.channels.connectors.lead(self.role.name().0 == RoleName::Active && self.state.stopping.is_none());
        let changed = self.state.shown_role != shown;
        if !changed && now.duration_since(self.state.progress_at) < PROGRESS_EVERY {
            return;
        }
        let view = self.role.view();
        if changed || now.duration_since(self.state.progress_at) >= PROGRESS_EVERY {
            self.state.progress_at = now;
            let cut_off = !self.state.bus_ready || self.state.contact.is_lost(now - self.state.began);
            self.state.progress = Progress {
                caught_up: view.caught_up && !cut_off,
                cut_off,
                role: wire_role(view.role).into(),
                term: view.term.0,
                commit_number: view.number.0,
                lag_commits: view.lag_commits,
            };
            self.election.progress(self.state.progress);
        }
        if changed || now.duration_since(self.state.report_at) >= REPORT_EVERY {
            self.state.report_at = now;
            self.state.shown_role = shown;
            let at = self.now();
            self.state.extras.connectors = self.channels.connectors.statuses();
            self.state.extras.behind = self.state.behind.look(at.mono, view.number.0, view.lag_commits);
            let report = report(&self.identity, &view, &self.machine, &self.state.extras, &self.state.snapshots, at);
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
