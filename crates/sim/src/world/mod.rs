//! The simulated world: one queue of events, one clock, one generator. Everything that happens, happens in [`World::run`].

mod brief;
mod engine;
mod faults;
mod feed;
mod grants;
mod heard;
mod instances;
mod maintenance;
mod publisher;
mod readers;
mod store;
mod streams;
mod writer;
mod writer_thread;

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use mesh_replication::Term;
use mesh_replication::election as rules;

use crate::check::{Checker, Violation};
use crate::coverage::Coverage;
use crate::fault::Moment;
use crate::kafka::{Answer, Ask, Kafka, Todo};
use crate::net::{Net, Node};
use crate::plan::{Feeding, Granting, MS, Plan};
use crate::random::Random;
use engine::{Control, Engine};
use grants::Grants;
use instances::{Instance, Keeper, ToInstance};
use publisher::Publisher;
use store::Store;
use streams::ToCandidate;
use writer::Client;

/// Transactional id of the project's writers.
pub const PROJECT_TID: usize = 0;
/// Transactional id of the publishers of the first input.
pub const PUBLISHER_TID: usize = 1;
/// Transactional id of the project's writers' second lane.
pub const SECOND_TID: usize = 2;
/// Most events of a run; beyond it something runs in circles.
const EVENTS_MOST: u64 = 3_000_000;
/// How often it is looked whether all is well again, once the faults are over.
const LOOK_EVERY_US: u64 = 5 * MS;
/// The faults' kinds of moments.
const MOMENTS: usize = 7;

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A fault begins.
    Fault(usize),
    /// A fault is over.
    Heal(usize),
    /// The faults are over.
    Quiet,
    /// It is looked whether all is well.
    Look,
    /// The driver of an engine goes on.
    Turn { engine: usize, life: u32 },
    /// The reader of an engine's log asks the bus for a sign of life.
    Contact { engine: usize, life: u32 },
    /// A snapshot is due at an engine.
    Snapshot { engine: usize, life: u32 },
    /// The operator looks whether a project is parked.
    Operator,
    /// An engine's role wanted to be woken.
    Wake { engine: usize, life: u32 },
    /// The process of an engine begins.
    Begin { engine: usize },
    /// The election says something to an engine (arbitrary grants).
    Say { engine: usize, life: u32, control: Control },
    /// A writer has opened its connections, or failed to.
    Opened { node: Node, life: u32 },
    /// A request reaches the brokers.
    Request { client: usize, op: u32, tid: usize, broker: usize, ask: Ask },
    /// An answer reaches the writer.
    Answer { client: usize, op: u32, part: usize, answer: Answer },
    /// A writer has waited long enough.
    Waited { client: usize, timer: u32 },
    /// Something that the brokers have to do.
    Broker(Todo, Option<Ack>),
    /// A partition elects a leader.
    ElectLeader(usize),
    /// A coordinator moves.
    MoveCoordinator(usize),
    /// What was readable below `upto` reaches a reader.
    Fetched { node: Node, life: u32, partition: usize, generation: u64, upto: u64 },
    /// A question for the stable end reaches the broker.
    AskEnd { engine: usize, life: u32, generation: u64, term: Term },
    /// And its answer the reader.
    End { engine: usize, life: u32, generation: u64, term: Term, offset: u64 },
    /// The source has another block.
    Feed { input: usize },
    /// A publisher goes on.
    Publish { publisher: usize, life: u32 },
    /// A publisher asks what the topic holds last.
    Locate { publisher: usize, life: u32 },
    /// The arbitrary granter looks whether somebody leads.
    Grant,
    /// Election.
    ToInstance { instance: usize, life: u32, input: ToInstance },
    /// Election.
    ToCandidate { engine: usize, life: u32, attachment: rules::AttachmentId, message: ToCandidate },
    /// A candidate attaches.
    Attach { engine: usize, life: u32 },
    /// A candidate's heart beats.
    Beat { engine: usize, life: u32 },
    /// An instance ticks.
    Tick { instance: usize, life: u32 },
    /// A call reaches ZooKeeper.
    AtKeeper { instance: usize, life: u32, call: instances::Call },
    /// ZooKeeper looks at the sessions.
    Sessions,
}

