//! Groups: found by the values that rows are grouped by.

use std::sync::Arc;

// order-free: found by key only; groups are saved by the number of their creation.
use hashbrown::HashTable;
use mesh_event::{Column, Value};

use crate::store::keys;

/// One group.
pub(crate) struct Group {
    /// The values it is grouped by.
    pub key: Vec<Value>,
    hash: u64,
    /// Number of the group by its creation.
    pub number: u64,
    /// Its rows.
    pub rows: u64,
    /// Its output events so far.
    pub outputs: u64,
}

impl Group {
    pub(crate) fn new(key: Vec<Value>, number: u64) -> Group {
        Group { hash: keys::hash_of_values(&key), key, number, rows: 0, outputs: 0 }
    }
}

/// The groups of a window by their place, which is given to another group when one is gone.
#[derive(Default)]
pub(crate) struct Groups {
    places: Vec<Option<Group>>,
    free: Vec<u32>,
    index: HashTable<(u64, u32)>,
    /// Number of the next group.
    pub next: u64,
}

impl Groups {
    /// Places that were ever in use.
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    /// Groups that exist.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    #[inline]
    pub(crate) fn at(&mut self, place: u32) -> &mut Group {
        self.places[place as usize].as_mut().expect("only places of groups that exist are asked for")
    }

    /// The place of a row's group, which is made when there is none.
    #[inline]
    pub(crate) fn of(&mut self, hash: u64, fields: &[usize], columns: &[Arc<Column>], row: usize) -> u32 {
        let same = |&(other, place): &(u64, u32)| {
            let group = self.places[place as usize].as_ref().expect("the index names groups that exist");
            let mut fields = fields.iter().zip(&group.key);
            other == hash && fields.all(|(&field, value)| keys::is_value(&columns[field], row, value))
        };
        if let Some(&(_, place)) = self.index.find(hash, same) {
            return place;
        }
        let key = fields.iter().map(|&field| columns[field].value(row)).collect();
        let group = Group::new(key, self.next);
        self.next += 1;
        self.put(group)
    }

    /// Adds a group whose key is new.
    pub(crate) fn put(&mut self, group: Group) -> u32 {
        let hash = group.hash;
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = Some(group);
                place
            }
            None => {
                self.places.push(Some(group));
                self.places.len() as u32 - 1
            }
        };
        self.index.insert_unique(hash, (hash, place), |&(hash, _)| hash);
        place
    }

    /// The place of the group with a row's key.
    pub(crate) fn find(&self, hash: u64, fields: &[usize], columns: &[Arc<Column>], row: usize) -> Option<u32> {
        let same = |&(other, place): &(u64, u32)| {
            let group = self.places[place as usize].as_ref().expect("the index names groups that exist");
            let mut fields = fields.iter().zip(&group.key);
            other == hash && fields.all(|(&field, value)| keys::is_value(&columns[field], row, value))
        };
        self.index.find(hash, same).map(|&(_, place)| place)
    }

    pub(crate) fn remove(&mut self, place: u32) {
        let group = self.places[place as usize].take().expect("only a group that exists goes");
        let found = self.index.find_entry(group.hash, |&(_, other)| other == place);
        found.expect("every group is in the index").remove();
        self.free.push(place);
    }

    /// Groups and their places, by the number of their creation.
    pub(crate) fn in_order(&self) -> Vec<(u32, &Group)> {
        let groups = self.places.iter().enumerate();
        let mut groups: Vec<_> = groups.filter_map(|(place, group)| Some((place as u32, group.as_ref()?))).collect();
        groups.sort_unstable_by_key(|(_, group)| group.number);
        groups
    }

    pub(crate) fn bytes(&self) -> usize {
        let key = self.places.iter().flatten().next().map_or(0, |group| group.key.len() * size_of::<Value>());
        self.places.len() * (size_of::<Option<Group>>() + key) + self.index.capacity() * size_of::<(u64, u32)>()
    }
}
