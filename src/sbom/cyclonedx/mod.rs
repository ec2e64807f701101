//! CycloneDX 1.4 to 1.7 (ECMA-424), JSON.

mod references;
#[cfg(feature = "sign")]
mod schema;
#[cfg(not(feature = "sign"))]
#[path = "schema_absent.rs"]
mod schema;

use serde_json::Value;

use super::{SbomDocument, SbomError, SbomKind, text_at};

pub(super) fn validate(document: &Value) -> Result<SbomDocument, SbomError> {
    let found = text_at(document, "/specVersion").unwrap_or_default();
    let Some(version) = SbomKind::CycloneDx.versions().iter().find(|v| **v == found) else {
        return Err(SbomError::Version {
            kind: SbomKind::CycloneDx,
            found: found.to_owned(),
        });
    };
    let mut violations = schema::check(version, document)?;
    // A reference is looked for only where the shape is right: otherwise every error would stand there twice.
    if violations.is_empty() {
        references::check(document, &mut violations);
    }
    if !violations.is_empty() {
        return Err(SbomError::Invalid {
            kind: SbomKind::CycloneDx,
            version: (*version).to_owned(),
            violations,
        });
    }
    Ok(SbomDocument {
        kind: SbomKind::CycloneDx,
        version: (*version).to_owned(),
        id: text_at(document, "/serialNumber").map(str::to_owned),
        revision: Some(document.get("version").and_then(Value::as_u64).unwrap_or(1)),
        name: text_at(document, "/metadata/component/name").map(str::to_owned),
        created: text_at(document, "/metadata/timestamp").map(str::to_owned),
        component_count: components(document.get("components")),
        relationship_count: document
            .get("dependencies")
            .and_then(Value::as_array)
            .map_or(0, Vec::len),
    })
}

fn components(list: Option<&Value>) -> usize {
    let Some(list) = list.and_then(Value::as_array) else {
        return 0;
    };
    list.iter()
        .map(|component| 1 + components(component.get("components")))
        .sum()
}
