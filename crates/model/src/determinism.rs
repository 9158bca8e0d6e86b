//! What the output of each window depends on beside its events, how that is the same on every replica, and what remains.
//!
//! `crates/windows/tests/determinism.rs` holds the engine to it: a window that depends on no clock and no interleaving
//! has the same digest whatever ticks and orders it is shown.

use std::fmt;

use mesh_event::FieldType;

use crate::project::{Project, Query, Window, WindowKind};
use crate::script::Splitter;
use crate::topics::expressions_read_clock;
use crate::{AggregateFunction, Direction, Pattern, Transpose};

/// What a window can depend on beside its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependence {
    /// The time.
    Clock,
    /// Random numbers and made keys.
    Random,
    /// The order in which events of several sources come.
    Interleaving,
    /// Sums of floating-point numbers.
    Floats,
    /// What a script does.
    Script,
    /// Systems outside of the engine.
    Outside,
}

impl Dependence {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Dependence::Clock => "recorded clock",
            Dependence::Random => "seeded random numbers",
            Dependence::Interleaving => "interleaving",
            Dependence::Floats => "floating-point sums",
            Dependence::Script => "script",
            Dependence::Outside => "outside world",
        }
    }

    /// How it is made the same on every replica.
    pub fn cure(self) -> &'static str {
        match self {
            Dependence::Clock => "time passes by the ticks in the commit log alone",
            Dependence::Random => "drawn from a seed of project and window; the place in the sequence is state",
            Dependence::Interleaving => "the active decides the order once and records it as steps",
            Dependence::Floats => "added in one fixed order or exactly, never added and subtracted",
            Dependence::Script => {
                "sandboxed Lua: tables are walked by key, variables are state, limits count instructions"
            }
            Dependence::Outside => "no engine starts it: adapters publish what comes from outside, and it is recorded",
        }
    }
}

impl fmt::Display for Dependence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One dependence of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// On what.
    pub on: Dependence,
    /// The part of the window that depends on it.
    pub because: String,
    /// What the cure does not reach.
    pub remains: Option<&'static str>,
}

/// The dependences of one window, those of the windows before it left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowFindings {
    /// `query/window`.
    pub window: String,
    /// By [`Dependence`].
    pub findings: Vec<Finding>,
}

/// What a project as a whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its output follows from its events.
    Deterministic,
    /// Its output follows from its events and the recorded clock, order and seeds.
    Recorded,
    /// As [`Verdict::Recorded`], but for what the report says remains.
    Remainders,
}

impl Verdict {
    /// The words in reports.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Deterministic => "deterministic",
            Verdict::Recorded => "deterministic by what is recorded",
            Verdict::Remainders => "deterministic by what is recorded, with remainders",
        }
    }
}

/// What remains of a script.
const SCRIPT: &str = "after a restore `#t` of a table with holes may differ, and so may the event at which a script meets \
                      its memory limit; a replica that differs is found by its digest";
/// What remains of a connector that no engine starts.
const OUTSIDE: &str = "the connector is not started; what it would read or write needs an adapter";

impl Project {
    /// The report, window by window in model order.
    pub fn determinism(&self) -> (Verdict, Vec<WindowFindings>) {
        let mut windows = Vec::new();
        for query in &self.queries {
            for (at, window) in query.windows.iter().enumerate() {
                let mut findings = of_window(query, at, window);
                findings.sort_by_key(|finding| finding.on);
                windows.push(WindowFindings { window: format!("{}/{}", query.name, window.name), findings });
            }
        }
        let all = || windows.iter().flat_map(|window| &window.findings);
        let verdict = if all().any(|finding| finding.remains.is_some()) {
            Verdict::Remainders
        } else if all().any(|finding| finding.on != Dependence::Floats) {
            Verdict::Recorded
        } else {
            Verdict::Deterministic
        };
        (verdict, windows)
    }
}

