//! The coordinator of one transactional id: who may write, and how far the transaction is.

use super::{Answer, Kafka, Todo};

/// A producer as the brokers know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Producer {
    /// Its id; 0: none yet.
    pub pid: u64,
    /// Rises with every `InitProducerId`.
    pub epoch: i32,
}

/// Highest epoch that a producer id can have; then comes a new id.
const EPOCH_MOST: i32 = 32_766;

/// State of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnState {
    /// There was none since the producer began.
    Empty,
    /// Open.
    Ongoing,
    /// Decided; markers are missing.
    Prepared {
        /// Or aborted.
        committed: bool,
    },
    /// Decided, and every marker is written.
    Complete {
        /// Or aborted.
        committed: bool,
    },
}

/// What the coordinator's log says of one transactional id.
#[derive(Debug, Clone)]
pub struct Coordinator {
    /// Broker that it is on.
    pub broker: usize,
    /// False from the loss of its broker until it has moved.
    pub ready: bool,
    /// Rises with every move.
    pub coordinator_epoch: u32,
    /// Who may write.
    pub producer: Producer,
    /// State of its transaction.
    pub state: TxnState,
    /// Number of the transaction, unique in the cluster.
    pub txn: u32,
    /// Partitions of the transaction.
    pub partitions: Vec<usize>,
    /// Partitions whose marker is missing.
    pub markers_missing: Vec<usize>,
}

impl Coordinator {
    pub(super) fn new(broker: usize, first_epoch: i32) -> Coordinator {
        Coordinator {
            broker,
            ready: true,
            coordinator_epoch: 0,
            producer: Producer { pid: 0, epoch: first_epoch },
            state: TxnState::Empty,
            txn: 0,
            partitions: Vec::new(),
            markers_missing: Vec::new(),
        }
    }
}

impl Kafka {
    pub(super) fn init_producer(&mut self, tid: usize, todo: &mut Vec<Todo>) -> Answer {
        match self.coordinators[tid].state {
            TxnState::Prepared { .. } => Answer::Concurrent,
            TxnState::Ongoing => {
                // whoever has it open is fenced by the markers of the abort
                self.coordinators[tid].producer.epoch += 1;
                self.decide(tid, false, todo);
                Answer::Concurrent
            }
            TxnState::Empty | TxnState::Complete { .. } => {
                let coordinator = &mut self.coordinators[tid];
                if coordinator.producer.pid == 0 || coordinator.producer.epoch >= EPOCH_MOST {
                    self.last_pid += 1;
                    let epoch = if coordinator.producer.pid == 0 { coordinator.producer.epoch } else { 0 };
                    coordinator.producer = Producer { pid: self.last_pid, epoch };
                } else {
                    coordinator.producer.epoch += 1;
                }
                coordinator.state = TxnState::Empty;
                Answer::Producer(coordinator.producer)
            }
        }
    }

    pub(super) fn add_partitions(
        &mut self,
        tid: usize,
        producer: Producer,
        partitions: u32,
        todo: &mut Vec<Todo>,
    ) -> Answer {
        let coordinator = &mut self.coordinators[tid];
        if coordinator.producer != producer {
            return Answer::Fenced;
        }
        match coordinator.state {
            TxnState::Prepared { .. } => return Answer::Concurrent,
            TxnState::Ongoing => {}
            TxnState::Empty | TxnState::Complete { .. } => {
                self.last_txn += 1;
                coordinator.txn = self.last_txn;
                coordinator.state = TxnState::Ongoing;
                coordinator.partitions.clear();
                todo.push(Todo::Expire { tid, txn: coordinator.txn });
            }
        }
        for partition in (0..32).filter(|bit| partitions >> bit & 1 == 1) {
            if !coordinator.partitions.contains(&partition) {
                coordinator.partitions.push(partition);
            }
        }
        Answer::Done
    }

    pub(super) fn end(&mut self, tid: usize, producer: Producer, commit: bool, todo: &mut Vec<Todo>) -> Answer {
        let coordinator = &self.coordinators[tid];
        if coordinator.producer != producer {
            return Answer::Fenced;
        }
        match coordinator.state {
            TxnState::Ongoing => {
                self.decide(tid, commit, todo);
                Answer::Done
            }
            TxnState::Prepared { committed } if committed == commit => Answer::Concurrent,
            TxnState::Complete { committed } if committed == commit => Answer::Done,
            TxnState::Prepared { .. } | TxnState::Complete { .. } | TxnState::Empty => Answer::Invalid,
        }
    }

    fn decide(&mut self, tid: usize, committed: bool, todo: &mut Vec<Todo>) {
        let coordinator = &mut self.coordinators[tid];
        coordinator.state = TxnState::Prepared { committed };
        coordinator.markers_missing = coordinator.partitions.clone();
        let (txn, coordinator_epoch) = (coordinator.txn, coordinator.coordinator_epoch);
        todo.push(Todo::Decided { tid, txn, committed });
        for &partition in &coordinator.partitions {
            todo.push(Todo::Marker { tid, txn, partition, coordinator_epoch });
        }
        if coordinator.partitions.is_empty() {
            coordinator.state = TxnState::Complete { committed };
        }
    }

    /// A transaction was open for too long.
    pub fn expire(&mut self, tid: usize, txn: u32, todo: &mut Vec<Todo>) {
        let coordinator = &mut self.coordinators[tid];
        if coordinator.state == TxnState::Ongoing && coordinator.txn == txn {
            coordinator.producer.epoch += 1;
            self.decide(tid, false, todo);
        }
    }

    /// Writes a marker; false when it has to be tried again.
    pub fn write_marker(
        &mut self,
        tid: usize,
        txn: u32,
        index: usize,
        coordinator_epoch: u32,
        todo: &mut Vec<Todo>,
    ) -> bool {
        if !self.can_write(index) {
            return false;
        }
        let coordinator = &mut self.coordinators[tid];
        let (TxnState::Prepared { committed }, true) = (coordinator.state, coordinator.txn == txn) else {
            return true; // written already, by another coordinator of the same id
        };
        if !coordinator.markers_missing.contains(&index) {
            return true;
        }
        if self.partitions[index].mark(coordinator.producer, txn, committed, coordinator_epoch) {
            coordinator.markers_missing.retain(|missing| *missing != index);
            todo.push(Todo::Changed { partition: index });
            if coordinator.markers_missing.is_empty() {
                coordinator.state = TxnState::Complete { committed };
            }
        }
        true
    }
}
