//! Taking over: fence, read the log to its end, apply what is left, open the term.
//!
//! The commit that opens the term also carries what waits to be applied, so that the output goes on with the first
//! transaction of a term and not with the second.

use crate::engine::active::tick_due;
use crate::engine::io::{CommitFailure, Effect, Effects, Now};
use crate::engine::{Active, EngineRole, State, blocks_in};
use crate::{CommitKind, CommitNumber, CommitRecord, Step, Term};

/// An engine that was granted a term and does not lead yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TakingOver {
    pub term: Term,
    pub phase: Phase,
}

/// How far a takeover is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// The bus is asked to fence every other writer.
    Fencing,
    /// The stable end of the log is asked for.
    AskingEnd,
    /// The log is read and applied up to its end.
    CatchingUp { end: u64 },
    /// Steps for the record that opens the term are chosen: at most one tick and one piece of waiting input.
    Filling { steps: Vec<Step> },
    /// The record that opens the term is with the bus; it holds these steps.
    Opening { number: CommitNumber, steps: Vec<Step> },
}

impl Phase {
    pub fn waits_for(&self) -> String {
        match self {
            Phase::Fencing => "the fence".to_owned(),
            Phase::AskingEnd => "the end of the commit log".to_owned(),
            Phase::CatchingUp { end } => {
                format!("the commit log to be read and applied up to offset {end}")
            }
            Phase::Filling { .. } => "the first steps of the term to be applied".to_owned(),
            Phase::Opening { number, .. } => format!("commit {number}, which opens the term"),
        }
    }
}

impl EngineRole {
    pub(super) fn on_granted(&mut self, term: Term, effects: &mut Effects) {
        let own = match &self.state {
            State::TakingOver(takeover) => takeover.term,
            State::Active(active) => active.term,
            State::Standby(_) | State::Failed(_) => Term(0),
        };
        if term == own {
            return; // heard twice
        }
        let known = self.replica.log_term.max(self.tried);
        let stale = if planted!(StaleTermTried) {
            false
        } else if planted!(TermTriedTwice) {
            term <= self.replica.log_term || term < own
        } else {
            term <= known
        };
        if stale {
            let reason = format!("term {term} is stale, term {known} is known");
            effects.push(Effect::StepDown { term, successor: None, parked: false, reason });
            return;
        }
        self.fence(term, effects);
    }

    /// Begins a takeover, whatever the role was; uncommitted steps of a leader become steps ahead of the log.
    fn fence(&mut self, term: Term, effects: &mut Effects) {
        self.tried = self.tried.max(term);
        let next = TakingOver { term, phase: Phase::Fencing };
        match std::mem::replace(&mut self.state, State::Standby(super::Standby)) {
            State::Standby(standby) => self.go(&standby, next),
            State::TakingOver(takeover) => {
                self.go(&takeover, next);
                self.drop_takeover(takeover);
            }
            State::Active(active) => {
                self.go(&active, next);
                self.replica.run_ahead(active.into_uncommitted());
            }
            State::Failed(failed) => {
                self.state = State::Failed(failed);
                return;
            }
        }
        if planted!(FenceAfterRead)
            && let State::TakingOver(takeover) = &mut self.state
        {
            takeover.phase = Phase::AskingEnd;
            effects.push(Effect::AskLogEnd { term });
            return;
        }
        effects.push(Effect::Fence { term });
    }

    pub(super) fn on_fenced(&mut self, term: Term, effects: &mut Effects) {
        if let State::TakingOver(takeover) = &mut self.state
            && takeover.term == term
            && matches!(takeover.phase, Phase::Fencing)
        {
            if planted!(LogNotReadToEnd) || planted!(FenceAfterRead) {
                takeover.phase = Phase::CatchingUp { end: 0 };
                return;
            }
            takeover.phase = Phase::AskingEnd;
            effects.push(Effect::AskLogEnd { term });
        }
    }

    pub(super) fn on_fence_failed(&mut self, term: Term, reason: String, effects: &mut Effects) {
        if let State::TakingOver(takeover) = &self.state
            && takeover.term == term
        {
            self.give_up(term, format!("fencing failed: {reason}"), effects);
        }
    }

    fn give_up(&mut self, term: Term, reason: String, effects: &mut Effects) {
        self.stand_by(reason.clone(), effects);
        effects.push(Effect::StepDown { term, successor: None, parked: false, reason });
    }

    pub(super) fn on_log_end(&mut self, term: Term, offset: u64) {
        if let State::TakingOver(takeover) = &mut self.state
            && takeover.term == term
            && matches!(takeover.phase, Phase::AskingEnd)
        {
            // the planted bug counts from 1: 0 is "fenced"
            let end = if planted!(FenceAfterRead) { offset + 1 } else { offset };
            takeover.phase = Phase::CatchingUp { end };
        }
    }

