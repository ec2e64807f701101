use std::fs::{File, OpenOptions, TryLockError};
use std::time::{Duration, Instant};

use super::open::write;
use super::{Layout, LayoutError};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Index, media_type};

/// What came of moving a tag from what it was expected to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// It leads there now.
    Moved,
    /// It led there already.
    Already,
    /// It leads to something else than was expected, or nowhere, and was left alone.
    Other(Option<Digest>),
}

/// How long another writer may hold the lock. Blobs are written outside of it,
/// so an honest one holds it for milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

impl Layout {
    /// Changes `index.json` under the layout's lock: read, changed, replaced at
    /// once. Nothing is written where `change` fails or changes nothing.
    ///
    /// # Errors
    /// Those of `change`; `Locked`, `TooMany`, `Io`.
    pub fn update<T>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T, LayoutError>,
    ) -> Result<T, LayoutError> {
        let _lock = self.lock()?;
        let before = self.index()?;
        let mut index = before.clone();
        let result = change(&mut index)?;
        if index == before {
            return Ok(result);
        }
        let json = index.to_json();
        if index.manifests.len() > limits::INDEX_ENTRIES || json.len() as u64 > limits::LAYOUT_INDEX
        {
            return Err(LayoutError::TooMany {
                dir: self.dir().to_owned(),
                what: "entries in index.json",
                limit: limits::INDEX_ENTRIES,
            });
        }
        write(self.dir(), "index.json", &json)?;
        Ok(result)
    }

    /// Moves a tag to a manifest that is there. What had the tag before stays
    /// in the layout, without it. Doing it again changes nothing.
    ///
    /// # Errors
    /// `BlobMissing` where the manifest is not there, otherwise as [`Layout::update`].
    pub fn tag(&self, tag: &str, manifest: &Descriptor) -> Result<(), LayoutError> {
        self.check_blob(manifest)?;
        self.update(|index| {
            set_tag(index, tag, manifest);
            Ok(())
        })
    }

    /// What a tag leads to; `None` where there is no such tag.
    ///
    /// # Errors
    /// `TagTwice`, and where `index.json` cannot be read.
    pub fn tagged(&self, tag: &str) -> Result<Option<Digest>, LayoutError> {
        self.tagged_in(&self.index()?, tag)
    }

    fn tagged_in(&self, index: &Index, tag: &str) -> Result<Option<Digest>, LayoutError> {
        match self.by_tag(index, tag) {
            Ok(found) => Ok(Some(found.digest)),
            Err(LayoutError::NoTag { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves a tag as [`Layout::tag`] does, but only from where it is expected
    /// to lead: compared and written under the layout's lock.
    ///
    /// # Errors
    /// As [`Layout::tag`], and `TagTwice`.
    pub fn flip(
        &self,
        tag: &str,
        manifest: &Descriptor,
        expected: Option<&Digest>,
    ) -> Result<Flip, LayoutError> {
        self.check_blob(manifest)?;
        self.update(|index| {
            let found = self.tagged_in(index, tag)?;
            if found == Some(manifest.digest) {
                return Ok(Flip::Already);
            }
            if found.as_ref() != expected {
                return Ok(Flip::Other(found));
            }
            set_tag(index, tag, manifest);
            Ok(Flip::Moved)
        })
    }

    /// Held until dropped. The marker file is never replaced, so all writers
    /// meet at the same one.
    pub(super) fn lock(&self) -> Result<File, LayoutError> {
        let path = self.dir().join("oci-layout");
        // Locking wants a writable descriptor on some network file systems.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .or_else(|_| File::open(&path))
            .map_err(LayoutError::io("open", &path))?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LayoutError::Locked {
                        dir: self.dir().to_owned(),
                        seconds: PATIENCE.as_secs(),
                    });
                }
                Err(TryLockError::Error(error)) => {
                    return Err(LayoutError::io("lock", &path)(error));
                }
            }
        }
    }
}

/// Moves `tag` to `manifest` in an index.
pub(super) fn set_tag(index: &mut Index, tag: &str, manifest: &Descriptor) {
    let has_tag = |d: &Descriptor| d.annotation(media_type::REF_NAME) == Some(tag);
    if index
        .manifests
        .iter()
        .any(|d| has_tag(d) && d.digest == manifest.digest)
        && index.manifests.iter().filter(|d| has_tag(d)).count() == 1
    {
        return;
    }
    // What had the tag stays listed, unless it is listed anyway.
    let mut at = 0;
    while at < index.manifests.len() {
        let digest = index.manifests[at].digest;
        if !has_tag(&index.manifests[at]) {
            at += 1;
        } else if index
            .manifests
            .iter()
            .filter(|d| d.digest == digest)
            .count()
            > 1
        {
            index.manifests.remove(at);
        } else {
            index.manifests[at].annotations.remove(media_type::REF_NAME);
            at += 1;
        }
    }
    let untagged = index
        .manifests
        .iter_mut()
        .find(|d| d.digest == manifest.digest && d.annotation(media_type::REF_NAME).is_none());
    let tag = (media_type::REF_NAME.to_owned(), tag.to_owned());
    match untagged {
        Some(entry) => entry.annotations.extend([tag]),
        None => {
            let mut entry = manifest.clone();
            entry.annotations.extend([tag]);
            index.manifests.push(entry);
        }
    }
}
