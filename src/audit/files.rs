//! Files and folders of the log, opened without following links, read with
//! bounds, and the lock between processes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::AuditFault;

/// How long to wait for another process. Many that write at once to a slow disk
/// wait for one another; the lock is not handed on in the order they came.
const PATIENCE: Duration = Duration::from_secs(20);

/// What tells that a file is still the one, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    place: (u64, u64),
    len: u64,
    changed: (i64, i64),
}

impl Identity {
    fn of(meta: &fs::Metadata) -> Self {
        Self {
            place: (meta.dev(), meta.ino()),
            len: meta.len(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    pub(super) fn of_file(path: &Path, file: &File) -> Result<Self, AuditFault> {
        let meta = file.metadata().map_err(failed(path, "read"))?;
        Ok(Self::of(&meta))
    }

    /// Of what stands at `path` now; `None` where nothing does.
    pub(super) fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|m| Self::of(&m))
    }
}

pub(super) fn failed<'a>(
    path: &'a Path,
    doing: &'static str,
) -> impl Fn(io::Error) -> AuditFault + 'a {
    move |e| AuditFault::Io {
        path: path.to_owned(),
        doing,
        kind: e.kind(),
        cause: e.to_string(),
    }
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// Opens a regular file, and nothing in its place; `Ok(None)` where there is none.
pub(super) fn open(path: &Path, write: bool) -> Result<Option<File>, AuditFault> {
    let opened = OpenOptions::new()
        .read(true)
        .write(write)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path);
    let not_that = || AuditFault::NotThat {
        path: path.to_owned(),
        what: "a regular file",
    };
    let file = match opened {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(not_that());
        }
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => return Err(not_that()),
        Err(e) => return Err(failed(path, "opened")(e)),
    };
    let meta = file.metadata().map_err(failed(path, "read"))?;
    if meta.is_file() {
        Ok(Some(file))
    } else {
        Err(not_that())
    }
}

/// A whole file of at most `limit` bytes; `Ok(None)` where there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, AuditFault> {
    match open(path, false)? {
        Some(file) => read_open(path, &file, limit).map(Some),
        None => Ok(None),
    }
}

/// What an open file holds, of at most `limit` bytes.
pub(super) fn read_open(path: &Path, file: &File, limit: u64) -> Result<Vec<u8>, AuditFault> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed(path, "read"))?;
    if bytes.len() as u64 > limit {
        return Err(AuditFault::Broken {
            path: path.to_owned(),
            why: format!("it has more than {limit} bytes"),
        });
    }
    Ok(bytes)
}

/// Takes the lock between processes on the log's folder, for as long as the
/// answer lives; it goes with the process, also when that is killed.
pub(super) fn lock(folder: &Path, exclusive: bool) -> Result<File, AuditFault> {
    let operation = if exclusive {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::NonBlockingLockShared
    };
    let started = Instant::now();
    loop {
        let handle = OpenOptions::new()
            .read(true)
            .custom_flags(flags(OFlags::NOFOLLOW | OFlags::DIRECTORY))
            .open(folder)
            .map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => AuditFault::Missing(folder.to_owned()),
                io::ErrorKind::NotADirectory => AuditFault::NotThat {
                    path: folder.to_owned(),
                    what: "a folder",
                },
                _ if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                    AuditFault::NotThat {
                        path: folder.to_owned(),
                        what: "a folder",
                    }
                }
                _ => failed(folder, "opened")(e),
            })?;
        match flock(&handle, operation) {
            // Whoever held the lock may have replaced the folder meanwhile.
            Ok(()) if same_place(folder, &handle) => return Ok(handle),
            Ok(()) | Err(rustix::io::Errno::AGAIN) => {}
            Err(e) => return Err(failed(folder, "locked")(e.into())),
        }
        if started.elapsed() > PATIENCE {
            return Err(AuditFault::Busy(folder.to_owned()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn same_place(path: &Path, handle: &File) -> bool {
    match (handle.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Makes a folder and those above it, private; durable only with [`durable`].
pub(super) fn make_folder(path: &Path) -> Result<(), AuditFault> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed(path, "written"))
}

/// Writes a file that can be made anew from the journal: neither in one step
/// nor durable.
pub(super) fn write_derived(path: &Path, bytes: &[u8]) -> Result<(), AuditFault> {
    let create = || {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(flags(OFlags::NOFOLLOW))
            .open(path)
    };
    let opened = match (create(), path.parent()) {
        (Err(e), Some(folder)) if e.kind() == io::ErrorKind::NotFound => {
            make_folder(folder)?;
            create()
        }
        (opened, _) => opened,
    };
    opened
        .and_then(|mut file| file.write_all(bytes))
        .map_err(failed(path, "written"))
}

/// Writes a file in one step, durable on return, with all folders between it
/// and `top`.
pub(super) fn write_durable(top: &Path, path: &Path, bytes: &[u8]) -> Result<(), AuditFault> {
    use crate::durable::{self, Existing, FileError};

    let fault = |e: FileError| match e {
        FileError::Io { path: at, source } => failed(&at, "written")(source),
        other => AuditFault::Io {
            path: path.to_owned(),
            doing: "written",
            kind: io::ErrorKind::Other,
            cause: other.to_string(),
        },
    };
    let folder = path.parent().unwrap_or(top);
    if !folder.is_dir() {
        make_folder(folder)?;
        for above in folder.ancestors().skip(1) {
            durable::sync_folder(above).map_err(fault)?;
            if above == top {
                break;
            }
        }
    }
    durable::write(path, bytes, 0o600, Existing::Replace).map_err(fault)
}
