//! Sums that can be taken back: to about twice the digits of a double, so that what was added and taken away again
//! leaves nothing behind.

use crate::state::{Damage, Reader, State, Writer};

/// A sum of doubles. Infinite values and NaN are counted, not added: they too can be taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sum {
    high: f64,
    low: f64,
    nan: u64,
    positive: u64,
    negative: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        match self.special(value) {
            Some(count) => *count += 1,
            None => self.add_finite(value),
        }
    }

    pub(crate) fn take(&mut self, value: f64) {
        match self.special(value) {
            Some(count) => *count = count.saturating_sub(1),
            None => self.add_finite(-value),
        }
    }

    /// A value joins a sum of `n` values or leaves it; a sum of nothing is nothing, to the bit.
    #[inline]
    pub(crate) fn count(&mut self, n: &mut u64, value: f64, adds: bool) {
        if adds {
            self.add(value);
            *n += 1;
        } else {
            self.take(value);
            *n = n.saturating_sub(1);
            if *n == 0 {
                *self = Sum::default();
            }
        }
    }

    /// Adds the square of a value, without rounding it first.
    pub(crate) fn add_square(&mut self, value: f64, sign: f64) {
        let square = value * value;
        match self.special(square) {
            Some(count) if sign > 0.0 => *count += 1,
            Some(count) => *count = count.saturating_sub(1),
            None => {
                self.add_finite(sign * square);
                self.add_finite(sign * value.mul_add(value, -square));
            }
        }
    }

    fn special(&mut self, value: f64) -> Option<&mut u64> {
        if value.is_nan() {
            Some(&mut self.nan)
        } else if value == f64::INFINITY {
            Some(&mut self.positive)
        } else if value == f64::NEG_INFINITY {
            Some(&mut self.negative)
        } else {
            None
        }
    }

    fn add_finite(&mut self, value: f64) {
        let (sum, error) = two_sum(self.high, value);
        (self.high, self.low) = two_sum(sum, error + self.low);
    }

    pub(crate) fn value(&self) -> f64 {
        match (self.nan, self.positive, self.negative) {
            (0, 0, 0) => self.high,
            (0, _, 0) => f64::INFINITY,
            (0, 0, _) => f64::NEG_INFINITY,
            _ => f64::NAN,
        }
    }

    /// The sum of squared distances from the mean, of `n` values whose sum is `sum`; `self` is the sum of squares.
    pub(crate) fn css(&self, sum: &Sum, n: f64) -> f64 {
        if self.value().is_finite() && sum.value().is_finite() {
            // (high + low)^2 = high^2 + 2 high low + low^2
            let square = sum.high * sum.high;
            let rest = sum.high.mul_add(sum.high, -square) + 2.0 * sum.high * sum.low;
            let quotient = square / n;
            let quotient_rest = (-quotient).mul_add(n, square) / n + rest / n;
            let (difference, error) = two_sum(self.high, -quotient);
            (difference + (error + self.low - quotient_rest)).max(0.0)
        } else {
            f64::NAN
        }
    }
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

impl State for Sum {
    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(self.high, self.low));
        to.put(&(self.nan, self.positive, self.negative));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let (high, low) = from.get()?;
        let (nan, positive, negative) = from.get()?;
        Ok(Sum { high, low, nan, positive, negative })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_leaves_nothing() {
        let mut sum = Sum::default();
        sum.add(0.1);
        for value in [1e16, -3.7, 1e-9, f64::INFINITY, f64::NAN] {
            sum.add(value);
        }
        assert!(sum.value().is_nan());
        for value in [f64::NAN, f64::INFINITY, 1e16, 1e-9, -3.7] {
            sum.take(value);
        }
        assert_eq!(sum.value(), 0.1);
    }

    #[test]
    fn distances_survive_a_large_mean() {
        let (mut sum, mut squares) = (Sum::default(), Sum::default());
        for value in [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0] {
            sum.add(value);
            squares.add_square(value, 1.0);
        }
        assert_eq!(squares.css(&sum, 3.0), 2.0);
    }
}
