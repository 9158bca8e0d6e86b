//! Engines are drained and the group is paused, as somebody would do it; and what must hold then.

use mesh_replication::election::{Input, LeaderRecord, MaintenanceChange, Order};

use crate::world::World;

fn order() -> Order {
    Order { by: "somebody".to_owned(), reason: "a fault".to_owned(), at_us: 0 }
}

impl World {
    fn maintain(&mut self, change: MaintenanceChange) {
        self.ask(|request| Input::Maintain { request, change });
    }

    /// Somebody drains an engine.
    pub(crate) fn drain(&mut self, engine: usize) {
        self.maintain(MaintenanceChange::Drain { candidate: self.engines[engine].id.to_string(), order: order() });
    }

    /// It may lead again.
    pub(crate) fn undrain(&mut self, engine: usize) {
        self.maintain(MaintenanceChange::Undrain { candidate: self.engines[engine].id.to_string() });
    }

    /// Somebody pauses the group.
    pub(crate) fn pause_failover(&mut self) {
        self.maintain(MaintenanceChange::Pause(order()));
    }

    /// Leaders are elected again.
    pub(crate) fn resume_failover(&mut self) {
        self.maintain(MaintenanceChange::Resume);
    }

    /// What is still held back when all faults are over is ended, until the record says so.
    pub(crate) fn end_maintenance(&mut self) {
        let held = self.keeper.record.as_ref().map(|(record, _)| record.maintenance.clone()).unwrap_or_default();
        if held.paused.is_some() {
            self.resume_failover();
        }
        for candidate in held.drained.into_keys() {
            self.maintain(MaintenanceChange::Undrain { candidate });
        }
    }

    /// E9: nobody is elected in a paused group unless a promotion named it. E10: a drained engine is not elected.
    pub(super) fn check_held_back(&mut self, record: &LeaderRecord) {
        let Some((old, _)) = &self.keeper.record else { return };
        let (who, held) = (&record.candidate, &old.maintenance);
        let again = old.candidate == *who && old.incarnation == record.incarnation && !old.successor.is_empty();
        let asked = again || old.successor == *who || self.keeper.promoted.contains(who);
        let broken = match () {
            () if held.drained.contains_key(who) => Some("E10: a drained engine"),
            () if held.paused.is_some() && !asked => Some("E9: somebody in a paused group"),
            () => None,
        };
        if let Some(broken) = broken {
            let text = format!("{broken} is elected: `{who}` in term {}, {}", record.term, record.reason);
            self.violate("election", text);
        }
    }
}
