//! The commit log's record: what one transaction applied, and its wire form.

use mesh_proto::replication as wire;
use prost::Message;
use std::sync::Arc;

use crate::{CommitNumber, EngineId, Term};

/// Version of what this code writes. 2 came with parked projects. 3 has the layout of 2 and came with writers of two lanes:
/// an engine that fences one lane only must not follow, hence not lead, where one with two has led.
pub const RECORD_VERSION: u32 = 3;

/// Oldest version that this code reads.
const FIRST_VERSION: u32 = 1;

/// Limit of a record's size on decoding, in bytes; a batch of the largest size stays far below.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// One step of a project's history. Nothing else may change a project's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Apply the next blocks of an input topic.
    Apply {
        /// Index of the input topic.
        input: u32,
        /// How many blocks; never 0.
        blocks: u32,
    },
    /// The clock is now this time, microseconds since the Unix epoch.
    Tick {
        /// The time; never earlier than the tick before.
        clock_us: i64,
    },
    /// Drop the next block of an input topic: apply fails on it, and somebody decided to go on without it.
    Skip {
        /// Index of the input topic.
        input: u32,
    },
}

/// Input on which apply failed; the same on every engine, since apply is a function of its input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Poison {
    /// Index of the input topic; `None`: it was a tick.
    pub input: Option<u32>,
    /// Offset of the first block; of a tick its time.
    pub from: u64,
    /// Offset behind the last block.
    pub end: u64,
    /// How many blocks. With one the project is parked there; with several the next leader applies them one by one.
    pub blocks: u32,
    /// What happened.
    pub reason: String,
}

impl Poison {
    /// True when it is known to the block, so that nothing is applied until somebody has decided.
    pub fn is_exact(&self) -> bool {
        self.blocks <= 1
    }
}

/// Adds a step to a list, merging it with the last one where both apply blocks of one input.
pub fn push_step(steps: &mut Vec<Step>, step: Step) {
    if let (Some(Step::Apply { input: last, blocks }), Step::Apply { input, blocks: more }) = (steps.last_mut(), step)
        && *last == input
    {
        *blocks += more;
        return;
    }
    steps.push(step);
}

/// Why a record was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CommitKind {
    /// Ordinary commit.
    Commit,
    /// First record of a leader after it fenced.
    Term,
    /// Last record of a leader that steps down on purpose.
    Handover {
        /// Who leads next.
        successor: EngineId,
    },
    /// Last record of a leader on whose machine apply failed.
    Park {
        /// Where. None of it was applied.
        poison: Box<Poison>,
    },
}

/// A record of the commit log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitRecord {
    /// Term of the leader that wrote it.
    pub term: Term,
    /// Its number.
    pub number: CommitNumber,
    /// Why it was written.
    pub kind: CommitKind,
    /// The steps since the record before.
    pub steps: Vec<Step>,
    /// Next offset to apply of every input topic, after the steps.
    pub positions: Vec<u64>,
    /// Clock after the steps.
    pub clock_us: i64,
    /// Fingerprint of the model.
    pub model_fingerprint: u64,
    /// Running digest of each window's output, after the steps.
    pub digests: Vec<u64>,
    /// Last sequence written to each output topic.
    pub sequences: Vec<u64>,
    /// Who wrote it.
    pub engine: EngineId,
}

/// Why bytes are not a commit record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Too long.
    #[error("commit record has {found} bytes, expected at most {RECORD_BYTES_MAX}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not protobuf of this shape.
    #[error("commit record cannot be decoded: {0}")]
    Malformed(String),
    /// Written by another version of the program.
    #[error(
        "commit record has layout version {found}, expected {FIRST_VERSION} to {RECORD_VERSION}: this engine is {}, run the same version on all engines",
        if *.found > RECORD_VERSION { "too old" } else { "too new" }
    )]
    Version {
        /// Its version.
        found: u32,
    },
}

