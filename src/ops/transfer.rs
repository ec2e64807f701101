//! A closure moved from or to a registry.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::copy::{Copied, Place};
use super::standing::{Standing, standing};
use super::together::{Under, together};
use super::{Exit, Failure, remote};
use crate::digest::Digest;
use crate::limits;
use crate::oci::{Descriptor, media_type};
use crate::reference::{ArtifactRef, Select, is_tag};
use crate::source::layout::{Flip, Layout, Moved, Node, Piece, Resolved, Role, listed};
use crate::source::registry::{Cas, Registries, Repository, Source, UploadError};
use crate::source::{Counted, Progress};

/// Blobs that are carried at the same time: each has a piece in memory.
const AT_ONCE: usize = 4;
/// Things that are asked for at the same time.
const ASKED_AT_ONCE: usize = 8;

/// A layout or a repository, and what is meant in it, as an argument names them.
#[derive(Clone, Debug)]
pub enum Spot {
    /// In a layout.
    Layout(Place),
    /// In a registry.
    Registry {
        /// Host, and port.
        host: String,
        /// The repository.
        repository: String,
        /// The manifest.
        select: Select,
    },
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.named(self.select().clone()))
    }
}

impl Spot {
    /// Reads `oci-layout:DIR[:tag|@digest]` or `REGISTRY/REPOSITORY[:tag|@digest]`.
    ///
    /// # Errors
    /// `Usage` for any other artifact.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let exists = |path: &str| std::path::Path::new(path).symlink_metadata().is_ok();
        Ok(match ArtifactRef::parse(text, exists)? {
            ArtifactRef::Registry {
                host,
                repository,
                select,
            } => Self::Registry {
                host,
                repository,
                select,
            },
            _ => Self::Layout(Place::parse(text)?),
        })
    }

    /// Whether it is in a registry.
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Registry { .. })
    }

    /// The artifact with that digest in it.
    pub(super) fn at(&self, digest: Digest) -> ArtifactRef {
        self.named(Select::Digest(digest))
    }

    fn named(&self, select: Select) -> ArtifactRef {
        match self {
            Self::Layout(place) => ArtifactRef::Layout {
                dir: place.dir.display().to_string(),
                select,
            },
            Self::Registry {
                host, repository, ..
            } => ArtifactRef::Registry {
                host: host.clone(),
                repository: repository.clone(),
                select,
            },
        }
    }

    pub(super) const fn select(&self) -> &Select {
        match self {
            Self::Layout(place) => &place.select,
            Self::Registry { select, .. } => select,
        }
    }

    /// The tag, where a digest makes no sense: what is written there gets its own.
    pub(super) fn tag(&self) -> Result<Option<&str>, Failure> {
        match self {
            Self::Layout(place) => place.tag(),
            Self::Registry { select, .. } => match select {
                Select::Default => Ok(None),
                Select::Tag(tag) => Ok(Some(tag)),
                Select::Digest(digest) => Err(Failure::new(
                    Exit::Usage,
                    format!("a digest such as {digest} cannot be written to"),
                )
                .hint("name a tag")),
            },
        }
    }
}

/// Where things are, opened.
pub(super) enum Store {
    Layout(Layout),
    Registry(Repository),
}

impl Store {
    pub(super) fn open(spot: &Spot, registries: &Registries) -> Result<Self, Failure> {
        Ok(match spot {
            Spot::Layout(place) => Self::Layout(Layout::open(&place.dir)?),
            remote => Self::repository(remote, registries)?,
        })
    }

    /// The same, made where it is a layout that is not there yet.
    pub(super) fn create(spot: &Spot, registries: &Registries) -> Result<Self, Failure> {
        Ok(match spot {
            Spot::Layout(place) => Self::Layout(Layout::create(&place.dir)?),
            remote => Self::repository(remote, registries)?,
        })
    }

    fn repository(spot: &Spot, registries: &Registries) -> Result<Self, Failure> {
        match spot {
            Spot::Registry {
                host, repository, ..
            } => Ok(Self::Registry(registries.repository(host, repository)?)),
            Spot::Layout(place) => Ok(Self::Layout(Layout::open(&place.dir)?)),
        }
    }

    pub(super) fn origin(&self, digest: &Digest) -> String {
        match self {
            Self::Layout(layout) => layout.origin(digest),
            Self::Registry(repository) => repository.origin(digest),
        }
    }

