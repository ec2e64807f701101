//! OCI manifests and indexes (image-spec 1.1, and Docker's v2 schema 2): bytes
//! in, types out.
//!
//! Documents are parsed strictly and never written back: a digest is always
//! the digest of the bytes that were read.

mod artifact;
mod descriptor;
mod document;
mod error;
mod legacy;
pub mod media_type;
mod referrer;
mod simple_signing;
#[cfg(test)]
mod tests;

pub use artifact::{
    Artifact, ArtifactFile, FilesError, artifact_files, file_artifact, model_artifact,
};
pub use descriptor::{Annotations, Descriptor, Platform, PlatformError, each_once};
pub use document::{Document, Index, Manifest, platform};
pub use error::OciError;
pub use legacy::{Legacy, LegacyList, LegacyPiece, LegacyStanding, append_legacy};
pub use referrer::{Referrer, cosign_sign_statement, fallback_tag, referrer};
pub use simple_signing::{SimpleSigning, SimpleSigningError};
