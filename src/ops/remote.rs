//! Images and other artifacts in a registry, read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::gather::evidence::{self, Looked};
use super::gather::{Further, Gathered, Reading, image};
use super::tree::{self, Branch};
use super::{Exit, Failure, SystemClock, inspect};
use crate::attestations::{OciReferrers, Seek, Subject};
use crate::digest::{Digest, Identity};
use crate::limits;
use crate::oci::{self, Descriptor, Document, Platform, artifact_files, media_type};
use crate::policy::Policy;
use crate::reference::Select;
use crate::source::Progress;
use crate::source::layout::{Layout, Node, Resolved};
use crate::source::registry::{Registries, RegistryFault, Repository};
use crate::verify::{ArtifactFact, ArtifactKind, Described, Observed, Stage, Verdict};

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

/// What was not read of an artifact.
pub struct Unread {
    repository: Repository,
    /// The manifest, where a tag led to it.
    resolved: Option<Resolved>,
    digest: Digest,
    mutable: bool,
    /// What its referrers say that it is.
    said: Option<String>,
}

impl Unread {
    /// Every entry below it; `None` where it is no index. Where nobody has to
    /// be `certain` of that, only what is said to be one is asked for.
    pub(super) async fn below(&self, certain: bool) -> Result<Option<Vec<Descriptor>>, Failure> {
        let said = self.said.as_deref().is_some_and(media_type::is_index);
        let fetched = match &self.resolved {
            Some(_) => None,
            None if said || certain => {
                let select = Select::Digest(self.digest);
                Some(self.repository.resolve(&select).await?)
            }
            None => return Ok(None),
        };
        match self.resolved.as_ref().or(fetched.as_ref()) {
            Some(of) if matches!(of.document, Document::Index(_)) => {
                Ok(Some(entries(&self.repository, of).await?))
            }
            _ => Ok(None),
        }
    }
}

/// What was named, by digest, and every entry below it; `None` where it is no index.
pub(super) async fn index(
    named: Named<'_>,
    registries: &Registries,
) -> Result<(Digest, Option<Vec<Descriptor>>), Failure> {
    let repository = named.repository(registries)?;
    let resolved = repository.resolve(named.select).await?;
    let below = match &resolved.document {
        Document::Manifest(_) => None,
        Document::Index(_) => Some(entries(&repository, &resolved).await?),
    };
    Ok((resolved.descriptor.digest, below))
}

/// Which machines an image is for, by its own configuration.
pub(super) async fn platform(
    named: Named<'_>,
    registries: &Registries,
) -> Result<Option<Platform>, Failure> {
    let repository = named.repository(registries)?;
    let resolved = repository.resolve(named.select).await?;
    let Document::Manifest(manifest) = &resolved.document else {
        return Ok(None);
    };
    let config = &manifest.config;
    if ![media_type::CONFIG, media_type::DOCKER_CONFIG].contains(&config.media_type.as_str()) {
        return Ok(None);
    }
    let bytes = repository.read_blob(config, limits::MANIFEST).await?;
    oci::platform(&bytes).map_err(|error| {
        let origin = repository.origin(&config.digest);
        Failure::new(
            Exit::Usage,
            format!("cannot read the configuration {origin}"),
        )
        .cause(error)
    })
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.repository.origin(&self.digest);
        write!(f, "Unread({origin}, {:?})", self.said)
    }
}

/// Looks at the evidence about a manifest alone: where it suffices, that is
/// all there is to be asked for. A name that can move is resolved first.
pub(super) async fn glance(
    named: Named<'_>,
    name: String,
    reading: &Reading<'_>,
    signatures: bool,
    listed: Option<&Descriptor>,
) -> Result<Gathered, Failure> {
    let repository = named.repository(reading.registries)?;
    let (digest, resolved) = match named.select {
        Select::Digest(digest) => (*digest, None),
        movable => {
            let resolved = repository.resolve(movable).await?;
            (resolved.descriptor.digest, Some(resolved))
        }
    };
    let seek = match signatures {
        true => Seek::Signatures,
        false => Seek::OneList,
    };
    let store = OciReferrers::new(repository.clone(), Arc::new(SystemClock)).seeking(seek);
    let subject = Subject::Manifest(Box::new(Descriptor::new("", digest, 0)));
    let looked = evidence::look(reading, &store, &subject).await?;
    let known = match (&resolved, listed) {
        (Some(resolved), _) => Some(Known {
            descriptor: &resolved.descriptor,
            document: Some(&resolved.document),
        }),
        (None, Some(descriptor)) => Some(Known {
            descriptor,
            document: None,
        }),
        (None, None) => None,
    };
    let mut gathered = by_digest(digest, known.as_ref(), name, looked);
    gathered.mutable = resolved.is_some();
    gathered.unread = Some(Unread {
        said: store.said_of_subject(),
        mutable: resolved.is_some(),
        repository,
        resolved,
        digest,
    });
    gathered.further = further(reading, store, subject);
    Ok(gathered)
}

