//! OCI image layouts (image-spec, "OCI Image Layout Specification", 1.0.0):
//! a folder with `oci-layout`, `index.json` and `blobs/`.
//!
//! Reading never creates anything. Whatever is read by digest is checked
//! against it. Writing is: blobs first, each whole or absent; then
//! `index.json`, replaced at once under an advisory lock on `oci-layout`, so
//! that concurrent writers lose nothing and a crash leaves the old state.

mod attach;
mod blob;
mod closure;
mod error;
mod graph;
mod index;
mod older;
mod open;
#[cfg(test)]
mod tests;
mod transfer;
mod walk;

use std::path::{Path, PathBuf};

pub use attach::Attached;
pub use blob::{BlobReader, BlobWriter};
pub use closure::{Node, Piece, Role, Unreadable};
pub use error::LayoutError;
pub use graph::{Graph, Referring, Trouble};
pub use index::Flip;
pub use transfer::Moved;
#[cfg(feature = "sign")]
pub(crate) use transfer::listed;
pub use walk::{Walk, WalkError, Want};

use crate::digest::Digest;
use crate::oci::{Descriptor, Document, OciError};

/// A layout that was opened; holds no file open.
#[derive(Clone, Debug)]
pub struct Layout {
    dir: PathBuf,
}

/// What a tag, a digest or nothing at all led to.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The manifest's descriptor, as `index.json` has it where it is listed there.
    pub descriptor: Descriptor,
    /// The manifest's or index's exact bytes; they hash to the descriptor's digest.
    pub bytes: Vec<u8>,
    /// The same, read.
    pub document: Document,
}

impl Layout {
    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How messages name a manifest or blob in this layout.
    pub fn origin(&self, digest: &Digest) -> String {
        format!("oci-layout:{}@{digest}", self.dir.display())
    }

    fn document_error(&self, digest: &Digest, error: OciError) -> LayoutError {
        LayoutError::Document {
            origin: self.origin(digest),
            error,
        }
    }
}
