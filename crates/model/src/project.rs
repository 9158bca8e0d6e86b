//! The checked model: what the executor runs. Everything in it is valid; names are resolved to positions.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_event::Schema;
use mesh_expr::{FunctionalCode, Program};

use crate::Connector;
use crate::calculate::{AlgorithmRun, Calculate, Score};
use crate::geofence::Geofence;
use crate::kinds::{Aggregate, Counter, Join, OutputRule, RemoveState, Transpose};
use crate::notification::Notification;
use crate::pattern::Pattern;
use crate::role::EdgeRole;
use crate::script::{LuaWindow, ScriptCall, Splitter};
use crate::start_order::StartOrder;
use crate::tracker::Tracker;

/// A checked project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Name, used in URLs and topics.
    pub name: String,
    /// Hash of what the project does: equal models have equal fingerprints whatever their white space, comments and
    /// descriptions are. Engines of a group must agree on it.
    pub fingerprint: u64,
    /// Time between clock ticks in microseconds.
    pub heartbeat_us: i64,
    /// Which windows can be published and subscribed.
    pub pubsub: PubSub,
    /// Project properties after substitution.
    pub properties: BTreeMap<String, String>,
    /// The continuous queries in file order.
    pub queries: Vec<Query>,
    /// In which order connectors start.
    pub start_order: StartOrder,
}

/// The `pubsub` attribute of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PubSub {
    /// Every window.
    Auto,
    /// Only windows with `pubsub="true"`.
    Manual,
    /// No window.
    None,
}

/// A continuous query.
#[derive(Debug, Clone)]
pub struct Query {
    /// Name, unique in the project.
    pub name: String,
    /// Windows in topological order (sources of every edge come first; otherwise file order).
    pub windows: Vec<Window>,
    /// Edges in file order (a join's first edge is its left side).
    pub edges: Vec<Edge>,
}

/// An edge between two windows of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Position of the window that sends, in [`Query::windows`].
    pub source: usize,
    /// Position of the window that receives, in [`Query::windows`].
    pub target: usize,
    /// What the events are for the target.
    pub role: EdgeRole,
    /// Splitter slot; `None` = all.
    pub slot: Option<u32>,
}

/// A window.
#[derive(Debug, Clone)]
pub struct Window {
    /// Name, unique in its query.
    pub name: String,
    /// How its rows are kept.
    pub index: Index,
    /// Whether it can be published and subscribed (the project's rule already applied).
    pub pubsub: bool,
    /// Its output rows.
    pub schema: Arc<Schema>,
    /// What it does.
    pub kind: WindowKind,
    /// When rows leave by themselves (source and copy only).
    pub retention: Option<Retention>,
    /// What becomes of its output before it leaves.
    pub output: OutputRule,
    /// A number for each event it puts out: the slot it goes to.
    pub splitter: Option<Splitter>,
    /// Its connectors in file order.
    pub connectors: Vec<Connector>,
    /// Line in the file, from 1.
    pub line: u32,
}

/// How a window keeps its rows. The seven index types of project files mean one of these three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Index {
    /// Kept, listed in key order.
    Ordered,
    /// Kept, listed in insertion order.
    Hash,
    /// Not kept: no state, no opcode checks (`pi_EMPTY`).
    None,
}

/// What a window does.
#[derive(Debug, Clone)]
pub enum WindowKind {
    /// Entry of events.
    Source {
        /// Anything but an insert is a bad event.
        insert_only: bool,
        /// The one key field (int64 or string) gets its value from the engine.
        autogen_key: bool,
    },
    /// Passes events on and keeps rows (mostly for retention).
    Copy,
    /// Passes rows for which the condition is true.
    Filter {
        /// The condition, over the input's fields.
        condition: Program,
    },
    /// Passes rows for which a script says so.
    LuaFilter(Box<ScriptCall>),
    /// Events that a script makes.
    Lua(Box<LuaWindow>),
    /// Computes the non-key fields.
    Compute {
        /// One program per non-key field of the window's schema, in schema order, over the input's fields.
        fields: Vec<Program>,
        /// For each key field of the window's schema, in schema order, the input field it is copied from.
        keys: Vec<usize>,
    },
    /// Computes fields with functions, copies the others: one entry for all inputs, or, where the window tells them
    /// apart, one for each edge that leads to it, in their order.
    Functional(Vec<FunctionalInput>),
    /// Statistics over the last events (calculate, algorithm Summary).
    Summary {
        /// Number of events looked at, the present one included; 0 = all since the start.
        window_length: usize,
        /// Input field with the values (int32, int64, double or money).
        input: usize,
        /// One less the level of the confidence interval; between 0 and 1.
        alpha: f64,
        /// One entry per field of the window's schema.
        fields: Vec<SummaryField>,
    },
    /// An algorithm over the input (calculate, all but Summary).
    Calculate(Box<Calculate>),
    /// Learns from events and puts out models.
    Train(Box<AlgorithmRun>),
    /// What the newest models say of each event.
    Score(Box<Score>),
    /// Brings several streams of one schema together.
    Union {
        /// An insert of a known key and a delete of an unknown one are bad events; otherwise they are an update and
        /// nothing.
        strict: bool,
    },
    /// One row for each group of input rows.
    Aggregate(Box<Aggregate>),
    /// Rows of two inputs side by side.
    Join(Box<Join>),
    /// Events that follow one another, as one event.
    Pattern(Vec<Pattern>),
    /// Positions and the geometries that hold them.
    Geofence(Box<Geofence>),
    /// Every event as an insert under a new key.
    RemoveState(RemoveState),
    /// Events a second.
    Counter(Counter),
    /// Columns to rows, or rows to columns.
    Transpose(Box<Transpose>),
    /// Detections of one frame after another, as tracks.
    Tracker(Box<Tracker>),
    /// Messages about events, as events.
    Notification(Box<Notification>),
}

