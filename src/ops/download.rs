//! `obreia download`: what is said about an artifact, as files.
//!
//! Every file is named by the digest of its bytes. Everything is fetched and
//! checked before the first is written; nothing is believed and nothing verified.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::copy::{Skipped, Spot};
use super::transfer::{self, Found};
use super::{Exit, Failure};
use crate::bundle::is_bundle_media_type;
use crate::digest::Digest;
use crate::durable::{self, Existing};
use crate::limits;
use crate::oci::{Descriptor, Document, Manifest, media_type};
use crate::source::layout::Node;
use crate::source::registry::Registries;

/// By which BuildKit marks what an index lists beside its images, and the
/// image that it is about.
const BUILDKIT_KIND: &str = "vnd.docker.reference.type";
const BUILDKIT_SUBJECT: &str = "vnd.docker.reference.digest";

/// What was written: `obreia.download/v1`.
#[derive(Debug, Serialize)]
pub struct Downloaded {
    schema: &'static str,
    /// The artifact, by digest.
    pub source: String,
    /// The same.
    pub digest: Digest,
    /// Where the files are.
    pub directory: PathBuf,
    /// The files; none where nothing is said about it.
    pub files: Vec<Written>,
    /// What was left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

/// One file.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    /// Its name in the folder.
    pub file: String,
    /// What its bytes hash to.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type, as it was listed.
    pub media_type: String,
    /// What it is about.
    pub subject: Digest,
    /// The manifest that it belongs to.
    pub manifest: Digest,
}

/// What to download, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The artifact.
    pub source: &'a Spot,
    /// The folder; made where it is not there.
    pub directory: &'a Path,
    /// Whether what is about an index's children is wanted too.
    pub recursive: bool,
    /// Whether files that are there are replaced.
    pub force: bool,
}

/// Writes the evidence about an artifact into a folder.
///
/// # Errors
/// Where the artifact or something about it cannot be looked up or fetched, or
/// a file is there already: then nothing was written.
pub async fn download(
    request: &Request<'_>,
    registries: &Registries,
) -> Result<Downloaded, Failure> {
    let found = transfer::find(request.source, registries).await?;
    let digest = found.resolved.descriptor.digest;
    let mut wanted = Wanted::default();
    wanted.collect(found.closure(), request.recursive);
    let contents = found.fetch(&wanted.blobs).await?;
    write(request, &wanted.files, &contents)?;
    Ok(Downloaded {
        schema: "obreia.download/v1",
        source: found.from.origin(&digest),
        digest,
        directory: request.directory.to_owned(),
        files: wanted.files,
        skipped: wanted.skipped,
    })
}

/// What is to be written.
#[derive(Default)]
struct Wanted {
    files: Vec<Written>,
    /// What is to be fetched, each once.
    blobs: Vec<Descriptor>,
    skipped: Vec<Skipped>,
    bytes: u64,
}

impl Wanted {
    /// All that is about a manifest, and about that in turn.
    fn collect(&mut self, node: &Node, recursive: bool) {
        let subject = node.descriptor.digest;
        for about in &node.referrers {
            self.referrer(about, subject);
            self.collect(about, true);
        }
        self.skipped.extend(Skipped::of(node));
        for child in &node.children {
            if let Some(subject) = built(child) {
                self.referrer(child, subject);
            } else if recursive {
                self.collect(child, true);
            }
        }
    }

    fn referrer(&mut self, node: &Node, subject: Digest) {
        let manifest = node.descriptor.digest;
        let Document::Manifest(document) = &node.document else {
            self.skip(manifest, "it is an index, which holds no evidence itself");
            return;
        };
        let mut layers: Vec<&Descriptor> = document
            .layers
            .iter()
            .filter(|layer| layer.media_type != media_type::EMPTY)
            .collect();
        // A configuration can be all that there is.
        if layers.is_empty() && document.config.media_type != media_type::EMPTY {
            layers.push(&document.config);
        }
        // Elsewhere signatures and names stand in the manifest itself.
        if !is_bundle(document) {
            self.file(&node.descriptor, ".manifest.json", subject, manifest);
        }
        for layer in layers {
            self.file(layer, ending(&layer.media_type), subject, manifest);
        }
    }

