//! What verification proved. Nothing else reaches a policy.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::Serialize;
use serde_json::{Map, Value};

use super::stage::Stage;
use crate::digest::{Digest, Identity};
use crate::time::Timestamp;

/// A value that verification proved.
///
/// Only this module's parent can make one: the constructor is private to
/// `verify`, and there is no other way in.
///
/// ```compile_fail
/// let forged = obreia::verify::Verified::new(1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(value)
    }

    pub(super) const fn value_mut(&mut self) -> &mut T {
        &mut self.0
    }

    /// The value itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What kind of artifact.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// An OCI manifest or index.
    Image,
    /// An ML model: a directory, or one file.
    Model,
    /// A software bill of materials.
    Sbom,
    /// Any other file.
    Blob,
}

impl ArtifactKind {
    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Model => "model",
            Self::Sbom => "sbom",
            Self::Blob => "blob",
        }
    }
}

/// How a signature was packed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureFormat {
    /// A Sigstore bundle: a message signature, or cosign's `sign/v1` statement.
    Bundle,
    /// An OpenSSF model signature.
    Oms,
    /// A bare signature over the bytes.
    Raw,
    /// cosign's simple signing.
    CosignLegacy,
    /// A Notation signature.
    Notation,
}

/// The key that signed, as the verifier knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignerKey {
    /// Shared by all versions of the key; a threshold counts it once.
    pub id: String,
    /// What people call it.
    pub path: String,
    /// The version that signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// What that version may still do.
    pub state: &'static str,
    /// What else it is known by: signatures with one of these in common are by
    /// one signer.
    #[serde(skip)]
    pub marks: Vec<String>,
}

/// The certificate whose key signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFact {
    /// Whose it is: `C=…, O=…, CN=…`.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its SHA-256.
    pub thumbprint: Digest,
    /// SHA-256 of the trusted certificate that it leads to.
    pub root: Digest,
    /// `notary.x509` or `notary.x509.signingAuthority`.
    pub scheme: &'static str,
    /// From when on the signer does not stand by the signature any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whether it was looked up that the certificates were not revoked: always
    /// `not-checked`.
    pub revocation: &'static str,
}

/// A signature that holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignatureFact {
    /// The policy's name for the signer.
    pub authority: String,
    /// The signer's key.
    pub key: SignerKey,
    /// The format it came in.
    pub format: SignatureFormat,
    /// When it was made, where a trusted source says so.
    pub signed_at: Option<Timestamp>,
    /// Which source said so.
    pub time_source: Option<&'static str>,
    /// The signer's certificate, where that is how it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFact>,
    /// Signed annotations.
    pub claims: Map<String, Value>,
    /// Files of the model that it does not cover; empty for other artifacts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncovered: Vec<String>,
    /// Where the evidence came from.
    pub origin: String,
}

/// An attestation whose signature holds and whose subject is the artifact.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttestationFact {
    /// Predicate type URI.
    #[serde(rename = "type")]
    pub predicate_type: String,
    /// The predicate.
    pub predicate: Value,
    /// The policy's name for the signer.
    pub authority: String,
    /// The signer's key.
    pub key: SignerKey,
    /// When it was made, where a trusted source says so.
    pub signed_at: Option<Timestamp>,
    /// SHA-256 of the statement's bytes.
    pub digest: Digest,
    /// Signed annotations of the subject.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
    /// Where the evidence came from.
    pub origin: String,
}

/// One file of a model, read and hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelFile {
    /// Path inside the model, `/`-separated.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, where the file was hashed whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// What is known of a model by reading it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModelFacts {
    /// All files, sorted by path.
    pub files: Vec<ModelFile>,
    /// Detected formats: `{"path", "format", "code_carrying", …}` each.
    pub formats: Vec<Value>,
    /// Files that no counted signature covers, sorted.
    pub unsigned_files: Vec<String>,
    /// Files that its identity leaves out (`.git/` and the other default
    /// ignores), so that no attestation is about them.
    #[serde(default)]
    pub outside_identity: Vec<String>,
}

/// The artifact, read and hashed by ourselves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArtifactFact {
    /// What kind.
    pub kind: ArtifactKind,
    /// What the operator calls it; evidence never chooses it.
    pub name: String,
    /// What it was read as: `file`, `directory`, `oci-layout`, `registry`, `digest`.
    pub read_as: &'static str,
    /// Its identity.
    pub identity: Identity,
    /// Its digests in every method that was computed, identity included; of a
    /// packed file its manifest's.
    #[serde(serialize_with = "as_digest_set")]
    pub digests: Vec<Identity>,
    /// What is packed in the manifest: a model's `dirHash`, or a file's own digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Identity>,
    /// Size in bytes, where the bytes are at hand.
    pub size: Option<u64>,
    /// `os/architecture[/variant]` of an image manifest, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Media type of an image manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

fn as_digest_set<S: serde::Serializer>(digests: &[Identity], s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(digests.iter().map(|d| (d.method(), d.digest().hex())))
}

/// Everything a policy may see: `obreia.facts/v1`.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// The artifact.
    pub artifact: ArtifactFact,
    /// Where the decision is asked for.
    pub stage: Stage,
    /// Signatures that hold.
    pub signatures: Vec<Verified<SignatureFact>>,
    /// Attestations that hold.
    pub attestations: Vec<Verified<AttestationFact>>,
    /// A model's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelFacts>,
    /// Whether the target can change between verification and use.
    pub mutable: bool,
    /// Manifest-level facts of an image: `config`, `children`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<BTreeMap<String, Value>>,
    /// Present time, nanoseconds since the epoch.
    pub now_ns: i64,
}
