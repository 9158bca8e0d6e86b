//! Dates of the language: days since 1899-12-30 as a real number, in UTC. Conversions to epoch units and to text.

use std::fmt::Write;

/// Days from 1899-12-30 to 1970-01-01.
const EPOCH: i64 = 25_569;
const SECONDS: i64 = 86_400;
const MICROS: i64 = 86_400_000_000;

/// Seconds since the Unix epoch to days.
pub(crate) fn from_seconds(seconds: i64) -> f64 {
    from_parts(seconds, SECONDS)
}

/// Microseconds since the Unix epoch to days.
pub(crate) fn from_micros(micros: i64) -> f64 {
    from_parts(micros, MICROS)
}

/// Whole days and the rest apart: only the last addition rounds, so that microseconds survive a round trip.
fn from_parts(units: i64, per_day: i64) -> f64 {
    (units.div_euclid(per_day) + EPOCH) as f64 + units.rem_euclid(per_day) as f64 / per_day as f64
}

/// Days to seconds since the Unix epoch; `None` when out of range.
pub(crate) fn to_seconds(days: f64) -> Option<i64> {
    to_units(days, SECONDS)
}

/// Days to microseconds since the Unix epoch; `None` when out of range.
pub(crate) fn to_micros(days: f64) -> Option<i64> {
    to_units(days, MICROS)
}

/// Whole days and the rest apart, as in [`from_parts`].
fn to_units(days: f64, per_day: i64) -> Option<i64> {
    let whole = days.floor();
    // Every i64 of microseconds is within 107 million days of the epoch.
    if !(-1.07e8..1.07e8).contains(&whole) {
        return None;
    }
    let rest = ((days - whole) * per_day as f64).round() as i64;
    (whole as i64 - EPOCH).checked_mul(per_day)?.checked_add(rest)
}

/// Reads `2010-02-12`, `2010-02-12 08:30`, `2010-02-12T08:30:00.250Z`.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let (day, time) = match text.find(['T', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim().trim_end_matches('Z')),
        None => (text, ""),
    };
    let mut parts = day.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let (year, month, day) = (digits(year)?, digits(month)?, digits(day)?);
    if !(1..=12).contains(&month) || !(1..=month_length(year, month)).contains(&day) {
        return None;
    }
    let days = (days_of_civil(year, month, day) + EPOCH) as f64;
    if time.is_empty() {
        return Some(days);
    }
    let mut parts = time.split(':');
    let (hour, minute) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let second = match parts.next() {
        Some(second) if second.starts_with(|c: char| c.is_ascii_digit()) => second.parse::<f64>().ok()?,
        Some(_) => return None,
        None => 0.0,
    };
    if parts.next().is_some() || hour > 23 || minute > 59 || second >= 60.0 {
        return None;
    }
    Some(days + ((hour * 60 + minute) as f64 * 60.0 + second) / SECONDS as f64)
}

fn digits(text: &str) -> Option<i64> {
    let fine = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

/// A date by the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
}

/// The parts of a date; `None` when out of range.
pub(crate) fn parts(days: f64) -> Option<Parts> {
    let micros = to_micros(days)?;
    let (year, month, day) = civil_of_days(micros.div_euclid(MICROS));
    let rest = micros.rem_euclid(MICROS);
    let seconds = rest / 1_000_000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(Parts { year, month, day, hour, minute, second, micros: rest % 1_000_000 })
}

/// The start of a day; `None` when there is no such day.
pub(crate) fn of_day(year: i64, month: i64, day: i64) -> Option<f64> {
    let fine = (1..=12).contains(&month) && (1..=month_length(year, month)).contains(&day);
    fine.then(|| (days_of_civil(year, month, day) + EPOCH) as f64)
}

/// Appends `2010-02-12 08:30:00`, with fractional seconds only when there are any; false when out of range.
pub(crate) fn write(days: f64, out: &mut String) -> bool {
    let Some(Parts { year, month, day, hour, minute, second, micros }) = parts(days) else { return false };
    let written = write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    if micros != 0 {
        let digits = format!("{micros:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
    written.is_ok()
}

/// Days since 1970-01-01 of a day of the Gregorian calendar (Hinnant's algorithm).
fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_of_civil`].
fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(parse("1899-12-30"), Some(0.0));
        assert_eq!(parse("1970-01-01"), Some(25_569.0));
        assert_eq!(parse("2010-02-12 12:00"), Some(40_221.5));
        assert_eq!(parse("2010-02-30"), None);
        assert_eq!(parse("2010-02"), None);
        let mut text = String::new();
        assert!(write(40_221.5, &mut text));
        assert_eq!(text, "2010-02-12 12:00:00");
    }

    proptest::proptest! {
        #[test]
        fn microseconds_survive_until_2079(micros in -2_000_000_000_000_000_i64..3_450_000_000_000_000) {
            proptest::prop_assert_eq!(to_micros(from_micros(micros)), Some(micros));
        }

        #[test]
        fn seconds_survive_until_year_9999(seconds in -59_000_000_000_i64..253_402_300_799) {
            proptest::prop_assert_eq!(to_seconds(from_seconds(seconds)), Some(seconds));
        }

        #[test]
        fn calendar_is_its_own_inverse(days in -700_000_i64..3_000_000) {
            let (year, month, day) = civil_of_days(days);
            proptest::prop_assert_eq!(days_of_civil(year, month, day), days);
            proptest::prop_assert!((1..=month_length(year, month)).contains(&day));
        }
    }
}
