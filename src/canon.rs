//! JSON with one reading: strict parsing of untrusted text, and one canonical form.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits;

/// Why untrusted JSON was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Larger than the limit.
    #[error("JSON is {found} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes found.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Not JSON, truncated, nested too deeply, with a key twice, or not of the expected shape.
    #[error("{0}")]
    Malformed(String),
}

/// Parses untrusted JSON as a tree.
///
/// Refuses what two parsers may read differently: an object with the same key
/// twice, anything after the value, and nesting deeper than
/// [`limits::DEPTH`].
///
/// # Errors
/// `TooLarge` over `limit` bytes, otherwise `Malformed` with line and column.
pub fn parse(bytes: &[u8], limit: u64) -> Result<Value, JsonError> {
    if bytes.len() as u64 > limit {
        return Err(JsonError::TooLarge {
            found: bytes.len() as u64,
            limit,
        });
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }
        .deserialize(&mut reader)
        .map_err(|e| JsonError::Malformed(e.to_string()))?;
    reader
        .end()
        .map_err(|e| JsonError::Malformed(e.to_string()))?;
    Ok(value)
}

/// Parses untrusted JSON into `T`, as strictly as [`parse`].
///
/// # Errors
/// As [`parse`]; `Malformed` too when the tree is not a `T`.
pub fn parse_as<T: DeserializeOwned>(bytes: &[u8], limit: u64) -> Result<T, JsonError> {
    serde_json::from_value(parse(bytes, limit)?).map_err(|e| JsonError::Malformed(e.to_string()))
}

/// The canonical bytes of a tree: keys sorted by code point, no white space.
///
/// This is RFC 8785 but for its number form; obreia's own documents hold
/// integers and texts only.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            out.push(b'{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(Value::String(key.clone()).to_string().as_bytes());
                out.push(b':');
                write_canonical(&map[key], out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= limits::DEPTH {
            return Err(E::custom(format_args!(
                "nested deeper than {} levels",
                limits::DEPTH
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number is not finite"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(inner)?;
            if map.contains_key(&key) {
                return Err(serde::de::Error::custom(format_args!(
                    "key {key:?} stands twice in one object"
                )));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_key_twice() {
        let err = parse(br#"{"a":{"b":1,"b":2}}"#, 100).unwrap_err();
        assert!(err.to_string().contains("\"b\" stands twice"), "{err}");
    }

    #[test]
    fn refuses_depth_size_and_rest() {
        let deep = [b"[".repeat(200), b"]".repeat(200)].concat();
        assert!(
            parse(&deep, 1000)
                .unwrap_err()
                .to_string()
                .contains("nested deeper")
        );
        assert_eq!(
            parse(b"[1]", 2),
            Err(JsonError::TooLarge { found: 3, limit: 2 })
        );
        assert!(parse(b"{} {}", 100).is_err());
        assert!(parse(b"{\"a\":", 100).is_err());
    }

    #[test]
    fn canonical_sorts_at_every_level() {
        let value = parse(br#"{ "b": [ {"d":1,"c":"x\n"} ], "a": null }"#, 100).unwrap();
        assert_eq!(canonical(&value), br#"{"a":null,"b":[{"c":"x\n","d":1}]}"#);
    }
}
