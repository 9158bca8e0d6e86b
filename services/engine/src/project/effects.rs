//! The role's effects, carried out in order.

use std::time::Instant;

use crossbeam_channel::TrySendError;
use mesh_proto::engine::DivergedStatus;
use mesh_replication::engine::CommitFailure;
use mesh_replication::{CommitKind, Effect, Effects, EngineRole, Input, Poison, Term};

use crate::project::driver::Driver;
use crate::project::message::{FromWriter, InputCommand, Job, LogCommand};

impl Driver {
    pub(super) fn fail(&mut self, reason: String) {
        self.tell_role(|role, effects| role.fail(reason, effects));
    }

    /// Tells the role what is no input, and carries out what it wants then.
    pub(super) fn tell_role(&mut self, tell: impl FnOnce(&mut EngineRole, &mut Effects)) {
        let mut effects = Effects::new();
        tell(&mut self.role, &mut effects);
        for effect in effects {
            self.carry_out(effect);
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect) {
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
                let applied = self.machine.apply(input, blocks, keep);
                self.meters.applied(blocks, began.elapsed());
                self.applied(applied);
            }
            Effect::Tick { clock_us, keep } => {
                let ticked = self.machine.tick(clock_us, keep);
                self.applied(ticked.map(|()| 0));
            }
            Effect::Skip { input } => {
                self.machine.skip(input);
                self.applied(Ok(0));
            }
            Effect::TakeSnapshot { point } => self.take_snapshot(point),
            Effect::Commit { record } => {
                let progress = self.progress(record.number.0.saturating_sub(1));
                if let (CommitKind::Term, Some(takeover)) = (&record.kind, &mut self.state.takeover) {
                    takeover.read(progress);
                }
                self.state.committing = Some((record.number, record.positions.clone()));
                let outputs = self.machine.kept().commit(record.number);
                self.give(Job::Commit { record, outputs });
            }
            Effect::ForgetOutputs { through } => self.machine.kept().forget(&through),
            Effect::Rebuild { reason, refuse } => self.rebuild(&reason, refuse),
            Effect::BecameActive { term } => self.became_active(term),
            Effect::BecameStandby { reason } => {
                tracing::info!(project = self.identity.project, reason, "became standby");
                self.lines.standby();
                self.give(Job::StandBy);
            }
            Effect::StepDown { term, parked: true, reason, .. } => {
                tracing::info!(project = self.identity.project, term = term.0, reason, "parked the project");
                self.election.parked(term, &reason);
            }
            Effect::StepDown { term, successor, parked: false, reason } => {
                tracing::info!(project = self.identity.project, term = term.0, reason, "stepped down");
                let successor = successor.filter(|successor| !successor.0.is_empty());
                self.election.stepped_down(term, successor.as_ref(), &reason);
            }
            Effect::Diverged { number, window, what } => {
                let window = window.and_then(|window| self.machine.executor().window_names().get(window)).cloned();
                let named = window.as_ref().map_or(what, |name| format!("window `{name}`"));
                self.state.extras.diverged = Some(DivergedStatus {
                    commit_number: number.0,
                    // the role is on its way to begin anew, and in no term
                    term: self.state.progress.term,
                    window: window.unwrap_or_default(),
                    at_us: self.now().wall_us,
                });
                self.alarm(format!("state differs from the log at commit {number}: {named}; it is made anew"));
                self.state.error_lasts = true;
            }
            Effect::Alarm { message } => self.alarm(message),
        }
    }

    pub(super) fn alarm(&mut self, message: String) {
        if self.state.extras.error != message {
            self.state.error_lasts = false;
            tracing::error!(project = self.identity.project, "{message}");
            self.state.extras.error = message;
        }
    }

    pub(super) fn error_passed(&mut self) {
        if !self.state.error_lasts {
            self.state.extras.error.clear();
        }
    }

    pub(super) fn applied(&mut self, applied: Result<u64, Poison>) {
        let answer = match applied {
            Ok(events) => Input::Applied { events, state: self.machine.state() },
            Err(poison) => Input::ApplyFailed { poison },
        };
        self.state.pending.push_back(answer);
    }

    /// Hands a job to the writer; one that it cannot take counts as failed, so the role decides.
    pub(super) fn give(&mut self, job: Job) {
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

    pub(super) fn ask_log(&mut self, command: LogCommand) {
        if self.channels.log_commands.try_send(command).is_err() {
            self.fail("the reader of the commit log takes no commands any more".to_owned());
        }
    }

    pub(super) fn ask_inputs(&mut self, command: InputCommand) {
        if self.channels.input_commands.try_send(command).is_err() {
            self.fail("the reader of the input topics takes no commands any more".to_owned());
        }
    }

    pub(super) fn became_active(&mut self, term: Term) {
        let Some(takeover) = self.state.takeover.take() else { return };
        let (status, trace) =
            takeover.opened(&self.identity.project, self.machine.last_traced(), self.state.last_commit);
        tracing::info!(
            project = self.identity.project,
            term = term.0,
            fence_us = status.fence_us,
            read_us = status.read_us,
            open_us = status.open_us,
            gap_us = status.gap_us,
            events_replayed = status.events_replayed,
            reason = status.reason,
            trace_id = trace,
            "became active"
        );
        self.meters.took_over(&status);
        self.state.extras.took_over(status);
        self.error_passed();
        self.lines.active();
    }
}
