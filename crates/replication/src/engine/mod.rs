//! The role of an engine for one project.
//!
//! ```text
//!              Granted                Fenced, LogEnd              term record committed
//!   Standby -----------> TakingOver --------------> TakingOver ------------------------> Active
//!      ^  ^                  |     (fencing)         (catching up, opening)                 |
//!      |  +---- stale term --+                                                              |
//!      +------------------------- fenced, handed over, outcome unknown ---------------------+
//! ```
//!
//! The driver calls [`EngineRole::step`] with each input and carries the effects out in order; an effect that has an
//! answer is answered by an input. Read `replica` (what every role does with the log) before the states.
//!
//! Invariants, asserted where they could break:
//! - R1 commit numbers in the log are contiguous, terms never fall
//! - R2 at most one commit is under way
//! - R3 a standby applies only steps that are in the log
//! - R4 whoever opens a term has read the log to its end after its fence, and applied all of it
//! - R5 at a commit number, every engine has the same positions, clock, sequences and digests

mod active;
mod contact;
mod io;
mod outputs;
mod repair;
mod replica;
mod takeover;

#[cfg(test)]
mod tests;

pub use contact::{ASK_EVERY, BusContact, CUT_OFF_AFTER};
pub use io::{CommitFailure, Effect, Effects, Input, MachineState, Now};
pub use outputs::{KeptOutputs, Sequenced};

use std::time::Duration;

use crate::{CommitNumber, CommitRecord, EngineId, Poison, Step, Term};
use active::Active;
use replica::{Outcome, Replica};
use takeover::{Phase, TakingOver};

/// What bounds a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Number of input topics.
    pub inputs: usize,
    /// Fingerprint of the model.
    pub model_fingerprint: u64,
    /// Shortest time between two ticks, microseconds; `None` when no window looks at the clock.
    pub heartbeat_us: Option<i64>,
    /// Blocks applied at most by one `Apply`, so that control is never far.
    pub apply_blocks_max: u32,
    /// Blocks in one commit at most.
    pub commit_blocks_max: u32,
    /// Events in one commit at most.
    pub commit_events_max: u64,
    /// Records of the log held at most before the driver is asked to pause it ([`EngineRole::wants_log`]).
    pub log_records_max: usize,
    /// A standby counts as caught up when it is at most this many commits behind.
    pub caught_up_commits: u64,
}

/// The role of one engine for one project. A model checker may copy, compare and hash it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EngineRole {
    engine: EngineId,
    limits: Limits,
    replica: Replica,
    state: State,
    /// Commit at which this engine has differed before; a second time is final.
    diverged_at: Option<CommitNumber>,
    /// Highest term that this role has asked a fence for. One that was given back is not tried again: its fence may
    /// still wait behind others at the writer, and would then come after the log was read for the second one (R4).
    tried: Term,
    rebuilds: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    Standby(Standby),
    TakingOver(TakingOver),
    Active(Active),
    Failed(Failed),
}

/// Follows the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Standby;

/// Cannot go on without somebody's help.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Failed {
    reason: String,
}

/// A transition that exists. What is not listed here does not compile.
trait Next<To> {}
impl Next<TakingOver> for Standby {}
impl Next<TakingOver> for TakingOver {} // a newer grant, or a retry of a lost one
impl Next<TakingOver> for Active {} // outcome of a commit unknown, or a newer grant to the leader itself
impl Next<Active> for TakingOver {}
impl Next<Standby> for TakingOver {}
impl Next<Standby> for Active {}

/// Role as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleName {
    /// Rebuilds its state from the log; not yet a candidate.
    Recovering,
    /// Follows.
    Standby,
    /// Takes over.
    TakingOver,
    /// Leads.
    Active,
    /// Cannot go on without help.
    Failed,
}

/// Where a role is, finer than [`RoleName`]: the states that the simulator counts transitions between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolePhase {
    /// Follows from afar.
    Recovering,
    /// Follows.
    Standby,
    /// Takes over: the fence is asked for.
    Fencing,
    /// Takes over: the end of the log is asked for.
    AskingEnd,
    /// Takes over: the log is read and applied.
    CatchingUp,
    /// Takes over: the first steps of the term are applied.
    Filling,
    /// Takes over: the record that opens the term is with the bus.
    Opening,
    /// Leads, and no commit is under way.
    Leading,
    /// Leads, and a commit is under way.
    Committing,
    /// Leads, and is asked to hand over or does so.
    HandingOver,
    /// Cannot go on.
    Failed,
}

