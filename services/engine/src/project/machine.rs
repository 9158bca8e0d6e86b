//! The project's machine: the executor with the blocks that wait for it and the outputs that wait for a commit.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use mesh_event::{Block, BlockKind, JoinedBlocks};
use mesh_model::Project;
use mesh_replication::Poison;
use mesh_replication::engine::{KeptOutputs, MachineState, Sequenced};
use mesh_service::telemetry::{Attribute, BlockSpan, block_span};
use mesh_windows::{Executor, OutputBlock, OutputPart, OutputRun};

use crate::project::bad_events::BadEventLog;
use crate::project::message::{InputGauge, ReadyBlocks, ReadyRecord};
use crate::project::waiting::Waiting;

/// What caused an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputCause {
    /// The input block at this offset of this input.
    Input {
        /// Index of the input.
        input: u32,
        /// Kafka offset.
        offset: u64,
    },
    /// The tick of this time.
    Tick {
        /// Microseconds since the Unix epoch.
        clock_us: i64,
    },
}

/// An output block that is not known to be committed.
#[derive(Debug, Clone)]
pub struct KeptOutput {
    /// Index of the output topic.
    pub output: usize,
    /// Its sequence in the topic.
    pub sequence: u64,
    /// What caused it.
    pub cause: OutputCause,
    /// Its events are some rows of the run that computed it: cutting tiny blocks costs more than computing them.
    pub run: Arc<Block>,
    /// Its rows of the run.
    pub rows: Range<usize>,
    /// Whether it may be split.
    pub kind: BlockKind,
    /// `traceparent` of the span that applied its cause, if that block is traced.
    pub trace: Option<Arc<str>>,
}

