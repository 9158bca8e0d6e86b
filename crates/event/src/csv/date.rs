//! Dates and stamps as text: strftime formats read and written, always in UTC.
//!
//! Formats of `%Y %m %d %b %H %M %S %f %F %T` and literals are done here; all others are left to `jiff`.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// A compiled strftime format (`dateformat`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat {
    text: String,
    plan: Plan,
}

/// A format that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dateformat `{format}` cannot be used: {reason}; expected a strftime format such as `%Y-%m-%d %H:%M:%S`")]
pub struct DateFormatError {
    /// The format.
    pub format: String,
    /// What is wrong with it.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    /// `%Y-%m-%d?%H:%M:%S` with one character between date and time, and perhaps a literal `Z` behind.
    Usual {
        between: u8,
        zulu: bool,
    },
    Items(Vec<Item>),
    Jiff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Literal(u8),
    Year,
    Month,
    MonthName,
    Day,
    Hour,
    Minute,
    Second,
    Fraction,
}

#[derive(Debug, Clone, Copy)]
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
}

impl DateFormat {
    /// Compiles a format; quotes around it are dropped, also when only one of the two is there.
    pub fn new(text: &str) -> Result<DateFormat, DateFormatError> {
        let text = text.trim().trim_matches(['\'', '"']);
        let error = |reason: String| DateFormatError { format: text.to_owned(), reason };
        if text.is_empty() {
            return Err(error("it is empty".to_owned()));
        }
        let plan = match items(text.as_bytes()) {
            Some(items) => usual(&items).unwrap_or(Plan::Items(items)),
            None => {
                strtime::format(text, &utc(0).expect("the epoch is a time")).map_err(|e| error(e.to_string()))?;
                Plan::Jiff
            }
        };
        Ok(DateFormat { text: text.to_owned(), plan })
    }

    /// The format without quotes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads a time as microseconds since the epoch; a fraction of a second may follow `%S`.
    pub fn parse(&self, text: &[u8]) -> Option<i64> {
        match &self.plan {
            Plan::Usual { between, zulu } => parse_usual(text, *between, *zulu),
            Plan::Items(items) => parse_items(text, items),
            Plan::Jiff => {
                let broken = strtime::parse(&self.text, text).ok()?;
                let time = match broken.to_timestamp() {
                    Ok(time) => time,
                    Err(_) => {
                        let civil = broken.to_datetime().or_else(|_| Ok::<_, jiff::Error>(broken.to_date()?.into()));
                        civil.ok()?.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp()
                    }
                };
                Some(time.as_microsecond())
            }
        }
    }

    /// Reads a time without fraction at `at`, if the format is one of the usual ones: seconds since the epoch, and the
    /// position behind it.
    #[inline]
    pub(super) fn parse_usual_at(&self, bytes: &[u8], at: usize) -> Option<(i64, usize)> {
        let Plan::Usual { between, zulu } = self.plan else { return None };
        let end = at + 19 + usize::from(zulu);
        Some((parse_usual(bytes.get(at..end)?, between, zulu)?.div_euclid(MICROS), end))
    }

    /// Appends a time given in microseconds since the epoch; false, and nothing appended, beyond the years 0 to 9999.
    ///
    /// A fraction of a second follows `%S` when there is one and the format has no place of its own for it.
    pub fn print(&self, micros: i64, out: &mut Vec<u8>) -> bool {
        let Some(parts) = parts(micros) else { return false };
        match &self.plan {
            Plan::Usual { between, zulu } => {
                push_digits(out, parts.year, 4);
                for (sign, value) in [
                    (b'-', parts.month),
                    (b'-', parts.day),
                    (*between, parts.hour),
                    (b':', parts.minute),
                    (b':', parts.second),
                ] {
                    out.push(sign);
                    push_digits(out, value, 2);
                }
                push_fraction(out, parts.micros);
                if *zulu {
                    out.push(b'Z');
                }
                true
            }
            Plan::Items(items) => {
                let own_place = items.contains(&Item::Fraction);
                for item in items {
                    print_item(*item, &parts, own_place, out);
                }
                true
            }
            Plan::Jiff => match utc(micros).and_then(|time| strtime::format(&self.text, &time).ok()) {
                Some(text) => {
                    out.extend_from_slice(text.as_bytes());
                    true
                }
                None => false,
            },
        }
    }
}

