use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::durable::FileError;
use crate::limits;
use crate::oci::OciError;

/// Why an OCI layout could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The folder is not a layout.
    #[error("{} is not an OCI image layout: {why}", dir.display())]
    NotALayout {
        /// The folder.
        dir: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
    /// The operating system refused.
    #[error("cannot {what} {}: {error}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// A small file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A manifest or index that is not readable as one.
    #[error("{origin}: {error}")]
    Document {
        /// Where it lies.
        origin: String,
        /// What is wrong with it.
        error: OciError,
    },
    /// A blob that is referred to and not there.
    #[error("{}: blob {digest} is missing", dir.display())]
    BlobMissing {
        /// The layout.
        dir: PathBuf,
        /// Its name.
        digest: Digest,
    },
    /// A blob whose bytes are not what its name says.
    #[error("{}: blob {digest} holds other bytes: they hash to {found}", dir.display())]
    BlobChanged {
        /// The layout.
        dir: PathBuf,
        /// Its name.
        digest: Digest,
        /// What its bytes hash to.
        found: Box<Digest>,
    },
    /// A blob that is longer or shorter than its descriptor says.
    #[error("{}: blob {digest} has {found} bytes, its descriptor says {expected}", dir.display())]
    BlobSize {
        /// The layout.
        dir: PathBuf,
        /// Its name.
        digest: Digest,
        /// What the descriptor says.
        expected: u64,
        /// What is there; at least that many where it was not read to the end.
        found: u64,
    },
    /// A blob larger than what is read whole into memory.
    #[error("{}: blob {digest} has {found} bytes, the limit is {limit}", dir.display())]
    BlobLarge {
        /// The layout.
        dir: PathBuf,
        /// Its name.
        digest: Digest,
        /// Its size.
        found: u64,
        /// What is read at most.
        limit: u64,
    },
    /// A pipe, a device or a folder where a file is expected.
    #[error("{} is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// No manifest has that tag.
    #[error("{} has no tag {tag:?}; it has {}", dir.display(), shown(tags))]
    NoTag {
        /// The layout.
        dir: PathBuf,
        /// What was asked for.
        tag: String,
        /// What is there.
        tags: Vec<String>,
    },
    /// One tag on two manifests.
    #[error("{} has the tag {tag:?} on several manifests: {}", dir.display(), shown(digests))]
    TagTwice {
        /// The layout.
        dir: PathBuf,
        /// What was asked for.
        tag: String,
        /// What it stands on.
        digests: Vec<String>,
    },
    /// No manifest at all.
    #[error("{} holds no image or artifact", .0.display())]
    Empty(PathBuf),
    /// Neither tag nor digest was named, and there are several manifests.
    #[error("{} holds several images, name one: {}", dir.display(), shown(names))]
    Ambiguous {
        /// The layout.
        dir: PathBuf,
        /// What could be meant.
        names: Vec<String>,
    },
    /// Indexes or referrers nested deeper than is followed.
    #[error("{}: {digest} is nested deeper than {} levels", dir.display(), limits::INDEX_DEPTH)]
    TooDeep {
        /// The layout.
        dir: PathBuf,
        /// Where the limit was met.
        digest: Digest,
    },
    /// More than is followed.
    #[error("{}: more than {limit} {what}", dir.display())]
    TooMany {
        /// The layout.
        dir: PathBuf,
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Something lies under one of cosign's tags that cannot be kept beside what
    /// is to lie there.
    #[error("{}:{tag} holds another {what}, which would be lost", dir.display())]
    WouldBeLost {
        /// The layout.
        dir: PathBuf,
        /// The tag.
        tag: String,
        /// What lies there.
        what: &'static str,
    },
    /// Another process holds the layout's lock.
    #[error("{} is being written by another process for more than {seconds} s", dir.display())]
    Locked {
        /// The layout.
        dir: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
}

impl LayoutError {
    /// Whether something could not be read, so that nothing is known of it:
    /// neither that it is malformed nor what it would have said.
    pub const fn is_unread(&self) -> bool {
        matches!(
            self,
            Self::Io { .. } | Self::File(_) | Self::BlobMissing { .. } | Self::NotRegular(_)
        )
    }

    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { what, path, error }
    }

    /// Whether the layout itself is at fault: what it holds contradicts its own digests,
    /// so that trying again cannot help.
    pub const fn is_violation(&self) -> bool {
        matches!(
            self,
            Self::BlobChanged { .. } | Self::BlobSize { .. } | Self::Document { .. }
        )
    }
}

/// A few of the names, so that a message stays readable.
fn shown(names: &[String]) -> String {
    const MOST: usize = 20;
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut text = names
        .iter()
        .take(MOST)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    text
}
