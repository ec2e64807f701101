use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::{Layout, LayoutError, Resolved};
use crate::canon;
use crate::digest::Digest;
use crate::durable::{self, Existing, FileError};
use crate::limits;
use crate::oci::{self, Descriptor, Document, Index, media_type};
use crate::reference::Select;

const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Opens a layout that is there. Creates nothing.
    ///
    /// # Errors
    /// `NotALayout` where `oci-layout` or `index.json` is missing or of another
    /// version, `Io` where they cannot be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, LayoutError> {
        let dir = dir.as_ref();
        let not = |why: String| LayoutError::NotALayout {
            dir: dir.to_owned(),
            why,
        };
        let marker = read_small(&dir.join("oci-layout"), 4096)?
            .ok_or_else(|| not("it has no file oci-layout".to_owned()))?;
        let marker: Marker =
            canon::parse_as(&marker, 4096).map_err(|e| not(format!("oci-layout: {e}")))?;
        if marker.image_layout_version != "1.0.0" {
            let version: String = marker.image_layout_version.chars().take(32).collect();
            return Err(not(format!("version {version:?}, only \"1.0.0\" is read")));
        }
        let layout = Self {
            dir: dir.to_owned(),
        };
        layout.index()?;
        Ok(layout)
    }

    /// Opens a layout, or makes an empty one where there is nothing yet. What
    /// an interrupted run left behind is completed.
    ///
    /// # Errors
    /// `NotALayout` where the folder holds something else, otherwise as [`Layout::open`].
    pub fn create(dir: impl AsRef<Path>) -> Result<Self, LayoutError> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(LayoutError::io("create", dir))?;
        if !is_marked(dir)? {
            refuse_others(dir)?;
            mark(dir)?;
        }
        let layout = Self {
            dir: dir.to_owned(),
        };
        let blobs = dir.join("blobs").join("sha256");
        fs::create_dir_all(&blobs).map_err(LayoutError::io("create", &blobs))?;
        let _lock = layout.lock()?;
        if read_small(&dir.join("index.json"), limits::LAYOUT_INDEX)?.is_none() {
            write(dir, "index.json", &Index::default().to_json())?;
        }
        Self::open(dir)
    }

    /// `index.json`.
    ///
    /// # Errors
    /// `NotALayout` where it is missing, `Document` where it is malformed.
    pub fn index(&self) -> Result<Index, LayoutError> {
        let path = self.dir.join("index.json");
        let bytes =
            read_small(&path, limits::LAYOUT_INDEX)?.ok_or_else(|| LayoutError::NotALayout {
                dir: self.dir.clone(),
                why: "it has no file index.json".to_owned(),
            })?;
        Index::parse(&bytes, limits::LAYOUT_INDEX).map_err(|error| LayoutError::Document {
            origin: path.display().to_string(),
            error,
        })
    }

    /// Finds a manifest or index and reads it, checked against its digest.
    ///
    /// `Default` is the only image that is there: a tagged one before untagged
    /// ones, and never one that is about another (a referrer).
    ///
    /// # Errors
    /// `NoTag`, `TagTwice`, `Empty`, `Ambiguous`, and whatever reading a blob
    /// and a document may say.
    pub fn resolve(&self, select: &Select) -> Result<Resolved, LayoutError> {
        let index = self.index()?;
        let descriptor = match select {
            Select::Tag(tag) => self.by_tag(&index, tag)?,
            Select::Digest(digest) => match index.manifests.iter().find(|d| d.digest == *digest) {
                Some(listed) => listed.clone(),
                None => return self.unlisted(digest),
            },
            Select::Default => self.only(&index)?,
        };
        let (document, bytes) = self.read_document(&descriptor)?;
        Ok(Resolved {
            descriptor,
            bytes,
            document,
        })
    }

    pub(super) fn by_tag(&self, index: &Index, tag: &str) -> Result<Descriptor, LayoutError> {
        let mut found = index
            .manifests
            .iter()
            .filter(|d| d.annotation(media_type::REF_NAME) == Some(tag));
        let Some(first) = found.next() else {
            return Err(LayoutError::NoTag {
                dir: self.dir.clone(),
                tag: tag.to_owned(),
                tags: index.manifests.iter().filter_map(user_tag).collect(),
            });
        };
        let others: Vec<_> = found.filter(|d| d.digest != first.digest).collect();
        if !others.is_empty() {
            return Err(LayoutError::TagTwice {
                dir: self.dir.clone(),
                tag: tag.to_owned(),
                digests: std::iter::once(first)
                    .chain(others)
                    .map(|d| d.digest.to_string())
                    .collect(),
            });
        }
        Ok(first.clone())
    }

    /// A manifest that `index.json` does not list: a child of an index, or a referrer.
    fn unlisted(&self, digest: &Digest) -> Result<Resolved, LayoutError> {
        let size = self
            .blob_size(digest)?
            .ok_or_else(|| LayoutError::BlobMissing {
                dir: self.dir.clone(),
                digest: *digest,
            })?;
        let mut descriptor = Descriptor::new("", *digest, size);
        let bytes = self.read_blob(&descriptor, limits::MANIFEST)?;
        let document =
            Document::parse(&bytes, None).map_err(|error| self.document_error(digest, error))?;
        document.media_type().clone_into(&mut descriptor.media_type);
        Ok(Resolved {
            descriptor,
            bytes,
            document,
        })
    }

    fn only(&self, index: &Index) -> Result<Descriptor, LayoutError> {
        let mut candidates = BTreeMap::new();
        for entry in &index.manifests {
            if user_tag(entry).is_some() {
                candidates.entry(entry.digest).or_insert(entry);
            }
        }
        if candidates.is_empty() {
            for entry in &index.manifests {
                if entry.annotation(media_type::REF_NAME).is_none() && !self.is_referrer(entry) {
                    candidates.entry(entry.digest).or_insert(entry);
                }
            }
        }
        let mut all = candidates.values();
        match (all.next(), all.next()) {
            (Some(only), None) => Ok((*only).clone()),
            (None, _) => Err(LayoutError::Empty(self.dir.clone())),
            (Some(_), Some(_)) => Err(LayoutError::Ambiguous {
                dir: self.dir.clone(),
                names: candidates
                    .values()
                    .map(|d| user_tag(d).unwrap_or_else(|| d.digest.to_string()))
                    .collect(),
            }),
        }
    }

    /// An entry that cannot be read counts as an image: then it is named as
    /// ambiguous or fails to be read, and is never passed over.
    fn is_referrer(&self, entry: &Descriptor) -> bool {
        let kind = entry.annotation("kind").unwrap_or_default();
        if matches!(
            kind,
            "dev.cosignproject.cosign/sigs" | "dev.cosignproject.cosign/atts"
        ) {
            return true;
        }
        self.read_document(entry)
            .is_ok_and(|(document, _)| document.subject().is_some())
    }

    /// Every manifest and index below an index, in order, each once; empty for
    /// a manifest.
    ///
    /// # Errors
    /// `TooDeep` and `TooMany` at the limits, otherwise as [`Layout::read_document`].
    pub fn children(&self, of: &Document) -> Result<Vec<Descriptor>, LayoutError> {
        Ok(oci::each_once(self.entries(of)?))
    }

    /// Every entry of an index and of the indexes in it, in order: as often as
    /// it is listed, for whichever a machine chooses, and whatever its kind.
    ///
    /// # Errors
    /// As [`Layout::children`].
    pub fn entries(&self, of: &Document) -> Result<Vec<Descriptor>, LayoutError> {
        let mut found = Vec::new();
        self.descend(of, 0, &mut found, &mut BTreeSet::new())?;
        Ok(found)
    }

    fn descend(
        &self,
        of: &Document,
        depth: usize,
        found: &mut Vec<Descriptor>,
        walked: &mut BTreeSet<Digest>,
    ) -> Result<(), LayoutError> {
        let Document::Index(index) = of else {
            return Ok(());
        };
        for child in &index.manifests {
            if depth >= limits::INDEX_DEPTH {
                return Err(LayoutError::TooDeep {
                    dir: self.dir.clone(),
                    digest: child.digest,
                });
            }
            if found.len() >= limits::INDEX_ENTRIES {
                return Err(LayoutError::TooMany {
                    dir: self.dir.clone(),
                    what: "images below one index",
                    limit: limits::INDEX_ENTRIES,
                });
            }
            found.push(child.clone());
            if media_type::is_index(&child.media_type) && walked.insert(child.digest) {
                let (document, _) = self.read_document(child)?;
                self.descend(&document, depth + 1, found, walked)?;
            }
        }
        Ok(())
    }

    /// `os/architecture[/variant]` of an image manifest, by its configuration;
    /// `None` for an index, an artifact, or one that does not say.
    ///
    /// # Errors
    /// As [`Layout::read_blob`]; `Document` where the configuration is malformed.
    pub fn platform(&self, of: &Document) -> Result<Option<oci::Platform>, LayoutError> {
        let Document::Manifest(manifest) = of else {
            return Ok(None);
        };
        let config = &manifest.config;
        if ![media_type::CONFIG, media_type::DOCKER_CONFIG].contains(&config.media_type.as_str()) {
            return Ok(None);
        }
        let bytes = self.read_blob(config, limits::MANIFEST)?;
        oci::platform(&bytes).map_err(|error| self.document_error(&config.digest, error))
    }
}

