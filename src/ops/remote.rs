//! Images and other artifacts in a registry, read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gather::{Further, Gathered, Reading, image};
use super::tree::{self, Branch};
use super::{Exit, Failure, SystemClock, inspect};
use crate::attestations::{OciReferrers, Subject};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, Document, artifact_files, media_type};
use crate::policy::Policy;
use crate::reference::Select;
use crate::source::Progress;
use crate::source::layout::{Layout, Node, Resolved};
use crate::source::registry::{Registries, RegistryFault, Repository};
use crate::verify::{ArtifactKind, Stage, Verdict};

/// An image's name in a registry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) host: &'a str,
    pub(super) repository: &'a str,
    pub(super) select: &'a Select,
}

impl Named<'_> {
    pub(super) fn repository(&self, registries: &Registries) -> Result<Repository, Failure> {
        Ok(registries.repository(self.host, self.repository)?)
    }
}

/// Reads a manifest, what is about it, and as much of what it is made of as
/// the policies ask about. That much is put into a layout of its own first,
/// each blob checked, so that it is looked at as any other layout is.
pub(super) async fn gather(
    named: Named<'_>,
    name: String,
    reading: &Reading<'_>,
    policies: &[Policy],
    progress: &dyn Progress,
) -> Result<Gathered, Failure> {
    let repository = named.repository(reading.registries)?;
    let resolved = repository.resolve(named.select).await?;
    let store = OciReferrers::new(repository.clone(), Arc::new(SystemClock));
    let scratch = tempfile::tempdir()
        .map_err(|e| Failure::new(Exit::Undetermined, "cannot make a temporary folder").cause(e))?;
    let layout = Layout::create(scratch.path())?;
    layout.put_checked(&resolved.descriptor, &mut resolved.bytes.as_slice())?;
    let looks_inside = policies.iter().any(|policy| {
        !policy.is_for_key()
            && Stage::ALL
                .iter()
                .any(|stage| policy.speaks(&[ArtifactKind::Model], &name, *stage))
    });
    let configured = !policies.iter().all(Policy::is_for_key);
    let wanted = Wanted {
        configured,
        looks_inside,
    };
    fetch(&repository, &resolved.document, wanted, &layout, progress).await?;
    let origin = repository.origin(&resolved.descriptor.digest);
    let found = image::Found {
        layout: &layout,
        resolved: &resolved,
        store: &store,
        origin,
        read_as: "registry",
        configured,
        // A digest leads to the same bytes for whoever fetches it again.
        mutable: !matches!(named.select, Select::Digest(_)),
    };
    let mut gathered = image::read(found, name, reading, policies, progress).await?;
    if reading.bundles.is_empty() && reading.signature.is_none() {
        let subject = Subject::Manifest(Box::new(resolved.descriptor.clone()));
        gathered.further = Some(Further::new(Box::new(store), subject));
    }
    Ok(gathered)
}

/// What of an artifact is looked at, beside indexes in it and packed files.
#[derive(Clone, Copy)]
struct Wanted {
    /// Its configuration.
    configured: bool,
    /// An image's layers, where a policy about models could mean them.
    looks_inside: bool,
}

async fn fetch(
    repository: &Repository,
    document: &Document,
    wanted: Wanted,
    layout: &Layout,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let manifest = match document {
        Document::Index(_) => return indexes(repository, document, layout).await,
        Document::Manifest(manifest) => manifest,
    };
    let config = &manifest.config;
    // What the manifest says of itself nobody has signed yet.
    let known = [media_type::CONFIG, media_type::DOCKER_CONFIG];
    if wanted.configured && known.contains(&config.media_type.as_str()) {
        within(repository, config, config.size, limits::MANIFEST, CONFIG)?;
        download(repository, config, layout, progress).await?;
    }
    let packed = artifact_files(manifest).is_ok_and(|files| files.is_some());
    if packed || wanted.looks_inside {
        let mut seen = BTreeSet::new();
        let mut layers = manifest.layers.clone();
        layers.retain(|layer| seen.insert(layer.digest));
        let bytes = layers
            .iter()
            .fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
        if let Some(first) = layers.first() {
            within(repository, first, bytes, room(layout)?, LAYERS)?;
        }
        for layer in &layers {
            download(repository, layer, layout, progress).await?;
        }
    }
    Ok(())
}

const INDEXES: &str = "bytes of indexes in one another";
const CONFIG: &str = "bytes of configuration";
const LAYERS: &str = "bytes of files, which is the room in the temporary folder";

fn within(
    repository: &Repository,
    of: &Descriptor,
    bytes: u64,
    limit: u64,
    what: &'static str,
) -> Result<(), Failure> {
    if bytes <= limit {
        return Ok(());
    }
    let place = repository.origin(&of.digest);
    Err(RegistryFault::TooMuch { place, what, limit }.into())
}