    /// How a tag of it is named.
    pub(super) fn tagged(&self, tag: &str) -> String {
        match self {
            Self::Layout(layout) => format!("oci-layout:{}:{tag}", layout.dir().display()),
            Self::Registry(repository) => format!("{repository}:{tag}"),
        }
    }

    pub(super) async fn resolve(&self, select: &Select) -> Result<Resolved, Failure> {
        Ok(match self {
            Self::Layout(layout) => layout.resolve(select)?,
            Self::Registry(repository) => repository.resolve(select).await?,
        })
    }

    async fn closure(&self, of: &Resolved) -> Result<Node, Failure> {
        let mut closure = match self {
            Self::Layout(layout) => layout.closure(of)?,
            // What could not be looked up may be the very evidence that matters.
            Self::Registry(repository) => repository.whole_closure(of).await?,
        };
        self.keep_held(&mut closure).await?;
        Ok(closure)
    }

    /// A layer that may lie elsewhere counts as any other where it is here.
    async fn keep_held(&self, root: &mut Node) -> Result<(), Failure> {
        let mut todo = vec![root];
        while let Some(node) = todo.pop() {
            for layer in std::mem::take(&mut node.elsewhere) {
                let here = match self {
                    Self::Layout(layout) => layout.has_blob(&layer)?,
                    Self::Registry(repository) => repository.has_blob(&layer).await?,
                };
                match here {
                    true => node.blobs.push(Piece {
                        role: Role::Layer,
                        descriptor: layer,
                    }),
                    false => node.elsewhere.push(layer),
                }
            }
            todo.extend(node.children.iter_mut());
            todo.extend(node.referrers.iter_mut());
        }
        Ok(())
    }

    async fn has(&self, piece: &Piece) -> Result<bool, Failure> {
        let blob = &piece.descriptor;
        Ok(match self {
            Self::Layout(layout) => layout.has_blob(blob)? && layout.check_blob(blob).is_ok(),
            Self::Registry(repository) if is_document(piece) => {
                repository.has_manifest(&blob.digest.to_string()).await?
            }
            Self::Registry(repository) => {
                // A registry keeps what it does not know as either.
                let listed = piece.role == Role::Entry;
                listed && repository.entry(blob).await?.is_some()
                    || repository.has_blob(blob).await?
            }
        })
    }

    /// What an index lists and is of no kind that is known, where it is kept as
    /// a manifest; layouts keep all alike, and manifests are JSON objects.
    async fn manifest_of(&self, entry: &Descriptor) -> Result<Option<Vec<u8>>, Failure> {
        type Object = serde_json::Map<String, serde_json::Value>;
        Ok(match self {
            Self::Registry(from) => from.entry(entry).await?,
            Self::Layout(from) if entry.size <= limits::MANIFEST => {
                let bytes = from.read_blob(entry, limits::MANIFEST)?;
                let is_object = serde_json::from_slice::<Object>(&bytes).is_ok();
                is_object.then_some(bytes)
            }
            Self::Layout(_) => None,
        })
    }

    /// Whether it has the piece as `from` keeps it.
    async fn has_as(&self, from: &Self, piece: &Piece) -> Result<bool, Failure> {
        let at = &piece.descriptor;
        if let (Role::Entry, Self::Registry(to)) = (piece.role, self)
            && from.manifest_of(at).await?.is_some()
        {
            return Ok(to.entry(at).await?.is_some());
        }
        self.has(piece).await
    }

    /// Takes what an index lists and is of no kind that is known: as a
    /// manifest, where it is one there; else as a blob.
    async fn take_entry(
        &self,
        from: &Self,
        entry: &Descriptor,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        match (from.manifest_of(entry).await?, self) {
            (Some(bytes), Self::Layout(to)) => {
                to.put_checked(entry, &mut bytes.as_slice())?;
                Ok(())
            }
            (Some(bytes), Self::Registry(to)) => {
                to.put_manifest(None, entry, &bytes).await?;
                Ok(())
            }
            (None, _) => self.take(from, entry, progress).await,
        }
    }

