//! Summary: statistics over the last events.

use std::sync::Arc;

use mesh_event::{Column, ColumnData, FieldType, MONEY_SCALE, NullMask, Opcode, Schema};
use mesh_model::{SummaryField, SummaryStat};

use super::student;
use crate::ops::functional::nulls;
use crate::ops::{Clock, Operator};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};

/// Decisions where the reference is silent (esp-models 4.3):
/// - Inserts and upserts are looked at. Updates, deletes and update blocks pass without touching the statistics and
///   carry those of the last event looked at (null before the first).
/// - A missing value (null, or not a number) takes a place in the window and counts in `nmissOut`.
/// - Without any value everything but the two counts is null; with one, `varOut stdOut stderrOut cvOut` are null;
///   `cvOut` is null for a mean of 0. Skewness takes three values, kurtosis four; both, and `tValueOut` and `probtOut`, are
///   null where the values do not vary. A result that is not a number, or does not fit its field's type, is null;
///   fractions are cut off for int fields.
///
/// Sums are added up anew for each event, oldest value first. That is exact to the bit whatever happened before, so
/// replicas and restored engines agree, and it costs little: eight events are added up side by side.
pub(crate) struct Summary {
    schema: Arc<Schema>,
    input: usize,
    fields: Vec<SummaryField>,
    alpha: f64,
    moments: Moments,
    needs: Needs,
    /// Of the last event looked at.
    last: Option<[f64; MEASURES]>,
}

/// What is added up for an event; the statistics follow from it.
const MEASURES: usize = 9;

/// One value per event for each of: number of values, number of values and missing ones, sum, smallest, largest, sum
/// of squares, sums of squared, cubed and fourth powers of distances from the mean.
type Measures = [Vec<f64>; MEASURES];

enum Moments {
    /// The last events, this one included.
    Window(Window),
    /// All events.
    All(Box<All>),
}

#[derive(Debug, Clone, Copy)]
struct Needs {
    extremes: bool,
    uss: bool,
    css: bool,
    /// Third and fourth powers.
    powers: bool,
}

impl Summary {
    /// `window_length` 0: all events since the start. `alpha`: one less the level of confidence. `input`: the input field
    /// with the values.
    pub(crate) fn new(
        schema: &Arc<Schema>,
        (window_length, alpha): (usize, f64),
        input: usize,
        fields: &[SummaryField],
    ) -> Summary {
        let wants = |stats: &[SummaryStat]| {
            fields.iter().any(|field| matches!(field, SummaryField::Stat(stat) if stats.contains(stat)))
        };
        Summary {
            schema: Arc::clone(schema),
            input,
            fields: fields.to_vec(),
            alpha,
            moments: match window_length {
                0 => Moments::All(Box::default()),
                length => Moments::Window(Window { length, values: Vec::new() }),
            },
            needs: Needs {
                extremes: wants(&[SummaryStat::Min, SummaryStat::Max]),
                uss: wants(&[SummaryStat::Uss]),
                css: wants(&[
                    SummaryStat::Css,
                    SummaryStat::Var,
                    SummaryStat::Std,
                    SummaryStat::StdErr,
                    SummaryStat::Cv,
                    SummaryStat::LclM,
                    SummaryStat::UclM,
                    SummaryStat::Skewness,
                    SummaryStat::Kurtosis,
                    SummaryStat::TValue,
                    SummaryStat::ProbT,
                ]),
                powers: wants(&[SummaryStat::Skewness, SummaryStat::Kurtosis]),
            },
            last: None,
        }
    }

    /// Positions of the columns that are made here.
    pub(crate) fn made(&self) -> Vec<usize> {
        let made = self.fields.iter().enumerate().filter(|(_, field)| !matches!(field, SummaryField::Copy(_)));
        made.map(|(position, _)| position).collect()
    }

    fn measure(&mut self, values: &[f64]) -> Measures {
        match &mut self.moments {
            Moments::Window(window) => window.measure(values, self.needs),
            Moments::All(all) => all.measure(values),
        }
    }

    /// The measures of each event of a run, those that are not looked at included.
    fn measures_of(&mut self, values: Vec<f64>, opcodes: &[Opcode]) -> Measures {
        let looked_at = |opcode: Opcode| matches!(opcode, Opcode::Insert | Opcode::Upsert);
        let before = self.last;
        if opcodes.iter().all(|&opcode| looked_at(opcode)) {
            let measures = self.measure(&values);
            if !opcodes.is_empty() {
                self.last = Some(std::array::from_fn(|m| *measures[m].last().expect("one per event")));
            }
            return measures;
        }
        let chosen = values.iter().zip(opcodes).filter(|&(_, &opcode)| looked_at(opcode));
        let chosen: Vec<f64> = chosen.map(|(&value, _)| value).collect();
        let measures = self.measure(&chosen);
        let mut row = before;
        let mut spread: Measures = Default::default();
        let mut next = 0;
        for &opcode in opcodes {
            if looked_at(opcode) {
                row = Some(std::array::from_fn(|m| measures[m][next]));
                next += 1;
            }
            // Before the first event there is nothing, not even a count: NaN makes every statistic null.
            let row = row.unwrap_or([f64::NAN; MEASURES]);
            spread.iter_mut().zip(row).for_each(|(to, value)| to.push(value));
        }
        self.last = row;
        spread
    }
}

