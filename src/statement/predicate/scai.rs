//! SCAI attribute report, v0.2 and v0.3: the type's URI became shorter, its members stayed.

use super::resource::DESCRIPTOR;
use crate::shape::Shape::{Any, Map, Name, NonEmpty, Open};
use crate::shape::{Shape, nullable, required};

pub(super) const V0_2: &str = "https://in-toto.io/attestation/scai/attribute-report/v0.2";
pub(super) const V0_3: &str = "https://in-toto.io/attestation/scai/v0.3";

pub(super) const PREDICATE: Shape = Open(&[
    required("attributes", &NonEmpty(&ATTRIBUTE)),
    nullable("producer", &DESCRIPTOR),
]);

const ATTRIBUTE: Shape = Open(&[
    required("attribute", &Name),
    nullable("target", &DESCRIPTOR),
    nullable("conditions", &Map(&Any)),
    nullable("evidence", &DESCRIPTOR),
]);
