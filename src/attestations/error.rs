use std::io;
use std::path::{Path, PathBuf};

use crate::bundle::BundleError;
use crate::durable::FileError;
use crate::limits;
use crate::source::layout::LayoutError;
use crate::source::registry::RegistryFault;
use crate::statement::StatementError;

/// Why evidence could not be stored or listed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What was to be stored is no bundle.
    #[error("what is to be stored is {0}")]
    Bundle(#[from] BundleError),
    /// What was to be stored is a bundle of something that is no statement.
    #[error("the bundle to be stored: {0}")]
    Statement(#[from] StatementError),
    /// A label with other characters than letters, digits, `-` and `_`.
    #[error("{0:?} cannot be a label: 1 to 64 letters, digits, '-' and '_'")]
    Label(String),
    /// Another bundle has the name.
    #[error("{} holds another bundle", .0.display())]
    Exists(PathBuf),
    /// The subject is of another kind of place.
    #[error("{subject} keeps no evidence in {place}")]
    NotHere {
        /// The subject.
        subject: String,
        /// The kind of place.
        place: &'static str,
    },
    /// The subject itself is not there.
    #[error("{} does not exist", .0.display())]
    NoSubject(PathBuf),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The layout could not be read or written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A registry did not give, or take, what it was asked.
    #[error(transparent)]
    Registry(#[from] RegistryFault),
    /// What was to be sent to a registry could not be read.
    #[error("cannot read what is to be stored: {0}")]
    Unsent(io::Error),
    /// More than is considered.
    #[error("{place} holds more than {limit} {what}")]
    TooMany {
        /// Where.
        place: String,
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl StoreError {
    /// Whether a limit was met: then there is something, only too much of it.
    pub const fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::TooMany { .. }
                | Self::Registry(RegistryFault::TooMuch { .. })
                | Self::Layout(
                    LayoutError::TooMany { .. }
                        | LayoutError::TooDeep { .. }
                        | LayoutError::BlobLarge { .. }
                )
        )
    }

    pub(super) fn too_much_evidence(place: String) -> Self {
        Self::TooMany {
            place,
            what: "pieces of evidence",
            limit: limits::EVIDENCE,
        }
    }

    pub(super) fn too_many_bytes(place: String) -> Self {
        Self::TooMany {
            place,
            what: "bytes of evidence",
            limit: usize::try_from(limits::EVIDENCE_BYTES).unwrap_or(usize::MAX),
        }
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File(FileError::Io { path, source })
    }
}
