//! in-toto links: the form that cosign writes, and the attestation framework's v0.3.

use std::collections::HashSet;

use serde_json::Value;

use super::resource::DESCRIPTOR;
use crate::shape::Shape::{Any, Digests, List, Map, Name, Open, Text};
use crate::shape::{Path, Shape, Violations, nullable, required, text};

/// What cosign's `link` means.
pub(super) const V1: &str = "https://in-toto.io/Link/v1";
pub(super) const V0_3: &str = "https://in-toto.io/attestation/link/v0.3";

pub(super) const PREDICATE_V1: Shape = Open(&[
    required("name", &Name),
    nullable("_type", &Text),
    nullable("command", &List(&Text)),
    nullable("materials", &Map(&Digests)),
    nullable("products", &Map(&Digests)),
    nullable("byproducts", &Map(&Any)),
    nullable("environment", &Map(&Any)),
]);

const PREDICATE_V0_3: Shape = Open(&[
    required("name", &Name),
    nullable("command", &List(&Text)),
    nullable("materials", &List(&DESCRIPTOR)),
    nullable("byproducts", &Map(&Any)),
    nullable("environment", &Map(&Any)),
]);

pub(super) fn check_v0_3(predicate: &Value, found: &mut Violations) {
    let root = Path::ROOT;
    PREDICATE_V0_3.check(predicate, &root, found);
    let at = root.key("materials");
    let materials = predicate.get("materials").and_then(Value::as_array);
    let mut names = HashSet::new();
    for (index, material) in materials.into_iter().flatten().enumerate() {
        let at = at.index(index);
        match material.get("name").and_then(Value::as_str) {
            Some(name) if !names.insert(name) => {
                let reason = format!("{} is another material's name already", text::quoted(name));
                found.add(&at.key("name"), &reason);
            }
            Some(_) => {}
            None => found.add(&at.key("name"), "is required: text"),
        }
        if material.get("digest").is_none_or(Value::is_null) {
            found.add(
                &at.key("digest"),
                "is required: an object of digests by algorithm",
            );
        }
    }
}
