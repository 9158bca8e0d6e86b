//! Digits eight at a time: numbers in their usual form straight from the line. What is unusual is left to `field`.

/// Powers of ten that a double holds exactly, as far as they are used.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

const INT_POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Negative powers of ten in two parts: the first 29 bits, and the rest.
const INVERSES: [(f64, f64); 8] = {
    let mut table = [(1.0, 0.0); 8];
    let mut n = 1;
    while n < table.len() {
        let high = f64::from_bits((1.0 / POWERS[n]).to_bits() & !((1 << 24) - 1));
        // product and difference are exact
        table[n] = (high, (1.0 - high * POWERS[n]) / POWERS[n]);
        n += 1;
    }
    table
};

#[inline]
fn load(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The top bit of each byte that is no digit, for bytes of ASCII with [`ZEROS`] taken away; behind another byte that is
/// not ASCII, bits may be wrong.
#[inline]
fn other_bytes(digits: u64) -> u64 {
    (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080
}

/// The value of eight digits, the first in the lowest byte: pairs, then fours, then all.
#[inline]
fn eight_digits(digits: u64) -> u64 {
    const MASK: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & MASK).wrapping_mul(100 + (1_000_000 << 32));
    let high = (pairs >> 16 & MASK).wrapping_mul(1 + (10_000 << 32));
    low.wrapping_add(high) >> 32
}

/// Digits at the start of eight bytes: their number and value.
#[inline]
fn leading_digits(word: u64) -> (usize, u64) {
    let digits = word ^ ZEROS;
    let count = other_bytes(digits).trailing_zeros() as usize / 8;
    // zeros in front of the digits; nothing at all if there are none
    (count, if count == 0 { 0 } else { eight_digits(digits << (64 - 8 * count)) })
}

/// A number of at most seven characters, sign not included, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short {
    /// All digits as one number.
    pub digits: u32,
    /// How many of them stand behind the point.
    pub decimals: usize,
    /// A minus stands in front.
    pub negative: bool,
    /// The byte behind the number.
    pub follow: u8,
    /// The position of that byte.
    pub end: usize,
}

/// Reads a short number with or without a point: everything from one load of eight bytes.
#[inline]
pub(super) fn short(bytes: &[u8], at: usize) -> Option<Short> {
    let mut at = at;
    let mut word = load(bytes, at)?;
    let negative = word as u8 == b'-';
    if negative {
        at += 1;
        word = load(bytes, at)?;
    }
    let digits = word ^ ZEROS;
    let others = other_bytes(digits);
    // in bits; 0 when there is no digit, 64 when there are only digits
    let whole = others.trailing_zeros() & !7;
    if whole == 0 || whole == 64 {
        return None;
    }
    let follow = (word >> whole) as u8;
    if follow != b'.' {
        let digits = eight_digits(digits << (64 - whole)) as u32;
        return Some(Short { digits, decimals: 0, negative, follow, end: at + whole as usize / 8 });
    }
    let all = (others & (others - 1)).trailing_zeros() & !7;
    if all == 64 {
        return None;
    }
    // the point goes, the decimals move up to the digits in front of it
    let front = (1 << whole) - 1;
    let joined = digits & front | digits >> 8 & !front;
    Some(Short {
        digits: eight_digits(joined << (72 - all)) as u32,
        decimals: (all - whole) as usize / 8 - 1,
        negative,
        follow: (word >> all) as u8,
        end: at + all as usize / 8,
    })
}

impl Short {
    /// The number as a double, correctly rounded, without a division: that would be the slowest step of a field.
    ///
    /// The product with the high part is exact (24 and 29 bits), so what is added up is wrong by less than 2^-80 of the
    /// value; no number of seven digits is nearer than 2^-74 to the middle between two doubles.
    #[inline]
    pub(super) fn double(self) -> f64 {
        let digits = f64::from(self.digits as i32);
        let (high, low) = INVERSES[self.decimals & 7];
        let value = digits * high + digits * low;
        if self.negative { -value } else { value }
    }

