//! The last events, and windows of them.

use std::collections::VecDeque;

use crate::state::{Damage, Reader, Writer};

/// The last `length` rows of `N` numbers.
pub(crate) struct Recent<const N: usize> {
    length: usize,
    rows: VecDeque<[f64; N]>,
}

impl<const N: usize> Recent<N> {
    pub(crate) fn new(length: usize) -> Recent<N> {
        Recent { length, rows: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, row: [f64; N]) {
        if self.rows.len() == self.length {
            self.rows.pop_front();
        }
        self.rows.push_back(row);
    }

    /// From the oldest to the newest.
    pub(crate) fn rows(&mut self) -> &[[f64; N]] {
        self.rows.make_contiguous()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.rows.len() * size_of::<[f64; N]>()
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.rows);
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.rows = from.get()?;
        if self.rows.len() > self.length {
            return Err(Damage::Broken("more events than the window looks back"));
        }
        Ok(())
    }
}

/// Windows of `length` values that overlap by `overlap`.
pub(crate) struct Frames {
    length: usize,
    overlap: usize,
    /// Fewer than `length`.
    values: Vec<f64>,
}

impl Frames {
    /// `overlap` is below `length`.
    pub(crate) fn new(length: usize, overlap: usize) -> Frames {
        Frames { length, overlap, values: Vec::new() }
    }

    /// Adds a value; the window that it fills.
    pub(crate) fn push(&mut self, value: f64) -> Option<Vec<f64>> {
        self.values.push(value);
        if self.values.len() < self.length {
            return None;
        }
        let rest = self.values[self.length - self.overlap..].to_vec();
        Some(std::mem::replace(&mut self.values, rest))
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.values);
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.values = from.get()?;
        if self.values.len() >= self.length {
            return Err(Damage::Broken("a window of values is full and did not come out"));
        }
        Ok(())
    }
}
