//! Linear regression from fading means and covariances.

use mesh_event::Value;
use mesh_model::Settings;

use super::equations::solve;
use super::{Learner, Model, Sample, linear};
use crate::state::{Damage, Reader, Writer};

pub(crate) struct Regression {
    inputs: usize,
    damping: f64,
    intercept: bool,
    weight: f64,
    /// Of the inputs and the response.
    mean: Vec<f64>,
    /// Sums of the products of distances from the means, row by row.
    products: Vec<f64>,
}

impl Regression {
    pub(crate) fn new(settings: &Settings, inputs: usize) -> Regression {
        Regression {
            inputs,
            damping: settings.real("dampingFactor"),
            intercept: settings.flag("centerFlag"),
            weight: 0.0,
            mean: vec![0.0; inputs + 1],
            products: vec![0.0; (inputs + 1) * (inputs + 1)],
        }
    }

    fn add(&mut self, samples: &[Sample]) {
        let n = self.inputs + 1;
        for x in samples {
            self.weight += 1.0;
            let before: Vec<f64> = x.iter().zip(&self.mean).map(|(x, mean)| x - mean).collect();
            self.mean.iter_mut().zip(&before).for_each(|(mean, before)| *mean += before / self.weight);
            let after: Vec<f64> = x.iter().zip(&self.mean).map(|(x, mean)| x - mean).collect();
            for (products, before) in self.products.chunks_exact_mut(n).zip(&before) {
                products.iter_mut().zip(&after).for_each(|(product, after)| *product += before * after);
            }
        }
    }
}

impl Learner for Regression {
    fn start(&mut self, samples: &[Sample]) {
        self.add(samples);
    }

    fn learn(&mut self, samples: &[Sample]) {
        let damping = self.damping;
        self.weight *= damping;
        self.products.iter_mut().for_each(|product| *product *= damping);
        self.add(samples);
    }

    fn model(&self) -> Model {
        let (d, n) = (self.inputs, self.inputs + 1);
        // Without an intercept the products are those of distances from 0.
        let offset = |row: usize, column: usize| {
            if self.intercept { 0.0 } else { self.weight * self.mean[row] * self.mean[column] }
        };
        let product = |row: usize, column: usize| {
            // Both triangles are one, but for rounding.
            (self.products[row * n + column] + self.products[column * n + row]) / 2.0 + offset(row, column)
        };
        let matrix: Vec<f64> = (0..d * d).map(|at| product(at / d, at % d)).collect();
        let right: Vec<f64> = (0..d).map(|row| product(row, d)).collect();
        let coefficients = solve(&matrix, &right);
        let intercept = match self.intercept {
            true => coefficients.iter().zip(&self.mean).fold(self.mean[d], |sum, (b, mean)| sum - b * mean),
            false => 0.0,
        };
        Model { shape: vec![d as i64], numbers: [intercept].into_iter().chain(coefficients).collect() }
    }

    fn numbers(&self) -> usize {
        self.products.len() + self.mean.len() + 1
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.weight);
        to.put(&self.mean);
        to.put(&self.products);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.weight = from.get()?;
        self.mean = from.get()?;
        self.products = from.get()?;
        let n = self.inputs + 1;
        if self.mean.len() != n || self.products.len() != n * n {
            return Err(Damage::Broken("the moments are not those of so many inputs"));
        }
        Ok(())
    }
}

pub(crate) fn score(model: &Model, x: &[f64]) -> Vec<Value> {
    vec![Value::Double(linear(&model.numbers, x))]
}
