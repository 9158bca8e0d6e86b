//! A publisher adapter: the driver around `PublisherRole`, as in `crates/connector/src/publish/session.rs`, one of a
//! group of which one at a time should publish. Whoever is fenced out stands by until it is told to publish again.

use std::collections::VecDeque;
use std::rc::Rc;

use mesh_event::SourcePosition;
use mesh_replication::adapter::{Effect, Found, Input, PublisherRole, PublisherState, Stop};

use crate::kafka::{Batch, Fate, Payload};
use crate::net::Node;
use crate::plan::MS;
use crate::world::writer::{Op, Outcome};
use crate::world::{Event, Life, PUBLISHER_TID, World, tell};

/// Wait before the bus is asked again.
const RETRY_US: u64 = 10 * MS;
/// Blocks in one transaction at most.
const BATCH_MOST: u64 = 4;
/// Name of the source.
const SOURCE: &str = "a.csv";

/// A publisher.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    pub life: Life,
    role: Option<PublisherRole>,
    effects: VecDeque<Effect>,
    client: Option<usize>,
    /// Next block to read from the source.
    next: u64,
    /// Blocks of the transaction, kept until they are known to be in the topic.
    batch: Option<(u64, u64)>,
    /// What it waits for comes as an event.
    waits: bool,
}

fn position(blocks: u64) -> SourcePosition {
    SourcePosition {
        source: SOURCE.to_owned(),
        bytes: blocks * 10,
        lines: blocks,
        events: blocks,
        ..SourcePosition::default()
    }
}

impl World {
    /// A publisher of the group is told to publish.
    pub(crate) fn grant_publisher(&mut self, index: usize) {
        let it = &mut self.publishers[index];
        if !it.life.alive || it.role.is_some() {
            return;
        }
        let mut role = PublisherRole::new(SOURCE, true, false);
        let mut effects = Vec::new();
        role.start(&mut effects);
        it.role = Some(role);
        it.effects = effects.into();
        it.waits = false;
        it.batch = None;
        tell!(self, "p{index}    publishes");
        self.go_on(index, 0);
    }

    pub(crate) fn kill_publisher(&mut self, index: usize) {
        let it = &mut self.publishers[index];
        it.life.alive = false;
        it.life.stalled.clear();
        it.role = None;
        it.client = None;
        tell!(self, "p{index}    dies");
    }

    pub(crate) fn start_publisher(&mut self, index: usize) {
        let it = &mut self.publishers[index];
        if !it.life.alive {
            it.life.alive = true;
            it.life.number += 1;
            it.waits = false;
            self.grant_publisher(index);
        }
    }

    fn go_on(&mut self, index: usize, delay: u64) {
        let life = self.publishers[index].life.number;
        self.after(delay, Event::Publish { publisher: index, life });
    }

    /// Carries effects out, or reads and sends the next batch.
    pub(crate) fn publish(&mut self, index: usize) {
        let it = &mut self.publishers[index];
        if it.waits || it.role.is_none() {
            return;
        }
        if let Some(effect) = it.effects.pop_front() {
            tell!(self, "p{index} -> {effect:?}");
            return self.carry_out_publisher(index, effect);
        }
        let produced = self.produced();
        let it = &mut self.publishers[index];
        if it.batch.is_none() {
            if it.next >= produced {
                if it.next < self.plan.blocks {
                    let delay = self.plan.block_every_us;
                    self.go_on(index, delay);
                }
                return;
            }
            it.batch = Some((it.next, produced.min(it.next + BATCH_MOST)));
        }
        let (from, to) = it.batch.expect("filled above");
        let publishing = it.role.as_ref().is_some_and(|role| role.state() == PublisherState::Publishing);
        let Some(client) = it.client.filter(|_| publishing) else { return };
        it.next = to;
        it.waits = true;
        self.tell_publisher(index, Input::Sending(position(to)));
        let blocks = (from..to).map(|block| Payload::Input { block, value: self.value(0, block) }).collect();
        let meta = (self.log_partition() + 1, vec![Payload::Meta { blocks: to }]);
        let batch: Batch = Rc::new(vec![(0, blocks), meta]);
        let deadline = self.now + self.plan.commit_us;
        self.client_commit(client, batch, deadline);
    }

    fn tell_publisher(&mut self, index: usize, input: Input) {
        tell!(self, "p{index} <- {input:?}");
        let it = &mut self.publishers[index];
        let Some(role) = &mut it.role else { return };
        self.coverage.publisher(role.state(), &input);
        let mut effects = Vec::new();
        role.step(input, &mut effects);
        it.effects.extend(effects);
    }