/// How many bytes the file system of a layout has room for.
fn room(layout: &Layout) -> Result<u64, Failure> {
    let space = rustix::fs::statvfs(layout.dir()).map_err(|error| {
        let what = format!("cannot see the room in {}", layout.dir().display());
        Failure::new(Exit::Undetermined, what).cause(std::io::Error::from(error))
    })?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

async fn indexes(repository: &Repository, root: &Document, layout: &Layout) -> Result<(), Failure> {
    let mut todo = vec![(root.clone(), 0)];
    let (mut count, mut bytes, mut seen) = (0, 0_u64, BTreeSet::new());
    while let Some((document, depth)) = todo.pop() {
        let Document::Index(index) = &document else {
            continue;
        };
        let nested = |d: &&Descriptor| media_type::is_index(&d.media_type);
        for child in index.manifests.iter().filter(nested) {
            if !seen.insert(child.digest) {
                continue;
            }
            count += 1;
            bytes = bytes.saturating_add(child.size);
            within(repository, child, bytes, limits::CLOSURE_BYTES, INDEXES)?;
            // Deeper or more is refused by the one who reads the layout.
            if depth >= limits::INDEX_DEPTH || count > limits::INDEX_ENTRIES {
                return Ok(());
            }
            let (document, bytes) = repository.document(child).await?;
            layout.put_checked(child, &mut bytes.as_slice())?;
            todo.push((document, depth + 1));
        }
    }
    Ok(())
}

/// A blob, into a layout; checked before it has its name there.
pub(super) async fn download(
    repository: &Repository,
    blob: &Descriptor,
    layout: &Layout,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let mut to = layout.begin_blob(blob)?;
    let mut from = repository.open_blob(blob).await?;
    while let Some(chunk) = from.next().await? {
        to.write(&chunk)?;
        progress.add(chunk.len() as u64);
    }
    Ok(to.end()?)
}

/// Every manifest and index below an index, in order, each once.
pub(super) async fn children(
    repository: &Repository,
    of: &Resolved,
) -> Result<Vec<Descriptor>, Failure> {
    let mut found: Vec<Descriptor> = Vec::new();
    let mut todo = vec![(of.document.clone(), 0)];
    let mut bytes = 0_u64;
    while let Some((document, depth)) = todo.pop() {
        let Document::Index(index) = document else {
            continue;
        };
        if depth > limits::INDEX_DEPTH || found.len() > limits::INDEX_ENTRIES {
            return Err(RegistryFault::TooMuch {
                place: repository.origin(&of.descriptor.digest),
                what: "images below one index",
                limit: limits::INDEX_ENTRIES as u64,
            }
            .into());
        }
        for child in index.manifests {
            let is_index = media_type::is_index(&child.media_type);
            let known = is_index || media_type::is_manifest(&child.media_type);
            if !known || found.iter().any(|f| f.digest == child.digest) {
                continue;
            }
            if is_index {
                bytes = bytes.saturating_add(child.size);
                within(repository, &child, bytes, limits::CLOSURE_BYTES, INDEXES)?;
                let (document, _) = repository.document(&child).await?;
                todo.push((document, depth + 1));
            }
            found.push(child);
        }
    }
    Ok(found)
}

/// What an artifact in a registry is made of, and what is said about it.
pub(super) async fn tree(
    named: Named<'_>,
    registries: &Registries,
    verdict: Option<&Verdict>,
) -> Result<Branch, Failure> {
    let repository = named.repository(registries)?;
    let resolved = repository.resolve(named.select).await?;
    let closure = repository.closure(&resolved).await?;
    let wanted = small_blobs(&closure);
    let bytes = wanted
        .iter()
        .fold(0_u64, |sum, blob| sum.saturating_add(blob.size));
    let (root, most) = (&resolved.descriptor, limits::EVIDENCE_BYTES);
    within(&repository, root, bytes, most, "bytes of evidence")?;
    let fetched = repository.blobs(&wanted, limits::BUNDLE).await;
    let fetched: BTreeMap<Digest, Result<Vec<u8>, String>> = wanted
        .iter()
        .zip(fetched)
        .map(|(blob, bytes)| (blob.digest, bytes.map_err(|e| e.to_string())))
        .collect();
    let view = tree::View {
        origin: &|digest| repository.origin(digest),
        blob: &|blob, _| {
            let found = fetched.get(&blob.digest).cloned();
            found.unwrap_or_else(|| Err("it was not fetched".to_owned()))
        },
        verdict,
    };
    Ok(tree::branch(&view, &closure))
}

/// The bundle that a manifest in a registry holds.
pub(super) async fn bundle(named: Named<'_>, registries: &Registries) -> Result<Vec<u8>, Failure> {
    let repository = named.repository(registries)?;
    let resolved = repository.resolve(named.select).await?;
    let layer = inspect::bundle_in(&resolved)?;
    Ok(repository.read_blob(layer, limits::BUNDLE).await?)
}

/// Evidence, and configurations that name a platform.
fn small_blobs(closure: &Node) -> Vec<Descriptor> {
    let mut wanted: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    let mut bytes = 0_u64;
    closure.each(&mut |node| {
        for piece in &node.blobs {
            let kind = piece.descriptor.media_type.as_str();
            let config = [media_type::CONFIG, media_type::DOCKER_CONFIG].contains(&kind);
            let limit = match tree::is_shown(kind) {
                None if config => limits::MANIFEST,
                None => continue,
                Some(limit) => limit,
            };
            let blob = &piece.descriptor;
            bytes = bytes.saturating_add(blob.size);
            let few = wanted.len() < limits::EVIDENCE && bytes <= limits::EVIDENCE_BYTES;
            if few && blob.size <= limit {
                wanted.insert(blob.digest, blob.clone());
            }
        }
    });
    wanted.into_values().collect()
}
