/// Why rows were not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageFault {
    /// There is no database.
    #[error("there is no database")]
    Missing,
    /// What is there is not a whole database of ours.
    #[error("{0}")]
    Damaged(String),
    /// Another process held it for too long.
    #[error("it is in use by another process")]
    Busy,
    /// Somebody else wrote first.
    #[error("it changed meanwhile")]
    Conflict,
    /// A file that must not be replaced.
    #[error("there is already a file")]
    Exists,
    /// The database or the file system failed.
    #[error("{0}")]
    Io(String),
}
