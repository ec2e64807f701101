//! Files that are written whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What to do where the file exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail.
    Refuse,
    /// Replace it in one step.
    Replace,
}

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It exists and must not be replaced.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// It is larger than what is read.
    #[error("{} has more than {limit} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// It is a folder, a pipe, a device or a socket.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl FileError {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the file simply is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Writes `bytes` to `path`: into a temporary file beside it, flushed to the
/// disk, then renamed into place, and the folder flushed too. When this
/// returns the file is durable; when it fails, what stood there before stands
/// there still.
///
/// `mode` are the permission bits of the new file.
///
/// # Errors
/// `Exists` under [`Existing::Refuse`], otherwise `Io`.
pub fn write(path: &Path, bytes: &[u8], mode: u32, existing: Existing) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt;

    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let io = FileError::io(path);
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    let mut file = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".partial")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(&io)?;
    file.write_all(bytes).map_err(&io)?;
    file.as_file().sync_all().map_err(&io)?;
    let placed = match existing {
        Existing::Replace => file.persist(path).map(drop),
        Existing::Refuse => file.persist_noclobber(path).map(drop),
    };
    placed.map_err(|e| {
        if e.error.kind() == io::ErrorKind::AlreadyExists {
            FileError::Exists(path.to_owned())
        } else {
            io(e.error)
        }
    })?;
    sync_folder(folder)
}

/// Flushes a folder's entries, so that a rename in it survives a power cut.
///
/// # Errors
/// `Io` where the folder cannot be opened or flushed.
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let io = FileError::io(folder);
    File::open(folder).map_err(&io)?.sync_all().map_err(&io)
}

/// Reads a whole small file, at most `limit` bytes. Pipes, devices and sockets
/// are refused without reading.
///
/// # Errors
/// `NotAFile`, `TooLarge` or `Io`.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let io = FileError::io(path);
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(&io)?.is_file() {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(&io)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(&io)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, b"one", 0o644, Existing::Refuse).unwrap();
        assert!(matches!(
            write(&path, b"two", 0o644, Existing::Refuse),
            Err(FileError::Exists(_))
        ));
        assert_eq!(read(&path, 10).unwrap(), b"one");
        write(&path, b"two", 0o644, Existing::Replace).unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"two");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing left behind"
        );
    }

    #[test]
    fn bounded_and_regular_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"four").unwrap();
        assert!(matches!(
            read(&path, 3),
            Err(FileError::TooLarge { limit: 3, .. })
        ));
        assert!(matches!(read(dir.path(), 3), Err(FileError::NotAFile(_))));
        assert!(
            read(&dir.path().join("none"), 3)
                .unwrap_err()
                .is_not_found()
        );
    }
}
