//! What reading an artifact from disk refuses, as a person reads it.

use std::io;

use super::{Exit, Failure};
use crate::source::SourceError;

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        use SourceError as E;

        let (exit, code, hint) = match &error {
            E::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                (Exit::Usage, "artifact-unreadable", "check the path")
            }
            E::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => (
                Exit::Undetermined,
                "artifact-unreadable",
                "free some space; nothing was left half written",
            ),
            E::Io { .. } => (
                Exit::Undetermined,
                "artifact-unreadable",
                "make it readable and try again",
            ),
            E::Changed(_) => (
                Exit::Undetermined,
                "artifact-changed",
                "verify something that stands still: a copy, a snapshot or a read-only mount",
            ),
            E::Symlink(_) => (
                Exit::Usage,
                "artifact-unreadable",
                "follow links that stay inside the model with --allow-symlinks",
            ),
            E::Escapes { .. } => (
                Exit::Usage,
                "artifact-unreadable",
                "name the folder that links may lead into with --symlinks-within DIR",
            ),
            _ if error.is_limit() => (
                Exit::Usage,
                "limit-exceeded",
                "split the model, or report why it must be so large",
            ),
            _ => (Exit::Usage, "artifact-unreadable", ""),
        };
        let failure = Self::new(exit, "cannot read the artifact")
            .code(code)
            .cause(error);
        if hint.is_empty() {
            failure
        } else {
            failure.hint(hint)
        }
    }
}
