//! What may be trusted: policy documents, and the decision they come to.
//!
//! Pure: [`Document::parse`] reads text, [`Document::wants`] says which keys
//! and rules it names, [`Policy::compile`] takes what was gathered for them,
//! [`select`] picks the policies that speak about an artifact, and
//! [`evaluate`] holds one of them against what verification proved.
//! `docs/policy.md` is the reference of the document format.

mod cases;
mod compile;
mod decide;
mod document;
mod engine;
mod error;
mod findings;
mod lock;
mod pattern;
mod rego;
mod suggest;

pub use cases::{CaseResult, Suite};
pub use compile::{AttestationRule, Clause, Gathered, Policy};
pub use decide::{Below, Lookups, PolicyDecision, evaluate, of_index};
pub use document::{
    Binding, Dialect, Document, Mode, OfIndex, ResourcePattern, SignatureRule, Syntax, Want,
    to_yaml,
};
pub use engine::{Decision, PolicyEngine};
pub use error::{Place, PolicyError};
pub use findings::{Finding, Severity, check};
pub use lock::lock;
pub use pattern::Pattern;
pub use rego::Rego;

use crate::verify::{ArtifactKind, Stage};

/// The policies that speak about an artifact at a stage; all of them must
/// pass, and none at all is a denial (`no-policy`), which the caller reports.
///
/// `kinds` is everything the target is: one read from a registry or a layout
/// is always an image and also what was detected in it. `name` is what the
/// operator calls it, never what evidence says.
///
/// # Errors
/// `PolicyError::WarnMode` where one of them only warns and the stage is one
/// where a warning stops nothing.
pub fn select<'a>(
    policies: &'a [Policy],
    kinds: &[ArtifactKind],
    name: &str,
    stage: Stage,
) -> Result<Vec<&'a Policy>, PolicyError> {
    let selected: Vec<&Policy> = policies
        .iter()
        .filter(|policy| policy.speaks(kinds, name, stage))
        .collect();
    for policy in &selected {
        if policy.mode() == Mode::Warn && stage.is_enforcing() {
            return Err(PolicyError::WarnMode {
                policy: policy.id.name.clone(),
                stage,
            });
        }
    }
    Ok(selected)
}

/// Whether an artifact's digest is all that these policies look at beside
/// evidence, where it lies in a registry or a layout: what else it is can
/// neither bring another policy in, nor change what one of them says.
/// `listed` tells that an index is known to list it: then it is judged by
/// itself, whatever policies ask for of indexes.
pub fn digest_decides(policies: &[Policy], name: &str, stage: Stage, listed: bool) -> bool {
    const PACKED: &[ArtifactKind] = &[ArtifactKind::Model, ArtifactKind::Sbom, ArtifactKind::Blob];
    policies.iter().all(|policy| {
        let of_images = policy.speaks(&[ArtifactKind::Image], name, stage);
        let silent = !of_images && !policy.speaks(PACKED, name, stage);
        let itself = listed || policy.of_index() == OfIndex::Index;
        silent || policy.is_for_key() || of_images && itself && policy.looks_at_evidence_alone()
    })
}
