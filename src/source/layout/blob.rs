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

/// A blob that is being stored: whole at its end, or not at all.
pub struct BlobWriter {
    layout: Layout,
    blob: Descriptor,
    spool: Spool,
}

impl BlobWriter {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `BlobSize` where they are more than the descriptor says, `Io`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), LayoutError> {
        let found = self.spool.size.saturating_add(bytes.len() as u64);
        if found > self.blob.size {
            return Err(LayoutError::BlobSize {
                dir: self.layout.dir().to_owned(),
                digest: self.blob.digest,
                expected: self.blob.size,
                found,
            });
        }
        self.spool.write(bytes)
    }

    /// Gives the blob its name, where it is what its descriptor says. Durable
    /// on return.
    ///
    /// # Errors
    /// `BlobSize`, `BlobChanged`, `Io`; nothing is half written.
    pub fn end(self) -> Result<(), LayoutError> {
        let Spool { file, hasher, size } = self.spool;
        let spooled = (file, hasher.finish(), size);
        self.layout.keep_checked(&self.blob, spooled)
    }
}

/// Bytes that have no name yet.
struct Spool {
    file: tempfile::NamedTempFile,
    hasher: Hasher,
    size: u64,
}

impl Spool {
    fn new(dir: &Path, algorithm: Algorithm) -> Result<Self, LayoutError> {
        Ok(Self {
            file: temporary(dir)?,
            hasher: Hasher::new(algorithm),
            size: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LayoutError> {
        self.hasher.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
        let path = self.file.path().to_owned();
        self.file
            .write_all(bytes)
            .map_err(LayoutError::io("write", &path))
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
        let spooled = self.spool(blob.digest.algorithm(), limited)?;
        self.keep_checked(blob, spooled)
    }

    /// Begins to store a blob that comes piece by piece.
    ///
    /// # Errors
    /// `Io` where nothing can be written.
    pub fn begin_blob(&self, blob: &Descriptor) -> Result<BlobWriter, LayoutError> {
        Ok(BlobWriter {
            layout: self.clone(),
            blob: blob.clone(),
            spool: Spool::new(self.dir(), blob.digest.algorithm())?,
        })
    }

    fn spool(
        &self,
        algorithm: Algorithm,
        from: &mut dyn Read,
    ) -> Result<(tempfile::NamedTempFile, Digest, u64), LayoutError> {
        let mut spool = Spool::new(self.dir(), algorithm)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(unwrap_or(e, "read what is to be stored in", self.dir())),
            };
            spool.write(&buffer[..count])?;
        }
        Ok((spool.file, spool.hasher.finish(), spool.size))
    }

    fn keep_checked(
        &self,
        blob: &Descriptor,
        (file, found, size): (tempfile::NamedTempFile, Digest, u64),
    ) -> Result<(), LayoutError> {
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
