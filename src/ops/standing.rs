//! Cosign's older tags in a registry that something is copied to: each is a
//! list of signatures that others add to, and none of theirs may go.

use super::store_failure::APART;
use super::{Exit, Failure};
use crate::limits;
use crate::oci::{Document, LegacyList, LegacyStanding, append_legacy};
use crate::reference::Select;
use crate::source::layout::Node;
use crate::source::registry::{RegistryFault, Repository};

/// What is under the tag where something is copied to.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// Nothing, or less than what is copied.
    Absent,
    /// The very same.
    Same,
    /// All that is copied, and more.
    Holds,
    /// Other signatures: this holds those and what is copied.
    Both(Box<LegacyList>),
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
    let lacking = match LegacyStanding::of(*what, &there.document, &copied.document) {
        LegacyStanding::Less => return Ok(Standing::Absent),
        LegacyStanding::Holds => return Ok(Standing::Holds),
        LegacyStanding::Lacks(lacking) => lacking,
        LegacyStanding::Apart => {
            let what = what.as_str();
            let said = format!("{to}:{tag} holds another {what}, which would be lost");
            return Err(Failure::new(Exit::Usage, said).hint(APART));
        }
    };
    let Document::Manifest(manifest) = &there.document else {
        unreachable!("only manifests lack layers");
    };
    let config = to.read_blob(&manifest.config, limits::MANIFEST).await?;
    let both = append_legacy(Some((manifest, &config)), &lacking)?;
    Ok(Standing::Both(Box::new(both)))
}
