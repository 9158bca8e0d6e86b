//! Events that a window cannot apply: counted, told, and left out; what comes after them goes on.

use mesh_event::csv::{CsvOutOptions, encode_csv};
use mesh_event::{Block, Opcode};

use crate::state::{Damage, Reader, Writer};

/// Events that are told between two calls of [`BadEvents::take`]; more are only counted.
const MAX_TOLD: usize = 20;
/// Longest such line in bytes.
const MAX_LINE_BYTES: usize = 1024;

/// The bad events of a window. Their number is state; what is told of them is not.
#[derive(Default)]
pub(crate) struct BadEvents {
    count: u64,
    told: Vec<String>,
}

impl BadEvents {
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Notes an event. `why`: what is wrong with it.
    pub(crate) fn add(&mut self, why: &str, block: &Block, row: usize) {
        self.count += 1;
        if self.told.len() >= MAX_TOLD {
            return;
        }
        let mut line = Vec::new();
        encode_csv(&block.slice(row..row + 1), &CsvOutOptions::default(), &mut line);
        line.truncate(MAX_LINE_BYTES);
        self.told.push(format!("bad event, {why}: {}", String::from_utf8_lossy(&line).trim_end()));
    }

    /// Notes events of a block whose columns are not the window's.
    pub(crate) fn add_block(&mut self, rows: usize) {
        self.count += rows as u64;
        if self.told.len() < MAX_TOLD {
            self.told.push(format!("{rows} bad events: the columns of their block are not the window's"));
        }
    }

    /// What was told since the last call.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
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
