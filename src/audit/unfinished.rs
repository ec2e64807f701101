use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

/// Most of them that are listed; all are counted.
const LISTED: usize = 1_000;

/// An intent without an outcome: it was cut short, or is under way, and
/// nobody knows how far it got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unfinished {
    /// The intent's number in the log.
    pub seq: u64,
    /// When.
    pub time: String,
    /// The request.
    pub request_id: String,
    /// What was to be done.
    #[serde(rename = "op")]
    pub operation: String,
    /// With which key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// By whom.
    pub caller: String,
}

/// Joins intents with their outcomes.
#[derive(Default)]
pub(super) struct Pairs {
    open: HashMap<String, Vec<Unfinished>>,
}

impl Pairs {
    /// Takes one record after the other.
    ///
    /// # Errors
    /// What is wrong with the record: an outcome of what was never begun.
    pub(super) fn take(&mut self, seq: u64, record: &Value) -> Result<(), &'static str> {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let request_id = text("request_id");
        match record["phase"].as_str() {
            Some("intent") => {
                let intent = Unfinished {
                    seq,
                    time: text("time"),
                    operation: text("op"),
                    key: record["key"]["path"].as_str().map(ToOwned::to_owned),
                    caller: text("caller"),
                    request_id: request_id.clone(),
                };
                self.open.entry(request_id).or_default().push(intent);
                Ok(())
            }
            // What custody denies is not begun: it has an outcome alone.
            Some("outcome") if record["decision"] == "deny" => Ok(()),
            Some("outcome") => {
                let operation = text("op");
                let open = self.open.get_mut(&request_id);
                let found = open.and_then(|open| {
                    let at = open.iter().rposition(|one| one.operation == operation)?;
                    Some((open.remove(at), open.is_empty()))
                });
                match found {
                    Some((_, true)) => {
                        self.open.remove(&request_id);
                        Ok(())
                    }
                    Some(_) => Ok(()),
                    None => Err("it is an outcome without an intent before it"),
                }
            }
            _ => Err("it is neither intent nor outcome"),
        }
    }

    /// How many there are, and the newest of them, oldest first.
    pub(super) fn unfinished(self) -> (u64, Vec<Unfinished>) {
        let mut open: Vec<Unfinished> = self.open.into_values().flatten().collect();
        let count = open.len() as u64;
        open.sort_by_key(|one| one.seq);
        open.drain(..open.len().saturating_sub(LISTED));
        (count, open)
    }
}
