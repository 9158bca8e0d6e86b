//! What every role does with the commit log: apply exactly the committed steps, and compare.

use std::collections::VecDeque;

use crate::engine::io::{Effect, Effects, MachineState};
use crate::record::push_step;
use crate::{CommitKind, CommitNumber, CommitRecord, Poison, SnapshotPoint, Step, Term};

/// The project's machine as the protocol sees it, and what is known of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Replica {
    /// Last commit whose steps are all applied.
    pub number: CommitNumber,
    /// Term of the last record read.
    pub log_term: Term,
    /// State of the machine now; exactly the state of `number` when nothing is partly applied and `ahead` is empty.
    pub state: MachineState,
    /// Records read and not finished, with their offsets, the first one perhaps partly applied.
    pub log: VecDeque<(u64, CommitRecord)>,
    /// Steps applied here that no record read so far holds: a leader that was fenced had gone on.
    pub ahead: VecDeque<Step>,
    /// The log was read to its end at least once since this replica began.
    pub reached_end: bool,
    /// A step is with the machine.
    pub applying: bool,
    /// Apply failed on this: the machine cannot be used any more.
    pub broken: Option<Poison>,
    /// On this apply failed for a leader, says the log, and it is not got over.
    pub poison: Option<Poison>,
    /// A snapshot is wanted.
    pub snapshot_wanted: bool,
    /// Commit of the snapshot that the state began from; 0: the log's start.
    pub began_at: CommitNumber,
    /// Number and term of the snapshot's commit, until its record was read and compared.
    unproven: Option<(CommitNumber, Term)>,
    /// Offset of the record `number` and its term, once it was read.
    place: Option<(u64, Term)>,
    /// Blocks ready to be applied, per input.
    pub available: Vec<u32>,
    /// The input topics are being read.
    inputs: Inputs,
    /// Last record read.
    logged: CommitNumber,
    /// Everything below this offset of the log was read.
    log_read: u64,
    /// Place in the first record of `log`.
    cursor: Cursor,
    /// Outputs are kept by the driver that a record may prove to be committed.
    keeps_outputs: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Inputs {
    Unknown,
    Asked,
    Started,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Cursor {
    step: usize,
    blocks_done: u32,
}

/// How far following came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All is applied, or the machine, the log or an input must come first.
    Waits,
    /// The log holds other steps than were applied here.
    OtherSteps,
    /// The same steps gave another state.
    OtherState { number: CommitNumber, window: Option<usize>, what: String },
}

impl Replica {
    pub fn new(inputs: usize) -> Replica {
        Replica {
            number: CommitNumber(0),
            log_term: Term(0),
            state: MachineState { positions: vec![0; inputs], ..MachineState::default() },
            log: VecDeque::new(),
            ahead: VecDeque::new(),
            reached_end: false,
            applying: false,
            broken: None,
            poison: None,
            snapshot_wanted: false,
            began_at: CommitNumber(0),
            unproven: None,
            place: None,
            available: vec![0; inputs],
            inputs: Inputs::Unknown,
            logged: CommitNumber(0),
            log_read: 0,
            cursor: Cursor::default(),
            keeps_outputs: false,
        }
    }

    /// One whose machine holds the state of a snapshot. The record of its commit is expected first, and compared.
    pub fn restored(point: SnapshotPoint) -> Replica {
        assert!(point.number > CommitNumber(0), "a snapshot is of a commit");
        let before = CommitNumber(point.number.0 - 1);
        Replica {
            number: before,
            logged: before,
            log_term: point.term,
            poison: point.poison,
            began_at: point.number,
            unproven: Some((point.number, point.term)),
            state: point.state.clone(),
            ..Replica::new(point.state.positions.len())
        }
    }

    /// True before anything of log or inputs was taken.
    pub fn is_untouched(&self) -> bool {
        self.logged == CommitNumber(0) && self.inputs == Inputs::Unknown
    }