/// Who waits for a replication.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ack {
    client: usize,
    op: u32,
    part: usize,
    broker: usize,
}

struct Queued {
    at: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Queued) -> bool {
        self.number == other.number
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Queued) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Queued) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// A life that may stand still.
#[derive(Debug, Default)]
pub(crate) struct Life {
    pub alive: bool,
    /// Faults that hold it.
    pub held: u32,
    /// Counts starts: what was meant for an earlier one is lost.
    pub number: u32,
    stalled: Vec<Event>,
}

/// The world.
pub struct World {
    pub(crate) plan: Plan,
    pub(crate) now: u64,
    pub(crate) random: Random,
    pub(crate) net: Net,
    pub(crate) kafka: Kafka,
    pub(crate) engines: Vec<Engine>,
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) keeper: Keeper,
    pub(crate) grants: Grants,
    pub(crate) store: Store,
    pub(crate) clients: Vec<Client>,
    pub(crate) check: Checker,
    pub(crate) fed: Vec<u64>,
    pub(crate) quiet: bool,
    /// What the brokers have to do, between a request and its scheduling.
    pub(crate) todo: Vec<Todo>,
    moments: [u32; MOMENTS],
    /// Victims of the faults that wait for their time.
    aimed: Vec<Option<usize>>,
    /// Victims of the faults that last.
    struck: Vec<Option<usize>>,
    queue: BinaryHeap<Queued>,
    queued: u64,
    /// Events so far.
    pub events: u64,
    /// What the protocol's parts went through.
    pub coverage: Coverage,
    /// What happened, for people; `None`: nobody wants to read it.
    pub history: Option<String>,
    pub(crate) violation: Option<Violation>,
    done: bool,
}

/// Writes a line of history, if anybody wants to read it.
macro_rules! tell {
    ($world:expr, $($text:tt)*) => {
        if $world.history.is_some() {
            let line = format!($($text)*);
            $world.write_line(&line);
        }
    };
}
pub(crate) use tell;

impl World {
    /// The world of a plan, before anything has happened.
    pub fn new(plan: Plan, record: bool) -> World {
        let partitions = plan.inputs + plan.outputs + 2;
        let adapters = match plan.feeding {
            Feeding::Plain => 0,
            Feeding::Adapters(count) => count,
        };
        let instances = match plan.granting {
            Granting::Election(count) => count,
            Granting::Arbitrary => 0,
        };
        let mut world = World {
            now: 0,
            random: Random::new(plan.seed, 3),
            net: Net::new(plan.travel),
            kafka: Kafka::new(partitions, 3, plan.first_epoch),
            engines: (0..plan.engines).map(|index| Engine::new(index, &plan)).collect(),
            publishers: (0..adapters).map(|_| Publisher::default()).collect(),
            instances: (0..instances).map(Instance::new).collect(),
            keeper: Keeper::default(),
            grants: Grants::default(),
            store: Store::default(),
            clients: Vec::new(),
            check: Checker::new(&plan),
            fed: vec![0; plan.inputs],
            quiet: false,
            todo: Vec::new(),
            moments: [0; MOMENTS],
            aimed: vec![None; plan.faults.len()],
            struck: vec![None; plan.faults.len()],
            queue: BinaryHeap::with_capacity(256),
            queued: 0,
            events: 0,
            coverage: Coverage::default(),
            history: record.then(String::new),
            violation: None,
            done: false,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for engine in 0..self.engines.len() {
            let at = self.random.below(5 * MS);
            self.after(at, Event::Begin { engine });
        }
        for instance in 0..self.instances.len() {
            self.start_instance(instance);
        }
        if self.plan.granting == Granting::Arbitrary {
            self.after(3 * MS, Event::Grant);
        }
        if self.plan.poison {
            self.after(3 * MS, Event::Operator);
        }
        for input in 0..self.plan.inputs {
            self.after(2 * MS, Event::Feed { input });
        }
        if !self.publishers.is_empty() {
            for publisher in 0..self.publishers.len() {
                self.publishers[publisher].life.alive = true;
            }
            self.grant_publisher(0);
        }
        for index in 0..self.plan.faults.len() {
            if let crate::fault::When::At(at) = self.plan.faults[index].when {
                self.after(at, Event::Fault(index));
            }
        }
        self.after(self.plan.quiet_at_us, Event::Quiet);
    }

    /// Runs to the end: all is well, something is wrong, or time is up.
    pub fn run(&mut self) {
        while !self.done && self.violation.is_none() {
            let Some(next) = self.queue.pop() else { break };
            self.now = next.at;
            self.events += 1;
            if self.events > EVENTS_MOST {
                self.violate("liveness", format!("no end after {EVENTS_MOST} events"));
                break;
            }
            if let Some(life) = self.life_of(&next.event) {
                let life = self.life(life.0, life.1);
                match life {
                    // a planted bug: the heart of a process that stands still beats on
                    Some(_) if crate::planted!(IdleHeartbeat) && matches!(next.event, Event::Beat { .. }) => {}
                    Some(life) if life.held > 0 => {
                        life.stalled.push(next.event);
                        continue;
                    }
                    Some(_) => {}
                    None => continue,
                }
            }
            self.happen(next.event);
        }
    }

    /// What went wrong, if anything did.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    pub(crate) fn violate(&mut self, rule: &'static str, text: String) {
        if self.violation.is_none() {
            tell!(self, "VIOLATION {rule}: {text}");
            self.violation = Some(Violation { rule, text });
        }
    }

