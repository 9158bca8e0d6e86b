//! Score: what the newest model says of each event.

use std::sync::Arc;

use mesh_event::{Block, Schema, Value};
use mesh_model::{AlgorithmRun, ResultField, Score as Spec};

use super::calculate::Results;
use super::calculate::event::{Event, Rows};
use super::train::{Model, fits, score};
use super::{Clock, Held, Operator, Sides};
use crate::bad::{BadEvent, BadEvents};
use crate::run::Run;
use crate::state::{Damage, Reader, Writer};

/// Sides of the window's input.
pub(crate) const DATA: usize = 0;
pub(crate) const MODEL: usize = 1;

/// A score window. Where data and a model come with one event the model goes first. Every data event goes out with its
/// opcode; the results of one that comes before the first model, or that lacks an input, are null.
pub(crate) struct Score {
    schema: Arc<Schema>,
    runs: Vec<AlgorithmRun>,
    /// The results of all algorithms are one list.
    fields: Vec<ResultField>,
    /// The newest model of each algorithm, with its number.
    models: Vec<Option<(i64, Model)>>,
    bad: BadEvents,
}

impl Score {
    pub(crate) fn new(schema: &Arc<Schema>, spec: &Spec) -> Score {
        let before = |run: usize| spec.runs[..run].iter().map(|run| run.algorithm.outputs.len()).sum::<usize>();
        let field = |field: &ResultField| match *field {
            ResultField::Result { run, output, element } => {
                ResultField::Result { run: 0, output: before(run) + output, element }
            }
            other => other,
        };
        Score {
            schema: Arc::clone(schema),
            fields: spec.fields.iter().map(field).collect(),
            models: vec![None; spec.runs.len()],
            runs: spec.runs.clone(),
            bad: BadEvents::default(),
        }
    }

    /// Takes the model of a row. Which algorithm it is of, its number and its content stand where the model's schema has
    /// them.
    fn learn(&mut self, block: &Block, row: usize) {
        let columns = &block.columns;
        let found = match [0, 1, 3, 4].map(|at| columns[at].value(row)) {
            [Value::Int64(id), Value::String(name), Value::ArrayInt64(shape), Value::ArrayDouble(numbers)] => {
                let model = Model { shape: shape.to_vec(), numbers: numbers.to_vec() };
                let run = self.runs.iter().position(|run| run.algorithm.name == &*name);
                let run = run.filter(|&run| fits_run(&self.runs[run], &model));
                run.map(|run| (run, id, model))
            }
            _ => None,
        };
        match found {
            Some((run, id, model)) => self.models[run] = Some((id, model)),
            None => self.bad.add("it is no model that the window can use", block, row),
        }
    }

    fn results(&self, block: &Block, row: usize) -> Results {
        let mut results = Vec::new();
        for (run, model) in self.runs.iter().zip(&self.models) {
            let event = Event { columns: &block.columns, inputs: &run.inputs, row };
            let x = event.numbers(0).filter(|x| x.iter().all(|x| x.is_finite()));
            match (model, x) {
                (Some((id, model)), Some(x)) => {
                    results.extend(score(run.algorithm.kind, model, &x));
                    results.push(Value::Int64(*id));
                }
                _ => results.extend(run.algorithm.outputs.iter().map(|_| Value::Null)),
            }
        }
        results
    }
}

fn fits_run(run: &AlgorithmRun, model: &Model) -> bool {
    fits(run.algorithm.kind, model, run.inputs[0].len())
}

impl Operator for Score {
    fn process(&mut self, _run: Run, _clock: Clock) -> Run {
        unreachable!("the input of a score window comes by side")
    }

    fn process_sides(&mut self, inputs: Sides, _clock: Clock) -> Run {
        let (data, models) = (inputs.side(DATA), inputs.side(MODEL));
        let range = |run: Option<&Run>, cause: usize| match run {
            Some(run) => (if cause == 0 { 0 } else { run.ends[cause - 1] as usize })..run.ends[cause] as usize,
            None => 0..0,
        };
        let mut rows = Rows::with_capacity(data.map_or(0, |run| run.block.len()));
        for cause in 0..inputs.causes() {
            for row in range(models, cause) {
                let block = &models.expect("a row of it is looked at").block;
                // Old halves and deletes take nothing away: the newest model stands.
                if !matches!(block.opcodes[row], mesh_event::Opcode::Delete | mesh_event::Opcode::SafeDelete) {
                    self.learn(block, row);
                }
            }
            for row in range(data, cause) {
                let block = &data.expect("a row of it is looked at").block;
                rows.push(row as u32, self.results(block, row));
            }
            rows.end_cause();
        }
        match data {
            Some(data) => rows.finish(data, &self.schema, &self.fields),
            None => rows.nothing(&self.schema),
        }
    }

    fn held(&self) -> Held {
        let numbers: usize = self.models.iter().flatten().map(|(_, model)| model.numbers.len()).sum();
        let rows = self.models.iter().flatten().count() as u64;
        Held { rows, bytes: (numbers * size_of::<f64>()) as u64, bad_events: self.bad.count(), ..Held::default() }
    }

    fn take_bad_events(&mut self) -> Vec<BadEvent> {
        self.bad.take()
    }

    fn kind(&self) -> &'static str {
        "score"
    }

    fn save(&self, to: &mut Writer<'_>) {
        for model in &self.models {
            to.put(&model.is_some());
            if let Some((id, model)) = model {
                to.put(id);
                to.put(&model.shape);
                to.put(&model.numbers);
            }
        }
        self.bad.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        for (run, model) in self.runs.iter().zip(&mut self.models) {
            if !from.get::<bool>()? {
                continue;
            }
            let id = from.get()?;
            let held = Model { shape: from.get()?, numbers: from.get()? };
            if !fits_run(run, &held) {
                return Err(Damage::Broken("a model is not one of the window's algorithm"));
            }
            *model = Some((id, held));
        }
        self.bad.restore(from)?;
        Ok(())
    }
}