    /// True when this cannot be the first record of the log that the snapshot was taken with.
    pub fn is_foreign(&self, record: &CommitRecord) -> bool {
        let expected = self.logged.next();
        self.unproven.is_some_and(|(number, term)| number == expected && (record.number, record.term) != (number, term))
    }

    /// What the state belongs to, when it is exactly that of a commit whose record was read.
    pub fn point(&self, model_fingerprint: u64) -> Option<SnapshotPoint> {
        let exact = !self.applying
            && self.broken.is_none()
            && (self.ahead.is_empty() || planted!(SnapshotOfUncommitted))
            && self.cursor == Cursor::default()
            && self.unproven.is_none();
        let (log_offset, term) = self.place.filter(|_| exact)?;
        let (number, state, poison) = (self.number, self.state.clone(), self.poison.clone());
        Some(SnapshotPoint { number, term, log_offset, model_fingerprint, state, poison })
    }

    /// True when nothing may be applied until somebody has decided.
    pub fn is_parked(&self) -> bool {
        self.poison.as_ref().is_some_and(Poison::is_exact)
    }

    /// How many blocks of an input may be applied at once: one by one where apply has failed.
    pub fn blocks_at_once(&self, input: usize) -> u32 {
        let suspect = self.poison.as_ref().is_some_and(|poison| poison.input == Some(input as u32));
        if suspect { 1 } else { u32::MAX }
    }

    /// The step with the machine failed.
    pub fn apply_failed(&mut self, poison: Poison) {
        assert!(self.applying, "only a step can fail");
        self.applying = false;
        self.broken = Some(poison);
    }

    pub fn lag(&self) -> u64 {
        self.logged.0.saturating_sub(self.number.0)
    }

    pub fn waits_for(&self) -> String {
        match (&self.inputs, self.log.front()) {
            (_, None) if !self.reached_end => "the commit log to be read".to_owned(),
            (Inputs::Asked, _) => "the input topics to be found".to_owned(),
            (_, Some((_, record))) if !self.applying => match record.steps.get(self.cursor.step) {
                Some(Step::Apply { input, .. } | Step::Skip { input }) => {
                    format!("blocks of input {input} that commit {} applied", record.number)
                }
                _ => String::new(),
            },
            _ => String::new(),
        }
    }

    /// True when everything read is applied.
    pub fn is_level(&self) -> bool {
        self.log.is_empty() && !self.applying
    }

    pub fn has_read(&self, offset: u64) -> bool {
        self.log_read >= offset
    }

    /// False when the log ends before the record that the snapshot was taken with.
    pub fn log_read_to(&mut self, next_offset: u64) -> bool {
        self.log_read = self.log_read.max(next_offset);
        self.reached_end = true;
        self.unproven.is_none_or(|(number, _)| self.logged >= number)
    }

    /// Takes a record; `Err` when the log cannot be what it should be (R1).
    pub fn log_record(&mut self, offset: u64, record: CommitRecord) -> Result<(), String> {
        if record.number != self.logged.next() {
            return Err(format!(
                "the commit log has commit {} at offset {offset}, expected {}: its head is gone and no snapshot replaces it, \
                 or foreign records are in it; `espctl recover` says the ways out",
                record.number,
                self.logged.next()
            ));
        }
        if record.term < self.log_term {
            return Err(format!(
                "the commit log falls from term {} to {} at offset {offset}",
                self.log_term, record.term
            ));
        }
        if record.positions.len() != self.available.len() {
            return Err(format!(
                "commit {} at offset {offset} names {} input topics, the model has {}",
                record.number,
                record.positions.len(),
                self.available.len()
            ));
        }
        self.logged = record.number;
        self.log_term = record.term;
        self.log_read = self.log_read.max(offset + 1);
        // A leader reads its own records back: those it knows to be committed say nothing new.
        if record.number > self.number {
            self.log.push_back((offset, record));
        } else if record.number == self.number {
            self.place = Some((offset, record.term));
        }
        Ok(())
    }

