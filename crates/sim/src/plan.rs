//! What a seed means: the shape of the world, its pace, and which faults happen when.
//!
//! Swarm testing: each seed draws which kinds of faults it has and how often, so that rare mixtures come up and one
//! common fault does not drown the others. The faults are a list, so that a failing one can be made shorter.

use mesh_replication::Limits;

use crate::fault::{self, Fault};
use crate::net::Travel;
use crate::project::{HEARTBEAT_US, mix};
use crate::random::Random;

/// One millisecond in the world's unit.
pub const MS: u64 = 1000;

/// Who grants terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granting {
    /// The election service: this many instances over ZooKeeper.
    Election(usize),
    /// Anybody at any time, also twice, late and to two at once: no election could be worse.
    Arbitrary,
}

/// Who fills the first input topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feeding {
    /// Somebody who never fails.
    Plain,
    /// This many publisher adapters, of which one at a time should write.
    Adapters(usize),
}

/// How an engine is lost for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Its process is dead.
    Dead,
    /// Its process stands still.
    Frozen,
    /// It reaches no broker.
    CutFromKafka,
    /// It reaches nobody.
    CutFromAll,
    /// Its host is gone, and with it the election instance that holds its stream, if there is another one.
    WithInstance,
}

/// Snapshots of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshots {
    /// Each engine wants one about this often.
    pub every_us: u64,
    /// How many of a thousand are lost, torn, damaged or wrong.
    pub faulty_permille: u64,
}

