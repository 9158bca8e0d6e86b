//! A machine that is made anew: from a snapshot, after a step failed on it, or because it differs from the log.

use crate::engine::io::{Effect, Effects};
use crate::engine::replica::Replica;
use crate::engine::takeover::{Phase, TakingOver};
use crate::engine::{EngineRole, Standby, State};
use crate::{CommitNumber, Poison, SnapshotPoint};

impl EngineRole {
    pub(super) fn on_restored(&mut self, point: SnapshotPoint) {
        assert!(self.replica.is_untouched(), "a snapshot comes before the log");
        assert_eq!(point.state.positions.len(), self.limits.inputs, "one position per input topic");
        let mut restored = Replica::restored(point);
        restored.snapshot_wanted = self.replica.snapshot_wanted;
        self.replica = restored;
    }

    /// A step failed on the machine. What a leader had applied before goes out, and then the log says where it failed.
    pub(super) fn on_apply_failed(&mut self, poison: Poison, effects: &mut Effects) {
        self.replica.apply_failed(poison.clone());
        let where_ = match poison.input {
            Some(input) => format!("offsets {} to {} of input {input}", poison.from, poison.end.saturating_sub(1)),
            None => format!("the tick at {}", poison.from),
        };
        effects.push(Effect::Alarm { message: format!("apply failed at {where_}: {}", poison.reason) });
        match &mut self.state {
            State::Active(active) => active.take_back(&poison),
            State::TakingOver(TakingOver { phase: Phase::Filling { steps }, .. }) => {
                steps.pop();
            }
            // What the log holds was applied by its writer: it is this machine that is wrong.
            State::Standby(_) | State::TakingOver(_) => {
                let number = self.replica.number.next();
                self.differs(number, &format!("apply failed at {where_}: {}", poison.reason), effects);
            }
            State::Failed(_) => {}
        }
    }

    /// This engine's state is not that of the log. Once is an accident: it is made anew. Twice at the same commit the
    /// fault is in what it was made from: an older snapshot is taken; if it was the log alone, nothing helps.
    pub(super) fn differs(&mut self, number: CommitNumber, what: &str, effects: &mut Effects) {
        let again = self.diverged_at.replace(number) == Some(number);
        if again && self.replica.began_at == CommitNumber(0) {
            let reason = format!("state differed twice from the log at commit {number}: {what}");
            return self.fail(reason, effects);
        }
        // At the snapshot's own commit nothing was applied that could be an accident.
        let began_at = self.replica.began_at;
        let refuse = began_at > CommitNumber(0) && (again || began_at == number);
        self.rebuild(format!("state differs from the log at commit {number}"), refuse, effects);
    }

    pub(super) fn rebuild_broken(&mut self, effects: &mut Effects) {
        self.rebuild("a step failed on the machine, and nothing more can be applied to it".to_owned(), false, effects);
    }

    pub(super) fn rebuild(&mut self, reason: String, refuse: bool, effects: &mut Effects) {
        self.rebuilds += 1;
        let term = match &self.state {
            State::TakingOver(takeover) => Some(takeover.term),
            State::Active(active) => Some(active.term),
            State::Standby(_) | State::Failed(_) => None,
        };
        if let Some(term) = term {
            let step_down = Effect::StepDown { term, successor: None, parked: false, reason: reason.clone() };
            effects.push(step_down);
            effects.push(Effect::BecameStandby { reason: reason.clone() });
        }
        self.state = State::Standby(Standby);
        self.replica = Replica::new(self.limits.inputs);
        effects.push(Effect::Rebuild { reason, refuse });
    }
}