impl Operator for Summary {
    fn process(&mut self, run: Run, _clock: Clock) -> Run {
        let values = numbers(&run.block.columns[self.input]);
        let measures = self.measures_of(values, &run.block.opcodes);
        let rows = run.block.len();
        let fields = self.fields.iter().zip(self.schema.fields());
        let columns = fields.map(|(field, shape)| match field {
            SummaryField::Copy(position) => Arc::clone(&run.block.columns[*position]),
            SummaryField::Stat(stat) => Arc::new(column_of(statistic(*stat, &measures, rows, self.alpha), shape.ty)),
            SummaryField::Null => Arc::new(nulls(shape.ty, rows)),
        });
        let columns = columns.collect();
        run.with_columns(&self.schema, columns)
    }

    fn reads(&self, _side: usize, out: &[bool], input: &mut [bool]) {
        input[self.input] = true;
        for (field, &read) in self.fields.iter().zip(out) {
            if let SummaryField::Copy(position) = field {
                input[*position] |= read;
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self.moments {
            Moments::Window(_) => "summary-of-last",
            Moments::All(_) => "summary-of-all",
        }
    }

    fn version(&self) -> u16 {
        2
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.last);
        match &self.moments {
            Moments::Window(window) => to.put(&window.values),
            Moments::All(all) => to.put(&all.state()),
        }
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.last = from.get()?;
        match &mut self.moments {
            Moments::Window(window) => {
                window.values = from.get()?;
                if window.values.len() >= window.length {
                    return Err(Damage::Broken("more values than the window looks back"));
                }
            }
            Moments::All(all) => **all = All::from_state(from.get()?),
        }
        Ok(())
    }
}

/// The values of a numeric column; NaN for null.
fn numbers(column: &Column) -> Vec<f64> {
    let mut values: Vec<f64> = match &column.data {
        ColumnData::Int32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        ColumnData::Int64(v) => v.iter().map(|&x| x as f64).collect(),
        ColumnData::Money(v) => v.iter().map(|&x| x as f64 / MONEY_SCALE as f64).collect(),
        ColumnData::Double(v) => v.clone(),
        _ => unreachable!("the model allows int32, int64, double and money as Summary input"),
    };
    if !column.nulls.is_empty() {
        for (row, value) in values.iter_mut().enumerate() {
            *value = if column.is_null(row) { f64::NAN } else { *value };
        }
    }
    values
}

/// The value of a statistic for each event; NaN where it has none.
fn statistic(stat: SummaryStat, measures: &Measures, rows: usize, alpha: f64) -> Vec<f64> {
    let [n, total, sum, min, max, uss, css, cubes, fourths] = measures.each_ref().map(Vec::as_slice);
    let for_each = |value: &dyn Fn(usize) -> f64| (0..rows).map(value).collect::<Vec<f64>>();
    // Division by zero makes NaN (0/0) where a mean, variance or deviation has too few values.
    let at_least = |least: f64, row: usize, value: f64| if n[row] >= least { value } else { f64::NAN };
    let variance = |row: usize| at_least(2.0, row, css[row] / (n[row] - 1.0));
    let mean = |row: usize| sum[row] / n[row];
    let error = |row: usize| variance(row).sqrt() / n[row].sqrt();
    let t = |row: usize| if css[row] > 0.0 { mean(row) / error(row) } else { f64::NAN };
    // The number of values changes seldom, and the quantile is dear.
    let interval = |sign: f64| {
        let mut known = (f64::NAN, f64::NAN);
        let value = |row: usize| {
            if known.0 != n[row] {
                known = (n[row], student::quantile(alpha, n[row] - 1.0));
            }
            mean(row) + sign * known.1 * error(row)
        };
        (0..rows).map(value).collect()
    };
    match stat {
        SummaryStat::N => n.to_vec(),
        SummaryStat::NMiss => for_each(&|row| total[row] - n[row]),
        SummaryStat::Min => for_each(&|row| at_least(1.0, row, min[row])),
        SummaryStat::Max => for_each(&|row| at_least(1.0, row, max[row])),
        SummaryStat::Sum => for_each(&|row| at_least(1.0, row, sum[row])),
        SummaryStat::Mean => for_each(&mean),
        SummaryStat::Uss => for_each(&|row| at_least(1.0, row, uss[row])),
        SummaryStat::Css => for_each(&|row| at_least(1.0, row, css[row])),
        SummaryStat::Var => for_each(&variance),
        SummaryStat::Std => for_each(&|row| variance(row).sqrt()),
        SummaryStat::StdErr => for_each(&error),
        SummaryStat::Cv => for_each(&|row| match mean(row) {
            0.0 => f64::NAN,
            mean => 100.0 * variance(row).sqrt() / mean,
        }),
        SummaryStat::LclM => interval(-1.0),
        SummaryStat::UclM => interval(1.0),
        SummaryStat::TValue => for_each(&t),
        SummaryStat::ProbT => for_each(&|row| student::two_sided(t(row), n[row] - 1.0)),
        SummaryStat::Skewness => for_each(&|row| {
            let (n, variance) = (n[row], variance(row));
            let scaled = cubes[row] / (variance * variance.sqrt());
            if n >= 3.0 && variance > 0.0 { scaled * n / ((n - 1.0) * (n - 2.0)) } else { f64::NAN }
        }),
        SummaryStat::Kurtosis => for_each(&|row| {
            let (n, variance) = (n[row], variance(row));
            let scaled = fourths[row] / (variance * variance);
            let normal = 3.0 * (n - 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0));
            let weight = n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0));
            if n >= 4.0 && variance > 0.0 { scaled * weight - normal } else { f64::NAN }
        }),
    }
}

