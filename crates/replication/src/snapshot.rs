//! Snapshots as the protocol sees them: what a saved state belongs to, whether the topics still lead on from it, and
//! how much of the commit log the kept ones need. Where and how bytes are stored is nobody's business here.

use crate::engine::MachineState;
use crate::{CommitNumber, Poison, Term};

/// The commit whose state was saved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SnapshotPoint {
    /// Number of the commit.
    pub number: CommitNumber,
    /// Term of its record.
    pub term: Term,
    /// Offset of its record in the commit log: the log is read on from there, and the record is compared first.
    pub log_offset: u64,
    /// Fingerprint of the model.
    pub model_fingerprint: u64,
    /// State after the commit.
    pub state: MachineState,
    /// The blocks on which apply had failed and that were not got over, if any.
    pub poison: Option<Poison>,
}

/// Oldest offsets that the topics of a project hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldestOffsets {
    /// Of the commit log.
    pub log: u64,
    /// Of each input topic.
    pub inputs: Vec<u64>,
}

/// Why no engine can go on from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is of another version of the project.
    #[error("it is of model {found:016x}, this engine runs model {expected:016x}")]
    Model {
        /// Its model.
        found: u64,
        /// That of this engine.
        expected: u64,
    },
    /// It names other input topics.
    #[error("it names {found} input topics, the model has {expected}")]
    Inputs {
        /// How many it names.
        found: usize,
        /// How many there are.
        expected: usize,
    },
    /// The commit log no longer holds the record of its commit.
    #[error("the commit log no longer holds offset {needed}, the record of its commit (oldest: {oldest})")]
    LogGone {
        /// Offset of the record.
        needed: u64,
        /// Oldest offset there is.
        oldest: u64,
    },
    /// An input topic no longer holds what comes next.
    #[error("input {input} no longer holds offset {needed}, the next to apply (oldest: {oldest})")]
    InputGone {
        /// Index of the input topic.
        input: usize,
        /// Offset that would be applied next.
        needed: u64,
        /// Oldest offset there is.
        oldest: u64,
    },
}

impl SnapshotPoint {
    /// Whether the topics still hold all that comes after it.
    pub fn check(&self, model_fingerprint: u64, oldest: &OldestOffsets) -> Result<(), Unusable> {
        if self.model_fingerprint != model_fingerprint {
            return Err(Unusable::Model { found: self.model_fingerprint, expected: model_fingerprint });
        }
        let positions = &self.state.positions;
        if positions.len() != oldest.inputs.len() {
            return Err(Unusable::Inputs { found: positions.len(), expected: oldest.inputs.len() });
        }
        // The planted bug takes one that lacks exactly the first offset it needs.
        let spare = u64::from(planted!(RetentionOffByOne));
        if self.log_offset + spare < oldest.log {
            return Err(Unusable::LogGone { needed: self.log_offset, oldest: oldest.log });
        }
        let inputs = positions.iter().zip(&oldest.inputs).enumerate();
        for (input, (&needed, &oldest)) in inputs {
            if needed + spare < oldest {
                return Err(Unusable::InputGone { input, needed, oldest });
            }
        }
        Ok(())
    }
}

/// Below which offset the commit log may be deleted when these snapshots are kept; the record of the oldest one's commit
/// stays, since it is what the state is compared with.
pub fn log_needed_from<'a>(kept: impl IntoIterator<Item = &'a SnapshotPoint>) -> Option<u64> {
    let offsets = kept.into_iter().map(|point| point.log_offset);
    if planted!(TrimPastOldest) { offsets.max() } else { offsets.min() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(log_offset: u64, positions: &[u64]) -> SnapshotPoint {
        SnapshotPoint {
            number: CommitNumber(9),
            term: Term(2),
            log_offset,
            model_fingerprint: 7,
            state: MachineState { positions: positions.to_vec(), ..MachineState::default() },
            poison: None,
        }
    }

    #[test]
    fn a_snapshot_is_usable_while_the_topics_hold_the_very_offsets_it_needs() {
        let oldest = |log, input| OldestOffsets { log, inputs: vec![0, input] };
        let point = point(40, &[3, 100]);
        assert_eq!(point.check(7, &oldest(40, 100)), Ok(()));
        assert_eq!(point.check(7, &oldest(41, 100)), Err(Unusable::LogGone { needed: 40, oldest: 41 }));
        let gone = Err(Unusable::InputGone { input: 1, needed: 100, oldest: 101 });
        assert_eq!(point.check(7, &oldest(40, 101)), gone);
        assert_eq!(point.check(8, &oldest(40, 100)), Err(Unusable::Model { found: 7, expected: 8 }));
        let one = OldestOffsets { log: 0, inputs: vec![0] };
        assert_eq!(point.check(7, &one), Err(Unusable::Inputs { found: 2, expected: 1 }));
    }

    #[test]
    fn the_log_is_kept_from_the_oldest_snapshot_on() {
        assert_eq!(log_needed_from(&[point(80, &[]), point(40, &[]), point(60, &[])]), Some(40));
        assert_eq!(log_needed_from([]), None);
    }
}
