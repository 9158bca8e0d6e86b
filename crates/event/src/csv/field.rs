//! Text to a value of any type, with care instead of speed: blanks, exponents, long numbers, arrays, errors.

use std::sync::Arc;

use super::base64;
use super::columns::{CsvColumn, Values};
use super::date::DateFormat;
use crate::{FieldType, MONEY_SCALE, Value};

/// How a field's text is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldRules<'a> {
    pub date_format: Option<&'a DateFormat>,
    pub na_is_null: bool,
}

/// Pushes a field's text as row `row`; `Err` says what was expected.
pub(super) fn push_text(
    column: &mut CsvColumn,
    row: usize,
    text: &[u8],
    quoted: bool,
    rules: FieldRules<'_>,
) -> Result<(), String> {
    if !quoted && (text.is_empty() || rules.na_is_null && text.trim_ascii() == b"NA") {
        column.push_null(row);
        return Ok(());
    }
    if let Values::String(texts) = &mut column.values {
        if std::str::from_utf8(text).is_err() {
            return Err("string in UTF-8".to_owned());
        }
        texts.bytes.extend_from_slice(text);
        texts.end_row();
        return Ok(());
    }
    let text = text.trim_ascii();
    if text.is_empty() && !matches!(column.values, Values::Blob(_)) {
        column.push_null(row);
        return Ok(());
    }
    match &mut column.values {
        Values::Int32(v) => v.push(number(text, "int32")?),
        Values::Int64(v) => v.push(number(text, "int64")?),
        Values::Double(v) => v.push(double(text)?),
        Values::Date(v) => v.push(time(text, rules.date_format, "date", 1_000_000)?),
        Values::Stamp(v) => v.push(time(text, rules.date_format, "stamp", 1)?),
        Values::Money(v) => v.push(money(text).ok_or("money (a number with at most 4 decimals)")?),
        Values::Blob(texts) => {
            if !base64::decode(text, &mut texts.bytes) {
                return Err("blob in base64".to_owned());
            }
            texts.end_row();
        }
        Values::ArrayInt32(v) => v.push(array(text, |item| number(item, "array(i32)"))?),
        Values::ArrayInt64(v) => v.push(array(text, |item| number(item, "array(i64)"))?),
        Values::ArrayDouble(v) => v.push(array(text, double)?),
        Values::String(_) => unreachable!("strings are pushed above"),
    }
    Ok(())
}

/// Reads one value, times as integers; `Err` says what was expected. For texts other than CSV lines.
pub(crate) fn parse_value(text: &[u8], ty: FieldType) -> Result<Value, String> {
    let mut column = CsvColumn::new(ty, 1, text.len());
    let rules = FieldRules { date_format: None, na_is_null: false };
    push_text(&mut column, 0, text, true, rules)?;
    Ok(column.finish().value(0))
}

fn number<T: lexical_core::FromLexical>(text: &[u8], expected: &str) -> Result<T, String> {
    lexical_core::parse(text).map_err(|_| expected.to_owned())
}

fn double(text: &[u8]) -> Result<f64, String> {
    lexical_core::parse(text).map_err(|_| "double".to_owned())
}

fn time(text: &[u8], format: Option<&DateFormat>, expected: &str, unit: i64) -> Result<i64, String> {
    match format {
        None => lexical_core::parse(text).map_err(|_| {
            let unit = if unit == 1 { "microseconds" } else { "seconds" };
            format!("{expected} as {unit} since 1970 (or set dateformat)")
        }),
        Some(format) => match format.parse(text) {
            Some(micros) => Ok(micros.div_euclid(unit)),
            None => Err(format!("{expected} as `{}`", format.as_str())),
        },
    }
}

/// A decimal number in ten-thousandths; more than four decimals are allowed if they are zeros.
fn money(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (whole, decimals) = match memchr::memchr(b'.', digits) {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &[][..]),
    };
    let all_digits = whole.iter().chain(decimals).all(u8::is_ascii_digit);
    if !all_digits || whole.is_empty() && decimals.is_empty() || decimals.iter().skip(4).any(|&d| d != b'0') {
        return None;
    }
    // downwards, since the lowest number has no positive counterpart
    let mut value = 0_i64;
    for &digit in whole {
        value = value.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    value = value.checked_mul(MONEY_SCALE)?;
    for (i, &digit) in decimals.iter().take(4).enumerate() {
        value = value.checked_sub(i64::from(digit - b'0') * 10_i64.pow(3 - i as u32))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// `[1;2;3]`; `[]` is an array without elements.
fn array<T>(text: &[u8], item: impl Fn(&[u8]) -> Result<T, String>) -> Result<Arc<[T]>, String> {
    let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]"));
    let inner = inner.ok_or("array such as [1;2;3]")?.trim_ascii();
    if inner.is_empty() {
        return Ok(Arc::from([]));
    }
    inner.split(|&byte| byte == b';').map(|text| item(text.trim_ascii())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_four_decimals() {
        let cases: [(&str, Option<i64>); 14] = [
            ("12.34", Some(123_400)),
            ("-0.0001", Some(-1)),
            ("+7", Some(70_000)),
            (".5", Some(5_000)),
            ("5.", Some(50_000)),
            ("1.234500", Some(12_345)),
            ("922337203685477.5807", Some(i64::MAX)),
            ("-922337203685477.5808", Some(i64::MIN)),
            ("922337203685477.5808", None),
            ("1.23456", None),
            (".", None),
            ("-", None),
            ("1e3", None),
            ("1,5", None),
        ];
        for (text, expected) in cases {
            assert_eq!(money(text.as_bytes()), expected, "{text}");
        }
    }
}