    pub(crate) fn write_line(&mut self, line: &str) {
        if let Some(history) = &mut self.history {
            let now = self.now;
            history.push_str(&format!("{:>9}.{:03} {line}\n", now / 1000, now % 1000));
        }
    }

    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.queued += 1;
        self.queue.push(Queued { at: self.now + delay, number: self.queued, event });
    }

    /// Whose life an event needs, and which.
    fn life_of(&self, event: &Event) -> Option<(Node, u32)> {
        Some(match *event {
            Event::Turn { engine, life }
            | Event::Wake { engine, life }
            | Event::Contact { engine, life }
            | Event::Snapshot { engine, life }
            | Event::Say { engine, life, .. }
            | Event::End { engine, life, .. }
            | Event::ToCandidate { engine, life, .. }
            | Event::Attach { engine, life }
            | Event::Beat { engine, life } => (Node::Engine(engine), life),
            Event::Opened { node, life } | Event::Fetched { node, life, .. } => (node, life),
            Event::Answer { client, .. } | Event::Waited { client, .. } => {
                let client = &self.clients[client];
                (client.owner, client.life)
            }
            Event::Publish { publisher, life } => (Node::Publisher(publisher), life),
            Event::ToInstance { instance, life, .. } | Event::Tick { instance, life } => {
                (Node::Instance(instance), life)
            }
            Event::Fault(_)
            | Event::Heal(_)
            | Event::Quiet
            | Event::Look
            | Event::Begin { .. }
            | Event::Request { .. }
            | Event::Broker(..)
            | Event::ElectLeader(_)
            | Event::MoveCoordinator(_)
            | Event::AskEnd { .. }
            | Event::Feed { .. }
            | Event::Locate { .. }
            | Event::Grant
            | Event::Operator
            | Event::AtKeeper { .. }
            | Event::Sessions => return None,
        })
    }

    /// The life of a process if it is still that one.
    pub(crate) fn life(&mut self, node: Node, number: u32) -> Option<&mut Life> {
        let life = match node {
            Node::Engine(index) => &mut self.engines[index].life,
            Node::Publisher(index) => &mut self.publishers[index].life,
            Node::Instance(index) => &mut self.instances[index].life,
            Node::Broker(_) | Node::Keeper => return None,
        };
        (life.alive && life.number == number).then_some(life)
    }

    /// A process goes on after it stood still: what it missed comes now, in order.
    pub(crate) fn resume(&mut self, node: Node) {
        let life = match node {
            Node::Engine(index) => &mut self.engines[index].life,
            Node::Publisher(index) => &mut self.publishers[index].life,
            Node::Instance(index) => &mut self.instances[index].life,
            Node::Broker(_) | Node::Keeper => return,
        };
        life.held = life.held.saturating_sub(1);
        if life.held == 0 {
            for event in std::mem::take(&mut life.stalled) {
                self.after(0, event);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Fault(index) => self.strike(index),
            Event::Heal(index) => self.heal(index),
            Event::Quiet => self.become_quiet(),
            Event::Look => self.look(),
            Event::Turn { engine, .. } => self.turn(engine),
            Event::Contact { engine, .. } => self.ask_contact(engine),
            Event::Snapshot { engine, .. } => self.snapshot_due(engine),
            Event::Operator => self.operator(),
            Event::Wake { engine, .. } => self.wake(engine),
            Event::Begin { engine } => self.start_engine(engine),
            Event::Say { engine, control, .. } => self.control(engine, control),
            Event::Opened { node, .. } => self.opened(node),
            Event::Request { client, op, tid, broker, ask } => self.request((client, op), tid, broker, &ask),
            Event::Answer { client, op, part, answer } => self.answer(client, op, part, answer),
            Event::Waited { client, timer } => self.waited(client, timer),
            Event::Broker(todo, ack) => self.broker(todo, ack),
            Event::ElectLeader(partition) => self.elect_leader(partition),
            Event::MoveCoordinator(tid) => self.move_coordinator(tid),
            Event::Fetched { node, partition, generation, upto, .. } => {
                self.fetched(node, partition, generation, upto);
            }
            Event::AskEnd { engine, life, generation, term } => self.ask_end(engine, life, generation, term),
            Event::End { engine, generation, term, offset, .. } => self.end(engine, generation, term, offset),
            Event::Feed { input } => self.feed(input),
            Event::Publish { publisher, .. } => self.publish(publisher),
            Event::Locate { publisher, life } => self.locate(publisher, life),
            Event::Grant => self.look_for_leader(),
            Event::ToInstance { instance, input, .. } => self.at_instance(instance, input),
            Event::ToCandidate { engine, attachment, message, .. } => self.at_candidate(engine, attachment, message),
            Event::Attach { engine, .. } => self.attach(engine),
            Event::Beat { engine, .. } => self.beat(engine),
            Event::Tick { instance, .. } => self.tick_instance(instance),
            Event::AtKeeper { instance, life, call } => self.at_keeper(instance, life, call),
            Event::Sessions => self.look_at_sessions(),
        }
    }

    /// An engine has come to a moment at which faults may strike.
    pub(crate) fn moment(&mut self, moment: Moment, engine: usize) {
        self.moments[moment as usize] += 1;
        let seen = self.moments[moment as usize];
        for index in 0..self.plan.faults.len() {
            if let crate::fault::When::On { moment: wanted, nth, after_us } = self.plan.faults[index].when
                && wanted == moment
                && nth == seen
                && !self.quiet
            {
                self.aimed[index] = Some(engine);
                self.after(after_us, Event::Fault(index));
            }
        }
    }

    fn become_quiet(&mut self) {
        tell!(self, "the faults are over");
        self.quiet = true;
        self.mend_all();
        self.after(LOOK_EVERY_US, Event::Look);
    }

    /// Once the faults are over all must become well: every block applied and put out, everybody at the last commit.
    fn look(&mut self) {
        let Some(missing) = self.missing() else {
            tell!(self, "all is well");
            self.done = true;
            return;
        };
        if self.now > self.plan.quiet_at_us + self.plan.bound_us {
            let bound = self.plan.bound_us / MS;
            self.violate("liveness", format!("{bound} ms after the faults: {missing}"));
            return;
        }
        self.after(LOOK_EVERY_US, Event::Look);
    }
}
