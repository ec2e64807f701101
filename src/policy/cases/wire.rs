//! The file of cases as YAML has it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::time::Timestamp;
use crate::verify::{ArtifactKind, Outcome, SignatureFormat, Stage};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Suite {
    pub(super) api_version: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) policy: Option<String>,
    pub(super) cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// One document of a file with several.
    #[serde(default)]
    pub(super) policy: Option<String>,
    #[serde(default)]
    pub(super) given: Option<Box<Given>>,
    #[serde(default)]
    pub(super) input: Option<Value>,
    pub(super) expect: Expected,
}

pub(super) enum Question<'a> {
    Facts(&'a Given),
    Input(&'a Value),
}

impl Case {
    pub(super) fn question(&self) -> Question<'_> {
        match (&self.given, &self.input) {
            (Some(given), _) => Question::Facts(given),
            (None, Some(input)) => Question::Input(input),
            (None, None) => Question::Input(&Value::Null),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    Allowed,
    Denied,
    Undetermined,
}

impl Answer {
    pub(super) const fn outcome(self) -> Outcome {
        match self {
            Self::Allowed => Outcome::Allowed,
            Self::Denied => Outcome::Denied,
            Self::Undetermined => Outcome::Undetermined,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Expected {
    pub(super) verdict: Answer,
    /// Codes, all of them and in order; left out: any.
    #[serde(default)]
    pub(super) reasons: Option<Vec<String>>,
    /// Codes that must be among the notes.
    #[serde(default)]
    pub(super) notes: Vec<String>,
    #[serde(default)]
    pub(super) would_deny: bool,
    /// Words that some reason's text must have.
    #[serde(default)]
    pub(super) says: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Given {
    pub(super) artifact: Artifact,
    pub(super) stage: Stage,
    #[serde(default)]
    pub(super) now: Option<Timestamp>,
    #[serde(default)]
    pub(super) signatures: Vec<Signature>,
    #[serde(default)]
    pub(super) attestations: Vec<Attestation>,
    #[serde(default)]
    pub(super) model: Option<Model>,
    #[serde(default)]
    pub(super) mutable: bool,
    #[serde(default)]
    pub(super) image: Option<BTreeMap<String, Value>>,
    /// Codes of look-ups that failed.
    #[serde(default)]
    pub(super) failed: Vec<String>,
    /// Evidence that did not verify.
    #[serde(default)]
    pub(super) evidence: Vec<Rejected>,
    #[serde(default)]
    pub(super) source_of_promotion: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Artifact {
    pub(super) kind: ArtifactKind,
    /// What else it is: an image that holds a model is both.
    #[serde(default)]
    pub(super) also: Vec<ArtifactKind>,
    pub(super) name: String,
    #[serde(default)]
    pub(super) digest: Option<String>,
    #[serde(default)]
    pub(super) size: Option<u64>,
    #[serde(default)]
    pub(super) platform: Option<String>,
    #[serde(default)]
    pub(super) media_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Signature {
    pub(super) authority: String,
    #[serde(default)]
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) version: Option<u32>,
    #[serde(default)]
    pub(super) format: Option<SignatureFormat>,
    #[serde(default)]
    pub(super) signed_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) claims: Map<String, Value>,
    #[serde(default)]
    pub(super) uncovered: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Attestation {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) authority: String,
    #[serde(default)]
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) predicate: Value,
    #[serde(default)]
    pub(super) signed_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) claims: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Model {
    #[serde(default)]
    pub(super) files: Vec<File>,
    #[serde(default)]
    pub(super) formats: Vec<Value>,
    #[serde(default)]
    pub(super) unsigned_files: Vec<String>,
    #[serde(default)]
    pub(super) outside_identity: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) path: String,
    #[serde(default)]
    pub(super) size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejected {
    pub(super) kind: RejectedKind,
    pub(super) reason: String,
    #[serde(default, rename = "type")]
    pub(super) predicate_type: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RejectedKind {
    Signature,
    Attestation,
    Unreadable,
}
