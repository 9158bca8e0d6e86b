//! LagMonitor: at which lag one signal follows the other.

use mesh_event::Value;
use mesh_model::Settings;

use super::event::Event;
use super::recent::Recent;
use super::{Method, Results};
use crate::state::{Damage, Reader, Writer};

pub(crate) struct LagMonitor {
    lags: std::ops::RangeInclusive<i64>,
    recent: Recent<2>,
}

impl LagMonitor {
    pub(crate) fn new(settings: &Settings) -> LagMonitor {
        LagMonitor {
            lags: settings.integer("minLag")..=settings.integer("maxLag"),
            recent: Recent::new(settings.count("windowLength")),
        }
    }
}

/// Cross-correlations by lag; none where a signal does not vary, or for a lag without two pairs.
fn cross_correlations(pairs: &[[f64; 2]], lags: std::ops::RangeInclusive<i64>) -> Vec<(i64, f64)> {
    let n = pairs.len();
    let mean = |side: usize| pairs.iter().fold(0.0, |sum, pair| sum + pair[side]) / n as f64;
    let (mx, my) = (mean(0), mean(1));
    let spread = |side: usize, mean: f64| {
        pairs.iter().fold(0.0, |sum, pair| sum + (pair[side] - mean) * (pair[side] - mean)).sqrt()
    };
    let scale = spread(0, mx) * spread(1, my);
    if n < 2 || scale <= 0.0 {
        return Vec::new();
    }
    let of_lag = |lag: i64| {
        let apart = lag.unsigned_abs() as usize;
        if apart + 2 > n {
            return None;
        }
        // The input is looked at `lag` events before the target.
        let (inputs, targets) =
            if lag >= 0 { (&pairs[..n - apart], &pairs[apart..]) } else { (&pairs[apart..], &pairs[..n - apart]) };
        let sum = inputs.iter().zip(targets).fold(0.0, |sum, (x, y)| sum + (x[0] - mx) * (y[1] - my));
        Some((lag, sum / scale))
    };
    lags.filter_map(of_lag).collect()
}

impl Method for LagMonitor {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<Results>) {
        let (Some(x), Some(y)) = (event.number(0), event.number(1)) else { return };
        self.recent.push([x, y]);
        let found = cross_correlations(self.recent.rows(), self.lags.clone());
        // The first of several: a later one must be better.
        let best = |better: fn(f64, f64) -> bool| {
            let best = found.iter().copied().reduce(|best, next| if better(next.1, best.1) { next } else { best });
            best.map_or([Value::Null, Value::Null], |(lag, value)| [Value::Double(value), Value::Int64(lag)])
        };
        let [abs, abs_lag] = best(|new, best| new.abs() > best.abs());
        let abs = if let Value::Double(value) = abs { Value::Double(value.abs()) } else { abs };
        let [max, max_lag] = best(|new, best| new > best);
        let [min, min_lag] = best(|new, best| new < best);
        let count = Value::Int64(found.len() as i64);
        out.push(vec![abs, abs_lag, max, max_lag, min, min_lag, count, Value::Null]);
    }

    fn bytes(&self) -> usize {
        self.recent.bytes()
    }

    fn save(&self, to: &mut Writer<'_>) {
        self.recent.save(to);
    }

    fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), Damage> {
        self.recent.restore(from)
    }
}