fn utc(micros: i64) -> Option<ZonedDateTime> {
    Some(Timestamp::from_microsecond(micros).ok()?.to_zoned_datetime(TimeZone::UTC))
}

/// The items of a format; `None` when one of them is left to `jiff`.
fn items(text: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            items.push(Item::Literal(byte));
            continue;
        }
        match bytes.next()? {
            b'Y' => items.push(Item::Year),
            b'm' => items.push(Item::Month),
            b'b' => items.push(Item::MonthName),
            b'd' => items.push(Item::Day),
            b'H' => items.push(Item::Hour),
            b'M' => items.push(Item::Minute),
            b'S' => items.push(Item::Second),
            b'f' => items.push(Item::Fraction),
            b'%' => items.push(Item::Literal(b'%')),
            b'F' => items.extend([Item::Year, Item::Literal(b'-'), Item::Month, Item::Literal(b'-'), Item::Day]),
            b'T' => items.extend([Item::Hour, Item::Literal(b':'), Item::Minute, Item::Literal(b':'), Item::Second]),
            _ => return None,
        }
    }
    Some(items)
}

fn usual(items: &[Item]) -> Option<Plan> {
    use Item::{Day, Hour, Literal, Minute, Month, Second, Year};
    let (head, tail) = items.split_first_chunk::<11>()?;
    let [
        Year,
        Literal(b'-'),
        Month,
        Literal(b'-'),
        Day,
        Literal(between),
        Hour,
        Literal(b':'),
        Minute,
        Literal(b':'),
        Second,
    ] = *head
    else {
        return None;
    };
    match tail {
        [] => Some(Plan::Usual { between, zulu: false }),
        [Literal(b'Z')] => Some(Plan::Usual { between, zulu: true }),
        _ => None,
    }
}

#[inline]
fn parse_usual(text: &[u8], between: u8, zulu: bool) -> Option<i64> {
    let (head, tail) = text.split_first_chunk::<19>()?;
    // date, then time: where digits are, and what else must be there
    const DIGITS: [u64; 2] = [0x00ff_ff00_ffff_ffff, 0xffff_00ff_ff00_ffff];
    const NINES: u64 = 0x7676_7676_7676_7676;
    let word = |at: usize| {
        let bytes = head[at..].first_chunk().expect("eight bytes from 0 and 8 of 19");
        u64::from_le_bytes(*bytes) ^ 0x3030_3030_3030_3030
    };
    let words = [word(0), word(8)];
    let signs = [
        u64::from_le_bytes([0, 0, 0, 0, b'-', 0, 0, b'-']) ^ 0x3000_0030_0000_0000,
        u64::from_le_bytes([0, 0, between, 0, 0, b':', 0, 0]) ^ 0x0000_3000_0030_0000,
    ];
    let mut others = 0;
    for i in 0..2 {
        let digits = words[i] & DIGITS[i];
        others |= (digits.wrapping_add(NINES & DIGITS[i]) | digits) & 0x8080_8080_8080_8080;
        others |= (words[i] & !DIGITS[i]) ^ signs[i];
    }
    let [colon, tens, ones] = [head[16], head[17], head[18]];
    if others != 0 || colon != b':' || !tens.is_ascii_digit() || !ones.is_ascii_digit() {
        return None;
    }
    let digit = |i: usize| i64::from(head[i] & 15);
    let pair = |i: usize| digit(i) * 10 + digit(i + 1);
    let tail = if zulu { tail.strip_suffix(b"Z")? } else { tail };
    let micros = match tail {
        [] => 0,
        [b'.', digits @ ..] => fraction(digits).filter(|&(_, used)| used == digits.len())?.0,
        _ => return None,
    };
    Parts {
        year: pair(0) * 100 + pair(2),
        month: pair(5),
        day: pair(8),
        hour: pair(11),
        minute: pair(14),
        second: pair(17),
        micros,
    }
    .to_micros()
}

