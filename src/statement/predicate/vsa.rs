//! SLSA verification summary v1.

use serde_json::Value;

use super::resource::DESCRIPTOR;
use crate::shape::Shape::{Count, List, Map, Name, NonEmpty, OneOf, Open, Text};
use crate::shape::{Path, Shape, TIME, URI, Violations, nullable, required, text};

const PREDICATE: Shape = Open(&[
    required("verifier", &VERIFIER),
    required("resourceUri", &URI),
    required("policy", &DESCRIPTOR),
    required("verificationResult", &OneOf(&["PASSED", "FAILED"])),
    required("verifiedLevels", &NonEmpty(&Name)),
    nullable("timeVerified", &TIME),
    nullable("inputAttestations", &List(&DESCRIPTOR)),
    nullable("dependencyLevels", &Map(&Count)),
    nullable("slsaVersion", &Text),
]);

const VERIFIER: Shape = Open(&[required("id", &URI), nullable("version", &Map(&Text))]);

const MEMBERS: [&str; 9] = [
    "verifier",
    "resourceUri",
    "policy",
    "verificationResult",
    "verifiedLevels",
    "timeVerified",
    "inputAttestations",
    "dependencyLevels",
    "slsaVersion",
];

pub(super) fn check(predicate: &Value, found: &mut Violations) {
    let root = Path::ROOT;
    PREDICATE.check(predicate, &root, found);
    for key in predicate.as_object().into_iter().flat_map(|map| map.keys()) {
        if !MEMBERS.contains(&key.as_str()) && !text::is_uri(key) {
            found.add(&root.key(key), "must be named by a URI: it is an extension");
        }
    }
}
