//! Blobs: read with their digest checked, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Layout, LayoutError};
use crate::crypto::Hasher;
use crate::digest::{Algorithm, Digest};
use crate::durable;
use crate::limits;
use crate::oci::{Descriptor, Document};

/// Read and written at once.
const CHUNK: usize = 128 * 1024;

/// A blob's bytes; whoever reads to the end has had its size and digest checked.
///
/// The last `read`, the one that returns 0, is the one that fails where they
/// differ: what was read before must not be used until then.
pub struct BlobReader {
    file: File,
    dir: PathBuf,
    digest: Digest,
    size: u64,
    read: u64,
    hasher: Option<Hasher>,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.file.read(buffer)?;
        self.read = self.read.saturating_add(count as u64);
        if self.read > self.size {
            return Err(io::Error::other(self.wrong_size()));
        }
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..count]);
            }
            return Ok(count);
        }
        if self.read < self.size {
            return Err(io::Error::other(self.wrong_size()));
        }
        // Asked again after the end: it was checked then.
        let Some(hasher) = self.hasher.take() else {
            return Ok(0);
        };
        let found = hasher.finish();
        if found != self.digest {
            return Err(io::Error::other(LayoutError::BlobChanged {
                dir: self.dir.clone(),
                digest: self.digest,
                found: Box::new(found),
            }));
        }
        Ok(0)
    }
}

impl BlobReader {
    fn wrong_size(&self) -> LayoutError {
        LayoutError::BlobSize {
            dir: self.dir.clone(),
            digest: self.digest,
            expected: self.size,
            found: self.read,
        }
    }
}

impl Layout {
    /// Where a blob lies. A [`Digest`] holds an algorithm of a closed list and
    /// hex, so the path cannot lead out of the layout.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.dir()
            .join("blobs")
            .join(digest.algorithm().name())
            .join(digest.hex())
    }

    /// Opens a blob for reading; see [`BlobReader`].
    ///
    /// # Errors
    /// `BlobMissing`, `BlobSize`, `NotRegular` or `Io`.
    pub fn open_blob(&self, blob: &Descriptor) -> Result<BlobReader, LayoutError> {
        let (file, found) = self.open_file(&blob.digest)?;
        if found != blob.size {
            return Err(LayoutError::BlobSize {
                dir: self.dir().to_owned(),
                digest: blob.digest,
                expected: blob.size,
                found,
            });
        }
        Ok(BlobReader {
            file,
            dir: self.dir().to_owned(),
            digest: blob.digest,
            size: blob.size,
            read: 0,
            hasher: Some(Hasher::new(blob.digest.algorithm())),
        })
    }

    /// The size of a blob that is there, `None` where there is none. Its bytes
    /// are not looked at.
    ///
    /// # Errors
    /// `NotRegular` or `Io`.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, LayoutError> {
        match self.open_file(digest) {
            Ok((_, size)) => Ok(Some(size)),
            Err(LayoutError::BlobMissing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A blob's bytes, checked.
    ///
    /// # Errors
    /// As [`Layout::open_blob`]; `BlobLarge` over `limit` bytes, `BlobChanged`
    /// where they are not what the digest says.
    pub fn read_blob(&self, blob: &Descriptor, limit: u64) -> Result<Vec<u8>, LayoutError> {
        if blob.size > limit {
            return Err(LayoutError::BlobLarge {
                dir: self.dir().to_owned(),
                digest: blob.digest,
                found: blob.size,
                limit,
            });
        }
        let mut bytes = Vec::new();
        let mut reader = self.open_blob(blob)?;
        reader
            .read_to_end(&mut bytes)
            .map_err(|e| self.blob_error(&blob.digest, e))?;
        Ok(bytes)
    }

    /// Reads a blob to its end for its digest alone.
    ///
    /// # Errors
    /// As [`Layout::read_blob`].
    pub fn check_blob(&self, blob: &Descriptor) -> Result<(), LayoutError> {
        let mut reader = self.open_blob(blob)?;
        let mut buffer = vec![0; CHUNK];
        while reader
            .read(&mut buffer)
            .map_err(|e| self.blob_error(&blob.digest, e))?
            > 0
        {}
        Ok(())
    }

    /// A manifest or index and its exact bytes, checked.
    ///
    /// # Errors
    /// As [`Layout::read_blob`]; `Document` where it is neither.
    pub fn read_document(&self, at: &Descriptor) -> Result<(Document, Vec<u8>), LayoutError> {
        let bytes = self.read_blob(at, limits::MANIFEST)?;
        match Document::parse(&bytes, Some(&at.media_type)) {
            Ok(document) => Ok((document, bytes)),
            Err(error) => Err(self.document_error(&at.digest, error)),
        }
    }

    /// Stores bytes that are at hand, by SHA-256. Durable on return; storing
    /// the same again changes nothing.
    ///
    /// # Errors
    /// `Io`; nothing is half written.
    pub fn put_blob(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, LayoutError> {
        let blob = Descriptor::of(media_type, bytes);
        self.put_checked(&blob, &mut &*bytes)?;
        Ok(blob)
    }

    /// Stores what `from` yields and tells what it was, by SHA-256. Durable on
    /// return.
    ///
    /// # Errors
    /// `Io`, also where `from` fails; nothing is half written.
    pub fn put_stream(
        &self,
        media_type: &str,
        from: &mut dyn Read,
    ) -> Result<Descriptor, LayoutError> {
        let (file, digest, size) = self.spool(Algorithm::Sha256, from)?;
        let blob = Descriptor::new(media_type, digest, size);
        self.keep(file, &blob)?;
        Ok(blob)
    }

    /// Stores a blob that must be what its descriptor says. Durable on return;
    /// where it is there already and whole, nothing is read from `from`.
    ///
    /// # Errors
    /// `BlobSize` or `BlobChanged` where `from` yields something else, `Io`;
    /// nothing is half written.
    pub fn put_checked(&self, blob: &Descriptor, from: &mut dyn Read) -> Result<(), LayoutError> {
        // A damaged copy is replaced: the name is only free for these bytes.
        if self.blob_size(&blob.digest)? == Some(blob.size) && self.check_blob(blob).is_ok() {
            return Ok(());
        }
        let limited = &mut from.take(blob.size.saturating_add(1));
        let (file, found, size) = self.spool(blob.digest.algorithm(), limited)?;
        if size != blob.size {
            return Err(LayoutError::BlobSize {
                dir: self.dir().to_owned(),
                digest: blob.digest,
                expected: blob.size,
                found: size,
            });
        }
        if found != blob.digest {
            return Err(LayoutError::BlobChanged {
                dir: self.dir().to_owned(),
                digest: blob.digest,
                found: Box::new(found),
            });
        }
        self.keep(file, blob)
    }

    fn spool(
        &self,
        algorithm: Algorithm,
        from: &mut dyn Read,
    ) -> Result<(tempfile::NamedTempFile, Digest, u64), LayoutError> {
        let mut file = temporary(self.dir())?;
        let path = file.path().to_owned();
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; CHUNK];
        let mut size = 0_u64;
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(unwrap_or(e, "read what is to be stored in", self.dir())),
            };
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count])
                .map_err(LayoutError::io("write", &path))?;
            size = size.saturating_add(count as u64);
        }
        Ok((file, hasher.finish(), size))
    }

    fn keep(&self, file: tempfile::NamedTempFile, blob: &Descriptor) -> Result<(), LayoutError> {
        let path = self.blob_path(&blob.digest);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(LayoutError::io("create", folder))?;
        }
        persist(file, &path)
    }

    fn open_file(&self, digest: &Digest) -> Result<(File, u64), LayoutError> {
        let path = self.blob_path(digest);
        match open_regular(&path) {
            Err(LayoutError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                Err(LayoutError::BlobMissing {
                    dir: self.dir().to_owned(),
                    digest: *digest,
                })
            }
            other => other,
        }
    }

    /// What a [`BlobReader`]'s error was about.
    pub fn blob_error(&self, digest: &Digest, error: io::Error) -> LayoutError {
        unwrap_or(error, "read", &self.blob_path(digest))
    }
}

