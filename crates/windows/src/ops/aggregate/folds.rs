//! What one function keeps of every group, and how it goes through a run.

use mesh_event::{Column, ColumnBuilder, ColumnData, FieldType};
use mesh_model::{AggregateCall, AggregateFunction};

use super::changes::Changes;
use super::counts;
use super::fold::{Cell, Change, Fold};
use crate::state::{Damage, Reader, Writer};

/// What is kept of a group, and since when where the function starts anew.
#[derive(Debug, Clone)]
struct Kept {
    fold: Fold,
    start: Option<i64>,
}

/// One fold for each group; functions that can do with one share it.
pub(crate) struct Folds {
    /// The first function that has it.
    call: AggregateCall,
    /// Positions of all whose values are made from it.
    readers: Vec<usize>,
    /// Type of the argument.
    ty: Option<FieldType>,
    /// Rows never leave.
    grows: bool,
    /// By place of the group.
    groups: Vec<Kept>,
}

impl Folds {
    /// The folds of a window's functions. `types`: of the arguments; `grows`: rows never leave.
    pub(crate) fn of(calls: &[AggregateCall], types: &[FieldType], grows: bool) -> Vec<Folds> {
        let mut all: Vec<Folds> = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            // What these put out is no fold's.
            let made_elsewhere = call.function.is_ordered() || call.function == AggregateFunction::Guid;
            match all.iter_mut().find(|folds| shares(&folds.call, call, grows)) {
                Some(folds) => folds.readers.push(at),
                None => all.push(Folds {
                    call: call.clone(),
                    readers: if made_elsewhere { Vec::new() } else { vec![at] },
                    ty: call.argument.map(|at| types[at]),
                    grows,
                    groups: Vec::new(),
                }),
            }
        }
        all
    }

    fn fresh(&self) -> Kept {
        Kept { fold: Fold::new(&self.call, self.grows, self.ty), start: None }
    }

    /// Does what a run does, and adds the values of its functions to their columns. `places`: of groups.
    pub(crate) fn run(
        &mut self,
        calls: &[AggregateCall],
        changes: &Changes<'_>,
        places: usize,
        clock: Option<i64>,
        values: &mut [ColumnBuilder],
    ) {
        if self.groups.len() < places {
            self.groups.resize(places, self.fresh());
        }
        let argument = self.call.argument.map(|at| &*changes.arguments[at]);
        let doubles = argument.and_then(|column| match &column.data {
            ColumnData::Double(values) => Some((column, values.as_slice())),
            _ => None,
        });
        // The usual functions have loops of their own, in which nothing is asked twice.
        match (&self.call.function, doubles) {
            _ if self.call.period_us.is_some() => self.general(calls, changes, clock, values),
            (AggregateFunction::Sum | AggregateFunction::Ave, Some(doubles)) if self.call.ty == FieldType::Double => {
                self.sums(calls, changes, doubles, values);
            }
            (AggregateFunction::Max | AggregateFunction::Min, Some(doubles)) if !self.grows => {
                self.extremes(calls, changes, doubles, values);
            }
            (AggregateFunction::Count, _) => self.numbers(changes, values),
            _ => self.general(calls, changes, clock, values),
        }
    }

    fn sums(
        &mut self,
        calls: &[AggregateCall],
        changes: &Changes<'_>,
        (column, doubles): (&Column, &[f64]),
        values: &mut [ColumnBuilder],
    ) {
        let (fresh, readers) = (self.fresh(), &self.readers);
        let step = |fold: &mut Fold, row: usize, adds: bool| {
            let Fold::Reals { sum, n } = fold else { return };
            if !column.is_null(row) {
                sum.count(n, doubles[row], adds);
            }
        };
        each(&mut self.groups, &fresh, changes, step, |fold| {
            for &at in readers {
                match fold {
                    Some(Fold::Reals { sum, n: n @ 1.. }) => {
                        let value = sum.value();
                        let mean = calls[at].function == AggregateFunction::Ave;
                        values[at].push_f64(if mean { value / *n as f64 } else { value });
                    }
                    _ => values[at].push_null(),
                }
            }
        });
    }

    fn extremes(
        &mut self,
        calls: &[AggregateCall],
        changes: &Changes<'_>,
        (column, doubles): (&Column, &[f64]),
        values: &mut [ColumnBuilder],
    ) {
        let (fresh, readers) = (self.fresh(), &self.readers);
        let step = |fold: &mut Fold, row: usize, adds: bool| {
            let Fold::Numbers { counts, .. } = fold else { return };
            if column.is_null(row) {
                return;
            }
            let rank = counts::rank_of_double(doubles[row]);
            if adds {
                counts.add(rank);
            } else {
                counts.take(&rank);
            }
        };
        each(&mut self.groups, &fresh, changes, step, |fold| {
            for &at in readers {
                let Some(fold @ Fold::Numbers { counts, .. }) = fold else {
                    values[at].push_null();
                    continue;
                };
                let extreme = match calls[at].function {
                    AggregateFunction::Max => counts.last(),
                    AggregateFunction::Min => counts.first(),
                    _ => {
                        fold.put(&calls[at], &mut values[at]);
                        continue;
                    }
                };
                match extreme {
                    Some(&rank) if values[at].push_f64(counts::double_of_rank(rank)) => {}
                    _ => values[at].push_null(),
                }
            }
        });
    }

    fn numbers(&mut self, changes: &Changes<'_>, values: &mut [ColumnBuilder]) {
        let (fresh, at) = (self.fresh(), self.readers[0]);
        let step = |fold: &mut Fold, _: usize, adds: bool| {
            if let Fold::Number(n) = fold {
                *n += if adds { 1 } else { -1 };
            }
        };
        each(&mut self.groups, &fresh, changes, step, |fold| match fold {
            Some(Fold::Number(n)) if values[at].push_i64(*n) => {}
            _ => values[at].push_null(),
        });
    }

    fn general(
        &mut self,
        calls: &[AggregateCall],
        changes: &Changes<'_>,
        clock: Option<i64>,
        values: &mut [ColumnBuilder],
    ) {
        let fresh = self.fresh();
        let anew = Kept { fold: Fold::new(&self.call, true, self.ty), start: clock };
        let call = &self.call;
        let mut done = 0;
        for output in &changes.outputs {
            for at in std::mem::replace(&mut done, output.moves)..output.moves {
                let at = changes.moves[at as usize];
                let kept = &mut self.groups[at.group as usize];
                if let Some(us) = call.period_us {
                    // Nothing leaves a period but by its end.
                    if !at.adds {
                        continue;
                    }
                    match (kept.start, clock) {
                        (Some(start), Some(now)) if now.saturating_sub(start) >= us => *kept = anew.clone(),
                        (None, _) => kept.start = clock,
                        _ => {}
                    }
                }
                let cell = |argument: usize| Cell { column: &changes.arguments[argument], row: at.row as usize };
                let change = if at.adds { Change::Add } else { Change::Take };
                kept.fold.change(call, change, call.argument.map(cell), call.weight.map(cell));
            }
            let kept = &mut self.groups[output.group as usize];
            kept.fold.event(call, i64::from(output.opcode));
            for &reader in &self.readers {
                if output.gone {
                    values[reader].push_null();
                } else {
                    kept.fold.put(&calls[reader], &mut values[reader]);
                }
            }
            if output.gone {
                *kept = fresh.clone();
            }
        }
    }

    pub(crate) fn save(&self, place: u32, to: &mut Writer<'_>) {
        let kept = &self.groups[place as usize];
        to.put(&kept.start);
        kept.fold.save(to);
    }

    pub(crate) fn restore(&mut self, place: u32, from: &mut Reader<'_>) -> Result<(), Damage> {
        if self.groups.len() <= place as usize {
            self.groups.resize(place as usize + 1, self.fresh());
        }
        let kept = &mut self.groups[place as usize];
        kept.start = from.get()?;
        kept.fold.restore(from)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.groups.len() * size_of::<Kept>()
    }
}

