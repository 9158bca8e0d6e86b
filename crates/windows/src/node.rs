//! A node: a window at work. What waits for it, the operator, what becomes of its output.

use mesh_event::JoinedBlocks;

use crate::bad::BadEvent;
use crate::digest::Digest;
use crate::executor::WindowStats;
use crate::ops::source::Ingest;
use crate::ops::{Clock, Operator, Sides};
use crate::outlet::Outlet;
use crate::run::Run;
use crate::slots::{Slots, Splitter};
use crate::state::{Damage, Reader, Writer};

/// A window at work.
pub(crate) struct Node {
    /// Of source windows: the entry.
    pub ingest: Option<Ingest>,
    pub operator: Box<dyn Operator>,
    /// What is done to the output of the operator.
    pub outlet: Option<Outlet>,
    pub splitter: Option<Splitter>,
    pub digest: Digest,
    /// Which columns of the output anybody looks at, the digest included.
    pub made: Vec<bool>,
    /// Input that waits. Paths that fork and meet again meet here, event by event: what an input event caused on one
    /// path, then what it caused on the next.
    pub pending: Sides,
    /// Nodes that get the output.
    pub targets: Vec<Target>,
    /// Output index.
    pub output: Option<usize>,
}

/// Where a node's output goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub node: usize,
    /// Which of the target's inputs this is.
    pub side: usize,
    /// Only events of this slot.
    pub slot: Option<u32>,
}

impl Node {
    /// The run of a source's input blocks; `None` when the window takes no blocks.
    pub(crate) fn ingest(&mut self, blocks: &[JoinedBlocks]) -> Option<Run> {
        self.ingest.as_mut().map(|ingest| ingest.run(blocks))
    }

    /// Adds to what waits.
    pub(crate) fn receive(&mut self, side: usize, run: Run) {
        self.pending.add(side, run);
    }

    /// Works off what waits; what leaves is digested.
    pub(crate) fn process(&mut self, clock: Clock) -> Option<Run> {
        let sides = self.pending.take()?;
        let run = self.operator.process_sides(sides, clock);
        let run = match &mut self.outlet {
            None => Some(run),
            Some(outlet) => outlet.pass(run, clock),
        };
        self.digested(run)
    }

    /// What the clock puts out, digested.
    pub(crate) fn tick(&mut self, before: Clock, now: Clock) -> Option<Run> {
        let run = self.operator.tick(before, now);
        let run = match &mut self.outlet {
            None => run,
            Some(outlet) => outlet.tick(run, now),
        };
        self.digested(run)
    }

    /// Digests what leaves.
    fn digested(&mut self, run: Option<Run>) -> Option<Run> {
        let unread = self.operator.take_unread();
        if let Some(run) = &run {
            self.digest.update(&run.block, &unread);
        }
        run
    }

    pub(crate) fn slots(&mut self, run: &Run, clock: Clock) -> Option<Slots> {
        self.splitter.as_mut().map(|splitter| splitter.slots(&run.block, clock))
    }

    pub(crate) fn take_messages(&mut self) -> Vec<String> {
        let mut messages = self.operator.take_messages();
        messages.extend(self.splitter.as_mut().map(Splitter::take_messages).unwrap_or_default());
        messages
    }

    pub(crate) fn take_bad_events(&mut self) -> Vec<BadEvent> {
        let mut bad = self.ingest.as_mut().map(Ingest::take_bad_events).unwrap_or_default();
        bad.extend(self.operator.take_bad_events());
        bad
    }

    pub(crate) fn kind(&self) -> (&'static str, u16) {
        (self.operator.kind(), self.operator.version())
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        debug_assert!(self.pending.is_empty(), "between two calls nothing is under way");
        if let Some(ingest) = &self.ingest {
            ingest.save(to);
        }
        self.operator.save(to);
        if let Some(outlet) = &self.outlet {
            outlet.save(to);
        }
        if let Some(splitter) = &self.splitter {
            splitter.save(to);
        }
        self.digest.save(to);
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        if let Some(ingest) = &mut self.ingest {
            ingest.restore(from)?;
        }
        self.operator.restore(from)?;
        if let Some(outlet) = &mut self.outlet {
            outlet.restore(from)?;
        }
        if let Some(splitter) = &mut self.splitter {
            splitter.restore(from)?;
        }
        self.digest.restore(from)
    }

    pub(crate) fn deadline_us(&self) -> Option<i64> {
        let outlet = self.outlet.as_ref().and_then(Outlet::deadline_us);
        self.operator.deadline_us().into_iter().chain(outlet).min()
    }

    pub(crate) fn digest_value(&self) -> u64 {
        self.digest.value()
    }

    pub(crate) fn stats(&self) -> WindowStats {
        let held = self.operator.held();
        WindowStats {
            rows: held.rows,
            bytes: held.bytes,
            events_out: self.digest.rows(),
            bad_events: held.bad_events + self.ingest.as_ref().map_or(0, Ingest::bad_events),
            expression_errors: held.expression_errors + self.splitter.as_ref().map_or(0, Splitter::errors),
        }
    }
}
