//! Train: learns from events, and puts out a model every so many of them.
//!
//! A model is an event of one schema for all algorithms: its number, the algorithm, the events learned from, and numbers
//! with their shape. So a model travels, is kept and restored like every other event. Code map: a file for each algorithm,
//! with its [`Learner`] and the score that its models give; `score.rs` next door uses them.
//!
//! **Invariant:** as for calculate windows: to the bit the same on every processor.

mod dbscan;
mod equations;
mod kmeans;
mod logistic;
mod regression;
mod svm;

use std::sync::Arc;

use mesh_event::{Block, BlockKind, ColumnBuilder, Flags, Opcode, Schema, Value};
use mesh_model::{AlgorithmKind, AlgorithmRun};

use super::calculate::event::Event;
use super::{Clock, Held, Operator};
use crate::bad::{BadEvent, BadEvents};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};

/// The inputs of an event, and behind them the response where the algorithm has one.
pub(crate) type Sample = Vec<f64>;

/// A model without its number: what its scores need.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub shape: Vec<i64>,
    pub numbers: Vec<f64>,
}

/// An algorithm that learns.
pub(crate) trait Learner: Send {
    /// Learns from the first events.
    fn start(&mut self, samples: &[Sample]);

    /// Learns from the next ones.
    fn learn(&mut self, samples: &[Sample]);

    fn model(&self) -> Model;

    /// Numbers held.
    fn numbers(&self) -> usize;

    fn save(&self, to: &mut Writer<'_>);

    /// Takes what [`Learner::save`] wrote after the start.
    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage>;
}

fn learner(run: &AlgorithmRun) -> Box<dyn Learner> {
    let (settings, inputs) = (&run.settings, run.inputs[0].len());
    match run.algorithm.kind {
        AlgorithmKind::Kmeans => Box::new(kmeans::Kmeans::new(settings, inputs)),
        AlgorithmKind::Dbscan => Box::new(dbscan::Dbscan::new(settings, inputs)),
        AlgorithmKind::LinearRegression => Box::new(regression::Regression::new(settings, inputs)),
        AlgorithmKind::LogisticRegression => Box::new(logistic::Logistic::new(settings, inputs)),
        AlgorithmKind::Svm => Box::new(svm::Svm::new(settings, inputs)),
        _ => unreachable!("the model gives train windows the algorithms that learn"),
    }
}

/// True when a model is one of an algorithm over so many inputs.
pub(crate) fn fits(kind: AlgorithmKind, model: &Model, inputs: usize) -> bool {
    let (shape, numbers) = (model.shape.as_slice(), model.numbers.len());
    let size = |size: i64| usize::try_from(size).ok();
    let all_finite = model.numbers.iter().all(|number| number.is_finite());
    let right = match (kind, shape) {
        (AlgorithmKind::Kmeans, [k, d]) => {
            *k > 0 && size(*d) == Some(inputs) && size(*k).and_then(|k| k.checked_mul(inputs)) == Some(numbers)
        }
        (AlgorithmKind::Dbscan, [m, d]) => {
            let held = size(*m).and_then(|m| m.checked_mul(inputs + 1)).and_then(|held| held.checked_add(1));
            size(*d) == Some(inputs) && held == Some(numbers)
        }
        (AlgorithmKind::LinearRegression | AlgorithmKind::LogisticRegression, [d]) => {
            size(*d) == Some(inputs) && numbers == inputs + 1
        }
        (AlgorithmKind::Svm, [d]) => size(*d) == Some(inputs) && numbers == inputs + 2,
        _ => false,
    };
    right && all_finite
}

/// The results of a model that fits, without its number.
pub(crate) fn score(kind: AlgorithmKind, model: &Model, x: &[f64]) -> Vec<Value> {
    match kind {
        AlgorithmKind::Kmeans => kmeans::score(model, x),
        AlgorithmKind::Dbscan => dbscan::score(model, x),
        AlgorithmKind::LinearRegression => regression::score(model, x),
        AlgorithmKind::LogisticRegression => logistic::score(model, x),
        AlgorithmKind::Svm => svm::score(model, x),
        _ => unreachable!("the model gives score windows the algorithms that learn"),
    }
}

/// The intercept of a linear model, which stands before its coefficients, and these times `x`.
pub(crate) fn linear(numbers: &[f64], x: &[f64]) -> f64 {
    numbers[1..].iter().zip(x).fold(numbers[0], |sum, (coefficient, x)| sum + coefficient * x)
}

/// The square of the distance of two points.
pub(crate) fn square_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b))
}

/// Mean and standard deviation (divisor n; 1 where nothing varies) of each of the first `inputs` values of samples.
pub(crate) fn spread(samples: &[Sample], inputs: usize) -> (Vec<f64>, Vec<f64>) {
    let n = samples.len() as f64;
    let mean: Vec<f64> = (0..inputs).map(|at| samples.iter().fold(0.0, |sum, x| sum + x[at]) / n).collect();
    let deviation = |at: usize| {
        let squares = samples.iter().fold(0.0, |sum, x| sum + (x[at] - mean[at]) * (x[at] - mean[at]));
        let deviation = (squares / n).sqrt();
        if deviation > 0.0 { deviation } else { 1.0 }
    };
    let deviations = (0..inputs).map(deviation).collect();
    (mean, deviations)
}

