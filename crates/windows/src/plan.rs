//! The plan: one node per window, in model order, with the cheapest operator that its input allows.

use std::sync::Arc;

use mesh_event::Schema;
use mesh_model::{EdgeRole, Index, Project, Query, Window, WindowKind};

use crate::digest::{Coverage, Digest};
use crate::executor::Endpoint;
use crate::live;
use crate::node::{Node, Target};
use crate::ops::aggregate::Aggregate;
use crate::ops::calculate::Calculate;
use crate::ops::calculate::summary::Summary;
use crate::ops::compute::Compute;
use crate::ops::counter::Count;
use crate::ops::filter::{Condition, Filter};
use crate::ops::functional::Functional;
use crate::ops::geofence::{GEOMETRY, Geofence, POSITION};
use crate::ops::join::{Join, LEFT, RIGHT};
use crate::ops::keep::{KeepQueue, KeepTable};
use crate::ops::lua::{Asked, Lua};
use crate::ops::notification::Notification;
use crate::ops::pattern::Pattern;
use crate::ops::remove_state::Remove;
use crate::ops::score::{DATA, MODEL, Score};
use crate::ops::source::Ingest;
use crate::ops::tracker::Tracker;
use crate::ops::train::Train;
use crate::ops::transpose::{Long, Wide};
use crate::ops::union::Union;
use crate::ops::{Operator, Pass, Sides};
use crate::outlet::Outlet;
use crate::slots::Splitter;
use crate::store::{Expiry, Queue, Table};

/// What is known of every event stream a window can put out, before any event comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stream {
    /// Inserts only.
    insert_only: bool,
    /// No key is inserted twice.
    unique: bool,
    /// What is changed or deleted is there, and comes with its old row: nothing need be looked up.
    exact: bool,
}

impl Stream {
    /// Two streams as one: each may bring keys that the other has, whatever it says of itself.
    fn met_by(self, other: Stream) -> Stream {
        Stream { insert_only: self.insert_only && other.insert_only, unique: false, exact: false }
    }

    /// Inserts of keys that never come again.
    const IDEAL: Stream = Stream { insert_only: true, unique: true, exact: true };

    /// Behind a window that computes fields from what came before: old rows are not what they were, and neither are
    /// keys that it does not copy.
    fn numbered(self, keeps_keys: bool) -> Stream {
        let unique = self.unique && keeps_keys;
        Stream { insert_only: self.insert_only, unique, exact: unique && self.insert_only }
    }
}

/// The windows of a project.
pub(crate) struct Plan {
    pub nodes: Vec<Node>,
    pub names: Vec<String>,
    pub inputs: Vec<Endpoint>,
    pub input_nodes: Vec<usize>,
    pub outputs: Vec<Endpoint>,
    /// True when a window has several inputs.
    pub meets: bool,
}

