//! Which rows of a block a step works on: both ways of a condition run over the whole block, each for its rows.

use crate::vector::Vector;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Active {
    All,
    Some(Vec<bool>),
}

impl Active {
    pub fn is(&self, row: usize) -> bool {
        match self {
            Active::All => true,
            Active::Some(rows) => rows[row],
        }
    }

    pub fn any(&self, rows: usize) -> bool {
        match self {
            Active::All => rows > 0,
            Active::Some(active) => active.contains(&true),
        }
    }

    pub fn first(&self) -> Option<usize> {
        match self {
            Active::All => Some(0),
            Active::Some(active) => active.iter().position(|active| *active),
        }
    }

    pub fn count(&self, rows: usize) -> usize {
        match self {
            Active::All => rows,
            Active::Some(active) => active.iter().filter(|active| **active).count(),
        }
    }

    /// The active rows for which `test` holds.
    pub fn only(&self, rows: usize, test: impl Fn(usize) -> bool) -> Active {
        Active::Some((0..rows).map(|row| self.is(row) && test(row)).collect())
    }

    /// Active in either.
    pub fn or(&self, other: &Active) -> Active {
        match (self, other) {
            (Active::Some(a), Active::Some(b)) => Active::Some(a.iter().zip(b).map(|(a, b)| *a || *b).collect()),
            _ => Active::All,
        }
    }
}

/// True in this row, and not null.
pub(crate) fn holds(condition: &Vector<'_>, row: usize) -> bool {
    condition.boolean(row) && !condition.is_null(row)
}
