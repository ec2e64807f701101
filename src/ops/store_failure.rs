//! What layouts and evidence stores say, as a person reads it.

use std::io;

use super::{Exit, Failure};
use crate::attestations::StoreError;
use crate::oci::{FilesError, OciError};
use crate::source::layout::LayoutError;

/// What to do where two lists of signatures cannot become one.
pub(super) const APART: &str =
    "each place has what the other has not: remove one of the two tags, or copy to a new place";

impl From<LayoutError> for Failure {
    fn from(error: LayoutError) -> Self {
        use LayoutError as E;

        let exit = match &error {
            // Bytes that are not what their name says are a proven violation.
            E::BlobChanged { .. } | E::BlobSize { .. } => Exit::Denied,
            E::File(inner) => Failure::exit_of_file(inner),
            E::Io { error, .. } if error.kind() == io::ErrorKind::NotFound => Exit::Usage,
            E::Io { .. } | E::Locked { .. } => Exit::Undetermined,
            _ => Exit::Usage,
        };
        let hint = match &error {
            E::BlobChanged { .. } | E::BlobSize { .. } => {
                "the layout was changed or damaged; fetch it again from where it came"
            }
            E::BlobMissing { .. } => "the layout is incomplete; copy it again, whole",
            E::NotALayout { .. } => "name the folder that holds oci-layout and index.json",
            E::Ambiguous { .. } => "add :TAG or @sha256:… to the layout's name",
            E::NoTag { .. } | E::Empty(_) => "obreia push and obreia copy put artifacts there",
            E::TagTwice { .. } => "name it by digest",
            E::WouldBeLost { .. } => APART,
            E::Locked { .. } => "wait for the other process, or end it",
            E::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => {
                "free some space; nothing was left half written"
            }
            _ => "",
        };
        let code = match &error {
            E::BlobChanged { .. } | E::BlobSize { .. } => "digest-mismatch",
            E::TooMany { .. } | E::TooDeep { .. } | E::BlobLarge { .. } => "limit-exceeded",
            _ => "artifact-unreadable",
        };
        let failure = Self::new(exit, "cannot use the OCI layout")
            .code(code)
            .cause(error);
        if hint.is_empty() {
            failure
        } else {
            failure.hint(hint)
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        use StoreError as E;

        match error {
            E::Layout(inner) => inner.into(),
            E::File(inner) => inner.into(),
            E::Registry(fault) => fault.into(),
            E::Unsent(_) => Self::new(Exit::Undetermined, "cannot store the evidence").cause(error),
            E::Exists(_) => Self::new(Exit::Usage, "cannot store the evidence")
                .cause(error)
                .hint("choose another place with --output, or add --force to replace it"),
            E::TooMany { .. } => Self::new(Exit::Usage, "too much to look at")
                .code("limit-exceeded")
                .cause(error)
                .hint("name the evidence with --bundle"),
            _ => Self::new(Exit::Usage, "cannot use the evidence").cause(error),
        }
    }
}

impl From<FilesError> for Failure {
    fn from(error: FilesError) -> Self {
        Self::new(Exit::Usage, "cannot tell the artifact's files").cause(error)
    }
}

impl From<OciError> for Failure {
    fn from(error: OciError) -> Self {
        Self::new(Exit::Usage, "cannot make the artifact's manifest").cause(error)
    }
}
