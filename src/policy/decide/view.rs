//! What a policy is held against: verified facts, or, for the cases beside a
//! policy, supposed ones. Only the former can become a [`super::PolicyDecision`]
//! outside this module tree, so that a supposition never allows anything.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::Serialize;
use serde_json::Value;

use crate::verify::{ArtifactFact, AttestationFact, Facts, ModelFacts, SignatureFact, Stage};

/// The same fields as [`Facts`], in the same JSON.
#[derive(Clone, Debug, Serialize)]
pub(in crate::policy) struct View<'a> {
    pub(in crate::policy) artifact: &'a ArtifactFact,
    pub(in crate::policy) stage: Stage,
    pub(in crate::policy) signatures: Vec<&'a SignatureFact>,
    pub(in crate::policy) attestations: Vec<&'a AttestationFact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::policy) model: Option<&'a ModelFacts>,
    pub(in crate::policy) mutable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::policy) image: Option<&'a BTreeMap<String, Value>>,
    pub(in crate::policy) now_ns: i64,
    /// Whether predicates are taken to be valid: a case gives what its rules
    /// look at, not a whole document.
    #[serde(skip)]
    pub(in crate::policy) supposed: bool,
}

impl<'a> From<&'a Facts> for View<'a> {
    fn from(facts: &'a Facts) -> Self {
        Self {
            artifact: &facts.artifact,
            stage: facts.stage,
            signatures: facts.signatures.iter().map(Deref::deref).collect(),
            attestations: facts.attestations.iter().map(Deref::deref).collect(),
            model: facts.model.as_ref(),
            mutable: facts.mutable,
            image: facts.image.as_ref(),
            now_ns: facts.now_ns,
            supposed: false,
        }
    }
}
