//! DistributionFitting: the most likely distribution of a window of values.

use mesh_event::Value;
use mesh_model::Settings;

use super::event::Event;
use super::recent::Frames;
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

/// A search ends when a step is this small a part of the value.
const PRECISION: f64 = 1e-12;

#[derive(Debug, Clone, Copy)]
enum Distribution {
    Weibull,
    Gamma,
    Normal,
}

/// beta, alpha, mu (NaN where the distribution has none), and whether the search came to its end.
type Fit = (f64, f64, f64, bool);

pub(crate) struct Fitting {
    frames: Frames,
    steps: usize,
    distribution: Distribution,
}

impl Fitting {
    pub(crate) fn new(settings: &Settings) -> Fitting {
        Fitting {
            frames: Frames::new(settings.count("windowLength"), settings.count("overlap")),
            steps: settings.count("maxIter"),
            distribution: match settings.text("distribution") {
                "Gamma" => Distribution::Gamma,
                "Normal" => Distribution::Normal,
                _ => Distribution::Weibull,
            },
        }
    }

    fn fit(&self, values: &[f64]) -> Fit {
        match self.distribution {
            Distribution::Normal => {
                let mean = mean(values.iter().copied());
                let variance = self::mean(values.iter().map(|x| (x - mean) * (x - mean)));
                (variance.sqrt(), f64::NAN, mean, true)
            }
            Distribution::Weibull => self.weibull(values),
            Distribution::Gamma => self.gamma(values),
        }
    }

    fn weibull(&self, values: &[f64]) -> Fit {
        let logs: Vec<f64> = values.iter().filter(|x| **x > 0.0).map(|x| libm::log(*x)).collect();
        let center = mean(logs.iter().copied());
        // Values are divided by their geometric mean: powers of them stay in range.
        let logs: Vec<f64> = logs.iter().map(|log| log - center).collect();
        let spread = mean(logs.iter().map(|log| log * log)).sqrt();
        if logs.len() < 2 || spread <= 0.0 {
            return NOTHING;
        }
        // The root of mean(x^k log x) / mean(x^k) - 1 / k, which rises with k.
        let moments = |k: f64| {
            logs.iter().fold([0.0; 3], |[a, b, c], log| {
                let power = libm::exp(k * log);
                [a + power, b + power * log, c + power * log * log]
            })
        };
        let step = |k: f64| {
            let [a, b, c] = moments(k);
            let slope = c / a - (b / a) * (b / a) + 1.0 / (k * k);
            (b / a - 1.0 / k) / slope
        };
        let (k, found) = self.newton(1.2 / spread, step);
        let scale = libm::pow(moments(k)[0] / logs.len() as f64, 1.0 / k) * libm::exp(center);
        (k, scale, 0.0, found)
    }

    fn gamma(&self, values: &[f64]) -> Fit {
        let values: Vec<f64> = values.iter().copied().filter(|x| *x > 0.0).collect();
        let mean_value = mean(values.iter().copied());
        let s = libm::log(mean_value) - mean(values.iter().map(|x| libm::log(*x)));
        if values.len() < 2 || s.is_nan() || s <= 0.0 {
            return NOTHING;
        }
        let start = (3.0 - s + ((s - 3.0) * (s - 3.0) + 24.0 * s).sqrt()) / (12.0 * s);
        let step = |k: f64| (libm::log(k) - digamma(k) - s) / (1.0 / k - trigamma(k));
        let (k, found) = self.newton(start, step);
        (mean_value / k, k, 0.0, found)
    }

    /// The root of a function of a positive number: `step` gives the function over its slope.
    fn newton(&self, start: f64, step: impl Fn(f64) -> f64) -> (f64, bool) {
        let mut k = start;
        for _ in 0..self.steps {
            let change = step(k);
            if change.is_nan() {
                return (f64::NAN, false);
            }
            // A step that would leave the positive numbers goes half the way to 0.
            let next = if change < k { k - change } else { k / 2.0 };
            let done = (next - k).abs() <= PRECISION * k;
            k = next;
            if done {
                return (k, true);
            }
        }
        (k, false)
    }
}

/// Of values that allow no fit.
const NOTHING: Fit = (f64::NAN, f64::NAN, f64::NAN, false);

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.fold(0.0, |sum, value| sum + value) / n
}

/// Derivative of log gamma: the recurrence up to 10, then the asymptotic series.
fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = y * (1.0 / 12.0 - y * (1.0 / 120.0 - y * (1.0 / 252.0 - y * (1.0 / 240.0 - y * (1.0 / 132.0)))));
    sum + libm::log(x) - 0.5 / x - series
}

/// Derivative of [`digamma`].
fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 10.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = y * (1.0 / 6.0 - y * (1.0 / 30.0 - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * (5.0 / 66.0)))));
    sum + 1.0 / x + 0.5 * y + series / x
}

impl Method for Fitting {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let value = event.number(0).filter(|value| value.is_finite());
        let Some(frame) = value.and_then(|value| self.frames.push(value)) else { return };
        let (beta, alpha, mu, found) = self.fit(&frame);
        let [beta, alpha, mu] = [beta, alpha, mu].map(Value::Double);
        out.push(vec![beta, alpha, mu, Value::Int64(found.into()), Value::Null]);
    }

    fn bytes(&self) -> usize {
        self.frames.bytes()
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.frames.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.frames.restore(from)
    }
}
