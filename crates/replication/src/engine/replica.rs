//! What every role does with the commit log: apply exactly the committed steps, and compare.

use std::collections::VecDeque;

use crate::engine::io::{Effect, Effects, MachineState};
use crate::record::push_step;
use crate::{CommitNumber, CommitRecord, Step, Term};

/// The project's machine as the protocol sees it, and what is known of the log.
#[derive(Debug)]
pub(super) struct Replica {
    /// Last commit whose steps are all applied.
    pub number: CommitNumber,
    /// Term of the last record read.
    pub log_term: Term,
    /// State of the machine now; exactly the state of `number` when nothing is partly applied and `ahead` is empty.
    pub state: MachineState,
    /// Records read and not finished, the first one perhaps partly applied.
    pub log: VecDeque<CommitRecord>,
    /// Steps applied here that no record read so far holds: a leader that was fenced had gone on.
    pub ahead: VecDeque<Step>,
    /// The log was read to its end at least once since this replica began.
    pub reached_end: bool,
    /// A step is with the machine.
    pub applying: bool,
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

#[derive(Debug, PartialEq, Eq)]
enum Inputs {
    Unknown,
    Asked,
    Started,
}

#[derive(Debug, Default)]
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
    OtherState { number: CommitNumber, what: String },
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
            available: vec![0; inputs],
            inputs: Inputs::Unknown,
            logged: CommitNumber(0),
            log_read: 0,
            cursor: Cursor::default(),
            keeps_outputs: false,
        }
    }

    pub fn lag(&self) -> u64 {
        self.logged.0.saturating_sub(self.number.0)
    }

    pub fn waits_for(&self) -> String {
        match (&self.inputs, self.log.front()) {
            (_, None) if !self.reached_end => "the commit log to be read".to_owned(),
            (Inputs::Asked, _) => "the input topics to be found".to_owned(),
            (_, Some(record)) if !self.applying => match record.steps.get(self.cursor.step) {
                Some(Step::Apply { input, .. }) => {
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

    pub fn log_read_to(&mut self, next_offset: u64) {
        self.log_read = self.log_read.max(next_offset);
        self.reached_end = true;
    }

    /// Takes a record; `Err` when the log cannot be what it should be (R1).
    pub fn log_record(&mut self, offset: u64, record: CommitRecord) -> Result<(), String> {
        if record.number != self.logged.next() {
            return Err(format!(
                "the commit log has commit {} at offset {offset}, expected {}: its head is gone (raise the topic's \
                 retention and start the project anew under another name) or foreign records are in it",
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
            self.log.push_back(record);
        }
        Ok(())
    }

    /// This engine's own commit is known to be in the log.
    pub fn committed(&mut self, number: CommitNumber) {
        assert_eq!(number, self.number.next(), "R1: own commits are contiguous");
        self.number = number;
        while self.log.front().is_some_and(|record| record.number <= number) {
            self.log.pop_front();
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
    pub fn follow(&mut self, effects: &mut Effects) -> Outcome {
        while !self.applying {
            let Some(record) = self.log.front() else {
                if planted!(StandbyRunsAhead) && self.available[0] > 0 && self.ahead.is_empty() {
                    self.available[0] -= 1;
                    self.applying = true;
                    effects.push(Effect::Apply { input: 0, blocks: 1, keep: false });
                }
                return Outcome::Waits;
            };
            if record.number == CommitNumber(1) {
                assert!(record.steps.is_empty(), "the first commit only says where the inputs start");
                let positions = record.positions.clone();
                if !self.start_inputs(Some(positions), effects) {
                    return Outcome::Waits;
                }
            }
            let Some(record) = self.log.front() else {
                return Outcome::Waits;
            };
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
        let record = self.log.pop_front()?;
        self.cursor = Cursor::default();
        self.number = record.number;
        if self.keeps_outputs && !planted!(OutputsNotForgotten) {
            effects.push(Effect::ForgetOutputs { through: record.sequences.clone() });
        }
        if !self.ahead.is_empty() {
            return None; // the machine is beyond this commit; the next exact one is compared
        }
        self.keeps_outputs = false;
        difference(&record, &self.state).map(|what| Outcome::OtherState { number: record.number, what })
    }
}

/// What differs between a record and the state that its steps gave here.
fn difference(record: &CommitRecord, state: &MachineState) -> Option<String> {
    if record.positions != state.positions {
        return Some(format!("positions {:?}, the log says {:?}", state.positions, record.positions));
    }
    if record.clock_us != state.clock_us {
        return Some(format!("clock {}, the log says {}", state.clock_us, record.clock_us));
    }
    if record.digests != state.digests {
        let window = record.digests.iter().zip(&state.digests).position(|(log, own)| log != own);
        return Some(match window {
            Some(window) => format!("digest of window {window}"),
            None => format!("{} windows, the log says {}", state.digests.len(), record.digests.len()),
        });
    }
    if record.sequences != state.sequences {
        return Some(format!("sequences {:?}, the log says {:?}", state.sequences, record.sequences));
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
