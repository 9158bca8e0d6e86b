//! Which windows get topics, and what else the engine asks of a project.

use std::sync::Arc;

use mesh_event::Schema;

use crate::{Connector, Direction, Project, Query, Splitter, Transpose, Window, WindowKind};

/// A window that has a topic.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    /// Name of the continuous query.
    pub query: &'a str,
    /// Name of the window.
    pub window: &'a str,
    /// Rows on the topic.
    pub schema: &'a Arc<Schema>,
    /// True when the window makes the key itself (publishers leave it out).
    pub autogen_key: bool,
    /// Position of the query in [`Project::queries`].
    pub query_index: usize,
    /// Position of the window in [`Query::windows`].
    pub window_index: usize,
}

impl Project {
    /// Source windows with an inbound (`.I`) topic, in model order: those with a publish connector that engines run
    /// themselves, or with an active kafka publish connector; every source window when the project has no such.
    pub fn inputs(&self) -> Vec<Endpoint<'_>> {
        let sources = |_: &Query, _: usize, window: &Window| matches!(window.kind, WindowKind::Source { .. });
        self.endpoints(Direction::Publish, sources)
    }

    /// Windows with an outbound (`.O`) topic, in model order: those with a subscribe connector that engines run
    /// themselves, or with an active kafka subscribe connector; windows without outgoing edges when the project has no
    /// such.
    pub fn outputs(&self) -> Vec<Endpoint<'_>> {
        let last = |query: &Query, index: usize, _: &Window| query.edges.iter().all(|edge| edge.source != index);
        self.endpoints(Direction::Subscribe, last)
    }

    /// Every source window, in model order.
    pub fn sources(&self) -> Vec<Endpoint<'_>> {
        self.windows(|window| matches!(window.kind, WindowKind::Source { .. }))
    }

    /// The windows that are meant by `window` or `query/window`: one, or none, or one for each query.
    pub fn named(&self, name: &str) -> Vec<Endpoint<'_>> {
        let all = self.windows(|_| true).into_iter();
        all.filter(|end| end.window == name || name.split_once('/') == Some((end.query, end.window))).collect()
    }

    /// Every window, in model order.
    fn windows(&self, chosen: impl Fn(&Window) -> bool) -> Vec<Endpoint<'_>> {
        self.endpoints_of(|_, _, window| chosen(window))
    }

    fn endpoints(&self, direction: Direction, otherwise: impl Fn(&Query, usize, &Window) -> bool) -> Vec<Endpoint<'_>> {
        let connected = |window: &Window| window.connectors.iter().any(|c| c.is_active_kafka(direction));
        let any = self.queries.iter().flat_map(|query| &query.windows).any(connected);
        let own = |window: &Window| window.connectors.iter().any(|c| c.is_own(direction));
        // Its messages are sent from its topic.
        let is_out = direction == Direction::Subscribe;
        let tells = |window: &Window| is_out && matches!(window.kind, WindowKind::Notification(_));
        self.endpoints_of(|query, index, window| {
            own(window) || tells(window) || if any { connected(window) } else { otherwise(query, index, window) }
        })
    }

    fn endpoints_of(&self, chosen: impl Fn(&Query, usize, &Window) -> bool) -> Vec<Endpoint<'_>> {
        let mut endpoints = Vec::new();
        for (query_index, query) in self.queries.iter().enumerate() {
            for (window_index, window) in query.windows.iter().enumerate() {
                if chosen(query, window_index, window) {
                    endpoints.push(Endpoint {
                        query: &query.name,
                        window: &window.name,
                        schema: &window.schema,
                        autogen_key: matches!(window.kind, WindowKind::Source { autogen_key: true, .. }),
                        query_index,
                        window_index,
                    });
                }
            }
        }
        endpoints
    }

    /// Every active kafka connector, in model order.
    pub fn kafka_connectors(&self) -> impl Iterator<Item = &Connector> {
        let connectors = self.queries.iter().flat_map(|query| &query.windows).flat_map(|window| &window.connectors);
        connectors.filter(|connector| connector.active && connector.class == "kafka")
    }

    /// `urlhostport` (`host_port`) of the first active kafka connector that has one.
    pub fn url_host_port(&self) -> Option<&str> {
        self.kafka_connectors().find_map(|connector| connector.property("urlhostport"))
    }

    /// True when expressions or functions read the clock: it must then go on at every heartbeat.
    pub fn expressions_read_clock(&self) -> bool {
        self.queries.iter().flat_map(|query| &query.windows).any(expressions_read_clock)
    }

    /// True when the clock can change what the project computes: ticks must then be in the commit log.
    pub fn needs_clock(&self) -> bool {
        self.queries.iter().flat_map(|query| &query.windows).any(|window| {
            let by_kind = match &window.kind {
                WindowKind::Aggregate(aggregate) => aggregate.calls.iter().any(|call| call.period_us.is_some()),
                WindowKind::Counter(_) => true,
                // Instances end by the clock where events have no time of their own.
                WindowKind::Pattern(patterns) => patterns.iter().any(|pattern| pattern.times.contains(&None)),
                WindowKind::Notification(spec) => spec.channels.iter().any(|channel| channel.throttle_us.is_some()),
                WindowKind::Transpose(transpose) => matches!(**transpose, Transpose::Wide { clear_us: Some(_), .. }),
                _ => false,
            };
            by_kind
                || expressions_read_clock(window)
                || matches!(&window.kind, WindowKind::Lua(lua) if lua.heartbeat.is_some())
                || window.retention.is_some_and(|retention| retention.uses_clock())
                || window.output.pulse_us.is_some()
        })
    }
}

/// True when expressions, functions or scripts of a window read the clock.
pub(crate) fn expressions_read_clock(window: &Window) -> bool {
    if window.splitter.as_ref().is_some_and(Splitter::reads_clock) {
        return true;
    }
    match &window.kind {
        WindowKind::LuaFilter(call) => call.script.reads_clock(),
        WindowKind::Lua(lua) => lua.script.reads_clock(),
        WindowKind::Pattern(patterns) => {
            patterns.iter().filter_map(|pattern| pattern.script.as_ref()).any(mesh_script::Script::reads_clock)
        }
        WindowKind::Filter { condition } => condition.reads_clock(),
        WindowKind::Compute { fields, .. } => fields.iter().any(mesh_expr::Program::reads_clock),
        WindowKind::Notification(spec) => spec.code.reads_clock(),
        WindowKind::Functional(inputs) => inputs.iter().any(|input| input.code.reads_clock()),
        _ => false,
    }
}
