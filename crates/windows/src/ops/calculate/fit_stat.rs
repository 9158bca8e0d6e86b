//! FitStat: how well predictions fit what came.

use mesh_event::{Schema, Value};
use mesh_model::{AlgorithmRun, Settings};

use super::event::Event;
use super::recent::Recent;
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

/// Smallest probability that the log loss takes.
const LEAST_PROBABILITY: f64 = 1e-15;

/// Of an event: 1 when all is there, 1 when something is missing, squared, absolute and squared logarithmic error,
/// 1 when the class is wrong, log loss.
const MEASURES: usize = 7;

pub(crate) struct FitStat {
    /// One for each input; none for a regression.
    classes: Vec<String>,
    sums: Sums,
}

enum Sums {
    Window(Recent<MEASURES>),
    All([f64; MEASURES]),
}

impl FitStat {
    pub(crate) fn new(run: &AlgorithmRun, input: &Schema) -> FitStat {
        let settings: &Settings = &run.settings;
        let letters = settings.count("labelLen");
        let class = |&field: &usize| {
            let name = input.fields()[field].name.as_str();
            match letters {
                0 => name.rsplit('_').next().unwrap_or(name).to_owned(),
                letters => name.chars().skip(name.chars().count().saturating_sub(letters)).collect(),
            }
        };
        let inputs = &run.inputs[0];
        FitStat {
            classes: if inputs.len() > 1 { inputs.iter().map(class).collect() } else { Vec::new() },
            sums: match settings.count("windowLength") {
                0 => Sums::All([0.0; MEASURES]),
                length => Sums::Window(Recent::new(length)),
            },
        }
    }

    fn measures(&self, event: &Event<'_>) -> Option<[f64; MEASURES]> {
        let predicted = event.numbers(0)?;
        if self.classes.is_empty() {
            let (predicted, response) = (predicted[0], event.number(1)?);
            let error = response - predicted;
            let log = libm::log1p(response) - libm::log1p(predicted);
            return Some([1.0, 0.0, error * error, error.abs(), log * log, f64::NAN, f64::NAN]);
        }
        let label = event.label(1)?;
        let actual = self.classes.iter().position(|class| *class == label)?;
        let mut most = 0;
        let (mut square, mut absolute) = (0.0, 0.0);
        for (class, probability) in predicted.iter().enumerate() {
            let error = f64::from(u8::from(class == actual)) - probability;
            square += error * error;
            absolute += error.abs();
            if *probability > predicted[most] {
                most = class;
            }
        }
        let loss = -libm::log(predicted[actual].max(LEAST_PROBABILITY));
        Some([1.0, 0.0, square, absolute, f64::NAN, f64::from(u8::from(most != actual)), loss])
    }
}

fn add(sums: [f64; MEASURES], row: &[f64; MEASURES]) -> [f64; MEASURES] {
    std::array::from_fn(|at| sums[at] + row[at])
}

impl Method for FitStat {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let missing = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let row = self.measures(event).unwrap_or(missing);
        let [n, missing, square, absolute, log, wrong, loss] = match &mut self.sums {
            Sums::All(sums) => {
                *sums = add(*sums, &row);
                *sums
            }
            Sums::Window(recent) => {
                recent.push(row);
                recent.rows().iter().fold([0.0; MEASURES], add)
            }
        };
        let div = n * self.classes.len().max(1) as f64;
        // Without any value 0/0 makes the means null.
        let (ase, mae, msle) = (square / div, absolute / div, log / n);
        let values = [n, missing, ase, div, ase.sqrt(), wrong / n, loss / n, mae, mae.sqrt(), msle, msle.sqrt()];
        out.push(values.map(Value::Double).to_vec());
    }

    fn bytes(&self) -> usize {
        match &self.sums {
            Sums::Window(recent) => recent.bytes(),
            Sums::All(_) => 0,
        }
    }

    fn save(&self, to: &mut Writer<'_>) {
        match &self.sums {
            Sums::Window(recent) => recent.save(to),
            Sums::All(sums) => to.put(sums),
        }
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        match &mut self.sums {
            Sums::Window(recent) => recent.restore(from),
            Sums::All(sums) => {
                *sums = from.get()?;
                Ok(())
            }
        }
    }
}
