//! A transactional producer as `mesh-bus` drives it: fence, then one transaction after the other, retries included.
//!
//! Requests of one producer arrive in order (one connection at a time). A request without an answer is sent again; when
//! the deadline has passed, a commit whose end was asked for is *unknown*, and the requests under way may still arrive.

use mesh_replication::lanes::{FIRST, LANES, Lanes, SECOND};

use crate::kafka::{Answer, Ask, Batch, Producer};
use crate::net::Node;
use crate::plan::MS;
use crate::world::{Event, World, tell};

/// Wait before an earlier transaction is looked at again.
const CONCURRENT_US: u64 = 2 * MS;
/// Wait before a broker that cannot answer is asked again.
const UNAVAILABLE_US: u64 = 5 * MS;
/// Limit of the time that opening the second lane may take.
const ASIDE_US: u64 = 500 * MS;

/// What a writer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Idle,
    /// The fence over the plain connection.
    RawInit,
    /// The client library's own init.
    Init,
    /// The fence of the second lane.
    Shut,
    /// The second lane is opened, before a transaction begins.
    Second,
    Add,
    Produce {
        /// Parts not acknowledged, a bit each.
        missing: u32,
    },
    End,
    Abort,
}

/// How an operation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Somebody has fenced this writer.
    Fenced,
    /// The bus aborted the transaction, or wants it aborted.
    Aborted,
    /// Not done as far as anybody knows; a commit may have been.
    Lost,
}

/// A producer.
#[derive(Debug)]
pub(crate) struct Client {
    pub owner: Node,
    pub life: u32,
    /// Transactional ids; twice the same for a writer with one lane.
    tids: [usize; LANES],
    producers: [Option<Producer>; LANES],
    /// What is next, if there are two lanes and it was fenced in.
    order: Option<Lanes>,
    /// Lane of the operation.
    lane: usize,
    pub op: Op,
    /// Number of what it waits for: answers to anything else are late.
    number: u32,
    /// Number of the last look at the clock that was asked for.
    timer: u32,
    /// Number of the attempt at a transaction.
    attempt: u32,
    batch: Option<Batch>,
    deadline: u64,
    second_until: u64,
    last_arrivals: [u64; LANES],
    /// Answers are dropped until then.
    pub deaf_until: u64,
}

impl Client {
    fn has_two(&self) -> bool {
        self.tids[FIRST] != self.tids[SECOND]
    }
}

impl World {
    /// A producer that has opened its connections.
    pub(crate) fn new_client(&mut self, owner: Node, life: u32, tids: [usize; LANES]) -> usize {
        self.clients.push(Client {
            owner,
            life,
            tids,
            producers: [None; LANES],
            order: None,
            lane: FIRST,
            op: Op::Idle,
            number: 0,
            timer: 0,
            attempt: 0,
            batch: None,
            deadline: 0,
            second_until: 0,
            last_arrivals: [0; LANES],
            deaf_until: 0,
        });
        self.clients.len() - 1
    }

    pub(crate) fn client_fence(&mut self, index: usize) {
        let deadline = self.now + self.plan.fence_us;
        let client = &mut self.clients[index];
        client.deadline = deadline;
        if crate::planted!(NoFence) && self.kafka.coordinators[client.tids[FIRST]].producer.pid > 0 {
            client.producers = client.tids.map(|tid| Some(self.kafka.coordinators[tid].producer));
            client.op = Op::Init;
            return self.finish(index, Outcome::Done);
        }
        if crate::planted!(LanesFencedBackwards) && client.has_two() {
            client.lane = SECOND;
            return self.begin_op(index, Op::Shut);
        }
        self.begin_op(index, Op::RawInit);
    }

    /// Begins a transaction with this content and commits it.
    pub(crate) fn client_commit(&mut self, index: usize, batch: Batch, deadline: u64) {
        let client = &mut self.clients[index];
        if client.producers[FIRST].is_none() {
            return self.finish(index, Outcome::Lost); // not fenced in
        }
        client.batch = Some(batch);
        client.deadline = deadline;
        client.attempt += 1;
        if client.order.as_ref().is_some_and(|order| order.wants_second()) {
            client.lane = SECOND;
            client.second_until = self.now + ASIDE_US;
            return self.begin_op(index, Op::Second);
        }
        self.begin_transaction(index);
    }