fn parse_items(text: &[u8], items: &[Item]) -> Option<i64> {
    let mut parts = Parts { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, micros: 0 };
    let mut rest = text;
    for (i, item) in items.iter().enumerate() {
        match item {
            Item::Literal(byte) => rest = rest.strip_prefix(std::slice::from_ref(byte))?,
            Item::Year => parts.year = take_digits(&mut rest, 4)?,
            Item::Month => parts.month = take_digits(&mut rest, 2)?,
            Item::Day => parts.day = take_digits(&mut rest, 2)?,
            Item::Hour => parts.hour = take_digits(&mut rest, 2)?,
            Item::Minute => parts.minute = take_digits(&mut rest, 2)?,
            Item::Second => {
                parts.second = take_digits(&mut rest, 2)?;
                if let [b'.', digits @ ..] = rest
                    && items.get(i + 1) != Some(&Item::Literal(b'.'))
                    && let Some((micros, used)) = fraction(digits)
                {
                    parts.micros = micros;
                    rest = &digits[used..];
                }
            }
            Item::MonthName => {
                let (name, after) = rest.split_first_chunk::<3>()?;
                parts.month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))? as i64 + 1;
                rest = after;
            }
            Item::Fraction => {
                let (micros, used) = fraction(rest)?;
                parts.micros = micros;
                rest = &rest[used..];
            }
        }
    }
    if rest.is_empty() { parts.to_micros() } else { None }
}

/// One to `most` digits.
fn take_digits(rest: &mut &[u8], most: usize) -> Option<i64> {
    let count = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = rest.split_at(count);
    *rest = after;
    let value = digits.iter().fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
    if digits.is_empty() { None } else { Some(value) }
}

/// Digits behind the point as microseconds, and how many there were; what is smaller is cut off.
fn fraction(digits: &[u8]) -> Option<(i64, usize)> {
    let used = digits.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    if used == 0 {
        return None;
    }
    let digit = |i: usize| if i < used { i64::from(digits[i] - b'0') } else { 0 };
    Some(((0..6).fold(0, |value, i| value * 10 + digit(i)), used))
}

fn print_item(item: Item, parts: &Parts, own_place: bool, out: &mut Vec<u8>) {
    match item {
        Item::Literal(byte) => out.push(byte),
        Item::Year => push_digits(out, parts.year, 4),
        Item::Month => push_digits(out, parts.month, 2),
        Item::MonthName => out.extend_from_slice(MONTHS[parts.month as usize - 1]),
        Item::Day => push_digits(out, parts.day, 2),
        Item::Hour => push_digits(out, parts.hour, 2),
        Item::Minute => push_digits(out, parts.minute, 2),
        Item::Second => {
            push_digits(out, parts.second, 2);
            if !own_place {
                push_fraction(out, parts.micros);
            }
        }
        Item::Fraction => push_digits(out, parts.micros, 6),
    }
}

