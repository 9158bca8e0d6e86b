//! Numbers. Whole numbers stay whole; texts that are numbers count as such.

use super::{Call, Entry, MANY, entry, integer, number, real};
use crate::functions::round;
use crate::node::Arithmetic;
use crate::scalar::{Outcome, Scalar, integers, reals};

const fn math(
    name: &'static str,
    usage: &'static str,
    count: (usize, usize),
    code: fn(&mut Call<'_>, &[Scalar<'_>]) -> Outcome<'static>,
) -> Entry {
    entry("math", (name, usage), count, code)
}

pub(super) const FUNCTIONS: &[Entry] = &[
    math("abs", "abs(number)", (1, 1), |_, args| match number(&args[0])? {
        Scalar::Integer(value) => Ok(Scalar::Integer(value.checked_abs().ok_or(crate::scalar::OVERFLOW)?)),
        value => Ok(Scalar::Real(value.real().abs())),
    }),
    math("ceiling", "ceiling(number)", (1, 1), |_, args| whole(real(&args[0])?.ceil())),
    math("floor", "floor(number)", (1, 1), |_, args| whole(real(&args[0])?.floor())),
    math("round", "round(number [, decimals])", (1, 2), |_, args| match args.get(1) {
        Some(decimals) => Ok(Scalar::Real(round(real(&args[0])?, integer(decimals)?))),
        None => whole(real(&args[0])?.round()),
    })
    .note("half away from zero"),
    math("precision", "precision(number, decimals)", (2, 2), |_, args| {
        let decimals = integer(&args[1])?.clamp(0, 300) as usize;
        Ok(Scalar::text(format!("{:.decimals$}", round(real(&args[0])?, decimals as i64))))
    })
    .note("a text with so many decimals; half away from zero"),
    math("integer", "integer(value)", (1, 1), |_, args| Ok(Scalar::Integer(integer(&args[0])?)))
        .note("cuts the fraction off"),
    math("long", "long(value)", (1, 1), |_, args| Ok(Scalar::Integer(integer(&args[0])?)))
        .note("cuts the fraction off"),
    math("number", "number(value)", (1, 1), |_, args| number(&args[0])),
    math("neg", "neg(number)", (1, 1), |_, args| combine(Arithmetic::Subtract, &Scalar::Integer(0), &args[0])),
    math("sum", "sum(number, ...)", (1, MANY), |_, args| fold(Arithmetic::Add, args)),
    math("diff", "diff(number, number, ...)", (1, MANY), |_, args| fold(Arithmetic::Subtract, args)),
    math("product", "product(number, ...)", (1, MANY), |_, args| fold(Arithmetic::Multiply, args)),
    math("quotient", "quotient(number, number, ...)", (2, MANY), |_, args| {
        let first = Scalar::Real(real(&args[0])?);
        args[1..]
            .iter()
            .try_fold(first, |left, right| Ok(Scalar::Real(reals(Arithmetic::Divide, left.real(), real(right)?)?)))
    })
    .note("real division; null and an error for a divisor 0"),
    math("mod", "mod(number, number)", (2, 2), |_, args| combine(Arithmetic::Remainder, &args[0], &args[1]))
        .note("the sign of the first argument"),
    math("mean", "mean(number, ...)", (1, MANY), |_, args| {
        let sum = args.iter().try_fold(0.0, |sum, arg| Ok::<f64, &'static str>(sum + real(arg)?))?;
        Ok(Scalar::Real(sum / args.len() as f64))
    }),
    math("max", "max(number, ...)", (1, MANY), |_, args| extreme(args, true)),
    math("min", "min(number, ...)", (1, MANY), |_, args| extreme(args, false)),
    math("interval", "interval(number, limit, value, limit, value, ..., otherwise)", (3, MANY), |_, args| {
        let value = real(&args[0])?;
        for pair in args[1..].chunks(2) {
            match pair {
                [limit, result] if value < real(limit)? => return Ok(result.clone().into_owned()),
                [otherwise] => return Ok(otherwise.clone().into_owned()),
                _ => {}
            }
        }
        Ok(Scalar::Null)
    })
    .note("the value of the first limit that the number is below"),
    math("random", "random([low, high])", (0, 2), |call, args| {
        let (low, high) = match args {
            [low, high] => (real(low)?, real(high)?),
            [high] => (0.0, real(high)?),
            _ => (0.0, 1.0),
        };
        Ok(Scalar::Real(low + call.state.draw_real() * (high - low)))
    })
    .note("a real number from low up to high; the sequence is seeded by project and window and equal on every replica"),
];

/// A real number without fraction as an integer, where it fits.
fn whole(value: f64) -> Outcome<'static> {
    Ok(crate::convert::real_to_integer(value).map_or(Scalar::Real(value), Scalar::Integer))
}

fn fold(op: Arithmetic, args: &[Scalar<'_>]) -> Outcome<'static> {
    let first = number(&args[0])?;
    args[1..].iter().try_fold(first, |left, right| combine(op, &left, right))
}

/// Whole numbers stay whole until they overflow.
fn combine(op: Arithmetic, left: &Scalar<'_>, right: &Scalar<'_>) -> Outcome<'static> {
    if let (Scalar::Integer(a), Scalar::Integer(b)) = (number(left)?, number(right)?) {
        match integers(op, a, b) {
            Err(crate::scalar::OVERFLOW) => {}
            done => return done.map(Scalar::Integer),
        }
    }
    reals(op, real(left)?, real(right)?).map(Scalar::Real)
}

fn extreme(args: &[Scalar<'_>], greatest: bool) -> Outcome<'static> {
    let mut best = number(&args[0])?;
    for arg in &args[1..] {
        let value = number(arg)?;
        let order = super::compared(&value, &best);
        if order == Some(if greatest { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less }) {
            best = value;
        }
    }
    Ok(best)
}
