//! Leading: decide the next steps, apply them, commit them; the next batch is applied while the last one commits.

use crate::engine::io::{Effect, Effects, Now};
use crate::engine::replica::join_steps;
use crate::engine::{EngineRole, State, blocks_in};
use crate::record::push_step;
use crate::{CommitKind, CommitNumber, EngineId, Poison, Step, Term};

/// An engine that leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Active {
    pub term: Term,
    /// The one commit under way (R2).
    in_flight: Option<InFlight>,
    /// Steps applied since, to be in the next commit.
    open: Vec<Step>,
    open_events: u64,
    /// The election asked to hand over to this engine.
    successor: Option<EngineId>,
    /// Block that somebody decided to go on without: input and offset.
    skip: Option<(u32, u64)>,
    /// Input to look at first, so that a busy one does not starve the others.
    next_input: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct InFlight {
    number: CommitNumber,
    steps: Vec<Step>,
    successor: Option<EngineId>,
    parks: bool,
}

impl Active {
    pub fn new(term: Term) -> Active {
        Active { term, in_flight: None, open: Vec::new(), open_events: 0, successor: None, skip: None, next_input: 0 }
    }

    pub fn applied(&mut self, events: u64) {
        self.open_events += events;
    }

    pub fn in_flight_number(&self) -> Option<CommitNumber> {
        self.in_flight.as_ref().map(|commit| commit.number)
    }

    /// True once it is to hand over, or does so, or its last commit is under way for another reason.
    pub fn hands_over(&self) -> bool {
        self.successor.is_some()
            || self.in_flight.as_ref().is_some_and(|commit| commit.successor.is_some() || commit.parks)
    }

    /// The last step was not applied after all.
    pub fn take_back(&mut self, poison: &Poison) {
        if let Some(Step::Apply { blocks, .. }) = self.open.last_mut()
            && *blocks > poison.blocks
        {
            *blocks -= poison.blocks;
        } else {
            self.open.pop();
        }
    }

    /// Somebody decided to go on without this block.
    pub fn skip(&mut self, input: u32, position: u64) {
        self.skip = Some((input, position));
    }

    /// Steps not known to be committed: the commit under way, then what was applied since.
    pub fn into_uncommitted(self) -> Vec<Step> {
        join_steps(self.in_flight.map(|commit| commit.steps).unwrap_or_default(), self.open)
    }

    pub fn waits_for(&self) -> String {
        match (&self.successor, &self.in_flight) {
            (Some(successor), _) => format!("the last commit before `{successor}` takes over"),
            (None, Some(commit)) => format!("commit {}", commit.number),
            (None, None) => String::new(),
        }
    }
}

impl EngineRole {
    pub(super) fn on_hand_over(&mut self, term: Term, successor: EngineId) {
        if let State::Active(active) = &mut self.state
            && active.term == term
            && successor != self.engine
        {
            active.successor = Some(successor);
        }
    }

    pub(super) fn on_own_commit(&mut self, number: CommitNumber, effects: &mut Effects) {
        let State::Active(active) = &mut self.state else {
            return;
        };
        if active.in_flight_number() != Some(number) {
            return; // the last word of an earlier role of this engine
        }
        let commit = active.in_flight.take().expect("its number was just compared");
        self.replica.committed(number);
        if commit.parks {
            let term = active.term;
            let reason = "apply failed; the log says where, and the state is made anew".to_owned();
            self.stand_by(reason.clone(), effects);
            effects.push(Effect::StepDown { term, successor: None, parked: true, reason });
        } else if let Some(successor) = commit.successor {
            let term = active.term;
            let reason = format!("handed over to `{successor}` on purpose");
            self.stand_by(reason.clone(), effects);
            effects.push(Effect::StepDown { term, successor: Some(successor), parked: false, reason });
        }
    }

