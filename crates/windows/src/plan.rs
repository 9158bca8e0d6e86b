//! The plan: one node per window, in model order, with the cheapest operator that its input allows.

use std::sync::Arc;

use mesh_event::{Block, Schema};
use mesh_model::{Index, Project, Query, Window, WindowKind};

use crate::digest::{Coverage, Digest};
use crate::executor::{Endpoint, WindowStats};
use crate::ops::compute::Compute;
use crate::ops::filter::Filter;
use crate::ops::functional::Functional;
use crate::ops::keep::{KeepQueue, KeepTable};
use crate::ops::source::Ingest;
use crate::ops::summary::Summary;
use crate::ops::{Clock, Operator, Pass};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};
use crate::store::{Expiry, Queue, Table};

/// A window at work.
pub(crate) struct Node {
    /// Of source windows: the entry.
    ingest: Option<Ingest>,
    operator: Box<dyn Operator>,
    digest: Digest,
    /// Input that waits. Paths that fork and meet again meet here, block by block: what an input block caused on one
    /// path, then what it caused on the next. Windows that tell their inputs apart (union, join) will need them event
    /// by event; the executor will then give a project with such a window runs of one event.
    pub pending: Option<Run>,
    /// Nodes that get the output.
    pub targets: Vec<usize>,
    /// Output index.
    pub output: Option<usize>,
}

impl Node {
    /// The run of a source's input blocks; `None` when the window takes no blocks.
    pub(crate) fn ingest(&mut self, blocks: &[Block]) -> Option<Run> {
        self.ingest.as_mut().map(|ingest| ingest.run(blocks))
    }

    /// Adds to what waits.
    pub(crate) fn receive(&mut self, run: Run) {
        self.pending = Some(match self.pending.take() {
            Some(waiting) => waiting.meet(&run),
            None => run,
        });
    }

    /// Works off what waits.
    pub(crate) fn process(&mut self, clock: Clock) -> Option<Run> {
        let run = self.pending.take()?;
        Some(self.operator.process(run, clock))
    }

    pub(crate) fn tick(&mut self, before: Clock, now: Clock) -> Option<Run> {
        self.operator.tick(before, now)
    }

    pub(crate) fn kind(&self) -> (&'static str, u16) {
        (self.operator.kind(), self.operator.version())
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        debug_assert!(self.pending.is_none(), "between two calls nothing is under way");
        if let Some(ingest) = &self.ingest {
            ingest.save(to);
        }
        self.operator.save(to);
        self.digest.save(to);
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        if let Some(ingest) = &mut self.ingest {
            ingest.restore(from)?;
        }
        self.operator.restore(from)?;
        self.digest.restore(from)
    }

    pub(crate) fn deadline_us(&self) -> Option<i64> {
        self.operator.deadline_us()
    }

    pub(crate) fn digest(&mut self, block: &Block) {
        self.digest.update(&block.opcodes, &block.flags, &block.columns);
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
            expression_errors: held.expression_errors,
        }
    }
}

/// What is known of every event stream a window can put out, before any event comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stream {
    /// Inserts only.
    insert_only: bool,
    /// No key is inserted twice.
    unique: bool,
}

impl Stream {
    /// Two streams as one: each may bring keys that the other has, whatever it says of itself.
    fn met_by(self, other: Stream) -> Stream {
        Stream { insert_only: self.insert_only && other.insert_only, unique: false }
    }
}

/// The windows of a project.
pub(crate) struct Plan {
    pub nodes: Vec<Node>,
    pub names: Vec<String>,
    pub inputs: Vec<Endpoint>,
    pub input_nodes: Vec<usize>,
    pub outputs: Vec<Endpoint>,
}

impl Plan {
    pub(crate) fn new(project: &Project) -> Plan {
        let mut nodes = Vec::new();
        let mut names = Vec::new();
        let mut first_of_query = Vec::new();
        for query in &project.queries {
            let first = nodes.len();
            first_of_query.push(first);
            plan_query(&project.name, query, first, &mut nodes);
            names.extend(query.windows.iter().map(|window| format!("{}/{}", query.name, window.name)));
        }
        let endpoint = |endpoint: &mesh_model::Endpoint<'_>| Endpoint {
            query: endpoint.query.to_owned(),
            window: endpoint.window.to_owned(),
            schema: Arc::clone(endpoint.schema),
            autogen_key: endpoint.autogen_key,
        };
        let node = |endpoint: &mesh_model::Endpoint<'_>| first_of_query[endpoint.query_index] + endpoint.window_index;
        let (inputs, outputs) = (project.inputs(), project.outputs());
        for (index, output) in outputs.iter().enumerate() {
            nodes[node(output)].output = Some(index);
        }
        Plan {
            input_nodes: inputs.iter().map(node).collect(),
            inputs: inputs.iter().map(endpoint).collect(),
            outputs: outputs.iter().map(endpoint).collect(),
            nodes,
            names,
        }
    }
}