impl Plan {
    pub(crate) fn new(
        project: &Project,
        inputs: &[mesh_model::Endpoint<'_>],
        outputs: &[mesh_model::Endpoint<'_>],
    ) -> Plan {
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
        for (index, output) in outputs.iter().enumerate() {
            nodes[node(output)].output = Some(index);
        }
        for (query, &first) in project.queries.iter().zip(&first_of_query) {
            let schemas: Vec<&Schema> = query.windows.iter().map(|window| &*window.schema).collect();
            live::tell(&mut nodes[first..first + schemas.len()], &schemas, first);
        }
        Plan {
            input_nodes: inputs.iter().map(node).collect(),
            inputs: inputs.iter().map(endpoint).collect(),
            outputs: outputs.iter().map(endpoint).collect(),
            meets: project.queries.iter().any(has_meeting),
            nodes,
            names,
        }
    }
}

fn has_meeting(query: &Query) -> bool {
    let inputs = |target: usize| query.edges.iter().filter(|edge| edge.target == target).count();
    (0..query.windows.len()).any(|target| inputs(target) > 1)
}

/// Position of an edge's events among the inputs of its target: left and right of a join, position and geometry of a
/// geofence, data and models of a score window, the place among the edges of a pattern, a Lua window, and a functional
/// window that tells its inputs apart; everything else has one.
fn side_of(query: &Query, edge: &mesh_model::Edge) -> usize {
    let into: Vec<&mesh_model::Edge> = query.edges.iter().filter(|other| other.target == edge.target).collect();
    let place = into.iter().position(|other| *other == edge).unwrap_or_default();
    match &query.windows[edge.target].kind {
        WindowKind::Pattern(_) | WindowKind::Lua(_) => return place,
        WindowKind::Functional(inputs) => return if inputs.len() > 1 { place } else { 0 },
        WindowKind::Score(_) => {
            let trains = matches!(query.windows[edge.source].kind, WindowKind::Train(_));
            return if trains || edge.role == EdgeRole::Model { MODEL } else { DATA };
        }
        WindowKind::Join(_) | WindowKind::Geofence(_) => {}
        _ => return 0,
    }
    let by_role = |edge: &mesh_model::Edge| match edge.role {
        EdgeRole::Left | EdgeRole::Position => Some(0),
        EdgeRole::Right | EdgeRole::Geometry => Some(1),
        _ => None,
    };
    // Of two edges one role is enough; without any, the first edge leads to the first side.
    let other = into.iter().find(|other| **other != edge).and_then(|other| by_role(other));
    by_role(edge).or(other.map(|side| 1 - side)).unwrap_or(place)
}

fn plan_query(project: &str, query: &Query, first: usize, nodes: &mut Vec<Node>) {
    let mut streams: Vec<Stream> = Vec::with_capacity(query.windows.len());
    for (position, window) in query.windows.iter().enumerate() {
        let sources = query.edges.iter().filter(|edge| edge.target == position).map(|edge| streams[edge.source]);
        let input = match &window.kind {
            WindowKind::Source { insert_only, autogen_key } => {
                Stream { insert_only: *insert_only, unique: *autogen_key, exact: *insert_only && *autogen_key }
            }
            // A window without an edge gets no events: whatever is assumed of them holds.
            _ => sources.reduce(Stream::met_by).unwrap_or(Stream::IDEAL),
        };
        let seed = format!("{project}/{}/{}/", query.name, window.name);
        let place = Place { query, position, seed: &seed };
        let (operator, coverage, stream) = plan_window(window, input, &streams, &place);
        let outlet = Outlet::new(window.output, &window.schema);
        let stream = match window.output.insert_only {
            true => Stream { insert_only: true, unique: false, exact: false },
            false if window.output.collapse_updates => Stream { exact: stream.insert_only && stream.exact, ..stream },
            false => stream,
        };
        let ingest = match &window.kind {
            WindowKind::Source { insert_only, autogen_key } => {
                Some(Ingest::new(&window.schema, *insert_only, autogen_key.then(|| seed.clone())))
            }
            _ => None,
        };
        let targets = query.edges.iter().filter(|edge| edge.source == position).map(|edge| Target {
            node: first + edge.target,
            side: side_of(query, edge),
            slot: edge.slot.filter(|_| window.splitter.is_some()),
        });
        // What changes the output must be covered with it.
        let coverage = if outlet.is_some() { Coverage { opcodes: true, ..coverage } } else { coverage };
        nodes.push(Node {
            ingest,
            operator,
            outlet,
            splitter: window.splitter.as_ref().map(|splitter| Splitter::new(splitter, &window.schema, &seed)),
            digest: Digest::new(&coverage),
            made: Vec::new(),
            pending: Sides::default(),
            targets: targets.collect(),
            output: None,
        });
        streams.push(stream);
    }
}

/// Where a window stands.
struct Place<'a> {
    query: &'a Query,
    position: usize,
    /// `project/query/window/`.
    seed: &'a str,
}

impl Place<'_> {
    /// The windows before this one, by side.
    fn inputs(&self, side: usize) -> impl Iterator<Item = &Window> {
        self.edges(side).map(|edge| &self.query.windows[edge.source])
    }

    /// The edges to a side.
    fn edges(&self, side: usize) -> impl Iterator<Item = &mesh_model::Edge> {
        let edges = self.query.edges.iter().filter(move |edge| edge.target == self.position);
        edges.filter(move |edge| side_of(self.query, edge) == side)
    }