/// A train window.
pub(crate) struct Train {
    schema: Arc<Schema>,
    run: AlgorithmRun,
    learner: Box<dyn Learner>,
    first: usize,
    batch: usize,
    commit: usize,
    state: State,
}

#[derive(Default)]
struct State {
    /// Fewer samples than the next step of learning takes.
    waiting: Vec<Sample>,
    started: bool,
    /// Batches since the last model.
    batches: usize,
    events: i64,
    models: i64,
    /// Events that were no sample: a value was missing or infinite.
    bad: BadEvents,
}

impl Train {
    pub(crate) fn new(schema: &Arc<Schema>, run: &AlgorithmRun) -> Train {
        Train {
            schema: Arc::clone(schema),
            learner: learner(run),
            first: run.settings.count("nInit"),
            batch: run.settings.count("velocity"),
            commit: run.settings.count("commitInterval"),
            run: run.clone(),
            state: State::default(),
        }
    }

    /// Takes a sample; the model that goes out.
    fn add(&mut self, sample: Sample) -> Option<Model> {
        let state = &mut self.state;
        state.events += 1;
        state.waiting.push(sample);
        if state.waiting.len() < if state.started { self.batch } else { self.first } {
            return None;
        }
        let samples = std::mem::take(&mut state.waiting);
        if state.started {
            self.learner.learn(&samples);
            state.batches += 1;
            if state.batches < self.commit {
                return None;
            }
        } else {
            self.learner.start(&samples);
            state.started = true;
        }
        state.batches = 0;
        state.models += 1;
        Some(self.learner.model())
    }

    fn sample(&self, event: &Event<'_>) -> Option<Sample> {
        let mut sample = event.numbers(0)?;
        if self.run.algorithm.inputs.len() > 1 {
            sample.push(event.number(1)?);
        }
        Some(sample).filter(|sample| sample.iter().all(|value| value.is_finite()))
    }
}

impl Operator for Train {
    fn process(&mut self, run: Run, _clock: Clock) -> Run {
        let block = &run.block;
        let (mut rows, mut ends): (Vec<[Value; 5]>, _) = (Vec::new(), Vec::with_capacity(run.ends.len()));
        let mut row = 0;
        for &end in run.ends.iter() {
            while row < end as usize {
                let event = Event { columns: &block.columns, inputs: &self.run.inputs, row };
                let looked_at = matches!(block.opcodes[row], Opcode::Insert | Opcode::Upsert);
                row += 1;
                if !looked_at {
                    continue;
                }
                let Some(sample) = self.sample(&event) else {
                    self.state.bad.add("a value is missing or infinite", block, row - 1);
                    continue;
                };
                if let Some(model) = self.add(sample) {
                    rows.push([
                        Value::Int64(self.state.models),
                        Value::String(self.run.algorithm.name.into()),
                        Value::Int64(self.state.events),
                        Value::ArrayInt64(model.shape.into()),
                        Value::ArrayDouble(model.numbers.into()),
                    ]);
                }
            }
            ends.push(rows.len() as u32);
        }
        let column = |(at, field): (usize, &mesh_event::Field)| {
            let mut builder = ColumnBuilder::new(field.ty, rows.len());
            rows.iter()
                .for_each(|row| assert!(builder.push(&row[at]), "the model gives every train window this schema"));
            Arc::new(builder.finish())
        };
        let block = Block {
            schema: Arc::clone(&self.schema),
            kind: BlockKind::Normal,
            opcodes: vec![Opcode::Insert; rows.len()],
            flags: vec![Flags::NORMAL; rows.len()],
            columns: self.schema.fields().iter().enumerate().map(column).collect(),
        };
        Run { block, ends: ends.into() }
    }

    fn held(&self) -> Held {
        let numbers: usize = self.state.waiting.iter().map(Vec::len).sum();
        let bytes = (numbers + self.learner.numbers()) * size_of::<f64>();
        Held { bytes: bytes as u64, bad_events: self.state.bad.count(), ..Held::default() }
    }

    fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.state.bad.take()
    }

    fn kind(&self) -> &'static str {
        self.run.algorithm.name
    }

    fn save(&self, to: &mut Writer<'_>) {
        let State { waiting, started, batches, events, models, bad } = &self.state;
        to.put(waiting);
        to.put(&(*started, *batches, *events));
        to.put(&(*models, bad.count()));
        if *started {
            self.learner.save(to);
        }
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let waiting: Vec<Sample> = from.get()?;
        let (started, batches, events): (bool, usize, i64) = from.get()?;
        let (models, bad): (i64, u64) = from.get()?;
        let bad = BadEvents::counted(bad);
        let values = self.run.inputs[0].len() + self.run.algorithm.inputs.len() - 1;
        let most = if started { self.batch } else { self.first };
        let counts = [events, models].iter().all(|count| (0..i64::MAX / 2).contains(count));
        if waiting.len() >= most || waiting.iter().any(|x| x.len() != values) || batches >= self.commit || !counts {
            return Err(Damage::Broken("what waits to be learned is not what the window takes"));
        }
        self.state = State { waiting, started, batches, events, models, bad };
        if started { self.learner.restore(from) } else { Ok(()) }
    }
}
