//! When rows leave a window by themselves.

use mesh_event::{Column, ColumnData};
use mesh_model::{Retention, RetentionKind};

use crate::ops::Clock;

const US_PER_SECOND: i64 = 1_000_000;

/// A retention rule with its own bit of state: when its periods start.
#[derive(Debug, Clone)]
pub(crate) struct Expiry {
    pub kind: RetentionKind,
    /// Column that holds the time; `None` = the clock of the last tick.
    pub field: Option<usize>,
    /// Start of the first period of a jumping retention: the first tick, or the first event time.
    start: Option<i64>,
}

impl Expiry {
    pub(crate) fn new(retention: Retention) -> Expiry {
        Expiry { kind: retention.kind, field: retention.field, start: None }
    }

    /// What changes: the start of the periods.
    pub(crate) fn state(&self) -> Option<i64> {
        self.start
    }

    pub(crate) fn restore(&mut self, start: Option<i64>) {
        self.start = start;
    }

    /// Whether rows leave by their time.
    pub(crate) fn is_by_time(&self) -> bool {
        !matches!(self.kind, RetentionKind::ByCountSliding { .. } | RetentionKind::ByCountJumping { .. })
    }

    /// Time between the jumps of a jumping retention.
    fn period_us(&self) -> Option<i64> {
        match self.kind {
            RetentionKind::ByTimeJumping { us } | RetentionKind::ByTimeLookback { us, .. } => Some(us),
            _ => None,
        }
    }

    /// Age that a row must have to leave at a jump; `None`: all leave.
    pub(crate) fn lookback_us(&self) -> Option<i64> {
        match self.kind {
            RetentionKind::ByTimeLookback { span_us, .. } => Some(span_us),
            _ => None,
        }
    }

    /// The age at which the clock alone removes a row.
    pub(crate) fn sliding_us(&self) -> Option<i64> {
        match self.kind {
            RetentionKind::ByTimeSliding { us } if self.field.is_none() => Some(us),
            _ => None,
        }
    }

    /// True when a period of a clock-driven jumping retention ends within `(before, now]`. The periods start with the
    /// first tick, whether or not there are rows.
    pub(crate) fn jumps(&mut self, before: Clock, now: Clock) -> bool {
        let (Some(us), None, Some(now)) = (self.period_us(), self.field, now.get()) else { return false };
        let start = *self.start.get_or_insert(now);
        before.get().is_some_and(|before| (now - start) / us > (before - start) / us)
    }

    /// End of the present period of a clock-driven jumping retention.
    pub(crate) fn next_jump_us(&self, now: Option<i64>) -> Option<i64> {
        let us = self.period_us().filter(|_| self.field.is_none())?;
        let (start, now) = (self.start?, now?);
        ((now - start) / us + 1).checked_mul(us)?.checked_add(start)
    }

    /// Number of the period that an event time belongs to; periods start with the first event time asked about.
    pub(crate) fn period_of(&mut self, time: i64, us: i64) -> i64 {
        let start = *self.start.get_or_insert(time);
        time.saturating_sub(start).div_euclid(us)
    }
}

/// The event time of a row in microseconds; `None` for null.
pub(crate) fn event_time_us(column: &Column, row: usize) -> Option<i64> {
    if column.is_null(row) {
        return None;
    }
    match &column.data {
        ColumnData::Stamp(v) => Some(v[row]),
        ColumnData::Date(v) => Some(v[row].saturating_mul(US_PER_SECOND)),
        _ => unreachable!("the model allows date and stamp as retention field"),
    }
}
