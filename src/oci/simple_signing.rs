use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::canon::{self, JsonError};
use crate::digest::Digest;
use crate::limits;

/// What a payload says that it is.
const KIND: &str = "cosign container image signature";

/// The payload of cosign's signatures before bundles ("simple signing"): the
/// very bytes that are signed.
#[derive(Clone, Debug, PartialEq)]
pub struct SimpleSigning {
    /// What the signer calls the image; no verifier of cosign's looks at it.
    pub reference: String,
    /// The manifest that is signed.
    pub digest: Digest,
    /// Signed notes.
    pub optional: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    critical: Critical,
    #[serde(default)]
    optional: Option<Map<String, Value>>,
}

/// A field that a reader does not know must not be passed over here.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: Digest,
}

impl SimpleSigning {
    /// Parses an untrusted payload.
    ///
    /// # Errors
    /// `SimpleSigningError` for anything that is not exactly such a payload.
    pub fn parse(payload: &[u8]) -> Result<Self, SimpleSigningError> {
        let wire: Wire = canon::parse_as(payload, limits::SIMPLE_SIGNING)?;
        if wire.critical.kind != KIND {
            let kind = wire.critical.kind.chars().take(128).collect();
            return Err(SimpleSigningError::Kind(kind));
        }
        Ok(Self {
            reference: wire.critical.identity.reference,
            digest: wire.critical.image.digest,
            optional: wire.optional.unwrap_or_default(),
        })
    }

    /// The bytes to sign: compact, in the order in which cosign writes them.
    pub fn to_json(&self) -> Vec<u8> {
        let wire = Wire {
            critical: Critical {
                identity: Identity {
                    reference: self.reference.clone(),
                },
                image: Image {
                    digest: self.digest,
                },
                kind: KIND.to_owned(),
            },
            optional: Some(self.optional.clone()).filter(|notes| !notes.is_empty()),
        };
        match serde_json::to_vec(&wire) {
            Ok(json) => json,
            Err(_) => unreachable!("texts and JSON always serialise"),
        }
    }
}

/// Why bytes are no such payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimpleSigningError {
    /// Not JSON of the expected shape.
    #[error("not a simple-signing payload: {0}")]
    Json(#[from] JsonError),
    /// Another `critical.type`.
    #[error("the payload's critical.type is {0:?}, expected {KIND:?}")]
    Kind(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As cosign 3.1.3 writes it with `--new-bundle-format=false`.
    const THEIRS: &str = r#"{"critical":{"identity":{"docker-reference":"127.0.0.1:5961/t/a"},"image":{"docker-manifest-digest":"sha256:09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707"},"type":"cosign container image signature"},"optional":null}"#;

    #[test]
    fn theirs_is_read_and_written_byte_for_byte() {
        let payload = SimpleSigning::parse(THEIRS.as_bytes()).unwrap();
        assert_eq!(payload.reference, "127.0.0.1:5961/t/a");
        assert_eq!(payload.optional, Map::new());
        assert_eq!(payload.to_json(), THEIRS.as_bytes());
        let noted = THEIRS.replace("null}", r#"{"k":"v"}}"#);
        let payload = SimpleSigning::parse(noted.as_bytes()).unwrap();
        assert_eq!(payload.optional["k"], "v");
        assert_eq!(payload.to_json(), noted.as_bytes());
    }

    #[test]
    fn what_could_be_read_two_ways_or_is_of_another_kind_is_refused() {
        for (from, to) in [
            ("cosign container", "atomic container"),
            ("\"optional\":null", "\"optional\":[]"),
            ("\"optional\":null", "\"extra\":1"),
            (
                "\"type\":",
                "\"type\":\"cosign container image signature\",\"type\":",
            ),
            ("\"type\":", "\"new\":1,\"type\":"),
            ("docker-manifest-digest", "Docker-manifest-digest"),
            ("sha256:09", "sha256:"),
            ("sha256:09", "md5:09"),
            ("},\"optional\"", ",\"optional\""),
        ] {
            let payload = THEIRS.replacen(from, to, 1);
            assert_ne!(payload, THEIRS);
            assert!(
                SimpleSigning::parse(payload.as_bytes()).is_err(),
                "{payload}"
            );
        }
        let mut long = THEIRS.as_bytes().to_vec();
        long.resize(limits::SIMPLE_SIGNING as usize + 1, b' ');
        let error = SimpleSigning::parse(&long).unwrap_err().to_string();
        assert!(error.contains("the limit is"), "{error}");
    }
}
