//! The open instances of a pattern: by where they are looked for, and by when something happens to them by itself.
//!
//! Instances come and go with the events, so their memory is used again: an event that opens one allocates nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use xxhash_rust::xxh3::xxh3_64;

// order-free: places are found by key only.
use hashbrown::HashTable;
use mesh_event::Value;

use super::machine::Progress;
use super::rule::Captures;

/// Places without an instance that are kept for the next one, besides as many as there are with one; and entries of
/// instances that are gone among the deadlines.
const SPARE: usize = 1024;

/// A match in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Instance {
    /// Rises from the oldest to the youngest.
    pub number: u64,
    pub progress: Vec<Progress>,
    pub variables: Vec<Option<Value>>,
    pub captures: Captures,
    place: u32,
    /// The last time at which nothing happens to it by itself.
    deadline: Option<i64>,
}

/// Where instances are looked for: the values of the index fields.
#[derive(Default)]
struct Place {
    key: Vec<u8>,
    hash: u64,
    /// Rising by number.
    instances: Vec<u32>,
}

/// The open instances of a pattern.
#[derive(Default)]
pub(crate) struct Open {
    instances: Vec<Option<Instance>>,
    free: Vec<u32>,
    /// Memory of instances that are gone.
    pool: Vec<Instance>,
    places: Vec<Place>,
    free_places: Vec<u32>,
    index: HashTable<u32>,
    /// Places in the index without an instance.
    empty: usize,
    /// Deadline, number and slot; with entries that no longer hold, but never one of these first.
    deadlines: BinaryHeap<Reverse<(i64, u64, u32)>>,
}

impl Open {
    pub(crate) fn len(&self) -> usize {
        self.instances.len() - self.free.len()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Instance> {
        self.instances[slot as usize].as_mut()
    }

    /// An instance that has seen nothing; of so many parts, variables and events.
    pub(crate) fn fresh(&mut self, parts: usize, variables: usize, events: usize) -> Instance {
        let mut instance = self.pool.pop().unwrap_or_default();
        instance.progress.clear();
        instance.progress.resize(parts, Progress::default());
        instance.variables.clear();
        instance.variables.resize(variables, None);
        instance.captures.clear();
        instance.captures.resize(events, None);
        instance
    }

    /// Gives the memory of an instance back that was not opened, or is no more.
    pub(crate) fn put_back(&mut self, instance: Instance) {
        if self.pool.len() < SPARE {
            self.pool.push(instance);
        }
    }

    /// The instances at a place, oldest first.
    pub(crate) fn at(&self, key: &[u8]) -> &[u32] {
        let found = self.find(xxh3_64(key), key);
        found.map_or(&[], |place| &self.places[place as usize].instances)
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let same = |&place: &u32| {
            let place = &self.places[place as usize];
            place.hash == hash && place.key == key
        };
        self.index.find(hash, same).copied()
    }

    /// Opens an instance, which must be the youngest.
    pub(crate) fn insert(&mut self, mut instance: Instance, key: &[u8], deadline: Option<i64>) {
        let hash = xxh3_64(key);
        let place = self.find(hash, key).unwrap_or_else(|| self.new_place(hash, key));
        instance.place = place;
        instance.deadline = None;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.instances[slot as usize] = Some(instance);
                slot
            }
            None => {
                self.instances.push(Some(instance));
                self.instances.len() as u32 - 1
            }
        };
        let instances = &mut self.places[place as usize].instances;
        self.empty -= usize::from(instances.is_empty());
        instances.push(slot);
        self.set_deadline(slot, deadline);
    }

    fn new_place(&mut self, hash: u64, key: &[u8]) -> u32 {
        let at = self.free_places.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() as u32 - 1
        });
        let place = &mut self.places[at as usize];
        place.hash = hash;
        place.key.clear();
        place.key.extend_from_slice(key);
        let places = &self.places;
        self.index.insert_unique(hash, at, |&place| places[place as usize].hash);
        self.empty += 1;
        at
    }

    /// Takes an instance out.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Instance> {
        let instance = self.instances[slot as usize].take()?;
        self.free.push(slot);
        let instances = &mut self.places[instance.place as usize].instances;
        instances.retain(|&other| other != slot);
        self.empty += usize::from(instances.is_empty());
        self.forget_empty();
        self.forget_stale();
        Some(instance)
    }

    /// Forgets places without an instance, when they are most.
    fn forget_empty(&mut self) {
        if self.empty <= SPARE + self.index.len() / 2 {
            return;
        }
        let Open { places, free_places, index, .. } = self;
        index.retain(|&mut at| {
            let keeps = !places[at as usize].instances.is_empty();
            if !keeps {
                places[at as usize] = Place::default();
                free_places.push(at);
            }
            keeps
        });
        // The table is walked in an order of its own; which place is used next must not depend on it.
        free_places.sort_unstable_by(|a, b| b.cmp(a));
        self.empty = 0;
    }

    /// The key of an instance's place.
    pub(crate) fn key(&self, instance: &Instance) -> &[u8] {
        &self.places[instance.place as usize].key
    }

    /// Notes until when nothing happens to an instance by itself; `None`: it waits for events only.
    pub(crate) fn set_deadline(&mut self, slot: u32, deadline: Option<i64>) {
        let Some(instance) = &mut self.instances[slot as usize] else { return };
        if instance.deadline == deadline {
            return;
        }
        instance.deadline = deadline;
        self.deadlines.extend(deadline.map(|deadline| Reverse((deadline, instance.number, slot))));
        self.forget_stale();
    }

    fn holds(&self, (deadline, number, slot): (i64, u64, u32)) -> bool {
        let instance = self.instances[slot as usize].as_ref();
        instance.is_some_and(|instance| instance.number == number && instance.deadline == Some(deadline))
    }

    /// Drops entries that no longer hold: the first ones, and all when they are most.
    fn forget_stale(&mut self) {
        while let Some(&Reverse(first)) = self.deadlines.peek()
            && !self.holds(first)
        {
            self.deadlines.pop();
        }
        if self.deadlines.len() > SPARE + 2 * self.len() {
            let mut all = std::mem::take(&mut self.deadlines).into_vec();
            all.retain(|&Reverse(entry)| self.holds(entry));
            self.deadlines = all.into();
        }
    }

    /// The earliest deadline.
    #[inline]
    pub(crate) fn first_deadline(&self) -> Option<i64> {
        self.deadlines.peek().map(|&Reverse((deadline, ..))| deadline)
    }

    /// Takes the deadlines before a time: slots of their instances, oldest first.
    pub(crate) fn due(&mut self, now: i64) -> Vec<u32> {
        let mut due = Vec::new();
        while let Some(&Reverse(first)) = self.deadlines.peek()
            && first.0 < now
        {
            self.deadlines.pop();
            if self.holds(first) {
                due.push((first.1, first.2));
                if let Some(instance) = self.get_mut(first.2) {
                    instance.deadline = None;
                }
            }
        }
        self.forget_stale();
        due.sort_unstable();
        due.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Slots of all instances, oldest first.
    pub(crate) fn in_order(&self) -> Vec<u32> {
        let slots = self.instances.iter().enumerate();
        let mut slots: Vec<(u64, u32)> =
            slots.filter_map(|(slot, instance)| Some((instance.as_ref()?.number, slot as u32))).collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, slot)| slot).collect()
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Instance> {
        self.instances[slot as usize].as_ref()
    }
}
