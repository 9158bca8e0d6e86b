//! What calculate, train and score windows do.

use crate::algorithms::{Algorithm, Settings};

/// A calculate window (Summary aside): an algorithm over its input.
#[derive(Debug, Clone)]
pub struct Calculate {
    /// The algorithm with its parameters and inputs.
    pub run: AlgorithmRun,
    /// One entry per field of the window's schema.
    pub fields: Vec<ResultField>,
}

/// An algorithm, its parameters, and the fields that it looks at.
#[derive(Debug, Clone)]
pub struct AlgorithmRun {
    /// The algorithm.
    pub algorithm: &'static Algorithm,
    /// Its parameters.
    pub settings: Settings,
    /// The fields that play each of its roles, in the order of its table; empty for a role that none plays.
    pub inputs: Vec<Vec<usize>>,
}

impl AlgorithmRun {
    /// Everything that decides what it computes.
    pub(crate) fn canonical(&self) -> String {
        format!("{} {:?} {:?}", self.algorithm.name, self.settings, self.inputs)
    }
}

/// Where a field of a window with an algorithm comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultField {
    /// The input field at this position; types are equal.
    Copy(usize),
    /// A result, converted to the field's type.
    Result {
        /// Which of the window's algorithms; a calculate window has one.
        run: usize,
        /// Position of the result in the algorithm's table.
        output: usize,
        /// Which element of a list; `None` = all of it.
        element: Option<usize>,
    },
    /// Neither mapped nor in the input: always null.
    Null,
}