/// What a role shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleView {
    /// Role.
    pub role: RoleName,
    /// Term it works in: its own when it leads or takes over, else the log's last.
    pub term: Term,
    /// Last commit whose steps are all applied here.
    pub number: CommitNumber,
    /// Commits known to be in the log but not applied.
    pub lag_commits: u64,
    /// True when it may be granted a term.
    pub caught_up: bool,
    /// Steps it has applied that nobody has committed.
    pub ahead_steps: usize,
    /// Times it threw its state away and read the log anew.
    pub rebuilds: u64,
    /// Where apply has failed, says the log; with one block the project is parked there.
    pub poison: Option<Poison>,
    /// What it waits for, in words; empty when for new input only.
    pub waits_for: String,
}

impl EngineRole {
    /// A role that knows nothing yet: the driver reads the log from its start.
    pub fn new(engine: EngineId, limits: Limits) -> EngineRole {
        let replica = Replica::new(limits.inputs);
        let (state, tried) = (State::Standby(Standby), Term(0));
        EngineRole { engine, limits, replica, state, diverged_at: None, tried, rebuilds: 0 }
    }

    /// Takes one input and adds what is to be done to `effects`.
    pub fn step(&mut self, input: Input, now: Now, effects: &mut Effects) {
        if let State::Failed(_) = self.state {
            return; // whatever comes, a failed role does nothing; the driver shows the reason
        }
        match input {
            Input::Granted { term } => self.on_granted(term, effects),
            // Nobody acts on hearsay: a leader goes on until the bus refuses it, a standby follows the log.
            Input::LeaderIs { .. } => {}
            Input::HandOver { term, successor } => self.on_hand_over(term, successor),
            Input::Fenced { term } => self.on_fenced(term, effects),
            Input::FenceFailed { term, reason } => self.on_fence_failed(term, reason, effects),
            Input::LogEnd { term, offset } => self.on_log_end(term, offset),
            Input::LogRecord { offset, record } => self.on_log_record(offset, record, effects),
            Input::LogRead { next_offset } => {
                if !self.replica.log_read_to(next_offset) {
                    let reason = "the commit log ends before the commit that the snapshot is of".to_owned();
                    self.rebuild(reason, true, effects);
                }
            }
            Input::InputsStarted { state } => self.replica.inputs_started(state),
            Input::BlocksReady { input, blocks } => self.replica.blocks_ready(input, blocks),
            Input::Applied { events, state } => {
                self.replica.applied(state);
                if let State::Active(active) = &mut self.state {
                    active.applied(events);
                }
            }
            Input::Committed { number } => self.on_committed(number, effects),
            Input::CommitFailed { number, failure } => self.on_commit_failed(number, failure, effects),
            Input::Restored { point } => self.on_restored(point),
            Input::SnapshotWanted => self.replica.snapshot_wanted = true,
            Input::ApplyFailed { poison } => self.on_apply_failed(poison, effects),
            Input::SkipWanted { input, position } => {
                if let State::Active(active) = &mut self.state {
                    active.skip(input, position);
                }
            }
            Input::Wake => {}
        }
        self.pump(now, effects);
    }

    /// When the role wants to be woken, with the reason; `None` when only inputs can change anything.
    pub fn next_deadline(&self, now: Now) -> Option<(Duration, &'static str)> {
        // A leader that stands still, for a snapshot or at a block on which apply fails, ticks for no window.
        let stands = self.replica.snapshot_wanted || self.replica.is_parked() || self.replica.broken.is_some();
        if stands || !matches!(self.state, State::Active(_)) {
            return None;
        }
        let heartbeat = self.limits.heartbeat_us?;
        let due_us = self.replica.state.next_deadline_us?.max(self.replica.state.clock_us.saturating_add(heartbeat));
        let wait_us = u64::try_from(due_us.saturating_sub(now.wall_us)).unwrap_or(0);
        Some((now.mono + Duration::from_micros(wait_us), "a window waits for the clock"))
    }

