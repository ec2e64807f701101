//! `bom-ref`: unique in the document, and every reference leads to one.

use std::collections::HashSet;

use serde_json::Value;

use crate::shape::{Path, Violations, text};

/// Members that refer to a `bom-ref`, wherever they hold a text or an array
/// of texts. The same names hold objects elsewhere (`dependencies`, `tools`,
/// `claims`, …); those are walked like any other.
const REFERENCES: [&str; 34] = [
    "algorithmRef",
    "algorithms",
    "assemblies",
    "asserter",
    "assessor",
    "attributedTo",
    "auth",
    "claims",
    "counterClaims",
    "counterEvidence",
    "cryptoRefArray",
    "dependencies",
    "dependsOn",
    "encr",
    "evidence",
    "integ",
    "ke",
    "members",
    "mitigationStrategies",
    "parent",
    "patentRefs",
    "prf",
    "process",
    "provides",
    "ref",
    "requirement",
    "requirements",
    "signatureAlgorithmRef",
    "subjectPublicKeyRef",
    "subjects",
    "target",
    "tools",
    "vulnerabilities",
    // In 1.7 inside the members of `ikev2TransformTypes`; see `refers`.
    "algorithm",
];

/// Where `algorithm` is a reference: elsewhere it names a signature's algorithm.
const TRANSFORMS: [&str; 5] = ["encr", "prf", "integ", "ke", "auth"];

pub(super) fn check(document: &Value, found: &mut Violations) {
    let mut refs = HashSet::new();
    collect(document, &Path::ROOT, &mut refs, found);
    let own = own_links(document);
    resolve(document, "", &Path::ROOT, &Known { refs, own }, found);
}

struct Known<'v> {
    refs: HashSet<&'v str>,
    /// What a BOM-Link to an element of this very document starts with.
    own: Option<String>,
}

fn own_links(document: &Value) -> Option<String> {
    let uuid = document
        .get("serialNumber")?
        .as_str()?
        .strip_prefix("urn:uuid:")?;
    let version = document.get("version").and_then(Value::as_u64).unwrap_or(1);
    Some(format!("urn:cdx:{uuid}/{version}#"))
}

fn collect<'v>(
    value: &'v Value,
    path: &Path<'_>,
    refs: &mut HashSet<&'v str>,
    found: &mut Violations,
) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let at = path.key(key);
                if let ("bom-ref", Value::String(name)) = (key.as_str(), value)
                    && !refs.insert(name)
                {
                    let name = text::quoted(name);
                    found.add(&at, &format!("{name} is another element's bom-ref already"));
                }
                collect(value, &at, refs, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, &path.index(index), refs, found);
            }
        }
        _ => {}
    }
}

/// Whether the member `key` of an object that stands under `parent` refers to a `bom-ref`.
fn refers(parent: &str, key: &str) -> bool {
    match key {
        "algorithm" => TRANSFORMS.contains(&parent),
        _ => REFERENCES.contains(&key),
    }
}

fn resolve(
    value: &Value,
    parent: &str,
    path: &Path<'_>,
    known: &Known<'_>,
    found: &mut Violations,
) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let at = path.key(key);
                if refers(parent, key) {
                    each_text(value, &at, &mut |name, at| known.check(name, at, found));
                }
                resolve(value, key, &at, known, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                resolve(value, parent, &path.index(index), known, found);
            }
        }
        _ => {}
    }
}

fn each_text(value: &Value, path: &Path<'_>, visit: &mut impl FnMut(&str, &Path<'_>)) {
    match value {
        Value::String(name) => visit(name, path),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Value::String(name) = item {
                    visit(name, &path.index(index));
                }
            }
        }
        _ => {}
    }
}

