//! Tests of texts, and how values are shown in an error.

use serde_json::Value;

/// Whether it is an RFC 3339 `date-time`, offset included.
///
/// Only the form is looked at, not the years that obreia can reckon with: an
/// unset time of others' writers (`0001-01-01T00:00:00Z`) is one.
pub fn is_rfc3339(s: &str) -> bool {
    let Some((date, rest)) = s.split_once(['T', 't']) else {
        return false;
    };
    let Some(offset) = rest.find(['Z', 'z', '+', '-']) else {
        return false;
    };
    let (time, zone) = rest.split_at(offset);
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, Some(fraction)),
        None => (time, None),
    };
    is_date(date)
        && matches!(numbers(time, ':', &[2, 2, 2]).as_deref(), Some([h, m, s]) if *h < 24 && *m < 60 && *s < 61)
        && fraction.is_none_or(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()))
        && match zone.as_bytes() {
            [b'Z' | b'z'] => true,
            [b'+' | b'-', ..] => {
                matches!(numbers(&zone[1..], ':', &[2, 2]).as_deref(), Some([h, m]) if *h < 24 && *m < 60)
            }
            _ => false,
        }
}

/// Whether it is a time in UTC to the second, as SPDX asks for it: `2026-11-21T10:00:00Z`.
pub fn is_utc(s: &str) -> bool {
    s.len() == "2026-11-21T10:00:00Z".len() && s.ends_with('Z') && is_rfc3339(s)
}

/// Whether it is a day that the calendar has, written `2026-11-21`.
pub fn is_date(s: &str) -> bool {
    let Some([year, month, day]) =
        numbers(s, '-', &[4, 2, 2]).and_then(|n| <[u32; 3]>::try_from(n).ok())
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// The numbers between separators, each with exactly so many digits.
fn numbers(s: &str, separator: char, digits: &[usize]) -> Option<Vec<u32>> {
    let parts: Vec<_> = s.split(separator).collect();
    (parts.len() == digits.len()).then_some(())?;
    parts
        .iter()
        .zip(digits)
        .map(|(part, &width)| {
            let exact = part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
            exact.then(|| part.parse().ok()).flatten()
        })
        .collect()
}

/// Whether it is a URI with a scheme, and free of what RFC 3986 and 3987 never allow.
pub fn is_uri(s: &str) -> bool {
    let Some((scheme, rest)) = s.split_once(':') else {
        return false;
    };
    let first = scheme
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic());
    first
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !rest.is_empty()
        && has_only_iri_characters(rest)
}

/// Whether it is free of what no URI and no IRI can hold: white space, control
/// characters, and `<>"{}|\^` with the backtick.
pub fn has_only_iri_characters(s: &str) -> bool {
    !s.chars().any(|c| {
        c.is_control()
            || c.is_whitespace()
            || matches!(c, '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`')
    })
}

/// Whether it is hexadecimal, of either case, and not empty.
pub fn is_hex(s: &str) -> bool {
    !s.is_empty() && s.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A value as an error shows it: texts and numbers, shortened; of the rest the kind alone.
pub fn excerpt(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => quoted(s),
        Value::Array(items) if items.is_empty() => "an empty array".into(),
        Value::Array(_) => "an array".into(),
        Value::Object(map) if map.is_empty() => "an empty object".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// A text in quotes, escaped and shortened to 64 characters.
pub fn quoted(s: &str) -> String {
    match s.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}…", &s[..end]),
        None => format!("{s:?}"),
    }
}

/// "one of a, b, c", or the number of values where there are many.
pub fn one_of<'a>(allowed: impl ExactSizeIterator<Item = &'a str>) -> String {
    match allowed.len() {
        0..=16 => format!("one of {}", allowed.collect::<Vec<_>>().join(", ")),
        many => format!("one of the {many} values that the specification lists"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for good in [
            "2026-11-21T10:00:00Z",
            "2024-02-29t23:59:60.123456789z",
            "0001-01-01T00:00:00Z",
            "2026-11-21T10:00:00-05:30",
        ] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in [
            "",
            "2026-11-21",
            "2026-11-21T10:00:00",
            "2026-11-21 10:00:00Z",
            "2026-02-29T10:00:00Z",
            "2026-11-31T10:00:00Z",
            "2026-13-01T10:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T10:60:00Z",
            "2026-11-21T10:00:00.Z",
            "2026-11-21T10:00:00+5:00",
            "2026-11-21T10:00:00Z[UTC]",
            "+026-11-21T10:00:00Z",
            "2026-11-21T10:00:00ZZ",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }

    #[test]
    fn uris() {
        for good in ["https://a", "pkg:oci/x@1", "urn:uuid:1", "git+ssh://h/p#f"] {
            assert!(is_uri(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "https:",
            "://a",
            "1a:b",
            "a b:c",
            "https://a b",
            "x:<y>",
        ] {
            assert!(!is_uri(bad), "{bad}");
        }
    }

    #[test]
    fn excerpts_are_short() {
        let long = excerpt(&Value::String("é".repeat(200)));
        assert_eq!(long.chars().count(), 67);
        assert_eq!(excerpt(&serde_json::json!({"a": 1})), "an object");
    }
}