    fn begin_transaction(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.lane = client.order.map_or(FIRST, |order| order.next());
        self.begin_op(index, Op::Add);
    }

    /// Gives a transaction up.
    pub(crate) fn client_abort(&mut self, index: usize) {
        self.clients[index].deadline = self.now + self.plan.commit_us;
        self.begin_op(index, Op::Abort);
    }

    fn begin_op(&mut self, index: usize, op: Op) {
        let client = &mut self.clients[index];
        client.op = op;
        client.number += 1;
        self.send(index);
    }

    /// Sends what the operation needs, and looks at the clock later.
    fn send(&mut self, index: usize) {
        let client = &self.clients[index];
        let op = client.op;
        match op {
            Op::Idle => return,
            Op::RawInit | Op::Init | Op::Shut | Op::Second => self.send_one(index, Ask::InitProducer),
            Op::Add => {
                let batch = client.batch.as_ref().expect("a transaction has a batch");
                let partitions = batch.iter().fold(0, |bits, (partition, _)| bits | 1 << partition);
                let producer = client.producers[client.lane].expect("checked when the transaction began");
                self.send_one(index, Ask::AddPartitions { producer, partitions });
            }
            Op::Produce { missing } => {
                let producer = client.producers[client.lane].expect("checked when the transaction began");
                let (attempt, batch) = (client.attempt, client.batch.clone().expect("a transaction has a batch"));
                for part in (0..batch.len()).filter(|part| missing >> part & 1 == 1) {
                    self.send_one(index, Ask::Produce { producer, attempt, part, batch: batch.clone() });
                }
            }
            Op::End | Op::Abort => {
                let producer = client.producers[client.lane].expect("checked when the transaction began");
                self.send_one(index, Ask::End { producer, commit: op == Op::End });
            }
        }
        self.wait(index, self.plan.request_us);
    }

    /// Looks again after this time, and not at any time set before.
    fn wait(&mut self, index: usize, delay: u64) {
        let client = &mut self.clients[index];
        client.timer += 1;
        let timer = client.timer;
        self.after(delay, Event::Waited { client: index, timer });
    }

    fn send_one(&mut self, index: usize, ask: Ask) {
        let client = &self.clients[index];
        let (number, owner) = (client.number, client.owner);
        let (lane, tid) = (client.lane, client.tids[client.lane]);
        let broker = self.kafka.broker_of(tid, &ask);
        if !self.kafka.alive[broker] || self.net.is_cut(owner, Node::Broker(broker)) || self.net.loses(&mut self.random)
        {
            return;
        }
        let mut at = self.now + self.net.delay(&mut self.random);
        if !matches!(ask, Ask::Produce { .. }) {
            let last = &mut self.clients[index].last_arrivals[lane];
            at = at.max(*last + 1);
            *last = at;
        }
        self.after(at - self.now, Event::Request { client: index, op: number, tid, broker, ask });
    }

    /// A request has reached a broker.
    pub(crate) fn request(&mut self, (index, op): (usize, u32), tid: usize, broker: usize, ask: &Ask) {
        if !self.kafka.alive[broker] {
            return;
        }
        let part = if let Ask::Produce { part, .. } = ask { *part } else { 0 };
        let moved = self.kafka.broker_of(tid, ask) != broker;
        let mut todo = std::mem::take(&mut self.todo);
        let answer = if moved {
            Some(Answer::Unavailable)
        } else if matches!(ask, Ask::AddPartitions { .. }) && self.random.permille(self.plan.abortable_permille) {
            Some(Answer::Abortable)
        } else {
            self.kafka.take(tid, ask, &mut todo)
        };
        let ack = super::Ack { client: index, op, part, broker };
        self.schedule_todo(&mut todo, Some(ack));
        self.todo = todo;
        if let Some(answer) = answer {
            self.reply(ack, answer);
        }
    }