impl CommitRecord {
    /// The wire form.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, successor, poison) = match &self.kind {
            CommitKind::Commit => (wire::Kind::Commit, String::new(), None),
            CommitKind::Term => (wire::Kind::Term, String::new(), None),
            CommitKind::Handover { successor } => (wire::Kind::Handover, successor.to_string(), None),
            CommitKind::Park { poison } => {
                let Poison { input, from, end, blocks, reason } = Poison::clone(poison);
                (wire::Kind::Park, String::new(), Some(wire::Poison { input, from, end, blocks, reason }))
            }
        };
        let steps = self.steps.iter().map(|step| {
            let step = match *step {
                Step::Apply { input, blocks } => wire::step::Step::Apply(wire::Apply { input, blocks }),
                Step::Tick { clock_us } => wire::step::Step::TickUs(clock_us),
                Step::Skip { input } => wire::step::Step::Skip(wire::Skip { input }),
            };
            wire::Step { step: Some(step) }
        });
        wire::CommitRecord {
            version: RECORD_VERSION,
            term: self.term.0,
            number: self.number.0,
            kind: kind.into(),
            steps: steps.collect(),
            positions: self.positions.clone(),
            clock_us: self.clock_us,
            model_fingerprint: self.model_fingerprint,
            digests: self.digests.clone(),
            sequences: self.sequences.clone(),
            engine: self.engine.to_string(),
            successor,
            poison,
        }
        .encode_to_vec()
    }

    /// Reads the wire form.
    pub fn decode(bytes: &[u8]) -> Result<CommitRecord, RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong { found: bytes.len() });
        }
        let wire = wire::CommitRecord::decode(bytes).map_err(|error| RecordError::Malformed(error.to_string()))?;
        if !(FIRST_VERSION..=RECORD_VERSION).contains(&wire.version) {
            return Err(RecordError::Version { found: wire.version });
        }
        let kind = match wire::Kind::try_from(wire.kind) {
            Ok(wire::Kind::Commit) => CommitKind::Commit,
            Ok(wire::Kind::Term) => CommitKind::Term,
            Ok(wire::Kind::Handover) => {
                CommitKind::Handover { successor: EngineId(Arc::from(wire.successor.as_str())) }
            }
            Ok(wire::Kind::Park) => match wire.poison {
                Some(wire::Poison { input, from, end, blocks, reason }) => {
                    CommitKind::Park { poison: Box::new(Poison { input, from, end, blocks, reason }) }
                }
                None => return Err(RecordError::Malformed("it parks the project and does not say where".to_owned())),
            },
            Ok(wire::Kind::Unspecified) | Err(_) => {
                return Err(RecordError::Malformed(format!("kind {} is not known", wire.kind)));
            }
        };
        let mut steps = Vec::with_capacity(wire.steps.len());
        for step in wire.steps {
            steps.push(match step.step {
                Some(wire::step::Step::Apply(wire::Apply { input, blocks })) if blocks > 0 => {
                    Step::Apply { input, blocks }
                }
                Some(wire::step::Step::TickUs(clock_us)) => Step::Tick { clock_us },
                Some(wire::step::Step::Skip(wire::Skip { input })) => Step::Skip { input },
                other => {
                    return Err(RecordError::Malformed(format!("step {other:?} is neither blocks nor a tick")));
                }
            });
        }
        Ok(CommitRecord {
            term: Term(wire.term),
            number: CommitNumber(wire.number),
            kind,
            steps,
            positions: wire.positions,
            clock_us: wire.clock_us,
            model_fingerprint: wire.model_fingerprint,
            digests: wire.digests,
            sequences: wire.sequences,
            engine: EngineId(Arc::from(wire.engine.as_str())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> CommitRecord {
        CommitRecord {
            term: Term(3),
            number: CommitNumber(12),
            kind: CommitKind::Handover { successor: EngineId(Arc::from("b")) },
            steps: vec![Step::Tick { clock_us: 5 }, Step::Apply { input: 1, blocks: 7 }],
            positions: vec![4, 9],
            clock_us: 5,
            model_fingerprint: 77,
            digests: vec![1, 2, 3],
            sequences: vec![8],
            engine: EngineId(Arc::from("a")),
        }
    }

    #[test]
    fn record_survives_the_wire() {
        assert_eq!(CommitRecord::decode(&record().encode()), Ok(record()));
        let poison = Box::new(Poison { input: Some(1), from: 7, end: 9, blocks: 2, reason: "overflow".to_owned() });
        let parked = CommitRecord {
            kind: CommitKind::Park { poison },
            steps: vec![Step::Skip { input: 1 }, Step::Skip { input: 1 }],
            ..record()
        };
        assert_eq!(CommitRecord::decode(&parked.encode()), Ok(parked.clone()));
        let mut wire = wire::CommitRecord::decode(parked.encode().as_slice()).unwrap();
        assert_eq!(wire.version, 3, "an engine that knows one lane only must not follow");
        for old in [1, 2] {
            wire.version = old;
            assert_eq!(
                CommitRecord::decode(&wire.encode_to_vec()),
                Ok(parked.clone()),
                "what older ones wrote is read"
            );
        }
    }

    #[test]
    fn foreign_versions_and_garbage_are_refused() {
        let mut wire = wire::CommitRecord::decode(record().encode().as_slice()).unwrap();
        wire.version = 4;
        let error = CommitRecord::decode(&wire.encode_to_vec()).unwrap_err();
        assert_eq!(error, RecordError::Version { found: 4 });
        assert!(error.to_string().contains("version 4, expected 1 to 3"), "{error}");
        assert!(matches!(CommitRecord::decode(b"\xff\xff\xff"), Err(RecordError::Malformed(_))));
        assert!(matches!(CommitRecord::decode(&vec![0; RECORD_BYTES_MAX + 1]), Err(RecordError::TooLong { .. })));
        wire.version = 1;
        wire.steps = vec![wire::Step { step: Some(wire::step::Step::Apply(wire::Apply { input: 0, blocks: 0 })) }];
        assert!(matches!(CommitRecord::decode(&wire.encode_to_vec()), Err(RecordError::Malformed(_))));
    }

    #[test]
    fn steps_of_one_input_merge() {
        let mut steps = Vec::new();
        push_step(&mut steps, Step::Apply { input: 0, blocks: 2 });
        push_step(&mut steps, Step::Apply { input: 0, blocks: 3 });
        push_step(&mut steps, Step::Tick { clock_us: 9 });
        push_step(&mut steps, Step::Apply { input: 0, blocks: 1 });
        assert_eq!(
            steps,
            [Step::Apply { input: 0, blocks: 5 }, Step::Tick { clock_us: 9 }, Step::Apply { input: 0, blocks: 1 }]
        );
    }
}