    fn file(&mut self, at: &Descriptor, ending: &str, subject: Digest, manifest: Digest) {
        let name = format!(
            "{}-{}{ending}",
            at.digest.algorithm().name(),
            at.digest.hex()
        );
        if self.files.iter().any(|known| known.file == name) {
            return;
        }
        if at.size > limits::DOCUMENT {
            let why = format!("{} bytes are more than {}", at.size, limits::DOCUMENT);
            return self.skip(at.digest, why);
        }
        if self.files.len() >= limits::EVIDENCE
            || self.bytes.saturating_add(at.size) > limits::EVIDENCE_BYTES
        {
            return self.skip(at.digest, "there is more than is fetched at once");
        }
        self.bytes += at.size;
        self.blobs.push(at.clone());
        self.files.push(Written {
            file: name,
            digest: at.digest,
            size: at.size,
            media_type: at.media_type.clone(),
            subject,
            manifest,
        });
    }

    fn skip(&mut self, digest: Digest, why: impl Into<String>) {
        self.skipped.push(Skipped {
            digest,
            why: why.into(),
        });
    }
}

fn is_bundle(manifest: &Manifest) -> bool {
    let mut layers = manifest.layers.iter();
    layers.any(|layer| is_bundle_media_type(&layer.media_type))
}

/// The image that a child of an index is about, where BuildKit put it there.
fn built(child: &Node) -> Option<Digest> {
    let is_about = child.descriptor.annotation(BUILDKIT_KIND) == Some("attestation-manifest");
    let subject = child.descriptor.annotation(BUILDKIT_SUBJECT)?;
    subject.parse().ok().filter(|_| is_about)
}

/// How the name of such a file ends, so that people and tools know it.
fn ending(media_type: &str) -> &'static str {
    let kind = media_type.split(';').next().unwrap_or_default().trim();
    match kind {
        _ if is_bundle_media_type(media_type) => ".sigstore.json",
        media_type::CYCLONEDX => ".cdx.json",
        media_type::SPDX => ".spdx.json",
        media_type::DSSE => ".dsse.json",
        media_type::SIMPLE_SIGNING => ".payload.json",
        "application/vnd.in-toto+json" => ".intoto.json",
        "application/jose+json" => ".jws.json",
        "application/cose" => ".cose",
        "application/json" | "text/json" => ".json",
        _ if kind.ends_with("+json") => ".json",
        _ => ".bin",
    }
}

/// All of it, or nothing that was not there before.
fn write(
    request: &Request<'_>,
    files: &[Written],
    contents: &BTreeMap<Digest, Vec<u8>>,
) -> Result<(), Failure> {
    let place = |file: &Written| request.directory.join(&file.file);
    if !request.force {
        let mut taken = files.iter().map(place);
        if let Some(path) = taken.find(|path| path.symlink_metadata().is_ok()) {
            return Err(durable::FileError::Exists(path).into());
        }
    }
    if files.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(request.directory).map_err(|error| {
        let what = format!("cannot create {}", request.directory.display());
        Failure::new(Exit::Usage, what).cause(error)
    })?;
    let existing = match request.force {
        true => Existing::Replace,
        false => Existing::Refuse,
    };
    let mut new = Vec::new();
    for file in files {
        let path = place(file);
        let was_there = path.symlink_metadata().is_ok();
        let bytes = contents.get(&file.digest).map_or(&[][..], Vec::as_slice);
        if let Err(error) = durable::write(&path, bytes, 0o644, existing) {
            for path in new {
                // What cannot be taken back is whole at least.
                let _left = fs::remove_file(path);
            }
            return Err(error.into());
        }
        if !was_there {
            new.push(path);
        }
    }
    Ok(())
}

impl Found {
    /// Blobs and manifests, whole and checked.
    async fn fetch(&self, of: &[Descriptor]) -> Result<BTreeMap<Digest, Vec<u8>>, Failure> {
        let (documents, blobs): (Vec<_>, Vec<_>) = of
            .iter()
            .cloned()
            .partition(|at| media_type::is_manifest(&at.media_type));
        let mut fetched = BTreeMap::new();
        for at in documents {
            fetched.insert(at.digest, self.from.document(&at).await?);
        }
        for (at, bytes) in blobs.iter().zip(self.from.blobs(&blobs).await?) {
            fetched.insert(at.digest, bytes);
        }
        Ok(fetched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_by_what_they_hold() {
        for (media_type, expected) in [
            (
                "application/vnd.dev.sigstore.bundle.v0.3+json",
                ".sigstore.json",
            ),
            ("application/vnd.cyclonedx+json", ".cdx.json"),
            ("application/spdx+json; version=2.3", ".spdx.json"),
            ("application/jose+json", ".jws.json"),
            ("application/vnd.acme.report+json", ".json"),
            ("../../etc/passwd", ".bin"),
            ("", ".bin"),
        ] {
            assert_eq!(ending(media_type), expected, "{media_type}");
        }
    }
}
