//! Simulated Kafka: partitions with a high watermark and a last stable offset, and transaction coordinators.
//!
//! What is kept from the real one, because the protocol leans on it or has to live with it:
//! - a transaction's outcome is decided at the coordinator, and reaches each partition by a marker of its own, later;
//!   until then the partition's last stable offset stays before the transaction. Markers take an offset
//! - a new producer of a transactional id (`InitProducerId`) bumps the epoch; what is open is aborted first, and the
//!   caller is told to come again (`CONCURRENT_TRANSACTIONS`) until every marker is written
//! - every transactional write is verified with the coordinator (Kafka 3.6 or newer)
//! - the epoch of a producer does not change between transactions (librdkafka's protocol): a late end of one
//!   transaction could end the next one of the same producer
//! - a coordinator that moves fences the markers of its predecessor by its own epoch
//! - what is not replicated may be lost when a leader changes; what is acknowledged never is (`acks=all`, clean elections)
//! - with fewer than two brokers nothing can be written
//!
//! Requests may come late, twice, or after their sender has died. Nothing here schedules: handlers say in [`Todo`] what
//! has to happen later, and the world decides when.

mod coordinator;
mod partition;

pub use coordinator::{Coordinator, Producer, TxnState};
pub use partition::{Entry, Fate, Partition};

use std::rc::Rc;

use crate::project::Output;

/// Brokers of the cluster.
pub const BROKERS: usize = 3;
/// Brokers that must live for a write.
const IN_SYNC_LEAST: usize = 2;

/// What a record holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A block of an input topic: its number in the source, from 0, and its value.
    Input {
        /// Number.
        block: u64,
        /// Value.
        value: u64,
    },
    /// A block of an output topic.
    Output(Output),
    /// A commit record in its wire form.
    Record(Rc<[u8]>),
    /// Blocks published so far, as the adapters' meta topic keeps it.
    Meta {
        /// How many.
        blocks: u64,
    },
    /// End of a transaction.
    Marker,
}

/// Records of one transaction, by partition.
pub type Batch = Rc<Vec<(usize, Vec<Payload>)>>;

/// What a producer asks.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A new producer.
    InitProducer,
    /// Add partitions to the transaction, which begins with it.
    AddPartitions {
        /// Who.
        producer: Producer,
        /// Partitions, a bit each.
        partitions: u32,
    },
    /// Append records.
    Produce {
        /// Who.
        producer: Producer,
        /// Number of the sender's attempt: the same one again is answered and not appended.
        attempt: u32,
        /// Where: an index in the batch.
        part: usize,
        /// The transaction's records.
        batch: Batch,
    },
    /// End the transaction.
    End {
        /// Who.
        producer: Producer,
        /// Or abort.
        commit: bool,
    },
}

/// What a producer is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Here is the producer.
    Producer(Producer),
    /// It is done.
    Done,
    /// An earlier transaction is not complete: come again.
    Concurrent,
    /// Not now: come again.
    Unavailable,
    /// Another producer has taken the transactional id.
    Fenced,
    /// The transaction must be aborted.
    Abortable,
    /// Not possible in this state.
    Invalid,
}

/// What has to happen later, or has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Todo {
    /// Write a marker.
    Marker {
        /// Transactional id.
        tid: usize,
        /// Transaction.
        txn: u32,
        /// Where.
        partition: usize,
        /// Epoch of the coordinator that writes it.
        coordinator_epoch: u32,
    },
    /// Replicate a partition up to an offset.
    Replicate {
        /// Which.
        partition: usize,
        /// Under which leader.
        leader_epoch: u32,
        /// Up to where.
        upto: u64,
    },
    /// Abort the transaction if it is still open after its timeout.
    Expire {
        /// Transactional id.
        tid: usize,
        /// Transaction.
        txn: u32,
    },
    /// The outcome of a transaction is decided.
    Decided {
        /// Transactional id.
        tid: usize,
        /// Transaction.
        txn: u32,
        /// Or aborted.
        committed: bool,
    },
    /// Committed readers of a partition may see more.
    Changed {
        /// Which.
        partition: usize,
    },
}

/// The cluster.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// Every partition.
    pub partitions: Vec<Partition>,
    /// One per transactional id.
    pub coordinators: Vec<Coordinator>,
    /// Which brokers live.
    pub alive: [bool; BROKERS],
    last_pid: u64,
    last_txn: u32,
}

impl Kafka {
    /// A cluster. `first_epoch`: epoch of the first producers; near 32,767 the producer ids change soon.
    pub fn new(partitions: usize, transactional_ids: usize, first_epoch: i32) -> Kafka {
        let partitions = (0..partitions).map(|index| Partition::new(index % BROKERS)).collect();
        let coordinators = (0..transactional_ids).map(|index| Coordinator::new(index % BROKERS, first_epoch)).collect();
        Kafka { partitions, coordinators, alive: [true; BROKERS], last_pid: 0, last_txn: 0 }
    }

    /// True while writes can be acknowledged.
    pub fn in_sync(&self) -> bool {
        self.alive.iter().filter(|alive| **alive).count() >= IN_SYNC_LEAST
    }

    /// True while a partition can be read.
    pub fn can_read(&self, partition: usize) -> bool {
        let partition = &self.partitions[partition];
        partition.led && self.alive[partition.leader]
    }

    fn can_write(&self, partition: usize) -> bool {
        self.can_read(partition) && self.in_sync()
    }

    /// True while a coordinator answers.
    pub fn coordinates(&self, tid: usize) -> bool {
        let coordinator = &self.coordinators[tid];
        coordinator.ready && self.alive[coordinator.broker] && self.in_sync()
    }

