//! What must hold, checked at every step, by means that share nothing with the protocol's code but the project itself.
//!
//! | rule | what |
//! |---|---|
//! | R1 | commit numbers contiguous, terms never fall, each term opened by its term record |
//! | one-writer | all records of a term are one engine's |
//! | record | a decided transaction holds one record, which says where its steps lead: positions, clock, digests, sequences |
//! | output | what a committed reader sees of an output topic is a prefix of what a plain interpreter derives |
//! | input | what a committed reader sees of an input topic is the source, block by block |
//! | R5 | an engine at a commit number has the state of that commit |
//! | election | a term has one winner, terms rise, a grant is only for the winner |
//! | snapshot | a snapshot is of the state of its commit; nobody goes on from one without the topics for it |
//! | poison | a block on which apply fails is applied by nobody, named once, and only such a block is skipped |
//! | role | no role gives up; nothing panics |
//! | liveness | after the faults all becomes well within a bound |

use mesh_replication::engine::MachineState;
use mesh_replication::{CommitKind, CommitNumber, CommitRecord, EngineId, SnapshotPoint, Step, Term};

use crate::kafka::{Fate, Kafka, Payload};
use crate::plan::Plan;
use crate::project::{Output, Project};

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static str,
    /// What was found.
    pub text: String,
}

/// State at a commit.
#[derive(Debug)]
struct At {
    positions: Vec<u64>,
    clock_us: i64,
    digests: Vec<u64>,
}

/// Follows the decided commits and everything that becomes visible.
#[derive(Debug)]
pub struct Checker {
    plan: Plan,
    project: Project,
    /// Block at which the project was parked last.
    parked: Option<(Option<u32>, u64)>,
    inputs: usize,
    /// Where the interpreter is in each input's log.
    cursors: Vec<usize>,
    /// What should come out, per output topic.
    expected: Vec<Vec<Output>>,
    /// How far each partition was looked at, and how many blocks of it were seen.
    seen: Vec<(u64, usize)>,
    at: Vec<At>,
    term: Term,
    writer: Option<EngineId>,
    /// Records' wire forms by number.
    records: Vec<std::rc::Rc<[u8]>>,
}

