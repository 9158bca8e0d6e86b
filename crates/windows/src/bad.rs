//! Events that a window cannot apply: counted, told, and left out; what comes after them goes on.

use std::fmt;

use mesh_event::csv::{CsvOutOptions, encode_csv};
use mesh_event::{Block, Opcode};

use crate::state::{Damage, Reader, Writer};

/// Events that are kept between two calls of [`BadEvents::take`]; more are only counted.
const KEPT_MAX: usize = 1000;
/// Longest such line in bytes.
const LINE_BYTES_MAX: usize = 1024;

/// An event that a window could not apply, for logs and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEvent {
    /// What is wrong with it.
    pub reason: &'static str,
    /// The event as a line of CSV without its end, at most 1024 bytes of it; empty where its columns are not the window's.
    pub line: String,
}

impl fmt::Display for BadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad event, {}: {}", self.reason, self.line)
    }
}

/// The bad events of a window. Their number is state; what is kept of them is not.
#[derive(Default)]
pub(crate) struct BadEvents {
    count: u64,
    kept: Vec<BadEvent>,
}

impl BadEvents {
    /// None that is known, but so many were counted.
    pub(crate) fn counted(count: u64) -> BadEvents {
        BadEvents { count, kept: Vec::new() }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Notes an event. `reason`: what is wrong with it.
    pub(crate) fn add(&mut self, reason: &'static str, block: &Block, row: usize) {
        self.count += 1;
        if self.kept.len() >= KEPT_MAX {
            return;
        }
        let mut line = Vec::new();
        encode_csv(&block.slice(row..row + 1), &CsvOutOptions::default(), &mut line);
        line.truncate(LINE_BYTES_MAX);
        self.kept.push(BadEvent { reason, line: String::from_utf8_lossy(&line).trim_end().to_owned() });
    }

    /// Notes an event of which nothing can be shown.
    pub(crate) fn add_made(&mut self, reason: &'static str) {
        self.count += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(BadEvent { reason, line: String::new() });
        }
    }

    /// Notes events of a block whose columns are not the window's.
    pub(crate) fn add_block(&mut self, rows: usize) {
        self.count += rows as u64;
        let room = KEPT_MAX.saturating_sub(self.kept.len()).min(rows);
        let event = BadEvent { reason: "the columns of its block are not the window's", line: String::new() };
        self.kept.extend(std::iter::repeat_n(event, room));
    }

    /// Those since the last call, as far as they were kept.
    pub(crate) fn take(&mut self) -> Vec<BadEvent> {
        std::mem::take(&mut self.kept)
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.count);
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.count = from.get()?;
        Ok(())
    }
}

/// What is wrong with an event of this opcode where its key is, or is not, among the rows.
pub(crate) fn wrong_key(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Insert => "an insert of a key that is there",
        Opcode::Update | Opcode::UpdateBlock => "an update of a key that is not there",
        _ => "a delete of a key that is not there",
    }
}