    /// A broker that takes a request: the partition's leader, or the coordinator.
    pub fn broker_of(&self, tid: usize, ask: &Ask) -> usize {
        match ask {
            Ask::Produce { part, batch, .. } => self.partitions[batch[*part].0].leader,
            Ask::InitProducer | Ask::AddPartitions { .. } | Ask::End { .. } => self.coordinators[tid].broker,
        }
    }

    /// Takes a request. `None`: the answer comes when the records are replicated, by [`Kafka::replicated`].
    pub fn take(&mut self, tid: usize, ask: &Ask, todo: &mut Vec<Todo>) -> Option<Answer> {
        match ask {
            Ask::Produce { producer, attempt, part, batch } => {
                let (partition, records) = &batch[*part];
                self.produce(tid, *producer, *attempt, *partition, records, todo)
            }
            _ if !self.coordinates(tid) => Some(Answer::Unavailable),
            Ask::InitProducer => Some(self.init_producer(tid, todo)),
            Ask::AddPartitions { producer, partitions } => Some(self.add_partitions(tid, *producer, *partitions, todo)),
            Ask::End { producer, commit } => Some(self.end(tid, *producer, *commit, todo)),
        }
    }

    fn produce(
        &mut self,
        tid: usize,
        producer: Producer,
        attempt: u32,
        index: usize,
        records: &[Payload],
        todo: &mut Vec<Todo>,
    ) -> Option<Answer> {
        if !self.can_write(index) {
            return Some(Answer::Unavailable);
        }
        if self.partitions[index].is_fenced(producer) {
            return Some(Answer::Fenced);
        }
        let found = self.partitions[index].find(producer, attempt);
        let upto = match found {
            Some(upto) => upto,
            None => {
                if self.partitions[index].is_overtaken(producer, attempt) {
                    return Some(Answer::Invalid);
                }
                if !self.coordinates(tid) {
                    return Some(Answer::Unavailable);
                }
                let coordinator = &self.coordinators[tid];
                if coordinator.producer != producer {
                    return Some(Answer::Fenced);
                }
                if coordinator.state != TxnState::Ongoing || !coordinator.partitions.contains(&index) {
                    return Some(Answer::Invalid);
                }
                let txn = coordinator.txn;
                self.partitions[index].append(producer, attempt, txn, records)
            }
        };
        let partition = &self.partitions[index];
        if partition.high_watermark >= upto {
            return Some(Answer::Done);
        }
        todo.push(Todo::Replicate { partition: index, leader_epoch: partition.leader_epoch, upto });
        None
    }

    /// Appends without a transaction: a publisher that is not ours, and never fails.
    pub fn append_plainly(&mut self, index: usize, payload: Payload, todo: &mut Vec<Todo>) -> bool {
        if !self.can_write(index) {
            return false;
        }
        let partition = &mut self.partitions[index];
        partition.append_plainly(payload);
        todo.push(Todo::Changed { partition: index });
        true
    }

    /// Replication has come up to an offset; true when it counts (else the leader has changed, or too few live).
    pub fn replicated(&mut self, index: usize, leader_epoch: u32, upto: u64, todo: &mut Vec<Todo>) -> bool {
        if !self.can_write(index) {
            return false;
        }
        let partition = &mut self.partitions[index];
        if partition.leader_epoch != leader_epoch || (partition.log.len() as u64) < upto {
            return false;
        }
        if partition.high_watermark < upto {
            partition.high_watermark = upto;
            todo.push(Todo::Changed { partition: index });
        }
        true
    }

    /// A broker fails.
    pub fn lose_broker(&mut self, broker: usize) {
        self.alive[broker] = false;
        for partition in &mut self.partitions {
            partition.led &= partition.leader != broker;
        }
        for coordinator in &mut self.coordinators {
            coordinator.ready &= coordinator.broker != broker;
        }
    }

    /// A partition gets another leader, among the living. `kept`: how much of what is not replicated survives, in
    /// thousandths. False when nobody can lead.
    pub fn elect(&mut self, index: usize, kept: u64, turn: usize, todo: &mut Vec<Todo>) -> bool {
        let Some(leader) = self.next_alive(self.partitions[index].leader, turn) else { return false };
        let partition = &mut self.partitions[index];
        partition.change_leader(leader, kept);
        let upto = partition.log.len() as u64;
        if partition.high_watermark < upto {
            todo.push(Todo::Replicate { partition: index, leader_epoch: partition.leader_epoch, upto });
        }
        todo.push(Todo::Changed { partition: index });
        true
    }

    /// A coordinator moves to another living broker, with what is written in its log; half-written ends are taken up.
    pub fn move_coordinator(&mut self, tid: usize, turn: usize, todo: &mut Vec<Todo>) -> bool {
        let Some(broker) = self.next_alive(self.coordinators[tid].broker, turn) else { return false };
        let coordinator = &mut self.coordinators[tid];
        coordinator.broker = broker;
        coordinator.ready = true;
        coordinator.coordinator_epoch += 1;
        for &partition in &coordinator.markers_missing {
            let coordinator_epoch = coordinator.coordinator_epoch;
            todo.push(Todo::Marker { tid, txn: coordinator.txn, partition, coordinator_epoch });
        }
        true
    }

    fn next_alive(&self, from: usize, turn: usize) -> Option<usize> {
        if !self.in_sync() {
            return None; // with one broker left nobody knows whether it has everything
        }
        (0..BROKERS).map(|i| (from + turn + i) % BROKERS).find(|broker| self.alive[*broker])
    }
}
