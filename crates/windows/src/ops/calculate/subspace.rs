//! SST: the directions in which several signals move together.

use mesh_event::Value;
use mesh_model::Settings;

use super::eigen::symmetric_eigen;
use super::event::{Event, list};
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

pub(crate) struct Subspace {
    inputs: usize,
    length: usize,
    hop: usize,
    max_rank: usize,
    mean_factor: f64,
    covariance_factor: f64,
    share: f64,
    state: State,
}

#[derive(Default)]
struct State {
    /// None before the first event.
    mean: Vec<f64>,
    /// Row by row.
    covariance: Vec<f64>,
    /// Events until the window ends.
    wait: usize,
    /// First directions of the last window and of the first one.
    before: Vec<f64>,
    first: Vec<f64>,
}

impl Subspace {
    pub(crate) fn new(settings: &Settings, inputs: usize) -> Subspace {
        let length = settings.count("windowLength");
        Subspace {
            inputs,
            length,
            hop: length - settings.count("overlap"),
            max_rank: settings.count("maxPrincipal"),
            mean_factor: settings.real("meanForgetFactor"),
            covariance_factor: settings.real("covForgetFactor"),
            share: settings.real("eigvalTolCumulative"),
            state: State { wait: length, ..State::default() },
        }
    }

    fn learn(&mut self, x: &[f64]) {
        let State { mean, covariance, .. } = &mut self.state;
        if mean.is_empty() {
            *mean = x.to_vec();
            *covariance = vec![0.0; self.inputs * self.inputs];
        }
        let (f, g) = (self.mean_factor, self.covariance_factor);
        mean.iter_mut().zip(x).for_each(|(mean, x)| *mean = f * *mean + (1.0 - f) * x);
        let distance: Vec<f64> = x.iter().zip(mean.iter()).map(|(x, mean)| x - mean).collect();
        for (row, of_row) in covariance.chunks_exact_mut(self.inputs).enumerate() {
            for (column, value) in of_row.iter_mut().enumerate() {
                *value = g * *value + (1.0 - g) * distance[row] * distance[column];
            }
        }
    }

    fn results(&mut self, x: &[f64]) -> Results {
        let (values, mut directions) = symmetric_eigen(&self.state.covariance, self.inputs);
        // A direction has no sign of its own.
        let first = &mut directions[0];
        let largest = first.iter().copied().fold(0.0, |most: f64, x| if x.abs() > most.abs() { x } else { most });
        if largest < 0.0 {
            first.iter_mut().for_each(|x| *x = -*x);
        }
        let total = values.iter().fold(0.0, |sum, value| sum + value.max(0.0));
        let (mut rank, mut held) = (0, 0.0);
        while rank < self.max_rank.min(self.inputs) && (rank == 0 || held < self.share * total) {
            held += values[rank].max(0.0);
            rank += 1;
        }
        let distance: Vec<f64> = x.iter().zip(&self.state.mean).map(|(x, mean)| x - mean).collect();
        let length = dot(&distance, &distance).sqrt();
        let inside = directions[..rank].iter().fold(0.0, |sum, direction| {
            let part = dot(direction, &distance);
            sum + part * part
        });
        let projected = degrees(inside.sqrt(), length);
        let residual = (length * length - inside).max(0.0).sqrt();
        let first = directions.swap_remove(0);
        let angle = |other: &[f64]| if other.is_empty() { 0.0 } else { degrees(dot(&first, other).abs(), 1.0) };
        let (change, absolute) = (angle(&self.state.before), angle(&self.state.first));
        if self.state.first.is_empty() {
            self.state.first = first.clone();
        }
        self.state.before = first.clone();
        let [projected, residual, change, absolute] = [projected, residual, change, absolute].map(Value::Double);
        vec![list(first), projected, residual, Value::Int64(rank as i64), change, absolute, Value::Null]
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// The angle whose cosine is `part / whole`; 0 for nothing.
fn degrees(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { libm::acos((part / whole).clamp(-1.0, 1.0)).to_degrees() }
}

impl Method for Subspace {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let Some(x) = event.numbers(0).filter(|x| x.iter().all(|x| x.is_finite())) else { return };
        self.learn(&x);
        self.state.wait -= 1;
        if self.state.wait == 0 {
            self.state.wait = self.hop;
            let results = self.results(&x);
            out.push(results);
        }
    }

    fn bytes(&self) -> usize {
        let State { mean, covariance, before, first, .. } = &self.state;
        [mean, covariance, before, first].map(|values| size_of_val(values.as_slice())).iter().sum()
    }

    fn save(&self, to: &mut Writer<'_>) {
        let State { mean, covariance, wait, before, first } = &self.state;
        to.put(mean);
        to.put(covariance);
        to.put(wait);
        to.put(before);
        to.put(first);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        let state = State {
            mean: from.get()?,
            covariance: from.get()?,
            wait: from.get()?,
            before: from.get()?,
            first: from.get()?,
        };
        let n = self.inputs;
        let fits = |values: &[f64], length: usize| values.is_empty() || values.len() == length;
        let whole = fits(&state.mean, n)
            && state.covariance.len() == state.mean.len() * n
            && fits(&state.before, n)
            && fits(&state.first, n);
        if !whole || state.wait == 0 || state.wait > self.length {
            return Err(Damage::Broken("the state is not one of so many inputs"));
        }
        self.state = state;
        Ok(())
    }
}
