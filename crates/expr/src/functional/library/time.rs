//! Times: seconds since the Unix epoch (microseconds are understood). The clock is the recorded one; local time is UTC
//! unless a zone is named.

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ZonedDateTime};

use super::{Call, Entry, entry, integer, text};
use crate::scalar::{Outcome, Scalar};

const fn time(
    name: &'static str,
    usage: &'static str,
    count: (usize, usize),
    code: fn(&mut Call<'_>, &[Scalar<'_>]) -> Outcome<'static>,
) -> Entry {
    entry("time", (name, usage), count, code)
}

const ZONE: &str = "the zone is UTC unless one is named, such as Europe/Berlin";
const CLOCK: &str = "the recorded clock: the last tick";

pub(super) const FUNCTIONS: &[Entry] = &[
    time("timeCurrent", "timeCurrent()", (0, 0), |call, _| Ok(clock(call, 1_000_000))).note(CLOCK),
    time("systemMilli", "systemMilli()", (0, 0), |call, _| Ok(clock(call, 1000))).note(CLOCK),
    time("systemMicro", "systemMicro()", (0, 0), |call, _| Ok(clock(call, 1))).note(CLOCK),
    time("timeToday", "timeToday()", (0, 0), |call, _| {
        Ok(match call.state.clock_us {
            Some(clock) => Scalar::Integer(clock.div_euclid(86_400_000_000) * 86_400),
            None => Scalar::Null,
        })
    })
    .note("midnight (UTC) of the recorded clock's day"),
    time("timeYear", "timeYear([time])", (0, 2), |call, args| part(call, args, |at| i64::from(at.year()))),
    time("timeDayOfYear", "timeDayOfYear([time])", (0, 2), |call, args| {
        part(call, args, |at| i64::from(at.day_of_year()) - 1)
    })
    .note("from 0, as in C"),
    time("timeDayOfMonth", "timeDayOfMonth([time])", (0, 2), |call, args| part(call, args, |at| i64::from(at.day()))),
    time("timeDayOfWeek", "timeDayOfWeek([time])", (0, 2), |call, args| {
        part(call, args, |at| i64::from(at.weekday().to_sunday_zero_offset()))
    })
    .note("Sunday is 0, as in C"),
    time("timeHour", "timeHour([time])", (0, 2), |call, args| part(call, args, |at| i64::from(at.hour()))),
    time("timeMinute", "timeMinute([time])", (0, 2), |call, args| part(call, args, |at| i64::from(at.minute()))),
    time("timeMinuteOfDay", "timeMinuteOfDay([time])", (0, 2), |call, args| {
        part(call, args, |at| i64::from(at.hour()) * 60 + i64::from(at.minute()))
    }),
    time("timeSecond", "timeSecond([time])", (0, 2), |call, args| part(call, args, |at| i64::from(at.second()))),
    time("timeSecondOfDay", "timeSecondOfDay([time])", (0, 2), |call, args| {
        part(call, args, |at| (i64::from(at.hour()) * 60 + i64::from(at.minute())) * 60 + i64::from(at.second()))
    }),
    time("timeIsDst", "timeIsDst(time [, zone])", (1, 2), |_, args| {
        let zone = zone(args.get(1))?;
        Ok(Scalar::Boolean(zone.to_offset_info(stamp(&args[0])?).dst().is_dst()))
    })
    .note(ZONE),
    time("timeGmtToLocal", "timeGmtToLocal(time [, zone])", (1, 2), |_, args| {
        let zone = zone(args.get(1))?;
        let offset = i64::from(zone.to_offset(stamp(&args[0])?).seconds());
        Ok(Scalar::Integer(seconds(&args[0])?.checked_add(offset).ok_or(crate::scalar::OVERFLOW)?))
    })
    .note(ZONE),
    time("timeParse", "timeParse(text [, format [, zone]])", (1, 3), |_, args| parse(args))
        .note("format as strptime; what follows it is left alone, as in C; an offset (%z) counts"),
    time("timeStamp", "timeStamp([time])", (0, 1), |call, args| {
        let at = match args.first() {
            Some(at) => stamp(at)?,
            None => match call.state.clock_us {
                Some(clock) => Timestamp::from_microsecond(clock).map_err(|_| RANGE)?,
                None => return Ok(Scalar::Null),
            },
        };
        Ok(Scalar::Integer(at.as_microsecond()))
    })
    .note("microseconds"),
    time("timeString", "timeString(time [, format [, zone]])", (1, 3), |_, args| formatted(args, zone(args.get(2))?))
        .note("format as strftime; without one %Y-%m-%d %H:%M:%S; names are English"),
    time("timeGmtString", "timeGmtString(time [, format])", (1, 2), |_, args| formatted(args, TimeZone::UTC))
        .note("format as strftime; without one %Y-%m-%d %H:%M:%S; names are English"),
];

