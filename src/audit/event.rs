use serde_json::{Map, Value, json};

use crate::digest::Digest;
use crate::time::Timestamp;

/// The longest text that is kept of one field, in bytes: a record must stay
/// bounded whatever a caller sends.
const FIELD: usize = 1_024;

/// Before or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Durable before the key is used; one without an outcome was cut short,
    /// and nobody knows how far it got.
    Intent,
    /// How it ended.
    Outcome,
}

impl Phase {
    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
        }
    }
}

/// The key version that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key's id, once there is one.
    pub id: Option<String>,
    /// `kms://…`, or the file's path.
    pub path: String,
    /// What the provider calls it, where a rule led there from `path`.
    pub uri: Option<String>,
    /// The version, where there is one.
    pub version: Option<u32>,
}

/// One line of the log, without what the log itself adds: number, chain.
///
/// Payloads are never recorded, only their digests.
// req: A2, A3
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// Before or after.
    pub phase: Phase,
    /// Joins the intent with its outcome.
    pub request_id: String,
    /// The face the request came through.
    pub front: String,
    /// Who asked.
    pub caller: String,
    /// How that is known.
    pub method: String,
    /// What was to be done.
    pub operation: String,
    /// With which key.
    pub key: Option<KeyRecord>,
    /// The provider that holds the material.
    pub provider: Option<String>,
    /// `allow` or `deny`.
    pub decision: String,
    /// The rule that decided.
    pub rule: String,
    /// What was signed.
    pub payload: Option<Digest>,
    /// `ok`, `denied` or the kind of failure; of an outcome only.
    pub result: Option<String>,
    /// Microseconds from intent to outcome; of an outcome only.
    pub latency_us: Option<u64>,
    /// The keystore's generation, where one is in use.
    pub generation: Option<u64>,
}

impl Event {
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                fields.insert(name.to_owned(), value);
            }
        };
        put("time", json!(self.time.to_string()));
        put("phase", json!(self.phase.as_str()));
        put("request_id", bounded(&self.request_id));
        put("front", bounded(&self.front));
        put("caller", bounded(&self.caller));
        put("method", bounded(&self.method));
        put("op", bounded(&self.operation));
        put("provider", optional(self.provider.as_deref()));
        put("decision", bounded(&self.decision));
        put("rule", bounded(&self.rule));
        put("payload", json!(self.payload));
        put("result", optional(self.result.as_deref()));
        put("latency_us", json!(self.latency_us));
        put("generation", json!(self.generation));
        if let Some(key) = &self.key {
            let mut record = Map::new();
            record.insert("path".to_owned(), bounded(&key.path));
            if let Some(id) = &key.id {
                record.insert("id".to_owned(), bounded(id));
            }
            if let Some(uri) = &key.uri {
                record.insert("uri".to_owned(), bounded(uri));
            }
            if let Some(version) = key.version {
                record.insert("version".to_owned(), json!(version));
            }
            put("key", Value::Object(record));
        }
        fields
    }
}

fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, bounded)
}

fn bounded(text: &str) -> Value {
    Value::String(text[..text.floor_char_boundary(FIELD)].to_owned())
}