impl Known<'_> {
    fn check(&self, name: &str, at: &Path<'_>, found: &mut Violations) {
        let own = self.own.as_deref().and_then(|own| name.strip_prefix(own));
        let known = match own {
            Some(local) => self.refs.contains(local),
            // Any other BOM-Link leads into a document that is not at hand.
            None => name.starts_with("urn:cdx:") || self.refs.contains(name),
        };
        if !known {
            let name = text::quoted(name);
            found.add(
                at,
                &format!("{name} is no element's bom-ref in this document"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The table above is complete as far as the schemas say by type what a reference is.
    #[test]
    fn every_reference_of_the_schemas_is_known() {
        fn is_reference(schema: &Value) -> bool {
            match schema {
                Value::Object(map) => {
                    let here = map.get("$ref").and_then(Value::as_str).is_some_and(|r| {
                        ["refType", "refLinkType", "cryptoRefArray"]
                            .iter()
                            .any(|t| r == format!("#/definitions/{t}"))
                    });
                    here || ["items", "anyOf", "oneOf", "allOf"]
                        .iter()
                        .filter_map(|k| map.get(*k))
                        .any(is_reference)
                }
                Value::Array(items) => items.iter().any(is_reference),
                _ => false,
            }
        }
        fn walk(schema: &Value, parent: &str, seen: &mut usize) {
            let Some(map) = schema.as_object() else {
                for item in schema.as_array().into_iter().flatten() {
                    walk(item, parent, seen);
                }
                return;
            };
            for (keyword, value) in map {
                let (Some(members), true) = (
                    value.as_object(),
                    matches!(keyword.as_str(), "properties" | "definitions"),
                ) else {
                    walk(value, parent, seen);
                    continue;
                };
                for (name, schema) in members {
                    if keyword == "properties" && name != "bom-ref" && is_reference(schema) {
                        *seen += 1;
                        // The definitions behind `ikev2TransformTypes` have names of their own.
                        let parent = if parent.starts_with("ikeV2") {
                            "ke"
                        } else {
                            parent
                        };
                        assert!(refers(parent, name), "{parent}/{name}");
                    }
                    walk(schema, name, seen);
                }
            }
        }
        let mut seen = 0;
        for schema in [
            include_str!("../schemas/cyclonedx-1.4.json"),
            include_str!("../schemas/cyclonedx-1.5.json"),
            include_str!("../schemas/cyclonedx-1.6.json"),
            include_str!("../schemas/cyclonedx-1.7.json"),
        ] {
            walk(&serde_json::from_str(schema).unwrap(), "", &mut seen);
        }
        assert!(seen > 60, "{seen}");
    }

    fn found(document: &Value) -> Vec<String> {
        let mut found = Violations::default();
        check(document, &mut found);
        found.listed().iter().map(|v| v.path.clone()).collect()
    }

    #[test]
    fn a_link_to_itself_is_looked_up_and_one_elsewhere_is_not() {
        let uuid = "3e671687-395b-41f5-a30f-a58921a69b79";
        let document = |target: &str| {
            json!({
                "serialNumber": format!("urn:uuid:{uuid}"), "version": 2,
                "components": [{"bom-ref": "a"}],
                "vulnerabilities": [{"affects": [{"ref": target}]}],
            })
        };
        assert!(found(&document(&format!("urn:cdx:{uuid}/2#a"))).is_empty());
        assert!(found(&document(&format!("urn:cdx:{uuid}/1#b"))).is_empty());
        assert_eq!(
            found(&document(&format!("urn:cdx:{uuid}/2#b"))),
            ["/vulnerabilities/0/affects/0/ref"]
        );
    }

    #[test]
    fn finds_references_at_any_depth() {
        let document = json!({
            "components": [{"bom-ref": "a", "components": [{"bom-ref": "b"}, {"bom-ref": "a"}]}],
            "compositions": [{"assemblies": ["a", "x"], "dependencies": ["y"]}],
            "dependencies": [{"ref": "a", "dependsOn": ["b", "z"]}],
            "signature": {"algorithm": "ES256"},
        });
        assert_eq!(
            found(&document),
            [
                "/components/0/components/1/bom-ref",
                "/compositions/0/assemblies/1",
                "/compositions/0/dependencies/0",
                "/dependencies/0/dependsOn/1",
            ]
        );
    }
}
