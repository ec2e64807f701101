use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::label::{Holds, is_label};
use super::{
    AttestationStore, BoxFuture, Deposit, Format, StoreError, Stored, Subject, Untrusted, label_of,
};
use crate::bundle::Bundle;
use crate::durable::{self, Existing, FileError};
use crate::limits;

const SUFFIX: &str = ".sigstore.json";
/// Where OpenSSF model signing keeps a directory's signature.
const MODEL_SIGNATURE: &str = "model.sig";

/// Evidence that lies beside what it is about.
///
/// - of a file: `FILE.sigstore.json` its signature, `FILE.LABEL.sigstore.json`
///   what else is said about it;
/// - of a directory: `DIR/model.sig` its signature, `DIR.LABEL.sigstore.json`
///   beside it what else is said about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sidecar;

impl AttestationStore for Sidecar {
    fn put<'a>(
        &'a self,
        subject: &'a Subject,
        deposit: Deposit<'a>,
    ) -> BoxFuture<'a, Result<Stored, StoreError>> {
        Box::pin(async move { put(path_of(subject)?, &deposit) })
    }

    fn list<'a>(
        &'a self,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Untrusted>, StoreError>> {
        Box::pin(async move { list(path_of(subject)?) })
    }

    /// Nothing: cosign kept its older signatures in registries.
    fn older<'a>(
        &'a self,
        _: &'a Subject,
    ) -> BoxFuture<'a, Vec<Result<Vec<Untrusted>, StoreError>>> {
        Box::pin(async { Vec::new() })
    }
}

impl Sidecar {
    /// Where [`AttestationStore::put`] would store a bundle.
    ///
    /// # Errors
    /// As `put`, without writing.
    pub fn place(subject: &Path, deposit: &Deposit<'_>) -> Result<PathBuf, StoreError> {
        Place::of(subject)?.name(deposit)
    }
}

fn path_of(subject: &Subject) -> Result<&Path, StoreError> {
    match subject {
        Subject::Path(path) => Ok(path),
        Subject::Manifest(descriptor) => Err(StoreError::NotHere {
            subject: descriptor.digest.to_string(),
            place: "files",
        }),
    }
}

/// A subject's folder and name.
struct Place {
    folder: PathBuf,
    name: String,
    /// The subject itself, where it is a directory.
    directory: Option<PathBuf>,
}

impl Place {
    fn of(subject: &Path) -> Result<Self, StoreError> {
        let metadata = fs::metadata(subject).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NoSubject(subject.to_owned()),
            _ => StoreError::io(subject)(error),
        })?;
        // `.`, `..` and `/` have no name of their own.
        let named = match subject.file_name() {
            Some(_) => subject.to_owned(),
            None => fs::canonicalize(subject).map_err(StoreError::io(subject))?,
        };
        let not_utf8 = || StoreError::io(subject)(io::Error::other("its name is not UTF-8"));
        let name = named.file_name().unwrap_or_default();
        let name = name.to_str().ok_or_else(not_utf8)?.to_owned();
        // Empty for a bare name, so that what is found is shown as a bare name too.
        let folder = named.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self {
            folder,
            name,
            directory: metadata.is_dir().then(|| subject.to_owned()),
        })
    }

    fn name(&self, deposit: &Deposit<'_>) -> Result<PathBuf, StoreError> {
        let holds = Holds::of(&Bundle::parse(deposit.bundle)?)?;
        let label = match (deposit.label, &holds) {
            (Some(label), _) => Some(label.to_owned()),
            (None, Holds::Attestation { predicate_type }) => Some(label_of(predicate_type)),
            (None, Holds::Signature { .. } | Holds::ModelSignature) => None,
        };
        if let Some(label) = &label
            && !is_label(label)
        {
            return Err(StoreError::Label(label.chars().take(64).collect()));
        }
        Ok(match (label, &self.directory, holds) {
            (Some(label), _, _) => self.folder.join(format!("{}.{label}{SUFFIX}", self.name)),
            (None, Some(directory), Holds::ModelSignature) => directory.join(MODEL_SIGNATURE),
            (None, _, _) => self.folder.join(format!("{}{SUFFIX}", self.name)),
        })
    }

    /// Whether `entry`, beside the subject, is evidence about it.
    fn owns(&self, entry: &str) -> bool {
        let Some(stem) = entry.strip_suffix(SUFFIX) else {
            return false;
        };
        if stem == self.name {
            return true;
        }
        // `a.bin.sigstore.json` is about `a.bin` where that is there, and not
        // about `a`.
        stem.strip_prefix(&self.name)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(is_label)
            && fs::symlink_metadata(self.folder.join(stem)).is_err()
    }
}

