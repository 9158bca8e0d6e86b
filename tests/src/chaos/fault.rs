//! What may go wrong, how often each kind is drawn, and for how long.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::net::{Peer, Way};

/// Who is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The engine that leads.
    Active,
    /// An engine that follows.
    Standby,
    /// Every engine.
    Engines,
    /// The publisher adapter that leads its group.
    Publisher,
    /// Both publisher adapters.
    Publishers,
    /// The subscriber adapter that leads its group.
    Subscriber,
    /// Both subscriber adapters.
    Subscribers,
    /// An election instance.
    Election,
    /// Every election instance.
    Elections,
    /// The coordinator.
    Coordinator,
    /// The gateway.
    Gateway,
}

/// Which part of the stack is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// The broker that leads the input topic.
    InputLeader,
    /// The broker that leads the output topic.
    OutputLeader,
    /// The broker that leads the commit log.
    LogLeader,
    /// The broker that coordinates the project's transactions.
    TransactionCoordinator,
    /// ZooKeeper.
    Zookeeper,
    /// etcd.
    Etcd,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strike {
    /// Nothing: what a quiet time looks like.
    Nothing,
    /// SIGKILL, and started again.
    Kill(Whom),
    /// SIGKILL of the active, and of another engine while that or a third takes over.
    KillTwice,
    /// SIGSTOP, and SIGCONT.
    Freeze(Whom),
    /// Nothing of the active gets out any more, then SIGKILL: no connection is closed.
    HostLost,
    /// Cut off.
    Cut(Whom, Peer, Way),
    /// Packets are lost.
    Lose(Whom),
    /// Little gets through at a time, so that all of it is late.
    Narrow(Whom),
    /// SIGKILL of a part of the stack, and started again.
    KillPart(Piece),
    /// SIGSTOP of a part of the stack.
    FreezePart(Piece),
    /// SIGKILL of two of the three brokers.
    TwoBrokers,
    /// More busy processes than the machine has processors.
    Hog,
    /// Ten times the load.
    Burst,
    /// The snapshot store is full.
    DiskFull,
    /// The wall clock of one to all engines is set, and set back.
    ClockStep,
    /// Two of the others at once.
    Two,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kind {
    /// Name, as `--faults` takes it.
    pub name: &'static str,
    /// How often it is drawn, beside the others.
    pub weight: u32,
    /// What is done.
    pub strike: Strike,
    /// How long it lasts, milliseconds, at least and at most.
    pub lasts: (u64, u64),
}

const fn kind(name: &'static str, weight: u32, strike: Strike, lasts: (u64, u64)) -> Kind {
    Kind { name, weight, strike, lasts }
}

/// Longer than any timeout of the mesh that leads to another leader, or not.
const CUT: (u64, u64) = (300, 4000);
const DOWN: (u64, u64) = (200, 2500);

/// Every kind.
pub const KINDS: &[Kind] = &[
    kind("nothing", 1, Strike::Nothing, (1000, 2000)),
    kind("kill-active", 6, Strike::Kill(Whom::Active), DOWN),
    kind("kill-standby", 2, Strike::Kill(Whom::Standby), DOWN),
    kind("kill-twice", 3, Strike::KillTwice, DOWN),
    kind("kill-engines", 1, Strike::Kill(Whom::Engines), (200, 1000)),
    kind("freeze-active", 6, Strike::Freeze(Whom::Active), (50, 4000)),
    kind("freeze-standby", 1, Strike::Freeze(Whom::Standby), (50, 4000)),
    kind("host-lost", 3, Strike::HostLost, (2000, 4000)),
    kind("cut-kafka", 3, Strike::Cut(Whom::Active, Peer::Kafka, Way::Both), CUT),
    kind("cut-kafka-in", 2, Strike::Cut(Whom::Active, Peer::Kafka, Way::In), CUT),
    kind("cut-kafka-out", 2, Strike::Cut(Whom::Active, Peer::Kafka, Way::Out), CUT),
    kind("cut-election", 3, Strike::Cut(Whom::Active, Peer::Elections, Way::Both), CUT),
    kind("cut-election-in", 1, Strike::Cut(Whom::Active, Peer::Elections, Way::In), CUT),
    kind("cut-election-out", 1, Strike::Cut(Whom::Active, Peer::Elections, Way::Out), CUT),
    kind("cut-all", 3, Strike::Cut(Whom::Active, Peer::All, Way::Both), CUT),
    kind("cut-all-in", 1, Strike::Cut(Whom::Active, Peer::All, Way::In), CUT),
    kind("cut-all-out", 1, Strike::Cut(Whom::Active, Peer::All, Way::Out), CUT),
    kind("cut-standby", 1, Strike::Cut(Whom::Standby, Peer::All, Way::Both), CUT),
    kind("cut-zookeeper", 2, Strike::Cut(Whom::Election, Peer::Zookeeper, Way::Both), CUT),
    kind("cut-publisher", 2, Strike::Cut(Whom::Publisher, Peer::All, Way::Both), CUT),
    kind("lose-packets", 2, Strike::Lose(Whom::Active), (1000, 4000)),
    kind("narrow", 1, Strike::Narrow(Whom::Active), (1000, 4000)),
    kind("kill-broker-input", 1, Strike::KillPart(Piece::InputLeader), DOWN),
    kind("kill-broker-output", 1, Strike::KillPart(Piece::OutputLeader), DOWN),
    kind("kill-broker-log", 1, Strike::KillPart(Piece::LogLeader), DOWN),
    kind("kill-broker-coordinator", 1, Strike::KillPart(Piece::TransactionCoordinator), DOWN),
    kind("kill-two-brokers", 1, Strike::TwoBrokers, DOWN),
    kind("freeze-broker", 1, Strike::FreezePart(Piece::LogLeader), (300, 5000)),
    kind("kill-zookeeper", 2, Strike::KillPart(Piece::Zookeeper), DOWN),
    kind("freeze-zookeeper", 1, Strike::FreezePart(Piece::Zookeeper), (300, 5000)),
    kind("kill-etcd", 1, Strike::KillPart(Piece::Etcd), DOWN),
    kind("kill-election", 2, Strike::Kill(Whom::Election), DOWN),
    kind("kill-elections", 1, Strike::Kill(Whom::Elections), DOWN),
    kind("freeze-election", 2, Strike::Freeze(Whom::Election), (300, 4000)),
    kind("kill-coordinator", 1, Strike::Kill(Whom::Coordinator), DOWN),
    kind("kill-gateway", 1, Strike::Kill(Whom::Gateway), DOWN),
    kind("freeze-gateway", 1, Strike::Freeze(Whom::Gateway), (300, 4000)),
    kind("kill-publisher", 3, Strike::Kill(Whom::Publisher), DOWN),
    kind("freeze-publisher", 3, Strike::Freeze(Whom::Publisher), (50, 4000)),
    kind("kill-publishers", 1, Strike::Kill(Whom::Publishers), DOWN),
    kind("kill-subscriber", 2, Strike::Kill(Whom::Subscriber), DOWN),
    kind("freeze-subscriber", 2, Strike::Freeze(Whom::Subscriber), (300, 4000)),
    kind("kill-subscribers", 1, Strike::Kill(Whom::Subscribers), DOWN),
    kind("hog", 2, Strike::Hog, (1000, 4000)),
    kind("burst", 1, Strike::Burst, (1000, 3000)),
    kind("disk-full", 1, Strike::DiskFull, (3000, 8000)),
    kind("clock-step", 2, Strike::ClockStep, (500, 4000)),
    kind("two", 6, Strike::Two, (0, 0)),
];

impl Kind {
    /// Whether it needs network namespaces.
    pub fn needs_net(&self) -> bool {
        matches!(self.strike, Strike::HostLost | Strike::Cut(..) | Strike::Lose(_) | Strike::Narrow(_))
    }

    /// Whether two of these at once are a fair test: those of the stack are alone, since Kafka promises nothing without
    /// two of three brokers.
    pub fn may_be_one_of_two(&self) -> bool {
        let alone = |strike: &Strike| {
            matches!(
                strike,
                Strike::KillPart(_) | Strike::FreezePart(_) | Strike::TwoBrokers | Strike::Two | Strike::Nothing
            )
        };
        !alone(&self.strike)
    }

    /// Whether all replicas must be waited for after it.
    pub fn strikes_brokers(&self) -> bool {
        let broker = |piece: Piece| !matches!(piece, Piece::Zookeeper | Piece::Etcd);
        match self.strike {
            Strike::KillPart(piece) | Strike::FreezePart(piece) => broker(piece),
            Strike::TwoBrokers => true,
            _ => false,
        }
    }
}

/// The kinds named in a list; all of them for an empty one.
pub fn parse(list: &str) -> Result<Vec<Kind>> {
    let mut kinds = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match KINDS.iter().find(|kind| kind.name == name) {
            Some(kind) => kinds.push(*kind),
            None => {
                let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
                bail!("`{name}` is no kind of fault; known: {}", known.join(", "))
            }
        }
    }
    Ok(if kinds.is_empty() { KINDS.to_vec() } else { kinds })
}

/// Numbers drawn from a seed (SplitMix64): the same seed, the same numbers.
pub struct Dice(u64);

impl Dice {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A time between two numbers of milliseconds.
    pub fn time(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }

    /// One of these kinds, by weight.
    pub fn kind(&mut self, kinds: &[Kind]) -> Kind {
        let mut at = self.below(kinds.iter().map(|kind| u64::from(kind.weight)).sum());
        for kind in kinds {
            match at.checked_sub(u64::from(kind.weight)) {
                Some(rest) => at = rest,
                None => return *kind,
            }
        }
        kinds[kinds.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_every_kind_is_drawn() {
        let draw = |seed| {
            let mut dice = Dice::new(seed);
            (0..2000).map(|_| dice.kind(KINDS).name).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let missing: Vec<&str> = KINDS.iter().map(|kind| kind.name).filter(|name| !draw(7).contains(name)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn a_wrong_name_lists_the_known_ones() {
        assert_eq!(parse("kill-active, two").unwrap().len(), 2);
        assert_eq!(parse("").unwrap().len(), KINDS.len());
        let error = parse("kill-everyone").unwrap_err().to_string();
        assert!(error.contains("kill-everyone") && error.contains("host-lost"), "{error}");
    }
}
