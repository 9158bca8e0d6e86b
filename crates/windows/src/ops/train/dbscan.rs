//! DBSCAN over micro-clusters (DenStream).

use mesh_event::Value;
use mesh_model::Settings;

use super::{Learner, Model, Sample, square_distance};
use crate::state::{Damage, Reader, Writer};

/// Most micro-clusters held; the lightest makes room.
const MICRO_MAX: usize = 4096;
/// A micro-cluster that has faded to this weight is dropped.
const WEIGHT_MIN: f64 = 0.01;

/// Weight, then the mean of the squared lengths, then the centre.
type Micro = Vec<f64>;

pub(crate) struct Dbscan {
    inputs: usize,
    epsilon: f64,
    /// From this weight on a micro-cluster counts.
    heavy: f64,
    factor: f64,
    recluster: bool,
    reach: f64,
    micros: Vec<Micro>,
}

impl Dbscan {
    pub(crate) fn new(settings: &Settings, inputs: usize) -> Dbscan {
        let epsilon = settings.real("epsilon");
        Dbscan {
            inputs,
            epsilon,
            heavy: settings.real("beta") * settings.real("mu"),
            factor: libm::pow(2.0, -settings.real("lambda")),
            recluster: settings.flag("recluster"),
            reach: settings.real("reclusterFactor") * epsilon,
            micros: Vec::new(),
        }
    }

    fn add(&mut self, x: &[f64]) {
        let factor = self.factor;
        self.micros.iter_mut().for_each(|micro| micro[0] *= factor);
        self.micros.retain(|micro| micro[0] >= WEIGHT_MIN);
        // First among those that count, then among the others.
        for heavy in [true, false] {
            let candidates = self.micros.iter().enumerate().filter(|(_, micro)| (micro[0] >= self.heavy) == heavy);
            let mut best: Option<(usize, f64)> = None;
            for (at, micro) in candidates {
                let distance = square_distance(&micro[2..], x);
                if best.is_none_or(|(_, least)| distance < least) {
                    best = Some((at, distance));
                }
            }
            if let Some((at, _)) = best {
                let joined = joined(&self.micros[at], x);
                if radius(&joined) <= self.epsilon {
                    self.micros[at] = joined;
                    return;
                }
            }
        }
        if self.micros.len() == MICRO_MAX {
            let lighter =
                |least: usize, next: usize| if self.micros[next][0] < self.micros[least][0] { next } else { least };
            let lightest = (0..MICRO_MAX).fold(0, lighter);
            self.micros.remove(lightest);
        }
        let squares = x.iter().fold(0.0, |sum, x| sum + x * x);
        self.micros.push([1.0, squares].into_iter().chain(x.iter().copied()).collect());
    }

    /// The micro-clusters that count, each with the number of its cluster.
    fn labelled(&self) -> Vec<(usize, &[f64])> {
        let heavy: Vec<&[f64]> =
            self.micros.iter().filter(|micro| micro[0] >= self.heavy).map(|micro| &micro[2..]).collect();
        let mut labels: Vec<Option<usize>> = vec![None; heavy.len()];
        let mut clusters = 0;
        for first in 0..heavy.len() {
            if labels[first].is_some() {
                continue;
            }
            labels[first] = Some(clusters);
            let mut found = vec![first];
            while let Some(at) = found.pop().filter(|_| self.recluster) {
                for next in 0..heavy.len() {
                    if labels[next].is_none() && square_distance(heavy[at], heavy[next]) <= self.reach * self.reach {
                        labels[next] = Some(clusters);
                        found.push(next);
                    }
                }
            }
            clusters += 1;
        }
        labels.into_iter().map(|label| label.expect("each was given one")).zip(heavy).collect()
    }
}

fn joined(micro: &[f64], x: &[f64]) -> Micro {
    let weight = micro[0] + 1.0;
    let squares = x.iter().fold(0.0, |sum, x| sum + x * x);
    let center = micro[2..].iter().zip(x).map(|(center, x)| center + (x - center) / weight);
    [weight, micro[1] + (squares - micro[1]) / weight].into_iter().chain(center).collect()
}

/// Root of the mean squared distance from the centre.
fn radius(micro: &[f64]) -> f64 {
    let center = micro[2..].iter().fold(0.0, |sum, x| sum + x * x);
    (micro[1] - center).max(0.0).sqrt()
}

impl Learner for Dbscan {
    fn start(&mut self, samples: &[Sample]) {
        self.learn(samples);
    }

    fn learn(&mut self, samples: &[Sample]) {
        samples.iter().for_each(|x| self.add(x));
    }

    fn model(&self) -> Model {
        let labelled = self.labelled();
        let mut numbers = vec![self.epsilon];
        for (label, center) in &labelled {
            numbers.push(*label as f64);
            numbers.extend_from_slice(center);
        }
        Model { shape: vec![labelled.len() as i64, self.inputs as i64], numbers }
    }

    fn numbers(&self) -> usize {
        self.micros.len() * (self.inputs + 2)
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.micros);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.micros = from.get()?;
        if self.micros.len() > MICRO_MAX || self.micros.iter().any(|micro| micro.len() != self.inputs + 2) {
            return Err(Damage::Broken("the micro-clusters are not those of the window"));
        }
        Ok(())
    }
}

/// The cluster of the nearest micro-cluster within epsilon, or -1; and how far the nearest one is.
pub(crate) fn score(model: &Model, x: &[f64]) -> Vec<Value> {
    let epsilon = model.numbers[0];
    let mut best: Option<(f64, f64)> = None;
    for micro in model.numbers[1..].chunks_exact(x.len() + 1) {
        let distance = square_distance(&micro[1..], x).sqrt();
        if best.is_none_or(|(_, least)| distance < least) {
            best = Some((micro[0], distance));
        }
    }
    match best {
        Some((label, distance)) => {
            let label = if distance <= epsilon { label as i64 } else { -1 };
            vec![Value::Int64(label), Value::Double(distance)]
        }
        None => vec![Value::Int64(-1), Value::Null],
    }
}
