//! One file: opened once, hashed in one pass, and the same at the end as at
//! the beginning.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, CWD, FileType, Mode, Stat, fadvise, fstat, openat};

use super::SourceError;
use super::progress::Progress;
use super::resolve::{LOOK, READ};
use crate::crypto::MultiHasher;
use crate::digest::{Algorithm, Digest};
use crate::model::format::Content;

/// Bytes read at once: fits the second-level cache, and is past where system calls cost anything.
pub(super) const BUFFER: usize = 128 << 10;

/// What a file is known by while it is read.
///
/// A write that keeps the size and falls into the same tick of the file
/// system's clock as the one before it goes unseen; a copy by
/// [`super::stage`] does not depend on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        // The fields' types differ between platforms; none is ever negative or wider but times.
        #[allow(clippy::unnecessary_cast)]
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }
}

/// What a file is, for a person.
pub(super) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "regular file",
        FileType::Directory => "folder",
        FileType::Symlink => "symlink",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Unknown => "file of an unknown kind",
    }
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct RegularFile {
    file: File,
    path: PathBuf,
    stamp: Stamp,
}

impl RegularFile {
    /// Opens what the operator named; where that is a symlink, what it points at.
    ///
    /// # Errors
    /// `NotRegular`, before it is opened, for a folder, pipe, device or
    /// socket; `Io` where it is not there or may not be read.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let look = openat(CWD, path, LOOK, Mode::empty()).map_err(SourceError::io("open", path))?;
        Self::settle(&look, path, |flags| openat(CWD, path, flags, Mode::empty()))
    }

    /// Opens, by `open`, the file that `look` looks at.
    pub(super) fn settle(
        look: &OwnedFd,
        path: &Path,
        open: impl FnOnce(rustix::fs::OFlags) -> rustix::io::Result<OwnedFd>,
    ) -> Result<Self, SourceError> {
        let seen = fstat(look).map_err(SourceError::io("read", path))?;
        if kind(&seen) != FileType::RegularFile {
            return Err(SourceError::NotRegular {
                path: path.to_owned(),
                kind: kind_name(kind(&seen)),
            });
        }
        let fd = open(READ).map_err(SourceError::io("open", path))?;
        let stamp = Stamp::of(&fstat(&fd).map_err(SourceError::io("read", path))?);
        if stamp != Stamp::of(&seen) {
            return Err(SourceError::Changed(path.to_owned()));
        }
        Ok(Self {
            file: File::from(fd),
            path: path.to_owned(),
            stamp,
        })
    }

    /// Size in bytes, when it was opened.
    pub const fn size(&self) -> u64 {
        self.stamp.size
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file itself, for whoever runs it.
    pub fn into_file(self) -> File {
        self.file
    }

    pub(super) const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Reads up to `buf.len()` bytes at `offset`; 0 only at the end.
    ///
    /// # Errors
    /// The system's.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(buf, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Its first bytes, at most `limit`.
    ///
    /// # Errors
    /// `Io`.
    pub fn start(&self, limit: usize) -> Result<Vec<u8>, SourceError> {
        let mut start = vec![0; limit.min(usize::try_from(self.size()).unwrap_or(limit))];
        let mut filled = 0;
        while filled < start.len() {
            let got = self
                .read_at(filled as u64, &mut start[filled..])
                .map_err(|source| self.unreadable(source))?;
            if got == 0 {
                break;
            }
            filled += got;
        }
        start.truncate(filled);
        Ok(start)
    }

    /// All of it at once.
    ///
    /// # Errors
    /// `TooLarge` over `limit` bytes; `Changed`; `Io`.
    pub fn read_all(&mut self, limit: u64) -> Result<Vec<u8>, SourceError> {
        if self.size() > limit {
            return Err(SourceError::TooLarge {
                path: self.path.clone(),
                size: self.size(),
                limit,
            });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.size()).unwrap_or(0));
        (&self.file)
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| self.unreadable(source))?;
        if bytes.len() as u64 != self.size() {
            return Err(SourceError::Changed(self.path.clone()));
        }
        self.recheck()?;
        Ok(bytes)
    }

    /// Its digests in each of `algorithms`, in that order, in one pass.
    ///
    /// # Errors
    /// `Changed` when it is not at the end what it was at the beginning; `Io`.
    pub fn hash(
        &self,
        algorithms: &[Algorithm],
        progress: &dyn Progress,
    ) -> Result<Vec<Digest>, SourceError> {
        let mut hasher = MultiHasher::new(algorithms);
        let mut buffer = buffer(self.size());
        self.each(0, self.size(), &mut buffer, progress, |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        self.recheck()?;
        Ok(hasher.finish())
    }

    /// Gives the bytes from `start` to `end` to `take`, in order.
    pub(super) fn each(
        &self,
        start: u64,
        end: u64,
        buffer: &mut [u8],
        progress: &dyn Progress,
        mut take: impl FnMut(&[u8]) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        // Advice only: a file system that does not take it reads all the same.
        let _refused = fadvise(&self.file, start, None, Advice::Sequential);
        let mut at = start;
        while at < end {
            let want = usize::try_from(end - at).map_or(buffer.len(), |n| n.min(buffer.len()));
            let got = self
                .read_at(at, &mut buffer[..want])
                .map_err(|source| self.unreadable(source))?;
            if got == 0 {
                return Err(SourceError::Changed(self.path.clone()));
            }
            take(&buffer[..got])?;
            at += got as u64;
            progress.add(got as u64);
        }
        // Some files hold more than they say: what grows, and what a kernel makes up.
        if end == self.size() {
            let more = self.read_at(end, &mut [0; 1]);
            if more.map_err(|source| self.unreadable(source))? > 0 {
                return Err(SourceError::Changed(self.path.clone()));
            }
        }
        Ok(())
    }

    /// That it is still what it was when it was opened.
    ///
    /// # Errors
    /// `Changed`, or `Io`.
    pub fn recheck(&self) -> Result<(), SourceError> {
        let now = fstat(self.file.as_fd()).map_err(SourceError::io("read", &self.path))?;
        if Stamp::of(&now) == self.stamp {
            Ok(())
        } else {
            Err(SourceError::Changed(self.path.clone()))
        }
    }

    fn unreadable(&self, source: io::Error) -> SourceError {
        SourceError::Io {
            action: "read",
            path: self.path.clone(),
            source,
        }
    }
}

impl Content for &RegularFile {
    fn len(&self) -> u64 {
        self.size()
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        RegularFile::read_at(self, offset, buf)
    }
}

/// A buffer for a file of that size: no more than it needs.
pub(super) fn buffer(size: u64) -> Vec<u8> {
    vec![0; usize::try_from(size).map_or(BUFFER, |n| n.clamp(1, BUFFER))]
}

#[cfg(test)]
mod tests {
    use super::*;

    // The window is too small to be hit from outside.
    #[test]
    fn what_is_opened_must_be_what_was_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a"), "1").unwrap();
        std::fs::write(path("b"), "1").unwrap();
        let look = |name: &str| openat(CWD, path(name), LOOK, Mode::empty()).unwrap();
        let settle = |opened: &str| {
            RegularFile::settle(&look("a"), &path("a"), |flags| {
                openat(CWD, path(opened), flags, Mode::empty())
            })
        };
        settle("a").unwrap();
        for other in ["b", "."] {
            let error = settle(other).unwrap_err();
            assert!(matches!(error, SourceError::Changed(_)), "{error}");
        }
    }
}
