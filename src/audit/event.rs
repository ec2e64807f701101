use serde_json::{Map, Value, json};

use super::Generation;
use crate::canon;
use crate::digest::Digest;
use crate::time::Timestamp;

/// The longest text that is kept of one field, in bytes of JSON: with all its
/// fields a record must fit into an entry of the log, whatever a caller sends.
const FIELD: usize = 3_072;
/// The form of records.
const FORM: u32 = 1;

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

/// One record of the log, without what the log itself adds.
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
    /// The provider's own id of the request; of an outcome only.
    pub provider_request: Option<String>,
    /// The keystore's generation, where one is in use.
    pub generation: Option<u64>,
    /// Whether it is about to make the keystore's generation newer; of an
    /// intent only.
    pub changes_keystore: bool,
}

/// What the log adds to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The record's number, from 0.
    pub(super) seq: u64,
    /// What the records before it tell of the keystore.
    pub(super) generation: Generation,
    /// How many bytes of a write that was never finished were cut off before it.
    pub(super) cut_off: u64,
}

impl Event {
    /// The record as it stands in the log: canonical JSON.
    pub(super) fn record(&self, at: &Position) -> Vec<u8> {
        let mut fields = self.fields();
        fields.insert("v".to_owned(), json!(FORM));
        fields.insert("seq".to_owned(), json!(at.seq));
        // Carried forward, so that the last record alone tells it.
        let Generation { newest, limit } = self.generation_after(at.generation);
        if let Some(newest) = newest {
            fields.insert("newest_generation".to_owned(), json!(newest));
        }
        if let Some(limit) = limit {
            fields.insert("generation_limit".to_owned(), json!(limit));
        }
        if at.cut_off > 0 {
            fields.insert("cut_off".to_owned(), json!(at.cut_off));
        }
        canon::canonical(&Value::Object(fields))
    }

    /// What the log knows of the keystore after this event.
    pub(super) fn generation_after(&self, before: Generation) -> Generation {
        let limit = before.limit.max(self.generation);
        Generation {
            newest: before.newest.max(self.generation),
            limit: if self.changes_keystore {
                Some(limit.unwrap_or(0).saturating_add(1))
            } else {
                limit
            },
        }
    }

    fn fields(&self) -> Map<String, Value> {
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
        put(
            "provider_request",
            optional(self.provider_request.as_deref()),
        );
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

/// The text, cut where its JSON would grow too long, and marked so.
fn bounded(text: &str) -> Value {
    let mut room = FIELD;
    for (at, c) in text.char_indices() {
        let takes = match c {
            '"' | '\\' => 2,
            c if c < ' ' => 6,
            c => c.len_utf8(),
        };
        if takes > room {
            return Value::String(format!("{}…", &text[..at]));
        }
        room -= takes;
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::MAX_ENTRY;

    #[test]
    fn whatever_is_in_it_a_record_fits_into_an_entry() {
        for text in ["\u{1}", "ü", "\"", "x", "\u{10ffff}"] {
            let text = text.repeat(100_000);
            let all = || Some(text.clone());
            let event = Event {
                time: Timestamp::from_secs(0),
                phase: Phase::Outcome,
                request_id: text.clone(),
                front: text.clone(),
                caller: text.clone(),
                method: text.clone(),
                operation: text.clone(),
                key: Some(KeyRecord {
                    id: all(),
                    path: text.clone(),
                    uri: all(),
                    version: Some(u32::MAX),
                }),
                provider: all(),
                decision: text.clone(),
                rule: text.clone(),
                payload: Some(crate::crypto::sha256(b"")),
                result: all(),
                latency_us: Some(u64::MAX),
                provider_request: all(),
                generation: Some(u64::MAX),
                changes_keystore: true,
            };
            let record = event.record(&Position {
                seq: u64::MAX,
                generation: Generation::default(),
                cut_off: u64::MAX,
            });
            assert!(record.len() < MAX_ENTRY, "{}", record.len());
            let read = canon::parse(&record, MAX_ENTRY as u64).unwrap();
            assert_eq!(canon::canonical(&read), record);
            assert!(read["caller"].as_str().unwrap().ends_with('…'));
        }
    }
}
