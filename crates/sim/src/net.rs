//! The network: how long a message takes, and who cannot reach whom.

use crate::random::Random;

/// Most nodes of a world.
const NODES_MOST: usize = 16;

/// Somebody on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// An engine.
    Engine(usize),
    /// A publisher adapter.
    Publisher(usize),
    /// An election instance.
    Instance(usize),
    /// A Kafka broker.
    Broker(usize),
    /// The ZooKeeper ensemble.
    Keeper,
}

impl Node {
    fn index(self) -> usize {
        match self {
            Node::Engine(index) => index,
            Node::Publisher(index) => 5 + index,
            Node::Instance(index) => 8 + index,
            Node::Broker(index) => 11 + index,
            Node::Keeper => 14,
        }
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Node::Engine(index) => write!(f, "e{index}"),
            Node::Publisher(index) => write!(f, "p{index}"),
            Node::Instance(index) => write!(f, "s{index}"),
            Node::Broker(index) => write!(f, "k{index}"),
            Node::Keeper => f.write_str("zk"),
        }
    }
}

/// How messages travel, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Travel {
    /// Shortest way.
    pub base_us: u64,
    /// Added at random.
    pub jitter_us: u64,
    /// How many of a thousand messages are late.
    pub late_permille: u64,
    /// How late at most.
    pub late_us: u64,
    /// How many of a thousand messages are lost with their connection.
    pub lost_permille: u64,
}

/// The network.
#[derive(Debug, Clone)]
pub struct Net {
    /// How messages travel now.
    pub travel: Travel,
    /// How many faults cut each direction now.
    cuts: [[u8; NODES_MOST]; NODES_MOST],
    any_cut: u32,
}

impl Net {
    /// A whole network.
    pub fn new(travel: Travel) -> Net {
        Net { travel, cuts: [[0; NODES_MOST]; NODES_MOST], any_cut: 0 }
    }

    /// Time that a message takes.
    pub fn delay(&self, random: &mut Random) -> u64 {
        let travel = &self.travel;
        let late = if random.permille(travel.late_permille) { random.below(travel.late_us + 1) } else { 0 };
        travel.base_us + random.below(travel.jitter_us + 1) + late
    }

    /// True when a message is lost on its way.
    pub fn loses(&self, random: &mut Random) -> bool {
        random.permille(self.travel.lost_permille)
    }

    /// True when nothing gets from one to the other.
    pub fn is_cut(&self, from: Node, to: Node) -> bool {
        self.any_cut > 0 && self.cuts[from.index()][to.index()] > 0
    }

    /// True when they cannot talk: one direction is enough.
    pub fn is_apart(&self, a: Node, b: Node) -> bool {
        self.is_cut(a, b) || self.is_cut(b, a)
    }

    /// Cuts a direction, or mends it.
    pub fn cut(&mut self, from: Node, to: Node, on: bool) {
        let cuts = &mut self.cuts[from.index()][to.index()];
        if on {
            *cuts += 1;
            self.any_cut += 1;
        } else {
            assert!(*cuts > 0, "only what was cut is mended");
            *cuts -= 1;
            self.any_cut -= 1;
        }
    }
}
