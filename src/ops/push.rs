//! `obreia push`: a model, SBOM or file into a layout or registry as an OCI artifact, with
//! the evidence that lies beside it.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::Failure;
use super::transfer::{Spot, Store, unsent};
use crate::attestations::{
    AttestationStore, Deposit, Format, OciReferrers, Referrers, Sidecar, Subject, Untrusted,
};
use crate::canon;
use crate::digest::{Algorithm, Digest};
use crate::limits;
use crate::model::files::Standing;
use crate::model::format::{self, Kind};
use crate::model::name;
use crate::oci::{Artifact, ArtifactFile, Descriptor, file_artifact, media_type, model_artifact};
use crate::sbom;
use crate::source::Progress;
use crate::source::file::RegularFile;
use crate::source::layout::Layout;
use crate::source::registry::{Registries, Repository, Source};
use crate::source::tree::{Symlinks, Tree, TreeOptions};
use crate::time::Clock;
use crate::verify::ArtifactKind;

/// What is to be pushed, and how it is read.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// A file or a folder.
    pub path: &'a Path,
    /// What it is, where its content should not say.
    pub kind: Option<ArtifactKind>,
    /// What becomes of symlinks in a model.
    pub symlinks: Symlinks,
    /// Where to.
    pub destination: &'a Spot,
    /// How registries are reached.
    pub registries: &'a Registries,
    /// Whether bundles that lie beside it are attached.
    pub with_evidence: bool,
}

