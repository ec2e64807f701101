//! `obreia copy`: an artifact with everything that belongs to it, from one
//! layout or registry to another.

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use super::transfer::Spot;
use super::{Exit, Failure, transfer};
use crate::digest::Digest;
use crate::oci::{Descriptor, media_type};
use crate::reference::{ArtifactRef, Select};
use crate::source::Progress;
use crate::source::layout::{Layout, Moved, Node, Resolved};
use crate::source::registry::Registries;

/// What was copied, or would be: `obreia.copy/v1`.
#[derive(Debug, Serialize)]
pub struct Copied {
    pub(super) schema: &'static str,
    /// Where from, by digest.
    pub source: String,
    /// Where to.
    pub destination: String,
    /// The artifact.
    pub digest: Digest,
    /// The tag that it has at the destination now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Every blob, in the order of copying.
    pub blobs: Vec<Blob>,
    /// Bytes that the destination did not have.
    pub bytes: u64,
    /// What was left behind: referrers that cannot be read, and layers that
    /// only their maker gives out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

/// One blob.
#[derive(Debug, Serialize)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
    /// `index`, `manifest`, `config` or `layer`.
    pub role: &'static str,
    /// Whether the destination had it.
    pub present: bool,
}

impl From<Moved> for Blob {
    fn from(moved: Moved) -> Self {
        Self {
            digest: moved.piece.descriptor.digest,
            size: moved.piece.descriptor.size,
            media_type: moved.piece.descriptor.media_type,
            role: moved.piece.role.as_str(),
            present: moved.present,
        }
    }
}

impl Copied {
    /// What of `closure` was moved from `source` to `destination`, without a tag.
    pub(super) fn of(
        closure: &Node,
        source: String,
        destination: String,
        moved: Vec<Moved>,
    ) -> Self {
        let mut skipped = Vec::new();
        closure.each(&mut |node| skipped.extend(Skipped::of(node)));
        Self {
            schema: "obreia.copy/v1",
            source,
            destination,
            digest: closure.descriptor.digest,
            tag: None,
            dry_run: false,
            bytes: moved
                .iter()
                .filter(|m| !m.present)
                .fold(0, |sum, m| sum.saturating_add(m.piece.descriptor.size)),
            blobs: moved.into_iter().map(Blob::from).collect(),
            skipped,
        }
    }
}

/// Something that was left behind.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// Its digest.
    pub digest: Digest,
    /// Why.
    pub why: String,
}

impl Skipped {
    /// What of all that is about `node` itself could not be read, and what of
    /// it lies elsewhere.
    pub(super) fn of(node: &Node) -> impl Iterator<Item = Self> + '_ {
        let unreadable = node.unreadable.iter().map(|unreadable| Self {
            digest: unreadable.digest,
            why: unreadable.why.clone(),
        });
        unreadable.chain(node.elsewhere.iter().map(|layer| Self {
            digest: layer.digest,
            why: format!(
                "a layer of {}, which only its maker gives out{}; its descriptor stays in the manifest",
                layer.media_type,
                first_url(layer)
            ),
        }))
    }
}

/// Where a layer says that it lies.
fn first_url(layer: &Descriptor) -> String {
    let urls = layer
        .other
        .get("urls")
        .and_then(serde_json::Value::as_array);
    let first = urls.and_then(|urls| urls.first()?.as_str());
    first.map_or_else(String::new, |url| {
        format!(" ({})", url.chars().take(256).collect::<String>())
    })
}

/// A layout and what is meant in it, as an argument names them.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder.
    pub dir: PathBuf,
    /// The manifest.
    pub select: Select,
}

