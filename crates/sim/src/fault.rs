//! Faults: what can go wrong, when, and for how long.

use std::fmt;

use crate::kafka::BROKERS;
use crate::net::Node;
use crate::plan::{Feeding, Granting, MS, Plan};
use crate::random::Random;

/// Most faults of a run.
const FAULTS_MOST: u64 = 14;

/// A delicate moment in an engine's life, at which faults like to strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It asks for a fence.
    Fencing,
    /// It asks where the log ends.
    AskingEnd,
    /// It sends the record that opens its term.
    Opening,
    /// It leads.
    Leading,
    /// It sends an ordinary commit.
    Committing,
    /// It throws its state away.
    Rebuilding,
    /// It has just begun to read the log from its start.
    Recovering,
}

const MOMENTS: [Moment; 7] = [
    Moment::Fencing,
    Moment::AskingEnd,
    Moment::Opening,
    Moment::Leading,
    Moment::Committing,
    Moment::Rebuilding,
    Moment::Recovering,
];

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this time.
    At(u64),
    /// This long after some engine has come to a moment for the n-th time; that engine is its victim.
    On {
        /// Which.
        moment: Moment,
        /// Times it has come about, by whichever engine, from 1.
        nth: u32,
        /// Microseconds after it.
        after_us: u64,
    },
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An engine's process dies, and starts again when the fault is over.
    Crash,
    /// An engine is asked to stop, and starts again when the fault is over.
    Stop,
    /// An engine stands still (SIGSTOP), and goes on when the fault is over.
    Pause,
    /// An engine is slow.
    Slow,
    /// An engine and a broker (or all) do not reach each other, in one direction or both.
    CutKafka {
        /// Which broker; `None`: all.
        broker: Option<usize>,
        /// From the engine.
        out: bool,
        /// To the engine.
        back: bool,
    },
    /// Answers to an engine's writer are lost, while everything else arrives.
    DeafWriter,
    /// An engine and the election instances do not reach each other.
    CutElection,
    /// An engine's clock jumps.
    ClockJump {
        /// How far.
        by_us: i64,
    },
    /// A broker dies and comes back.
    Broker(usize),
    /// All brokers are unreachable for everybody.
    AllBrokers,
    /// A partition changes its leader.
    Leader {
        /// Which partition.
        partition: usize,
    },
    /// A coordinator moves.
    Coordinator {
        /// Of which transactional id.
        tid: usize,
    },
    /// Messages are late and get lost.
    BadNetwork,
    /// The next term is granted to an engine, or one that is stale, or the same to two.
    Grant {
        /// Added to the highest term granted so far.
        step: i64,
    },
    /// The leader is asked to hand over to another engine.
    HandOver {
        /// To whom.
        to: usize,
    },
    /// A publisher dies, and starts again when the fault is over.
    CrashPublisher,
    /// A publisher stands still.
    PausePublisher,
    /// Another publisher of the group is told to publish.
    GrantPublisher,
    /// A publisher and the brokers do not reach each other.
    CutPublisher,
    /// Retention removes what every living engine has applied.
    Trim,
    /// An election instance dies, and starts again when the fault is over.
    CrashInstance(usize),
    /// An election instance stands still.
    PauseInstance(usize),
    /// An election instance and ZooKeeper do not reach each other.
    CutInstance(usize),
    /// ZooKeeper has no quorum.
    Keeper,
    /// ZooKeeper gives a session up.
    Expire(usize),
    /// A candidate's stream breaks.
    BreakStream,
    /// Somebody asks the election to promote an engine.
    Promote,
    /// An engine is drained, and may lead again when the fault is over.
    Drain,
    /// Nobody is elected until the fault is over.
    PauseFailover,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub when: When,
    /// What.
    pub kind: Kind,
    /// To which engine or publisher, where that matters and the moment does not say.
    pub victim: usize,
    /// For how long.
    pub for_us: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::At(at) => write!(f, "at {:.3} ms: {:?}, victim {}", at as f64 / 1000.0, self.kind, self.victim)?,
            When::On { moment, nth, after_us } => {
                write!(f, "{:.3} ms after {moment:?} no. {nth}: {:?}", after_us as f64 / 1000.0, self.kind)?;
            }
        }
        write!(f, ", for {:.3} ms", self.for_us as f64 / 1000.0)
    }
}

