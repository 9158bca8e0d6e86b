//! Linear support vector machine.

use mesh_event::Value;
use mesh_model::Settings;

use super::{Learner, Model, Sample, linear, spread};
use crate::state::{Damage, Reader, Writer};

/// The search for the first model ends when no slope is larger.
const PRECISION: f64 = 1e-10;

pub(crate) struct Svm {
    inputs: usize,
    center: bool,
    scale: bool,
    penalty: f64,
    passes: usize,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    /// Over inputs in deviations from their means; the last is the border's offset.
    weights: Vec<f64>,
    events: f64,
    first: f64,
    /// The label of the class that is not 1; unknown before it came.
    low: Option<f64>,
}

impl Svm {
    pub(crate) fn new(settings: &Settings, inputs: usize) -> Svm {
        Svm {
            inputs,
            center: settings.flag("centerFlag"),
            scale: settings.flag("scaleFlag"),
            penalty: settings.real("c"),
            passes: settings.count("maxIter"),
            mean: vec![0.0; inputs],
            deviation: vec![1.0; inputs],
            weights: vec![0.0; inputs + 1],
            events: 0.0,
            first: 0.0,
            low: None,
        }
    }

    /// The inputs in deviations, then 1; and the class, 1 or -1.
    fn row(&mut self, sample: &Sample) -> (Vec<f64>, f64) {
        let response = sample[self.inputs];
        if response <= 0.0 {
            self.low.get_or_insert(if response < 0.0 { -1.0 } else { 0.0 });
        }
        let inputs = sample[..self.inputs].iter().zip(self.mean.iter().zip(&self.deviation));
        let row = inputs.map(|(x, (mean, deviation))| (x - mean) / deviation).chain([1.0]).collect();
        (row, if response > 0.0 { 1.0 } else { -1.0 })
    }

    fn margin(&self, row: &[f64]) -> f64 {
        self.weights.iter().zip(row).fold(0.0, |sum, (weight, x)| sum + weight * x)
    }

    fn step(&mut self, row: &[f64], by: f64) {
        self.weights.iter_mut().zip(row).for_each(|(weight, x)| *weight += by * x);
    }
}

impl Learner for Svm {
    /// Dual coordinate descent, the samples in their order.
    fn start(&mut self, samples: &[Sample]) {
        let (mean, deviation) = spread(samples, self.inputs);
        if self.center {
            self.mean = mean;
        }
        if self.scale {
            self.deviation = deviation;
        }
        let rows: Vec<(Vec<f64>, f64)> = samples.iter().map(|sample| self.row(sample)).collect();
        let squares: Vec<f64> = rows.iter().map(|(row, _)| row.iter().fold(0.0, |sum, x| sum + x * x)).collect();
        let mut alphas = vec![0.0; rows.len()];
        for _ in 0..self.passes {
            let mut largest: f64 = 0.0;
            for (at, (row, class)) in rows.iter().enumerate() {
                let slope = class * self.margin(row) - 1.0;
                let alpha: f64 = alphas[at];
                let next = (alpha - slope / squares[at]).clamp(0.0, self.penalty);
                // At a border only a slope that leads inside counts.
                let outward = alpha <= 0.0 && slope > 0.0 || alpha >= self.penalty && slope < 0.0;
                largest = if outward { largest } else { largest.max(slope.abs()) };
                self.step(row, (next - alpha) * class);
                alphas[at] = next;
            }
            if largest <= PRECISION {
                break;
            }
        }
        self.first = samples.len() as f64;
        self.events = self.first;
    }

    /// Pegasos: the weights shrink, and an event inside the margin pulls them.
    fn learn(&mut self, samples: &[Sample]) {
        let lambda = 1.0 / (self.penalty * self.first);
        for sample in samples {
            self.events += 1.0;
            let (row, class) = self.row(sample);
            let rate = 1.0 / (lambda * self.events);
            let inside = class * self.margin(&row) < 1.0;
            self.weights.iter_mut().for_each(|weight| *weight *= 1.0 - rate * lambda);
            if inside {
                self.step(&row, rate * class);
            }
        }
    }

    fn model(&self) -> Model {
        let scaled = self.weights.iter().zip(&self.deviation).map(|(weight, deviation)| weight / deviation);
        let coefficients: Vec<f64> = scaled.take(self.inputs).collect();
        let offset = self.weights[self.inputs];
        let intercept = coefficients.iter().zip(&self.mean).fold(offset, |sum, (b, mean)| sum - b * mean);
        let low = self.low.unwrap_or(0.0);
        Model { shape: vec![self.inputs as i64], numbers: [low, intercept].into_iter().chain(coefficients).collect() }
    }

    fn numbers(&self) -> usize {
        self.inputs * 3 + 4
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.mean);
        to.put(&self.deviation);
        to.put(&self.weights);
        to.put(&(self.events, self.first, self.low));
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.mean = from.get()?;
        self.deviation = from.get()?;
        self.weights = from.get()?;
        (self.events, self.first, self.low) = from.get()?;
        let d = self.inputs;
        if self.mean.len() != d || self.deviation.len() != d || self.weights.len() != d + 1 {
            return Err(Damage::Broken("the weights are not those of so many inputs"));
        }
        Ok(())
    }
}

pub(crate) fn score(model: &Model, x: &[f64]) -> Vec<Value> {
    let margin = linear(&model.numbers[1..], x);
    let class = if margin > 0.0 { 1 } else { model.numbers[0] as i64 };
    vec![Value::Int64(class), Value::Double(margin)]
}
