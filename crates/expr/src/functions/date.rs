//! Dates: `today todate formatdate`. The clock is the recorded one; there is no time zone but UTC.

use std::fmt::Write;

use super::{Form, Function, Param};
use crate::Type;
use crate::convert::{NO_SUCH_DATE, NOT_A_DATE};
use crate::date;
use crate::scalar::{Outcome, Scalar};
use crate::state::State;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "today",
        usage: "today()",
        form: Form::Any { f: today, params: &[], required: 0, result: Type::Date, pure: false },
    },
    Function {
        name: "todate",
        usage: "todate(string or days [, format])",
        form: Form::Any { f: to_date, params: &[Param::Any, Param::Text], required: 1, result: Type::Date, pure: true },
    },
    Function {
        name: "formatdate",
        usage: "formatdate(date, format)",
        form: Form::Any {
            f: format,
            params: &[Param::Date, Param::Text],
            required: 2,
            result: Type::String,
            pure: true,
        },
    },
];

/// Null before the first tick.
fn today(state: &mut State, _: &[Scalar<'_>]) -> Outcome<'static> {
    Ok(state.clock_us.map_or(Scalar::Null, |clock| Scalar::Real(date::from_micros(clock))))
}

fn to_date(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    match args {
        [text, format] => Ok(Scalar::Real(parse_date(text.str(), format.str()).ok_or(NOT_A_DATE)?)),
        [Scalar::Boolean(_)] => Err("a boolean cannot become a date"),
        [value] => value.clone().into_owned().converted(Type::Date),
        _ => Ok(Scalar::Null),
    }
}

fn format(_: &mut State, args: &[Scalar<'_>]) -> Outcome<'static> {
    let mut out = String::new();
    match format_date(args[0].real(), args[1].str(), &mut out) {
        true => Ok(Scalar::text(out)),
        false => Err(NO_SUCH_DATE),
    }
}

/// English names of months, from January.
fn month_names() -> [&'static str; 12] {
    [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]
}

/// Longest first, so that `MM` is not two of something else.
const PARTS: [&str; 10] = ["YYYY", "MMMM", "MMM", "YY", "MM", "DD", "hh", "mm", "ss", "ms"];

/// Writes a date by a format of `YYYY YY MMMM MMM MM DD hh mm ss ms`; everything else stands for itself.
fn format_date(days: f64, format: &str, out: &mut String) -> bool {
    let Some(date::Parts { year, month, day, hour, minute, second, micros }) = date::parts(days) else { return false };
    let name = month_names()[(month - 1) as usize];
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let Some(part) = PARTS.into_iter().find(|part| rest.starts_with(part)) else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[part.len()..];
        let written = match part {
            "YYYY" => write!(out, "{year:04}"),
            "YY" => write!(out, "{:02}", year.rem_euclid(100)),
            "MMMM" => write!(out, "{name}"),
            "MMM" => write!(out, "{}", &name[..3]),
            "MM" => write!(out, "{month:02}"),
            "DD" => write!(out, "{day:02}"),
            "hh" => write!(out, "{hour:02}"),
            "mm" => write!(out, "{minute:02}"),
            "ss" => write!(out, "{second:02}"),
            _ => write!(out, "{:03}", micros / 1000),
        };
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    true
}

/// The inverse of [`format_date`]; what the format does not name is the first of January, midnight.
fn parse_date(text: &str, format: &str) -> Option<f64> {
    let (mut year, mut month, mut day, mut time_ms) = (1970, 1, 1, 0);
    let (mut text, mut rest) = (text.trim(), format.trim());
    while let Some(first) = rest.chars().next() {
        let Some(part) = PARTS.into_iter().find(|part| rest.starts_with(part)) else {
            text = text.strip_prefix(first)?;
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[part.len()..];
        if part.starts_with("MMM") {
            let names = month_names();
            let same = |name: &&str| {
                let wanted = if part == "MMM" { &name[..3] } else { *name };
                text.get(..wanted.len()).is_some_and(|found| found.eq_ignore_ascii_case(wanted))
            };
            let at = names.iter().position(same)?;
            month = at as i64 + 1;
            text = &text[if part == "MMM" { 3 } else { names[at].len() }..];
            continue;
        }
        let most = match part {
            "YYYY" => 4,
            "ms" => 3,
            _ => 2,
        };
        let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let value: i64 = text[..length].parse().ok()?;
        text = &text[length..];
        match part {
            "YYYY" => year = value,
            // As strptime does it: 69 to 99 are the last century.
            "YY" => year = if value < 69 { 2000 + value } else { 1900 + value },
            "MM" => month = value,
            "DD" => day = value,
            "hh" if value < 24 => time_ms += value * 3_600_000,
            "mm" if value < 60 => time_ms += value * 60_000,
            "ss" if value < 60 => time_ms += value * 1000,
            "ms" => time_ms += value * 10_i64.pow(3 - length as u32),
            _ => return None,
        }
    }
    Some(date::of_day(year, month, day)? + time_ms as f64 / 86_400_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_case_sensitive_and_read_back() {
        let day = date::parse("2010-02-12 08:30:05.250").expect("a date");
        let written = |format: &str| {
            let mut out = String::new();
            assert!(format_date(day, format, &mut out));
            out
        };
        assert_eq!(written("YYYY-MM-DD hh:mm:ss.ms"), "2010-02-12 08:30:05.250");
        assert_eq!(written("DD MMM YY, MMMM"), "12 Feb 10, February");
        assert_eq!(written("hhmm yyyy"), "0830 yyyy");
        assert_eq!(parse_date("2010-02-12 08:30:05.250", "YYYY-MM-DD hh:mm:ss.ms"), Some(day));
        assert_eq!(parse_date("12 feb 10", "DD MMM YY"), date::parse("2010-02-12"));
        assert_eq!(parse_date("30.02.2010", "DD.MM.YYYY"), None);
    }
}
