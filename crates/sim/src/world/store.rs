//! The store of snapshots, which loses, tears and damages what it is given, and the engines' part in it, as in
//! `services/engine/src/project/snapshots.rs` and `recovery.rs`; and the operator who skips blocks.

use mesh_replication::engine::RoleName;
use mesh_replication::{Input, OldestOffsets, Poison, SnapshotPoint, snapshot};

use crate::plan::MS;
use crate::project::Project;
use crate::world::{Event, World, tell};

/// Snapshots that are kept.
const KEEP: usize = 2;
/// How often the operator looks whether a project is parked.
const OPERATOR_US: u64 = 30 * MS;

/// Snapshots that were published, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Store {
    snapshots: Vec<Stored>,
    published: usize,
}

#[derive(Debug)]
struct Stored {
    name: usize,
    point: SnapshotPoint,
    machine: Project,
    /// Its bytes differ from their hash.
    damaged: bool,
    /// It is not what it should be, damaged or whole.
    bad: bool,
}

/// What an engine knows of its snapshots.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    began_from: Option<usize>,
    refused: Vec<usize>,
    gone: bool,
    lost_from: Option<usize>,
}

impl World {
    /// A snapshot is due at an engine.
    pub(crate) fn snapshot_due(&mut self, index: usize) {
        let Some(plan) = &self.plan.snapshots else { return };
        let delay = plan.every_us / 2 + self.random.below(plan.every_us);
        let engine = &mut self.engines[index];
        let life = engine.life.number;
        let wanted = match engine.role.name().0 {
            RoleName::Standby => true,
            RoleName::Active => self.random.permille(300),
            RoleName::Recovering | RoleName::TakingOver | RoleName::Failed => false,
        };
        if wanted {
            engine.hear(Input::SnapshotWanted);
            self.wake_driver(index);
        }
        self.after(delay, Event::Snapshot { engine: index, life });
    }

    /// The role wants its machine's state saved.
    pub(crate) fn save(&mut self, index: usize, point: SnapshotPoint) {
        let Some(plan) = &self.plan.snapshots else { return };
        let (faulty, machine) = (plan.faulty_permille, self.engines[index].machine.clone());
        let id = self.engines[index].id.clone();
        let found = if machine.state() == point.state {
            self.check.saved(&id, &point)
        } else {
            Err(("snapshot", format!("`{id}` saves another state than that of commit {}", point.number)))
        };
        self.found(found);
        let store = &mut self.store;
        let name = store.published;
        store.published += 1;
        let mut stored = Stored { name, point, machine, damaged: false, bad: false };
        if self.random.permille(faulty) {
            match self.random.below(3) {
                // Lost or torn: it never gets a manifest.
                0 => return,
                // Never two of those that are kept, whichever engine's come in which order.
                what if store.snapshots.len() >= KEEP - 1
                    && store.snapshots.iter().rev().take(KEEP - 1).all(|kept| !kept.bad) =>
                {
                    tell!(self, "store    snapshot {name} goes bad");
                    stored.bad = true;
                    if what == 1 {
                        stored.damaged = true;
                    } else {
                        stored.machine.digests[0] ^= 1; // whole, but not what it says it is
                    }
                }
                _ => {}
            }
        }
        let store = &mut self.store;
        store.snapshots.push(stored);
        store.snapshots.sort_by_key(|stored| (stored.point.number, stored.name));
        let surplus = store.snapshots.len().saturating_sub(KEEP);
        store.snapshots.drain(..surplus);
        if store.snapshots.len() < KEEP {
            return;
        }
        if let Some(before) = snapshot::log_needed_from(store.snapshots.iter().map(|stored| &stored.point)) {
            let log = self.log_partition();
            let start = &mut self.kafka.partitions[log].start;
            *start = before.max(*start);
        }
    }

