//! `obreia pull`: a model, SBOM or file out of a layout or registry, into a folder.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::transfer::{Spot, Store};
use super::{Exit, Failure};
use crate::attestations::{
    AttestationStore, Deposit, Format, OciReferrers, Referrers, Sidecar, StoreError, Subject,
    Untrusted, label_of,
};
use crate::bundle::{Bundle, Content};
use crate::digest::Digest;
use crate::durable;
use crate::oci::{ArtifactFile, Descriptor, Document, Manifest, artifact_files, media_type};
use crate::source::registry::Registries;
use crate::source::{Counted, Progress};
use crate::statement::{self, Statement};
use crate::time::Clock;
use crate::verify::ReasonCode;

/// What was pulled: `obreia.pull/v1`.
#[derive(Debug, Serialize)]
pub struct Pulled {
    schema: &'static str,
    /// Where from, by digest.
    pub source: String,
    /// The artifact's digest.
    pub digest: Digest,
    /// The folder that was made.
    pub directory: PathBuf,
    /// The files in it.
    pub files: Vec<PulledFile>,
    /// Bundles that were put beside or into it.
    pub evidence: Vec<String>,
    /// Evidence that stays behind, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// One file.
#[derive(Debug, Serialize)]
pub struct PulledFile {
    /// Path inside the folder.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// What its bytes hash to.
    pub digest: Digest,
}

/// Writes an artifact's files into a new folder, every byte checked against
/// the manifest before the folder gets its name; and puts the evidence about
/// the files where `verify` looks for it.
///
/// # Errors
/// Where the folder exists, the artifact is a container image, or something
/// cannot be read or written: then there is no folder.
pub async fn pull(
    source: &Spot,
    registries: &Registries,
    directory: &Path,
    with_evidence: bool,
    clock: std::sync::Arc<dyn Clock>,
    progress: &dyn Progress,
) -> Result<Pulled, Failure> {
    let from = Store::open(source, registries)?;
    let resolved = from.resolve(source.select()).await?;
    let digest = resolved.descriptor.digest;
    let origin = from.origin(&digest);
    let (manifest, files) = files_of(&origin, &resolved.document)?;
    if directory.symlink_metadata().is_ok() {
        return Err(exists(directory));
    }
    let staged = stage(directory)?;
    for file in &files {
        write(&from, &manifest, file, staged.path(), progress).await?;
    }
    let found = match with_evidence {
        true => evidence(from, &resolved.descriptor, clock).await?,
        false => Vec::new(),
    };
    place(staged, directory)?;
    let mut pulled = Pulled {
        schema: "obreia.pull/v1",
        source: origin,
        digest,
        directory: directory.to_owned(),
        files: files
            .iter()
            .map(|f| PulledFile {
                path: f.path.clone(),
                size: f.size,
                digest: f.digest,
            })
            .collect(),
        evidence: Vec::new(),
        left: Vec::new(),
    };
    let beside = subject_of(directory, &manifest, &files);
    for one in found {
        let kept = match one.format {
            Format::Bundle => keep(&beside, &one.bytes, &digest).await,
            other @ (Format::SimpleSigning { .. }
            | Format::Envelope
            | Format::Notation { .. }
            | Format::Statement) => Err(other.in_words().to_owned()),
            Format::Foreign(what) => Err(what),
            Format::Malformed(why) | Format::Unreadable(why) => Err(why),
        };
        match kept {
            Ok(origin) => pulled.evidence.push(origin),
            Err(why) => pulled.left.push(format!("{}: {why}", one.origin)),
        }
    }
    Ok(pulled)
}

/// What is said about the artifact, all of it: a folder without a signature
/// that could not be read would be an unsigned one for ever.
async fn evidence(
    from: Store,
    of: &Descriptor,
    clock: std::sync::Arc<dyn Clock>,
) -> Result<Vec<Untrusted>, Failure> {
    let subject = Subject::Manifest(Box::new(of.clone()));
    let store: Box<dyn AttestationStore> = match from {
        Store::Layout(layout) => Box::new(Referrers::new(layout, clock)),
        Store::Registry(repository) => Box::new(OciReferrers::new(repository, clock)),
    };
    let mut found = store.list(&subject).await?;
    for older in store.older(&subject).await {
        found.extend(older?);
    }
    for one in &found {
        if let Format::Unreadable(why) = &one.format {
            let what = format!("cannot read the evidence {}", one.origin);
            return Err(Failure::new(Exit::Undetermined, what)
                .cause(why)
                .code(ReasonCode::EvidenceUnreadable.as_str())
                .hint("try again, or leave the evidence there with --without-evidence"));
        }
    }
    Ok(found)
}

fn files_of(origin: &str, document: &Document) -> Result<(Manifest, Vec<ArtifactFile>), Failure> {
    if let Document::Manifest(manifest) = document
        && let Some(files) = artifact_files(manifest)?
    {
        return Ok(((**manifest).clone(), files));
    }
    Err(Failure::new(
        Exit::Usage,
        format!("{origin} is a container image, or an artifact of another kind"),
    )
    .hint("pull takes models, SBOMs and files as `obreia push` packs them; use `obreia copy`"))
}

/// What the evidence is about: the folder, or the one file in it.
fn subject_of(directory: &Path, manifest: &Manifest, files: &[ArtifactFile]) -> PathBuf {
    let is_model = manifest.artifact_type.as_deref() == Some(media_type::MODEL);
    match files {
        [only] if !is_model || !manifest.is_directory() => directory.join(&only.path),
        _ => directory.to_owned(),
    }
}

/// Puts a bundle beside the subject, and says where. One about the manifest
/// alone stays behind: the files cannot be held against it.
async fn keep(beside: &Path, json: &[u8], manifest: &Digest) -> Result<String, String> {
    let bundle = Bundle::parse(json).map_err(|e| e.to_string())?;
    let mut label = None;
    if let Content::Envelope(envelope) = &bundle.content {
        let statement = Statement::parse(&envelope.payload).map_err(|e| e.to_string())?;
        let about_manifest = |s: &statement::Subject| {
            s.digest.get(manifest.algorithm().name()) == Some(&manifest.hex())
        };
        if statement.subject.iter().all(about_manifest) {
            return Err(format!(
                "it is about the manifest {manifest} and not about the files; obreia copy moves both"
            ));
        }
        label = Some(label_of(&statement.predicate_type));
    }
    let subject = Subject::Path(beside.to_owned());
    // Several of one kind are numbered; the first has the usual name.
    for number in 1..=crate::limits::EVIDENCE {
        let numbered = format!("{}-{number}", label.as_deref().unwrap_or("signature"));
        let mut deposit = Deposit::new(json);
        deposit.label = (number > 1).then_some(&numbered);
        match Sidecar.put(&subject, deposit).await {
            Ok(stored) => return Ok(stored.origin),
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("too many bundles of one kind".to_owned())
}

fn exists(directory: &Path) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("{} exists already", directory.display()),
    )
    .hint("name a folder that is not there yet; pull never mixes its files with others")
}

fn failed<'a>(what: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> Failure + 'a {
    move |error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::Usage,
            _ => Exit::Undetermined,
        };
        Failure::new(exit, format!("cannot {what} {}", path.display()))
            .cause(error)
            .hint("nothing was left half written")
    }
}