impl Sequenced for KeptOutput {
    fn output(&self) -> usize {
        self.output
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// Longest reason of a failure that goes into the commit log, in bytes.
const REASON_BYTES_MAX: usize = 4096;

/// Called with each block before it is applied; a test's way to make apply fail.
pub type BeforeApply = Arc<dyn Fn(&Block) + Send + Sync>;

/// The machine of one project.
pub struct Machine {
    project: Arc<Project>,
    before_apply: Option<BeforeApply>,
    bad_events: BadEventLog,
    executor: Executor,
    waiting: Vec<Waiting>,
    gauges: Vec<Arc<InputGauge>>,
    positions: Vec<u64>,
    sequences: Vec<u64>,
    kept: KeptOutputs<KeptOutput>,
    digests: Vec<u64>,
    blocks: Vec<JoinedBlocks>,
    records: Vec<ReadyRecord>,
    causes: Vec<(u64, Option<Arc<str>>)>,
    spans: Vec<BlockSpan>,
    last_traced: Option<Bytes>,
    outputs: Vec<OutputRun>,
    ticked: Vec<OutputBlock>,
    events_in: u64,
    events_out: u64,
}

impl Machine {
    /// A machine that has applied nothing.
    pub fn new(project: Arc<Project>, gauges: Vec<Arc<InputGauge>>) -> Machine {
        let executor = Executor::new(project.clone());
        Machine::over(project, executor, gauges)
    }

    /// Bad events go there too.
    pub fn with_bad_events(mut self, bad_events: BadEventLog) -> Machine {
        self.bad_events = bad_events;
        self
    }

    fn over(project: Arc<Project>, executor: Executor, gauges: Vec<Arc<InputGauge>>) -> Machine {
        let (inputs, outputs) = (executor.inputs().len(), executor.outputs().len());
        assert_eq!(gauges.len(), inputs, "one gauge per input");
        Machine {
            project,
            before_apply: None,
            bad_events: BadEventLog::default(),
            executor,
            waiting: (0..inputs).map(|_| Waiting::default()).collect(),
            gauges,
            positions: vec![0; inputs],
            sequences: vec![0; outputs],
            kept: KeptOutputs::new(outputs),
            digests: Vec::new(),
            blocks: Vec::new(),
            records: Vec::new(),
            causes: Vec::new(),
            spans: Vec::new(),
            last_traced: None,
            outputs: Vec::new(),
            ticked: Vec::new(),
            events_in: 0,
            events_out: 0,
        }
    }

    /// Forgets everything and starts over.
    pub fn reset(&mut self) {
        self.reset_to(Executor::new(self.project.clone()));
    }

    /// Forgets everything and goes on from the state of a snapshot. The positions come with the inputs.
    pub fn restore(&mut self, executor: Executor, sequences: &[u64]) {
        self.reset_to(executor);
        self.sequences.copy_from_slice(sequences);
    }

    fn reset_to(&mut self, executor: Executor) {
        let mut fresh = Machine::over(self.project.clone(), executor, self.gauges.clone());
        fresh.before_apply = self.before_apply.take();
        fresh.bad_events = std::mem::take(&mut self.bad_events);
        fresh.events_in = self.events_in;
        fresh.events_out = self.events_out;
        *self = fresh; // the old one takes what waited out of the gauges
    }

    fn drop_waiting(&mut self) {
        for (waiting, gauge) in self.waiting.iter_mut().zip(&self.gauges) {
            gauge.remove(waiting.blocks(), waiting.take_all());
        }
    }

    /// The inputs are read from here.
    pub fn start_at(&mut self, positions: &[u64]) {
        self.positions.copy_from_slice(positions);
    }

    /// Takes blocks that were read; their order is the topic's.
    pub fn push(&mut self, input: u32, blocks: ReadyBlocks) {
        self.waiting[input as usize].push(blocks);
    }

    /// Blocks that were read, and are thrown away unused, after a rebuild.
    pub fn discard(&self, input: u32, records: &[ReadyRecord]) {
        self.gauges[input as usize].remove(records.len(), records.iter().map(|record| record.bytes).sum());
    }

    /// Applies the next blocks of an input; returns the number of events. When the executor panics, the blocks are not
    /// applied, nothing of them is kept, and only a reset helps.
    pub fn apply(&mut self, input: u32, blocks: u32, keep: bool) -> Result<u64, Poison> {
        let index = input as usize;
        let mut bytes = 0;
        let mut records = std::mem::take(&mut self.records);
        self.waiting[index].take(blocks as usize, &mut self.blocks, &mut records);
        let from = records.first().map_or(0, |record| record.offset);
        for ReadyRecord { offset, traceparent, bytes: size } in records.drain(..) {
            assert!(offset >= self.positions[index], "input offsets only rise");
            self.positions[index] = offset + 1;
            bytes += size;
            if let Some(traced) = &traceparent {
                self.last_traced = Some(traced.clone());
            }
            let trace = traceparent.filter(|_| keep).and_then(|parent| self.span(&parent, offset));
            self.causes.push((offset, trace));
        }
        self.records = records;
        let events = self.blocks.iter().map(|joined| joined.events.len() as u64).sum();
        self.gauges[index].remove(blocks as usize, bytes);
        let (executor, outputs) = (&mut self.executor, &mut self.outputs);
        let (before_apply, ready) = (&self.before_apply, &self.blocks);
        let applied = catch_unwind(AssertUnwindSafe(|| {
            if let Some(before_apply) = before_apply {
                ready.iter().for_each(|joined| before_apply(&joined.events));
            }
            executor.apply_runs(index, ready, outputs);
        }));
        self.blocks.clear();
        if let Err(panic) = applied {
            let end = self.positions[index];
            self.give_up_executor();
            return Err(Poison { input: Some(input), from, end, blocks, reason: reason_of(&*panic) });
        }
        // Each run is of one output, and the runs of an output come in the order of their causes, so each topic's
        // sequence follows the input. The order of the topics among each other is nobody's business.
        for OutputRun { output, block, parts } in self.outputs.drain(..) {
            self.sequences[output] += parts.len() as u64;
            if !keep {
                continue;
            }
            self.events_out += block.len() as u64;
            let run = Arc::new(block);
            let first = self.sequences[output] - parts.len() as u64;
            for (sequence, OutputPart { cause, kind, rows }) in (first + 1..).zip(parts) {
                let (offset, trace) = &self.causes[cause];
                let (cause, trace) = (OutputCause::Input { input, offset: *offset }, trace.clone());
                self.kept.keep(KeptOutput { output, sequence, cause, run: run.clone(), rows, kind, trace });
            }
        }
        self.causes.clear();
        self.spans.clear(); // the spans end here
        self.events_in += events;
        Ok(events)
    }

    /// What is left of an executor that panicked is not looked at any more.
    fn give_up_executor(&mut self) {
        self.executor = Executor::new(self.project.clone());
        self.outputs.clear();
        self.ticked.clear();
        self.causes.clear();
        self.spans.clear();
    }

    /// Drops the next block of an input without applying it.
    pub fn skip(&mut self, input: u32) {
        let index = input as usize;
        let mut records = std::mem::take(&mut self.records);
        self.waiting[index].take(1, &mut self.blocks, &mut records);
        self.blocks.clear();
        for skipped in records.drain(..) {
            self.positions[index] = skipped.offset + 1;
            self.gauges[index].remove(1, skipped.bytes);
        }
        self.records = records;
    }

    /// For tests: called with each block before it is applied, also after a reset.
    pub fn before_apply(&mut self, call: BeforeApply) {
        self.before_apply = Some(call);
    }

    /// For tests: puts another executor in place of this one.
    pub fn replace_executor(&mut self, replace: impl FnOnce(&Executor) -> Executor) {
        self.executor = replace(&self.executor);
    }

    /// Begins the span of a traced block; returns what its outputs hand on.
    fn span(&mut self, parent: &[u8], offset: u64) -> Option<Arc<str>> {
        let parent = std::str::from_utf8(parent).ok()?;
        let span = block_span("engine.apply", Some(parent), &[Attribute::number("messaging.kafka.offset", offset)]);
        let trace = span.traceparent();
        self.spans.push(span);
        trace.map(Arc::from)
    }

    /// Sets the clock; fails as [`Machine::apply`] does.
    pub fn tick(&mut self, clock_us: i64, keep: bool) -> Result<(), Poison> {
        let (executor, ticked) = (&mut self.executor, &mut self.ticked);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| executor.tick(clock_us, ticked))) {
            self.give_up_executor();
            let from = clock_us as u64;
            return Err(Poison { input: None, from, end: from, blocks: 0, reason: reason_of(&*panic) });
        }
        for OutputBlock { output, block, .. } in self.ticked.drain(..) {
            self.sequences[output] += 1;
            if keep {
                self.events_out += block.len() as u64;
                let (sequence, cause) = (self.sequences[output], OutputCause::Tick { clock_us });
                let (rows, kind) = (0..block.len(), block.kind);
                let run = Arc::new(block);
                self.kept.keep(KeptOutput { output, sequence, cause, run, rows, kind, trace: None });
            }
        }
        Ok(())
    }

