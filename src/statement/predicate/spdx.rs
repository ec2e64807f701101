//! An SPDX document, 2.3 or 3.0, as a predicate.

use serde_json::Value;

use crate::sbom::{self, SbomError, SbomKind};
use crate::shape::{Path, Violations, text};

pub(super) fn check(uri: &str, predicate: &Value, found: &mut Violations) -> Result<(), SbomError> {
    let root = Path::ROOT;
    let version_at = match sbom::detect(predicate) {
        Some(SbomKind::Spdx2) => root.key("spdxVersion"),
        Some(SbomKind::Spdx3) => root.key("@context"),
        _ => {
            found.add(
                &root,
                &format!(
                    "must be an SPDX document in JSON (its tag-value form is not taken), found {}",
                    text::excerpt(predicate)
                ),
            );
            return Ok(());
        }
    };
    let document = sbom::validate_tree(predicate)?;
    let promised = uri
        .strip_prefix(super::SPDX)
        .and_then(super::version_suffix);
    if let Some(promised) = promised
        && !is_of(&document.version, promised)
    {
        found.add(
            &version_at,
            &format!(
                "must be {promised}, as the predicate type says, found {:?}",
                document.version
            ),
        );
    }
    Ok(())
}

/// `3.0.1` is a version 3, a 3.0 and a 3.0.1.
fn is_of(version: &str, promised: &str) -> bool {
    version
        .strip_prefix(promised)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn versions() {
        assert!(is_of("3.0.1", "3") && is_of("3.0.1", "3.0") && is_of("2.3", "2.3"));
        assert!(!is_of("3.0.1", "2.3") && !is_of("3.0.1", "3.0.0") && !is_of("30.1", "3"));
    }
}