    /// False while the role holds so many records of the log that the driver should not bring more.
    pub fn wants_log(&self) -> bool {
        self.replica.log.len() < self.limits.log_records_max
    }

    /// The role's name and the term it works in.
    pub fn name(&self) -> (RoleName, Term) {
        match &self.state {
            State::Standby(_) if self.follows_closely() => (RoleName::Standby, self.replica.log_term),
            State::Standby(_) => (RoleName::Recovering, self.replica.log_term),
            State::TakingOver(takeover) => (RoleName::TakingOver, takeover.term),
            State::Active(active) => (RoleName::Active, active.term),
            State::Failed(_) => (RoleName::Failed, self.replica.log_term),
        }
    }

    /// Where the role is.
    pub fn phase(&self) -> RolePhase {
        match &self.state {
            State::Standby(_) if self.follows_closely() => RolePhase::Standby,
            State::Standby(_) => RolePhase::Recovering,
            State::TakingOver(takeover) => match takeover.phase {
                Phase::Fencing => RolePhase::Fencing,
                Phase::AskingEnd => RolePhase::AskingEnd,
                Phase::CatchingUp { .. } => RolePhase::CatchingUp,
                Phase::Filling { .. } => RolePhase::Filling,
                Phase::Opening { .. } => RolePhase::Opening,
            },
            State::Active(active) if active.hands_over() => RolePhase::HandingOver,
            State::Active(active) if active.in_flight_number().is_some() => RolePhase::Committing,
            State::Active(_) => RolePhase::Leading,
            State::Failed(_) => RolePhase::Failed,
        }
    }

    /// Last commit whose steps are all applied here.
    pub fn number(&self) -> CommitNumber {
        self.replica.number
    }

    fn follows_closely(&self) -> bool {
        self.replica.reached_end && self.replica.lag() <= self.limits.caught_up_commits
    }

    /// What the role shows of itself.
    pub fn view(&self) -> RoleView {
        let (role, term) = self.name();
        let waits_for = match (&self.state, &self.replica.poison) {
            (State::Failed(failed), _) => failed.reason.clone(),
            (_, Some(poison)) if poison.is_exact() => "a block to be skipped on which apply fails".to_owned(),
            (state, _) => match state {
                State::Standby(_) | State::Failed(_) => self.replica.waits_for(),
                State::TakingOver(takeover) => takeover.phase.waits_for(),
                State::Active(active) => active.waits_for(),
            },
        };
        RoleView {
            role,
            term,
            number: self.replica.number,
            lag_commits: self.replica.lag(),
            caught_up: !matches!(role, RoleName::Recovering | RoleName::Failed),
            ahead_steps: self.replica.ahead.len(),
            rebuilds: self.rebuilds,
            poison: self.replica.poison.clone(),
            waits_for,
        }
    }

    /// The driver cannot go on (a topic lost what is needed, a record cannot be read): stop with this reason.
    pub fn fail(&mut self, reason: String, effects: &mut Effects) {
        let led = match &self.state {
            State::Active(active) => Some(active.term),
            State::TakingOver(takeover) => Some(takeover.term),
            State::Standby(_) | State::Failed(_) => None,
        };
        if let Some(term) = led {
            effects.push(Effect::StepDown { term, successor: None, parked: false, reason: reason.clone() });
        }
        effects.push(Effect::Alarm { message: reason.clone() });
        self.state = State::Failed(Failed { reason });
    }

    /// The topics no longer hold what comes next, but a newer snapshot may do without it. A leader to whom this happens
    /// was cut off so long that others have led since, saved their state and trimmed the log.
    pub fn begin_anew(&mut self, reason: String, effects: &mut Effects) {
        if !matches!(self.state, State::Failed(_)) {
            self.rebuild(reason, false, effects);
        }
    }

    fn go<A: Next<B>, B: Into<State>>(&mut self, _from: &A, to: B) {
        self.state = to.into();
    }

    /// A leader, or one that was about to be, follows again; what it applied beyond the log is remembered as steps.
    fn stand_by(&mut self, reason: String, effects: &mut Effects) {
        match std::mem::replace(&mut self.state, State::Standby(Standby)) {
            State::Active(active) => {
                self.go(&active, Standby);
                self.replica.run_ahead(active.into_uncommitted());
            }
            State::TakingOver(takeover) => {
                self.go(&takeover, Standby);
                self.drop_takeover(takeover);
            }
            same @ (State::Standby(_) | State::Failed(_)) => {
                self.state = same;
                return;
            }
        }
        effects.push(Effect::BecameStandby { reason });
    }

