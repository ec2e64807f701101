use std::path::PathBuf;

/// Why an event is not in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// The file is not there.
    #[error("the audit log {} is missing", .0.display())]
    Missing(PathBuf),
    /// The file cannot be opened, read, written or made durable.
    #[error("the audit log {} cannot be {doing}: {cause}", .path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// Past participle: `written`.
        doing: &'static str,
        /// What the operating system said.
        cause: String,
    },
    /// Not a regular file.
    #[error("the audit log {} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Another process held it for too long.
    #[error("the audit log {} is locked by another process", .0.display())]
    Busy(PathBuf),
    /// A line does not continue the one before it.
    #[error("the audit log {} is broken at line {line}: {why}", .path.display())]
    Broken {
        /// The log.
        path: PathBuf,
        /// The line, from 1; 0 for the last one when lines were not counted.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

impl AuditFault {
    /// What to do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Missing(_) => {
                "put the log back from its copy; nothing is signed without one, and a new one is not begun in its place"
            }
            Self::Io { .. } => {
                "free space or mend the permissions of the state folder; nothing was signed"
            }
            Self::NotAFile(_) => "the log must be a file of its own in the state folder",
            Self::Busy(_) => "try again",
            Self::Broken { .. } => "somebody changed the log: keep it as it is and find out who",
        }
    }
}
