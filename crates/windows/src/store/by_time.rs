//! Rows by their event time. Times mostly rise, and then a queue is enough; late ones go into a tree.
//!
//! A row that changed or left by itself stays listed until its time is over: who asks looks whether it is still there.
//! When most of what is listed is gone, all of that is forgotten at once.

use std::collections::{BTreeSet, VecDeque};

use super::Rows;

/// Time, slot, and the order that the row had in it.
type Entry = (i64, u32, u64);

/// Entries that are never worth cleaning up.
const FEW: usize = 1024;

#[derive(Default)]
pub(crate) struct ByTime {
    rising: VecDeque<Entry>,
    late: BTreeSet<Entry>,
}

impl ByTime {
    pub(crate) fn insert(&mut self, time: i64, slot: u32, order: u64) {
        if self.rising.back().is_none_or(|&(last, ..)| last <= time) {
            self.rising.push_back((time, slot, order));
        } else {
            self.late.insert((time, slot, order));
        }
    }

    pub(crate) fn oldest(&self) -> Option<Entry> {
        match (self.rising.front(), self.late.first()) {
            (Some(&rising), Some(&late)) => Some(if late.0 < rising.0 { late } else { rising }),
            (rising, late) => rising.or(late).copied(),
        }
    }

    pub(crate) fn remove_oldest(&mut self) {
        match (self.rising.front(), self.late.first()) {
            (Some(rising), Some(late)) if late.0 < rising.0 => drop(self.late.pop_first()),
            (Some(_), _) => drop(self.rising.pop_front()),
            (None, _) => drop(self.late.pop_first()),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.rising.capacity() + self.late.len()) * size_of::<Entry>()
    }

    /// Forgets entries of rows that are gone, when they are most.
    pub(crate) fn forget_gone(&mut self, rows: &Rows) {
        let listed = self.rising.len() + self.late.len();
        if listed > FEW && listed > 4 * rows.len() {
            self.rising.retain(|&(_, slot, order)| rows.is_at(slot, order));
            self.late.retain(|&(_, slot, order)| rows.is_at(slot, order));
        }
    }
}
