//! What a specification asks of a JSON document, written as a table.
//!
//! A [`Shape`] says which members an object has, which of them are required
//! and what each one holds; [`Shape::check`] walks a tree with it and collects
//! every [`Violation`], each with the path of the offending place.

pub mod text;
mod violation;

use serde_json::{Map, Value};

use crate::digest::{Algorithm, Digest};

pub use violation::{Path, Violation, Violations};

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Anything.
    Any,
    /// Any text, the empty one included.
    Text,
    /// Text with at least one character.
    Name,
    /// Text that passes a test; the first member says in words what is expected.
    Checked(&'static str, fn(&str) -> bool),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number, not negative.
    Count,
    /// Any number.
    Number,
    /// An object of digests by algorithm name (in-toto `DigestSet`), with at least one.
    Digests,
    /// An array of such values.
    List(&'static Shape),
    /// An array with at least one such value.
    NonEmpty(&'static Shape),
    /// An object whose values are such.
    Map(&'static Shape),
    /// An object with these members; others are not looked at.
    Open(&'static [Field]),
    /// An object with these members and no others.
    Closed(&'static [Field]),
    /// The first shape where it holds a text, otherwise the second.
    TextOr(&'static Shape, &'static Shape),
}

/// RFC 3339 date and time.
pub const TIME: Shape = Shape::Checked(
    "an RFC 3339 time such as 2026-11-21T10:00:00Z",
    text::is_rfc3339,
);
/// An absolute URI (RFC 3986).
pub const URI: Shape = Shape::Checked("a URI with a scheme", text::is_uri);

/// A member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    name: &'static str,
    required: bool,
    nullable: bool,
    shape: &'static Shape,
}

/// A member that must be there.
pub const fn required(name: &'static str, shape: &'static Shape) -> Field {
    Field {
        name,
        required: true,
        nullable: false,
        shape,
    }
}

/// A member that may be absent.
pub const fn optional(name: &'static str, shape: &'static Shape) -> Field {
    Field {
        name,
        required: false,
        nullable: false,
        shape,
    }
}

/// A member that may be absent or `null`, as writers of protobuf and Go structures leave it.
pub const fn nullable(name: &'static str, shape: &'static Shape) -> Field {
    Field {
        name,
        required: false,
        nullable: true,
        shape,
    }
}

impl Shape {
    /// Reports every place where `value`, which stands at `path`, is not of this shape.
    pub fn check(&self, value: &Value, path: &Path<'_>, found: &mut Violations) {
        match (self, value) {
            (Self::Any, _)
            | (Self::Text, Value::String(_))
            | (Self::Bool, Value::Bool(_))
            | (Self::Number, Value::Number(_)) => {}
            (Self::Name, Value::String(s)) if !s.is_empty() => {}
            (Self::Checked(_, test), Value::String(s)) if test(s) => {}
            (Self::OneOf(allowed), Value::String(s)) if allowed.contains(&s.as_str()) => {}
            (Self::Count, Value::Number(n)) if n.is_u64() => {}
            (Self::Digests, Value::Object(map)) if !map.is_empty() => digests(map, path, found),
            (Self::List(item) | Self::NonEmpty(item), Value::Array(items))
                if !items.is_empty() || matches!(self, Self::List(_)) =>
            {
                for (index, value) in items.iter().enumerate() {
                    item.check(value, &path.index(index), found);
                }
            }
            (Self::Map(shape), Value::Object(map)) => {
                for (key, value) in map {
                    shape.check(value, &path.key(key), found);
                }
            }
            (Self::Open(fields), Value::Object(map)) => members(fields, map, path, found),
            (Self::Closed(fields), Value::Object(map)) => {
                members(fields, map, path, found);
                for key in map.keys() {
                    if !fields.iter().any(|field| field.name == key) {
                        found.add(&path.key(key), "is no member that the specification has");
                    }
                }
            }
            (Self::TextOr(text, _), Value::String(_)) => text.check(value, path, found),
            (Self::TextOr(_, other), _) => other.check(value, path, found),
            _ => found.add(
                path,
                &format!(
                    "must be {}, found {}",
                    self.expected(),
                    text::excerpt(value)
                ),
            ),
        }
    }

    /// What is expected, in words.
    pub fn expected(&self) -> String {
        match self {
            Self::Any => "any value".into(),
            Self::Text => "text".into(),
            Self::Name => "text that is not empty".into(),
            Self::Checked(what, _) => (*what).into(),
            Self::OneOf(allowed) => text::one_of(allowed.iter().copied()),
            Self::Bool => "true or false".into(),
            Self::Count => "a whole number, not negative".into(),
            Self::Number => "a number".into(),
            Self::Digests => "an object of digests by algorithm, with at least one".into(),
            Self::List(_) => "an array".into(),
            Self::NonEmpty(_) => "an array with at least one entry".into(),
            Self::Map(_) | Self::Open(_) | Self::Closed(_) => "an object".into(),
            Self::TextOr(text, other) => format!("{} or {}", text.expected(), other.expected()),
        }
    }
}

fn members(
    fields: &'static [Field],
    map: &Map<String, Value>,
    path: &Path<'_>,
    found: &mut Violations,
) {
    for field in fields {
        let at = path.key(field.name);
        match map.get(field.name) {
            Some(Value::Null) if field.nullable => {}
            Some(value) => field.shape.check(value, &at, found),
            None if field.required => {
                found.add(&at, &format!("is required: {}", field.shape.expected()));
            }
            None => {}
        }
    }
}

fn digests(map: &Map<String, Value>, path: &Path<'_>, found: &mut Violations) {
    for (algorithm, value) in map {
        let at = path.key(algorithm);
        match value {
            Value::String(s) if Algorithm::from_name(algorithm).is_some() => {
                if let Err(error) = Digest::from_hex(algorithm, s) {
                    found.add(&at, &error.to_string());
                }
            }
            // Others' algorithms may stand there; obreia never matches by them.
            Value::String(s) if !s.is_empty() => {}
            _ => found.add(
                &at,
                &format!("must be a digest in hex, found {}", text::excerpt(value)),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POINT: Shape = Shape::Closed(&[
        required("at", &TIME),
        optional("by", &URI),
        nullable("digest", &Shape::Digests),
        optional("tags", &Shape::NonEmpty(&Shape::OneOf(&["a", "b"]))),
    ]);

    fn found(value: &Value) -> Vec<(String, String)> {
        let mut found = Violations::default();
        POINT.check(value, &Path::ROOT, &mut found);
        found
            .listed()
            .iter()
            .map(|v| (v.path.clone(), v.reason.clone()))
            .collect()
    }

    #[test]
    fn accepts() {
        let value =
            json!({"at": "2026-11-21T10:00:00Z", "by": "pkg:npm/a", "digest": null, "tags": ["a"]});
        assert_eq!(found(&value), []);
    }

    #[test]
    fn names_the_place_and_what_was_expected() {
        let value = json!({
            "by": "nowhere", "digest": {"sha256": "AB", "gitCommit": 1},
            "tags": ["a", "c"], "a/b": 1,
        });
        let found = found(&value);
        let paths: Vec<_> = found.iter().map(|(p, _)| p.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/at",
                "/by",
                "/digest/gitCommit",
                "/digest/sha256",
                "/tags/1",
                "/a~1b"
            ]
        );
        assert!(
            found[0].1.starts_with("is required: an RFC 3339 time"),
            "{found:?}"
        );
        assert_eq!(found[4].1, "must be one of a, b, found \"c\"");
    }

    #[test]
    fn refuses_other_types() {
        for value in [json!(1), json!([]), json!("x"), json!(null)] {
            assert_eq!(found(&value)[0].0, "/", "{value}");
        }
        for tags in [json!([]), json!("a"), json!({"a": 1})] {
            let value = json!({"at": "2026-11-21T10:00:00Z", "tags": tags});
            assert_eq!(found(&value)[0].0, "/tags", "{tags}");
        }
    }
}
