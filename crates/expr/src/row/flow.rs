//! Statements: assignments, branches, loops, jumps.

use super::{MAX_ROUNDS, RowRun, TOO_LONG};
use crate::node::{Place, Site, Step};
use crate::scalar::Scalar;

const ZERO_STEP: &str = "a `for` loop with step 0 has no end";

/// How a list of steps ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Return,
    Break,
    Continue,
    Goto(usize),
}

impl<'a> RowRun<'a, '_> {
    pub(super) fn steps(&mut self, steps: &'a [Step]) -> Flow {
        let mut at = 0;
        while let Some(step) = steps.get(at) {
            at += 1;
            match self.step(step) {
                _ if self.raised => return self.stopped(),
                Flow::Next => {}
                Flow::Goto(label) => {
                    let here = steps.iter().position(|step| matches!(step, Step::Label(known) if *known == label));
                    match here {
                        Some(position) => at = position,
                        None => return Flow::Goto(label),
                    }
                }
                flow => return flow,
            }
        }
        Flow::Next
    }

    fn step(&mut self, step: &'a Step) -> Flow {
        match step {
            Step::Set { place, value } => {
                let value = self.node(value);
                self.set(*place, value);
            }
            Step::Once { slot, value } => {
                if self.state.slots.get(*slot).is_none_or(Option::is_none) {
                    let value = self.node(value);
                    self.set(Place::Kept(*slot), value);
                }
            }
            Step::Do(value) => {
                self.node(value);
            }
            Step::Value(value) => self.frame.result = Some(self.node(value)),
            Step::Return(value) => {
                self.frame.result = Some(self.node(value));
                return Flow::Return;
            }
            Step::If { condition, then, otherwise } => {
                let taken = if self.truth(condition) == Some(true) { then } else { otherwise };
                return self.steps(taken);
            }
            Step::While { condition, body } => {
                while self.truth(condition) == Some(true) {
                    match self.round(Site { line: 1, column: 1 }).then(|| self.steps(body)) {
                        Some(Flow::Next | Flow::Continue) => {}
                        Some(Flow::Break) => break,
                        Some(flow) => return flow,
                        None => return self.stopped(),
                    }
                }
            }
            Step::For { place, from, to, by, body, site } => {
                let (Some(from), Some(to), Some(by)) = (self.integer(from), self.integer(to), self.integer(by)) else {
                    return Flow::Next;
                };
                return self.counted(*place, (from, to, by), body, *site);
            }
            Step::Break => return Flow::Break,
            Step::Continue => return Flow::Continue,
            Step::Goto(label, site) => {
                return if self.round(*site) { Flow::Goto(*label) } else { self.stopped() };
            }
            Step::Label(_) => {}
        }
        Flow::Next
    }

    /// A `for` loop; the variable may be changed in it, as in the original.
    fn counted(&mut self, place: Place, (from, to, by): (i64, i64, i64), body: &'a [Step], site: Site) -> Flow {
        if by == 0 {
            self.settled::<()>(Err(ZERO_STEP), site);
            return self.stopped();
        }
        let mut at = from;
        loop {
            self.set(place, Scalar::Integer(at));
            if (by > 0 && at > to) || (by < 0 && at < to) {
                return Flow::Next;
            }
            if !self.round(site) {
                return self.stopped();
            }
            match self.steps(body) {
                Flow::Next | Flow::Continue => {}
                Flow::Break => return Flow::Next,
                flow => return flow,
            }
            let Scalar::Integer(now) = self.get(place) else { return Flow::Next };
            let Some(next) = now.checked_add(by) else { return Flow::Next };
            at = next;
        }
    }

    /// Counts a round; false, and an error, when there were too many.
    pub(super) fn round(&mut self, site: Site) -> bool {
        self.rounds += 1;
        if self.rounds == MAX_ROUNDS + 1 {
            self.settled::<()>(Err(TOO_LONG), site);
        }
        self.rounds <= MAX_ROUNDS
    }

    /// Ends the program without a result.
    fn stopped(&mut self) -> Flow {
        self.frame.result = Some(Scalar::Null);
        Flow::Return
    }
}
