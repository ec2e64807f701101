//! cosign's vulnerability scan record.

use serde_json::Value;

use crate::shape::Shape::{Any, List, NonEmpty, Open, Text};
use crate::shape::{Path, Shape, TIME, Violations, nullable, required};

pub(super) const V1: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

// The specification's text says `scanners`, the code that reads and writes the records `scanner`.
const PREDICATE: Shape = Open(&[
    nullable("invocation", &INVOCATION),
    nullable("scanner", &SCANNER),
    nullable("scanners", &NonEmpty(&SCANNER)),
    required("metadata", &METADATA),
]);

const INVOCATION: Shape = Open(&[
    nullable("parameters", &List(&Text)),
    nullable("uri", &Text),
    nullable("event_id", &Text),
    nullable("builder.id", &Text),
]);

const SCANNER: Shape = Open(&[
    nullable("uri", &Text),
    nullable("version", &Text),
    nullable("db", &DATABASE),
    required("result", &Any),
]);

const DATABASE: Shape = Open(&[nullable("uri", &Text), nullable("version", &Text)]);

const METADATA: Shape = Open(&[
    required("scanStartedOn", &TIME),
    required("scanFinishedOn", &TIME),
]);

pub(super) fn check(predicate: &Value, found: &mut Violations) {
    let root = Path::ROOT;
    PREDICATE.check(predicate, &root, found);
    let said = |name: &str| predicate.get(name).is_some_and(|v| !v.is_null());
    if predicate.is_object() && !said("scanner") && !said("scanners") {
        found.add(&root.key("scanner"), "is required: an object");
    }
}
