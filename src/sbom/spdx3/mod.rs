//! SPDX 3.0, JSON-LD in the one form that its specification allows.

mod check;
mod model;
mod nodes;

use serde_json::Value;

use super::{SbomDocument, SbomError, SbomKind};
use crate::shape::{Path, Violations};
use model::Model;
use nodes::Nodes;

/// The version that a `@context` names.
pub(super) fn version(context: &str) -> Option<&str> {
    context
        .strip_prefix("https://spdx.org/rdf/")?
        .strip_suffix("/spdx-context.jsonld")
        .filter(|v| v.starts_with('3'))
}

pub(super) fn validate(document: &Value) -> Result<SbomDocument, SbomError> {
    let found = super::text_at(document, "/@context")
        .and_then(version)
        .unwrap_or_default();
    if !SbomKind::Spdx3.versions().contains(&found) {
        return Err(SbomError::Version {
            kind: SbomKind::Spdx3,
            found: found.to_owned(),
        });
    }
    let model = Model::get();
    let mut violations = Violations::default();
    let nodes = Nodes::collect(document, &mut violations);
    check::document(document, model, &nodes, &mut violations);
    if !violations.is_empty() {
        return Err(SbomError::Invalid {
            kind: SbomKind::Spdx3,
            version: found.to_owned(),
            violations,
        });
    }
    Ok(summary(document, found, model, &nodes))
}

/// The objects at the top: of `@graph`, or the only one.
fn top<'v>(document: &'v Value, mut visit: impl FnMut(&'v Value, &Path<'_>)) {
    let root = Path::ROOT;
    match document.get("@graph") {
        Some(Value::Array(items)) => {
            let at = root.key("@graph");
            for (index, item) in items.iter().enumerate() {
                visit(item, &at.index(index));
            }
        }
        _ => visit(document, &root),
    }
}

fn summary(document: &Value, version: &str, model: &Model, nodes: &Nodes<'_>) -> SbomDocument {
    let (mut packages, mut relationships) = (0, 0);
    let mut own = None;
    top(document, |object, _| {
        let class = object
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        packages += usize::from(model.is_a(class, "software_Package"));
        relationships += usize::from(model.is_a(class, "Relationship"));
        if class == "SpdxDocument" {
            own = Some(object);
        }
    });
    let text = |name: &str| own?.get(name)?.as_str().map(str::to_owned);
    let created = own
        .and_then(|own| own.get("creationInfo"))
        .and_then(|info| match info {
            Value::String(id) => nodes.object(id),
            inline => Some(inline),
        })
        .and_then(|info| super::text_at(info, "/created"));
    SbomDocument {
        kind: SbomKind::Spdx3,
        version: version.to_owned(),
        id: text("spdxId"),
        revision: None,
        name: text("name"),
        created: created.map(str::to_owned),
        component_count: packages,
        relationship_count: relationships,
    }
}
