//! What reaches an engine's driver: from the election, its writer and its readers. Each becomes an input of the role.

use std::sync::Arc;
use std::time::Duration;

use mesh_replication::{CommitRecord, EngineId, Input};

use super::World;
use super::engine::Control;
use crate::world::readers::{InputNews, LogNews};
use crate::world::writer_thread::FromWriter;

/// What an engine says that rightly refuses to go on.
pub(super) const GONE: &str = "no longer holds";

impl World {
    pub(super) fn on_control(&mut self, index: usize, control: Control) {
        let engine = &mut self.engines[index];
        let input = match control {
            Control::Granted { term } => {
                engine.owed = engine.owed.max(Some(term));
                Input::Granted { term }
            }
            Control::LeaderIs { term, engine } => Input::LeaderIs { term, engine },
            Control::HandOver { term, successor } => Input::HandOver { term, successor },
            Control::Stop => {
                let (_, term) = engine.role.name();
                Input::HandOver { term, successor: EngineId(Arc::from("")) }
            }
        };
        engine.pending.push_back(input);
    }

    pub(super) fn on_answer(&mut self, index: usize, answer: FromWriter) {
        let engine = &mut self.engines[index];
        match answer {
            FromWriter::Ready(ready) => engine.bus_ready = ready,
            FromWriter::Fenced(term) => engine.pending.push_back(Input::Fenced { term }),
            FromWriter::FenceFailed(term) => {
                engine.pending.push_back(Input::FenceFailed { term, reason: "no answer".to_owned() });
            }
            FromWriter::Committed(number) => {
                engine.kept.committed(number);
                engine.pending.push_back(Input::Committed { number });
            }
            FromWriter::CommitFailed(number, failure) => {
                engine.kept.failed(number);
                engine.pending.push_back(Input::CommitFailed { number, failure });
            }
        }
    }

    pub(super) fn on_log(&mut self, index: usize, (generation, news): (u64, LogNews)) {
        let stale = generation != self.engines[index].readers.log_generation;
        if stale && !matches!(news, LogNews::Contact) && !crate::planted!(OldGenerationTaken) {
            return; // read before the rebuild
        }
        self.engines[index].contact.heard(Duration::from_micros(self.now));
        match news {
            LogNews::Contact => {}
            LogNews::Record { offset, wire } => match CommitRecord::decode(&wire) {
                Ok(record) => self.step(index, Input::LogRecord { offset, record }),
                Err(error) => self.fail(index, error.to_string()),
            },
            LogNews::Read { next_offset } => self.step(index, Input::LogRead { next_offset }),
            LogNews::End { term, offset } => self.step(index, Input::LogEnd { term, offset }),
            LogNews::Gone { needed, oldest } => self.gone(index, "the commit log", needed, oldest),
        }
    }

    pub(super) fn on_inputs(&mut self, index: usize, (generation, news): (u64, InputNews)) {
        let engine = &mut self.engines[index];
        if generation != engine.readers.input_generation {
            if let InputNews::Blocks { input, .. } = news {
                self.fetch_input(index, input); // there is room again
            }
            return;
        }
        match news {
            InputNews::Started { positions } => {
                engine.machine.positions.copy_from_slice(&positions);
                let state = engine.machine.state();
                self.step(index, Input::InputsStarted { state });
            }
            InputNews::Blocks { input, blocks } => {
                let count = blocks.len() as u32;
                engine.readers.waiting[input].extend(blocks);
                self.step(index, Input::BlocksReady { input: input as u32, blocks: count });
            }
            InputNews::Gone { needed, oldest } => self.gone(index, "an input", needed, oldest),
        }
    }

    fn gone(&mut self, index: usize, what: &str, needed: u64, oldest: u64) {
        self.lost_the_log(index, format!("{what} {GONE} offset {needed} (oldest: {oldest})"));
    }
}
