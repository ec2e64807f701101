//! Time as a value: verification takes "now" as an argument and never asks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, written RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds since the epoch; saturates at the ends of the range (years 1677 to 2262).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// The same instant without its fraction of a second.
    pub const fn whole_second(self) -> Self {
        Self::from_secs(self.secs())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parsed: jiff::Timestamp = s
            .parse()
            .map_err(|_| TimeError::NotRfc3339(s.chars().take(64).collect()))?;
        i64::try_from(parsed.as_nanosecond())
            .map(Self)
            .map_err(|_| TimeError::OutOfRange)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A length of time as policies and flags write it: `90s`, `15m`, `72h`, `30d`, `4w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(i64);

impl Span {
    /// Length in nanoseconds, never negative.
    pub const fn nanos(self) -> i64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = TimeError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || TimeError::NotASpan(s.chars().take(64).collect());
        let split = s.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (count, unit) = s.split_at(split);
        let count: i64 = count.parse().map_err(|_| bad())?;
        let secs: i64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(bad()),
        };
        count
            .checked_mul(secs)
            .and_then(|s| s.checked_mul(1_000_000_000))
            .map(Self)
            .ok_or(TimeError::OutOfRange)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not an RFC 3339 date-time with an offset.
    #[error("{0:?} is not an RFC 3339 time such as 2026-11-21T10:00:00Z")]
    NotRfc3339(String),
    /// Not a number followed by one of s, m, h, d, w.
    #[error("{0:?} is not a length of time such as 90s, 15m, 72h, 30d or 4w")]
    NotASpan(String),
    /// Outside the years 1677 to 2262.
    #[error("time is outside the years 1677 to 2262")]
    OutOfRange,
}

/// Tells the time. The only implementation that reads the machine's clock lives in `ops`.
pub trait Clock: Send + Sync {
    /// The present time.
    fn now(&self) -> Timestamp;
}

impl Clock for Timestamp {
    fn now(&self) -> Timestamp {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339() {
        let t: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        assert_eq!(t.to_string(), "2026-11-21T10:00:00Z");
        assert!("2026-11-21".parse::<Timestamp>().is_err());
        assert!("9999-01-01T00:00:00Z".parse::<Timestamp>().is_err());
    }

    #[test]
    fn spans() {
        assert_eq!(
            "30d".parse::<Span>().unwrap().nanos(),
            2_592_000_000_000_000
        );
        for bad in ["", "d", "-1d", "30", "1y", "9223372036854775807w"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
