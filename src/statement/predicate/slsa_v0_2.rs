//! SLSA provenance v0.2, which `slsaprovenance` means to cosign.

use crate::shape::Shape::{Any, Bool, Digests, List, Open, Text};
use crate::shape::{Shape, TIME, URI, nullable, required};

pub(super) const V0_2: &str = "https://slsa.dev/provenance/v0.2";

pub(super) const PREDICATE: Shape = Open(&[
    required("builder", &Open(&[required("id", &URI)])),
    required("buildType", &URI),
    nullable("invocation", &INVOCATION),
    nullable("buildConfig", &Any),
    nullable("metadata", &METADATA),
    nullable("materials", &List(&MATERIAL)),
]);

const INVOCATION: Shape = Open(&[
    nullable("configSource", &CONFIG_SOURCE),
    nullable("parameters", &Any),
    nullable("environment", &Any),
]);

const CONFIG_SOURCE: Shape = Open(&[
    nullable("uri", &Text),
    nullable("digest", &Digests),
    nullable("entryPoint", &Text),
]);

const METADATA: Shape = Open(&[
    nullable("buildInvocationId", &Text),
    // Both spellings are in use: one in the specification, one in the first writers' code.
    nullable("buildInvocationID", &Text),
    nullable("buildStartedOn", &TIME),
    nullable("buildFinishedOn", &TIME),
    nullable("completeness", &COMPLETENESS),
    nullable("reproducible", &Bool),
]);

const COMPLETENESS: Shape = Open(&[
    nullable("parameters", &Bool),
    nullable("environment", &Bool),
    nullable("materials", &Bool),
]);

const MATERIAL: Shape = Open(&[nullable("uri", &URI), nullable("digest", &Digests)]);
