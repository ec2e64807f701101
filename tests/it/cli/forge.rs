//! Bundles that no honest signer writes, with signatures that hold.

use std::fs;

use obreia::bundle::{Bundle, Content};
use obreia::crypto::{PrivateKey, sha256};
use obreia::digest::Digest;
use obreia::dsse::{self, Envelope};
use serde_json::{Value, json};

use super::private;

/// A signer who signs whatever a test wants signed.
pub(super) struct Forger(PrivateKey);

impl Forger {
    pub(super) fn of(key: &str) -> Self {
        let pem = fs::read(private(key)).expect("the key");
        Self(PrivateKey::from_pem(&pem).expect("a key"))
    }

    pub(super) fn raw(&self, message: &[u8]) -> Vec<u8> {
        let scheme = self.0.public_key().default_scheme();
        self.0.sign(scheme, message).expect("a signature")
    }

    fn bundle(&self, content: Content) -> Vec<u8> {
        Bundle::by_key(self.0.public_key().sigstore_hint(), content).to_json()
    }

    /// A signature over the bytes themselves, as other tools make with Ed25519 too.
    pub(super) fn message(&self, message: &[u8]) -> Vec<u8> {
        self.stating(message, Some(sha256(message)))
    }

    /// The same with a digest of the forger's choice.
    pub(super) fn stating(&self, message: &[u8], digest: Option<Digest>) -> Vec<u8> {
        self.bundle(Content::Message {
            digest,
            signature: self.raw(message),
        })
    }

    pub(super) fn envelope(&self, payload_type: &str, payload: &[u8]) -> Vec<u8> {
        self.bundle(Content::Envelope(Envelope {
            payload_type: payload_type.to_owned(),
            payload: payload.to_vec(),
            signature: self.raw(&dsse::pae(payload_type, payload)),
            keyid: String::new(),
        }))
    }

    pub(super) fn statement(&self, statement: &Value) -> Vec<u8> {
        self.envelope(dsse::IN_TOTO, statement.to_string().as_bytes())
    }

    /// A statement of that predicate about these bytes.
    pub(super) fn about(&self, bytes: &[u8], predicate_type: &str, predicate: &Value) -> Vec<u8> {
        self.statement(&json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "x", "digest": {"sha256": sha256(bytes).hex()}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }))
    }
}