    /// This engine's own commit is known to be in the log.
    pub fn committed(&mut self, number: CommitNumber) {
        assert_eq!(number, self.number.next(), "R1: own commits are contiguous");
        self.number = number;
        self.place = None; // it is known when the record is read back
        while let Some((offset, record)) = self.log.pop_front_if(|(_, record)| record.number <= number) {
            self.place = (record.number == number).then_some((offset, record.term));
        }
    }

    /// Remembers steps that were applied here and may or may not be in the log.
    pub fn run_ahead(&mut self, steps: Vec<Step>) {
        assert!(self.ahead.is_empty(), "a leader has nothing ahead but its own uncommitted steps");
        if planted!(AheadForgotten) {
            return;
        }
        self.keeps_outputs = !steps.is_empty();
        self.ahead = steps.into();
    }

    /// The steps ahead become the content of this engine's next commit.
    pub fn take_ahead(&mut self) -> Vec<Step> {
        self.keeps_outputs = false;
        std::mem::take(&mut self.ahead).into()
    }

    pub fn blocks_ready(&mut self, input: u32, blocks: u32) {
        self.available[input as usize] += blocks;
    }

    pub fn applied(&mut self, state: MachineState) {
        assert!(self.applying, "the machine applies only what it was asked to");
        self.applying = false;
        self.state = state;
        self.get_over_poison();
    }

    /// Where apply has failed is behind the state, be it applied or skipped: forget it.
    fn get_over_poison(&mut self) {
        let positions = &self.state.positions;
        self.poison.take_if(|poison| poison.input.is_some_and(|input| positions[input as usize] >= poison.end));
    }

    /// Asks for the inputs from where the first commit says, or from the oldest there is for a project without one.
    /// True when they flow.
    pub fn start_inputs(&mut self, positions: Option<Vec<u64>>, effects: &mut Effects) -> bool {
        if self.inputs == Inputs::Unknown {
            self.inputs = Inputs::Asked;
            effects.push(Effect::StartInputs { positions });
        }
        self.inputs == Inputs::Started
    }

    pub fn inputs_started(&mut self, state: MachineState) {
        assert_eq!(state.positions.len(), self.available.len(), "one position per input topic");
        self.inputs = Inputs::Started;
        self.state = state;
    }

    /// Applies what the log says, as far as inputs have arrived.
    pub fn follow(&mut self, model_fingerprint: u64, effects: &mut Effects) -> Outcome {
        while !self.applying {
            if self.snapshot_wanted
                && let Some(point) = self.point(model_fingerprint)
            {
                self.snapshot_wanted = false;
                effects.push(Effect::TakeSnapshot { point });
            }
            let Some((_, record)) = self.log.front() else {
                if planted!(StandbyRunsAhead) && self.available[0] > 0 && self.ahead.is_empty() {
                    self.available[0] -= 1;
                    self.applying = true;
                    effects.push(Effect::Apply { input: 0, blocks: 1, keep: false });
                }
                return Outcome::Waits;
            };
            let number = record.number;
            let restored = self.unproven.is_some_and(|(unproven, _)| unproven == number);
            if restored || number == CommitNumber(1) {
                assert!(restored || record.steps.is_empty(), "the first commit only says where the inputs start");
                let positions = if restored { self.state.positions.clone() } else { record.positions.clone() };
                if !self.start_inputs(Some(positions), effects) {
                    return Outcome::Waits;
                }
            }
            let Some((_, record)) = self.log.front() else {
                return Outcome::Waits;
            };
            if restored {
                self.cursor.step = record.steps.len(); // the snapshot is of the state after them
            }
            let Some(&step) = record.steps.get(self.cursor.step) else {
                if let Some(what) = self.finish_record(effects) {
                    return what;
                }
                continue;
            };
            let done = match step {
                Step::Tick { .. } => match self.ahead.front() {
                    None => {
                        let Step::Tick { clock_us } = step else { unreachable!("matched above") };
                        self.applying = true;
                        effects.push(Effect::Tick { clock_us, keep: false });
                        true
                    }
                    Some(&mine) if mine == step => {
                        self.ahead.pop_front();
                        true
                    }
                    Some(_) => return Outcome::OtherSteps,
                },
                Step::Skip { input } => match self.ahead.front() {
                    None => {
                        if self.available[input as usize] == 0 {
                            return Outcome::Waits;
                        }
                        self.available[input as usize] -= 1;
                        self.applying = true;
                        effects.push(Effect::Skip { input });
                        true
                    }
                    Some(&mine) if mine == step => {
                        self.ahead.pop_front();
                        true
                    }
                    Some(_) => return Outcome::OtherSteps,
                },
                Step::Apply { input, blocks } => {
                    let wanted = blocks - self.cursor.blocks_done;
                    let taken = match self.ahead.front_mut() {
                        None => {
                            let taken = wanted.min(self.available[input as usize]);
                            if taken == 0 {
                                return Outcome::Waits;
                            }
                            self.available[input as usize] -= taken;
                            self.applying = true;
                            effects.push(Effect::Apply { input, blocks: taken, keep: false });
                            taken
                        }
                        Some(Step::Apply { input: mine, blocks }) if *mine == input => {
                            let taken = wanted.min(*blocks);
                            *blocks -= taken;
                            if *blocks == 0 {
                                self.ahead.pop_front();
                            }
                            taken
                        }
                        Some(_) => return Outcome::OtherSteps,
                    };
                    self.cursor.blocks_done += taken;
                    self.cursor.blocks_done == blocks
                }
            };
            if done {
                self.cursor = Cursor { step: self.cursor.step + 1, blocks_done: 0 };
            }
        }
        Outcome::Waits
    }