    /// The state as the protocol compares it.
    pub fn state(&mut self) -> MachineState {
        let bad = self.executor.take_bad_events();
        self.bad_events.take(bad, self.executor.window_names());
        for (window, text) in self.executor.take_messages() {
            tracing::info!(window = self.executor.window_names()[window], "{text}");
        }
        self.digests.clear();
        self.executor.digests(&mut self.digests);
        MachineState {
            positions: self.positions.clone(),
            clock_us: self.executor.clock_us(),
            digests: self.digests.clone(),
            sequences: self.sequences.clone(),
            next_deadline_us: self.executor.next_deadline_us(),
        }
    }

    /// The outputs that are not known to be committed.
    pub fn kept(&mut self) -> &mut KeptOutputs<KeptOutput> {
        &mut self.kept
    }

    /// The `traceparent` of the traced block that was applied last.
    pub fn last_traced(&self) -> Option<&str> {
        std::str::from_utf8(self.last_traced.as_deref()?).ok()
    }

    /// The executor, to look at.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Next offset of each input, blocks waiting of each, last sequence of each output.
    pub fn places(&self) -> (&[u64], Vec<usize>, &[u64]) {
        (&self.positions, self.waiting.iter().map(Waiting::blocks).collect(), &self.sequences)
    }

    /// Events applied, and events kept for publishing, since the process started.
    pub fn counts(&self) -> (u64, u64) {
        (self.events_in, self.events_out)
    }
}

/// What a panic said.
fn reason_of(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let mut reason = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned());
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.drop_waiting();
    }
}