/// Goes through a run: `step` for what a row does to a group, `put` for what goes out.
#[inline(always)]
fn each(
    groups: &mut [Kept],
    fresh: &Kept,
    changes: &Changes<'_>,
    mut step: impl FnMut(&mut Fold, usize, bool),
    mut put: impl FnMut(Option<&Fold>),
) {
    let mut done = 0;
    for output in &changes.outputs {
        for at in std::mem::replace(&mut done, output.moves)..output.moves {
            let at = changes.moves[at as usize];
            step(&mut groups[at.group as usize].fold, at.row as usize, at.adds);
        }
        let kept = &mut groups[output.group as usize];
        if output.gone {
            *kept = fresh.clone();
            put(None);
        } else {
            put(Some(&kept.fold));
        }
    }
}

/// True when two calls can read one fold: sum and mean, or smallest, largest and number of different values where
/// values leave, of one argument since the same time.
fn shares(a: &AggregateCall, b: &AggregateCall, grows: bool) -> bool {
    use AggregateFunction as F;
    let real = |call: &AggregateCall| matches!(call.function, F::Sum | F::Ave) && call.ty == FieldType::Double;
    let counted = |call: &AggregateCall| {
        matches!(call.function, F::Max | F::Min) && !grows && call.period_us.is_none()
            || matches!(call.function, F::CountDistinct)
    };
    let alike = real(a) && real(b) || counted(a) && counted(b);
    alike && (a.argument, a.weight, a.period_us) == (b.argument, b.weight, b.period_us)
}
