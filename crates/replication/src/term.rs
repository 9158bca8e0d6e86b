//! The numbers and names of the protocol, each a type of its own.

use std::fmt;
use std::sync::Arc;

/// Term of a leader: rises with every grant of the election, never falls. 0 is "before the first leader".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Term(pub u64);

/// Number of a commit of a project, from 1, without gaps. 0 is "before the first commit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CommitNumber(pub u64);

impl CommitNumber {
    /// The number of the commit after this one.
    pub fn next(self) -> CommitNumber {
        CommitNumber(self.0 + 1)
    }
}

/// Name of an engine, unique in its mesh, the same after a restart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineId(pub Arc<str>);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for CommitNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
