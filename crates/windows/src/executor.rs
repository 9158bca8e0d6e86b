//! The executor: one project, one thread, a pure function of the applied blocks and ticks.

use std::ops::Range;
use std::sync::Arc;

use mesh_event::codec::JOINED_ROWS;
use mesh_event::{Block, BlockKind, JoinedBlocks, Schema};
use mesh_model::Project;

use crate::bad::BadEvent;
use crate::cut::cut;
use crate::node::{Node, Target};
use crate::ops::Clock;
use crate::plan::Plan;
use crate::run::Run;

/// A window that takes or gives blocks.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Name of the continuous query.
    pub query: String,
    /// Name of the window.
    pub window: String,
    /// Its rows.
    pub schema: Arc<Schema>,
    /// True for a source that makes its key itself. Input blocks may leave the key column out (the other columns in
    /// schema order) or carry one, which is overwritten.
    pub autogen_key: bool,
}

/// A block that a window put out.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputBlock {
    /// Index into [`Executor::outputs`].
    pub output: usize,
    /// Index of the input block, within the call, that caused it; 0 for a tick.
    pub cause: usize,
    /// The events; at least one.
    pub block: Block,
}

/// What a window put out for several input blocks, not yet cut into the blocks of each ([`Executor::apply_runs`]).
#[derive(Debug, Clone, PartialEq)]
pub struct OutputRun {
    /// Index into [`Executor::outputs`].
    pub output: usize,
    /// The events of all parts.
    pub block: Block,
    /// The rows of each block that goes out: ascending, without gaps, none empty.
    pub parts: Vec<OutputPart>,
}

/// One block that goes out, as rows of an [`OutputRun`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPart {
    /// Index of the input block, within the call, that caused it; 0 for a tick.
    pub cause: usize,
    /// Whether the block may be split: as the input block.
    pub kind: BlockKind,
    /// Its rows.
    pub rows: Range<usize>,
}

impl OutputRun {
    /// The parts as blocks of their own; a run of one part copies nothing.
    pub fn into_blocks(self, mut each: impl FnMut(OutputBlock)) {
        let OutputRun { output, block, parts } = self;
        if let [OutputPart { cause, kind, rows }] = &parts[..]
            && *rows == (0..block.len())
        {
            each(OutputBlock { output, cause: *cause, block: Block { kind: *kind, ..block } });
            return;
        }
        for OutputPart { cause, kind, rows } in parts {
            each(OutputBlock { output, cause, block: Block { kind, ..block.slice(rows) } });
        }
    }
}

/// What a window holds and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowStats {
    /// Rows held.
    pub rows: u64,
    /// Memory of the rows held; columns that windows share are counted by each.
    pub bytes: u64,
    /// Events put out since the start.
    pub events_out: u64,
    /// Input events that could not be applied (duplicate insert, unknown key, null key, wrong shape) and were dropped.
    pub bad_events: u64,
    /// Expression results that became null because of a run-time error.
    pub expression_errors: u64,
}

/// Runs one project on one thread.
///
/// Calls: [`Executor::apply`] and [`Executor::tick`] from the step log, in its order; everything else only looks.
pub struct Executor {
    pub(crate) nodes: Vec<Node>,
    pub(crate) names: Vec<String>,
    inputs: Vec<Endpoint>,
    /// Node of each input.
    input_nodes: Vec<usize>,
    outputs: Vec<Endpoint>,
    pub(crate) clock: Clock,
    needs_clock: bool,
    /// Time from one tick to the next where expressions read the clock.
    heartbeat_us: Option<i64>,
    /// True when a window has several inputs.
    meets: bool,
    pub(crate) fingerprint: u64,
}

impl Executor {
    /// Prepares the windows of a project; nothing is held yet and the clock has not started.
    pub fn new(project: Arc<Project>) -> Executor {
        Executor::between(&project, &project.inputs(), &project.outputs())
    }