const RANGE: &str = "the time is out of range";
const FORMAT: &str = "the format has no meaning";
const DEFAULT_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

fn clock(call: &Call<'_>, per: i64) -> Scalar<'static> {
    call.state.clock_us.map_or(Scalar::Null, |clock| Scalar::Integer(clock.div_euclid(per)))
}

/// Above this a number cannot be seconds (the year is 5138): it is microseconds.
const MOST_SECONDS: i64 = 100_000_000_000;

fn stamp(value: &Scalar<'_>) -> Result<Timestamp, &'static str> {
    let value = integer(value)?;
    let made =
        if value.abs() >= MOST_SECONDS { Timestamp::from_microsecond(value) } else { Timestamp::from_second(value) };
    made.map_err(|_| RANGE)
}

fn seconds(value: &Scalar<'_>) -> Result<i64, &'static str> {
    Ok(stamp(value)?.as_second())
}

/// A named zone of the data that is compiled in: equal on every machine.
fn zone(name: Option<&Scalar<'_>>) -> Result<TimeZone, &'static str> {
    match name {
        None => Ok(TimeZone::UTC),
        Some(name) => TimeZoneDatabase::bundled().get(&text(name)).map_err(|_| "there is no such time zone"),
    }
}

fn part(call: &Call<'_>, args: &[Scalar<'_>], of: fn(&ZonedDateTime) -> i64) -> Outcome<'static> {
    let at = match args.first() {
        Some(at) => stamp(at)?,
        None => match call.state.clock_us {
            Some(clock) => Timestamp::from_microsecond(clock).map_err(|_| RANGE)?,
            None => return Ok(Scalar::Null),
        },
    };
    Ok(Scalar::Integer(of(&at.to_zoned_datetime(zone(args.get(1))?))))
}

fn formatted(args: &[Scalar<'_>], zone: TimeZone) -> Outcome<'static> {
    let at = stamp(&args[0])?.to_zoned_datetime(zone);
    let format = args.get(1).map(text).unwrap_or(DEFAULT_FORMAT.into());
    let written = BrokenDownTime::from(&at).to_string(&*format).map_err(|_| FORMAT)?;
    Ok(Scalar::text(written))
}

fn parse(args: &[Scalar<'_>]) -> Outcome<'static> {
    const NO_TIME: &str = "the text is no time of this format";
    let format = args.get(1).map(text).unwrap_or(DEFAULT_FORMAT.into());
    let whole = text(&args[0]);
    let (broken, _) = BrokenDownTime::parse_prefix(&*format, whole.trim()).map_err(|_| NO_TIME)?;
    if broken.offset().is_some() {
        let at = broken.to_timestamp().map_err(|_| NO_TIME)?;
        return Ok(Scalar::Integer(at.as_second()));
    }
    let day = broken.to_date().unwrap_or(jiff::civil::date(1970, 1, 1));
    let at = day.to_datetime(broken.to_time().unwrap_or(jiff::civil::Time::midnight()));
    let zoned = at.to_zoned_datetime(zone(args.get(2))?).map_err(|_| RANGE)?;
    Ok(Scalar::Integer(zoned.timestamp().as_second()))
}