/// What the folder and those in it are made with: whatever the process's umask
/// is, nobody else may write where a model was checked byte by byte.
const FOLDER: u32 = 0o755;
/// The same for its files.
const FILE: u32 = 0o644;

/// A folder beside the wanted one, that goes away unless it gets the name.
fn stage(directory: &Path) -> Result<tempfile::TempDir, Failure> {
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".obreia-")
        .suffix(".partial")
        .permissions(fs::Permissions::from_mode(FOLDER))
        .tempdir_in(parent)
        .map_err(failed("make a folder in", parent))
}

async fn write(
    from: &Store,
    manifest: &Manifest,
    file: &ArtifactFile,
    into: &Path,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let path = into.join(&file.path);
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER)
            .create(parent)
            .map_err(failed("make", parent))?;
    }
    let layer = manifest
        .layers
        .iter()
        .find(|layer| layer.digest == file.digest)
        .cloned()
        .unwrap_or_else(|| Descriptor::new(media_type::OCTETS, file.digest, file.size));
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE)
        .open(&path)
        .map_err(failed("write", &path))?;
    match from {
        Store::Layout(layout) => {
            let mut from = Counted::new(layout.open_blob(&layer)?, progress);
            let mut buffer = vec![0; 128 * 1024];
            loop {
                let count = from
                    .read(&mut buffer)
                    .map_err(|error| layout.blob_error(&file.digest, error))?;
                if count == 0 {
                    break;
                }
                to.write_all(&buffer[..count])
                    .map_err(failed("write", &path))?;
            }
        }
        Store::Registry(repository) => {
            let mut from = repository.open_blob(&layer).await?;
            while let Some(chunk) = from.next().await? {
                to.write_all(&chunk).map_err(failed("write", &path))?;
                progress.add(chunk.len() as u64);
            }
        }
    }
    to.sync_all().map_err(failed("write", &path))
}

fn place(staged: tempfile::TempDir, directory: &Path) -> Result<(), Failure> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    sync_folders(staged.path())?;
    match renameat_with(CWD, staged.path(), CWD, directory, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST | rustix::io::Errno::NOTEMPTY) => {
            return Err(exists(directory));
        }
        // File systems without that flag: the folder was not there a moment ago.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::rename(staged.path(), directory).map_err(failed("name", directory))?;
        }
        Err(error) => return Err(failed("name", directory)(error.into())),
    }
    // It has its name now; there is nothing to clean up.
    let _renamed = staged.keep();
    if let Some(parent) = directory.parent()
        && !parent.as_os_str().is_empty()
    {
        durable::sync_folder(parent)?;
    }
    Ok(())
}

fn sync_folders(folder: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let path = entry.map_err(failed("list", folder))?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    Ok(durable::sync_folder(folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_into_the_place_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("out");
        let staged = stage(&wanted).unwrap();
        fs::write(staged.path().join("a"), "1").unwrap();
        // Empty, so that a rename alone would take its place.
        fs::create_dir(&wanted).unwrap();
        let refused = place(staged, &wanted).unwrap_err();
        assert!(refused.to_string().contains("exists already"), "{refused}");
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["out"]);
        assert_eq!(fs::read_dir(&wanted).unwrap().count(), 0);
    }
}