fn of_window(query: &Query, at: usize, window: &Window) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |on: Dependence, because: &str, remains: Option<&'static str>| {
        found.push(Finding { on, because: because.to_owned(), remains });
    };
    if window.retention.is_some_and(|retention| retention.uses_clock()) {
        add(Dependence::Clock, "retention by time", None);
    }
    if window.output.pulse_us.is_some() {
        add(Dependence::Clock, "pulse-interval", None);
    }
    if expressions_read_clock(window) {
        add(Dependence::Clock, "functions that read the clock", None);
    }
    match &window.kind {
        WindowKind::Source { autogen_key: true, .. } => {
            let text = window.schema.keys().iter().any(|&key| window.schema.fields()[key].ty == FieldType::String);
            if text {
                add(Dependence::Random, "a generated text key", None);
            }
        }
        WindowKind::Functional(inputs) => {
            let draws = |input: &crate::FunctionalInput| {
                let code = input.code.canonical().to_lowercase();
                ["random(", "random (", "guid(", "guid ("].iter().any(|call| code.contains(call))
            };
            if inputs.iter().any(draws) {
                add(Dependence::Random, "random or guid", None);
            }
        }
        WindowKind::Summary { .. } | WindowKind::Calculate(_) => add(Dependence::Floats, "statistics", None),
        WindowKind::Aggregate(aggregate) => {
            if aggregate.calls.iter().any(|call| call.period_us.is_some()) {
                add(Dependence::Clock, "timed aggregate functions", None);
            }
            use AggregateFunction::{Ave, Std, Sum, WAve};
            let floats = |call: &crate::AggregateCall| {
                matches!(call.function, Sum | Ave | Std | WAve) && call.ty == FieldType::Double
            };
            if aggregate.calls.iter().any(floats) {
                add(Dependence::Floats, "sums and means", None);
            }
            if aggregate.calls.iter().any(|call| matches!(call.function, AggregateFunction::Guid)) {
                add(Dependence::Random, "ESP_aGUID", None);
            }
        }
        WindowKind::Counter(_) => add(Dependence::Clock, "rates", None),
        WindowKind::Notification(spec) if spec.channels.iter().any(|channel| channel.throttle_us.is_some()) => {
            add(Dependence::Clock, "throttle-interval", None);
        }
        WindowKind::Transpose(transpose) => {
            if matches!(**transpose, Transpose::Wide { clear_us: Some(_), .. }) {
                add(Dependence::Clock, "clear-timeout", None);
            }
        }
        WindowKind::Pattern(patterns) => {
            if patterns.iter().any(|pattern| pattern.times.contains(&None)) {
                add(Dependence::Clock, "time limits without a time field", None);
            }
            if patterns.iter().any(|pattern| pattern.script.is_some()) {
                add(Dependence::Script, "events in Lua", Some(SCRIPT));
            }
        }
        WindowKind::LuaFilter(_) => add(Dependence::Script, "a condition in Lua", Some(SCRIPT)),
        WindowKind::Lua(lua) => {
            add(Dependence::Script, "events made in Lua", Some(SCRIPT));
            if lua.heartbeat.is_some() {
                add(Dependence::Clock, "a heartbeat function", None);
            }
        }
        _ => {}
    }
    if let Some(Splitter::Script(_)) = &window.splitter {
        add(Dependence::Script, "slots in Lua", Some(SCRIPT));
    }
    let scripts = scripts(window);
    if scripts.into_iter().any(mesh_script::Script::draws) {
        add(Dependence::Random, "math.random or GUIDs in Lua", None);
    }
    let inputs = query.edges.iter().filter(|edge| edge.target == at).count();
    if inputs > 1 && sources(query, at).len() > 1 {
        add(Dependence::Interleaving, "events of several sources meet", None);
    }
    for connector in window.connectors.iter().filter(|connector| connector.active) {
        if !connector.is_active_kafka(Direction::Publish) && !connector.is_active_kafka(Direction::Subscribe) {
            add(Dependence::Outside, &format!("connector of class {}", connector.class), Some(OUTSIDE));
        }
    }
    found
}

fn scripts(window: &Window) -> Vec<&mesh_script::Script> {
    let of_kind: Vec<&mesh_script::Script> = match &window.kind {
        WindowKind::LuaFilter(call) => vec![&call.script],
        WindowKind::Lua(lua) => vec![&lua.script],
        WindowKind::Pattern(patterns) => {
            patterns.iter().filter_map(|pattern: &Pattern| pattern.script.as_ref()).collect()
        }
        _ => Vec::new(),
    };
    let of_splitter = match &window.splitter {
        Some(Splitter::Script(call)) => Some(&call.script),
        _ => None,
    };
    of_kind.into_iter().chain(of_splitter).collect()
}

/// The source windows whose events meet in a window, when it has several inputs.
fn sources(query: &Query, at: usize) -> std::collections::BTreeSet<usize> {
    let mut reached = std::collections::BTreeSet::from([at]);
    // Windows stand in topological order: what leads here stands before.
    for window in (0..=at).rev() {
        if reached.contains(&window) {
            reached.extend(query.edges.iter().filter(|edge| edge.target == window).map(|edge| edge.source));
        }
    }
    reached.retain(|&window| matches!(query.windows[window].kind, WindowKind::Source { .. }));
    reached
}
