/// What is wrong with a keystore.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The database cannot be read as one.
    #[error("it is no whole SQLite database ({0})")]
    NotADatabase(String),
    /// A table, row or field that should be there is not, or is malformed.
    #[error("{0}")]
    Malformed(String),
    /// A format that this version does not know.
    #[error("its format is {0}, and this version reads format 1")]
    Format(i64),
    /// A seal slot was altered.
    #[error("seal slot {0} was altered")]
    Slot(i64),
    /// A sealed record belongs to another key or version.
    #[error("the sealed key under {0} belongs to another record: rows were swapped or overwritten")]
    Swapped(Stored),
    /// A record does not open under what stands beside it.
    #[error(
        "{0} was altered: its sealed key does not open with the state, path and public key that stand beside it"
    )]
    Altered(Stored),
    /// A record is not what was last written; told without unlocking.
    #[error(
        "{0} is not as it was last written: it was altered, or an older copy stands in its place"
    )]
    Changed(Stored),
    /// The public key beside a sealed private key is not its own.
    #[error("the public key of {0} is not that of its private key")]
    Mismatch(Stored),
    /// Records came or went.
    #[error("it holds {found} records, and {sealed} were sealed: records were removed or added")]
    Count {
        /// How many there are.
        found: u64,
        /// How many were there when it was last written.
        sealed: u64,
    },
    /// Each record is genuine, but they are not the ones last written.
    #[error("{0} is not as it was last written: an older copy stands in its place")]
    RolledBack(Stored),
    /// A name, alias or slot list was changed.
    #[error("{0} was altered")]
    Index(&'static str),
    /// The head itself was altered.
    #[error("the seal over the whole keystore was altered")]
    Head,
    /// All of it is older than what the audit log has seen.
    #[error(
        "it is at generation {found}, and the audit log has seen {seen}: an older copy was put in its place"
    )]
    Older {
        /// The keystore's generation.
        found: u64,
        /// The audit log's.
        seen: u64,
    },
}

/// A stored key version, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The key's path.
    pub path: String,
    /// The version; `None` for the key's own record.
    pub version: Option<u32>,
}

impl std::fmt::Display for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.version {
            Some(version) => write!(f, "kms://{}?version={version}", self.path),
            None => write!(f, "kms://{}", self.path),
        }
    }
}
