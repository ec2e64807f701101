//! `obreia tree`: what an artifact is made of, and what is said about it.
//!
//! Nothing is verified here; a verdict that was reached elsewhere is shown
//! beside each piece of evidence.

mod held;

use std::path::Path;

use serde::Serialize;

pub use held::is_shown;

use super::remote::{self, Named};
use super::{Exit, Failure};
use crate::attestations::{AttestationStore, Format, Sidecar, Subject, Untrusted};
use crate::bundle::is_bundle_media_type;
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Document, Legacy, Manifest, artifact_files, media_type};
use crate::reference::{ArtifactRef, Select};
use crate::source::layout::{Layout, Node};
use crate::source::registry::Registries;
use crate::verify::Verdict;

/// Everything that hangs together: `obreia.tree/v1`.
#[derive(Debug, Serialize)]
pub struct Tree {
    schema: &'static str,
    /// What was asked about, as it was read.
    pub artifact: String,
    /// The artifact itself.
    pub root: Branch,
}

/// One thing and what hangs on it.
#[derive(Debug, Default, Serialize)]
pub struct Branch {
    /// What it is, in words: `model`, `image index`, `signature`, ….
    pub what: String,
    /// Its digest; a path has none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Its name: a path, a platform, a tag.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its media type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// What kind of artifact its manifest says that it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What a bundle in it holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Held>,
    /// Files or layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// What an index lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
    /// What is about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<Self>,
    /// Why it cannot be read, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// One file or layer.
#[derive(Debug, Serialize)]
pub struct Part {
    /// Path of a file, or `layer`, `config`.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What a bundle, or another piece of evidence, says. Nothing of it is proved,
/// but where `verified` stands.
#[derive(Debug, Default, Serialize)]
pub struct Held {
    /// How it is packed, where that is not a bundle: `cosign-legacy`, `dsse`,
    /// `notation`, or `unsigned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    /// What the signer of a simple-signing payload calls the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Predicate type of a statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// The signer's hint at its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The envelope's key id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
    /// Whether it verified, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// As whose signature it verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
}

/// Reads what hangs on an artifact; `verdict` is shown along where there is one.
///
/// # Errors
/// Where the artifact cannot be read. A referrer that cannot be read is shown
/// as such.
pub async fn tree(
    artifact: &ArtifactRef,
    registries: &Registries,
    verdict: Option<&Verdict>,
) -> Result<Tree, Failure> {
    let root = match artifact {
        ArtifactRef::Registry {
            host,
            repository,
            select,
        } => {
            let named = Named {
                host,
                repository,
                select,
            };
            remote::tree(named, registries, verdict).await?
        }
        ArtifactRef::Layout { dir, select } => in_layout(Path::new(dir), select, verdict)?,
        ArtifactRef::Path { path, .. } => beside(Path::new(path), verdict).await?,
        ArtifactRef::Digest(_) => {
            return Err(Failure::new(
                Exit::Usage,
                format!("cannot look at what hangs on {artifact}"),
            )
            .hint("name a path, oci-layout:DIR:TAG or an image in a registry"));
        }
    };
    Ok(Tree {
        schema: "obreia.tree/v1",
        artifact: artifact.to_string(),
        root,
    })
}

async fn beside(path: &Path, verdict: Option<&Verdict>) -> Result<Branch, Failure> {
    let metadata = path.metadata().map_err(|e| {
        Failure::new(Exit::Usage, format!("cannot read {}", path.display())).cause(e)
    })?;
    let found = Sidecar.list(&Subject::Path(path.to_owned())).await?;
    Ok(Branch {
        what: if metadata.is_dir() {
            "directory"
        } else {
            "file"
        }
        .to_owned(),
        name: path.display().to_string(),
        size: metadata.is_file().then_some(metadata.len()),
        referrers: found.iter().map(|one| evidence(one, verdict)).collect(),
        ..Branch::default()
    })
}

fn evidence(one: &Untrusted, verdict: Option<&Verdict>) -> Branch {
    let mut branch = Branch {
        what: "evidence".to_owned(),
        name: one.origin.clone(),
        size: Some(one.bytes.len() as u64),
        ..Branch::default()
    };
    match &one.format {
        Format::Bundle => held::bundle(&mut branch, &one.bytes, &one.origin, verdict),
        Format::SimpleSigning { .. }
        | Format::Envelope
        | Format::Notation { .. }
        | Format::Statement => {
            one.format.in_words().clone_into(&mut branch.what);
        }
        Format::Foreign(what) => branch.what.clone_from(what),
        Format::Malformed(why) | Format::Unreadable(why) => {
            branch.unreadable = Some(why.clone());
        }
    }
    branch
}

fn in_layout(dir: &Path, select: &Select, verdict: Option<&Verdict>) -> Result<Branch, Failure> {
    let layout = Layout::open(dir)?;
    let resolved = layout.resolve(select)?;
    let closure = layout.closure(&resolved)?;
    let view = View {
        origin: &|digest| layout.origin(digest),
        blob: &|blob, limit| layout.read_blob(blob, limit).map_err(|e| e.to_string()),
        verdict,
    };
    Ok(branch(&view, &closure))
}

/// Reads a blob of at most so many bytes.
type ReadBlob<'a> = dyn Fn(&Descriptor, u64) -> Result<Vec<u8>, String> + 'a;

/// Where a closure is looked at.
pub(super) struct View<'a> {
    /// How messages name what is there.
    pub(super) origin: &'a dyn Fn(&Digest) -> String,
    /// A small blob's bytes, checked; or why not.
    pub(super) blob: &'a ReadBlob<'a>,
    /// The verdict that is shown along.
    pub(super) verdict: Option<&'a Verdict>,
}

pub(super) fn branch(view: &View<'_>, node: &Node) -> Branch {
    let descriptor = &node.descriptor;
    let tag = descriptor.annotation(media_type::REF_NAME);
    let platform = descriptor
        .platform
        .as_ref()
        .map(ToString::to_string)
        .or_else(|| {
            let Document::Manifest(manifest) = &node.document else {
                return None;
            };
            let kind = manifest.config.media_type.as_str();
            if ![media_type::CONFIG, media_type::DOCKER_CONFIG].contains(&kind) {
                return None;
            }
            let config = (view.blob)(&manifest.config, limits::MANIFEST).ok()?;
            let found = crate::oci::platform(&config).ok().flatten();
            found.map(|p| p.to_string())
        });
    let mut branch = Branch {
        what: what(node),
        digest: Some(descriptor.digest),
        name: [tag.map(str::to_owned), platform, about(descriptor)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        media_type: descriptor.media_type.clone(),
        artifact_type: node.document.artifact_type().unwrap_or_default().to_owned(),
        size: Some(descriptor.size),
        ..Branch::default()
    };
    if let Document::Manifest(manifest) = &node.document {
        branch.parts = parts(manifest);
        held::layers(&mut branch, view, node, manifest);
    }
    let each = |nodes: &[Node]| nodes.iter().map(|n| self::branch(view, n)).collect();
    branch.children = each(&node.children);
    branch.referrers = each(&node.referrers);
    let unreadable = node.unreadable.iter().map(|u| Branch {
        what: "unreadable".to_owned(),
        digest: Some(u.digest),
        unreadable: Some(u.why.clone()),
        ..Branch::default()
    });
    branch.referrers.extend(unreadable);
    branch
}

fn what(node: &Node) -> String {
    if let Some((_, what)) = node.legacy {
        return what.as_str().to_owned();
    }
    if is_buildkit(&node.descriptor) {
        return "BuildKit attestation".to_owned();
    }
    let manifest = match &node.document {
        Document::Index(_) => return "image index".to_owned(),
        Document::Manifest(manifest) => manifest,
    };
    match node.document.artifact_type().unwrap_or_default() {
        media_type::MODEL => "model".to_owned(),
        media_type::CYCLONEDX => "CycloneDX SBOM".to_owned(),
        media_type::SPDX => "SPDX SBOM".to_owned(),
        media_type::FILE => "file".to_owned(),
        media_type::NOTATION => "Notation signature".to_owned(),
        media_type::COSIGN_SIGNATURE => Legacy::Signature.as_str().to_owned(),
        media_type::CONFIG | media_type::DOCKER_CONFIG => "image".to_owned(),
        kind if is_bundle_media_type(kind) => {
            let content = manifest.annotations.get(media_type::BUNDLE_CONTENT);
            match content.map(String::as_str) {
                Some("message-signature") => "signature".to_owned(),
                _ => "attestation".to_owned(),
            }
        }
        _ => "artifact".to_owned(),
    }
}

/// Whether an entry of an index holds statements about another one there.
fn is_buildkit(descriptor: &Descriptor) -> bool {
    descriptor.annotation(media_type::BUILDKIT_KIND) == Some(media_type::BUILDKIT_ATTESTATION)
}

fn about(descriptor: &Descriptor) -> Option<String> {
    let about = descriptor.annotation(media_type::BUILDKIT_ABOUT)?;
    let about: String = about.chars().take(128).collect();
    is_buildkit(descriptor).then(|| format!("about {about}"))
}

fn parts(manifest: &Manifest) -> Vec<Part> {
    if let Ok(Some(files)) = artifact_files(manifest) {
        return files
            .into_iter()
            .map(|file| Part {
                name: file.path,
                digest: file.digest,
                size: file.size,
            })
            .collect();
    }
    let named = std::iter::once(("config", &manifest.config));
    named
        .chain(manifest.layers.iter().map(|layer| ("layer", layer)))
        .map(|(name, descriptor)| Part {
            name: name.to_owned(),
            digest: descriptor.digest,
            size: descriptor.size,
        })
        .collect()
}