    /// The number as an integer; `None` when it has a point.
    #[inline]
    pub(super) fn integer(self) -> Option<i32> {
        let value = self.digits as i32;
        if self.decimals == 0 { Some(if self.negative { -value } else { value }) } else { None }
    }
}

/// An integer of 1 to 15 digits at `at`: its value and the position behind it.
#[inline]
pub(super) fn integer(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let negative = *bytes.get(at)? == b'-';
    let mut at = at + usize::from(negative);
    let (count, mut value) = leading_digits(load(bytes, at)?);
    if count == 0 {
        return None;
    }
    at += count;
    if count == 8 {
        let (more, low) = leading_digits(load(bytes, at)?);
        if more == 8 {
            return None;
        }
        value = value * INT_POWERS[more] + low;
        at += more;
    }
    let value = value as i64;
    Some((if negative { -value } else { value }, at))
}

/// A double of at most 7 digits, or a point and at most 15 digits more: its value and the position behind it.
#[inline]
pub(super) fn double(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let negative = *bytes.get(at)? == b'-';
    let mut at = at + usize::from(negative);
    let (count, mut digits) = leading_digits(load(bytes, at)?);
    if count == 0 || count == 8 {
        return None;
    }
    at += count;
    let mut decimals = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        let (count, fraction) = leading_digits(load(bytes, at)?);
        digits = digits * INT_POWERS[count] + fraction;
        decimals = count;
        at += count;
        if count == 8 {
            let (more, fraction) = leading_digits(load(bytes, at)?);
            // below 10^15 times 10^4, or below 10^11 times 10^8: 10^19 is below 2^64
            if more > 4 && digits >= 100_000_000_000 {
                return None;
            }
            digits = digits * INT_POWERS[more] + fraction;
            decimals += more;
            at += more;
        }
    }
    let value = decimal(digits, decimals)?;
    Some((if negative { -value } else { value }, at))
}

/// `digits / 10^decimals`, correctly rounded.
#[inline]
fn decimal(digits: u64, decimals: usize) -> Option<f64> {
    if digits <= 1 << 53 {
        // both are exact as doubles, and one division rounds once
        return Some(digits as f64 / POWERS[decimals]);
    }
    scale_down(digits, decimals)
}

/// The first 128 bits of `1 / 5^n`, rounded up, for every `n` that a fraction here can have.
const RECIPROCALS: [u128; 17] = {
    let mut table = [0; 17];
    let mut n = 0;
    while n < table.len() {
        let divisor = 5_u128.pow(n as u32);
        let mut bits = 0;
        while 1_u128 << bits < divisor {
            bits += 1;
        }
        // 2^(bits + 127) / divisor, one bit after the other
        let mut rest = 1_u128 << bits;
        let mut quotient = 0_u128;
        let mut step = 0;
        while step < 128 {
            quotient <<= 1;
            if rest >= divisor {
                rest -= divisor;
                quotient |= 1;
            }
            rest <<= 1;
            step += 1;
        }
        table[n] = if n == 0 { quotient } else { quotient + 1 };
        n += 1;
    }
    table
};

