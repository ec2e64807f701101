use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sqlx::{Connection, Executor};
use tempfile::TempDir;

use super::{Open, SqliteKeystore, close, commit, fault, load};
use crate::durable;
use crate::storage::{Change, StorageFault};

/// As many names are tried for what stood in a restored keystore's place.
const NAMES: u32 = 16;

/// A keystore that nobody else can use while this lives.
pub struct Exclusive(Option<Open>);

impl Exclusive {
    /// The generation of what nobody else can use now; `None` where it cannot
    /// be read.
    pub async fn generation(&mut self) -> Option<u64> {
        let open = self.0.as_mut()?;
        load::generation(&mut open.connection).await.ok()
    }
}

impl SqliteKeystore {
    /// Makes a new keystore with its first rows, durable on return.
    ///
    /// # Errors
    /// `Exists` when there is one, which is left alone.
    pub async fn create(path: &Path, first: &Change) -> Result<(), StorageFault> {
        if path.symlink_metadata().is_ok() {
            return Err(StorageFault::Exists);
        }
        let (folder, target) = partial(path)?;
        File::create_new(&target).map_err(io_fault)?;
        let mut open = Self::new(&target).open().await?;
        let made = commit::initialise(&mut open.connection, first).await;
        close(open).await;
        made?;
        put(&folder, &target, path, false)
    }

    /// Keeps everybody else out, until the answer is dropped or closed.
    ///
    /// A database that cannot even be opened keeps nobody out; it is then
    /// for the caller to know that it is broken.
    ///
    /// # Errors
    /// `Busy` while another process uses it.
    pub async fn exclusive(&self) -> Result<Exclusive, StorageFault> {
        let mut open = match self.open().await {
            Ok(open) => open,
            Err(StorageFault::Missing | StorageFault::Damaged(_)) => return Ok(Exclusive(None)),
            Err(fault) => return Err(fault),
        };
        // Leaving the write-ahead log needs the file for oneself, and takes
        // away the two files beside it, which would not fit another database.
        for sql in ["PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE"] {
            match open.connection.execute(sql).await.map_err(fault) {
                Ok(_) => {}
                Err(StorageFault::Damaged(_)) => {
                    close(open).await;
                    return Ok(Exclusive(None));
                }
                Err(fault) => {
                    close(open).await;
                    return Err(fault);
                }
            }
        }
        if self.is_current(open.file) {
            Ok(Exclusive(Some(open)))
        } else {
            close(open).await;
            Err(StorageFault::Busy)
        }
    }

    /// Puts `new` in this keystore's place, in one step. What stood there is
    /// kept beside it, and its name returned.
    ///
    /// # Errors
    /// `Io`; what stood there still stands there then.
    pub async fn replace_by(
        &self,
        new: &Path,
        mut exclusive: Exclusive,
        suffix: &str,
    ) -> Result<Option<PathBuf>, StorageFault> {
        let kept = self.keep_beside(suffix)?;
        if exclusive.0.is_none() {
            for stale in ["-wal", "-shm", "-journal"] {
                match fs::remove_file(beside(&self.path, stale)) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_fault(e)),
                    Ok(()) | Err(_) => {}
                }
            }
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::rename(new, &self.path).map_err(io_fault)?;
        durable::sync_folder(folder).map_err(|e| StorageFault::Io(e.to_string()))?;
        if let Some(open) = exclusive.0.take() {
            let _nothing_was_written = open.connection.close().await;
        }
        Ok(kept)
    }

    /// Gives what stands here a second name. One that a restore gave it which
    /// was then killed will do; another file's is never touched.
    fn keep_beside(&self, suffix: &str) -> Result<Option<PathBuf>, StorageFault> {
        let mut aside = beside(&self.path, suffix);
        for number in 1..=NAMES {
            match fs::hard_link(&self.path, &aside) {
                Ok(()) => return Ok(Some(aside)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let there = fs::symlink_metadata(&aside).map_err(io_fault)?;
                    if self.is_current((there.dev(), there.ino())) {
                        return Ok(Some(aside));
                    }
                }
                Err(e) => return Err(io_fault(e)),
            }
            aside = beside(&self.path, &format!("{suffix}-{number}"));
        }
        Err(StorageFault::Exists)
    }
}

/// A private folder beside `path`, and a file name in it.
pub(super) fn partial(path: &Path) -> Result<(TempDir, PathBuf), StorageFault> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = tempfile::Builder::new()
        .prefix(".obreia-")
        .suffix(".partial")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(io_fault)?;
    let target = folder.path().join("keystore.db");
    Ok((folder, target))
}

/// Makes `target` durable and gives it its name.
pub(super) fn put(
    folder: &TempDir,
    target: &Path,
    path: &Path,
    replace: bool,
) -> Result<(), StorageFault> {
    fs::set_permissions(target, Permissions::from_mode(0o600)).map_err(io_fault)?;
    File::open(target)
        .and_then(|file| file.sync_all())
        .map_err(io_fault)?;
    if replace {
        fs::rename(target, path).map_err(io_fault)?;
    } else {
        // A link, unlike a rename, never replaces what came there meanwhile.
        fs::hard_link(target, path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => StorageFault::Exists,
            _ => io_fault(e),
        })?;
    }
    let parent = folder.path().parent().unwrap_or(Path::new("."));
    durable::sync_folder(parent).map_err(|e| StorageFault::Io(e.to_string()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn io_fault(error: io::Error) -> StorageFault {
    StorageFault::Io(error.to_string())
}
