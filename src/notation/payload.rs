//! What is signed: a descriptor of the artifact.

use serde_json::{Map, Value};

use super::EnvelopeError;
use crate::canon;
use crate::digest::Digest;
use crate::limits;

/// The artifact that a signature is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Media type of its manifest.
    pub media_type: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Size of its manifest, in bytes.
    pub size: u64,
    /// What the signer noted along.
    pub annotations: Map<String, Value>,
}

impl Target {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, EnvelopeError> {
        let wrong = |why: String| EnvelopeError::Malformed(format!("the payload: {why}"));
        let tree = canon::parse(payload, limits::NOTATION).map_err(|e| wrong(e.to_string()))?;
        let target = tree.get("targetArtifact").and_then(Value::as_object);
        let target = target.ok_or_else(|| wrong("it names no targetArtifact".to_owned()))?;
        let text = |name: &str| {
            let found = target.get(name).and_then(Value::as_str);
            found.ok_or_else(|| wrong(format!("targetArtifact has no {name}")))
        };
        let size = target.get("size").and_then(Value::as_u64);
        let annotations = match target.get("annotations") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) if map.values().all(Value::is_string) => map.clone(),
            Some(_) => return Err(wrong("annotations are not texts by name".to_owned())),
        };
        Ok(Self {
            media_type: text("mediaType")?.to_owned(),
            digest: text("digest")?
                .parse()
                .map_err(|e| wrong(format!("digest: {e}")))?,
            size: size.ok_or_else(|| wrong("targetArtifact has no size".to_owned()))?,
            annotations,
        })
    }
}
