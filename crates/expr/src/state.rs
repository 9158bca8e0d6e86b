//! What the programs of a window remember between events, and what they may know of the world: the recorded clock and
//! a seed.

use crate::object::{Object, Patterns};
use crate::scalar::Scalar;

/// Lines of `print` and `logmessage` that are kept until they are taken; more are dropped.
const MAX_MESSAGES: usize = 100;
/// Longest such line in bytes.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The memory of a window's programs: the initializer's variables, `static` variables, the place in the sequence of
/// random numbers, and counters of functional windows. It is part of the window's state: a snapshot must hold it
/// ([`State::save`]).
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(crate) slots: Vec<Option<Scalar<'static>>>,
    pub(crate) objects: Vec<Option<Object>>,
    /// The initializer has run.
    pub(crate) started: bool,
    pub(crate) clock_us: Option<i64>,
    seed: u64,
    pub(crate) draws: u64,
    /// Events that a functional window has put out.
    pub(crate) events: i64,
    pub(crate) patterns: Patterns,
    messages: Vec<String>,
}

impl State {
    /// Nothing is remembered yet. `seed`: of the project and the window, equal on every replica.
    pub fn new(seed: u64) -> State {
        State { seed, ..State::default() }
    }

    /// The clock that `today()` and its like read from now on: the last tick, in microseconds since the Unix epoch.
    pub fn set_clock(&mut self, clock_us: Option<i64>) {
        self.clock_us = clock_us;
    }

    /// What `print` and `logmessage` wrote since the last call, for the log.
    pub fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }

    pub(crate) fn message(&mut self, text: &str) {
        if self.messages.len() < MAX_MESSAGES {
            let end = (0..=text.len().min(MAX_MESSAGE_BYTES)).rev().find(|at| text.is_char_boundary(*at));
            self.messages.push(text[..end.unwrap_or(0)].to_owned());
        }
    }

    /// The next number of the window's own sequence (SplitMix64).
    pub(crate) fn draw(&mut self) -> u64 {
        self.draws += 1;
        let mut z = self.seed.wrapping_add(self.draws.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 (inclusive) to 1 (exclusive).
    pub(crate) fn draw_real(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn slot(&self, slot: usize) -> Scalar<'static> {
        self.slots.get(slot).cloned().flatten().unwrap_or(Scalar::Null)
    }

    pub(crate) fn set_slot(&mut self, slot: usize, value: Scalar<'static>) {
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(value);
    }
}