    /// Every step of the first record is applied: compare (R5) and go to the next.
    fn finish_record(&mut self, effects: &mut Effects) -> Option<Outcome> {
        let (offset, record) = self.log.pop_front()?;
        self.cursor = Cursor::default();
        self.number = record.number;
        self.place = Some((offset, record.term));
        let restored = self.unproven.take().is_some();
        if let CommitKind::Park { poison } = &record.kind
            && !planted!(PoisonForgotten)
        {
            self.poison = Some(Poison::clone(poison));
            self.get_over_poison();
        }
        if self.keeps_outputs && !planted!(OutputsNotForgotten) {
            effects.push(Effect::ForgetOutputs { through: record.sequences.clone() });
        }
        if !self.ahead.is_empty() {
            return None; // the machine is beyond this commit; the next exact one is compared
        }
        self.keeps_outputs = false;
        if restored && planted!(SnapshotNotCompared) {
            return None;
        }
        let number = record.number;
        difference(&record, &self.state).map(|(window, what)| Outcome::OtherState { number, window, what })
    }
}

/// What differs between a record and the state that its steps gave here, and the index of the first window that does.
fn difference(record: &CommitRecord, state: &MachineState) -> Option<(Option<usize>, String)> {
    if record.positions != state.positions {
        return Some((None, format!("positions {:?}, the log says {:?}", state.positions, record.positions)));
    }
    if record.clock_us != state.clock_us {
        return Some((None, format!("clock {}, the log says {}", state.clock_us, record.clock_us)));
    }
    if record.digests != state.digests {
        let window = record.digests.iter().zip(&state.digests).position(|(log, own)| log != own);
        let what = match window {
            Some(window) => format!("digest of window {window}"),
            None => format!("{} windows, the log says {}", state.digests.len(), record.digests.len()),
        };
        return Some((window, what));
    }
    if record.sequences != state.sequences {
        return Some((None, format!("sequences {:?}, the log says {:?}", state.sequences, record.sequences)));
    }
    None
}

/// Joins lists of steps, merging where they meet.
pub(super) fn join_steps(mut steps: Vec<Step>, more: Vec<Step>) -> Vec<Step> {
    for step in more {
        push_step(&mut steps, step);
    }
    steps
}
