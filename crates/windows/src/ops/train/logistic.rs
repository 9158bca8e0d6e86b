//! Logistic regression: the most likely coefficients, then a Newton step for each batch.

use mesh_event::Value;
use mesh_model::Settings;

use super::equations::solve;
use super::{Learner, Model, Sample, linear, spread};
use crate::state::{Damage, Reader, Writer};

/// The search for the first model ends when no coefficient moves by more than this part.
const PRECISION: f64 = 1e-12;
/// Times that a step which makes things worse is halved.
const HALVINGS: usize = 30;

pub(crate) struct Logistic {
    inputs: usize,
    damping: f64,
    intercept: bool,
    scale: bool,
    ridge: f64,
    steps: usize,
    /// Intercept and coefficients.
    coefficients: Vec<f64>,
    /// Information on them, row by row.
    information: Vec<f64>,
}

impl Logistic {
    pub(crate) fn new(settings: &Settings, inputs: usize) -> Logistic {
        Logistic {
            inputs,
            damping: settings.real("dampingFactor"),
            intercept: settings.flag("centerFlag"),
            scale: settings.flag("scaleFlag"),
            ridge: settings.real("regularization"),
            steps: settings.count("maxIter"),
            coefficients: vec![0.0; inputs + 1],
            information: vec![0.0; (inputs + 1) * (inputs + 1)],
        }
    }

    /// 1 for the intercept (0 without one), then the inputs.
    fn row(&self, sample: &Sample) -> Vec<f64> {
        let one = if self.intercept { 1.0 } else { 0.0 };
        [one].into_iter().chain(sample[..self.inputs].iter().copied()).collect()
    }

    /// Adds the information of samples, and their slope, at the present coefficients.
    fn add(&self, samples: &[Sample], information: &mut [f64], slope: &mut [f64]) {
        let n = self.inputs + 1;
        for sample in samples {
            let row = self.row(sample);
            let p = probability(linear(&self.coefficients, &sample[..self.inputs]));
            let (weight, error) = (p * (1.0 - p), class(sample) - p);
            for i in 0..n {
                slope[i] += error * row[i];
                for j in 0..n {
                    information[i * n + j] += weight * row[i] * row[j];
                }
            }
        }
    }

    /// What the first model makes small: the penalty, less the log of the likelihood.
    fn loss(&self, coefficients: &[f64], samples: &[Sample], penalties: &[f64]) -> f64 {
        let penalty = coefficients.iter().zip(penalties).fold(0.0, |sum, (b, penalty)| sum + 0.5 * penalty * b * b);
        samples.iter().fold(penalty, |sum, sample| {
            let z = linear(coefficients, &sample[..self.inputs]);
            // log(1 + exp(z)) without overflow.
            sum + z.max(0.0) + libm::log1p(libm::exp(-z.abs())) - class(sample) * z
        })
    }
}

fn class(sample: &Sample) -> f64 {
    f64::from(u8::from(sample.last().is_some_and(|response| *response > 0.0)))
}

fn probability(z: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-z))
}

impl Learner for Logistic {
    fn start(&mut self, samples: &[Sample]) {
        let n = self.inputs + 1;
        let deviations = if self.scale { spread(samples, self.inputs).1 } else { vec![1.0; self.inputs] };
        let penalties: Vec<f64> =
            [0.0].into_iter().chain(deviations.iter().map(|deviation| self.ridge * deviation * deviation)).collect();
        for _ in 0..self.steps {
            let (mut information, mut slope) = (vec![0.0; n * n], vec![0.0; n]);
            self.add(samples, &mut information, &mut slope);
            for (at, penalty) in penalties.iter().enumerate() {
                information[at * n + at] += penalty;
                slope[at] -= penalty * self.coefficients[at];
            }
            let step = solve(&information, &slope);
            self.information = information;
            let before = self.loss(&self.coefficients, samples, &penalties);
            let mut part = 1.0;
            let next = |part: f64| -> Vec<f64> {
                self.coefficients.iter().zip(&step).map(|(b, step)| b + part * step).collect()
            };
            for _ in 0..HALVINGS {
                if self.loss(&next(part), samples, &penalties) <= before {
                    break;
                }
                part /= 2.0;
            }
            let next = next(part);
            let still = |(b, next): (&f64, &f64)| (b - next).abs() <= PRECISION * (1.0 + b.abs());
            let done = self.coefficients.iter().zip(&next).all(still);
            self.coefficients = next;
            if done {
                break;
            }
        }
    }

    fn learn(&mut self, samples: &[Sample]) {
        let mut information: Vec<f64> = self.information.iter().map(|value| value * self.damping).collect();
        let mut slope = vec![0.0; self.inputs + 1];
        self.add(samples, &mut information, &mut slope);
        self.information = information;
        let step = solve(&self.information, &slope);
        self.coefficients.iter_mut().zip(step).for_each(|(b, step)| *b += step);
    }

    fn model(&self) -> Model {
        Model { shape: vec![self.inputs as i64], numbers: self.coefficients.clone() }
    }

    fn numbers(&self) -> usize {
        self.information.len() + self.coefficients.len()
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.coefficients);
        to.put(&self.information);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.coefficients = from.get()?;
        self.information = from.get()?;
        let n = self.inputs + 1;
        if self.coefficients.len() != n || self.information.len() != n * n {
            return Err(Damage::Broken("the coefficients are not those of so many inputs"));
        }
        Ok(())
    }
}

pub(crate) fn score(model: &Model, x: &[f64]) -> Vec<Value> {
    let p = probability(linear(&model.numbers, x));
    vec![Value::Int64((p >= 0.5).into()), Value::Double(p)]
}
