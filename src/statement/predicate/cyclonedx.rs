//! A CycloneDX document as a predicate.

use serde_json::Value;

use crate::sbom::{self, SbomError, SbomKind};
use crate::shape::{Path, Violations, text};

pub(super) fn check(uri: &str, predicate: &Value, found: &mut Violations) -> Result<(), SbomError> {
    let root = Path::ROOT;
    if sbom::detect(predicate) != Some(SbomKind::CycloneDx) {
        found.add(
            &root.key("bomFormat"),
            &format!(
                "must be \"CycloneDX\", found {}",
                text::excerpt(predicate.get("bomFormat").unwrap_or(&Value::Null))
            ),
        );
        return Ok(());
    }
    let document = sbom::validate_tree(predicate)?;
    let promised = uri
        .strip_prefix(super::CYCLONEDX)
        .and_then(super::version_suffix);
    if let Some(promised) = promised
        && promised != document.version
    {
        found.add(
            &root.key("specVersion"),
            &format!(
                "must be {promised}, as the predicate type says, found {:?}",
                document.version
            ),
        );
    }
    Ok(())
}
