//! Streaming k-means.

use mesh_event::Value;
use mesh_model::Settings;

use super::{Learner, Model, Sample, square_distance};
use crate::state::{Damage, Reader, Writer};

/// Most of Lloyd's steps before the first model.
const STEPS: usize = 100;

pub(crate) struct Kmeans {
    clusters: usize,
    inputs: usize,
    seed: u64,
    damping: f64,
    fade_out: f64,
    disturb: f64,
    centers: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

impl Kmeans {
    pub(crate) fn new(settings: &Settings, inputs: usize) -> Kmeans {
        Kmeans {
            clusters: settings.count("nClusters"),
            inputs,
            seed: settings.count("initSeed") as u64,
            damping: settings.real("dampingFactor"),
            fade_out: settings.real("fadeOutFactor"),
            disturb: settings.real("disturbFactor"),
            centers: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// k-means++: each next centre is a sample, drawn by the square of its distance from those before.
    fn seeds(&self, samples: &[Sample]) -> Vec<Vec<f64>> {
        let mut random = Random(self.seed);
        let first = (random.next() * samples.len() as f64) as usize;
        let mut centers = vec![samples[first].clone()];
        while centers.len() < self.clusters {
            let distances: Vec<f64> = samples.iter().map(|x| nearest(&centers, x).1).collect();
            let total = distances.iter().fold(0.0, |sum, distance| sum + distance);
            let mut left = random.next() * total;
            let drawn = distances.iter().position(|distance| {
                left -= distance;
                left < 0.0
            });
            centers.push(samples[drawn.unwrap_or(samples.len() - 1)].clone());
        }
        centers
    }

    /// Sum and number of the samples nearest to each centre.
    fn assigned(&self, samples: &[Sample]) -> Vec<(Vec<f64>, f64)> {
        let mut sums = vec![(vec![0.0; self.inputs], 0.0); self.clusters];
        for x in samples {
            let (sum, count) = &mut sums[nearest(&self.centers, x).0];
            sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
            *count += 1.0;
        }
        sums
    }

    /// A cluster that is too light is dropped, and the heaviest is split in two.
    fn replace_faded(&mut self) {
        let mean = self.weights.iter().fold(0.0, |sum, weight| sum + weight) / self.clusters as f64;
        for at in 0..self.clusters {
            let better = |best: usize, next: usize| if self.weights[next] > self.weights[best] { next } else { best };
            let heaviest = (0..self.clusters).fold(0, better);
            if self.weights[at] >= self.fade_out * mean || heaviest == at {
                continue;
            }
            let half = self.weights[heaviest] / 2.0;
            let apart = |x: &f64, sign: f64| x + sign * self.disturb * x.abs().max(1.0);
            let center = self.centers[heaviest].clone();
            self.centers[heaviest] = center.iter().map(|x| apart(x, 1.0)).collect();
            self.centers[at] = center.iter().map(|x| apart(x, -1.0)).collect();
            self.weights[heaviest] = half;
            self.weights[at] = half;
        }
    }
}

/// The first of the nearest centres, and the square of its distance.
fn nearest(centers: &[Vec<f64>], x: &[f64]) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for (at, center) in centers.iter().enumerate() {
        let distance = square_distance(center, x);
        if distance < best.1 {
            best = (at, distance);
        }
    }
    best
}

/// Numbers from 0 (included) to 1, by splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Learner for Kmeans {
    fn start(&mut self, samples: &[Sample]) {
        self.centers = self.seeds(samples);
        for _ in 0..STEPS {
            let assigned = self.assigned(samples);
            self.weights = assigned.iter().map(|(_, count)| *count).collect();
            let moved = self.centers.iter().zip(assigned).map(|(center, (sum, count))| match count {
                0.0 => center.clone(),
                count => sum.iter().map(|sum| sum / count).collect(),
            });
            let moved: Vec<Vec<f64>> = moved.collect();
            if moved == self.centers {
                break;
            }
            self.centers = moved;
        }
    }

    fn learn(&mut self, samples: &[Sample]) {
        let assigned = self.assigned(samples);
        for (at, (sum, count)) in assigned.into_iter().enumerate() {
            self.weights[at] = self.weights[at] * self.damping + count;
            if count > 0.0 {
                let share = count / self.weights[at];
                let center = self.centers[at].iter_mut().zip(sum);
                center.for_each(|(center, sum)| *center += share * (sum / count - *center));
            }
        }
        self.replace_faded();
    }

    fn model(&self) -> Model {
        Model { shape: vec![self.clusters as i64, self.inputs as i64], numbers: self.centers.concat() }
    }

    fn numbers(&self) -> usize {
        self.clusters * (self.inputs + 1)
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.centers);
        to.put(&self.weights);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.centers = from.get()?;
        self.weights = from.get()?;
        let whole = self.centers.iter().all(|center| center.len() == self.inputs);
        if !whole || self.centers.len() != self.clusters || self.weights.len() != self.clusters {
            return Err(Damage::Broken("the clusters are not those of the window"));
        }
        Ok(())
    }
}

/// Number of the nearest centre and its distance.
pub(crate) fn score(model: &Model, x: &[f64]) -> Vec<Value> {
    let mut best = (0, f64::INFINITY);
    for (at, center) in model.numbers.chunks_exact(x.len()).enumerate() {
        let distance = square_distance(center, x);
        if distance < best.1 {
            best = (at as i64, distance);
        }
    }
    vec![Value::Int64(best.0), Value::Double(best.1.sqrt())]
}
