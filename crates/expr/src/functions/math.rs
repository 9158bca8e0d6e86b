//! Numbers: `abs ceil floor round min max pow`.

use super::{Form, Function, Kernel, MAX_ARGS, Param};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "abs",
        usage: "abs(number)",
        form: Form::Number {
            integer: Kernel::Integer1(i64::checked_abs),
            real: Kernel::Real1(f64::abs),
            at_least: 1,
            at_most: 1,
        },
    },
    Function {
        name: "min",
        usage: "min(number, number, ...)",
        form: Form::Number {
            integer: Kernel::Integer2(|a, b| a.min(b)),
            real: Kernel::Real2(f64::min),
            at_least: 1,
            at_most: MAX_ARGS,
        },
    },
    Function {
        name: "max",
        usage: "max(number, number, ...)",
        form: Form::Number {
            integer: Kernel::Integer2(|a, b| a.max(b)),
            real: Kernel::Real2(f64::max),
            at_least: 1,
            at_most: MAX_ARGS,
        },
    },
    Function { name: "ceil", usage: "ceil(number)", form: one(f64::ceil) },
    Function { name: "floor", usage: "floor(number)", form: one(f64::floor) },
    Function {
        name: "round",
        usage: "round(number [, decimals])",
        form: Form::Fixed {
            kernel: Kernel::RealInteger(round),
            params: &[Param::Real, Param::Integer],
            required: 1,
            defaults: &[0],
        },
    },
    Function {
        name: "pow",
        usage: "pow(base, exponent)",
        form: Form::Fixed {
            kernel: Kernel::Real2(f64::powf),
            params: &[Param::Real, Param::Real],
            required: 2,
            defaults: &[],
        },
    },
];

const fn one(kernel: fn(f64) -> f64) -> Form {
    Form::Fixed { kernel: Kernel::Real1(kernel), params: &[Param::Real], required: 1, defaults: &[] }
}

/// Half away from zero; negative decimals round left of the point.
pub(crate) fn round(value: f64, decimals: i64) -> f64 {
    if !value.is_finite() || decimals > 300 {
        return value;
    }
    if decimals < -308 {
        return 0.0;
    }
    let power = 10_f64.powi(decimals.unsigned_abs() as i32);
    let rounded = if decimals >= 0 { (value * power).round() / power } else { (value / power).round() * power };
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn rounding() {
        assert_eq!(round(2.5, 0), 3.0);
        assert_eq!(round(-2.5, 0), -3.0);
        assert_eq!(round(1.005, 1), 1.0);
        assert_eq!(round(1234.0, -2), 1200.0);
        assert_eq!(round(1e300, 20), 1e300);
        assert_eq!(round(7.0, -400), 0.0);
    }
}
