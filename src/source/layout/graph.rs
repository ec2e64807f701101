//! What hangs on what, as one reading of the layout shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::Read;

use super::blob::open_regular;
use super::open::is_referrers_tag;
use super::{Layout, LayoutError};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Document, Index, Legacy, fallback_tag, media_type};

/// Something that is about a manifest, or says so.
#[derive(Clone, Debug)]
pub struct Referring {
    /// Its descriptor, as it was listed.
    pub descriptor: Descriptor,
    /// The manifest, or why it is none: missing, changed, malformed, or about
    /// something else than the list that led to it says.
    pub document: Result<Document, Trouble>,
    /// The tag that led to it, where cosign put it under one before referrers.
    pub legacy: Option<(String, Legacy)>,
}

/// Why there is no manifest where one is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It was read, and is not what it should be.
    Malformed(String),
    /// It could not be read: nothing is known of it.
    Unreadable(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) | Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl From<LayoutError> for Trouble {
    fn from(error: LayoutError) -> Self {
        if error.is_unread() {
            Self::Unreadable(error.to_string())
        } else {
            Self::Malformed(error.to_string())
        }
    }
}

/// The referrers of every manifest of a layout.
#[derive(Debug)]
pub struct Graph<'a> {
    layout: &'a Layout,
    index: Index,
    by_subject: BTreeMap<Digest, Vec<Descriptor>>,
    /// Entries that call themselves artifacts and cannot be read: they may be about anything.
    unreadable: Vec<Referring>,
}

impl Layout {
    /// Reads `index.json` and every manifest that it lists, for what is about what.
    ///
    /// # Errors
    /// Where `index.json` cannot be read.
    pub fn graph(&self) -> Result<Graph<'_>, LayoutError> {
        let index = self.index()?;
        self.graph_of(index)
    }

    pub(super) fn graph_of(&self, index: Index) -> Result<Graph<'_>, LayoutError> {
        let mut graph = Graph {
            layout: self,
            by_subject: BTreeMap::new(),
            unreadable: Vec::new(),
            index,
        };
        let mut seen = BTreeSet::new();
        for entry in &graph.index.manifests {
            if !seen.insert(entry.digest) {
                continue;
            }
            match self.read_document(entry) {
                Ok((document, _)) => {
                    if let Some(subject) = document.subject() {
                        graph
                            .by_subject
                            .entry(subject.digest)
                            .or_default()
                            .push(entry.clone());
                    }
                }
                // A layout may list images whose blobs lie elsewhere; what calls
                // itself an artifact could be evidence, so it is never passed over.
                Err(LayoutError::BlobMissing { .. }) if entry.artifact_type.is_none() => {}
                Err(error) if entry.artifact_type.is_some() || error.is_unread() => {
                    graph.unreadable.push(Referring {
                        descriptor: entry.clone(),
                        document: Err(error.into()),
                        legacy: None,
                    });
                }
                Err(_) => {}
            }
        }
        let entries = &graph.index.manifests;
        let keeps_lists = entries.iter().any(|d| {
            d.annotation(media_type::REF_NAME)
                .is_some_and(is_referrers_tag)
        });
        if graph.by_subject.is_empty() && !keeps_lists && entries.iter().any(is_cosigns) {
            graph.scan_blobs()?;
        }
        Ok(graph)
    }
}

/// `cosign save` marks its entries so, and lists no referrers at all.
fn is_cosigns(entry: &Descriptor) -> bool {
    matches!(
        entry.annotation("kind"),
        Some("dev.cosignproject.cosign/image" | "dev.cosignproject.cosign/imageIndex")
    )
}

