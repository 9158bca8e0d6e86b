//! Histogram: a streaming histogram whose weights fade.

use mesh_event::Value;
use mesh_model::Settings;

use super::event::{Event, list};
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

/// Bins of values: each a centre and a weight.
pub(crate) struct Bins {
    max: usize,
    /// Centres rise.
    bins: Vec<[f64; 2]>,
}

impl Bins {
    pub(crate) fn new(max: usize) -> Bins {
        Bins { max, bins: Vec::new() }
    }

    /// Adds a value with the weight 1; those before it fade by `factor`.
    pub(crate) fn add(&mut self, value: f64, factor: f64) {
        self.bins.iter_mut().for_each(|[_, weight]| *weight *= factor);
        let at = self.bins.partition_point(|[center, _]| *center < value);
        match self.bins.get_mut(at) {
            Some([center, weight]) if *center == value => *weight += 1.0,
            _ => self.bins.insert(at, [value, 1.0]),
        }
        if self.bins.len() > self.max {
            self.merge_nearest();
        }
    }

    /// Of several pairs that are as near the first becomes one.
    fn merge_nearest(&mut self) {
        let gap = |at: usize| self.bins[at + 1][0] - self.bins[at][0];
        let mut nearest = 0;
        for at in 1..self.bins.len() - 1 {
            if gap(at) < gap(nearest) {
                nearest = at;
            }
        }
        let [b, v] = self.bins.remove(nearest + 1);
        let [a, w] = self.bins[nearest];
        // Weights that have faded to nothing leave the centre where it is.
        let weight = w + v;
        let center = if weight > 0.0 { (a * w + b * v) / weight } else { a };
        self.bins[nearest] = [center.clamp(a, b), weight];
    }

    pub(crate) fn clear(&mut self) {
        self.bins.clear();
    }

    /// Smallest and largest centre.
    pub(crate) fn extremes(&self) -> Option<(f64, f64)> {
        Some((self.bins.first()?[0], self.bins.last()?[0]))
    }

    /// Shares of `cells` even cells from `low` to `high`, as if each held half a value more.
    pub(crate) fn shares(&self, cells: usize, (low, high): (f64, f64)) -> Vec<f64> {
        let mut shares = vec![0.5; cells];
        let width = (high - low) / cells as f64;
        for [center, weight] in &self.bins {
            let cell = if width > 0.0 { ((center - low) / width) as usize } else { 0 };
            shares[cell.min(cells - 1)] += weight;
        }
        let total = shares.iter().fold(0.0, |sum, share| sum + share);
        shares.iter().map(|share| share / total).collect()
    }

    /// The value below which a share of the weight lies.
    fn quantile(&self, share: f64) -> f64 {
        let total = self.bins.iter().fold(0.0, |sum, [_, weight]| sum + weight);
        let wanted = share * total;
        let mut below = 0.0;
        let mut before: Option<(f64, f64)> = None;
        for [center, weight] in &self.bins {
            let middle = below + weight / 2.0;
            below += weight;
            if middle >= wanted {
                return match before {
                    Some((left, at)) if middle > at => left + (center - left) * (wanted - at) / (middle - at),
                    _ => *center,
                };
            }
            before = Some((*center, middle));
        }
        before.map_or(f64::NAN, |(center, _)| center)
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.bins.as_slice())
    }

    pub(crate) fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.bins);
    }

    pub(crate) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.bins = from.get()?;
        let rises = self.bins.windows(2).all(|pair| pair[0][0] <= pair[1][0]);
        if self.bins.len() > self.max || !rises {
            return Err(Damage::Broken("a histogram has too many bins, or they do not rise"));
        }
        Ok(())
    }
}

/// The factor on earlier weights: a half after so many steps, or what is given.
pub(crate) fn fading(half_life: usize, alpha: f64) -> f64 {
    if half_life == 0 { alpha } else { libm::pow(0.5, 1.0 / half_life as f64) }
}

pub(crate) struct Histogram {
    bins: Bins,
    factor: f64,
    quantiles: Vec<f64>,
    interval: usize,
    /// Values since the last report.
    since: usize,
}

impl Histogram {
    pub(crate) fn new(settings: &Settings) -> Histogram {
        Histogram {
            bins: Bins::new(settings.count("nBins")),
            factor: fading(settings.count("halfLifeSteps"), settings.real("alpha")),
            quantiles: settings.numbers("quantileList").to_vec(),
            interval: settings.count("reportInterval"),
            since: 0,
        }
    }
}

impl Method for Histogram {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let Some(value) = event.number(0).filter(|value| value.is_finite()) else { return };
        self.bins.add(value, self.factor);
        self.since += 1;
        if self.since < self.interval {
            return;
        }
        self.since = 0;
        let of_bins = |part: usize| list(self.bins.bins.iter().map(|bin| bin[part]).collect());
        let quantiles = self.quantiles.iter().map(|share| self.bins.quantile(*share)).collect();
        out.push(vec![of_bins(0), of_bins(1), list(quantiles), Value::Null]);
    }

    fn bytes(&self) -> usize {
        self.bins.bytes()
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.bins.save(to);
        to.put(&self.since);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.bins.restore(from)?;
        self.since = from.get()?;
        if self.since >= self.interval {
            return Err(Damage::Broken("a report is due and did not come out"));
        }
        Ok(())
    }
}