/// Draws the faults of a plan.
pub fn draw(plan: &Plan, random: &mut Random) -> Vec<Fault> {
    // which kinds this seed has, and how heavy each is
    let kinds: Vec<(u32, u64)> = (0..28)
        .filter_map(|kind| {
            let weight = if random.permille(450) { random.range(1, 4) } else { 0 };
            (weight > 0).then_some((kind, weight))
        })
        .collect();
    let total: u64 = kinds.iter().map(|(_, weight)| weight).sum();
    let mut faults = Vec::new();
    let count = if random.permille(30) || total == 0 { 0 } else { random.range(1, FAULTS_MOST) };
    let mut last = 0;
    for _ in 0..count {
        let Some(kind) = one(weighed(&kinds, random.below(total)), plan, random) else { continue };
        // now and then two at once
        let at = if random.permille(200) && last > 0 { last } else { random.below(plan.quiet_at_us * 9 / 10) };
        last = at;
        let when = if random.permille(350) && strikes_engine(kind) {
            let (soon, later) = (random.below(2 * MS), random.below(20 * MS));
            let after_us = random.pick(&[0, 0, soon, later]);
            When::On { moment: random.pick(&MOMENTS), nth: random.range(1, 6) as u32, after_us }
        } else {
            When::At(at)
        };
        let longest = if plan.granting == Granting::Arbitrary { plan.quiet_at_us / 2 } else { plan.quiet_at_us };
        let for_us = random.pick(&[MS, 20 * MS, longest / 4, longest]).max(1);
        let for_us = random.range(for_us / 4, for_us);
        faults.push(Fault { when, kind, victim: random.below(plan.engines as u64) as usize, for_us });
    }
    if plan.granting == Granting::Arbitrary {
        // terms are what it is all about: some always
        for _ in 0..random.range(1, 5) {
            let when = When::At(random.below(plan.quiet_at_us));
            let kind = Kind::Grant { step: random.pick(&[1, 1, 1, 1, 2, 0, -1]) };
            faults.push(Fault { when, kind, victim: random.below(plan.engines as u64) as usize, for_us: 0 });
        }
    }
    faults
}

/// The kind at a place in the sum of all weights.
fn weighed(kinds: &[(u32, u64)], mut at: u64) -> u32 {
    for (kind, weight) in kinds {
        if at < *weight {
            return *kind;
        }
        at -= weight;
    }
    unreachable!("the place is below the sum of the weights")
}

fn strikes_engine(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Crash
            | Kind::Stop
            | Kind::Pause
            | Kind::Slow
            | Kind::CutKafka { .. }
            | Kind::DeafWriter
            | Kind::CutElection
            | Kind::ClockJump { .. }
            | Kind::Broker(_)
            | Kind::Coordinator { .. }
            | Kind::Leader { .. }
            | Kind::Grant { .. }
            | Kind::BreakStream
    )
}

/// A fault of a kind, where the plan has what it needs.
fn one(kind: u32, plan: &Plan, random: &mut Random) -> Option<Kind> {
    let instances = match plan.granting {
        Granting::Election(instances) => Some(instances as u64),
        Granting::Arbitrary => None,
    };
    let adapters = plan.feeding != Feeding::Plain;
    let instance = |random: &mut Random| instances.map(|count| random.below(count) as usize);
    Some(match kind {
        0 | 1 => Kind::Crash,
        2 => Kind::Stop,
        3 | 4 => Kind::Pause,
        5 => Kind::Slow,
        6 | 7 => {
            let broker = random.permille(500).then(|| random.below(BROKERS as u64) as usize);
            let (out, back) = random.pick(&[(true, true), (true, false), (false, true)]);
            Kind::CutKafka { broker, out, back }
        }
        8 => Kind::DeafWriter,
        9 => instances.map(|_| Kind::CutElection)?,
        10 => Kind::ClockJump { by_us: random.pick(&[-1, 1]) * random.below(10_000_000) as i64 },
        11 | 12 => Kind::Broker(random.below(BROKERS as u64) as usize),
        13 => Kind::AllBrokers,
        14 => Kind::Leader { partition: random.below(4) as usize },
        15 => Kind::Coordinator { tid: random.pick(&[0, 2]) },
        16 => Kind::BadNetwork,
        17 | 18 if instances.is_none() => Kind::Grant { step: random.pick(&[1, 1, 1, 2, 0, -1]) },
        19 if instances.is_none() => Kind::HandOver { to: random.below(plan.engines as u64) as usize },
        20 if adapters => Kind::CrashPublisher,
        21 if adapters => random.pick(&[Kind::PausePublisher, Kind::CutPublisher]),
        22 if adapters => random.pick(&[Kind::GrantPublisher, Kind::Coordinator { tid: 1 }]),
        23 if random.permille(300) => Kind::Trim,
        24 => Kind::CrashInstance(instance(random)?),
        25 => {
            let instance = instance(random)?;
            random.pick(&[Kind::PauseInstance(instance), Kind::CutInstance(instance)])
        }
        26 => {
            let instance = instance(random)?;
            random.pick(&[Kind::Keeper, Kind::Expire(instance)])
        }
        27 => instances.map(|_| random.pick(&[Kind::BreakStream, Kind::Promote, Kind::Drain, Kind::PauseFailover]))?,
        _ => return None,
    })
}

/// The directions that a fault cuts, if it cuts any.
pub fn cuts(kind: Kind, victim: usize, instances: usize) -> Vec<(Node, Node)> {
    let mut cut = Vec::new();
    let mut both = |a, b| cut.extend([(a, b), (b, a)]);
    match kind {
        Kind::CutKafka { broker, out, back } => {
            let engine = Node::Engine(victim);
            for index in (0..BROKERS).filter(|index| broker.is_none_or(|only| only == *index)) {
                if out {
                    cut.push((engine, Node::Broker(index)));
                }
                if back {
                    cut.push((Node::Broker(index), engine));
                }
            }
        }
        Kind::CutElection => (0..instances).for_each(|instance| both(Node::Engine(victim), Node::Instance(instance))),
        Kind::CutPublisher => (0..BROKERS).for_each(|broker| both(Node::Publisher(victim), Node::Broker(broker))),
        Kind::CutInstance(instance) => both(Node::Instance(instance), Node::Keeper),
        _ => {}
    }
    cut
}
