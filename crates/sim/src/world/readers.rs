//! The threads of an engine that read the commit log and the input topics, ahead of the driver into bounded buffers, as
//! in `services/engine/src/project/log_reader.rs` and `input_reader.rs`; and the brokers' side of reading.

use std::collections::VecDeque;
use std::rc::Rc;

use mesh_replication::Term;
use mesh_replication::engine::ASK_EVERY;

use crate::kafka::{Fate, Payload, Todo};
use crate::net::Node;
use crate::plan::MS;
use crate::world::{Ack, Event, World};

/// Records of the log taken by one poll.
const POLL_RECORDS_MAX: usize = 16;
/// Wait after a failure.
const RETRY_US: u64 = 10 * MS;

/// What the commit log brought.
#[derive(Debug)]
pub(crate) enum LogNews {
    Record {
        offset: u64,
        wire: Rc<[u8]>,
    },
    Read {
        next_offset: u64,
    },
    End {
        term: Term,
        offset: u64,
    },
    /// The bus has answered.
    Contact,
    Gone {
        needed: u64,
        oldest: u64,
    },
}

/// What the inputs brought.
#[derive(Debug)]
pub(crate) enum InputNews {
    Started { positions: Vec<u64> },
    Blocks { input: usize, blocks: Vec<(u64, u64)> },
    Gone { needed: u64, oldest: u64 },
}

/// One topic that is read.
#[derive(Debug, Default, Clone)]
struct Place {
    next: u64,
    fetching: bool,
    /// The end that was told last.
    told: Option<u64>,
    gone: bool,
}

/// Both readers of an engine, with what they have brought.
#[derive(Debug)]
pub(crate) struct Readers {
    pub log_generation: u64,
    pub input_generation: u64,
    pub log_news: VecDeque<(u64, LogNews)>,
    pub input_news: VecDeque<(u64, InputNews)>,
    /// Blocks ready to be applied, offset and value, by input.
    pub waiting: Vec<VecDeque<(u64, u64)>>,
    log: Place,
    asked: Option<Term>,
    inputs: Vec<Place>,
    /// Where the inputs are to be read from: `None` until that is asked for.
    started: bool,
}

impl Readers {
    pub fn new(inputs: usize) -> Readers {
        Readers {
            log_generation: 0,
            input_generation: 0,
            log_news: VecDeque::new(),
            input_news: VecDeque::new(),
            waiting: vec![VecDeque::new(); inputs],
            log: Place::default(),
            asked: None,
            inputs: vec![Place::default(); inputs],
            started: false,
        }
    }

    /// The log is read from its start again; what is on its way belongs to the state that was thrown away.
    pub fn restart(&mut self) {
        self.log_generation += 1;
        self.input_generation += 1;
        self.log = Place::default();
        self.asked = None;
        self.started = false;
        self.waiting.iter_mut().for_each(VecDeque::clear);
    }

    /// The log is read from this offset, not from its start.
    pub fn begin_at(&mut self, offset: u64) {
        self.log.next = offset;
    }

    /// Blocks of an input between reader and machine.
    fn held(&self, input: usize) -> usize {
        let coming = self.input_news.iter().map(|(_, news)| match news {
            InputNews::Blocks { input: of, blocks } if *of == input => blocks.len(),
            _ => 0,
        });
        self.waiting[input].len() + coming.sum::<usize>()
    }
}

impl World {
    pub(crate) fn log_partition(&self) -> usize {
        self.plan.inputs + self.plan.outputs
    }

    /// True when a node reaches the leader of a partition.
    pub(crate) fn reads(&self, node: Node, partition: usize) -> bool {
        self.kafka.can_read(partition)
            && !self.net.is_apart(node, Node::Broker(self.kafka.partitions[partition].leader))
    }

    /// Fetches the log, if there is something to tell and room for it.
    pub(crate) fn fetch_log(&mut self, index: usize) {
        let partition = self.log_partition();
        let log = &self.kafka.partitions[partition];
        let upto = if crate::planted!(UncommittedRead) { log.high_watermark } else { log.last_stable() };
        let engine = &self.engines[index];
        let place = &engine.readers.log;
        let room = engine.role.wants_log() && engine.readers.log_news.len() < POLL_RECORDS_MAX;
        let news = place.next < upto || place.told != Some(upto);
        if !engine.life.alive
            || place.fetching
            || place.gone
            || !news
            || !room
            || !self.reads(Node::Engine(index), partition)
        {
            return;
        }
        let readers = &mut self.engines[index].readers;
        readers.log.fetching = true;
        let (generation, life) = (readers.log_generation, self.engines[index].life.number);
        let delay = self.net.delay(&mut self.random);
        self.after(delay, Event::Fetched { node: Node::Engine(index), life, partition, generation, upto });
    }