/// Values as a column of a field's type; null for NaN and for what does not fit.
fn column_of(mut values: Vec<f64>, ty: FieldType) -> Column {
    let limits = match ty {
        FieldType::Int32 => (f64::from(i32::MIN) - 1.0, f64::from(i32::MAX) + 1.0),
        FieldType::Int64 | FieldType::Money => (i64::MIN as f64, i64::MAX as f64),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let fits = |value: f64| match ty {
        FieldType::Double => !value.is_nan(),
        FieldType::Int32 => value > limits.0 && value < limits.1,
        // -2^63 is an i64, 2^63 is not.
        _ => value >= limits.0 && value < limits.1,
    };
    if ty == FieldType::Money {
        values.iter_mut().for_each(|value| *value = (*value * MONEY_SCALE as f64).round());
    }
    let mut mask = NullMask::default();
    for (row, value) in values.iter_mut().enumerate() {
        if !fits(*value) {
            mask.set(row);
            *value = 0.0;
        }
    }
    let data = match ty {
        FieldType::Int32 => ColumnData::Int32(values.iter().map(|&value| value as i32).collect()),
        FieldType::Int64 => ColumnData::Int64(values.iter().map(|&value| value as i64).collect()),
        FieldType::Money => ColumnData::Money(values.iter().map(|&value| value as i64).collect()),
        FieldType::Double => ColumnData::Double(values),
        _ => unreachable!("the model allows int32, int64, double and money as Summary output"),
    };
    Column { data, nulls: mask }
}

/// The last `length` values; NaN is a missing one.
struct Window {
    length: usize,
    /// Up to `length - 1` values of earlier events, then those of the run at hand.
    values: Vec<f64>,
}

/// Events that are added up side by side.
const LANES: usize = 8;

impl Window {
    fn measure(&mut self, new: &[f64], needs: Needs) -> Measures {
        let earlier = self.values.len();
        self.values.extend_from_slice(new);
        let mut measures: Measures = std::array::from_fn(|_| vec![0.0; new.len()]);
        let mut event = 0;
        while event < new.len() {
            let end = earlier + event + 1;
            let width = end.min(self.length);
            let full = width == self.length && event + LANES <= new.len();
            if full {
                let values = &self.values[end - width..end + LANES - 1];
                write(&mut measures, event, add_up::<LANES>(values, width, needs));
                event += LANES;
            } else {
                write(&mut measures, event, add_up::<1>(&self.values[end - width..end], width, needs));
                event += 1;
            }
        }
        self.values.drain(..self.values.len().saturating_sub(self.length - 1));
        measures
    }
}

fn write<const L: usize>(measures: &mut Measures, event: usize, of_events: [[f64; L]; MEASURES]) {
    for (measure, values) in measures.iter_mut().zip(of_events) {
        measure[event..event + L].copy_from_slice(&values);
    }
}

/// The measures of `L` events in sequence; event `l` looks at `values[l..l + width]`. Each event adds its values in the
/// order oldest to newest, whatever `L` is.
fn add_up<const L: usize>(values: &[f64], width: usize, needs: Needs) -> [[f64; L]; MEASURES] {
    let (n, sum) = counts_and_sums::<L>(values, width);
    let (min, max) = if needs.extremes { extremes::<L>(values, width) } else { ([0.0; L], [0.0; L]) };
    let uss = if needs.uss { squares_around::<L>(values, width, [0.0; L]) } else { [0.0; L] };
    let mean = std::array::from_fn(|lane| sum[lane] / n[lane]);
    let css = if needs.css { squares_around::<L>(values, width, mean) } else { [0.0; L] };
    let (cubes, fourths) = if needs.powers { powers_around::<L>(values, width, mean) } else { ([0.0; L], [0.0; L]) };
    [n, [width as f64; L], sum, min, max, uss, css, cubes, fourths]
}

// In these loops a missing value adds 0.0, which changes no sum: one that starts at +0.0 is never -0.0.

fn counts_and_sums<const L: usize>(values: &[f64], width: usize) -> ([f64; L], [f64; L]) {
    let (mut n, mut sum) = ([0.0; L], [0.0; L]);
    for of_lanes in values.windows(L).take(width) {
        for lane in 0..L {
            let value = of_lanes[lane];
            let there = !value.is_nan();
            n[lane] += if there { 1.0 } else { 0.0 };
            sum[lane] += if there { value } else { 0.0 };
        }
    }
    (n, sum)
}

fn extremes<const L: usize>(values: &[f64], width: usize) -> ([f64; L], [f64; L]) {
    let (mut min, mut max) = ([f64::INFINITY; L], [f64::NEG_INFINITY; L]);
    for of_lanes in values.windows(L).take(width) {
        for lane in 0..L {
            let value = of_lanes[lane];
            min[lane] = if value < min[lane] { value } else { min[lane] };
            max[lane] = if value > max[lane] { value } else { max[lane] };
        }
    }
    (min, max)
}

fn squares_around<const L: usize>(values: &[f64], width: usize, center: [f64; L]) -> [f64; L] {
    let mut sum = [0.0; L];
    for of_lanes in values.windows(L).take(width) {
        for lane in 0..L {
            let distance = of_lanes[lane] - center[lane];
            let square = distance * distance;
            sum[lane] += if of_lanes[lane].is_nan() { 0.0 } else { square };
        }
    }
    sum
}

fn powers_around<const L: usize>(values: &[f64], width: usize, center: [f64; L]) -> ([f64; L], [f64; L]) {
    let (mut cubes, mut fourths) = ([0.0; L], [0.0; L]);
    for of_lanes in values.windows(L).take(width) {
        for lane in 0..L {
            let distance = of_lanes[lane] - center[lane];
            let square = distance * distance;
            let there = !distance.is_nan();
            cubes[lane] += if there { square * distance } else { 0.0 };
            fourths[lane] += if there { square * square } else { 0.0 };
        }
    }
    (cubes, fourths)
}

/// All events since the start. Sums grow in the order of the events; the sums of powers of distances follow Welford's
/// recurrence, because the mean moves with every event and the values are not kept.
#[derive(Default)]
struct All {
    n: f64,
    total: f64,
    sum: f64,
    min: f64,
    max: f64,
    uss: f64,
    mean: f64,
    css: f64,
    cubes: f64,
    fourths: f64,
}

impl All {
    fn state(&self) -> [f64; 10] {
        let All { n, total, sum, min, max, uss, mean, css, cubes, fourths } = *self;
        [n, total, sum, min, max, uss, mean, css, cubes, fourths]
    }

    fn from_state([n, total, sum, min, max, uss, mean, css, cubes, fourths]: [f64; 10]) -> All {
        All { n, total, sum, min, max, uss, mean, css, cubes, fourths }
    }

    fn measure(&mut self, new: &[f64]) -> Measures {
        let mut measures: Measures = Default::default();
        for &value in new {
            self.total += 1.0;
            if !value.is_nan() {
                self.add(value);
            }
            let All { n, total, sum, min, max, uss, css, cubes, fourths, .. } = *self;
            let row = [n, total, sum, min, max, uss, css, cubes, fourths];
            measures.iter_mut().zip(row).for_each(|(to, value)| to.push(value));
        }
        measures
    }

    fn add(&mut self, value: f64) {
        let first = self.n == 0.0;
        self.n += 1.0;
        self.sum += value;
        self.min = if first || value < self.min { value } else { self.min };
        self.max = if first || value > self.max { value } else { self.max };
        self.uss += value * value;
        let distance = value - self.mean;
        // Powers of distances from the new mean, by those from the old one: fourths, cubes, then squares.
        let (n, step) = (self.n, distance / self.n);
        let term = distance * step * (n - 1.0);
        self.fourths +=
            term * step * step * (n * n - 3.0 * n + 3.0) + 6.0 * step * step * self.css - 4.0 * step * self.cubes;
        self.cubes += term * step * (n - 2.0) - 3.0 * step * self.css;
        self.mean += step;
        self.css += distance * (value - self.mean);
    }
}
