use std::io;
use std::path::PathBuf;

/// Why an event is not in the log, or the log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// The log, or the key that signs it, is not there.
    #[error("the audit log is missing: there is no {}", .0.display())]
    Missing(PathBuf),
    /// Nobody made one: nothing of a log or a keystore is there.
    #[error("there is no audit log yet: {} has none, and every use of a key is recorded", .0.display())]
    NotBegun(PathBuf),
    /// The log of an earlier build, which kept it in one file.
    #[error("the audit log {} was written by an earlier build, in a form that is not continued", .0.display())]
    OldForm(PathBuf),
    /// A file or folder cannot be opened, read, written or made durable.
    #[error("the audit log cannot be {doing}: {}: {cause}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Past participle: `written`.
        doing: &'static str,
        /// What kind of refusal it is.
        kind: io::ErrorKind,
        /// What the operating system said.
        cause: String,
    },
    /// Something else stands where a part of the log should.
    #[error("the audit log cannot be used: {} is not {what}", .path.display())]
    NotThat {
        /// The path.
        path: PathBuf,
        /// What it should be: `a regular file`.
        what: &'static str,
    },
    /// Another process held it for too long.
    #[error("the audit log {} is locked by another process", .0.display())]
    Busy(PathBuf),
    /// What the log holds is not what was signed.
    #[error("the audit log is broken: {}: {why}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It has fewer records than were acknowledged.
    #[error(
        "the audit log is broken: {} ends after {found} records, and {seen} were signed: its end was cut off, or an older copy stands in its place",
        .path.display()
    )]
    RolledBack {
        /// The file.
        path: PathBuf,
        /// How many records it has.
        found: u64,
        /// How many a signed checkpoint tells of.
        seen: u64,
    },
    /// It knows less of the keystore than the keystore does.
    #[error(
        "the audit log is broken: by {} the keystore is at generation {limit} at most, and it is at {found}: an older copy of the log stands in its place",
        .path.display()
    )]
    OlderThanKeystore {
        /// The log.
        path: PathBuf,
        /// The newest generation that it allows for.
        limit: u64,
        /// The keystore's.
        found: u64,
    },
    /// The key that signs checkpoints cannot be used.
    #[error("the audit log's key {} cannot be used: {why}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

impl AuditFault {
    /// The kind of fault in one word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::NotBegun(_) => "audit-missing",
            Self::OldForm(_) => "audit-old-form",
            Self::Io { kind, .. } => match kind {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => "audit-full",
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "audit-read-only"
                }
                _ => "audit-unavailable",
            },
            Self::NotThat { .. } => "audit-unavailable",
            Self::Busy(_) => "audit-busy",
            Self::Broken { .. } | Self::Key { .. } => "audit-broken",
            Self::RolledBack { .. } | Self::OlderThanKeystore { .. } => "audit-rolled-back",
        }
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing(_) => {
                "put the log back from its copy; nothing is signed without one, and a new one is not begun in its place"
            }
            Self::NotBegun(_) => {
                "make one, with a keystore beside it, where obreia.toml is: obreia init DIR"
            }
            Self::OldForm(_) => {
                "keep that file as evidence, make a new place with: obreia init DIR, and bring the keys there with: obreia keystore restore OLD/keystore.db --force"
            }
            Self::Io { .. } => match self.code() {
                "audit-full" => {
                    "free space where the state folder is; nothing is signed until then"
                }
                "audit-read-only" => {
                    "make the state folder writable for who signs; nothing is signed until then"
                }
                _ => "see that the state folder's disk works; nothing is signed until then",
            },
            Self::NotThat { .. } => {
                "put the log back from its copy, as files and folders of its own"
            }
            Self::Busy(_) => "try again",
            Self::Broken { .. } => {
                "somebody changed the log: keep it as it is, find out who, and see what is left with: obreia audit verify"
            }
            Self::RolledBack { .. } => {
                "put the newer copy back; if it is lost for good, keep what is left as evidence and make a new place with: obreia init DIR"
            }
            Self::OlderThanKeystore { .. } => {
                "put the newer copy back; if it is lost for good, go on with: obreia keystore backup FILE, then obreia keystore restore FILE --force"
            }
            Self::Key { .. } => "put audit.key back from its copy; it cannot be made anew",
        }
    }
}