    pub(crate) fn reply(&mut self, ack: super::Ack, answer: Answer) {
        let client = &self.clients[ack.client];
        let lost = self.net.is_cut(Node::Broker(ack.broker), client.owner) || self.net.loses(&mut self.random);
        if !lost {
            let delay = self.net.delay(&mut self.random);
            self.after(delay, Event::Answer { client: ack.client, op: ack.op, part: ack.part, answer });
        }
    }

    /// The answer to a request has come.
    pub(crate) fn answer(&mut self, index: usize, op: u32, part: usize, answer: Answer) {
        let now = self.now;
        let client = &mut self.clients[index];
        if client.number != op || client.op == Op::Idle || now < client.deaf_until {
            return;
        }
        match (client.op, answer) {
            (Op::RawInit, Answer::Producer(_)) => self.begin_op(index, Op::Init),
            (Op::Init, Answer::Producer(producer)) => {
                client.producers[FIRST] = Some(producer);
                if crate::planted!(SecondLaneNotShut) && client.has_two() {
                    client.order = Some(Lanes::fenced());
                    return self.finish(index, Outcome::Done);
                }
                if client.has_two() && client.order.is_none() {
                    client.lane = SECOND;
                    return self.begin_op(index, Op::Shut);
                }
                self.finish(index, Outcome::Done);
            }
            (Op::Shut, Answer::Producer(_)) => {
                client.order = Some(Lanes::fenced());
                client.lane = FIRST;
                if client.producers[FIRST].is_none() {
                    return self.begin_op(index, Op::RawInit); // only when fenced backwards
                }
                self.finish(index, Outcome::Done);
            }
            (Op::Second, Answer::Producer(producer)) => {
                client.producers[SECOND] = Some(producer);
                client.order.as_mut().expect("there are two lanes").second_opened();
                self.begin_transaction(index);
            }
            (Op::Add, Answer::Done) => {
                let parts = client.batch.as_ref().map_or(0, |batch| batch.len());
                self.begin_op(index, Op::Produce { missing: (1 << parts) - 1 });
            }
            (Op::Produce { missing }, Answer::Done) => {
                let missing = missing & !(1 << part);
                client.op = Op::Produce { missing };
                if missing == 0 {
                    self.begin_op(index, Op::End);
                }
            }
            (Op::End, Answer::Done) => {
                if let Some(order) = &mut client.order {
                    order.committed();
                }
                self.finish(index, Outcome::Done);
            }
            (Op::Abort, Answer::Done) => self.finish(index, Outcome::Aborted),
            // asked of a transaction that never began
            (Op::Abort, Answer::Invalid) => self.finish(index, Outcome::Aborted),
            (_, Answer::Concurrent) => self.wait(index, CONCURRENT_US),
            (_, Answer::Unavailable) => self.wait(index, UNAVAILABLE_US),
            (_, Answer::Fenced) => self.finish(index, Outcome::Fenced),
            (_, Answer::Abortable) => self.client_abort(index),
            (_, Answer::Invalid | Answer::Done | Answer::Producer(_)) => self.finish(index, Outcome::Lost),
        }
    }

    /// Time to ask again, or to give up.
    pub(crate) fn waited(&mut self, index: usize, timer: u32) {
        let client = &self.clients[index];
        if client.timer != timer || client.op == Op::Idle {
            return;
        }
        if client.op == Op::Second && self.now >= client.second_until {
            self.clients[index].order = None; // one lane will do
            self.begin_transaction(index);
        } else if self.now >= client.deadline {
            self.finish(index, Outcome::Lost);
        } else {
            self.send(index);
        }
    }

    fn finish(&mut self, index: usize, outcome: Outcome) {
        let client = &mut self.clients[index];
        let (was, owner) = (client.op, client.owner);
        client.op = Op::Idle;
        client.number += 1;
        client.batch = None;
        tell!(self, "{owner}    writer {index} {was:?}: {outcome:?}");
        match owner {
            Node::Engine(engine) => self.engine_written(engine, index, was, outcome),
            Node::Publisher(publisher) => self.publisher_written(publisher, index, was, outcome),
            Node::Instance(_) | Node::Broker(_) | Node::Keeper => {}
        }
    }
}
