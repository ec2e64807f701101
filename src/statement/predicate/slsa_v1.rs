//! SLSA provenance v1.

use serde_json::{Map as Object, Value, json};

use super::resource::{DESCRIPTOR, identify};
use crate::digest::Identity;
use crate::shape::Shape::{Any, List, Map, Open, Text};
use crate::shape::{Path, Shape, TIME, URI, Violations, nullable, required};
use crate::time::Timestamp;

const PREDICATE: Shape = Open(&[
    required("buildDefinition", &DEFINITION),
    required("runDetails", &RUN),
]);

const DEFINITION: Shape = Open(&[
    required("buildType", &URI),
    required("externalParameters", &Map(&Any)),
    nullable("internalParameters", &Map(&Any)),
    nullable("resolvedDependencies", &List(&DESCRIPTOR)),
]);

const RUN: Shape = Open(&[
    required("builder", &BUILDER),
    nullable("metadata", &METADATA),
    nullable("byproducts", &List(&DESCRIPTOR)),
]);

const BUILDER: Shape = Open(&[
    required("id", &URI),
    nullable("version", &Map(&Text)),
    nullable("builderDependencies", &List(&DESCRIPTOR)),
]);

const METADATA: Shape = Open(&[
    nullable("invocationId", &Text),
    nullable("startedOn", &TIME),
    nullable("finishedOn", &TIME),
]);

pub(super) fn check(predicate: &Value, found: &mut Violations) {
    let root = Path::ROOT;
    PREDICATE.check(predicate, &root, found);
    let definition = root.key("buildDefinition");
    identify(
        &predicate["buildDefinition"],
        "resolvedDependencies",
        &definition,
        found,
    );
    let run = root.key("runDetails");
    identify(&predicate["runDetails"], "byproducts", &run, found);
}

/// What is said about a build.
#[derive(Clone, Debug)]
pub struct Build<'a> {
    /// Who built: a URI that stands for the platform and the trust in it.
    pub builder_id: &'a str,
    /// How it was built: a URI whose document explains the parameters.
    pub build_type: &'a str,
    /// What the one who asked for the build could choose.
    pub parameters: Object<String, Value>,
    /// What went into it.
    pub dependencies: Vec<Dependency<'a>>,
    /// A name for this run; left out where it is empty.
    pub invocation_id: &'a str,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

/// Something that went into a build.
#[derive(Clone, Debug)]
pub struct Dependency<'a> {
    /// A name for people.
    pub name: &'a str,
    /// Its identity.
    pub identity: Identity,
}

/// A SLSA v1 provenance predicate for a build.
pub fn provenance(build: &Build<'_>) -> Value {
    let dependencies: Vec<_> = build
        .dependencies
        .iter()
        .map(
            |d| json!({"name": d.name, "digest": {d.identity.method(): d.identity.digest().hex()}}),
        )
        .collect();
    let mut metadata = json!({
        "startedOn": build.started.to_string(),
        "finishedOn": build.finished.to_string(),
    });
    if !build.invocation_id.is_empty() {
        metadata["invocationId"] = build.invocation_id.into();
    }
    json!({
        "buildDefinition": {
            "buildType": build.build_type,
            "externalParameters": build.parameters,
            "resolvedDependencies": dependencies,
        },
        "runDetails": { "builder": { "id": build.builder_id }, "metadata": metadata },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_valid() {
        let identity = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let build = Build {
            builder_id: "https://example.org/builder",
            build_type: "https://example.org/copy/v1",
            parameters: Object::from_iter([("path".to_owned(), json!("model"))]),
            dependencies: vec![Dependency {
                name: "weights",
                identity,
            }],
            invocation_id: "",
            started: Timestamp::from_secs(1_795_255_200),
            finished: Timestamp::from_secs(1_795_255_260),
        };
        let predicate = provenance(&build);
        let slsa = super::super::resolve("slsaprovenance1").unwrap();
        assert_eq!(slsa.validate(&predicate), Ok(()));
        assert_eq!(
            predicate["runDetails"]["metadata"]["finishedOn"],
            "2026-11-21T10:01:00Z"
        );
        assert!(
            predicate["runDetails"]["metadata"]
                .get("invocationId")
                .is_none()
        );

        let unfit = provenance(&Build {
            builder_id: "nobody",
            ..build
        });
        assert!(slsa.validate(&unfit).is_err());
    }
}