impl WindowKind {
    /// The element name in project files.
    pub fn element(&self) -> &'static str {
        match self {
            WindowKind::Source { .. } => "window-source",
            WindowKind::Copy => "window-copy",
            WindowKind::Filter { .. } | WindowKind::LuaFilter(_) => "window-filter",
            WindowKind::Lua(_) => "window-lua",
            WindowKind::Compute { .. } => "window-compute",
            WindowKind::Functional(_) => "window-functional",
            WindowKind::Summary { .. } | WindowKind::Calculate(_) => "window-calculate",
            WindowKind::Train(_) => "window-train",
            WindowKind::Score(_) => "window-score",
            WindowKind::Union { .. } => "window-union",
            WindowKind::Aggregate(_) => "window-aggregate",
            WindowKind::Join(_) => "window-join",
            WindowKind::Pattern(_) => "window-pattern",
            WindowKind::Geofence(_) => "window-geofence",
            WindowKind::RemoveState(_) => "window-remove-state",
            WindowKind::Counter(_) => "window-counter",
            WindowKind::Transpose(_) => "window-transpose",
            WindowKind::Tracker(_) => "window-object-tracker",
            WindowKind::Notification(_) => "window-notification",
        }
    }
}

/// What a functional window makes of the events of an input.
#[derive(Debug, Clone)]
pub struct FunctionalInput {
    /// One entry per field of the window's schema.
    pub fields: Vec<FunctionalField>,
    /// What fills [`FunctionalField::Computed`], and which events go out.
    pub code: FunctionalCode,
}

/// Where a field of a functional window comes from.
#[derive(Debug, Clone)]
pub enum FunctionalField {
    /// The input field at this position; types are equal.
    Copy(usize),
    /// Running number of the events of this window, from 1 ([`EVENT_COUNTER_START`]).
    EventCounter,
    /// A function of the window's code.
    Computed,
    /// Neither a function nor a same-named input field: always null.
    Null,
}

/// The first value of `eventCounter()`.
pub const EVENT_COUNTER_START: i64 = 1;

/// Where a field of a Summary window comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryField {
    /// The input field at this position; types are equal.
    Copy(usize),
    /// A statistic, converted to the field's type (int32, int64, double or money).
    Stat(SummaryStat),
    /// Neither mapped nor in the input: always null.
    Null,
}

/// A statistic of a Summary window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SummaryStat {
    /// Number of values that are not missing.
    N,
    /// Number of missing values.
    NMiss,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Sum.
    Sum,
    /// Mean.
    Mean,
    /// Standard deviation: square root of the variance.
    Std,
    /// Variance: css / (n - 1).
    Var,
    /// Sum of squared distances from the mean.
    Css,
    /// Sum of squares.
    Uss,
    /// Standard error: std / sqrt(n).
    StdErr,
    /// Coefficient of variation: 100 * std / mean.
    Cv,
    /// Lower end of the confidence interval of the mean.
    LclM,
    /// Upper end of the confidence interval of the mean.
    UclM,
    /// Skewness, corrected for bias.
    Skewness,
    /// Kurtosis beyond that of a normal distribution, corrected for bias.
    Kurtosis,
    /// Student's t of the mean: mean / stderr.
    TValue,
    /// Probability of a t at least as far from 0 when the true mean is 0.
    ProbT,
}

impl SummaryStat {
    /// Every statistic with its name in an output map.
    pub const ALL: [(&'static str, SummaryStat); 18] = [
        ("nOut", SummaryStat::N),
        ("nmissOut", SummaryStat::NMiss),
        ("minOut", SummaryStat::Min),
        ("maxOut", SummaryStat::Max),
        ("sumOut", SummaryStat::Sum),
        ("meanOut", SummaryStat::Mean),
        ("stdOut", SummaryStat::Std),
        ("varOut", SummaryStat::Var),
        ("cssOut", SummaryStat::Css),
        ("ussOut", SummaryStat::Uss),
        ("stderrOut", SummaryStat::StdErr),
        ("cvOut", SummaryStat::Cv),
        ("lclmOut", SummaryStat::LclM),
        ("uclmOut", SummaryStat::UclM),
        ("skewnessOut", SummaryStat::Skewness),
        ("kurtosisOut", SummaryStat::Kurtosis),
        ("tValueOut", SummaryStat::TValue),
        ("probtOut", SummaryStat::ProbT),
    ];
}

/// When rows leave a window by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The rule.
    pub kind: RetentionKind,
    /// The date or stamp field whose newest value is "now" (event time); `None` = the clock of the last tick.
    pub field: Option<usize>,
}

/// The rule of a retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionKind {
    /// A row leaves when its age reaches this many microseconds.
    ByTimeSliding {
        /// The age in microseconds.
        us: i64,
    },
    /// All rows leave every so many microseconds.
    ByTimeJumping {
        /// The period in microseconds.
        us: i64,
    },
    /// Every so many microseconds the rows leave whose age has reached a span.
    ByTimeLookback {
        /// The period in microseconds.
        us: i64,
        /// The age in microseconds.
        span_us: i64,
    },
    /// The oldest row leaves when row n + 1 comes.
    ByCountSliding {
        /// Rows kept.
        n: u64,
    },
    /// All n earlier rows leave when row n + 1 comes.
    ByCountJumping {
        /// Rows kept.
        n: u64,
    },
}

impl Retention {
    /// True when rows leave by the clock of the last tick.
    pub fn uses_clock(&self) -> bool {
        let by_count = matches!(self.kind, RetentionKind::ByCountSliding { .. } | RetentionKind::ByCountJumping { .. });
        !by_count && self.field.is_none()
    }
}
