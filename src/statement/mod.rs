//! in-toto statements (in-toto attestation framework, Statement v1).

pub mod predicate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::canon::{self, JsonError};
use crate::digest::{Algorithm, Digest, Identity};
use crate::limits;

/// `_type` of the statements that are written.
pub const TYPE_V1: &str = "https://in-toto.io/Statement/v1";
/// `_type` of the statements before; written where older verifiers read.
pub const TYPE_V01: &str = "https://in-toto.io/Statement/v0.1";

/// Predicate type of cosign 3's image signatures.
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// Predicate type of OpenSSF model signatures.
pub const MODEL_SIGNATURE: &str = "https://model_signing/signature/v1.0";

/// A statement: a predicate about subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    /// [`TYPE_V1`], or the older v0.1 when read.
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about; matched by digest alone.
    pub subject: Vec<Subject>,
    /// What kind of predicate follows.
    pub predicate_type: String,
    /// The predicate, not interpreted here.
    #[serde(default)]
    pub predicate: Value,
}

/// A `ResourceDescriptor` used as a subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// A name for people; never used to match.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Digests by algorithm name. One that matches suffices, and none may contradict.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
    /// Signed notes about the subject.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub annotations: Map<String, Value>,
}

impl Subject {
    /// A subject with one digest and, where it is not empty, a name.
    pub fn new(name: &str, identity: &Identity) -> Self {
        Self {
            name: name.to_owned(),
            digest: BTreeMap::from([(identity.method().to_owned(), identity.digest().hex())]),
            annotations: Map::new(),
        }
    }

    /// Whether this subject is the artifact with these identities: at least one
    /// digest in common, and none of a method that is known here and says
    /// something else. An artifact may have two identities of one method: a
    /// packed file has its own digest and its manifest's.
    pub fn is(&self, known: &[Identity]) -> bool {
        let mut agreed = false;
        for (method, hex) in &self.digest {
            let mut ours = known.iter().filter(|i| i.method() == method).peekable();
            if ours.peek().is_none() {
                continue;
            }
            if !ours.any(|i| i.digest().hex() == *hex) {
                return false;
            }
            agreed = true;
        }
        agreed
    }
}

impl Statement {
    /// A v1 statement.
    pub fn new(subject: Vec<Subject>, predicate_type: &str, predicate: Value) -> Self {
        Self {
            kind: TYPE_V1.to_owned(),
            subject,
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Parses an envelope's payload.
    ///
    /// # Errors
    /// `StatementError` where it is not a statement, has no subject, a subject
    /// without digest, or a digest of the wrong length for its algorithm.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let statement: Self = canon::parse_as(payload, limits::STATEMENT)?;
        if statement.kind != TYPE_V1 && statement.kind != TYPE_V01 {
            return Err(StatementError::Type(
                statement.kind.chars().take(128).collect(),
            ));
        }
        if statement.predicate_type.is_empty() {
            return Err(StatementError::NoPredicateType);
        }
        if statement.subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        for (index, subject) in statement.subject.iter().enumerate() {
            check_digests(index, subject)?;
        }
        Ok(statement)
    }

    /// The bytes to sign: compact JSON.
    pub fn to_json(&self) -> Vec<u8> {
        match serde_json::to_vec(self) {
            Ok(json) => json,
            Err(_) => unreachable!("a statement holds JSON only"),
        }
    }
}

fn check_digests(index: usize, subject: &Subject) -> Result<(), StatementError> {
    if subject.digest.is_empty() {
        return Err(StatementError::NoDigest(index));
    }
    for (name, hex) in &subject.digest {
        let checked = if name == "dirHash" {
            Digest::from_hex("sha256", hex)
        } else if Algorithm::from_name(name).is_some() {
            Digest::from_hex(name, hex)
        } else {
            // Others' algorithms (gitCommit, sha1, …) are allowed to stand there; they never match.
            continue;
        };
        checked.map_err(|error| StatementError::Digest {
            index,
            error: error.to_string(),
        })?;
    }
    Ok(())
}

/// Why a payload is not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Not JSON of the expected shape.
    #[error("not an in-toto statement: {0}")]
    Json(#[from] JsonError),
    /// `_type` is neither v1 nor v0.1.
    #[error("statement _type {0:?} is not in-toto Statement v1")]
    Type(String),
    /// Empty `predicateType`.
    #[error("the statement has no predicateType")]
    NoPredicateType,
    /// An empty subject list.
    #[error("the statement has no subject")]
    NoSubject,
    /// A subject without digest.
    #[error("subject[{0}] has no digest")]
    NoDigest(usize),
    /// A digest that is not one.
    #[error("subject[{index}]: {error}")]
    Digest {
        /// Position in the subject list.
        index: usize,
        /// What is wrong.
        error: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_digest_in_common_suffices_and_one_that_contradicts_rules_out() {
        let digest = |algorithm: Algorithm, byte: u8| {
            Identity::Content(Digest::new(algorithm, &vec![byte; algorithm.len()]).unwrap())
        };
        let (short, long) = (digest(Algorithm::Sha256, 1), digest(Algorithm::Sha512, 2));
        let subject = |identities: &[Identity]| {
            let mut subject = Subject::default();
            for identity in identities {
                let (method, hex) = (identity.method().to_owned(), identity.digest().hex());
                subject.digest.insert(method, hex);
            }
            subject
        };
        let contradicts = subject(&[short, digest(Algorithm::Sha512, 3)]);
        assert!(!contradicts.is(&[short, long]));
        assert!(subject(&[short, long]).is(&[short, long]));
        // What is not known here is no contradiction, and no agreement.
        assert!(contradicts.is(&[short]));
        assert!(!subject(&[long]).is(&[short]));
        assert!(!subject(&[]).is(&[short]));
    }
}