/// An entry's tag, where it is one that people gave: not the tags by which
/// referrers are kept.
pub(super) fn user_tag(entry: &Descriptor) -> Option<String> {
    let tag = entry.annotation(media_type::REF_NAME)?;
    (!is_referrers_tag(tag)).then(|| tag.to_owned())
}

/// `sha256-<hex>`, with or without `.sig`, `.att` or `.sbom`.
pub(super) fn is_referrers_tag(tag: &str) -> bool {
    let base = [".sig", ".att", ".sbom"]
        .into_iter()
        .find_map(|end| tag.strip_suffix(end))
        .unwrap_or(tag);
    base.split_once('-').is_some_and(|(algorithm, hex)| {
        matches!(algorithm, "sha256" | "sha384" | "sha512")
            && hex.len() == 64
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

fn is_marked(dir: &Path) -> Result<bool, LayoutError> {
    Ok(read_small(&dir.join("oci-layout"), 4096)?.is_some())
}

/// Refuses a folder that had no marker a moment ago and holds something else
/// than an interrupted run of ours leaves.
pub(super) fn refuse_others(dir: &Path) -> Result<(), LayoutError> {
    for entry in fs::read_dir(dir).map_err(LayoutError::io("list", dir))? {
        let name = entry.map_err(LayoutError::io("list", dir))?.file_name();
        // A hidden name is what such a run leaves.
        if name.as_encoded_bytes().starts_with(b".") || name == "blobs" {
            continue;
        }
        // Somebody else may have made the layout since it was looked for.
        if is_marked(dir)? {
            return Ok(());
        }
        return Err(LayoutError::NotALayout {
            dir: dir.to_owned(),
            why: format!("it holds {name:?} and no file oci-layout"),
        });
    }
    Ok(())
}

/// Makes a folder a layout. The marker is what writers lock, so it is never
/// replaced: two processes that made the same layout at once would each hold a
/// lock of their own.
pub(super) fn mark(dir: &Path) -> Result<(), LayoutError> {
    match durable::write(&dir.join("oci-layout"), MARKER, 0o644, Existing::Refuse) {
        Ok(()) | Err(FileError::Exists(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), LayoutError> {
    durable::write(&dir.join(name), bytes, 0o644, Existing::Replace)?;
    Ok(())
}

/// A whole small file, `None` where there is none.
fn read_small(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, LayoutError> {
    match durable::read(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(FileError::Io { source, .. })
            if matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