impl Place {
    /// Reads `oci-layout:DIR[:tag|@digest]`.
    ///
    /// # Errors
    /// `Usage` for any other artifact.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match ArtifactRef::parse(text, |path| Path::new(path).symlink_metadata().is_ok())? {
            ArtifactRef::Layout { dir, select } => Ok(Self {
                dir: dir.into(),
                select,
            }),
            _ => Err(
                Failure::new(Exit::Usage, format!("{text} is not an OCI layout"))
                    .hint("name oci-layout:DIR:TAG"),
            ),
        }
    }

    /// The tag, where a digest makes no sense: what is written there gets its own.
    ///
    /// # Errors
    /// `Usage` where a digest was named.
    pub fn tag(&self) -> Result<Option<&str>, Failure> {
        match &self.select {
            Select::Default => Ok(None),
            Select::Tag(tag) => Ok(Some(tag)),
            Select::Digest(_) => Err(Failure::new(
                Exit::Usage,
                format!(
                    "oci-layout:{}{} names a digest, which cannot be written to",
                    self.dir.display(),
                    self.select
                ),
            )
            .hint("name a tag")),
        }
    }
}

/// An artifact in a layout and everything that belongs to it.
struct Found {
    layout: Layout,
    resolved: Resolved,
    closure: Node,
}

fn find(place: &Place) -> Result<Found, Failure> {
    let layout = Layout::open(&place.dir)?;
    let resolved = layout.resolve(&place.select)?;
    let closure = layout.closure(&resolved)?;
    Ok(Found {
        layout,
        resolved,
        closure,
    })
}

/// Copies an artifact with its children, layers and all that is about any of
/// them. The tag comes last: until then the destination has what it had.
///
/// # Errors
/// Where something of it cannot be read or written; run again, it goes on.
pub async fn copy(
    source: &Spot,
    destination: &Spot,
    registries: &Registries,
    dry_run: bool,
    progress: &dyn Progress,
) -> Result<Copied, Failure> {
    if let (Spot::Layout(source), Spot::Layout(destination)) = (source, destination) {
        return between_layouts(source, destination, dry_run, progress);
    }
    transfer::copy(source, destination, registries, dry_run, progress).await
}

fn between_layouts(
    source: &Place,
    destination: &Place,
    dry_run: bool,
    progress: &dyn Progress,
) -> Result<Copied, Failure> {
    let found = find(source)?;
    let tag = tag_at(destination, source, &found)?;
    let moved = if dry_run {
        would_move(&found, &destination.dir)?
    } else {
        let layout = Layout::create(&destination.dir)?;
        let moved = layout.take(&found.layout, &found.closure, progress)?;
        if let Some(tag) = &tag {
            layout.tag(tag, &found.resolved.descriptor)?;
        }
        moved
    };
    Ok(report(&found, destination, tag, moved, dry_run))
}

/// The tag that the artifact gets: the one that was named, else the source's.
fn tag_at(destination: &Place, source: &Place, found: &Found) -> Result<Option<String>, Failure> {
    Ok(match (destination.tag()?, &source.select) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, Select::Tag(tag)) => Some(tag.clone()),
        (None, Select::Digest(_)) => None,
        (None, Select::Default) => found
            .resolved
            .descriptor
            .annotation(media_type::REF_NAME)
            .map(str::to_owned),
    })
}

fn would_move(found: &Found, destination: &Path) -> Result<Vec<Moved>, Failure> {
    let there = match destination.symlink_metadata() {
        Ok(_) => Some(Layout::open(destination)?),
        Err(_) => None,
    };
    let mut moved = Vec::new();
    for piece in found.closure.pieces() {
        // What cannot be read could not be copied either.
        drop(found.layout.open_blob(&piece.descriptor)?);
        let present = match &there {
            Some(layout) => layout.has_blob(&piece.descriptor)?,
            None => false,
        };
        moved.push(Moved { piece, present });
    }
    Ok(moved)
}

fn report(
    found: &Found,
    destination: &Place,
    tag: Option<String>,
    moved: Vec<Moved>,
    dry_run: bool,
) -> Copied {
    let digest = found.resolved.descriptor.digest;
    let shown = match &tag {
        Some(tag) => format!("oci-layout:{}:{tag}", destination.dir.display()),
        None => format!("oci-layout:{}@{digest}", destination.dir.display()),
    };
    let source = found.layout.origin(&digest);
    Copied {
        tag,
        dry_run,
        ..Copied::of(&found.closure, source, shown, moved)
    }
}
