//! OpenSSF model signatures against a model's files.

use std::collections::BTreeSet;

use super::check::Rejection;
use super::evidence::Observed;
use super::facts::{SignatureFact, Verified};
use super::reason::ReasonCode;
use crate::model::files::{HashedFile, Standing};
use crate::model::manifest::{Comparison, ModelManifest};
use crate::model::oms;
use crate::statement::Statement;

/// As many file names as a reason tells before it counts the rest.
const SHOWN: usize = 8;

/// Whether a statement is an OpenSSF model signature.
pub(super) fn is_model_signature(statement: &Statement) -> bool {
    oms::is_model_signature(&statement.predicate_type)
}

/// Step 7 for a model: every file the signature lists is there and the same.
///
/// Returns the files that it does not cover.
pub(super) fn check(
    statement: &Statement,
    artifact: &Observed<'_>,
) -> Result<Vec<String>, Rejection> {
    if artifact.files.is_empty() {
        return Err(Rejection::new(
            "signature",
            ReasonCode::FormatNotAllowed,
            "a model signature lists a model's files, and these are not at hand",
        )
        .hint("verify the model's folder or file itself"));
    }
    let manifest = ModelManifest::from_statement(statement).map_err(|error| {
        Rejection::new(
            "signature",
            ReasonCode::StatementMalformed,
            error.to_string(),
        )
    })?;
    let found = manifest.compare(&artifact.files);
    if found.covered_files_agree() {
        return Ok(found.uncovered);
    }
    Err(differs(&found))
}

fn differs(found: &Comparison) -> Rejection {
    let mut rejection = if !found.changed.is_empty() {
        Rejection::new(
            "signature",
            ReasonCode::ModelFileChanged,
            format!("changed since it was signed: {}", names(&found.changed)),
        )
    } else if !found.missing.is_empty() {
        Rejection::new(
            "signature",
            ReasonCode::ModelFileMissing,
            format!("signed, and not there: {}", names(&found.missing)),
        )
    } else {
        Rejection::new(
            "signature",
            ReasonCode::ArtifactUnreadable,
            format!("signed, and not hashed: {}", names(&found.not_hashed)),
        )
    }
    .hint("get the model again from where it was signed");
    if !found.changed.is_empty() && !found.missing.is_empty() {
        rejection = rejection.near(format!("missing too: {}", names(&found.missing)));
    }
    for (from, to) in found.case_changed.iter().take(SHOWN) {
        rejection = rejection.near(format!("{from:?} stands there as {to:?}: the case differs"));
    }
    for (from, to) in found.renamed.iter().take(SHOWN) {
        rejection = rejection.near(format!("{from:?} stands there as {to:?}: renamed"));
    }
    rejection
}

fn names(paths: &[String]) -> String {
    let mut text = paths
        .iter()
        .take(SHOWN)
        .map(|p| format!("{p:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    if paths.len() > SHOWN {
        text.push_str(&format!(" and {} more", paths.len() - SHOWN));
    }
    text
}

/// The files that none of the signatures covers which `counts`; all of them
/// where there is none.
pub fn unsigned_files(
    files: &[HashedFile],
    signatures: &[Verified<SignatureFact>],
    counts: impl Fn(&SignatureFact) -> bool,
) -> Vec<String> {
    let mut unsigned: BTreeSet<&str> = files
        .iter()
        .filter(|f| f.standing != Standing::Evidence)
        .map(|f| f.path.as_str())
        .collect();
    for signature in signatures.iter().filter(|s| counts(s)) {
        let uncovered: BTreeSet<&str> = signature.uncovered.iter().map(String::as_str).collect();
        unsigned.retain(|path| uncovered.contains(path));
    }
    unsigned.into_iter().map(ToOwned::to_owned).collect()
}