fn push_digits(out: &mut Vec<u8>, value: i64, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

fn push_fraction(out: &mut Vec<u8>, micros: i64) {
    if micros != 0 {
        out.push(b'.');
        push_digits(out, micros, 6);
    }
}

impl Parts {
    /// Microseconds since the epoch; `None` when a part is out of range.
    fn to_micros(self) -> Option<i64> {
        let Parts { year, month, day, hour, minute, second, micros } = self;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last_day = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if !(1..=last_day).contains(&day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        // years start in March, so that the leap day comes last
        let shifted = if month <= 2 { year - 1 } else { year };
        let era = shifted.div_euclid(400);
        let year_of_era = shifted.rem_euclid(400);
        let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        Some((days * DAY_SECONDS + hour * 3600 + minute * 60 + second) * MICROS + micros)
    }
}

/// The parts of a time in the years 0 to 9999.
fn parts(time: i64) -> Option<Parts> {
    let seconds = time.div_euclid(MICROS);
    let days = seconds.div_euclid(DAY_SECONDS) + 719_468;
    let of_day = seconds.rem_euclid(DAY_SECONDS);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (0..=9999).contains(&year).then_some(Parts {
        year,
        month,
        day: day_of_year - (153 * from_march + 2) / 5 + 1,
        hour: of_day / 3600,
        minute: of_day / 60 % 60,
        second: of_day % 60,
        micros: time.rem_euclid(MICROS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format(text: &str) -> DateFormat {
        DateFormat::new(text).unwrap()
    }

    #[test]
    fn known_times_in_several_formats() {
        let time = 1_357_020_000 * MICROS;
        for (text, shown) in [
            ("%Y-%m-%d %H:%M:%S", "2013-01-01 06:00:00"),
            ("'%Y-%m-%d %H:%M:%S", "2013-01-01 06:00:00"),
            ("\"%Y-%m-%dT%H:%M:%SZ\"", "2013-01-01T06:00:00Z"),
            ("%d/%b/%Y:%H:%M:%S", "01/Jan/2013:06:00:00"),
            ("%F %T.%f", "2013-01-01 06:00:00.000000"),
            ("%a %d %b %Y %H:%M:%S %z", "Tue 01 Jan 2013 06:00:00 +0000"),
        ] {
            let format = format(text);
            let mut out = Vec::new();
            assert!(format.print(time, &mut out));
            assert_eq!(String::from_utf8(out).unwrap(), shown);
            assert_eq!(format.parse(shown.as_bytes()), Some(time), "{text}");
        }
        assert_eq!(format("%d%m%y").parse(b"020113"), Some(1_357_084_800 * MICROS), "left to jiff, no time of day");
        assert_eq!(format("%H:%M %z %F").parse(b"01:00 -0500 1970-01-01"), Some(21_600 * MICROS), "with an offset");
    }

    #[test]
    fn fractions_may_follow_the_seconds() {
        let usual = format("%Y-%m-%d %H:%M:%S");
        for format in [&usual, &format("%Y%m%d %H:%M:%S")] {
            let day = if *format == usual { "1970-01-01" } else { "19700101" };
            let parse = |time: &str| format.parse(format!("{day} {time}").as_bytes());
            assert_eq!(parse("00:00:01.5"), Some(1_500_000));
            assert_eq!(parse("00:00:01.123456789"), Some(1_123_456));
            assert_eq!(parse("00:00:01."), None);
            assert_eq!(parse("00:00:01.1x"), None);
            let mut out = Vec::new();
            assert!(format.print(1_500_000, &mut out));
            assert_eq!(out, format!("{day} 00:00:01.500000").into_bytes());
        }
    }

    #[test]
    fn impossible_times_are_refused() {
        let usual = format("%Y-%m-%d %H:%M:%S");
        for text in [
            "2013-02-29 00:00:00",
            "2013-13-01 00:00:00",
            "2013-00-01 00:00:00",
            "2013-01-00 00:00:00",
            "2013-01-01 24:00:00",
            "2013-01-01 00:60:00",
            "2013-01-01 00:00:60",
            "2013-01-01T00:00:00",
            "2013-01-01 00:00",
            "2013-01-01 00:00:00 ",
            "2O13-01-01 00:00:00",
            "NA",
        ] {
            assert_eq!(usual.parse(text.as_bytes()), None, "{text}");
        }
        assert!(usual.parse(b"2012-02-29 00:00:00").is_some());
        assert!(!usual.print(i64::MAX, &mut Vec::new()));
        for text in ["", "'", "%!", "%"] {
            let error = DateFormat::new(text).unwrap_err().to_string();
            assert!(error.contains("expected a strftime format such as"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn same_as_jiff(time in -62_167_219_200_000_000_i64..253_402_207_200_000_000) {
            let time = time / MICROS * MICROS;
            for text in ["%Y-%m-%d %H:%M:%S", "%H.%M.%S %d/%b/%Y"] {
                let expected = strtime::format(text, &utc(time).unwrap()).unwrap();
                let mut out = Vec::new();
                prop_assert!(format(text).print(time, &mut out));
                prop_assert_eq!(&String::from_utf8(out).unwrap(), &expected);
                prop_assert_eq!(format(text).parse(expected.as_bytes()), Some(time));
            }
        }
    }
}
