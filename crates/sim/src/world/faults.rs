//! Faults begin and end; and at the end of all faults everything is mended.

use mesh_replication::engine::RoleName;

use crate::fault::{self, Kind};
use crate::kafka::BROKERS;
use crate::net::{Node, Travel};
use crate::plan::{Loss, MS};
use crate::world::{Event, World, tell};

/// Time until a partition or a coordinator that has lost its broker is on another one.
const ELECTION_US: u64 = 12 * MS;

impl World {
    /// A fault begins; its victim is the engine that came to its moment, if it waited for one.
    pub(crate) fn strike(&mut self, index: usize) {
        if self.quiet {
            return;
        }
        let fault = self.plan.faults[index];
        let victim = self.aimed[index].unwrap_or(fault.victim);
        tell!(self, "FAULT {index}: {:?} of e{victim}, for {} us", fault.kind, fault.for_us);
        self.begin_fault(fault.kind, victim);
        if lasts(fault.kind) {
            self.struck[index] = Some(victim);
            self.after(fault.for_us, Event::Heal(index));
        }
    }

    fn begin_fault(&mut self, kind: Kind, victim: usize) {
        for (from, to) in fault::cuts(kind, self.victim_of(kind, victim), self.instances.len()) {
            self.net.cut(from, to, true);
        }
        let publisher = victim % self.publishers.len().max(1);
        match kind {
            Kind::Crash => self.kill_engine(victim),
            Kind::Stop => self.stop_engine(victim),
            Kind::Pause => self.engines[victim].life.held += 1,
            Kind::Slow => self.engines[victim].slow += 1,
            Kind::DeafWriter => {
                let until = self.now + self.plan.commit_us + self.plan.request_us;
                let of_victim = |owner: Node| owner == Node::Engine(victim);
                self.clients.iter_mut().filter(|client| of_victim(client.owner)).for_each(|it| it.deaf_until = until);
            }
            Kind::ClockJump { by_us } => self.engines[victim].clock.0 += by_us,
            Kind::Broker(broker) => self.lose_broker(broker),
            Kind::AllBrokers => (0..BROKERS).for_each(|broker| self.lose_broker(broker)),
            Kind::Leader { partition } => self.elect_leader(partition % self.kafka.partitions.len()),
            Kind::Coordinator { tid } => self.move_coordinator(tid),
            Kind::BadNetwork => {
                let travel = &mut self.net.travel;
                *travel = Travel { late_permille: 200, late_us: 60 * MS, lost_permille: 60, ..*travel };
            }
            Kind::Grant { step } => self.grant(victim, step),
            Kind::HandOver { to } => self.ask_hand_over(to),
            Kind::CrashPublisher if !self.publishers.is_empty() => self.kill_publisher(publisher),
            Kind::PausePublisher if !self.publishers.is_empty() => self.publishers[publisher].life.held += 1,
            Kind::GrantPublisher if !self.publishers.is_empty() => self.grant_publisher(publisher),
            Kind::Trim => self.trim(),
            Kind::CrashInstance(instance) => self.kill_instance(instance),
            Kind::PauseInstance(instance) => self.instances[instance].life.held += 1,
            Kind::Keeper => self.keeper.down += 1,
            Kind::Expire(instance) => self.expire(instance),
            Kind::BreakStream => self.break_stream(victim),
            Kind::Promote => self.promote(victim),
            Kind::Drain => self.drain(victim),
            Kind::PauseFailover => self.pause_failover(),
            Kind::CutKafka { .. }
            | Kind::CutElection
            | Kind::CutPublisher
            | Kind::CutInstance(_)
            | Kind::CrashPublisher
            | Kind::PausePublisher
            | Kind::GrantPublisher => {}
        }
    }

    fn victim_of(&self, kind: Kind, victim: usize) -> usize {
        if kind == Kind::CutPublisher { victim % self.publishers.len().max(1) } else { victim }
    }