    /// Applies and commits as far as it can without a further input.
    pub(super) fn lead(&mut self, now: Now, effects: &mut Effects) {
        let State::Active(active) = &mut self.state else {
            return;
        };
        if self.replica.applying {
            return;
        }
        let broken = self.replica.broken.clone();
        let closes = active.successor.is_some() || broken.is_some();
        if active.in_flight.is_none() && (!active.open.is_empty() || closes) {
            let (term, mut steps) = (active.term, std::mem::take(&mut active.open));
            if planted!(InterleavingNotRecorded) {
                steps.sort_by_key(|step| if let Step::Apply { input, .. } = step { *input } else { 0 });
            }
            active.open_events = 0;
            // A handover commit closes the batch: what was applied goes out with it.
            let parks = broken.is_some();
            let successor = active.successor.take().filter(|_| !parks);
            let kind = match (broken, &successor) {
                (Some(poison), _) => CommitKind::Park { poison: Box::new(poison) },
                (None, Some(successor)) => CommitKind::Handover { successor: successor.clone() },
                (None, None) => CommitKind::Commit,
            };
            let number = self.replica.number.next();
            active.in_flight = Some(InFlight { number, steps: steps.clone(), successor, parks });
            let record = self.record(term, number, kind, steps);
            effects.push(Effect::Commit { record });
        }
        let State::Active(active) = &mut self.state else {
            return;
        };
        if self.replica.broken.is_some() {
            return;
        }
        if self.replica.snapshot_wanted {
            // A leader is ahead of its commits; for a snapshot it stands still until the last one is read back.
            let rests = active.in_flight.is_none() && active.open.is_empty();
            let rests = rests || planted!(SnapshotOfUncommitted);
            let Some(point) = self.replica.point(self.limits.model_fingerprint).filter(|_| rests) else {
                return;
            };
            self.replica.snapshot_wanted = false;
            effects.push(Effect::TakeSnapshot { point });
        }
        let blocks_open = blocks_in(&active.open);
        if active.hands_over()
            || blocks_open >= self.limits.commit_blocks_max
            || active.open_events >= self.limits.commit_events_max
        {
            return;
        }
        if self.replica.is_parked() {
            return self.lead_past_poison(effects);
        }
        let inputs = self.replica.available.len();
        let ready =
            (0..inputs).map(|i| (active.next_input + i) % inputs).find(|&input| self.replica.available[input] > 0);
        if let Some(clock_us) = tick_due(self.limits.heartbeat_us, &self.replica.state, ready.is_some(), now) {
            let step = Step::Tick { clock_us };
            if !planted!(TickNotRecorded) {
                push_step(&mut active.open, step);
            }
            self.replica.applying = true;
            effects.push(Effect::Tick { clock_us, keep: true });
        } else if let Some(input) = ready {
            let room = self.limits.commit_blocks_max - blocks_open;
            let at_once = self.limits.apply_blocks_max.min(self.replica.blocks_at_once(input));
            let blocks = self.replica.available[input].min(at_once).min(room);
            active.next_input = (input + 1) % inputs;
            let step = Step::Apply { input: input as u32, blocks };
            push_step(&mut active.open, step);
            self.replica.available[input] -= blocks;
            self.replica.applying = true;
            effects.push(Effect::Apply { input: input as u32, blocks, keep: true });
        }
    }
}

impl EngineRole {
    /// A parked project goes on when the block is skipped, which is a step like any other.
    fn lead_past_poison(&mut self, effects: &mut Effects) {
        let State::Active(active) = &mut self.state else {
            return;
        };
        let Some(Poison { input: Some(input), from, .. }) = &self.replica.poison else {
            return; // a tick cannot be skipped: the next one is no other
        };
        let (input, from) = (*input, *from);
        if active.skip == Some((input, from)) && self.replica.available[input as usize] > 0 {
            active.skip = None;
            push_step(&mut active.open, Step::Skip { input });
            self.replica.available[input as usize] -= 1;
            self.replica.applying = true;
            effects.push(Effect::Skip { input });
        }
    }
}

/// The time of the tick that is due now: before new input when the clock is a heartbeat old, and when a window waits
/// for it. A wall clock that went back gives none until it has caught up: the recorded clock never goes back.
pub(super) fn tick_due(
    heartbeat_us: Option<i64>,
    state: &super::MachineState,
    has_input: bool,
    now: Now,
) -> Option<i64> {
    let next = state.clock_us.saturating_add(heartbeat_us?);
    let waited_for = state.next_deadline_us.is_some_and(|deadline| deadline <= now.wall_us);
    (now.wall_us >= next && (has_input || waited_for)).then_some(now.wall_us)
}
