//! Sigstore bundles (protobuf-specs, `sigstore_bundle.proto`): v0.3 is
//! written, v0.1 to v0.3 are read.

mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::canon::{self, JsonError};
use crate::digest::{Digest, DigestError};
use crate::dsse::{Envelope, EnvelopeError};
use crate::limits;

/// The media type that is written.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Whether `media_type` names a bundle of any version that is read.
pub fn is_bundle_media_type(media_type: &str) -> bool {
    media_type == MEDIA_TYPE
        || media_type
            .strip_prefix("application/vnd.dev.sigstore.bundle+json;version=")
            .is_some_and(|v| matches!(v, "0.1" | "0.2" | "0.3"))
}

/// A bundle: what was signed, by what, and when; nothing in it is proved yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The media type that was read.
    pub media_type: String,
    /// What the signature is to be checked with.
    pub material: Material,
    /// What was signed.
    pub content: Content,
    /// Transparency log entries, as given.
    pub tlog_entries: Vec<serde_json::Value>,
    /// RFC 3161 `TimeStampResp`, DER.
    pub timestamps: Vec<Vec<u8>>,
}

/// What the signer says that its signature is to be checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Material {
    /// A key that the verifier must already know.
    PublicKey {
        /// The signer's hint at the key: base64 or hex of a hash, or free text; may be empty.
        hint: String,
    },
    /// A certificate, leaf first, DER.
    Certificates(Vec<Vec<u8>>),
}

/// What was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The artifact's own bytes.
    Message {
        /// The digest that the signer states: a hint, never trusted.
        digest: Option<Digest>,
        /// The signature.
        signature: Vec<u8>,
    },
    /// A statement about it.
    Envelope(Envelope),
}

impl Bundle {
    /// A v0.3 bundle signed by a key that the verifier knows.
    pub fn by_key(hint: String, content: Content) -> Self {
        Self {
            media_type: MEDIA_TYPE.to_owned(),
            material: Material::PublicKey { hint },
            content,
            tlog_entries: Vec::new(),
            timestamps: Vec::new(),
        }
    }

    /// Parses untrusted JSON.
    ///
    /// # Errors
    /// `BundleError`, for anything that is not exactly one readable bundle.
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        let wire: wire::Bundle = canon::parse_as(json, limits::BUNDLE)?;
        wire.try_into()
    }

    /// The bundle as JSON, one line, without a newline at the end.
    pub fn to_json(&self) -> Vec<u8> {
        match serde_json::to_vec(&wire::Bundle::from(self)) {
            Ok(json) => json,
            Err(_) => unreachable!("texts and lists always serialise"),
        }
    }

    /// The signature's bytes.
    pub fn signature(&self) -> &[u8] {
        match &self.content {
            Content::Message { signature, .. } => signature,
            Content::Envelope(envelope) => &envelope.signature,
        }
    }
}

/// Why a bundle was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not JSON of the expected shape.
    #[error("not a bundle: {0}")]
    Json(#[from] JsonError),
    /// A media type that is not a known version.
    #[error("bundle media type {0:?} is not one of v0.1, v0.2, v0.3")]
    MediaType(String),
    /// No public key and no certificate, or both.
    #[error(
        "verificationMaterial holds {0} of publicKey, certificate and x509CertificateChain, exactly one is accepted"
    )]
    Material(usize),
    /// No signature, or both kinds.
    #[error("the bundle holds {0} of messageSignature and dsseEnvelope, exactly one is accepted")]
    Content(usize),
    /// Not padded standard base64.
    #[error("{field} is not base64")]
    Base64 {
        /// The field's name.
        field: &'static str,
    },
    /// An empty field that must not be.
    #[error("{field} is empty")]
    Empty {
        /// The field's name.
        field: &'static str,
    },
    /// A `messageDigest` of an unknown algorithm or of the wrong length.
    #[error("messageDigest: {0}")]
    MessageDigest(DigestError),
    /// The envelope inside was refused.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, BundleError> {
    STANDARD
        .decode(text)
        .map_err(|_| BundleError::Base64 { field })
}