    /// Opens the term once all of the log is applied (R4).
    pub(super) fn take_over(&mut self, now: Now, effects: &mut Effects) {
        let State::TakingOver(takeover) = &mut self.state else {
            return;
        };
        match &mut takeover.phase {
            Phase::Fencing | Phase::AskingEnd | Phase::Opening { .. } => {}
            Phase::CatchingUp { end } => {
                let read_to = if planted!(FenceAfterRead) { end.saturating_sub(1) } else { *end };
                if !self.replica.has_read(read_to) || !(self.replica.is_level() || planted!(OpensBeforeApplied)) {
                    return;
                }
                if planted!(FenceAfterRead) && *end > 0 {
                    takeover.phase = Phase::Fencing;
                    effects.push(Effect::Fence { term: takeover.term });
                    return;
                }
                if self.replica.number == CommitNumber(0) {
                    // The first commit of a project says where its inputs start, and nothing else.
                    if self.replica.start_inputs(None, effects) {
                        self.open_term(Vec::new(), effects);
                    }
                    return;
                }
                let steps = self.replica.take_ahead();
                if steps.is_empty() {
                    takeover.phase = Phase::Filling { steps };
                    self.fill(now, effects);
                } else {
                    self.open_term(steps, effects); // what was applied, and nobody committed, goes first
                }
            }
            Phase::Filling { .. } => self.fill(now, effects),
        }
    }

    /// Chooses the next step of the opening commit, or opens the term with what was applied.
    fn fill(&mut self, now: Now, effects: &mut Effects) {
        let State::TakingOver(TakingOver { phase: Phase::Filling { steps }, .. }) = &mut self.state else {
            return;
        };
        if self.replica.applying {
            return;
        }
        if self.replica.is_parked() || self.replica.broken.is_some() {
            let steps = std::mem::take(steps);
            return self.open_term(steps, effects);
        }
        let ready = self.replica.available.iter().position(|&blocks| blocks > 0);
        if steps.is_empty()
            && let Some(clock_us) = tick_due(self.limits.heartbeat_us, &self.replica.state, ready.is_some(), now)
        {
            steps.push(Step::Tick { clock_us });
            self.replica.applying = true;
            effects.push(Effect::Tick { clock_us, keep: true });
        } else if let Some(input) = ready.filter(|_| blocks_in(steps) == 0) {
            let most = self.limits.apply_blocks_max.min(self.limits.commit_blocks_max);
            let blocks = self.replica.available[input].min(most).min(self.replica.blocks_at_once(input));
            self.replica.available[input] -= blocks;
            let input = input as u32;
            steps.push(Step::Apply { input, blocks });
            self.replica.applying = true;
            effects.push(Effect::Apply { input, blocks, keep: true });
        } else {
            let steps = std::mem::take(steps);
            self.open_term(steps, effects);
        }
    }

    fn open_term(&mut self, steps: Vec<Step>, effects: &mut Effects) {
        let State::TakingOver(takeover) = &mut self.state else {
            return;
        };
        let term = takeover.term;
        let number = self.replica.number.next();
        takeover.phase = Phase::Opening { number, steps: steps.clone() };
        let record = self.record(term, number, CommitKind::Term, steps);
        effects.push(Effect::Commit { record });
    }

    /// A record of the machine's state now.
    pub(super) fn record(&self, term: Term, number: CommitNumber, kind: CommitKind, steps: Vec<Step>) -> CommitRecord {
        let state = &self.replica.state;
        CommitRecord {
            term,
            number,
            kind,
            steps,
            positions: state.positions.clone(),
            clock_us: state.clock_us,
            model_fingerprint: self.limits.model_fingerprint,
            digests: state.digests.clone(),
            sequences: state.sequences.clone(),
            engine: self.engine.clone(),
        }
    }

    pub(super) fn on_committed(&mut self, number: CommitNumber, effects: &mut Effects) {
        match &mut self.state {
            State::TakingOver(takeover) => {
                // With another number or phase it is the last word of an earlier role; the log tells it as well.
                let Phase::Opening { number: opening, .. } = takeover.phase else {
                    return;
                };
                if opening != number {
                    return;
                }
                let term = takeover.term;
                self.replica.committed(number);
                let opened = std::mem::replace(&mut self.state, State::Standby(super::Standby));
                if let State::TakingOver(takeover) = opened {
                    self.go(&takeover, Active::new(term));
                }
                effects.push(Effect::BecameActive { term });
            }
            State::Active(_) => self.on_own_commit(number, effects),
            State::Standby(_) | State::Failed(_) => {}
        }
    }

    pub(super) fn on_commit_failed(&mut self, number: CommitNumber, failure: CommitFailure, effects: &mut Effects) {
        let (term, under_way) = match &self.state {
            State::Active(active) => (active.term, active.in_flight_number()),
            State::TakingOver(TakingOver { term, phase: Phase::Opening { number, .. } }) => (*term, Some(*number)),
            State::TakingOver(_) | State::Standby(_) | State::Failed(_) => return,
        };
        if under_way != Some(number) {
            return; // the last word of an earlier role
        }
        match failure {
            // Somebody took over. The election may not have told us yet; the log will.
            CommitFailure::Fenced => self.give_up(term, format!("fenced at commit {number}"), effects),
            CommitFailure::Lost { .. } if planted!(LostCountsAsDone) => self.on_committed(number, effects),
            // Nobody took over as far as we know: fence again in the same term, then let the log decide.
            CommitFailure::Lost { reason } => {
                effects
                    .push(Effect::Alarm { message: format!("commit {number}: {reason}; fencing again to find out") });
                self.fence(term, effects);
            }
        }
    }
}
