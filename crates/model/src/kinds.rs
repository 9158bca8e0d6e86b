//! What the windows do that hold state over several events or inputs: aggregate, join, transpose, and their parts.

use std::sync::Arc;

use mesh_event::{FieldType, Schema};
use mesh_expr::Program;

/// What becomes of a window's output before it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputRule {
    /// Updates leave as inserts of the new row, deletes do not leave.
    pub insert_only: bool,
    /// An update block leaves as one update, without the old row.
    pub collapse_updates: bool,
    /// Output is held and leaves every so many microseconds.
    pub pulse_us: Option<i64>,
}

/// An aggregate window: one row for each value of the group fields.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// For each key field of the window's schema, in schema order, the input field it groups by.
    pub keys: Vec<usize>,
    /// What the calls are applied to: each a program over the input's fields, with the type it is evaluated to.
    pub arguments: Vec<(Program, FieldType)>,
    /// The aggregate functions, each once.
    pub calls: Vec<AggregateCall>,
    /// Input fields that the programs use, in the order of the first fields of [`Aggregate::scope`].
    pub uses: Vec<usize>,
    /// What the programs run over: the input fields used, then the value of each call.
    pub scope: Arc<Schema>,
    /// One program for each non-key field of the window's schema, in schema order.
    pub fields: Vec<Program>,
}

/// One aggregate function and what it is applied to.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateCall {
    /// The function.
    pub function: AggregateFunction,
    /// Position of its argument in [`Aggregate::arguments`].
    pub argument: Option<usize>,
    /// Position of the weight.
    pub weight: Option<usize>,
    /// The function starts anew for an event that comes this long after its first, by the clock of the last tick.
    pub period_us: Option<i64>,
    /// Type of the result.
    pub ty: FieldType,
}

/// An aggregate function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AggregateFunction {
    /// Sum of the values.
    Sum,
    /// Largest value.
    Max,
    /// Smallest value.
    Min,
    /// Mean.
    Ave,
    /// Sample standard deviation; 0 for one value.
    Std,
    /// Mean with weights.
    WAve,
    /// Number of rows.
    Count,
    /// Number of events so far: of inserts (1), updates (2) or deletes (3).
    CountOpcodes(i64),
    /// Number of different values.
    CountDistinct,
    /// Number of values that are not null.
    CountNonNull,
    /// Number of nulls.
    CountNull,
    /// Value of the longest untouched row.
    First,
    /// Value of the youngest row.
    Last,
    /// Value of the last event that was no delete.
    LastNonDelete,
    /// Number of the last event's opcode: insert 1, update 2, delete 3.
    LastOpcode,
    /// Value of the row so many before the youngest.
    Lag(usize),
    /// Most frequent value; of several the smallest.
    Mode,
    /// A text that is different for each output.
    Guid,
    /// The values one behind the other, with this between them.
    Cat(String),
}

impl AggregateFunction {
    /// True when the value depends on which row came before which.
    pub fn is_ordered(&self) -> bool {
        matches!(
            self,
            AggregateFunction::First | AggregateFunction::Last | AggregateFunction::Lag(_) | AggregateFunction::Cat(_)
        )
    }
}

/// Which rows without a match a join puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left side.
    LeftOuter,
    /// Those of the right side.
    RightOuter,
    /// Those of both sides.
    FullOuter,
}

/// What identifies a row that a join puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKey {
    /// The key of the left row: it has at most one match.
    Left,
    /// The key of the right row: it has at most one match.
    Right,
    /// The matched key, which is the whole key of both sides.
    Matched,
    /// The keys of both rows.
    Both,
}

/// A join window.
#[derive(Debug, Clone)]
pub struct Join {
    /// Which rows without a match go out.
    pub kind: JoinKind,
    /// Fields of the left side that must equal those of the right side.
    pub left: Vec<usize>,
    /// Fields of the right side, as many.
    pub right: Vec<usize>,
    /// What identifies an output row.
    pub key: JoinKey,
    /// Rows of the fact side are not kept: a change of the other side puts nothing out.
    pub no_regenerates: bool,
    /// One for each field of the window's schema.
    pub fields: Vec<JoinField>,
    /// Fields that the programs use, in the order of [`Join::scope`].
    pub uses: Vec<JoinField>,
    /// What the programs run over.
    pub scope: Option<Arc<Schema>>,
}

/// Where a field of a join comes from.
#[derive(Debug, Clone)]
pub enum JoinField {
    /// A field of the left row.
    Left(usize),
    /// A field of the right row.
    Right(usize),
    /// The left field, or the right one where there is no left row: a matched key.
    Either(usize, usize),
    /// A program over [`Join::scope`].
    Program(Program),
}

/// What a remove-state window leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemoveState {
    /// Updates.
    pub updates: bool,
    /// Deletes.
    pub deletes: bool,
    /// Updates that retention caused.
    pub retention_updates: bool,
    /// Deletes that retention caused.
    pub retention_deletes: bool,
    /// Old halves of update blocks.
    pub update_block_deletes: bool,
    /// The schema ends with the opcode and the flags of each event.
    pub add_log_fields: bool,
}

/// A counter window: events a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// It reports every so many microseconds; `None`: for each event.
    pub count_us: Option<i64>,
    /// The totals start anew every so many microseconds.
    pub clear_us: Option<i64>,
}

/// A transpose window.
#[derive(Debug, Clone)]
pub enum Transpose {
    /// One row becomes one for each tag.
    Long {
        /// Input field of each output field; `None` for the two below and for values.
        copies: Vec<Option<usize>>,
        /// Output field with the number of the tag, from 0.
        number: usize,
        /// Output field with the tag.
        tag: Option<usize>,
        /// Output fields with values.
        values: Vec<usize>,
        /// For each tag its name and the input field of each of the values.
        tags: Vec<(String, Vec<Option<usize>>)>,
    },
    /// Rows of a group become one, with a column for each tag and value.
    Wide {
        /// Input fields that make the group.
        group: Vec<usize>,
        /// Input field with the tag.
        tag: usize,
        /// The tags that have columns.
        tags: Vec<String>,
        /// Output field and input field of each value of each tag.
        columns: Vec<Vec<(usize, usize)>>,
        /// Input field of each output field that is no value.
        copies: Vec<Option<usize>>,
        /// Values of a group are forgotten this long after its last event.
        clear_us: Option<i64>,
    },
}
