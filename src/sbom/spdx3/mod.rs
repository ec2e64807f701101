//! SPDX 3.0, JSON-LD.

use serde_json::Value;

use super::{SbomDocument, SbomError, SbomKind};

/// The version that a `@context` names.
pub(super) fn version(context: &str) -> Option<&str> {
    context
        .strip_prefix("https://spdx.org/rdf/")?
        .strip_suffix("/spdx-context.jsonld")
        .filter(|v| v.starts_with('3'))
}

pub(super) fn validate(_document: &Value) -> Result<SbomDocument, SbomError> {
    Err(SbomError::NotCompiled(SbomKind::Spdx3))
}
