//! The project that the simulated engines run: a small deterministic fold with two windows, timers and several outputs.
//!
//! Not the real executor: the simulator looks for faults of the protocol, and what it needs of a project is that its
//! state depends on every step, on their order and on every tick. This one does, at nanoseconds a step; the real windows
//! are proven by their own suites (grouping, oracle), on which the protocol relies.

use mesh_replication::engine::{MachineState, Sequenced};

/// Mixes a value into a digest.
pub fn mix(digest: u64, value: u64) -> u64 {
    (digest ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17)
}

/// An output block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Output {
    /// Index of its topic.
    pub output: u8,
    /// Its sequence there.
    pub sequence: u64,
    /// What it says: depends on everything that came before.
    pub content: u64,
}

impl Sequenced for Output {
    fn output(&self) -> usize {
        usize::from(self.output)
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// Shortest time between two ticks, if the project looks at the clock.
pub const HEARTBEAT_US: i64 = 20_000;

/// State of the project.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Project {
    /// Next offset to apply of every input topic.
    pub positions: Vec<u64>,
    /// Last sequence of every output topic.
    pub sequences: Vec<u64>,
    /// Running digest of each of the two windows.
    pub digests: [u64; 2],
    /// Clock of the last tick.
    pub clock_us: i64,
    /// When a window wants the clock.
    pub deadline_us: Option<i64>,
    ticks: bool,
}

impl Project {
    /// A project that has applied nothing.
    pub fn new(inputs: usize, outputs: usize, ticks: bool) -> Project {
        Project {
            positions: vec![0; inputs],
            sequences: vec![0; outputs],
            digests: [0; 2],
            clock_us: 0,
            deadline_us: None,
            ticks,
        }
    }

    /// Applies a block.
    pub fn apply(&mut self, input: usize, offset: u64, value: u64, out: &mut Vec<Output>) {
        self.positions[input] = offset + 1;
        self.digests[0] = mix(self.digests[0], value ^ offset);
        self.digests[1] = mix(self.digests[1], self.digests[0] ^ (input as u64 + 1) ^ self.clock_us as u64);
        // a filter drops some, a splitter chooses the output
        if self.digests[1] & 7 != 0 {
            self.put_out(self.digests[1] >> 3, out);
        }
        if self.ticks && value & 3 == 1 && self.deadline_us.is_none() {
            self.deadline_us = Some(self.clock_us.saturating_add(2 * HEARTBEAT_US));
        }
    }

    /// Sets the clock.
    pub fn tick(&mut self, clock_us: i64, out: &mut Vec<Output>) {
        self.clock_us = clock_us;
        self.digests[1] = mix(self.digests[1], clock_us as u64);
        if self.deadline_us.is_some_and(|deadline| deadline <= clock_us) {
            self.deadline_us = None;
            self.put_out(self.digests[1] >> 7, out);
        }
    }

    fn put_out(&mut self, choice: u64, out: &mut Vec<Output>) {
        let output = (choice % self.sequences.len() as u64) as usize;
        self.sequences[output] += 1;
        out.push(Output { output: output as u8, sequence: self.sequences[output], content: self.digests[1] });
    }

    /// The state as the protocol compares it.
    pub fn state(&self) -> MachineState {
        MachineState {
            positions: self.positions.clone(),
            clock_us: self.clock_us,
            digests: self.digests.to_vec(),
            sequences: self.sequences.clone(),
            next_deadline_us: self.deadline_us,
        }
    }
}
