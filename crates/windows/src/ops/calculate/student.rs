//! Student's t distribution, by the incomplete beta function.

/// Steps of the continued fraction; it is exact to the last digits long before.
const STEPS_MAX: usize = 10_000;
const PRECISION: f64 = 1e-15;
const TINY: f64 = 1e-300;

/// The probability of a value at least as far from 0 as `t`, on either side, with so many degrees of freedom.
pub(crate) fn two_sided(t: f64, freedom: f64) -> f64 {
    if t.is_nan() || freedom.is_nan() || freedom <= 0.0 {
        return f64::NAN;
    }
    if t.is_infinite() {
        return 0.0;
    }
    incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The distance from 0 that is exceeded, on either side, with this probability.
pub(crate) fn quantile(probability: f64, freedom: f64) -> f64 {
    if !(0.0..=1.0).contains(&probability) || freedom.is_nan() || freedom <= 0.0 {
        return f64::NAN;
    }
    if probability == 0.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided(high, freedom) > probability {
        (low, high) = (high, high * 2.0);
        if high == f64::INFINITY {
            return high;
        }
    }
    // Halving ends when there is no double between the two.
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if two_sided(middle, freedom) > probability {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The regularised incomplete beta function of `x` from 0 to 1.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    let front = libm::exp(front);
    // The fraction converges fast below the mean; above it the other tail is worked out.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction of the incomplete beta function, by Lentz's method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let kept = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / kept(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..STEPS_MAX {
        let m = step as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / kept(1.0 + even * d);
        c = kept(1.0 + even / c);
        result *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / kept(1.0 + odd * d);
        c = kept(1.0 + odd / c);
        let change = c * d;
        result *= change;
        if (change - 1.0).abs() < PRECISION {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-10 * want.abs(), "{got}, expected {want}");
    }

    #[test]
    fn closed_forms_agree() {
        let pi = std::f64::consts::PI;
        for t in [0.01, 0.5, 1.0, 3.0, 40.0, 1e6_f64] {
            // One degree of freedom is Cauchy's distribution, two have a closed form too.
            near(two_sided(t, 1.0), 1.0 - 2.0 * libm::atan(t) / pi);
            near(two_sided(t, 2.0), 2.0 / ((2.0 + t * t).sqrt() * ((2.0 + t * t).sqrt() + t)));
        }
        assert_eq!((two_sided(0.0, 5.0), two_sided(f64::INFINITY, 5.0)), (1.0, 0.0));
    }

    #[test]
    fn tables_agree() {
        for (freedom, five_percent, one_percent) in
            [(1.0, 12.706204736, 63.656741162), (10.0, 2.2281388520, 3.1692726726), (120.0, 1.9799304051, 2.6174211365)]
        {
            assert!((quantile(0.05, freedom) - five_percent).abs() < 1e-8, "{freedom}");
            assert!((quantile(0.01, freedom) - one_percent).abs() < 1e-8, "{freedom}");
        }
        for (probability, freedom) in [(0.9, 1.0), (0.05, 19.0), (1e-6, 3.0), (0.5, 1e6)] {
            near(two_sided(quantile(probability, freedom), freedom), probability);
        }
    }
}
