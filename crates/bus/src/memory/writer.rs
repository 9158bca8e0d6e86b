//! A writer: its epoch, and what state its transaction is in.

use std::time::Duration;

use super::state::{Committed, Refusal, State};
use super::{DOWN, MemoryBus};
use crate::{Fenced, OutRecord, WriteError, Writer, WriterOptions};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not fenced in yet.
    Opened,
    /// No transaction.
    Ready,
    /// A transaction, with this many records.
    Open(u64),
    /// The transaction can only be aborted.
    MustAbort,
    /// Fenced by another writer.
    Fenced,
    /// The outcome of a commit is unknown.
    Unknown,
}

pub(super) struct MemoryWriter {
    bus: MemoryBus,
    options: WriterOptions,
    epoch: u64,
    phase: Phase,
}

impl MemoryWriter {
    pub(super) fn new(bus: MemoryBus, options: WriterOptions) -> Self {
        Self { bus, options, epoch: 0, phase: Phase::Opened }
    }

    fn attempted(&self, what: &str) -> String {
        format!("{what} as `{}` on the memory bus", self.options.transactional_id)
    }

    fn unavailable(&self, what: &str, reason: &str) -> WriteError {
        WriteError::Unavailable { attempted: self.attempted(what), reason: reason.to_owned() }
    }

    fn fenced(&mut self, what: &str) -> WriteError {
        self.phase = Phase::Fenced;
        WriteError::Fenced { attempted: self.attempted(what), transactional_id: self.options.transactional_id.clone() }
    }

    /// The answer to a call that this phase does not allow.
    fn wrong_phase(&mut self, what: &str) -> WriteError {
        match self.phase {
            Phase::Fenced => self.fenced(what),
            Phase::MustAbort => WriteError::Aborted {
                attempted: self.attempted(what),
                reason: "an earlier record of the transaction was refused".to_owned(),
            },
            Phase::Opened => self.unavailable(what, "the writer was not fenced in"),
            Phase::Ready => self.unavailable(what, "no transaction is open"),
            Phase::Open(_) => self.unavailable(what, "a transaction is open, or the writer is fenced in already"),
            Phase::Unknown => self.unavailable(what, "the outcome of the last commit is unknown: make a new writer"),
        }
    }

    /// Runs `call` on the bus unless that is down, then wakes the readers.
    fn with<T>(&mut self, what: &str, call: impl FnOnce(&mut State, &mut Self) -> T) -> Result<T, WriteError> {
        let bus = self.bus.clone();
        let mut state = bus.lock();
        if state.unavailable {
            return Err(self.unavailable(what, DOWN));
        }
        let result = call(&mut state, self);
        drop(state);
        bus.inner.changed.notify_all();
        Ok(result)
    }
}

impl Writer for MemoryWriter {
    fn fence(&mut self, _deadline: Duration) -> Result<Fenced, WriteError> {
        const WHAT: &str = "fencing in";
        if self.phase != Phase::Opened {
            return Err(self.wrong_phase(WHAT));
        }
        match self.with(WHAT, |state, me| state.fence(&me.options.transactional_id))? {
            Some(epoch) => {
                self.epoch = epoch;
                self.phase = Phase::Ready;
                Ok(Fenced { fallback: None })
            }
            None => Err(self.unavailable(WHAT, "the bus holds its limit of transactional ids")),
        }
    }

    fn begin(&mut self, _deadline: Duration) -> Result<(), WriteError> {
        // As with Kafka this is a local matter: a fenced writer learns of it when it sends or commits.
        if self.phase != Phase::Ready {
            return Err(self.wrong_phase("beginning a transaction"));
        }
        self.phase = Phase::Open(0);
        Ok(())
    }

    fn send(&mut self, record: OutRecord, _deadline: Duration) -> Result<(), WriteError> {
        const WHAT: &str = "sending";
        let Phase::Open(count) = self.phase else {
            return Err(self.wrong_phase(WHAT));
        };
        let bus = self.bus.clone();
        let now = bus.now();
        let mut state = bus.lock();
        if state.unavailable {
            return Err(self.unavailable(WHAT, DOWN));
        }
        let topic = record.topic.clone();
        let writer = (self.options.transactional_id.as_str(), self.epoch);
        let sent = state.append(writer, record, now, self.options.transaction_timeout);
        let wake = state.uncommitted_readers > 0;
        drop(state);
        if wake {
            bus.inner.changed.notify_all();
        }
        match sent {
            Ok(()) => {
                self.phase = Phase::Open(count + 1);
                Ok(())
            }
            Err(Refusal::Fenced) => Err(self.fenced(WHAT)),
            Err(Refusal::NoTopic) => {
                self.phase = Phase::MustAbort;
                Err(WriteError::Aborted {
                    attempted: self.attempted(WHAT),
                    reason: format!("topic `{topic}` does not exist"),
                })
            }
        }
    }

    fn commit(&mut self, deadline: Duration) -> Result<(), WriteError> {
        const WHAT: &str = "committing";
        let Phase::Open(count) = self.phase else {
            return Err(self.wrong_phase(WHAT));
        };
        if count == 0 {
            // Kafka does not hear of an empty transaction either.
            self.phase = Phase::Ready;
            return Ok(());
        }
        let delay = self.bus.lock().commit_delay;
        std::thread::sleep(delay.min(deadline));
        let late = !delay.is_zero() && delay >= deadline;
        let outcome = self.with(WHAT, |state, me| {
            if late {
                return Ok(Committed::Unknown);
            }
            state.commit(&me.options.transactional_id, me.epoch)
        })?;
        match outcome {
            Ok(Committed::Yes) => {
                self.phase = Phase::Ready;
                Ok(())
            }
            Ok(Committed::Unknown) => {
                self.phase = Phase::Unknown;
                Err(WriteError::Unknown {
                    attempted: self.attempted(WHAT),
                    waited: delay.min(deadline),
                    reason: "no answer".to_owned(),
                })
            }
            Err(_) => Err(self.fenced(WHAT)),
        }
    }

    fn abort(&mut self, _deadline: Duration) -> Result<(), WriteError> {
        const WHAT: &str = "aborting";
        if !matches!(self.phase, Phase::Open(_) | Phase::MustAbort) {
            return Err(self.wrong_phase(WHAT));
        }
        match self.with(WHAT, |state, me| state.abort(&me.options.transactional_id, me.epoch))? {
            Ok(()) => {
                self.phase = Phase::Ready;
                Ok(())
            }
            Err(_) => Err(self.fenced(WHAT)),
        }
    }

    fn settle(&mut self, _deadline: Duration) -> Result<bool, WriteError> {
        match self.phase {
            Phase::Fenced | Phase::Unknown | Phase::Opened => Err(self.wrong_phase("settling")),
            // A commit is complete when it returns.
            Phase::Ready | Phase::Open(_) | Phase::MustAbort => Ok(true),
        }
    }
}
