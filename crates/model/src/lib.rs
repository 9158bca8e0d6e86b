//! Project XML to a checked model, with every problem of the file reported at once.
//!
//! Read [`parse_project`] and [`Project`] first.
//!
//! Code map:
//! - [`project`], [`kinds`], [`calculate`], [`pattern`], [`geofence`], [`tracker`], [`notification`], [`role`], [`connector`], [`script`]: the checked model; [`topics`]: which windows get topics, does it need a clock
//! - [`diag`]: problems with place, snippet and way out; `report`: collects them, and the wording of common ones
//! - `text`: decoded text that knows where each byte came from; `reader`: attributes and texts of elements
//! - [`parse`] -> `query` (edges, order) -> `window` -> `schemas`, `connectors`, `windows/` (a file per kind)
//! - [`algorithms`]: what the algorithms of calculate, train and score windows take and give, as tables
//! - [`grammar`]: every window element, attribute and part, and what is done with it; [`start_order`]: connector groups
//! - `kafka`: what is done with each property of kafka connectors
//! - [`determinism`]: what each window depends on beside its events
//! - [`files`]: files that travel in the project; `models`: docs/MODELS.md; `fingerprint`: what makes two projects the same; `preflight`: notes about correct projects
//!
//! **Invariant:** a [`Project`] is valid: names are resolved, types agree, windows stand in topological order.
//! **Invariant:** one mistake is one error: what follows from a reported mistake is not reported again.
//! **Invariant:** no I/O, no clock, no random number, no thread (`cargo xtask check-layers`).

pub mod algorithms;
pub mod calculate;
pub mod connector;
mod connectors;
pub mod determinism;
pub mod diag;
pub mod files;
mod fingerprint;
pub mod geofence;
pub mod grammar;
mod kafka;
pub mod kinds;
mod models;
pub mod notification;
pub mod parse;
pub mod pattern;
mod preflight;
pub mod project;
mod query;
mod reader;
mod report;
pub mod role;
mod schemas;
pub mod script;
pub mod start_order;
mod text;
pub mod topics;
pub mod tracker;
mod window;
mod windows;

pub use algorithms::{Algorithm, AlgorithmKind, Settings, WordVectors, algorithms_document};
pub use calculate::{AlgorithmRun, Calculate, ResultField, Score};
pub use connector::{Connector, Direction, is_address};
pub use determinism::{Dependence, Finding, Verdict, WindowFindings};
pub use diag::{Diagnostic, Diagnostics, Severity};
pub use geofence::{Distance, Geofence, GeofenceOutput, GeometryFields};
pub use grammar::windows_document;
pub use kinds::{
    Aggregate, AggregateCall, AggregateFunction, Counter, Join, JoinField, JoinKey, JoinKind, OutputRule, RemoveState,
    Transpose,
};
pub use models::models_document;
pub use notification::{Channel, MailServer, Notification};
pub use parse::parse_project;
pub use pattern::{Pattern, PatternEvent, PatternField, PatternLogic};
pub use project::{
    EVENT_COUNTER_START, Edge, FunctionalField, FunctionalInput, Index, Project, PubSub, Query, Retention,
    RetentionKind, SummaryField, SummaryStat, Window, WindowKind,
};
pub use role::EdgeRole;
pub use script::{LuaInput, LuaWindow, ScriptCall, Splitter, Variables};
pub use start_order::{ConnectorEntry, ConnectorGroup, ConnectorState, StartOrder};
pub use topics::Endpoint;
pub use tracker::{BoxShape, DetectionField, Detections, TrackRule, TrackValue, Tracker, TrackerField};

/// A project that is fit to run, and what is still worth knowing about it.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The project.
    pub project: Project,
    /// Warnings and preflight notes in file order.
    pub warnings: Diagnostics,
}