/// What is known of a manifest by its digest, and by what is `known` of it
/// beside that, without looking at what it is made of.
fn by_digest(digest: Digest, known: Option<&Known<'_>>, name: String, looked: Looked) -> Gathered {
    let identity = Identity::Content(digest);
    let size = known.map(|known| known.descriptor.size);
    let packed = known.and_then(|known| packed_kind(known.document?));
    Gathered {
        artifact: ArtifactFact {
            kind: packed.unwrap_or(ArtifactKind::Image),
            name,
            read_as: "registry",
            identity,
            digests: vec![identity],
            content: None,
            size,
            platform: known
                .and_then(|known| known.descriptor.platform.as_ref())
                .map(ToString::to_string),
            media_type: known.map(|known| known.descriptor.media_type.clone()),
        },
        kinds: packed.into_iter().chain([ArtifactKind::Image]).collect(),
        observed: Observed {
            identities: vec![identity],
            manifest: Some(digest),
            described: known.map(|known| Described {
                media_type: known.descriptor.media_type.clone(),
                size: known.descriptor.size,
            }),
            size,
            ..Observed::default()
        },
        evidence: looked.evidence,
        failed: looked.failed,
        model: None,
        image: Some(BTreeMap::new()),
        children: None,
        mutable: false,
        staged: None,
        further: None,
        unread: None,
    }
}

/// What is known of a manifest beside its digest.
struct Known<'a> {
    /// As it was listed, or read.
    descriptor: &'a Descriptor,
    /// The manifest itself.
    document: Option<&'a Document>,
}

/// What a manifest packs, where it packs files.
fn packed_kind(document: &Document) -> Option<ArtifactKind> {
    let Document::Manifest(manifest) = document else {
        return None;
    };
    let files = artifact_files(manifest).ok()?;
    files.map(|_| image::kind_of(manifest))
}

/// Nothing is looked for beside what was named.
fn further(reading: &Reading<'_>, store: OciReferrers, subject: Subject) -> Option<Further> {
    let named = !reading.bundles.is_empty() || reading.signature.is_some();
    (!named).then(|| Further::new(Box::new(store), subject))
}

/// Reads the rest of what [`glance`] looked at.
pub(super) async fn complete(
    unread: Unread,
    glanced: Gathered,
    policies: &[Policy],
    progress: &dyn Progress,
) -> Result<Gathered, Failure> {
    let repository = unread.repository;
    let resolved = match unread.resolved {
        Some(resolved) => resolved,
        None => repository.resolve(&Select::Digest(unread.digest)).await?,
    };
    let looked = Looked {
        evidence: glanced.evidence,
        failed: glanced.failed,
    };
    let name = glanced.artifact.name;
    let mut gathered = read(
        &repository,
        &resolved,
        (name, unread.mutable),
        looked,
        policies,
        progress,
    )
    .await?;
    gathered.further = glanced.further;
    Ok(gathered)
}

/// Reads a manifest, what is about it, and as much of what it is made of as
/// the policies ask about.
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
    let subject = Subject::Manifest(Box::new(resolved.descriptor.clone()));
    let looked = evidence::look(reading, &store, &subject).await?;
    // A digest leads to the same bytes for whoever fetches it again.
    let mutable = !matches!(named.select, Select::Digest(_));
    let named = (name, mutable);
    let mut gathered = read(&repository, &resolved, named, looked, policies, progress).await?;
    gathered.further = further(reading, store, subject);
    Ok(gathered)
}

/// What the policies ask about is put into a layout of its own first, each
/// blob checked, so that it is looked at as any other layout is.
async fn read(
    repository: &Repository,
    resolved: &Resolved,
    (name, mutable): (String, bool),
    looked: Looked,
    policies: &[Policy],
    progress: &dyn Progress,
) -> Result<Gathered, Failure> {
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
    fetch(repository, &resolved.document, wanted, &layout, progress).await?;
    let found = image::Found {
        origin: repository.origin(&resolved.descriptor.digest),
        layout: &layout,
        resolved,
        read_as: "registry",
        configured,
        mutable,
    };
    image::read(found, name, looked, policies, progress)
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
    Ok(oci::each_once(entries(repository, of).await?))
}

/// Every entry of an index and of the indexes in it: as often as it is listed,
/// for whichever a machine chooses, and whatever its kind.
async fn entries(repository: &Repository, of: &Resolved) -> Result<Vec<Descriptor>, Failure> {
    let mut found: Vec<Descriptor> = Vec::new();
    let mut walked = BTreeSet::new();
    let mut todo = vec![(of.document.clone(), 0)];
    let mut bytes = 0_u64;
    while let Some((document, depth)) = todo.pop() {
        let Document::Index(index) = document else {
            continue;
        };
        let count = found.len().saturating_add(index.manifests.len());
        if depth > limits::INDEX_DEPTH || count > limits::INDEX_ENTRIES {
            return Err(RegistryFault::TooMuch {
                place: repository.origin(&of.descriptor.digest),
                what: "images below one index",
                limit: limits::INDEX_ENTRIES as u64,
            }
            .into());
        }
        for child in index.manifests {
            if media_type::is_index(&child.media_type) && walked.insert(child.digest) {
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
