use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::limits;
use crate::model::dirhash::DirHashError;
use crate::model::name::NameError;

/// Why an artifact on disk was not read, or its copy not written.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system refused: not there, no permission, a read error, a full disk.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// `open`, `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pipe, device or socket, which was not opened; or a folder where a file was expected.
    #[error("{} is a {kind}, not a regular file; it was not opened", .path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A file where a folder was expected.
    #[error("{} is not a folder", .0.display())]
    NotFolder(PathBuf),
    /// It changed between the first look at it and the last.
    #[error("{} changed while it was read; stop what writes to it, or verify a copy", .0.display())]
    Changed(PathBuf),
    /// A symlink, and links were not asked for.
    #[error("{} is a symlink; symlinks in a model are followed only when that is asked for", .0.display())]
    Symlink(PathBuf),
    /// A symlink that leads out of the model, or out of the folder that the operator named.
    #[error("symlink {} -> {} leads out of {}", .path.display(), .target.display(), .root.display())]
    Escapes {
        /// The link.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
        /// What it must not leave.
        root: PathBuf,
    },
    /// A symlink to nothing, or to itself.
    #[error("symlink {} -> {} leads nowhere", .path.display(), .target.display())]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// A symlink to a folder that it lies in.
    #[error("symlink {} leads to a folder that holds it", .0.display())]
    Loop(PathBuf),
    /// The model does not lie in the folder within which its symlinks may lead.
    #[error("{} does not lie in {}", .path.display(), .root.display())]
    NotWithin {
        /// The model.
        path: PathBuf,
        /// The folder.
        root: PathBuf,
    },
    /// A name that two programs could read differently.
    #[error("file name {} is refused: {error}; rename the file", .path.display())]
    Name {
        /// The file, with what is not UTF-8 replaced.
        path: PathBuf,
        /// What is wrong with its name.
        error: NameError,
    },
    /// Over the limit.
    #[error("{} has more than {limit} files and folders", .0.display(), limit = limits::MODEL_FILES)]
    TooMany(PathBuf),
    /// Over the limit.
    #[error("{} would be cut into more than {limit} shards; use a larger shard size", .0.display(), limit = limits::MODEL_FILES)]
    TooManyShards(PathBuf),
    /// Over the limit.
    #[error("{} has {size} bytes, the limit is {limit}", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// No file inside.
    #[error("{} has no file in it", .0.display())]
    Empty(PathBuf),
    /// A copy's place is taken.
    #[error("{} exists already; name a path that does not exist yet", .0.display())]
    Exists(PathBuf),
    /// A copy's place is inside what is copied.
    #[error("{} lies inside {}, which is to be copied there", .path.display(), .source_root.display())]
    InsideSource {
        /// The copy's place.
        path: PathBuf,
        /// What is copied.
        source_root: PathBuf,
    },
    /// The files have no identity.
    #[error(transparent)]
    DirHash(#[from] DirHashError),
}

impl SourceError {
    /// The system's refusal to do `action` with `path`.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(Errno) -> Self {
        let path = path.into();
        move |errno| Self::Io {
            action,
            path,
            source: errno.into(),
        }
    }

    /// Whether the artifact simply is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether a limit on what is read was passed.
    pub const fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::TooMany(_)
                | Self::TooManyShards(_)
                | Self::TooLarge { .. }
                | Self::Name {
                    error: NameError::TooLong(_) | NameError::TooDeep(_),
                    ..
                }
        )
    }
}