    /// A fault is over.
    pub(crate) fn heal(&mut self, index: usize) {
        let Some(victim) = self.struck[index].take() else { return };
        let kind = self.plan.faults[index].kind;
        tell!(self, "FAULT {index} is over: {kind:?} of e{victim}");
        for (from, to) in fault::cuts(kind, self.victim_of(kind, victim), self.instances.len()) {
            self.net.cut(from, to, false);
        }
        let publisher = victim % self.publishers.len().max(1);
        match kind {
            Kind::Crash => self.start_engine(victim),
            Kind::Stop => {
                // one that has not stopped by now is helped along, as an impatient supervisor does
                self.kill_engine(victim);
                self.start_engine(victim);
            }
            Kind::Pause => self.resume(Node::Engine(victim)),
            Kind::Slow => self.engines[victim].slow = self.engines[victim].slow.saturating_sub(1),
            Kind::Broker(broker) => self.return_broker(broker),
            Kind::AllBrokers => (0..BROKERS).for_each(|broker| self.return_broker(broker)),
            Kind::BadNetwork => self.net.travel = self.plan.travel,
            Kind::CrashPublisher if !self.publishers.is_empty() => self.start_publisher(publisher),
            Kind::PausePublisher if !self.publishers.is_empty() => self.resume(Node::Publisher(publisher)),
            Kind::CrashInstance(instance) => self.start_instance(instance),
            Kind::PauseInstance(instance) => self.resume(Node::Instance(instance)),
            Kind::Keeper => self.keeper.down = self.keeper.down.saturating_sub(1),
            Kind::Drain => self.undrain(victim),
            Kind::PauseFailover => self.resume_failover(),
            _ => {}
        }
        self.look_again();
    }

    /// What was unreachable may be reachable: readers go on.
    fn look_again(&mut self) {
        for partition in 0..self.kafka.partitions.len() {
            self.changed(partition);
        }
    }

    fn lose_broker(&mut self, broker: usize) {
        self.kafka.lose_broker(broker);
        for partition in 0..self.kafka.partitions.len() {
            if !self.kafka.partitions[partition].led {
                let delay = ELECTION_US + self.random.below(ELECTION_US);
                self.after(delay, Event::ElectLeader(partition));
            }
        }
        for tid in 0..self.kafka.coordinators.len() {
            if !self.kafka.coordinators[tid].ready {
                let delay = ELECTION_US + self.random.below(2 * ELECTION_US);
                self.after(delay, Event::MoveCoordinator(tid));
            }
        }
    }

    fn return_broker(&mut self, broker: usize) {
        self.kafka.alive[broker] = true;
        self.look_again();
    }

    pub(crate) fn elect_leader(&mut self, partition: usize) {
        let (kept, turn) = (self.random.below(1001), self.random.below(BROKERS as u64) as usize);
        let mut todo = std::mem::take(&mut self.todo);
        let elected = self.kafka.elect(partition, kept, turn, &mut todo);
        self.schedule_todo(&mut todo, None);
        self.todo = todo;
        if !elected && !self.kafka.partitions[partition].led {
            self.after(ELECTION_US, Event::ElectLeader(partition));
        }
    }

    pub(crate) fn move_coordinator(&mut self, tid: usize) {
        let turn = self.random.below(BROKERS as u64) as usize;
        let mut todo = std::mem::take(&mut self.todo);
        let moved = self.kafka.move_coordinator(tid, turn, &mut todo);
        self.schedule_todo(&mut todo, None);
        self.todo = todo;
        if !moved && !self.kafka.coordinators[tid].ready {
            self.after(ELECTION_US, Event::MoveCoordinator(tid));
        }
    }

    /// Retention takes from the inputs what every living engine has applied.
    fn trim(&mut self) {
        for input in 0..self.plan.inputs {
            let living = self.engines.iter().filter(|engine| engine.lives());
            let applied = living.map(|engine| engine.machine.positions[input]).min().unwrap_or(0);
            self.kafka.partitions[input].trim(applied);
        }
    }

