//! One partition: entries, the high watermark, what is open, and who may write.

use super::{Payload, Producer};

/// Entries looked at for one that was sent twice: more than a sender has under way.
const RECENT_MOST: usize = 64;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its transaction is not decided here.
    Open,
    /// Committed readers see it.
    Committed,
    /// Nobody sees it.
    Aborted,
}

/// A record, or a marker.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Content.
    pub payload: Payload,
    /// Transaction; 0 for none.
    pub txn: u32,
    /// What became of it.
    pub fate: Fate,
    producer: Producer,
    attempt: u32,
}

/// A transaction that is open in a partition.
#[derive(Debug, Clone, Copy)]
struct Opened {
    producer: u64,
    txn: u32,
    first: u64,
}

/// A partition. Its entries' indices are their offsets.
#[derive(Debug, Clone)]
pub struct Partition {
    /// Every entry that was ever written and not lost.
    pub log: Vec<Entry>,
    /// Oldest offset that can still be read.
    pub start: u64,
    /// What is replicated.
    pub high_watermark: u64,
    /// Broker that leads.
    pub leader: usize,
    /// False from the loss of the leader until there is another one.
    pub led: bool,
    /// Rises with every leader.
    pub leader_epoch: u32,
    open: Vec<Opened>,
    /// Highest epoch seen of every producer id.
    epochs: Vec<Producer>,
    /// Highest epoch of a coordinator seen, by the producer id that it coordinates.
    coordinator_epochs: Vec<(u64, u32)>,
}

impl Partition {
    pub(super) fn new(leader: usize) -> Partition {
        Partition {
            log: Vec::new(),
            start: 0,
            high_watermark: 0,
            leader,
            led: true,
            leader_epoch: 0,
            open: Vec::new(),
            epochs: Vec::new(),
            coordinator_epochs: Vec::new(),
        }
    }

    /// Offset up to which committed readers may read: before the first open transaction, and replicated.
    pub fn last_stable(&self) -> u64 {
        self.open
            .iter()
            .map(|open| open.first)
            .min()
            .map_or(self.high_watermark, |first| first.min(self.high_watermark))
    }

    pub(super) fn is_fenced(&self, producer: Producer) -> bool {
        self.epochs.iter().any(|seen| seen.pid == producer.pid && seen.epoch > producer.epoch)
    }

    /// End of what this attempt has appended already.
    pub(super) fn find(&self, producer: Producer, attempt: u32) -> Option<u64> {
        let same =
            |entry: &Entry| entry.producer == producer && entry.attempt == attempt && entry.payload != Payload::Marker;
        let recent = self.log.iter().rev().take(RECENT_MOST);
        recent.clone().position(same).map(|back| (self.log.len() - back) as u64)
    }

    /// True when this attempt is older than what the producer has appended since: its sequence numbers lie behind, and
    /// the real one refuses them.
    pub(super) fn is_overtaken(&self, producer: Producer, attempt: u32) -> bool {
        let mut mine = self.log.iter().rev().filter(|it| it.producer == producer && it.payload != Payload::Marker);
        mine.next().is_some_and(|newest| newest.attempt > attempt)
    }

    pub(super) fn append(&mut self, producer: Producer, attempt: u32, txn: u32, records: &[Payload]) -> u64 {
        self.see(producer);
        if !self.open.iter().any(|open| open.producer == producer.pid) {
            self.open.push(Opened { producer: producer.pid, txn, first: self.log.len() as u64 });
        }
        for payload in records {
            self.log.push(Entry { payload: payload.clone(), txn, fate: Fate::Open, producer, attempt });
        }
        self.log.len() as u64
    }

    pub(super) fn append_plainly(&mut self, payload: Payload) {
        let producer = Producer { pid: 0, epoch: 0 };
        self.log.push(Entry { payload, txn: 0, fate: Fate::Committed, producer, attempt: 0 });
        // its replication is not of interest
        self.high_watermark = self.log.len() as u64;
    }

    /// Ends a transaction here. False when a newer coordinator has written already.
    pub(super) fn mark(&mut self, producer: Producer, txn: u32, committed: bool, coordinator_epoch: u32) -> bool {
        match self.coordinator_epochs.iter_mut().find(|(pid, _)| *pid == producer.pid) {
            Some((_, seen)) if *seen > coordinator_epoch => return false,
            Some((_, seen)) => *seen = coordinator_epoch,
            None => self.coordinator_epochs.push((producer.pid, coordinator_epoch)),
        }
        self.see(producer);
        let fate = if committed { Fate::Committed } else { Fate::Aborted };
        if let Some(index) = self.open.iter().position(|open| open.producer == producer.pid) {
            let open = self.open.swap_remove(index);
            for entry in &mut self.log[open.first as usize..] {
                if entry.txn == open.txn && entry.fate == Fate::Open {
                    entry.fate = fate;
                }
            }
        }
        self.log.push(Entry { payload: Payload::Marker, txn, fate, producer, attempt: 0 });
        // a marker is written with acks from all: what is before it is replicated as well
        self.high_watermark = self.log.len() as u64;
        true
    }

    fn see(&mut self, producer: Producer) {
        match self.epochs.iter_mut().find(|seen| seen.pid == producer.pid) {
            Some(seen) => seen.epoch = seen.epoch.max(producer.epoch),
            None => self.epochs.push(producer),
        }
    }

    pub(super) fn change_leader(&mut self, leader: usize, kept: u64) {
        self.leader = leader;
        self.led = true;
        self.leader_epoch += 1;
        let loose = self.log.len() as u64 - self.high_watermark;
        let mut end = self.high_watermark + loose * kept / 1000;
        // records that were sent together are kept together
        let of = |offset: u64| self.log.get(offset as usize).map(|entry| (entry.producer, entry.attempt));
        while end > self.high_watermark && of(end).is_some() && of(end) == of(end - 1) {
            end -= 1;
        }
        self.log.truncate(end as usize);
        self.open.retain(|open| open.first < end);
    }

    /// Retention: what is below this offset is gone.
    pub fn trim(&mut self, start: u64) {
        self.start = self.start.max(start.min(self.high_watermark));
    }

    /// The records of a transaction.
    pub fn records_of(&self, txn: u32) -> impl Iterator<Item = &Payload> {
        let tail = self.log.iter().rev().take_while(move |entry| {
            // A marker of an earlier transaction may come after records of this one: they are of two lanes.
            entry.txn >= txn || entry.txn == 0 || entry.payload == Payload::Marker
        });
        let mine = tail.filter(move |entry| entry.txn == txn && entry.payload != Payload::Marker);
        mine.map(|entry| &entry.payload).collect::<Vec<_>>().into_iter().rev()
    }
}
