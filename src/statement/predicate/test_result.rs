//! in-toto test result v0.1.

use super::resource::DESCRIPTOR;
use crate::shape::Shape::{List, OneOf, Open, Text};
use crate::shape::{Shape, URI, nullable, required};

pub(super) const PREDICATE: Shape = Open(&[
    required("result", &OneOf(&["PASSED", "WARNED", "FAILED"])),
    required("configuration", &List(&DESCRIPTOR)),
    nullable("url", &URI),
    nullable("passedTests", &List(&Text)),
    nullable("warnedTests", &List(&Text)),
    nullable("failedTests", &List(&Text)),
]);