    /// The faults are over: everything is mended, everybody runs.
    pub(crate) fn mend_all(&mut self) {
        for index in 0..self.struck.len() {
            if lasts(self.plan.faults[index].kind) {
                self.heal(index);
            }
        }
        self.net.travel = Travel { late_permille: 0, lost_permille: 0, ..self.plan.travel };
        for broker in 0..BROKERS {
            self.kafka.alive[broker] = true;
        }
        for index in 0..self.engines.len() {
            self.start_engine(index);
        }
        for index in 0..self.instances.len() {
            self.start_instance(index);
        }
        self.lose_one();
        self.look_again();
    }

    /// Some runs lose an engine for good: the others must do without it.
    fn lose_one(&mut self) {
        let Some((index, how)) = self.plan.lost else { return };
        tell!(self, "e{index}    is lost for good: {how:?}");
        let engine = Node::Engine(index);
        if matches!(how, Loss::CutFromKafka | Loss::CutFromAll) {
            for broker in 0..BROKERS {
                self.net.cut(engine, Node::Broker(broker), true);
                self.net.cut(Node::Broker(broker), engine, true);
            }
        }
        match how {
            Loss::Dead => self.kill_engine(index),
            Loss::Frozen => self.engines[index].life.held += 1,
            Loss::CutFromKafka => {}
            Loss::WithInstance => {
                if let Some((instance, _)) = self.engines[index].candidate.stream
                    && self.instances.len() > 1
                {
                    self.kill_instance(instance);
                }
                self.kill_engine(index);
            }
            Loss::CutFromAll => {
                for instance in 0..self.instances.len() {
                    self.net.cut(engine, Node::Instance(instance), true);
                    self.net.cut(Node::Instance(instance), engine, true);
                }
            }
        }
    }

    fn is_lost(&self, index: usize) -> bool {
        self.plan.lost.is_some_and(|(lost, _)| lost == index)
    }

    /// What is still not well; `None`: nothing.
    pub(crate) fn missing(&mut self) -> Option<String> {
        self.care_for_publishers();
        self.end_maintenance();
        for index in (0..self.engines.len()).filter(|index| !self.is_lost(*index)).collect::<Vec<_>>() {
            self.start_engine(index); // one that was stopped at the last moment
        }
        let mut rest = self.engines.iter().enumerate().filter(|(index, _)| !self.is_lost(*index));
        if self.plan.may_refuse() && rest.all(|(_, engine)| !engine.lives()) {
            return None; // nobody has the state any more, and every one of them says so
        }
        let published = self.fed.iter().enumerate().find_map(|(input, fed)| {
            let fed = if input == 0 && !self.publishers.is_empty() { self.check.blocks_seen(0) as u64 } else { *fed };
            (fed < self.plan.blocks).then(|| format!("input {input} has {fed} of {} blocks", self.plan.blocks))
        });
        if published.is_some() {
            return published;
        }
        let unfinished = self.check.unfinished(&self.kafka);
        if unfinished.is_some() {
            return unfinished;
        }
        let commits = self.check.commits();
        let mut leaders = 0;
        for (_, engine) in self.engines.iter().enumerate().filter(|(index, _)| !self.is_lost(*index)) {
            let (name, _) = engine.role.name();
            if name == RoleName::Failed && self.plan.may_refuse() {
                continue;
            }
            leaders += usize::from(name == RoleName::Active);
            if !matches!(name, RoleName::Active | RoleName::Standby) || engine.role.number().0 < commits {
                let view = engine.role.view();
                return Some(format!(
                    "{} is {:?} at commit {} of {commits}: {}",
                    engine.id, name, view.number, view.waits_for
                ));
            }
        }
        (leaders != 1).then(|| format!("{leaders} engines lead"))
    }
}

fn lasts(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::DeafWriter
            | Kind::ClockJump { .. }
            | Kind::Leader { .. }
            | Kind::Coordinator { .. }
            | Kind::Grant { .. }
            | Kind::HandOver { .. }
            | Kind::GrantPublisher
            | Kind::Trim
            | Kind::Expire(_)
            | Kind::BreakStream
            | Kind::Promote
    )
}
