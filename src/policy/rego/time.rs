//! Rego's `time.*` functions, in UTC and without a clock.
//!
//! The engine's own bring every time zone's history with them, which is a fifth
//! of the small guard, and read the real clock. A zone other than UTC is an
//! error here, so no rule can decide by another zone's day than it says.

use regorus::{Engine, Value};

use crate::time::Timestamp;

/// Adds the functions that need nothing but their arguments.
pub(super) fn add(engine: &mut Engine) -> Result<(), String> {
    let functions: [(&str, u8, Function); 6] = [
        ("parse_rfc3339_ns", 1, parse_rfc3339_ns),
        ("parse_duration_ns", 1, parse_duration_ns),
        ("date", 1, date),
        ("clock", 1, clock),
        ("weekday", 1, weekday),
        ("add_date", 4, add_date),
    ];
    for (name, arguments, function) in functions {
        let called = move |arguments: Vec<Value>| {
            function(&arguments)
                .map_err(|why| std::io::Error::other(format!("time.{name}: {why}")).into())
        };
        engine
            .add_extension(format!("time.{name}"), arguments, Box::new(called))
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

type Function = fn(&[Value]) -> Result<Value, String>;

fn parse_rfc3339_ns(arguments: &[Value]) -> Result<Value, String> {
    let at: Timestamp = text(arguments)?
        .parse()
        .map_err(|e: crate::time::TimeError| e.to_string())?;
    Ok(Value::from(at.nanos()))
}

/// Go's notation of a duration: `1h30m`, `-1.5s`, `0`.
fn parse_duration_ns(arguments: &[Value]) -> Result<Value, String> {
    let whole = text(arguments)?;
    let bad = || {
        let shown: String = whole.chars().take(64).collect();
        format!("{shown:?} is not a duration such as 1h30m")
    };
    let (sign, mut rest) = match whole.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, whole.strip_prefix('+').unwrap_or(whole)),
    };
    if rest == "0" {
        return Ok(Value::from(0_i64));
    }
    let mut nanos = 0_i128;
    loop {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, |c| c.is_alphabetic());
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(bad()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        // More digits than these cannot matter to an i64 of nanoseconds.
        let few = whole.len() <= 19 && fraction.len() <= 18 && number != "." && !number.is_empty();
        if !few || fraction.contains('.') {
            return Err(bad());
        }
        let digits = |text: &str| {
            text.bytes()
                .fold(0_i128, |n, b| n * 10 + i128::from(b - b'0'))
        };
        let scale = 10_i128.pow(u32::try_from(fraction.len()).map_err(|_| bad())?);
        nanos += digits(whole) * unit + digits(fraction) * unit / scale;
        rest = after;
        if rest.is_empty() {
            break;
        }
        // Before the next term could overflow the sum.
        i64::try_from(nanos).map_err(|_| bad())?;
    }
    let nanos = i64::try_from(sign * nanos).map_err(|_| bad())?;
    Ok(Value::from(nanos))
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn date(arguments: &[Value]) -> Result<Value, String> {
    let at = instant(arguments)?.date();
    Ok(numbers(&[
        at.year().into(),
        at.month().into(),
        at.day().into(),
    ]))
}

fn clock(arguments: &[Value]) -> Result<Value, String> {
    let at = instant(arguments)?.time();
    Ok(numbers(&[
        at.hour().into(),
        at.minute().into(),
        at.second().into(),
    ]))
}

fn weekday(arguments: &[Value]) -> Result<Value, String> {
    const DAYS: [&str; 7] = [
        "Sunday",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
    ];
    let day = instant(arguments)?.weekday().to_sunday_zero_offset();
    usize::try_from(day)
        .ok()
        .and_then(|day| DAYS.get(day))
        .map(|day| Value::from(*day))
        .ok_or_else(|| "no such day".into())
}

/// As Go's `AddDate`: a day that the month has not runs over into the next.
fn add_date(arguments: &[Value]) -> Result<Value, String> {
    let at = instant(arguments)?;
    let number = |n: usize| {
        arguments
            .get(n)
            .and_then(|value| value.as_i64().ok())
            .filter(|number| (-1_000_000..=1_000_000).contains(number))
            .ok_or("years, months and days are whole numbers below a million")
    };
    let far = |_| "the time is out of range".to_owned();
    let (years, months, days) = (number(1)?, number(2)?, number(3)?);
    let month = i64::from(at.year()) * 12 + i64::from(at.month()) - 1 + years * 12 + months;
    let first = jiff::civil::Date::new(
        i16::try_from(month.div_euclid(12)).map_err(|_| "the time is out of range")?,
        i8::try_from(month.rem_euclid(12) + 1).map_err(|_| "the time is out of range")?,
        1,
    )
    .map_err(far)?;
    let span = jiff::Span::new()
        .try_days(i64::from(at.day()) - 1 + days)
        .map_err(far)?;
    let moved = first.checked_add(span).map_err(far)?.to_datetime(at.time());
    let moved = jiff::tz::TimeZone::UTC.to_timestamp(moved).map_err(far)?;
    i64::try_from(moved.as_nanosecond())
        .map(Value::from)
        .map_err(|_| "the time is out of range".into())
}

fn numbers(parts: &[i64]) -> Value {
    Value::from(
        parts
            .iter()
            .map(|part| Value::from(*part))
            .collect::<Vec<_>>(),
    )
}

fn text(arguments: &[Value]) -> Result<&str, String> {
    match arguments.first() {
        Some(Value::String(text)) => Ok(text),
        _ => Err("takes a text".into()),
    }
}

/// The first argument, nanoseconds or `[nanoseconds, zone]`, in UTC.
fn instant(arguments: &[Value]) -> Result<jiff::civil::DateTime, String> {
    let nanos = match arguments.first() {
        Some(Value::Array(pair)) => match pair.as_slice() {
            [nanos, Value::String(zone)] if matches!(&**zone, "" | "UTC") => nanos,
            [_, Value::String(zone)] => {
                let shown: String = zone.chars().take(64).collect();
                return Err(format!("time zone {shown:?}: only UTC is known here"));
            }
            _ => return Err("takes nanoseconds, or [nanoseconds, \"UTC\"]".into()),
        },
        Some(nanos) => nanos,
        None => return Err("takes nanoseconds".into()),
    };
    let nanos = nanos.as_i64().map_err(|_| "takes whole nanoseconds")?;
    jiff::Timestamp::from_nanosecond(nanos.into())
        .map(|at| jiff::tz::TimeZone::UTC.to_datetime(at))
        .map_err(|_| "the time is out of range".into())
}
