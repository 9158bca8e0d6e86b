//! What the driver hears, turned into inputs of the role.

use std::sync::Arc;
use std::time::Instant;

use mesh_bus::ReadError;
use mesh_replication::engine::RoleName;
use mesh_replication::{EngineId, Input};

use crate::project::driver::Driver;
use crate::project::message::{Control, FromInputs, FromLog, FromWriter, InputNews, LogNews, Probe};
use crate::project::takeover::{Progress, Takeover};

impl Driver {
    pub(super) fn on_control(&mut self, control: Control) {
        match control {
            Control::Joined { znode } => self.lines.joined(&znode),
            Control::Granted { term, reason } => {
                let commits = self.role.view().number.0;
                self.state.takeover = Some(Takeover::granted(term, reason, self.progress(commits)));
                self.state.pending.push_back(Input::Granted { term });
            }
            Control::Leader { term, engine } => self.state.pending.push_back(Input::LeaderIs { term, engine }),
            Control::HandOver { term, successor } => {
                self.state.pending.push_back(Input::HandOver { term, successor });
            }
            Control::Watching { znode } => self.lines.watching(&znode),
            Control::Election { attached } => {
                if !attached {
                    tracing::warn!(project = self.identity.project, "no election instance answers; going on as before");
                }
            }
            Control::Snapshot { answer } => self.snapshot_asked(answer),
            Control::Skip { topic, position, answer } => {
                let asked = self.skip_asked(&topic, position);
                let _ = answer.try_send(asked); // who asked may have stopped waiting
            }
            Control::Probe(Probe(look)) => look(&mut self.machine),
            Control::Stop => {
                self.state.stopping.get_or_insert_with(Instant::now);
                let (_, term) = self.role.name();
                // A handover to nobody in particular: the batch is closed and committed, then the role is standby.
                let successor = EngineId(Arc::from(""));
                self.state.pending.push_back(Input::HandOver { term, successor });
            }
        }
    }

    pub(super) fn on_answer(&mut self, answer: FromWriter) {
        match answer {
            FromWriter::Ready => {
                self.state.bus_ready = true;
                self.error_passed();
            }
            FromWriter::NotReady { reason } => {
                self.state.bus_ready = false;
                self.alarm(reason);
            }
            FromWriter::Fenced { term, fallback, took } => {
                self.state.extras.fencing = match fallback {
                    None => "fast".to_owned(),
                    Some(why) => format!("fallback: {why}"),
                };
                if let Some(takeover) = self.state.takeover.as_mut().filter(|takeover| takeover.term == term) {
                    takeover.fenced();
                }
                tracing::debug!(project = self.identity.project, term = term.0, ?took, "fenced");
                self.state.pending.push_back(Input::Fenced { term });
            }
            FromWriter::FenceFailed { term, reason } => {
                self.state.pending.push_back(Input::FenceFailed { term, reason });
            }
            FromWriter::Committed { number, took } => {
                self.machine.kept().committed(number);
                if let Some((_, positions)) = self.state.committing.take().filter(|(under_way, _)| *under_way == number)
                {
                    self.channels.connectors.committed(&positions);
                }
                self.meters.committed(took);
                if self.state.takeover.is_none() {
                    self.state.last_commit = Some(Instant::now());
                }
                self.state.pending.push_back(Input::Committed { number });
            }
            FromWriter::CommitFailed { number, failure } => {
                self.machine.kept().failed(number);
                self.meters.commit_failed(&failure);
                self.state.pending.push_back(Input::CommitFailed { number, failure });
            }
        }
    }

    pub(super) fn on_log(&mut self, news: FromLog) {
        if !matches!(news.what, LogNews::Failed(_)) {
            self.state.contact.heard(self.state.began.elapsed());
        }
        if news.generation != self.state.log_generation {
            return; // read before the rebuild
        }
        match news.what {
            LogNews::Record { offset, record: Ok(record) } => {
                // the record that opens an own term may be read before the writer has said that it is committed
                if self.state.takeover.as_ref().is_none_or(|takeover| record.term < takeover.term) {
                    self.state.last_commit = Some(Instant::now());
                }
                self.step(Input::LogRecord { offset, record });
            }
            LogNews::Record { record: Err(reason), .. } => self.fail(reason),
            LogNews::Read { next_offset } => self.step(Input::LogRead { next_offset }),
            LogNews::End { term, offset } => self.step(Input::LogEnd { term, offset }),
            LogNews::Contact => {}
            LogNews::Failed(error) => self.read_failed(error),
        }
    }

    /// How far the machine is, with this many commits.
    pub(super) fn progress(&self, commits: u64) -> Progress {
        Progress { commits, events: self.machine.counts().0 }
    }

    pub(super) fn on_inputs(&mut self, news: FromInputs) {
        if news.generation != self.state.input_generation {
            if let InputNews::Blocks { input, blocks } = &news.what {
                self.machine.discard(*input, &blocks.records);
            }
            return;
        }
        match news.what {
            InputNews::Started { positions } => {
                self.machine.start_at(&positions);
                let state = self.machine.state();
                self.step(Input::InputsStarted { state });
            }
            InputNews::Blocks { input, blocks } => {
                let count = blocks.records.len() as u32;
                self.machine.push(input, blocks);
                self.step(Input::BlocksReady { input, blocks: count });
            }
            InputNews::BadBlock { error } => {
                self.meters.bad_block();
                self.alarm(error);
                self.state.error_lasts = true;
            }
            InputNews::Failed(error) => self.read_failed(error),
        }
    }

    pub(super) fn read_failed(&mut self, error: ReadError) {
        match error {
            ReadError::Gone { .. } => self.lost_the_log(error.to_string()),
            // The reader tries again by itself.
            ReadError::NoTopic { .. } | ReadError::Unavailable { .. } => self.alarm(error.to_string()),
        }
    }

    /// Checks that the project is parked at this very block, and asks for the step that goes on without it.
    fn skip_asked(&mut self, topic: &str, position: u64) -> Result<(), String> {
        let view = self.role.view();
        if view.role != RoleName::Active {
            return Err("this engine does not lead the project".to_owned());
        }
        let parked = view.poison.filter(mesh_replication::Poison::is_exact);
        let Some(parked) = parked else { return Err("the project is not parked: nothing is to be skipped".to_owned()) };
        let Some(input) = parked.input else {
            return Err("apply fails on a tick, which cannot be skipped: deploy a project without the fault".to_owned());
        };
        let parked_topic = &self.identity.inputs[input as usize];
        let named = topic.is_empty() || topic == &**parked_topic;
        if !named || position != parked.from {
            return Err(format!(
                "the project is parked at offset {} of `{parked_topic}`, not at offset {position} of `{}`",
                parked.from,
                if topic.is_empty() { parked_topic } else { topic }
            ));
        }
        self.state.pending.push_back(Input::SkipWanted { input, position });
        Ok(())
    }
}
