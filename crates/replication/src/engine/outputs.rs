//! The outputs that are not known to be committed: those of the commit under way, and those made since.
//!
//! The driver keeps them here, and so does the small world of the tests, since a rule broken here doubles or loses
//! output as surely as one broken in the role.

use std::sync::Arc;

use crate::CommitNumber;

/// An output with its place in its topic.
pub trait Sequenced {
    /// Index of the output topic.
    fn output(&self) -> usize;
    /// Sequence in that topic.
    fn sequence(&self) -> u64;
}

/// Outputs that are not known to be committed, in order of sequence per topic.
#[derive(Debug)]
pub struct KeptOutputs<T> {
    open: Vec<T>,
    in_flight: Option<(CommitNumber, Arc<Vec<T>>)>,
    /// Outputs up to these sequences are known to be committed, whoever did it.
    through: Vec<u64>,
}

impl<T: Sequenced + Clone> KeptOutputs<T> {
    /// Nothing kept.
    pub fn new(outputs: usize) -> KeptOutputs<T> {
        KeptOutputs { open: Vec::new(), in_flight: None, through: vec![0; outputs] }
    }

    /// Keeps an output for the next commit.
    pub fn keep(&mut self, output: T) {
        self.open.push(output);
    }

    /// Hands everything kept to a commit.
    pub fn commit(&mut self, number: CommitNumber) -> Arc<Vec<T>> {
        assert!(self.in_flight.is_none(), "R2: one commit under way");
        let outputs = Arc::new(std::mem::take(&mut self.open));
        self.in_flight = Some((number, outputs.clone()));
        outputs
    }

    /// A commit is done; another number is the last word of one that was given up.
    pub fn committed(&mut self, number: CommitNumber) {
        self.in_flight.take_if(|(under_way, _)| *under_way == number);
    }

    /// A commit failed: its outputs are kept again, before those made since, but for those that the log has shown to
    /// be committed meanwhile.
    pub fn failed(&mut self, number: CommitNumber) {
        if let Some((_, outputs)) = self.in_flight.take_if(|(under_way, _)| *under_way == number) {
            if planted!(FailedOutputsDropped) {
                return;
            }
            let mut outputs = Arc::unwrap_or_clone(outputs);
            outputs.append(&mut self.open);
            self.open = outputs;
            if !planted!(FailedOutputsNotTrimmed) {
                self.trim();
            }
        }
    }

    /// The log shows that outputs up to these sequences are committed.
    pub fn forget(&mut self, through: &[u64]) {
        self.through.copy_from_slice(through);
        self.trim();
    }

    fn trim(&mut self) {
        let through = &self.through;
        self.open.retain(|output| output.sequence() > through[output.output()]);
    }

    /// Forgets everything: the state that made them is thrown away.
    pub fn clear(&mut self) {
        self.open.clear();
        self.in_flight = None;
        self.through.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Out(u64);

    impl Sequenced for Out {
        fn output(&self) -> usize {
            0
        }

        fn sequence(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn outputs_committed_by_a_successor_do_not_come_back_with_a_late_failure() {
        let mut kept = KeptOutputs::new(1);
        kept.keep(Out(1));
        kept.keep(Out(2));
        assert_eq!(*kept.commit(CommitNumber(7)), [Out(1), Out(2)]);
        kept.keep(Out(3));
        kept.forget(&[2]); // the successor's record came before the writer's answer
        kept.failed(CommitNumber(7));
        assert_eq!(*kept.commit(CommitNumber(9)), [Out(3)]);
        kept.failed(CommitNumber(8)); // not this one
        kept.committed(CommitNumber(9));
        assert!(kept.commit(CommitNumber(10)).is_empty());
    }
}
