//! OpenSSF model signatures: the statement and the bundle as `model-signing`
//! 1.x writes and reads them.

mod error;
mod read;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;

use serde_json::{Value, json};

pub use self::error::ManifestError;
use super::manifest::{Method, ModelManifest};
use crate::bundle::{Bundle, Content};
use crate::crypto::{KeyKind, PublicKey};
use crate::digest::Identity;
use crate::dsse::{Envelope, IN_TOTO};
use crate::statement::{MODEL_SIGNATURE, Statement, Subject};

/// Predicate type of model-signing before 1.0: the files are the subjects, and nothing else is stated.
pub const DIGESTS_V01: &str = "https://model_signing/Digests/v0.1";

/// Whether model-signing verifies signatures by keys of that kind.
pub const fn fits(kind: KeyKind) -> bool {
    matches!(kind, KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521)
}

/// The bundle that model-signing reads: `signature` is over the [`crate::dsse::pae`] of `payload`.
pub fn bundle(payload: Vec<u8>, signature: Vec<u8>, key: &PublicKey) -> Bundle {
    Bundle::by_key(
        key.model_signing_hint(),
        Content::Envelope(Envelope {
            payload_type: IN_TOTO.to_owned(),
            payload,
            signature,
            keyid: String::new(),
        }),
    )
}

/// Whether a statement of that type is a model signature.
pub fn is_model_signature(predicate_type: &str) -> bool {
    predicate_type == MODEL_SIGNATURE || predicate_type == DIGESTS_V01
}

impl ModelManifest {
    /// The statement to sign.
    pub fn to_statement(&self) -> Statement {
        let algorithm = match self.method {
            Method::Files => "sha256".to_owned(),
            Method::Shards(size) => sharded(size),
        };
        let resources: Vec<Value> = self
            .resources
            .iter()
            .map(|resource| {
                let name = match resource.range {
                    None => resource.path.clone(),
                    Some((start, end)) => format!("{}:{start}:{end}", resource.path),
                };
                json!({"name": name, "algorithm": algorithm, "digest": resource.digest.hex()})
            })
            .collect();
        let mut serialization = json!({
            "method": match self.method {
                Method::Files => "files",
                Method::Shards(_) => "shards",
            },
            "hash_type": "sha256",
            "allow_symlinks": self.allow_symlinks,
        });
        if let Method::Shards(size) = self.method {
            serialization["shard_size"] = size.get().into();
        }
        if !self.ignore_paths.is_empty() {
            serialization["ignore_paths"] = json!(self.ignore_paths);
        }
        let root = Identity::Content(self.root_digest());
        Statement::new(
            vec![Subject::new(&self.name, &root)],
            MODEL_SIGNATURE,
            json!({"serialization": serialization, "resources": resources}),
        )
    }
}

fn sharded(size: NonZeroU64) -> String {
    format!("sha256-sharded-{size}")
}
