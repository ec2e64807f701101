//! Policy documents as files hold them: parsed, and nothing looked up yet.

mod cluster;
mod emit;
mod native;
mod yaml;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{Place, PolicyError};
use super::pattern::{Glob, Pattern};
use crate::crypto::{PublicKey, sha256};
use crate::limits;
use crate::time::Span;
use crate::trust::TrustedKey;
use crate::verify::{SignatureFormat, Stage};

/// Most documents in one file.
const DOCUMENTS: usize = 64;

/// One policy document: what it says, and which keys and rules it names.
///
/// Both kinds load into this type: obreia's own `VerificationPolicy`
/// (`docs/policy.md`) and sigstore's `ClusterImagePolicy`.
#[derive(Clone, Debug)]
pub struct Document {
    pub(super) at: Place,
    pub(super) dialect: Dialect,
    pub(super) name: String,
    pub(super) matches: Vec<Pattern>,
    pub(super) stages: Vec<Stage>,
    pub(super) authorities: Vec<AuthoritySource>,
    /// One suffices; a `VerificationPolicy` has exactly one.
    pub(super) clauses: Vec<ClauseSource>,
    pub(super) binding: Option<Binding>,
    pub(super) ignore_paths: Vec<String>,
    pub(super) signed_time: bool,
    pub(super) rules: Option<RulesSource>,
    pub(super) mode: Mode,
    pub(super) mutable_allowed: bool,
    pub(super) of_index: OfIndex,
    tree: Value,
}

/// What kind of document it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `apiVersion: obreia/v1`, `kind: VerificationPolicy`.
    VerificationPolicy,
    /// `apiVersion: policy.sigstore.dev/…`, `kind: ClusterImagePolicy`.
    ClusterImagePolicy,
}

/// What a policy does when it is not met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Denies.
    #[default]
    Enforce,
    /// Allows, and says that it would have denied.
    Warn,
}

/// What of an index must meet a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfIndex {
    /// The index itself, whose digest stands for all below it.
    #[default]
    Index,
    /// The image for the platform that was selected.
    Platform,
    /// Every image below it.
    Every,
}

/// Something that a document names and that has to be fetched for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// The public keys behind a key reference: a `kms://` or provider URI, or
    /// the file of a public key, relative to the policy's folder.
    Key(String),
    /// A file of Rego, relative to the policy's folder.
    Rules(String),
    /// A file of certificates, or a folder of such files, relative to the
    /// policy's folder.
    Certificates(String),
}

#[derive(Clone, Debug)]
pub(super) struct AuthoritySource {
    pub(super) name: String,
    pub(super) keys: Vec<KeySource>,
    pub(super) certificates: Option<CertificatesSource>,
}

#[derive(Clone, Debug)]
pub(super) struct CertificatesSource {
    pub(super) roots: Vec<CertificateSource>,
    pub(super) signing_authority_roots: Vec<CertificateSource>,
    pub(super) timestamp_roots: Vec<CertificateSource>,
    pub(super) subjects: Vec<String>,
    pub(super) at: Place,
    pub(super) field: String,
}

impl CertificatesSource {
    /// Each list by the name that it has in a document.
    pub(super) fn lists(&self) -> [(&'static str, &[CertificateSource]); 3] {
        [
            ("roots", &self.roots),
            ("signingAuthorityRoots", &self.signing_authority_roots),
            ("timestampRoots", &self.timestamp_roots),
        ]
    }
}

#[derive(Clone, Debug)]
pub(super) enum CertificateSource {
    Inline {
        pem: String,
        field: String,
    },
    Reference {
        text: String,
        at: Place,
        field: String,
    },
}

#[derive(Clone, Debug)]
pub(super) enum KeySource {
    Public(Box<TrustedKey>),
    Reference {
        text: String,
        at: Place,
        field: String,
    },
}

#[derive(Clone, Debug)]
pub(super) struct ClauseSource {
    pub(super) signatures: SignatureRule,
    pub(super) attestations: Vec<AttestationSource>,
}

/// Which signatures count, and how many are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRule {
    /// Names of authorities.
    pub from: Vec<String>,
    /// Distinct keys needed; 0 asks for no signature.
    pub threshold: usize,
    /// Formats that count.
    pub formats: Vec<SignatureFormat>,
    /// How old one may be, by a trusted time.
    pub max_age: Option<Span>,
}