type Found = Result<(), (&'static str, String)>;

impl Checker {
    /// Nothing has happened yet.
    pub fn new(plan: &Plan) -> Checker {
        Checker {
            plan: plan.clone(),
            parked: None,
            project: Project::new(plan.inputs, plan.outputs, plan.limits.heartbeat_us.is_some()),
            inputs: plan.inputs,
            cursors: vec![0; plan.inputs],
            expected: vec![Vec::new(); plan.outputs],
            seen: vec![(0, 0); plan.inputs + plan.outputs + 2],
            at: Vec::new(),
            term: Term(0),
            writer: None,
            records: Vec::new(),
        }
    }

    /// Commits decided.
    pub fn commits(&self) -> u64 {
        self.at.len() as u64
    }

    /// Blocks put out by the decided commits.
    pub fn outputs(&self) -> usize {
        self.expected.iter().map(Vec::len).sum()
    }

    /// Terms that were opened.
    pub fn term(&self) -> Term {
        self.term
    }

    /// A transaction of the project is decided: its record is the next one of history.
    pub fn decided(&mut self, kafka: &Kafka, txn: u32) -> Found {
        let log = self.inputs + self.expected.len();
        let mut records = kafka.partitions[log].records_of(txn);
        let wire = match (records.next(), records.next()) {
            (Some(Payload::Record(wire)), None) => wire.clone(),
            found => return Err(("record", format!("a transaction was committed with {found:?} on the commit log"))),
        };
        let record = CommitRecord::decode(&wire).map_err(|error| ("record", error.to_string()))?;
        self.records.push(wire);
        self.follow_on(&record)?;
        self.interpret(kafka, &record)?;
        let state = self.project.state();
        let same = record.positions == state.positions
            && record.clock_us == state.clock_us
            && record.digests == state.digests
            && record.sequences == state.sequences;
        if !same {
            let text =
                format!("commit {} by `{}` says {record:?}, its steps lead to {state:?}", record.number, record.engine);
            return Err(("record", text));
        }
        self.at.push(At { positions: state.positions, clock_us: state.clock_us, digests: state.digests });
        Ok(())
    }

    fn follow_on(&mut self, record: &CommitRecord) -> Found {
        let next = CommitNumber(self.commits() + 1);
        if record.number != next {
            return Err((
                "R1",
                format!("commit {} by `{}` follows commit {}", record.number, record.engine, self.commits()),
            ));
        }
        if record.term < self.term {
            return Err(("R1", format!("commit {next} falls from term {} to {}", self.term, record.term)));
        }
        if record.term > self.term {
            if record.kind != CommitKind::Term {
                return Err(("R1", format!("commit {next} opens term {} with {:?}", record.term, record.kind)));
            }
            self.term = record.term;
        } else if self.writer.as_ref() != Some(&record.engine) {
            let text = format!("term {} has two writers, {:?} and `{}`", self.term, self.writer, record.engine);
            return Err(("one-writer", text));
        }
        self.writer = Some(record.engine.clone());
        if let CommitKind::Park { poison } = &record.kind
            && poison.is_exact()
            && self.parked.replace((poison.input, poison.from)) == Some((poison.input, poison.from))
        {
            return Err(("poison", format!("commit {next} parks at offset {} once more", poison.from)));
        }
        Ok(())
    }

    /// Applies a record's steps to the input, as it lies there.
    fn interpret(&mut self, kafka: &Kafka, record: &CommitRecord) -> Found {
        if record.number == CommitNumber(1) {
            self.project.positions.clone_from(&record.positions);
            for (cursor, position) in self.cursors.iter_mut().zip(&record.positions) {
                *cursor = *position as usize;
            }
        }
        let mut out = Vec::new();
        for step in &record.steps {
            match *step {
                Step::Tick { clock_us } => {
                    if clock_us <= self.project.clock_us {
                        let before = self.project.clock_us;
                        return Err((
                            "record",
                            format!("commit {} turns the clock from {before} to {clock_us}", record.number),
                        ));
                    }
                    self.project.tick(clock_us, &mut out);
                }
                Step::Skip { input } => self.skip(kafka, input as usize, record)?,
                Step::Apply { input, blocks } => {
                    for _ in 0..blocks {
                        self.apply(kafka, input as usize, record, &mut out)?;
                    }
                }
            }
        }
        for output in out {
            self.expected[usize::from(output.output)].push(output);
        }
        Ok(())
    }

    fn skip(&mut self, kafka: &Kafka, input: usize, record: &CommitRecord) -> Found {
        let cursor = &mut self.cursors[input];
        while let Some(entry) = kafka.partitions[input].log.get(*cursor) {
            *cursor += 1;
            if let (Payload::Input { value, .. }, Fate::Committed) = (&entry.payload, entry.fate) {
                self.project.positions[input] = *cursor as u64;
                if self.plan.is_poison(*value) {
                    return Ok(());
                }
                break;
            }
        }
        Err(("poison", format!("commit {} skips a block of input {input} that can be applied", record.number)))
    }

    /// A snapshot was taken.
    pub fn saved(&self, engine: &EngineId, point: &SnapshotPoint) -> Found {
        let state = &point.state;
        let at = self.at.get(point.number.0 as usize - 1);
        let same = at.is_some_and(|at| {
            at.positions == state.positions && at.clock_us == state.clock_us && at.digests == state.digests
        });
        if same {
            return Ok(());
        }
        Err(("snapshot", format!("`{engine}` saves as commit {} the state {state:?}, expected {at:?}", point.number)))
    }

    fn apply(&mut self, kafka: &Kafka, input: usize, record: &CommitRecord, out: &mut Vec<Output>) -> Found {
        let partition = &kafka.partitions[input];
        let cursor = &mut self.cursors[input];
        while let Some(entry) = partition.log.get(*cursor) {
            *cursor += 1;
            if let (Payload::Input { value, .. }, Fate::Committed) = (&entry.payload, entry.fate) {
                if self.plan.is_poison(*value) {
                    let number = record.number;
                    return Err(("poison", format!("commit {number} applies a block on which apply fails")));
                }
                self.project.apply(input, *cursor as u64 - 1, *value, out);
                return Ok(());
            }
        }
        let number = record.number;
        Err((
            "record",
            format!("commit {number} by `{}` applies a block of input {input} that does not exist", record.engine),
        ))
    }

    /// Committed readers see more of a partition.
    pub fn visible(&mut self, kafka: &Kafka, index: usize) -> Found {
        let partition = &kafka.partitions[index];
        let (mut offset, mut count) = self.seen[index];
        while offset < partition.last_stable() {
            let entry = &partition.log[offset as usize];
            offset += 1;
            if entry.fate != Fate::Committed {
                continue;
            }
            match &entry.payload {
                Payload::Output(output) => {
                    let expected = self.expected[index - self.inputs].get(count);
                    if expected != Some(output) {
                        return Err(("output", said(index - self.inputs, count, output, expected)));
                    }
                }
                Payload::Input { block, .. } if *block != count as u64 => {
                    let text =
                        format!("input {index} offset {}: block {block} of the source, expected {count}", offset - 1);
                    return Err(("input", text));
                }
                Payload::Record(wire) if self.records.get(count) != Some(wire) => {
                    return Err((
                        "record",
                        format!("the commit log shows another record {} than was decided", count + 1),
                    ));
                }
                Payload::Marker | Payload::Meta { .. } => continue,
                Payload::Input { .. } | Payload::Record(_) => {}
            }
            count += 1;
        }
        self.seen[index] = (offset, count);
        Ok(())
    }

    /// An engine says that it is at a commit, and not ahead of it.
    pub fn engine_at(&self, engine: &EngineId, number: CommitNumber, state: &MachineState) -> Found {
        let Some(at) = number.0.checked_sub(1).and_then(|index| self.at.get(index as usize)) else {
            return Ok(());
        };
        // between two commits it may have applied a part of the next one already
        let exact = at.positions == state.positions && at.clock_us == state.clock_us;
        if exact && at.digests != state.digests {
            return Err((
                "R5",
                format!("`{engine}` at commit {number} has digests {:?}, expected {:?}", state.digests, at.digests),
            ));
        }
        Ok(())
    }

    /// What the decided commits have put out and nobody can see yet, and input that they have not applied.
    pub fn unfinished(&self, kafka: &Kafka) -> Option<String> {
        for (output, expected) in self.expected.iter().enumerate() {
            let seen = self.seen[self.inputs + output].1;
            if seen < expected.len() {
                return Some(format!("output {output} shows {seen} of {} blocks", expected.len()));
            }
        }
        for (input, cursor) in self.cursors.iter().enumerate() {
            let rest = kafka.partitions[input].log.iter().skip(*cursor);
            let waiting =
                rest.filter(|entry| matches!(entry.payload, Payload::Input { .. }) && entry.fate == Fate::Committed);
            let waiting = waiting.count();
            if waiting > 0 {
                return Some(format!("{waiting} blocks of input {input} are not applied"));
            }
        }
        None
    }

    /// Blocks that committed readers have seen of a partition.
    pub fn blocks_seen(&self, partition: usize) -> usize {
        self.seen[partition].1
    }
}

fn said(topic: usize, count: usize, found: &Output, expected: Option<&Output>) -> String {
    let kind = match expected {
        None => "beyond what any commit put out",
        Some(_) if found.sequence <= count as u64 => "doubled or reordered",
        Some(expected) if found.sequence > expected.sequence => "lost before it",
        Some(_) => "another content",
    };
    format!("output {topic} shows {found:?} as block {}, expected {expected:?}: {kind}", count + 1)
}