    /// Fetches an input, if there is something and room for it.
    pub(crate) fn fetch_input(&mut self, index: usize, input: usize) {
        let upto = self.kafka.partitions[input].last_stable();
        let engine = &self.engines[index];
        let place = &engine.readers.inputs[input];
        if !engine.life.alive
            || !engine.readers.started
            || place.fetching
            || place.gone
            || place.next >= upto
            || engine.readers.held(input) >= self.plan.buffer_blocks
            || !self.reads(Node::Engine(index), input)
        {
            return;
        }
        let readers = &mut self.engines[index].readers;
        readers.inputs[input].fetching = true;
        let (generation, life) = (readers.input_generation, self.engines[index].life.number);
        let delay = self.net.delay(&mut self.random);
        self.after(delay, Event::Fetched { node: Node::Engine(index), life, partition: input, generation, upto });
    }

    /// Committed readers may see more of a partition, or a partition is reachable again.
    pub(crate) fn changed(&mut self, partition: usize) {
        let found = self.check.visible(&self.kafka, partition);
        self.found(found);
        for index in 0..self.engines.len() {
            if partition < self.plan.inputs {
                self.fetch_input(index, partition);
            } else if partition == self.log_partition() {
                self.fetch_log(index);
            }
        }
    }

    /// What a reader asked for has come.
    pub(crate) fn fetched(&mut self, node: Node, partition: usize, generation: u64, upto: u64) {
        let Node::Engine(index) = node else { return };
        if partition == self.log_partition() {
            self.fetched_log(index, generation, upto)
        } else {
            self.fetched_input(index, partition, generation, upto)
        }
        self.wake_driver(index);
    }

    fn fetched_log(&mut self, index: usize, generation: u64, upto: u64) {
        let partition = &self.kafka.partitions[self.plan.inputs + self.plan.outputs];
        let readers = &mut self.engines[index].readers;
        if generation != readers.log_generation {
            return; // this answer is to a reader that was closed
        }
        let place = &mut readers.log;
        place.fetching = false;
        if place.next < partition.start {
            place.gone = true;
            let (needed, oldest) = (place.next, partition.start);
            readers.log_news.push_back((generation, LogNews::Gone { needed, oldest }));
            return;
        }
        let mut count = 0;
        while place.next < upto && count < POLL_RECORDS_MAX {
            let entry = &partition.log[place.next as usize];
            if let Payload::Record(wire) = &entry.payload
                && (entry.fate == Fate::Committed || crate::planted!(UncommittedRead))
            {
                let record = LogNews::Record { offset: place.next, wire: wire.clone() };
                readers.log_news.push_back((generation, record));
                count += 1;
            }
            place.next += 1;
        }
        if place.next >= upto {
            place.told = Some(upto);
            readers.log_news.push_back((generation, LogNews::Read { next_offset: upto }));
        }
    }

    fn fetched_input(&mut self, index: usize, input: usize, generation: u64, upto: u64) {
        let partition = &self.kafka.partitions[input];
        let room = self.plan.buffer_blocks;
        let readers = &mut self.engines[index].readers;
        if generation != readers.input_generation {
            return;
        }
        let place = &mut readers.inputs[input];
        place.fetching = false;
        if place.next < partition.start && crate::planted!(SilentJump) {
            place.next = partition.start;
        }
        if place.next < partition.start {
            place.gone = true;
            let (needed, oldest) = (place.next, partition.start);
            readers.input_news.push_back((generation, InputNews::Gone { needed, oldest }));
            return;
        }
        let mut blocks = Vec::new();
        while place.next < upto && blocks.len() < room {
            let entry = &partition.log[place.next as usize];
            if let (Payload::Input { value, .. }, Fate::Committed) = (&entry.payload, entry.fate) {
                blocks.push((place.next, *value));
            }
            place.next += 1;
        }
        if !blocks.is_empty() {
            readers.input_news.push_back((generation, InputNews::Blocks { input, blocks }));
        }
        self.fetch_input(index, input);
    }

    /// The role wants the inputs from these places.
    pub(crate) fn start_inputs(&mut self, index: usize, positions: Option<Vec<u64>>) {
        let oldest = self.kafka.partitions[..self.plan.inputs].iter().map(|partition| partition.start);
        let positions = positions.unwrap_or_else(|| oldest.collect());
        let readers = &mut self.engines[index].readers;
        readers.input_generation += 1;
        readers.started = true;
        for (place, position) in readers.inputs.iter_mut().zip(&positions) {
            *place = Place { next: *position, ..Place::default() };
        }
        let generation = readers.input_generation;
        readers.input_news.push_back((generation, InputNews::Started { positions }));
        self.wake_driver(index);
        for input in 0..self.plan.inputs {
            self.fetch_input(index, input);
        }
    }

