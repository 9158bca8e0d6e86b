//! Doubles as `printf` writes them: `%.6f`, and the small ones like `%g`.

use std::io::Write as _;

const DECIMALS: usize = 6;
const SCALE: u64 = 1_000_000;

/// Appends a double with six decimals; one below a millionth, but not zero, like `8.3e-07`.
///
/// The last digit is exact: a half is rounded to even, as C libraries and the standard library do.
pub fn push_double(value: f64, out: &mut Vec<u8>) {
    let magnitude = value.abs();
    if value.is_nan() {
        out.extend_from_slice(b"nan");
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if magnitude.is_infinite() {
        out.extend_from_slice(b"inf");
    } else if magnitude != 0.0 && magnitude < 1e-6 {
        push_small(magnitude, out);
    } else if let Some(scaled) = scaled(magnitude) {
        push_scaled(scaled, out);
    } else {
        write!(out, "{magnitude:.DECIMALS$}").expect("a vector takes all that is written");
    }
}

/// The value in millionths, rounded; `None` when that is not below 2^64.
#[inline]
fn scaled(magnitude: f64) -> Option<u64> {
    let bits = magnitude.to_bits();
    let exponent = (bits >> 52) as i32 - 1075;
    if exponent >= -32 {
        // 2^21 or more, so a multiple of 2^-32: whole part and rest separately would do, but such values are rare
        if magnitude >= 1e12 {
            return None;
        }
    } else if exponent < -126 {
        // zero; all other values this small are written like %g
        return (magnitude == 0.0).then_some(0);
    }
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    let product = u128::from(mantissa) * u128::from(SCALE);
    if exponent >= 0 {
        return u64::try_from(product << exponent.min(50)).ok();
    }
    let shift = (-exponent) as u32;
    let whole = (product >> shift) as u64;
    let rest = product & ((1 << shift) - 1);
    let half = 1_u128 << (shift - 1);
    Some(whole + u64::from(rest > half || rest == half && whole & 1 == 1))
}

/// Two digits for each number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + i as u8 / 10, b'0' + i as u8 % 10];
        i += 1;
    }
    pairs
};

#[inline]
fn push_scaled(scaled: u64, out: &mut Vec<u8>) {
    push_unsigned(scaled / SCALE, out);
    let rest = (scaled % SCALE) as usize;
    let [a, b] = PAIRS[rest / 10_000];
    let [c, d] = PAIRS[rest / 100 % 100];
    let [e, f] = PAIRS[rest % 100];
    out.extend_from_slice(&[b'.', a, b, c, d, e, f]);
}

/// Appends a number without sign.
#[inline]
pub(super) fn push_unsigned(mut value: u64, out: &mut Vec<u8>) {
    let mut buffer = [0; 20];
    let mut at = buffer.len();
    while value >= 100 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        at -= 1;
        buffer[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&buffer[at..]);
}

/// Appends an integer.
#[inline]
pub(super) fn push_integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    push_unsigned(value.unsigned_abs(), out);
}

/// `%g` of a value below a millionth: six significant digits without trailing zeros, at least two exponent digits.
#[cold]
fn push_small(magnitude: f64, out: &mut Vec<u8>) {
    let text = format!("{magnitude:.5e}");
    let (digits, exponent) = text.split_once("e-").expect("a value below one has a negative exponent");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    write!(out, "{digits}e-{exponent:0>2}").expect("a vector takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(value: f64) -> String {
        let mut out = Vec::new();
        push_double(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_texts() {
        for (value, text) in [
            (0.0, "0.000000"),
            (-0.0, "-0.000000"),
            (1.5, "1.500000"),
            (-39.02, "-39.020000"),
            (8.3e-7, "8.3e-07"),
            (-8.3e-7, "-8.3e-07"),
            (1.234_567_89e-7, "1.23457e-07"),
            (9.999_999_9e-7, "1e-06"),
            (1e-6, "0.000001"),
            (1e-100, "1e-100"),
            (5e-324, "4.94066e-324"),
            (0.007_812_5, "0.007812"),
            (0.023_437_5, "0.023438"),
            (0.999_999_5, "1.000000"),
            (2_251_799_813_685_249.5, "2251799813685249.500000"),
            (1e15, "1000000000000000.000000"),
            (1e22, "10000000000000000000000.000000"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(shown(value), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_double_as_the_standard_library(sign in 0..2_u64, exponent in 1003..2047_u64, mantissa in 0..1_u64 << 52) {
            let value = f64::from_bits(sign << 63 | exponent << 52 | mantissa);
            prop_assume!(value.abs() >= 1e-6);
            prop_assert_eq!(shown(value), format!("{value:.6}"));
        }

        #[test]
        fn usual_doubles_as_the_standard_library(value in prop_oneof![-1e6..1e6, -1.0..1.0, 1e-6..1e-5, 1e11..1e14]) {
            prop_assert_eq!(shown(value), format!("{value:.6}"));
        }

        #[test]
        fn halves_of_a_millionth(whole: u32, shift in 7_u32..30) {
            let value = f64::from(whole) / f64::from(1_u32 << shift);
            prop_assume!(value == 0.0 || value >= 1e-6);
            prop_assert_eq!(shown(value), format!("{value:.6}"));
        }
    }
}