fn put(subject: &Path, deposit: &Deposit<'_>) -> Result<Stored, StoreError> {
    let path = Place::of(subject)?.name(deposit)?;
    let stored = |existed| Stored {
        origin: path.display().to_string(),
        existed,
        cas: None,
    };
    match durable::write(&path, deposit.bundle, 0o644, Existing::Refuse) {
        Ok(()) => Ok(stored(false)),
        Err(FileError::Exists(_)) => {
            let same = durable::read(&path, limits::BUNDLE).is_ok_and(|b| b == deposit.bundle);
            if same {
                return Ok(stored(true));
            }
            if !deposit.force {
                return Err(StoreError::Exists(path));
            }
            durable::write(&path, deposit.bundle, 0o644, Existing::Replace)?;
            Ok(stored(false))
        }
        Err(error) => Err(error.into()),
    }
}

fn list(subject: &Path) -> Result<Vec<Untrusted>, StoreError> {
    let place = Place::of(subject)?;
    let mut paths = Vec::new();
    let here = Path::new(".");
    let folder = if place.folder.as_os_str().is_empty() {
        here
    } else {
        &place.folder
    };
    let entries = fs::read_dir(folder).map_err(StoreError::io(folder))?;
    for (count, entry) in entries.enumerate() {
        if count >= limits::MODEL_FILES {
            return Err(StoreError::TooMany {
                place: folder.display().to_string(),
                what: "files",
                limit: limits::MODEL_FILES,
            });
        }
        let name = entry.map_err(StoreError::io(folder))?.file_name();
        if name.to_str().is_some_and(|n| place.owns(n)) {
            paths.push(place.folder.join(name));
            if paths.len() > limits::EVIDENCE {
                let folder = folder.display().to_string();
                return Err(StoreError::too_much_evidence(folder));
            }
        }
    }
    if let Some(directory) = &place.directory {
        let path = directory.join(MODEL_SIGNATURE);
        match fs::symlink_metadata(&path) {
            Ok(_) => paths.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(&path)(error)),
        }
    }
    paths.sort();
    let mut bytes = 0;
    let mut found = Vec::with_capacity(paths.len());
    for path in &paths {
        let piece = read(path);
        bytes += piece.bytes.len() as u64;
        if bytes > limits::EVIDENCE_BYTES {
            return Err(StoreError::too_many_bytes(
                place.folder.display().to_string(),
            ));
        }
        found.push(piece);
    }
    Ok(found)
}

/// A file that is no readable bundle by its kind or size is told as malformed;
/// one that cannot be read, a link to nothing too, is told as that.
fn read(path: &Path) -> Untrusted {
    let (bytes, format) = match durable::read(path, limits::BUNDLE) {
        Ok(bytes) => (bytes, Format::Bundle),
        Err(error @ (FileError::TooLarge { .. } | FileError::NotAFile(_))) => {
            (Vec::new(), Format::Malformed(error.to_string()))
        }
        Err(error) => (Vec::new(), Format::Unreadable(error.to_string())),
    };
    Untrusted {
        origin: path.display().to_string(),
        bytes,
        format,
    }
}
