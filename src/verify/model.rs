//! OpenSSF model signatures against a model's files.

use super::check::Rejection;
use super::evidence::Observed;
use super::reason::ReasonCode;
use crate::statement::{self, Statement};

/// Whether a statement is an OpenSSF model signature.
pub(super) fn is_model_signature(statement: &Statement) -> bool {
    statement.predicate_type == statement::MODEL_SIGNATURE
}

/// Step 7 for a model: every file the signature lists is there and the same.
///
/// Returns the files that it does not cover.
pub(super) fn check(
    _statement: &Statement,
    _artifact: &Observed<'_>,
) -> Result<Vec<String>, Rejection> {
    Err(Rejection::new(
        "signature",
        ReasonCode::FormatNotAllowed,
        "a model signature covers a directory; the artifact is not one",
    ))
}