/// The layout's own error where a [`BlobReader`] put one into `error`.
fn unwrap_or(error: io::Error, what: &'static str, path: &Path) -> LayoutError {
    match error.downcast::<LayoutError>() {
        Ok(inner) => inner,
        Err(error) => LayoutError::Io {
            what,
            path: path.to_owned(),
            error,
        },
    }
}

/// Opens a regular file and tells its size; never waits on a pipe or a device.
pub(super) fn open_regular(path: &Path) -> Result<(File, u64), LayoutError> {
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
        .map_err(LayoutError::io("open", path))?;
    let metadata = file.metadata().map_err(LayoutError::io("open", path))?;
    if !metadata.is_file() {
        return Err(LayoutError::NotRegular(path.to_owned()));
    }
    Ok((file, metadata.len()))
}

/// A file that does not have its name yet, in the layout's own file system.
fn temporary(dir: &Path) -> Result<tempfile::NamedTempFile, LayoutError> {
    tempfile::Builder::new()
        .prefix(".obreia-")
        .suffix(".tmp")
        // What other users may read is the process's umask to say.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(dir)
        .map_err(LayoutError::io("write into", dir))
}

/// Gives a file its name: durable, and at no time half there.
fn persist(file: tempfile::NamedTempFile, path: &Path) -> Result<(), LayoutError> {
    file.as_file()
        .sync_all()
        .map_err(LayoutError::io("write", path))?;
    file.persist(path)
        .map_err(|e| LayoutError::io("write", path)(e.error))?;
    durable::sync_folder(path.parent().unwrap_or(path))?;
    Ok(())
}