/// What was pushed: `obreia.push/v1`.
#[derive(Debug, Serialize)]
pub struct Pushed {
    schema: &'static str,
    /// What was read.
    pub source: String,
    /// As what: `model`, `sbom` or `blob`.
    pub kind: &'static str,
    /// Where it is now.
    pub destination: String,
    /// The manifest's digest: the artifact's name that cannot move.
    pub digest: Digest,
    /// What the manifest says that it is.
    pub artifact_type: String,
    /// Its files.
    pub files: Vec<PushedFile>,
    /// Size of all files, in bytes.
    pub bytes: u64,
    /// Bundles that were attached, and where from.
    pub evidence: Vec<Attached>,
    /// Files in the folder that are no part of the model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Evidence that was not attached, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// One file.
#[derive(Debug, Serialize)]
pub struct PushedFile {
    /// Path inside the artifact.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Its digest, and the layer's.
    pub digest: Digest,
}

/// One bundle.
#[derive(Debug, Serialize)]
pub struct Attached {
    /// Where it lay.
    pub from: String,
    /// Where it hangs.
    pub origin: String,
    /// What keeps two who attach at once from losing one of the two, where
    /// that depends on the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas: Option<&'static str>,
}

/// Packs and stores. Files are hashed as they are copied; the tag comes last.
///
/// # Errors
/// Where something cannot be read or written, or the model does not fit into
/// one manifest; the tag has not moved then.
pub async fn push(
    request: &Request<'_>,
    clock: Arc<dyn Clock>,
    progress: &dyn Progress,
) -> Result<Pushed, Failure> {
    let tag = request.destination.tag()?.map(str::to_owned);
    let options = TreeOptions {
        symlinks: request.symlinks.clone(),
        ..TreeOptions::default()
    };
    let tree = Tree::open(request.path, &options)?;
    // Read before anything is written, so that a place that cannot be looked
    // at leaves no artifact without its evidence.
    let evidence = if request.with_evidence {
        Sidecar
            .list(&Subject::Path(request.path.to_owned()))
            .await?
    } else {
        Vec::new()
    };
    let to = Store::create(request.destination, request.registries)?;
    let (kind, artifact, files) = pack(&to, &tree, request.kind, progress).await?;
    for (blob, bytes) in &artifact.blobs {
        match &to {
            Store::Layout(layout) => layout.put_checked(blob, &mut bytes.as_slice())?,
            Store::Registry(at) => {
                if !at.has_blob(blob).await? {
                    let sent = at.put_blob(blob, Source::Bytes(bytes), None).await;
                    sent.map_err(unsent)?;
                }
            }
        }
    }
    to.put_document(None, &artifact.descriptor, &artifact.manifest)
        .await?;
    if let Store::Layout(layout) = &to {
        list(layout, &artifact.descriptor)?;
    }
    let digest = artifact.descriptor.digest;
    let mut pushed = Pushed {
        schema: "obreia.push/v1",
        source: request.path.display().to_string(),
        kind: kind.as_str(),
        destination: match &tag {
            Some(tag) => to.tagged(tag),
            None => to.origin(&digest),
        },
        digest,
        artifact_type: artifact
            .descriptor
            .artifact_type
            .clone()
            .unwrap_or_default(),
        bytes: files.iter().fold(0, |sum, f| sum.saturating_add(f.size)),
        files: files
            .into_iter()
            .map(|f| PushedFile {
                path: f.path,
                size: f.size,
                digest: f.digest,
            })
            .collect(),
        evidence: Vec::new(),
        left_out: tree
            .entries()
            .iter()
            .filter(|e| e.standing == Standing::Ignored)
            .map(|e| e.path.clone())
            .collect(),
        left: Vec::new(),
    };
    let store: Box<dyn AttestationStore> = match &to {
        Store::Layout(layout) => Box::new(Referrers::new(layout.clone(), clock)),
        Store::Registry(repository) => Box::new(OciReferrers::new(repository.clone(), clock)),
    };
    let subject = Subject::Manifest(Box::new(artifact.descriptor.clone()));
    for one in evidence {
        attach(&*store, &subject, one, &mut pushed).await?;
    }
    match (&to, &tag) {
        (_, None) => {}
        (Store::Layout(layout), Some(tag)) => layout.tag(tag, &artifact.descriptor)?,
        (Store::Registry(_), Some(tag)) => {
            to.put_document(Some(tag), &artifact.descriptor, &artifact.manifest)
                .await?;
        }
    }
    Ok(pushed)
}

async fn attach(
    store: &dyn AttestationStore,
    subject: &Subject,
    one: Untrusted,
    pushed: &mut Pushed,
) -> Result<(), Failure> {
    use crate::attestations::StoreError;

    let why = match one.format {
        Format::Bundle => match store.put(subject, Deposit::new(&one.bytes)).await {
            Ok(stored) => {
                pushed.evidence.push(Attached {
                    from: one.origin,
                    origin: stored.origin,
                    cas: stored.cas,
                });
                return Ok(());
            }
            // Not a bundle, whatever its name says: that is told, and no reason
            // to keep the rest back.
            Err(error @ (StoreError::Bundle(_) | StoreError::Statement(_))) => error.to_string(),
            Err(error) => return Err(error.into()),
        },
        other @ (Format::SimpleSigning { .. }
        | Format::Envelope
        | Format::Notation { .. }
        | Format::Statement) => other.in_words().to_owned(),
        Format::Foreign(what) => what,
        Format::Malformed(why) | Format::Unreadable(why) => why,
    };
    pushed.left.push(format!("{}: {why}", one.origin));
    Ok(())
}

/// An artifact without a tag is listed all the same, so that it is not lost.
fn list(layout: &Layout, descriptor: &Descriptor) -> Result<(), Failure> {
    Ok(layout.update(|index| {
        if index
            .manifests
            .iter()
            .all(|d| d.digest != descriptor.digest)
        {
            index.manifests.push(descriptor.clone());
        }
        Ok(())
    })?)
}

type Packed = (ArtifactKind, Artifact, Vec<ArtifactFile>);

async fn pack(
    to: &Store,
    tree: &Tree,
    stated: Option<ArtifactKind>,
    progress: &dyn Progress,
) -> Result<Packed, Failure> {
    let single = tree.is_single_file();
    let mut files = Vec::new();
    let mut kind = (ArtifactKind::Model, "", "");
    for entry in tree.entries() {
        if entry.standing != Standing::Content {
            continue;
        }
        let mut file = tree.open_entry(entry)?;
        if single {
            kind = kind_of(&file, stated)?;
        }
        let blob = match to {
            Store::Layout(layout) => {
                let mut reader = Reader {
                    file: &file,
                    at: 0,
                    progress,
                };
                layout.put_stream(media_type::OCTETS, &mut reader)?
            }
            Store::Registry(at) => send(at, &mut file, progress).await?,
        };
        file.recheck()?;
        files.push(ArtifactFile {
            path: if entry.path == name::SINGLE {
                tree.name()
            } else {
                entry.path.clone()
            },
            size: blob.size,
            digest: blob.digest,
        });
    }
    let artifact = match (kind, files.first()) {
        ((ArtifactKind::Sbom | ArtifactKind::Blob, artifact_type, layer_type), Some(only)) => {
            file_artifact(artifact_type, layer_type, only)?
        }
        _ => model_artifact(&tree.name(), &files, !single)?,
    };
    Ok((kind.0, artifact, files))
}

/// A file to a registry, which wants its digest first, and checks it.
async fn send(
    to: &Repository,
    file: &mut RegularFile,
    progress: &dyn Progress,
) -> Result<Descriptor, Failure> {
    let digest = file
        .hash(&[Algorithm::Sha256], progress)?
        .first()
        .copied()
        .ok_or_else(|| Failure::new(super::Exit::Bug, "a digest was not computed"))?;
    let blob = Descriptor::new(media_type::OCTETS, digest, file.size());
    if !to.has_blob(&blob).await? {
        let mut reader = Reader {
            file,
            at: 0,
            progress: &(),
        };
        let sent = to.put_blob(&blob, Source::Reader(&mut reader), None).await;
        sent.map_err(unsent)?;
    }
    Ok(blob)
}

/// What one file is, with the media types of its artifact and its layer.
fn kind_of(
    file: &RegularFile,
    stated: Option<ArtifactKind>,
) -> Result<(ArtifactKind, &'static str, &'static str), Failure> {
    const BLOB: (ArtifactKind, &str, &str) =
        (ArtifactKind::Blob, media_type::FILE, media_type::OCTETS);
    let sbom = || -> Result<_, Failure> {
        Ok(match sbom_kind(file)? {
            Some(found) => {
                let media_type = found.media_type();
                Some((ArtifactKind::Sbom, media_type, media_type))
            }
            None => None,
        })
    };
    match stated {
        Some(ArtifactKind::Model) => Ok((ArtifactKind::Model, "", "")),
        Some(ArtifactKind::Sbom) => sbom()?.ok_or_else(|| {
            Failure::new(
                super::Exit::Usage,
                format!(
                    "{} is neither CycloneDX nor SPDX JSON",
                    file.path().display()
                ),
            )
        }),
        Some(ArtifactKind::Blob | ArtifactKind::Image) => Ok(BLOB),
        None => {
            if let Some(found) = sbom()? {
                return Ok(found);
            }
            if is_weights(file)? {
                return Ok((ArtifactKind::Model, "", ""));
            }
            Ok(BLOB)
        }
    }
}

fn sbom_kind(file: &RegularFile) -> Result<Option<sbom::SbomKind>, Failure> {
    let size = file.size();
    if size > limits::DOCUMENT {
        return Ok(None);
    }
    let unreadable = |error: io::Error| {
        Failure::new(
            super::Exit::Undetermined,
            format!("cannot read {}", file.path().display()),
        )
        .cause(error)
    };
    let mut first = [0; 64];
    let count = file.read_at(0, &mut first).map_err(unreadable)?;
    if first[..count].trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    let mut at = 0;
    while at < bytes.len() {
        match file
            .read_at(at as u64, &mut bytes[at..])
            .map_err(unreadable)?
        {
            0 => break,
            count => at += count,
        }
    }
    Ok(canon::parse(&bytes[..at], limits::DOCUMENT)
        .ok()
        .and_then(|document| sbom::detect(&document)))
}

/// Whether a file holds weights, or what goes with them, by its content.
fn is_weights(file: &RegularFile) -> Result<bool, Failure> {
    let mut content = file;
    let found = format::detect(&mut content).map_err(|error| {
        Failure::new(
            super::Exit::Undetermined,
            format!("cannot look into {}", file.path().display()),
        )
        .cause(error)
    })?;
    Ok(found.formats.iter().any(|format| {
        !matches!(
            format.kind,
            Kind::Executable
                | Kind::Script
                | Kind::Zip
                | Kind::Tar
                | Kind::Gzip
                | Kind::Zlib
                | Kind::Bzip2
                | Kind::Xz
                | Kind::Lzma
                | Kind::Lz4
                | Kind::Zstd
                | Kind::SevenZip
                | Kind::Rar
                | Kind::Json
                | Kind::Text
                | Kind::Empty
                | Kind::Unknown
        )
    }))
}

/// A file from its beginning to its end, with the progress told.
struct Reader<'a> {
    file: &'a RegularFile,
    at: u64,
    progress: &'a dyn Progress,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(self.at, buffer)?;
        self.at = self.at.saturating_add(count as u64);
        self.progress.add(count as u64);
        Ok(count)
    }
}
