//! Cosign's older tags at a place that something is copied to: each is a list
//! of signatures that others add to, and none of theirs may go.

use std::collections::BTreeSet;

use super::{Exit, Failure};
use crate::digest::Digest;
use crate::oci::{Annotations, Document};
use crate::reference::Select;
use crate::source::layout::Node;
use crate::source::registry::{RegistryFault, Repository};

/// What is under the tag where something is copied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing, or less than what is copied.
    Absent,
    /// The very same.
    Same,
    /// All that is copied, and more.
    Holds,
}

/// Looks at the tag of an older manifest, before it is written.
///
/// # Errors
/// As the registry says; where the tag leads to what would be lost.
pub(super) async fn standing(to: &Repository, copied: &Node) -> Result<Standing, Failure> {
    let Some((tag, what)) = &copied.legacy else {
        return Ok(Standing::Absent);
    };
    let there = match to.resolve(&Select::Tag(tag.clone())).await {
        Ok(there) => there,
        Err(RegistryFault::NotFound { .. }) => return Ok(Standing::Absent),
        Err(fault) => return Err(fault.into()),
    };
    if there.descriptor.digest == copied.descriptor.digest {
        return Ok(Standing::Same);
    }
    let found = (layers(&there.document), layers(&copied.document));
    if let (Some(theirs), Some(ours)) = found {
        if theirs.is_superset(&ours) {
            return Ok(Standing::Holds);
        }
        if theirs.is_subset(&ours) {
            return Ok(Standing::Absent);
        }
    }
    Err(Failure::new(
        Exit::Usage,
        format!("{to}:{tag} holds another {}, which would be lost", what.as_str()),
    )
    .hint("each place has signatures that the other has not; remove one of the two tags, or sign again as bundles"))
}

/// A signature stands in its layer's annotations: two of one payload are told
/// apart by them alone.
fn layers(document: &Document) -> Option<BTreeSet<(Digest, Annotations)>> {
    match document {
        Document::Manifest(manifest) => {
            let layers = manifest.layers.iter();
            Some(layers.map(|l| (l.digest, l.annotations.clone())).collect())
        }
        Document::Index(_) => None,
    }
}
