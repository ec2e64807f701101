//! OpenVEX v0.2.0, and the older form that its first tools wrote.

use serde_json::Value;

use crate::shape::Shape::{Any, Checked, List, Map, Name, OneOf, Open, Text, TextOr};
use crate::shape::{Path, Shape, TIME, Violations, nullable, required};

const PREDICATE: Shape = Open(&[
    required("@context", &CONTEXT),
    required("@id", &Name),
    required("author", &Name),
    required("timestamp", &TIME),
    required("version", &VERSION),
    required("statements", &Shape::NonEmpty(&STATEMENT)),
    nullable("role", &Text),
    nullable("last_updated", &TIME),
    nullable("tooling", &Text),
]);

const CONTEXT: Shape = Checked("https://openvex.dev/ns, or with a version", |s| {
    super::same_family(s, super::OPENVEX)
});

// v0.0.1 wrote the number as text.
const VERSION: Shape = TextOr(&Name, &Shape::Count);

const STATEMENT: Shape = Open(&[
    required("vulnerability", &TextOr(&Name, &VULNERABILITY)),
    required("status", &OneOf(&STATUS)),
    nullable("@id", &Name),
    nullable("version", &VERSION),
    nullable("timestamp", &TIME),
    nullable("last_updated", &TIME),
    nullable("products", &List(&TextOr(&Name, &PRODUCT))),
    nullable("supplier", &Text),
    nullable("status_notes", &Text),
    nullable("justification", &OneOf(&JUSTIFICATION)),
    nullable("impact_statement", &Text),
    nullable("action_statement", &Text),
    nullable("action_statement_timestamp", &TIME),
]);

const VULNERABILITY: Shape = Open(&[
    required("name", &Name),
    nullable("@id", &Name),
    nullable("description", &Text),
    nullable("aliases", &List(&Name)),
]);

const PRODUCT: Shape = Open(&[
    nullable("@id", &Name),
    nullable("identifiers", &Map(&Name)),
    nullable("hashes", &Map(&Name)),
    nullable("subcomponents", &List(&Any)),
]);

const STATUS: [&str; 4] = ["not_affected", "affected", "fixed", "under_investigation"];

const JUSTIFICATION: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

pub(super) fn check(predicate: &Value, found: &mut Violations) {
    let root = Path::ROOT;
    PREDICATE.check(predicate, &root, found);
    let at = root.key("statements");
    let statements = predicate.get("statements").and_then(Value::as_array);
    for (index, statement) in statements.into_iter().flatten().enumerate() {
        let at = at.index(index);
        let said = |name: &str| {
            let value = statement.get(name).and_then(Value::as_str);
            value.is_some_and(|text| !text.is_empty())
        };
        match statement.get("status").and_then(Value::as_str) {
            Some("not_affected") if !said("justification") && !said("impact_statement") => {
                found.add(
                    &at.key("justification"),
                    "or impact_statement is required where the status is not_affected",
                );
            }
            Some("affected") if !said("action_statement") => {
                found.add(
                    &at.key("action_statement"),
                    "is required where the status is affected",
                );
            }
            _ => {}
        }
    }
}
