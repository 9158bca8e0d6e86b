//! Correlation of pairs, and of segments of a signal.

use mesh_event::Value;
use mesh_model::Settings;

use super::event::Event;
use super::recent::Recent;
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

/// Product-moment correlation; NaN for fewer than two pairs, or where a side does not vary.
pub(crate) fn correlation(pairs: &[[f64; 2]]) -> f64 {
    let n = pairs.len() as f64;
    let [sx, sy] = pairs.iter().fold([0.0, 0.0], |[sx, sy], [x, y]| [sx + x, sy + y]);
    let (mx, my) = (sx / n, sy / n);
    let [xx, yy, xy] = pairs.iter().fold([0.0; 3], |[xx, yy, xy], [x, y]| {
        let (dx, dy) = (x - mx, y - my);
        [xx + dx * dx, yy + dy * dy, xy + dx * dy]
    });
    of_moments(pairs.len() as f64, xx, yy, xy)
}

fn of_moments(n: f64, xx: f64, yy: f64, xy: f64) -> f64 {
    if n < 2.0 || xx <= 0.0 || yy <= 0.0 { f64::NAN } else { (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0) }
}

/// Correlation of the pairs of the last events, or of all.
pub(crate) enum Correlation {
    Window(Recent<2>),
    /// Number of pairs, means, sums of squared distances from them and of their products, by Welford's recurrence.
    All([f64; 6]),
}

impl Correlation {
    pub(crate) fn new(settings: &Settings) -> Correlation {
        match settings.count("windowLength") {
            0 => Correlation::All([0.0; 6]),
            length => Correlation::Window(Recent::new(length)),
        }
    }
}

impl Method for Correlation {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let pair = [event.number(0), event.number(1)].map(|side| side.unwrap_or(f64::NAN));
        let missing = pair.iter().any(|side| side.is_nan());
        let value = match self {
            Correlation::Window(recent) => {
                // A pair with a missing side takes its place in the window.
                recent.push(pair);
                let there = |[x, y]: &&[f64; 2]| !x.is_nan() && !y.is_nan();
                let pairs: Vec<[f64; 2]> = recent.rows().iter().filter(there).copied().collect();
                correlation(&pairs)
            }
            Correlation::All(sums) => {
                let [n, mx, my, xx, yy, xy] = sums;
                if !missing {
                    *n += 1.0;
                    let (dx, dy) = (pair[0] - *mx, pair[1] - *my);
                    *mx += dx / *n;
                    *my += dy / *n;
                    *xx += dx * (pair[0] - *mx);
                    *yy += dy * (pair[1] - *my);
                    *xy += dx * (pair[1] - *my);
                }
                of_moments(*n, *xx, *yy, *xy)
            }
        };
        out.push(vec![Value::Double(value)]);
    }

    fn bytes(&self) -> usize {
        match self {
            Correlation::Window(recent) => recent.bytes(),
            Correlation::All(_) => 0,
        }
    }

    fn save(&self, to: &mut Writer<'_>) {
        match self {
            Correlation::Window(recent) => recent.save(to),
            Correlation::All(sums) => to.put(sums),
        }
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        match self {
            Correlation::Window(recent) => recent.restore(from),
            Correlation::All(sums) => {
                *sums = from.get()?;
                Ok(())
            }
        }
    }
}

/// Correlation of a segment with the one before it.
pub(crate) struct Segmented {
    points: usize,
    min: usize,
    max: usize,
    /// Values of the segment under way: at most one more than `max`. `None` before the first indicator.
    current: Option<Vec<f64>>,
    /// The points of the last segment; none or `points`.
    before: Vec<f64>,
    result: f64,
}

impl Segmented {
    pub(crate) fn new(settings: &Settings) -> Segmented {
        Segmented {
            points: settings.count("sampleSize"),
            min: settings.count("minSize"),
            max: settings.count("maxSize"),
            current: None,
            before: Vec::new(),
            result: f64::NAN,
        }
    }

    /// The values at `points` places that lie evenly from the first to the last.
    fn drawn(&self, values: &[f64]) -> Vec<f64> {
        let last = values.len() - 1;
        let point = |i: usize| {
            let at = i as f64 * last as f64 / (self.points - 1) as f64;
            let left = (at as usize).min(last);
            let right = (left + 1).min(last);
            values[left] + (values[right] - values[left]) * (at - left as f64)
        };
        (0..self.points).map(point).collect()
    }

    fn end_segment(&mut self) {
        let Some(values) = self.current.take() else { return };
        if values.len() < self.min || values.len() > self.max {
            return;
        }
        let drawn = self.drawn(&values);
        if !self.before.is_empty() {
            let pairs: Vec<[f64; 2]> = self.before.iter().zip(&drawn).map(|(x, y)| [*x, *y]).collect();
            self.result = correlation(&pairs);
        }
        self.before = drawn;
    }
}

impl Method for Segmented {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        if event.number(1).is_some_and(|indicator| indicator != 0.0) {
            self.end_segment();
            self.current = Some(Vec::new());
        }
        if let (Some(x), Some(values)) = (event.number(0), &mut self.current)
            && values.len() <= self.max
        {
            values.push(x);
        }
        out.push(vec![Value::Double(self.result)]);
    }

    fn bytes(&self) -> usize {
        size_of_val(self.before.as_slice()) + self.current.as_ref().map_or(0, |values| size_of_val(values.as_slice()))
    }

    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.current);
        to.put(&self.before);
        to.put(&self.result);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.current = from.get()?;
        self.before = from.get()?;
        self.result = from.get()?;
        if !self.before.is_empty() && self.before.len() != self.points {
            return Err(Damage::Broken("a segment has another number of points"));
        }
        Ok(())
    }
}