    /// Where an engine's state begins: the newest snapshot that is whole and not refused, or the log's start.
    pub(crate) fn begin_state(&mut self, index: usize) {
        let log = self.log_partition();
        let oldest = OldestOffsets {
            log: self.kafka.partitions[log].start,
            inputs: self.kafka.partitions[..self.plan.inputs].iter().map(|partition| partition.start).collect(),
        };
        let recovery = &mut self.engines[index].recovery;
        recovery.began_from = None;
        let gone = std::mem::take(&mut recovery.gone);
        let usable = |stored: &&Stored| !stored.damaged && !recovery.refused.contains(&stored.name);
        let Some(stored) = self.store.snapshots.iter().rev().find(usable) else {
            if oldest.log > 0 {
                self.fail(
                    index,
                    format!("no snapshot, and the commit log no longer holds commit 1 (oldest: {})", oldest.log),
                );
            }
            return;
        };
        if let Err(unusable) = stored.point.check(self.plan.limits.model_fingerprint, &oldest) {
            return self.fail(index, unusable.to_string());
        }
        let lacks = stored.point.state.positions.iter().zip(&oldest.inputs).any(|(needed, oldest)| needed < oldest);
        if lacks || stored.point.log_offset < oldest.log {
            let text = format!("`e{index}` goes on from commit {} without the topics for it", stored.point.number);
            return self.violate("snapshot", text);
        }
        let again = recovery.lost_from.replace(stored.name) == Some(stored.name);
        if gone && again {
            return self.fail(index, "a topic no longer holds what the newest snapshot needs".to_owned());
        }
        recovery.began_from = Some(stored.name);
        let mut point = stored.point.clone();
        let engine = &mut self.engines[index];
        engine.machine = stored.machine.clone();
        point.state = engine.machine.state();
        engine.readers.begin_at(point.log_offset);
        engine.hear(Input::Restored { point });
    }

    /// A topic lost what an engine needs next; a newer snapshot may do without it.
    pub(crate) fn lost_the_log(&mut self, index: usize, reason: String) {
        let engine = &mut self.engines[index];
        if self.store.snapshots.is_empty() || engine.recovery.gone {
            return self.fail(index, reason);
        }
        engine.recovery.gone = true;
        let mut effects = Vec::new();
        engine.role.begin_anew(reason, &mut effects);
        for effect in effects {
            self.carry_out(index, effect);
        }
    }

    /// The snapshot that an engine began from leads to another state than the log.
    pub(crate) fn refuse_snapshot(&mut self, index: usize) {
        let recovery = &mut self.engines[index].recovery;
        recovery.refused.extend(recovery.began_from.take());
    }

    /// What apply fails on among the next blocks of an input, if on anything.
    pub(crate) fn poison(&self, index: usize, input: usize, blocks: u32) -> Option<Poison> {
        let mut next = self.engines[index].readers.waiting[input].iter().take(blocks as usize);
        next.clone().any(|(_, value)| self.plan.is_poison(*value)).then(|| {
            let (from, _) = *next.next().expect("the role applies only blocks that it was told of");
            let end = next.next_back().map_or(from, |(offset, _)| *offset) + 1;
            Poison { input: Some(input as u32), from, end, blocks, reason: "poison".to_owned() }
        })
    }

    /// The operator skips what projects are parked at.
    pub(crate) fn operator(&mut self) {
        self.after(OPERATOR_US, Event::Operator);
        for index in 0..self.engines.len() {
            let engine = &mut self.engines[index];
            let view = engine.role.view();
            let parked = view.poison.filter(Poison::is_exact).and_then(|poison| Some((poison.input?, poison.from)));
            if let (true, RoleName::Active, Some((input, position))) = (engine.life.alive, view.role, parked) {
                engine.hear(Input::SkipWanted { input, position });
                self.wake_driver(index);
            }
        }
    }

    /// The role drops the next block of an input.
    pub(crate) fn skip(&mut self, index: usize, input: usize) {
        let engine = &mut self.engines[index];
        let (offset, _) =
            engine.readers.waiting[input].pop_front().expect("the role skips only blocks that it was told of");
        engine.machine.positions[input] = offset + 1;
        self.fetch_input(index, input);
    }
}