    fn carry_out_publisher(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::FenceIn => {
                let it = &mut self.publishers[index];
                it.client = None;
                it.waits = true;
                let life = it.life.number;
                let delay = self.plan.open_us + self.net.delay(&mut self.random);
                return self.after(delay, Event::Opened { node: Node::Publisher(index), life });
            }
            Effect::Locate => {
                let it = &mut self.publishers[index];
                it.waits = true;
                let life = it.life.number;
                let delay = self.net.delay(&mut self.random);
                return self.after(delay, Event::Locate { publisher: index, life });
            }
            Effect::BeginAt(from) => {
                let it = &mut self.publishers[index];
                it.next = from.map_or(0, |position| position.events);
                it.batch = None;
            }
            // the client has given the transaction up already; the batch is still there, and the next turn sends it
            Effect::Abort | Effect::Resend => {}
            Effect::Confirm(_) => self.publishers[index].batch = None,
            Effect::Stop(stop) => {
                let it = &mut self.publishers[index];
                it.role = None;
                it.client = None;
                it.effects.clear();
                if stop != Stop::FencedOut {
                    self.violate("input", format!("publisher p{index} stops: {stop}"));
                }
                return;
            }
        }
        self.go_on(index, 0);
    }

    /// Its connections are open: fence.
    pub(crate) fn publisher_opened(&mut self, node: Node) {
        let Node::Publisher(index) = node else { return };
        let life = self.publishers[index].life.number;
        if self.publishers[index].role.is_none() {
            return;
        }
        let client = self.new_client(node, life, [PUBLISHER_TID; 2]);
        self.publishers[index].client = Some(client);
        self.client_fence(client);
    }

    /// The client has done what was asked of it.
    pub(crate) fn publisher_written(&mut self, index: usize, client: usize, was: Op, outcome: Outcome) {
        if self.publishers[index].client != Some(client) {
            return;
        }
        let fencing = matches!(was, Op::RawInit | Op::Init);
        let input = match outcome {
            Outcome::Done if fencing => Input::FencedIn,
            Outcome::Fenced => Input::FencedOut,
            Outcome::Done => Input::Committed,
            Outcome::Aborted => Input::NotCommitted,
            Outcome::Lost if fencing => {
                // it tries again while the bus does not answer
                let life = self.publishers[index].life.number;
                return self.after(RETRY_US, Event::Opened { node: Node::Publisher(index), life });
            }
            Outcome::Lost => Input::InDoubt,
        };
        let it = &mut self.publishers[index];
        it.waits = false;
        if matches!(input, Input::InDoubt | Input::FencedOut) {
            it.effects.clear();
            it.client = None;
        }
        self.tell_publisher(index, input);
        self.go_on(index, 0);
    }

    /// Looks up the last position; the own writer is fenced in, so that nothing is written meanwhile.
    pub(crate) fn locate(&mut self, index: usize, life: u32) {
        if self.life(Node::Publisher(index), life).is_none_or(|life| life.held > 0) {
            // it asks again when it goes on
            let alive = self.life(Node::Publisher(index), life).is_some();
            if alive {
                self.after(RETRY_US, Event::Locate { publisher: index, life });
            }
            return;
        }
        let meta = self.log_partition() + 1;
        let reached = self.reads(Node::Publisher(index), 0) && self.reads(Node::Publisher(index), meta);
        let partition = &self.kafka.partitions[0];
        if !reached || partition.last_stable() < partition.high_watermark {
            return self.after(RETRY_US, Event::Locate { publisher: index, life });
        }
        let last = partition.log.iter().enumerate().rev().skip(partition.log.len() - partition.high_watermark as usize);
        let mut last = last.take_while(|(offset, _)| *offset as u64 >= partition.start);
        let found = last.find_map(|(offset, entry)| match (&entry.payload, entry.fate) {
            (Payload::Input { block, .. }, Fate::Committed) => {
                Some(Found::Topic { offset: offset as u64, position: position(block + 1) })
            }
            _ => None,
        });
        let found = found.unwrap_or_else(|| {
            let remembered = self.kafka.partitions[meta].log.iter().rev().find_map(|entry| match entry.payload {
                Payload::Meta { blocks } if entry.fate == Fate::Committed => Some(blocks),
                _ => None,
            });
            remembered.map_or(Found::Nothing, |blocks| Found::Meta(position(blocks)))
        });
        self.publishers[index].waits = false;
        self.tell_publisher(index, Input::Located(found));
        self.go_on(index, 0);
    }

    /// Blocks that the adapters have still to publish, once the faults are over.
    pub(crate) fn care_for_publishers(&mut self) {
        let running = self.publishers.iter().any(|it| it.life.alive && it.role.is_some());
        if !self.publishers.is_empty() && !running {
            let first = self.random.below(self.publishers.len() as u64) as usize;
            self.start_publisher(first);
            self.grant_publisher(first);
        }
    }
}