impl Graph<'_> {
    /// What is about `subject`, each once: listed in `index.json`, in the index
    /// under the fallback tag, or under cosign's older tags.
    ///
    /// # Errors
    /// `TooMany` over [`limits::EVIDENCE`]; what is unreadable is listed as such.
    pub fn referrers(&self, subject: &Digest) -> Result<Vec<Referring>, LayoutError> {
        let mut found: Vec<Referring> = Vec::new();
        let mut seen = BTreeSet::new();
        let listed = self.by_subject.get(subject).map_or(&[][..], Vec::as_slice);
        let fallback = self.fallback(subject, &mut found);
        for descriptor in listed.iter().chain(&fallback) {
            if !seen.insert(descriptor.digest) {
                continue;
            }
            self.enough(&found)?;
            found.push(Referring {
                descriptor: descriptor.clone(),
                document: self.read_about(descriptor, subject),
                legacy: None,
            });
        }
        for what in Legacy::ALL {
            let tag = what.tag(subject);
            for descriptor in self.tagged(&tag) {
                self.enough(&found)?;
                found.push(self.legacy(descriptor, tag.clone(), what));
            }
        }
        for (kind, what) in [
            ("dev.cosignproject.cosign/sigs", Legacy::Signature),
            ("dev.cosignproject.cosign/atts", Legacy::Attestation),
        ] {
            // `cosign save` writes one image per layout, so these are about it.
            let about_it = |d: &&Descriptor| is_cosigns(d) && d.digest == *subject;
            if self.index.manifests.iter().any(|d| about_it(&d)) {
                let of_kind = |d: &&Descriptor| d.annotation("kind") == Some(kind);
                for descriptor in self.index.manifests.iter().filter(of_kind) {
                    self.enough(&found)?;
                    found.push(self.legacy(descriptor, kind.to_owned(), what));
                }
            }
        }
        Ok(found)
    }

    /// Entries of `index.json` that call themselves artifacts and cannot be
    /// read; what they are about is not known.
    pub fn unreadable(&self) -> &[Referring] {
        &self.unreadable
    }

    fn enough(&self, found: &[Referring]) -> Result<(), LayoutError> {
        if found.len() < limits::EVIDENCE {
            return Ok(());
        }
        Err(LayoutError::TooMany {
            dir: self.layout.dir().to_owned(),
            what: "referrers of one manifest",
            limit: limits::EVIDENCE,
        })
    }

    fn tagged(&self, tag: &str) -> impl Iterator<Item = &Descriptor> {
        self.index
            .manifests
            .iter()
            .filter(move |d| d.annotation(media_type::REF_NAME) == Some(tag))
    }

    /// The entries of the index under the fallback tag; an index that cannot be
    /// read goes to `found` as what it is.
    fn fallback(&self, subject: &Digest, found: &mut Vec<Referring>) -> Vec<Descriptor> {
        let mut entries = Vec::new();
        for at in self.tagged(&fallback_tag(subject)) {
            let problem = match self.layout.read_document(at) {
                Ok((Document::Index(index), _)) => {
                    entries.extend(index.manifests);
                    continue;
                }
                Ok((Document::Manifest(_), _)) => Trouble::Malformed(
                    "the fallback tag leads to a manifest, not to an index".to_owned(),
                ),
                Err(error) => error.into(),
            };
            found.push(Referring {
                descriptor: at.clone(),
                document: Err(problem),
                legacy: None,
            });
        }
        entries
    }

    fn read_about(&self, at: &Descriptor, subject: &Digest) -> Result<Document, Trouble> {
        let (document, _) = self.layout.read_document(at)?;
        match document.subject() {
            Some(found) if found.digest == *subject => Ok(document),
            Some(found) => Err(Trouble::Malformed(format!(
                "listed as about {subject}, its subject is {}",
                found.digest
            ))),
            None => Err(Trouble::Malformed(format!(
                "listed as about {subject}, it has no subject"
            ))),
        }
    }

    fn legacy(&self, at: &Descriptor, tag: String, what: Legacy) -> Referring {
        Referring {
            descriptor: at.clone(),
            document: self
                .layout
                .read_document(at)
                .map(|(document, _)| document)
                .map_err(Trouble::from),
            legacy: Some((tag, what)),
        }
    }

    /// Looks through the blobs for manifests with a subject, as cosign does in
    /// a layout that it saved.
    fn scan_blobs(&mut self) -> Result<(), LayoutError> {
        let folder = self.layout.dir().join("blobs").join("sha256");
        let entries = fs::read_dir(&folder).map_err(LayoutError::io("list", &folder))?;
        for (count, entry) in entries.enumerate() {
            if count >= limits::CLOSURE {
                return Err(LayoutError::TooMany {
                    dir: self.layout.dir().to_owned(),
                    what: "blobs",
                    limit: limits::CLOSURE,
                });
            }
            let entry = entry.map_err(LayoutError::io("list", &folder))?;
            let name = entry.file_name();
            let Some(digest) = name
                .to_str()
                .and_then(|hex| Digest::from_hex("sha256", hex).ok())
            else {
                continue;
            };
            // What cannot be opened may be a referrer: looking through the
            // blobs is a look-up, and it failed.
            let (mut file, size) = open_regular(&entry.path())?;
            let mut first = [0];
            if size > limits::MANIFEST || file.read(&mut first).unwrap_or(0) == 0 || first != *b"{"
            {
                continue;
            }
            let mut descriptor = Descriptor::new(media_type::MANIFEST, digest, size);
            let Ok((document, _)) = self.layout.read_document(&descriptor) else {
                continue;
            };
            if let Some(subject) = document.subject().map(|s| s.digest) {
                descriptor.artifact_type = document.artifact_type().map(str::to_owned);
                descriptor.annotations = document.annotations().clone();
                self.by_subject.entry(subject).or_default().push(descriptor);
            }
        }
        // The folder's order is the file system's; a report should not depend on it.
        for list in self.by_subject.values_mut() {
            list.sort_by_key(|d| d.digest);
        }
        Ok(())
    }
}