    /// The reader asks the bus for a sign of life.
    pub(crate) fn ask_contact(&mut self, index: usize) {
        let life = self.engines[index].life.number;
        self.after(ASK_EVERY.as_micros() as u64, Event::Contact { engine: index, life });
        if self.reads(Node::Engine(index), self.log_partition()) && !self.net.loses(&mut self.random) {
            let generation = self.engines[index].readers.log_generation;
            self.engines[index].readers.log_news.push_back((generation, LogNews::Contact));
            self.wake_driver(index);
        }
    }

    /// The role asks where the log ends.
    pub(crate) fn ask_log_end(&mut self, index: usize, term: Term) {
        self.engines[index].readers.asked = Some(term);
        let (generation, life) = (self.engines[index].readers.log_generation, self.engines[index].life.number);
        let delay = self.net.delay(&mut self.random);
        self.after(delay, Event::AskEnd { engine: index, life, generation, term });
    }

    /// The question is at the broker.
    pub(crate) fn ask_end(&mut self, index: usize, life: u32, generation: u64, term: Term) {
        let partition = self.log_partition();
        let (at, event) = if self.reads(Node::Engine(index), partition) && !self.net.loses(&mut self.random) {
            let offset = self.kafka.partitions[partition].last_stable();
            (self.net.delay(&mut self.random), Event::End { engine: index, life, generation, term, offset })
        } else {
            (RETRY_US, Event::AskEnd { engine: index, life, generation, term })
        };
        let engine = &self.engines[index];
        let wanted = engine.life.number == life && engine.readers.log_generation == generation;
        if wanted && engine.readers.asked == Some(term) {
            self.after(at, event);
        }
    }

    /// The answer is with the reader.
    pub(crate) fn end(&mut self, index: usize, generation: u64, term: Term, offset: u64) {
        let readers = &mut self.engines[index].readers;
        if generation == readers.log_generation && readers.asked == Some(term) {
            readers.asked = None;
            readers.log_news.push_back((generation, LogNews::End { term, offset }));
            self.wake_driver(index);
        }
    }

    // the brokers' side

    /// Schedules what the brokers have to do; what has happened already is looked at now.
    pub(crate) fn schedule_todo(&mut self, todo: &mut Vec<Todo>, ack: Option<Ack>) {
        for what in todo.drain(..) {
            match what {
                Todo::Decided { tid, txn, committed } => self.decided(tid, txn, committed),
                Todo::Changed { partition } => self.changed(partition),
                Todo::Expire { .. } => {
                    let timeout = self.plan.transaction_us;
                    self.after(timeout, Event::Broker(what, None));
                }
                Todo::Marker { .. } => {
                    let delay = self.net.delay(&mut self.random);
                    self.after(delay, Event::Broker(what, None));
                }
                Todo::Replicate { .. } => {
                    let delay = self.net.delay(&mut self.random);
                    self.after(delay, Event::Broker(what, ack));
                }
            }
        }
    }

    fn decided(&mut self, tid: usize, txn: u32, committed: bool) {
        crate::world::tell!(
            self,
            "kafka transaction {txn} of {tid} is {}",
            if committed { "committed" } else { "aborted" }
        );
        if committed && tid != crate::world::PUBLISHER_TID {
            let found = self.check.decided(&self.kafka, txn);
            self.found(found);
        }
    }

    pub(crate) fn broker(&mut self, what: Todo, ack: Option<Ack>) {
        let mut todo = std::mem::take(&mut self.todo);
        match what {
            Todo::Marker { tid, txn, partition, coordinator_epoch } => {
                if !self.kafka.write_marker(tid, txn, partition, coordinator_epoch, &mut todo) {
                    self.after(RETRY_US, Event::Broker(what, None));
                }
            }
            Todo::Replicate { partition, leader_epoch, upto } => {
                let done = self.kafka.replicated(partition, leader_epoch, upto, &mut todo);
                if let Some(ack) = ack.filter(|_| done) {
                    self.reply(ack, crate::kafka::Answer::Done);
                } else if !done && self.kafka.partitions[partition].leader_epoch == leader_epoch {
                    self.after(RETRY_US, Event::Broker(what, ack));
                }
            }
            Todo::Expire { tid, txn } => self.kafka.expire(tid, txn, &mut todo),
            Todo::Decided { .. } | Todo::Changed { .. } => {}
        }
        self.schedule_todo(&mut todo, None);
        self.todo = todo;
    }
}