    /// Several blobs of at most [`limits::DOCUMENT`] each, in the order asked for.
    pub(super) async fn blobs(&self, of: &[Descriptor]) -> Result<Vec<Vec<u8>>, Failure> {
        let limit = limits::DOCUMENT;
        Ok(match self {
            Self::Layout(layout) => of
                .iter()
                .map(|blob| layout.read_blob(blob, limit))
                .collect::<Result<_, _>>()?,
            Self::Registry(repository) => repository
                .blobs(of, limit)
                .await
                .into_iter()
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) async fn document(&self, at: &Descriptor) -> Result<Vec<u8>, Failure> {
        Ok(match self {
            Self::Layout(layout) => layout.read_blob(at, limits::MANIFEST)?,
            Self::Registry(repository) => repository.document(at).await?.1,
        })
    }

    pub(super) async fn put_document(
        &self,
        tag: Option<&str>,
        at: &Descriptor,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        match self {
            Self::Layout(layout) => layout.put_checked(at, &mut &*bytes)?,
            Self::Registry(repository) => {
                repository.put_manifest(tag, at, bytes).await?;
            }
        }
        Ok(())
    }

    /// Takes a configuration or a layer from another place.
    async fn take(
        &self,
        from: &Self,
        blob: &Descriptor,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        match (from, self) {
            (Self::Layout(from), Self::Layout(to)) => {
                to.put_checked(blob, &mut Counted::new(from.open_blob(blob)?, progress))?;
            }
            (Self::Registry(from), Self::Layout(to)) => {
                remote::download(from, blob, to, progress).await?;
            }
            (Self::Layout(from), Self::Registry(to)) => {
                let mut reader = Counted::new(from.open_blob(blob)?, progress);
                let sent = to.put_blob(blob, Source::Reader(&mut reader), None).await;
                sent.map_err(|error| match error {
                    UploadError::Fault(fault) => Failure::from(fault),
                    UploadError::Read(error) => from.blob_error(&blob.digest, error).into(),
                })?;
            }
            (Self::Registry(from), Self::Registry(to)) => {
                let source = Source::Download(Box::new(from.blob_later(blob)));
                let beside = Some(from).filter(|from| from.is_beside(to));
                to.put_blob(blob, source, beside).await.map_err(unsent)?;
                progress.add(blob.size);
            }
        }
        Ok(())
    }

    /// Makes what is about what known, once all of it is there. Gives those of
    /// cosign's older manifests in whose place something else stays there that
    /// holds all that they hold.
    async fn list(&self, closure: &Node, from: &Self) -> Result<BTreeSet<Digest>, Failure> {
        let repository = match self {
            Self::Layout(layout) => {
                return Ok(layout.list_closure(closure)?);
            }
            Self::Registry(repository) => repository,
        };
        let mut nodes = Vec::new();
        closure.each(&mut |node| nodes.push(node));
        // Cosign's marks of what it saved are no tags.
        let older = |node: &&&Node| node.legacy.as_ref().is_some_and(|(tag, _)| is_tag(tag));
        let mut held = BTreeSet::new();
        let (mut put, mut both) = (Vec::new(), Vec::new());
        // All are looked at before the first is written.
        for older in nodes.iter().filter(older) {
            match standing(repository, older).await? {
                Standing::Absent => put.push(*older),
                Standing::Same => {}
                Standing::Holds => held.extend(older.without_layers()),
                Standing::Both(list) => {
                    held.extend(older.without_layers());
                    both.push((older, list));
                }
            }
        }
        for node in &nodes {
            let about = node.referrers.iter().filter(|r| r.legacy.is_none());
            let about: Vec<Descriptor> = about.map(listed).collect();
            if !about.is_empty() {
                repository.list_missing(&node.descriptor, &about).await?;
            }
        }
        for (older, list) in both {
            if let Some((tag, _)) = &older.legacy {
                let config = Source::Bytes(&list.config_bytes);
                let sent = repository.put_blob(&list.config, config, None).await;
                sent.map_err(unsent)?;
                let at = &list.descriptor;
                repository
                    .put_manifest(Some(tag), at, &list.manifest)
                    .await?;
            }
        }
        for older in put {
            if let Some((tag, _)) = &older.legacy {
                let bytes = from.document(&older.descriptor).await?;
                let at = &older.descriptor;
                repository.put_manifest(Some(tag), at, &bytes).await?;
            }
        }
        Ok(held)
    }

    /// What a tag leads to; `None` where it is proven that there is none.
    pub(super) async fn tag_now(&self, tag: &str) -> Result<Option<Digest>, Failure> {
        Ok(match self {
            Self::Layout(layout) => layout.tagged(tag)?,
            Self::Registry(repository) => repository.tagged(tag).await?,
        })
    }

    /// Moves a tag from where it is expected to lead, and tells what kept
    /// others from moving it in between.
    pub(super) async fn flip(
        &self,
        tag: &str,
        to: &Resolved,
        expected: Option<&Digest>,
    ) -> Result<(Flip, Cas), Failure> {
        Ok(match self {
            Self::Layout(layout) => (layout.flip(tag, &to.descriptor, expected)?, Cas::Exact),
            Self::Registry(repository) => repository.flip(tag, to, expected).await?,
        })
    }

    pub(super) async fn tag(&self, tag: &str, of: &Resolved) -> Result<(), Failure> {
        match self {
            Self::Layout(layout) => layout.tag(tag, &of.descriptor)?,
            Self::Registry(repository) => {
                repository
                    .put_manifest(Some(tag), &of.descriptor, &of.bytes)
                    .await?;
            }
        }
        Ok(())
    }
}

/// What an upload that failed means where what is sent is no layout's.
pub(super) fn unsent(error: UploadError) -> Failure {
    match error {
        UploadError::Fault(fault) => fault.into(),
        UploadError::Read(error) => {
            Failure::new(Exit::Undetermined, "cannot read what is to be sent").cause(error)
        }
    }
}

const fn is_document(piece: &Piece) -> bool {
    matches!(piece.role, Role::Index | Role::Manifest)
}

/// An artifact that is to be moved, with everything that belongs to it.
pub(super) struct Found {
    pub(super) from: Store,
    pub(super) resolved: Resolved,
    closure: Node,
    /// The tag by which it was named there.
    tag: Option<String>,
}

/// Resolves a name once, and walks everything that belongs to what it means.
pub(super) async fn find(source: &Spot, registries: &Registries) -> Result<Found, Failure> {
    let from = Store::open(source, registries)?;
    let resolved = from.resolve(source.select()).await?;
    let closure = from.closure(&resolved).await?;
    Ok(Found {
        tag: tag_of(source, &resolved),
        from,
        resolved,
        closure,
    })
}

impl Found {
    pub(super) const fn closure(&self) -> &Node {
        &self.closure
    }

    /// The tag that it gets: the one that was named, else the source's.
    pub(super) fn tag_at(&self, destination: &Spot) -> Result<Option<String>, Failure> {
        let named = destination.tag()?.map(str::to_owned);
        Ok(named.or_else(|| self.tag.clone()))
    }

    /// Copies by digest, and compares; moves no tag that people gave.
    pub(super) async fn carry(
        &self,
        to: &Store,
        progress: &dyn Progress,
    ) -> Result<Vec<Moved>, Failure> {
        if let (Store::Layout(from), Store::Layout(to)) = (&self.from, to) {
            return Ok(to.take(from, &self.closure, progress)?);
        }
        let pieces = self.closure.pieces();
        // A registry takes no manifest before what it names is there.
        let blobs = pieces.iter().filter(|piece| !is_document(piece));
        let failed = Cell::new(false);
        let blobs = blobs.map(|piece| -> Under<'_, _> {
            Box::pin(self.carry_blob(to, piece, &failed, progress))
        });
        let mut present = BTreeMap::new();
        for carried in together(AT_ONCE, blobs).await {
            present.extend(carried?);
        }
        for piece in pieces.iter().filter(|piece| is_document(piece)) {
            let (at, is_there) = (&piece.descriptor, to.has(piece).await?);
            if !is_there {
                let bytes = self.from.document(at).await?;
                to.put_document(None, at, &bytes).await?;
            }
            present.insert(at.digest, is_there);
        }
        let moved = pieces.into_iter().map(|piece| Moved {
            present: present.get(&piece.descriptor.digest).copied() == Some(true),
            piece,
        });
        let moved = moved.collect();
        let held = to.list(&self.closure, &self.from).await?;
        compare(to, &self.closure, &held).await?;
        Ok(moved)
    }

    /// Carries one blob, unless another could not be: then it is not begun.
    async fn carry_blob(
        &self,
        to: &Store,
        piece: &Piece,
        failed: &Cell<bool>,
        progress: &dyn Progress,
    ) -> Result<Option<(Digest, bool)>, Failure> {
        if failed.get() {
            return Ok(None);
        }
        let at = &piece.descriptor;
        let carried = async {
            let present = to.has_as(&self.from, piece).await?;
            match piece.role {
                _ if present => {}
                Role::Entry => to.take_entry(&self.from, at, progress).await?,
                _ => to.take(&self.from, at, progress).await?,
            }
            Ok(Some((at.digest, present)))
        };
        let carried = carried.await;
        failed.set(failed.get() || carried.is_err());
        carried
    }

    async fn would_carry(&self, to: Option<&Store>) -> Result<Vec<Moved>, Failure> {
        let mut moved = Vec::new();
        for piece in self.closure.pieces() {
            let present = match to {
                Some(to) => to.has(&piece).await?,
                None => false,
            };
            moved.push(Moved { piece, present });
        }
        Ok(moved)
    }

    /// What was copied to `destination`, or would be.
    pub(super) fn report(
        &self,
        destination: String,
        tag: Option<String>,
        moved: Vec<Moved>,
        dry_run: bool,
    ) -> Copied {
        let source = self.from.origin(&self.resolved.descriptor.digest);
        Copied {
            tag,
            dry_run,
            ..Copied::of(&self.closure, source, destination, moved)
        }
    }
}

/// Copies an artifact with its children, layers and all that is about any of
/// them, from or to a registry. The tag comes last: until then the destination
/// has what it had.
pub(super) async fn copy(
    source: &Spot,
    destination: &Spot,
    registries: &Registries,
    dry_run: bool,
    progress: &dyn Progress,
) -> Result<Copied, Failure> {
    // What cannot be written to is refused before anything is asked for.
    destination.tag()?;
    let found = find(source, registries).await?;
    let tag = found.tag_at(destination)?;
    let to = match (dry_run, destination) {
        (true, Spot::Layout(place)) if place.dir.symlink_metadata().is_err() => None,
        (true, _) => Some(Store::open(destination, registries)?),
        (false, _) => Some(Store::create(destination, registries)?),
    };
    let moved = match (&to, dry_run) {
        (Some(to), false) => {
            let moved = found.carry(to, progress).await?;
            if let Some(tag) = &tag {
                to.tag(tag, &found.resolved).await?;
            }
            moved
        }
        (to, _) => found.would_carry(to.as_ref()).await?,
    };
    let shown = match (&to, &tag, destination) {
        (Some(to), Some(tag), _) => to.tagged(tag),
        (Some(to), None, _) => to.origin(&found.resolved.descriptor.digest),
        (None, _, Spot::Layout(place)) => format!("oci-layout:{}", place.dir.display()),
        (None, _, Spot::Registry { host, .. }) => host.clone(),
    };
    Ok(found.report(shown, tag, moved, dry_run))
}

fn tag_of(source: &Spot, resolved: &Resolved) -> Option<String> {
    match (source.select(), source) {
        (Select::Tag(tag), _) => Some(tag.clone()),
        (Select::Default, Spot::Registry { .. }) => Some("latest".to_owned()),
        (Select::Default, Spot::Layout(_)) => resolved
            .descriptor
            .annotation(media_type::REF_NAME)
            .map(str::to_owned),
        (Select::Digest(_), _) => None,
    }
}

/// That everything which belonged to the root belongs to it there, but for what
/// is `held` by something else; and that the blobs are there, for a manifest
/// says only that they should be.
async fn compare(to: &Store, closure: &Node, held: &BTreeSet<Digest>) -> Result<(), Failure> {
    let root = to
        .resolve(&Select::Digest(closure.descriptor.digest))
        .await?;
    let there: BTreeSet<Digest> = to
        .closure(&root)
        .await?
        .pieces()
        .iter()
        .map(|piece| piece.descriptor.digest)
        .collect();
    let pieces = closure.pieces();
    let arrived = pieces.iter().map(|piece| -> Under<'_, _> {
        let digest = &piece.descriptor.digest;
        let found = held.contains(digest) || there.contains(digest);
        let blob = matches!(to, Store::Registry(_)) && !is_document(piece);
        Box::pin(async move { Ok::<_, Failure>(found && (!blob || to.has(piece).await?)) })
    });
    let arrived = together(ASKED_AT_ONCE, arrived).await;
    for (piece, arrived) in pieces.iter().zip(arrived) {
        if !arrived? {
            return Err(Failure::new(
                Exit::Undetermined,
                format!(
                    "{} did not arrive, or is not found there",
                    piece.descriptor.digest
                ),
            )
            .hint("run it again; no tag was moved"));
        }
    }
    Ok(())
}