/// What a run is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Engines.
    pub engines: usize,
    /// Input topics.
    pub inputs: usize,
    /// Output topics.
    pub outputs: usize,
    /// Who grants terms.
    pub granting: Granting,
    /// Who fills the first input.
    pub feeding: Feeding,
    /// Limits of every engine's role.
    pub limits: Limits,
    /// How messages travel.
    pub travel: Travel,
    /// Blocks of the source.
    pub blocks: u64,
    /// Time between two blocks.
    pub block_every_us: u64,
    /// Faults happen until then; what is broken is mended then.
    pub quiet_at_us: u64,
    /// After that all must be well again within this time.
    pub bound_us: u64,
    /// Faults, in no particular order.
    pub faults: Vec<Fault>,
    /// A driver takes this long for [`Plan::steps_per_turn`] steps.
    pub turn_us: u64,
    /// Steps of a driver before others get their turn.
    pub steps_per_turn: usize,
    /// Time to open a writer.
    pub open_us: u64,
    /// A request is sent again after this time.
    pub request_us: u64,
    /// A commit without an answer is unknown after this time.
    pub commit_us: u64,
    /// A fence without an answer has failed after this time.
    pub fence_us: u64,
    /// The broker ends a silent transaction after this time.
    pub transaction_us: u64,
    /// Blocks read ahead of each input.
    pub buffer_blocks: usize,
    /// How many of a thousand transactions the broker asks to abort.
    pub abortable_permille: u64,
    /// Epoch of the first producers.
    pub first_epoch: i32,
    /// An engine that is lost for good when everything else is mended, and how: the others must do without it.
    pub lost: Option<(usize, Loss)>,
    /// Snapshots, if there are any.
    pub snapshots: Option<Snapshots>,
    /// Apply fails on some blocks.
    pub poison: bool,
    /// Writers of engines have two transactional ids.
    pub two_lanes: bool,
    /// Clock of each engine beside the true one, microseconds; and parts per million that it is too fast.
    pub clocks: Vec<(i64, i64)>,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let mut random = Random::new(seed, 1);
        let random = &mut random;
        let granting =
            if random.permille(180) { Granting::Election(random.range(1, 3) as usize) } else { Granting::Arbitrary };
        let feeding =
            if random.permille(350) { Feeding::Adapters(random.range(1, 2) as usize) } else { Feeding::Plain };
        let election = granting != Granting::Arbitrary;
        let base_us = random.pick(&[100, 300, 1000]);
        let travel = Travel {
            base_us,
            jitter_us: random.pick(&[0, base_us, 4 * base_us]),
            late_permille: random.pick(&[0, 0, 5, 40]),
            late_us: random.pick(&[5, 30, 120]) * MS,
            lost_permille: random.pick(&[0, 0, 2, 20]),
        };
        let quiet_at_us = if election { random.range(1500, 4000) } else { random.range(120, 500) } * MS;
        let blocks = random.range(12, 60);
        let transaction_us = random.pick(&[60, 200, 1000]) * MS;
        let engines = random.pick(&[2, 2, 3, 3, 4]);
        let mut plan = Plan {
            seed,
            engines,
            inputs: random.pick(&[1, 1, 2]),
            outputs: random.pick(&[1, 2]),
            granting,
            feeding,
            limits: limits(random),
            travel,
            blocks,
            // a good part of the source comes after the faults
            block_every_us: quiet_at_us * 10 / (blocks * random.range(6, 9)),
            quiet_at_us,
            bound_us: if election { 40_000 * MS } else { 6_000 * MS },
            faults: Vec::new(),
            turn_us: random.pick(&[20, 100, 500]),
            steps_per_turn: random.pick(&[1, 4, 32]),
            open_us: random.pick(&[1, 10, 60]) * MS,
            request_us: random.pick(&[15, 40, 90]) * MS,
            commit_us: random.pick(&[30, 90, 250]) * MS,
            fence_us: random.pick(&[30, 120, 400]) * MS,
            transaction_us,
            buffer_blocks: random.pick(&[2, 8, 64]),
            abortable_permille: random.pick(&[0, 0, 30]),
            lost: random.permille(300).then(|| {
                let how =
                    random.pick(&[Loss::Dead, Loss::Frozen, Loss::CutFromKafka, Loss::CutFromAll, Loss::WithInstance]);
                (random.below(engines as u64) as usize, how)
            }),
            snapshots: None,
            poison: false,
            two_lanes: false,
            first_epoch: random.pick(&[0, 0, 0, 32_760]),
            clocks: (0..engines).map(|_| clock(random)).collect(),
        };
        plan.limits.inputs = plan.inputs;
        plan.faults = fault::draw(&plan, &mut Random::new(seed, 2));
        let random = &mut Random::new(seed, 4);
        plan.snapshots = random.permille(600).then(|| Snapshots {
            every_us: random.pick(&[5, 20, 80]) * MS * if election { 8 } else { 1 },
            faulty_permille: random.pick(&[0, 100, 400]),
        });
        plan.poison = random.permille(200);
        plan.two_lanes = random.permille(750);
        plan
    }

    /// True when apply fails on a block with this value.
    pub fn is_poison(&self, value: u64) -> bool {
        self.poison && mix(0, value) & 31 == 5
    }

    /// True when an engine may rightly refuse to go on: a topic has lost what it needs.
    pub fn may_refuse(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault.kind, fault::Kind::Trim))
    }
}

fn limits(random: &mut Random) -> Limits {
    let apply_blocks_max = random.pick(&[1, 2, 5]);
    Limits {
        inputs: 1,
        model_fingerprint: 42,
        heartbeat_us: random.pick(&[None, Some(HEARTBEAT_US), Some(HEARTBEAT_US / 4)]),
        apply_blocks_max,
        commit_blocks_max: apply_blocks_max * random.pick(&[1, 2, 6]),
        commit_events_max: random.pick(&[2, 1000]),
        log_records_max: random.pick(&[2, 64]),
        caught_up_commits: random.pick(&[0, 1, 4]),
    }
}

/// Offset and drift of a clock.
fn clock(random: &mut Random) -> (i64, i64) {
    let offset = random.pick(&[0, 1, 1, 1000]) * random.below(60_000_000) as i64 / 1000;
    (offset, random.pick(&[0, 0, 200, -200, 100_000]))
}
