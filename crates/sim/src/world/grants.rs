//! Grants without an election: at any time, to anybody, twice, late, stale. No election could be worse, and the output
//! must be right all the same. Once the faults are over somebody sensible takes care that there is a leader.

use mesh_replication::engine::RoleName;
use mesh_replication::{EngineId, Term};

use crate::net::Node;
use crate::plan::{Granting, MS};
use crate::world::engine::Control;
use crate::world::{Event, World};

/// How often it is looked whether somebody leads.
const LOOK_US: u64 = 40 * MS;

/// What was granted.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    /// Highest term granted.
    pub highest: u64,
    /// Winner of each term, from 1; terms may be left out, and given to somebody later.
    winners: Vec<Option<usize>>,
    /// To whom.
    holder: usize,
    /// When.
    at: u64,
    /// Highest term in which somebody has led.
    pub led: Term,
}

impl World {
    /// Grants a term to an engine.
    pub(crate) fn grant(&mut self, engine: usize, step: i64) {
        let term = self.grants.highest.saturating_add_signed(step).max(1);
        let grants = &mut self.grants;
        if grants.winners.len() < term as usize {
            grants.winners.resize(term as usize, None);
        }
        // even the worst election gives a term to one candidate only (E1): that is compare-and-set
        let engine = *grants.winners[term as usize - 1].get_or_insert(engine);
        if term > grants.highest {
            grants.highest = term;
            grants.holder = engine;
            grants.at = self.now;
        }
        let term = Term(term);
        self.say(engine, Control::Granted { term });
        let leader = self.engines[engine].id.clone();
        let other = self.random.below(self.engines.len() as u64) as usize;
        self.say(other, Control::LeaderIs { term, engine: leader });
    }

    fn say(&mut self, engine: usize, control: Control) {
        let life = self.engines[engine].life.number;
        let delay = self.net.delay(&mut self.random);
        self.after(delay, Event::Say { engine, life, control });
    }

    /// The leader is asked to hand over.
    pub(crate) fn ask_hand_over(&mut self, to: usize) {
        let term = Term(self.grants.highest);
        let successor = self.engines[to].id.clone();
        let holder = self.grants.holder;
        self.say(holder, Control::HandOver { term, successor });
    }

    /// An engine gives its term back: whoever it names is next, or anybody.
    pub(crate) fn stepped_down(&mut self, engine: usize, term: Term, successor: Option<EngineId>, parked: bool) {
        if self.plan.granting != Granting::Arbitrary {
            return self.tell_step_down(engine, term, successor, parked);
        }
        if term.0 < self.grants.highest {
            return;
        }
        let named = successor.and_then(|name| self.engines.iter().position(|engine| engine.id == name));
        if let Some(named) = named {
            self.grant(named, 1);
        }
    }

    /// Looks whether the holder of the last term leads or is about to; else somebody else is granted one.
    pub(crate) fn look_for_leader(&mut self) {
        self.after(LOOK_US, Event::Grant);
        let engine = &self.engines[self.grants.holder];
        let (name, term) = engine.role.name();
        let leads = matches!(name, RoleName::Active | RoleName::TakingOver) && term.0 == self.grants.highest;
        let runs = engine.life.alive && engine.life.held == 0;
        let patience = self.now < self.grants.at + 8 * LOOK_US + self.plan.fence_us + self.plan.commit_us;
        let fit = name == RoleName::Active && engine.is_fit(self.now);
        if self.grants.highest > 0 && runs && leads && (patience || fit) {
            return;
        }
        if !self.quiet && self.grants.highest > 0 && !self.random.permille(300) {
            return;
        }
        let turn = self.random.below(self.engines.len() as u64) as usize;
        let order = (0..self.engines.len()).map(|i| (turn + i) % self.engines.len());
        // a cut-off engine cannot fence anybody, so there is no point in asking it
        let fit = |index: &usize| {
            let engine = &self.engines[*index];
            engine.lives() && engine.life.held == 0 && engine.bus_ready && self.reads(Node::Engine(*index), 0)
        };
        let caught_up = |index: &usize| self.engines[*index].role.name().0 != RoleName::Recovering;
        let fit: Vec<usize> = order.filter(fit).collect();
        if let Some(next) = fit.iter().copied().find(|index| caught_up(index)).or(fit.first().copied()) {
            self.grant(next, 1);
        }
    }
}