#[derive(Clone, Debug)]
pub(super) struct AttestationSource {
    pub(super) kind: String,
    pub(super) uri: String,
    pub(super) from: Vec<String>,
    pub(super) max_age: Option<(String, Span)>,
    pub(super) rules: Option<RulesSource>,
}

/// What a signed claim must name.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Names of authorities.
    pub from: Vec<String>,
    /// The repository.
    pub repository: Option<String>,
    /// The stage.
    pub stage: Option<String>,
    /// Whose verification summaries count (`verifier.id`).
    pub verifiers: Vec<String>,
    /// Resource URIs of verification summaries that meet the binding whole.
    pub resource_uri: Option<ResourcePattern>,
}

/// A pattern for the `resourceUri` of a verification summary.
#[derive(Clone, Debug)]
pub struct ResourcePattern {
    pub(super) glob: Glob,
}

/// The syntax of a Rego module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Syntax {
    /// OPA 1.0: `allow if { … }`.
    V1,
    /// The older one: `allow { … }`.
    V0,
}

#[derive(Clone, Debug)]
pub(super) struct RulesSource {
    pub(super) at: Place,
    pub(super) field: String,
    pub(super) syntax: Option<Syntax>,
    pub(super) text: RulesText,
}

#[derive(Clone, Debug)]
pub(super) enum RulesText {
    File(String),
    Inline { name: String, rego: String },
}

#[derive(Deserialize)]
struct Probe {
    #[serde(rename = "apiVersion", default)]
    api_version: String,
    #[serde(default)]
    kind: String,
}

pub use emit::to_yaml;

/// Reads a file of exactly one document, as strictly as a policy.
pub(super) fn read_one<T: DeserializeOwned>(file: &str, yaml: &[u8]) -> Result<T, PolicyError> {
    match segments(file, yaml, 1)?.as_slice() {
        [segment] => {
            let _tree: Value = segment.read(file)?;
            segment.read(file)
        }
        _ => unreachable!("exactly one document was asked for"),
    }
}

fn segments(file: &str, yaml: &[u8], limit: usize) -> Result<Vec<yaml::Segment>, PolicyError> {
    if yaml.len() as u64 > limits::POLICY {
        return Err(PolicyError::TooLarge {
            file: file.to_owned(),
            found: yaml.len() as u64,
            limit: limits::POLICY,
        });
    }
    let text = std::str::from_utf8(yaml).map_err(|_| PolicyError::NotText {
        file: file.to_owned(),
    })?;
    let segments = yaml::segments(text.trim_start_matches('\u{feff}'));
    if segments.is_empty() || segments.len() > limit {
        return Err(PolicyError::Count {
            file: file.to_owned(),
            found: segments.len(),
            limit,
        });
    }
    Ok(segments)
}

impl Document {
    /// Parses every document of a file; `file` is its name in errors.
    ///
    /// Strict: an unknown or repeated key, an anchor, more than
    /// [`limits::DEPTH`] levels or [`limits::POLICY`] bytes are refused.
    /// Nothing is looked up: [`Document::wants`] says what is needed.
    ///
    /// # Errors
    /// `PolicyError` with file, line and field.
    pub fn parse(file: &str, yaml: &[u8]) -> Result<Vec<Self>, PolicyError> {
        segments(file, yaml, DOCUMENTS)?
            .iter()
            .map(|segment| Self::read(file, segment))
            .collect()
    }

