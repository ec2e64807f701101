//! Verdicts, and how one explains itself.

use serde::{Serialize, Serializer};

use super::facts::ArtifactFact;
use super::reason::Reason;
use super::stage::Stage;
use crate::digest::Digest;
use crate::time::Timestamp;

/// The three answers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every policy was met by what was verified.
    Allowed,
    /// A proven violation.
    Denied,
    /// A look-up failed and what was verified does not suffice.
    Undetermined,
}

impl Outcome {
    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Undetermined => "undetermined",
        }
    }

    /// The verdict over several artifacts or policies: one denial denies, one
    /// doubt leaves all in doubt, and only all allowed is allowed.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Denied, _) | (_, Self::Denied) => Self::Denied,
            (Self::Undetermined, _) | (_, Self::Undetermined) => Self::Undetermined,
            (Self::Allowed, Self::Allowed) => Self::Allowed,
        }
    }
}

/// A policy by name and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyId {
    /// `metadata.name`, or `--key` for the policy that a bare key stands for.
    pub name: String,
    /// SHA-256 of its canonical form with all it includes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// What became of one piece of evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvidenceReport {
    /// Where it came from.
    pub origin: String,
    /// `signature`, `attestation` or `unreadable`.
    pub kind: &'static str,
    /// Predicate type, where it is a readable attestation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// The authority and key whose signature it verified as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Whether it verified.
    pub verified: bool,
    /// Why not, or what is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// How near it came: what would have to differ. Shown by `--explain`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near_miss: Vec<String>,
}

/// The answer about one artifact: `obreia.verdict/v1`.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// `obreia.verdict/v1`.
    pub schema: SchemaName,
    /// The answer.
    #[serde(rename = "verdict")]
    pub outcome: Outcome,
    /// What it is about.
    pub artifact: ArtifactFact,
    /// Where it was asked for.
    pub stage: Stage,
    /// The policies that were held against it.
    #[serde(rename = "policy")]
    pub policies: Vec<PolicyId>,
    /// Why; empty only where everything was met without remark.
    pub reasons: Vec<Reason>,
    /// What is worth knowing and did not decide.
    pub notes: Vec<Reason>,
    /// Every piece of evidence and what became of it.
    pub evidence: Vec<EvidenceReport>,
    /// What would have to differ for the policies to be met, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<String>,
    /// Files of a model that no signature covers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsigned_files: Vec<String>,
    /// Whether a policy that only warns would have denied.
    pub would_deny: bool,
    /// Of an index, what holds for each image below it by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Verdict>,
    /// The time the decision was made for.
    pub checked_at: Timestamp,
    /// What each policy said, by its name.
    #[serde(skip)]
    pub by_policy: Vec<ByPolicy>,
}

/// What one of several policies said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByPolicy {
    /// Its name.
    pub policy: String,
    /// What it said.
    pub outcome: Outcome,
    /// Whether it only warns, and would have denied.
    pub would_deny: bool,
}

/// The schema name, always the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaName;

impl Serialize for SchemaName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("obreia.verdict/v1")
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Allowed, Denied, Undetermined};

    #[test]
    fn order_of_verdicts() {
        assert_eq!(Allowed.and(Allowed), Allowed);
        assert_eq!(Allowed.and(Undetermined), Undetermined);
        assert_eq!(Undetermined.and(Denied), Denied);
        assert_eq!(Denied.and(Allowed), Denied);
    }
}