    /// Like [`Executor::new`], with other windows that take and give blocks: those that a tool is asked for.
    pub fn between(
        project: &Project,
        inputs: &[mesh_model::Endpoint<'_>],
        outputs: &[mesh_model::Endpoint<'_>],
    ) -> Executor {
        let Plan { nodes, names, inputs, input_nodes, outputs, meets } = Plan::new(project, inputs, outputs);
        let needs_clock = project.needs_clock();
        let heartbeat_us = project.expressions_read_clock().then_some(project.heartbeat_us);
        let fingerprint = project.fingerprint;
        Executor {
            nodes,
            names,
            inputs,
            input_nodes,
            outputs,
            clock: Clock::default(),
            needs_clock,
            heartbeat_us,
            meets,
            fingerprint,
        }
    }

    /// The windows that take blocks; the position is the input index.
    pub fn inputs(&self) -> &[Endpoint] {
        &self.inputs
    }

    /// The windows whose blocks go out; the position is the output index.
    pub fn outputs(&self) -> &[Endpoint] {
        &self.outputs
    }

    /// Applies blocks of one input in order and appends what they cause, ordered by cause, then by output. A block
    /// causes one block per output at most, or several when that would be longer than [`crate::OUTPUT_BYTES_MAX`]. How
    /// blocks are spread over calls changes neither outputs nor digests.
    ///
    /// # Panics
    /// When `input` is not an index into [`Executor::inputs`].
    pub fn apply(&mut self, input: usize, blocks: &[Block], sink: &mut Vec<OutputBlock>) {
        let first = sink.len();
        let mut runs = Vec::new();
        let blocks: Vec<JoinedBlocks> = blocks.iter().map(|block| block.clone().into()).collect();
        self.apply_runs(input, &blocks, &mut runs);
        runs.into_iter().for_each(|run| run.into_blocks(|block| sink.push(block)));
        if self.outputs.len() > 1 {
            sink[first..].sort_by_key(|output| (output.cause, output.output));
        }
    }

    /// Like [`Executor::apply`], but takes blocks that share columns, and leaves the outputs in the runs they were
    /// computed in: for who throws them away, or encodes rows of a run without cutting it first. With many tiny blocks
    /// join and cut are what costs most. Runs of one output come in the order of their causes; how many there are depends
    /// on the call, what they hold does not. Causes are numbered over all blocks of the call.
    ///
    /// # Panics
    /// When `input` is not an index into [`Executor::inputs`].
    pub fn apply_runs(&mut self, input: usize, blocks: &[JoinedBlocks], sink: &mut Vec<OutputRun>) {
        let node = self.input_nodes[input];
        let (mut left, mut first) = (blocks, 0);
        while !left.is_empty() {
            let (run, rest) = left.split_at(parts_of_a_run(left));
            self.apply_run(node, run, first, sink);
            first += run.iter().map(JoinedBlocks::len).sum::<usize>();
            left = rest;
        }
    }

    /// Applies one run; `first` is the number of its first block within the call.
    fn apply_run(&mut self, node: usize, blocks: &[JoinedBlocks], first: usize, sink: &mut Vec<OutputRun>) {
        let kinds: Vec<BlockKind> = blocks.iter().flat_map(|joined| joined.kinds.iter().copied()).collect();
        let Some(run) = self.nodes[node].ingest(blocks) else { return };
        // Where paths meet, they meet event by event; a project without such a place is spared the bookkeeping.
        let (run, events) = if self.meets {
            let (run, events) = run.by_event();
            (run, Some(events))
        } else {
            (run, None)
        };
        let causes = Causes { kinds: &kinds, first, events: events.as_deref() };
        self.nodes[node].receive(0, run);
        for node in node..self.nodes.len() {
            if let Some(run) = self.nodes[node].process(self.clock) {
                self.deliver(node, run, causes, sink);
            }
        }
    }

    /// Moves the clock and appends what that causes: per output one block at most, or several when it would be too long.
    ///
    /// # Panics
    /// When the clock would go back.
    pub fn tick(&mut self, clock_us: i64, sink: &mut Vec<OutputBlock>) {
        let before = self.clock;
        self.clock = before.advanced_to(clock_us);
        let first = sink.len();
        let mut runs = Vec::new();
        for node in 0..self.nodes.len() {
            // What came from above is processed first, then the window's own time: one fixed order on every replica.
            let from_above = self.nodes[node].process(self.clock);
            let own = self.nodes[node].tick(before, self.clock);
            let run = match (from_above, own) {
                (Some(above), Some(own)) => Run::join(&[above, own]),
                (Some(run), None) | (None, Some(run)) => run,
                (None, None) => continue,
            };
            let causes = Causes { kinds: &[BlockKind::Normal], first: 0, events: None };
            self.deliver(node, run, causes, &mut runs);
        }
        runs.into_iter().for_each(|run| run.into_blocks(|block| sink.push(block)));
        sink[first..].sort_by_key(|output| output.output);
    }

    /// Passes on what a window put out, and lists it when it goes out.
    fn deliver(&mut self, node: usize, run: Run, causes: Causes<'_>, sink: &mut Vec<OutputRun>) {
        if run.block.is_empty() {
            return;
        }
        let slots = self.nodes[node].slots(&run, self.clock);
        for target in 0..self.nodes[node].targets.len() {
            let Target { node: target, side, slot } = self.nodes[node].targets[target];
            debug_assert!(target > node, "windows stand in topological order");
            match (slot, &slots) {
                (Some(slot), Some(slots)) => self.nodes[target].receive(side, slots.only(slot, &run)),
                _ => self.nodes[target].receive(side, run.clone()),
            }
        }
        if let Some(output) = self.nodes[node].output {
            let parts = cut(&run.block, run.parts(causes.kinds, causes.first, causes.events));
            sink.push(OutputRun { output, block: run.block, parts });
        }
    }

    /// The clock of the last tick in microseconds since the Unix epoch; 0 before the first.
    pub fn clock_us(&self) -> i64 {
        self.clock.get().unwrap_or(0)
    }

    /// True when ticks can change what the project computes.
    pub fn needs_clock(&self) -> bool {
        self.needs_clock
    }

    /// The earliest clock at which a tick would change anything; `None` when no tick would. Before the first tick of a
    /// project that needs the clock it is `i64::MIN`: any tick starts the clock.
    pub fn next_deadline_us(&self) -> Option<i64> {
        if self.needs_clock && self.clock.get().is_none() {
            return Some(i64::MIN);
        }
        let heartbeat = self.clock.get().zip(self.heartbeat_us).map(|(clock, every)| clock.saturating_add(every));
        self.nodes.iter().filter_map(Node::deadline_us).chain(heartbeat).min()
    }

    /// Appends the running digest of every window's output, in the order of [`Executor::window_names`].
    pub fn digests(&self, into: &mut Vec<u64>) {
        into.extend(self.nodes.iter().map(Node::digest_value));
    }

    /// What expressions and scripts wrote for the log since the last call, with the window's position; scripts' errors
    /// are among it. It is no state: a replica that replays writes it again.
    pub fn take_messages(&mut self) -> Vec<(usize, String)> {
        let each = |(at, node): (usize, &mut Node)| node.take_messages().into_iter().map(move |text| (at, text));
        self.nodes.iter_mut().enumerate().flat_map(each).collect()
    }

    /// Events that windows could not apply since the last call, with the window's position; at most 1000 of a window are
    /// kept, the others are in [`Executor::stats`] only. It is no state: a replica that replays gives them again.
    pub fn take_bad_events(&mut self) -> Vec<(usize, BadEvent)> {
        let each = |(at, node): (usize, &mut Node)| node.take_bad_events().into_iter().map(move |event| (at, event));
        self.nodes.iter_mut().enumerate().flat_map(each).collect()
    }

    /// `query/window` of every window in model order.
    pub fn window_names(&self) -> &[String] {
        &self.names
    }

    /// What every window holds and did, in the order of [`Executor::window_names`].
    pub fn stats(&self) -> Vec<WindowStats> {
        self.nodes.iter().map(Node::stats).collect()
    }
}

/// What the rows of a run are counted by.
#[derive(Clone, Copy)]
struct Causes<'a> {
    /// One for each input block of the run.
    kinds: &'a [BlockKind],
    /// Number of the first of them within the call.
    first: usize,
    /// Number of events up to the end of each, when the run is by event.
    events: Option<&'a [u32]>,
}

/// How many of the parts, at least one, make up the next run.
fn parts_of_a_run(parts: &[JoinedBlocks]) -> usize {
    let mut rows = 0;
    for (count, part) in parts.iter().enumerate() {
        rows += part.events.len();
        if rows > JOINED_ROWS && count > 0 {
            return count;
        }
    }
    parts.len()
}