/// Digits of more than 53 bits: the algorithm of Eisel and Lemire (Software: Practice and Experience 51, 2021) for
/// small negative powers of ten, where it always has an answer. The result is far from the ends of the range.
fn scale_down(digits: u64, decimals: usize) -> Option<f64> {
    let reciprocal = *RECIPROCALS.get(decimals)?;
    let zeros = digits.leading_zeros();
    let digits = digits << zeros;
    let product = u128::from(digits) * (reciprocal >> 64);
    let (mut high, mut low) = ((product >> 64) as u64, product as u64);
    if high & 0x1ff == 0x1ff {
        let second = ((u128::from(digits) * u128::from(reciprocal as u64)) >> 64) as u64;
        let (sum, carry) = low.overflowing_add(second);
        low = sum;
        high += u64::from(carry);
    }
    let upper = high >> 63;
    let shift = upper + 9;
    let mut mantissa = high >> shift;
    if low <= 1 && mantissa & 3 == 1 && mantissa << shift == high && decimals <= 4 {
        // exactly half: to even
        mantissa &= !1;
    }
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    let power = ((-(decimals as i64) * 217_706) >> 16) + 63 + upper as i64 - i64::from(zeros) + 1023;
    // a mantissa that was rounded up to 2^53 carries into the exponent
    Some(f64::from_bits(((power as u64 - 1) << 52) + mantissa))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn padded(text: &str) -> Vec<u8> {
        format!("{text},padding----------").into_bytes()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn doubles_as_the_standard_library_reads_them(
            int in prop_oneof![0_u64..10, 0..10_000_000_u64],
            places in 0..16_usize,
            fraction: u64,
            negative: bool,
        ) {
            let fraction = &format!("{fraction:016}")[..places];
            let sign = if negative { "-" } else { "" };
            let text = if places == 0 { format!("{sign}{int}") } else { format!("{sign}{int}.{fraction}") };
            if let Some((value, end)) = double(&padded(&text), 0) {
                prop_assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits());
                prop_assert_eq!(end, text.len());
            } else {
                prop_assert!(int >= 1000 && places > 12, "usual numbers take the fast way: {}", text);
            }
        }

        #[test]
        fn long_fractions_as_the_standard_library_reads_them(digits in 1_u64 << 53.., decimals in 0..17_usize) {
            let expected: f64 = format!("{digits}e-{decimals}").parse().unwrap();
            prop_assert_eq!(scale_down(digits, decimals), Some(expected));
        }

        #[test]
        fn halves_between_two_doubles(high in 1_u64 << 52..1 << 53, zeros in 1..11_u32, decimals in 0..17_usize) {
            let digits = (high << 1 | 1) << (zeros - 1);
            let expected: f64 = format!("{digits}e-{decimals}").parse().unwrap();
            prop_assert_eq!(scale_down(digits, decimals), Some(expected));
        }

        #[test]
        fn integers_as_the_standard_library_reads_them(value in -999_999_999_999_999_i64..=999_999_999_999_999) {
            let text = value.to_string();
            prop_assert_eq!(integer(&padded(&text), 0), Some((value, text.len())));
        }

        #[test]
        fn digits_stop_at_any_other_byte(word: u64) {
            let bytes = word.to_le_bytes();
            let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let value = bytes[..count].iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
            prop_assert_eq!(leading_digits(word), (count, value));
        }
    }

    proptest! {
        #[test]
        fn short_numbers(text in "-?[0-9]{1,7}|-?[0-9]{1,5}\\.[0-9]{0,4}", follow in "[,;\n.e]") {
            let line = format!("{text}{follow}123456789");
            let unsigned = text.trim_start_matches('-');
            match short(line.as_bytes(), 0) {
                Some(number) => {
                    prop_assert_eq!(number.double().to_bits(), text.parse::<f64>().unwrap().to_bits());
                    if !text.contains('.') && follow != "." {
                        prop_assert_eq!(number.integer(), Some(text.parse().unwrap()));
                    }
                    let end = if text.contains('.') || follow != "." { text.len() } else { line.len() };
                    prop_assert!(number.end == end || follow == ".");
                    prop_assert_eq!(line.as_bytes()[number.end], number.follow);
                }
                None => prop_assert!(unsigned.len() > 7 || follow == ".", "short numbers are read: {}", line),
            }
        }
    }

    #[test]
    fn what_is_no_plain_number_is_left_to_others() {
        for text in ["", "-", "x1", "+1", ".5", "12345678.5", "-,"] {
            assert_eq!(double(&padded(text), 0), None, "{text}");
        }
        assert_eq!(double(b"1.5", 0), None, "too close to the end");
        assert_eq!(integer(&padded("1234567890123456"), 0), None);
        assert_eq!(double(&padded("5."), 0), Some((5.0, 2)));
    }
}