fn plan_query(project: &str, query: &Query, first: usize, nodes: &mut Vec<Node>) {
    let mut streams: Vec<Stream> = Vec::with_capacity(query.windows.len());
    for (position, window) in query.windows.iter().enumerate() {
        let sources = query.edges.iter().filter(|edge| edge.target == position).map(|edge| streams[edge.source]);
        let input = match &window.kind {
            WindowKind::Source { insert_only, autogen_key } => {
                Stream { insert_only: *insert_only, unique: *autogen_key }
            }
            // A window without an edge gets no events: whatever is assumed of them holds.
            _ => sources.reduce(Stream::met_by).unwrap_or(Stream { insert_only: true, unique: true }),
        };
        let (operator, coverage, stream) = plan_window(window, input);
        let ingest = match &window.kind {
            WindowKind::Source { insert_only, autogen_key } => {
                let seed = autogen_key.then(|| format!("{project}/{}/{}/", query.name, window.name));
                Some(Ingest::new(&window.schema, *insert_only, seed))
            }
            _ => None,
        };
        let targets = query.edges.iter().filter(|edge| edge.source == position).map(|edge| first + edge.target);
        nodes.push(Node {
            ingest,
            operator,
            digest: Digest::new(&coverage),
            pending: None,
            targets: targets.collect(),
            output: None,
        });
        streams.push(stream);
    }
}

/// Digest coverage: what a window makes or may change. Everything else it shares with a window before it, or it comes
/// from the input topic, which is the same for every replica.
fn plan_window(window: &Window, input: Stream) -> (Box<dyn Operator>, Coverage, Stream) {
    let schema = &window.schema;
    match &window.kind {
        WindowKind::Source { .. } | WindowKind::Copy => plan_keep(window, input),
        WindowKind::Filter { condition } => {
            let coverage = Coverage { opcodes: true, columns: schema.keys().to_vec() };
            // On inserts alone the past does not matter: each row passes or does not, once.
            let stateful = window.index != Index::None && !input.insert_only;
            let new = if stateful { Filter::stateful } else { Filter::stateless };
            (Box::new(new(schema, condition)), coverage, input)
        }
        WindowKind::Compute { fields, keys } => {
            let compute = Compute::new(schema, keys, fields);
            let coverage = Coverage { opcodes: false, columns: compute.made() };
            (Box::new(compute), coverage, input)
        }
        WindowKind::Functional { fields } => {
            let functional = Functional::new(schema, fields);
            let coverage = Coverage { opcodes: false, columns: functional.made() };
            let unique =
                input.unique && keeps_keys(schema, |key| matches!(fields[key], mesh_model::FunctionalField::Copy(_)));
            (Box::new(functional), coverage, Stream { unique, ..input })
        }
        WindowKind::Summary { window_length, input: field, fields } => {
            let summary = Summary::new(schema, *window_length, *field, fields);
            let coverage = Coverage { opcodes: false, columns: summary.made() };
            let unique =
                input.unique && keeps_keys(schema, |key| matches!(fields[key], mesh_model::SummaryField::Copy(_)));
            (Box::new(summary), coverage, Stream { unique, ..input })
        }
    }
}

fn keeps_keys(schema: &Schema, copied: impl Fn(usize) -> bool) -> bool {
    schema.keys().iter().all(|&key| copied(key))
}

fn plan_keep(window: &Window, input: Stream) -> (Box<dyn Operator>, Coverage, Stream) {
    let schema = &window.schema;
    let expiry = window.retention.map(Expiry::new);
    let insert_only = input.insert_only && expiry.is_none();
    let source = matches!(window.kind, WindowKind::Source { .. });
    let keys = Coverage { opcodes: true, columns: schema.keys().to_vec() };
    let all = Coverage { opcodes: true, columns: (0..schema.fields().len()).collect() };
    let none =
        Coverage { opcodes: source, columns: if source && input.unique { schema.keys().to_vec() } else { vec![] } };
    match expiry {
        // Without retention the rows of such a stream can never be looked at again, so they are not held.
        None if input.insert_only && input.unique || window.index == Index::None => (Box::new(Pass), none, input),
        Some(expiry) if input.insert_only && input.unique && expiry.field.is_none() => {
            (Box::new(KeepQueue(Queue::new(schema, expiry))), keys, Stream { insert_only, unique: true })
        }
        // Retention needs rows: a window without an index that has one keeps them all the same.
        expiry => {
            let unique = input.insert_only && (input.unique || expiry.is_none());
            (Box::new(KeepTable(Table::new(schema, expiry))), all, Stream { insert_only, unique })
        }
    }
}
