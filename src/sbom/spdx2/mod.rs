//! SPDX 2.3, JSON.

mod references;
mod shapes;
mod values;

use serde_json::Value;

use super::{SbomDocument, SbomError, SbomKind, text_at};
use crate::shape::{Path, Violations};

pub(super) fn validate(document: &Value) -> Result<SbomDocument, SbomError> {
    let found = text_at(document, "/spdxVersion").unwrap_or_default();
    let version = found.strip_prefix("SPDX-").unwrap_or(found);
    if !SbomKind::Spdx2.versions().contains(&version) {
        return Err(SbomError::Version {
            kind: SbomKind::Spdx2,
            found: version.to_owned(),
        });
    }
    let mut violations = Violations::default();
    shapes::DOCUMENT.check(document, &Path::ROOT, &mut violations);
    if violations.is_empty() {
        references::check(document, &mut violations);
    }
    if !violations.is_empty() {
        return Err(SbomError::Invalid {
            kind: SbomKind::Spdx2,
            version: version.to_owned(),
            violations,
        });
    }
    let count = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_array)
            .map_or(0, Vec::len)
    };
    Ok(SbomDocument {
        kind: SbomKind::Spdx2,
        version: version.to_owned(),
        id: text_at(document, "/documentNamespace").map(str::to_owned),
        revision: None,
        name: text_at(document, "/name").map(str::to_owned),
        created: text_at(document, "/creationInfo/created").map(str::to_owned),
        component_count: count("packages"),
        relationship_count: count("relationships"),
    })
}