    /// What a takeover that ends early leaves: the steps of its opening commit, which nobody may have committed.
    fn drop_takeover(&mut self, takeover: TakingOver) {
        if let Phase::Filling { steps } | Phase::Opening { steps, .. } = takeover.phase {
            self.replica.run_ahead(steps);
        }
    }

    fn on_log_record(&mut self, offset: u64, record: CommitRecord, effects: &mut Effects) {
        if record.model_fingerprint != self.limits.model_fingerprint {
            let reason = format!(
                "commit {} was written for model {:016x} by engine `{}`, this engine runs model {:016x}: deploy the same \
                 project file everywhere, or deploy the changed one under a new project name",
                record.number, record.model_fingerprint, record.engine, self.limits.model_fingerprint
            );
            return self.fail(reason, effects);
        }
        let (my_term, leads) = match &self.state {
            State::Active(active) => (Some(active.term), true),
            State::TakingOver(takeover) => (Some(takeover.term), false),
            State::Standby(_) | State::Failed(_) => (None, false),
        };
        if let Some(mine) = my_term
            && record.term == mine
            && record.engine != self.engine
        {
            let reason = format!("term {mine} has two writers, `{}` and `{}`", self.engine, record.engine);
            return self.fail(reason, effects);
        }
        if self.replica.is_foreign(&record) {
            let reason = format!(
                "the commit log has commit {} of term {} at offset {offset}, where the commit that the snapshot is of should be",
                record.number, record.term
            );
            return self.rebuild(reason, true, effects);
        }
        let newer = my_term.filter(|&mine| record.term > mine && !planted!(NewerTermIgnored));
        if let Err(reason) = self.replica.log_record(offset, record) {
            return self.fail(reason, effects);
        }
        if let Some(mine) = newer {
            let reason = format!("the log is in term {} already", self.replica.log_term);
            self.stand_by(reason.clone(), effects);
            if !leads {
                effects.push(Effect::StepDown { term: mine, successor: None, parked: false, reason });
            }
        }
    }

    /// Goes on as far as it can without a further input.
    fn pump(&mut self, now: Now, effects: &mut Effects) {
        match &self.state {
            State::Standby(_) if self.replica.broken.is_some() => self.rebuild_broken(effects),
            State::Standby(_) => self.follow(effects),
            State::TakingOver(takeover)
                if self.replica.broken.is_some()
                    && !matches!(takeover.phase, Phase::Filling { .. } | Phase::Opening { .. }) =>
            {
                self.rebuild_broken(effects);
            }
            State::TakingOver(takeover) => {
                if !matches!(takeover.phase, Phase::Filling { .. } | Phase::Opening { .. }) {
                    self.follow(effects);
                }
                self.take_over(now, effects);
            }
            State::Active(_) => self.lead(now, effects),
            State::Failed(_) => {}
        }
    }

    fn follow(&mut self, effects: &mut Effects) {
        match self.replica.follow(self.limits.model_fingerprint, effects) {
            Outcome::Waits => {}
            Outcome::OtherSteps => {
                let reason = "the new leader committed other steps than this engine had applied".to_owned();
                self.rebuild(reason, false, effects);
            }
            Outcome::OtherState { number, window, what } => {
                effects.push(Effect::Diverged { number, window, what: what.clone() });
                self.differs(number, &what, effects);
            }
        }
    }
}

impl From<Standby> for State {
    fn from(state: Standby) -> State {
        State::Standby(state)
    }
}

impl From<TakingOver> for State {
    fn from(state: TakingOver) -> State {
        State::TakingOver(state)
    }
}

impl From<Active> for State {
    fn from(state: Active) -> State {
        State::Active(state)
    }
}

/// Blocks in a list of steps.
fn blocks_in(steps: &[Step]) -> u32 {
    let blocks = |step: &Step| match step {
        Step::Apply { blocks, .. } => *blocks,
        Step::Skip { .. } => 1,
        Step::Tick { .. } => 0,
    };
    steps.iter().map(blocks).sum()
}
