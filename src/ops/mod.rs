//! Use cases: what a command or a request does, without knowing which surface
//! asked, and without printing.

#[cfg(feature = "sign")]
pub mod attest;
#[cfg(feature = "sign")]
pub mod audit;
pub mod certificates;
#[cfg(feature = "sign")]
pub mod copy;
#[cfg(feature = "sign")]
pub mod doctor;
#[cfg(feature = "sign")]
pub mod download;
mod failure;
pub mod gather;
pub mod guard;
mod index;
#[cfg(feature = "sign")]
pub mod init;
pub mod inspect;
#[cfg(feature = "sign")]
pub mod key;
mod key_failure;
pub mod keyring;
#[cfg(feature = "sign")]
pub mod older;
#[cfg(feature = "sign")]
pub mod plugin;
pub mod policies;
#[cfg(feature = "sign")]
pub mod policy;
#[cfg(feature = "sign")]
pub mod promote;
#[cfg(feature = "sign")]
pub mod pull;
#[cfg(feature = "sign")]
pub mod push;
#[cfg(feature = "sign")]
pub mod quickstart;
mod registry_failure;
#[cfg(feature = "sign")]
mod remote;
#[cfg(not(feature = "sign"))]
#[path = "remote_absent.rs"]
mod remote;
#[cfg(feature = "sign")]
pub mod sbom;
#[cfg(feature = "sign")]
pub mod sign;
mod source_failure;
#[cfg(feature = "sign")]
mod standing;
mod store_failure;
mod system_clock;
mod together;
#[cfg(feature = "sign")]
mod transfer;
pub mod tree;
#[cfg(feature = "sign")]
mod unlock_failure;
pub mod verify;

pub use failure::{Exit, Failure};
pub use system_clock::SystemClock;

use std::path::Path;

use crate::verify::ArtifactKind;

/// A folder is a model and nothing else, whatever the operator calls it.
fn folder_as(path: &Path, kind: Option<ArtifactKind>) -> Result<(), Failure> {
    match kind {
        None | Some(ArtifactKind::Model) => Ok(()),
        Some(other) => Err(Failure::new(
            Exit::Usage,
            format!(
                "{} is a folder, which is no {}",
                path.display(),
                other.as_str()
            ),
        )
        .hint("name the file, or leave --kind out")),
    }
}