    fn read(file: &str, segment: &yaml::Segment) -> Result<Self, PolicyError> {
        // The tree first: it bounds the input and refuses a key twice anywhere,
        // also where the typed reading would pass over it.
        let tree: Value = segment.read(file)?;
        let probe: Probe = segment.read(file)?;
        let at = Place {
            file: file.to_owned(),
            line: segment.line,
            column: 0,
        };
        match (probe.api_version.as_str(), probe.kind.as_str()) {
            ("obreia/v1", "VerificationPolicy") => native::read(at, segment, tree),
            (
                "policy.sigstore.dev/v1beta1" | "policy.sigstore.dev/v1alpha1",
                "ClusterImagePolicy",
            ) => cluster::read(at, segment, tree),
            (version, kind) => {
                let shown = |s: &str| s.chars().take(64).collect::<String>();
                Err(PolicyError::Yaml {
                    at,
                    detail: format!(
                        "apiVersion {:?} with kind {:?} is not a policy: obreia/v1 VerificationPolicy, or policy.sigstore.dev/v1beta1 (v1alpha1) ClusterImagePolicy",
                        shown(version),
                        shown(kind)
                    ),
                })
            }
        }
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which of the two kinds of documents it is.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The file and line where it begins.
    pub const fn place(&self) -> &Place {
        &self.at
    }

    /// What a policy does when it is not met.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The stages that it speaks at.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The document as a tree, as it was written.
    pub const fn tree(&self) -> &Value {
        &self.tree
    }

    /// The public keys that stand in the document itself.
    pub fn held_keys(&self) -> impl Iterator<Item = &TrustedKey> {
        let keys = self
            .authorities
            .iter()
            .flat_map(|authority| &authority.keys);
        keys.filter_map(|key| match key {
            KeySource::Public(key) => Some(key.as_ref()),
            KeySource::Reference { .. } => None,
        })
    }

    /// What has to be fetched before it can be compiled, each once, sorted.
    pub fn wants(&self) -> Vec<Want> {
        let keys = self.authorities.iter().flat_map(|a| &a.keys);
        let keys = keys.filter_map(|key| match key {
            KeySource::Reference { text, .. } => Some(Want::Key(text.clone())),
            KeySource::Public(_) => None,
        });
        let clauses = self.clauses.iter().flat_map(|c| &c.attestations);
        let rules = clauses
            .filter_map(|a| a.rules.as_ref())
            .chain(&self.rules)
            .filter_map(|rules| match &rules.text {
                RulesText::File(path) => Some(Want::Rules(path.clone())),
                RulesText::Inline { .. } => None,
            });
        let certificates = self
            .authorities
            .iter()
            .filter_map(|a| a.certificates.as_ref())
            .flat_map(|c| c.lists().into_iter().flat_map(|(_, list)| list))
            .filter_map(|source| match source {
                CertificateSource::Reference { text, .. } => Some(Want::Certificates(text.clone())),
                CertificateSource::Inline { .. } => None,
            });
        let mut wants: Vec<_> = keys.chain(rules).chain(certificates).collect();
        wants.sort_unstable();
        wants.dedup();
        wants
    }

    /// The same with a key of nobody's in the place of every key reference, for
    /// cases: facts say whose signature holds, so no key is ever tried.
    pub(super) fn with_supposed_keys(mut self) -> Self {
        for key in self.authorities.iter_mut().flat_map(|a| &mut a.keys) {
            if let KeySource::Reference { text, .. } = key
                && let Some(supposed) = supposed_key(text)
            {
                *key = KeySource::Public(Box::new(supposed));
            }
        }
        self
    }

    /// Whether it names no key or certificate that has to be looked up, so that
    /// it can be used without a KMS: what `obreia policy lock` makes of it.
    pub fn is_locked(&self) -> bool {
        let rules = |want: &Want| matches!(want, Want::Rules(_));
        self.wants().iter().all(rules)
    }
}

/// A key of the right shape that signs nothing: its point is a hash.
fn supposed_key(text: &str) -> Option<TrustedKey> {
    let mut der = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").ok()?;
    der.push(4);
    der.extend_from_slice(sha256(text.as_bytes()).bytes());
    der.extend_from_slice(sha256(&[text.as_bytes(), b"/y"].concat()).bytes());
    let public = PublicKey::from_spki_der(&der).ok()?;
    Some(TrustedKey::bare(public, text))
}

#[cfg(test)]
mod tests;
