//! obreia's own predicate: what a model is for, what it was made of and how it
//! was measured.
//!
//! There is no agreed predicate for a model card. This one keeps to the
//! headings that published cards share; the card itself, for people, is a
//! file that `card` names by digest. Members not listed here may be added.

use super::resource::DESCRIPTOR;
use crate::shape::Shape::{self, Any, List, Name, Number, Open, Text, TextOr};
use crate::shape::{optional, required};

/// Predicate type of a model card.
pub const MODEL_CARD: &str = "https://obreia.dev/predicate/model-card/v1";

pub(super) const PREDICATE: Shape = Open(&[
    required("name", &Name),
    optional("version", &Name),
    optional("description", &Text),
    optional("licenses", &List(&Name)),
    optional("tasks", &List(&Name)),
    optional("languages", &List(&Name)),
    optional("card", &DESCRIPTOR),
    optional("baseModels", &List(&DESCRIPTOR)),
    optional("datasets", &List(&DESCRIPTOR)),
    optional("metrics", &List(&METRIC)),
    optional("intendedUse", &Text),
    optional("limitations", &List(&Name)),
    optional("extra", &Any),
]);

const METRIC: Shape = Open(&[
    required("name", &Name),
    required("value", &TextOr(&Name, &Number)),
    optional("dataset", &Name),
]);