    fn input_schema(&self, side: usize) -> &Arc<Schema> {
        let window = self.inputs(side).next();
        &window.expect("the model gives every window but a source its inputs").schema
    }
}

/// Digest coverage: what a window makes or may change. Everything else it shares with a window before it, or it comes
/// from the input topic, which is the same for every replica.
fn plan_window(
    window: &Window,
    input: Stream,
    streams: &[Stream],
    place: &Place<'_>,
) -> (Box<dyn Operator>, Coverage, Stream) {
    let schema = &window.schema;
    let all = || Coverage { opcodes: true, columns: (0..schema.fields().len()).collect() };
    match &window.kind {
        WindowKind::Source { .. } | WindowKind::Copy => plan_keep(window, input),
        WindowKind::Filter { .. } | WindowKind::LuaFilter(_) => {
            let condition = match &window.kind {
                WindowKind::LuaFilter(call) => Condition::Script(Box::new(Asked::new(call, schema, place.seed))),
                WindowKind::Filter { condition } => Condition::program(condition, place.seed),
                _ => unreachable!("the arm is for filters"),
            };
            let coverage = Coverage { opcodes: true, columns: schema.keys().to_vec() };
            // On inserts alone the past does not matter: each row passes or does not, once.
            let stateful = window.index != Index::None && !input.insert_only;
            let new = if stateful { Filter::stateful } else { Filter::stateless };
            (Box::new(new(schema, condition)), coverage, Stream { exact: input.exact || stateful, ..input })
        }
        WindowKind::Lua(spec) => {
            let sides = 0..spec.inputs.len();
            let inputs: Vec<&Schema> = sides.map(|side| &**place.input_schema(side)).collect();
            let lua = Lua::new(schema, spec, &inputs, place.seed);
            (Box::new(lua), all(), Stream { insert_only: false, unique: false, exact: false })
        }
        WindowKind::Compute { fields, keys } => {
            let compute = Compute::new(schema, keys, fields, place.seed);
            let coverage = Coverage { opcodes: false, columns: compute.made() };
            (Box::new(compute), coverage, input)
        }
        WindowKind::Functional(inputs) => {
            let functional = Functional::new(schema, inputs, place.seed);
            if !inputs.iter().all(|input| input.code.one_for_one()) {
                let insert_only = inputs.iter().all(|input| input.code.only_inserts());
                return (Box::new(functional), all(), Stream { insert_only, unique: false, exact: false });
            }
            // Where several streams become one, which event stands where is decided here.
            let coverage = Coverage { opcodes: inputs.len() > 1, columns: functional.made() };
            let copied = |key: usize, input: &mesh_model::FunctionalInput| {
                matches!(input.fields[key], mesh_model::FunctionalField::Copy(_))
            };
            let keeps = keeps_keys(schema, |key| inputs.iter().all(|input| copied(key, input)));
            (Box::new(functional), coverage, input.numbered(keeps))
        }
        WindowKind::Summary { window_length, input: field, alpha, fields } => {
            let summary = Summary::new(schema, (*window_length, *alpha), *field, fields);
            let coverage = Coverage { opcodes: false, columns: summary.made() };
            let keeps = keeps_keys(schema, |key| matches!(fields[key], mesh_model::SummaryField::Copy(_)));
            (Box::new(summary), coverage, input.numbered(keeps))
        }
        WindowKind::Calculate(spec) => {
            let calculate = Calculate::new(schema, spec, place.input_schema(0));
            let stream = if spec.run.algorithm.one_for_one {
                let copied = |key: usize| matches!(spec.fields[key], mesh_model::ResultField::Copy(_));
                input.numbered(keeps_keys(schema, copied))
            } else {
                Stream { insert_only: input.insert_only, unique: false, exact: false }
            };
            (Box::new(calculate), all(), stream)
        }
        WindowKind::Train(run) => (Box::new(Train::new(schema, run)), all(), Stream::IDEAL),
        WindowKind::Score(spec) => {
            let data = place.edges(DATA).map(|edge| streams[edge.source]).reduce(Stream::met_by);
            let data = data.unwrap_or(Stream::IDEAL);
            let copied = |key: usize| matches!(spec.fields[key], mesh_model::ResultField::Copy(_));
            // An old half is scored with the model of now.
            (Box::new(Score::new(schema, spec)), all(), data.numbered(keeps_keys(schema, copied)))
        }
        WindowKind::Union { .. } if window.index == Index::None || input.insert_only && input.unique => {
            (Box::new(Pass), Coverage { opcodes: true, columns: schema.keys().to_vec() }, input)
        }
        WindowKind::Union { strict } => {
            let stream = Stream { insert_only: *strict && input.insert_only, unique: false, exact: true };
            let unique = stream.insert_only;
            (Box::new(Union::new(Table::new(schema, None), *strict)), all(), Stream { unique, ..stream })
        }
        WindowKind::Aggregate(spec) => {
            let before = place.input_schema(0);
            let exact = (!input.exact && !input.insert_only).then(|| Table::new(before, None));
            let (keys, seed) = (before.keys().to_vec(), place.seed.to_owned());
            let aggregate = Aggregate::new(schema, spec, keys, exact, input.insert_only, seed);
            (Box::new(aggregate), all(), Stream { insert_only: false, unique: false, exact: true })
        }
        WindowKind::Join(spec) => {
            let exact = |side: usize| {
                let stream =
                    place.edges(side).map(|edge| streams[edge.source]).reduce(Stream::met_by).unwrap_or(Stream::IDEAL);
                (place.input_schema(side), stream.exact || stream.insert_only)
            };
            let inputs = [exact(LEFT), exact(RIGHT)];
            let join = Join::new(schema, spec, inputs, window.index == Index::None, place.seed);
            (Box::new(join), all(), Stream { insert_only: false, unique: false, exact: false })
        }
        WindowKind::Pattern(patterns) => {
            let edges = place.query.edges.iter().filter(|edge| edge.target == place.position);
            let inputs: Vec<_> = edges.map(|edge| Arc::clone(&place.query.windows[edge.source].schema)).collect();
            let pattern = Pattern::new(schema, patterns, &inputs, input.insert_only, place.seed.to_owned());
            (Box::new(pattern), all(), Stream::IDEAL)
        }
        WindowKind::Geofence(spec) => {
            let geofence = Geofence::new(schema, spec, place.input_schema(GEOMETRY));
            let positions = place.edges(POSITION).map(|edge| streams[edge.source]).reduce(Stream::met_by);
            let insert_only = positions.is_some_and(|stream| stream.insert_only);
            (Box::new(geofence), all(), Stream { insert_only, unique: false, exact: false })
        }
        WindowKind::RemoveState(rule) => (Box::new(Remove::new(schema, *rule)), all(), Stream::IDEAL),
        WindowKind::Counter(spec) => {
            let name = place.inputs(0).next().map_or("", |window| window.name.as_str());
            let stream = Stream { insert_only: false, unique: false, exact: true };
            (Box::new(Count::new(schema, *spec, name)), all(), stream)
        }
        WindowKind::Notification(spec) => (Box::new(Notification::new(schema, spec, place.seed)), all(), Stream::IDEAL),
        WindowKind::Tracker(spec) => {
            let stream = Stream { insert_only: input.insert_only, unique: false, exact: false };
            (Box::new(Tracker::new(schema, spec)), all(), stream)
        }
        WindowKind::Transpose(spec) => match &**spec {
            mesh_model::Transpose::Long { .. } => (Box::new(Long::new(schema, spec)), all(), input),
            mesh_model::Transpose::Wide { .. } => {
                let stream = Stream { insert_only: input.insert_only, unique: false, exact: false };
                (Box::new(Wide::new(schema, spec)), all(), stream)
            }
        },
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
            (Box::new(KeepQueue(Queue::new(schema, expiry))), keys, Stream { insert_only, unique: true, exact: true })
        }
        // Retention needs rows: a window without an index that has one keeps them all the same.
        expiry => {
            let unique = input.insert_only && (input.unique || expiry.is_none());
            (Box::new(KeepTable(Table::new(schema, expiry))), all, Stream { insert_only, unique, exact: true })
        }
    }
}
