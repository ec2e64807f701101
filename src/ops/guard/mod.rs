//! The guard: nothing unverified starts.

mod exec;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub use exec::exec;

use super::gather::{Gathered, Reading};
use super::verify::{self, Request};
use super::{Exit, Failure};
use crate::digest::{Algorithm, Digest};
use crate::durable::{self, Existing};
use crate::model::files::Standing;
use crate::oci::Platform;
use crate::policy::Policy;
use crate::reference::ArtifactRef;
use crate::source::Progress;
use crate::source::registry::Registries;
use crate::source::stage::Staged;
use crate::source::tree::Symlinks;
use crate::time::Timestamp;
use crate::verify::{ArtifactKind, Outcome, Stage, Verdict};

/// What to guard, and how.
#[derive(Clone, Debug)]
pub struct Guard<'a> {
    /// The targets; every one must be allowed.
    pub targets: &'a [ArtifactRef],
    /// What the operator calls them; only for a single target.
    pub name: Option<&'a str>,
    /// What the operator says that they are.
    pub kind: Option<ArtifactKind>,
    /// What becomes of symlinks in a model.
    pub symlinks: Symlinks,
    /// The platform whose image is meant, where an index is named.
    pub platform: Option<&'a Platform>,
    /// The policies.
    pub policies: &'a [Policy],
    /// Bundles to look at instead of where evidence usually lies.
    pub bundles: &'a [PathBuf],
    /// The folder that receives the private copies, one per target under its own name.
    pub into: Option<&'a Path>,
    /// The time to decide for.
    pub now: Timestamp,
    /// How registries are reached.
    pub registries: &'a Registries,
}

/// A target that was allowed.
#[derive(Debug)]
pub struct Guarded {
    /// Where it is, as the operator named it.
    pub target: PathBuf,
    /// The copy, where one was made.
    pub copy: Option<PathBuf>,
    /// SHA-256 of a target that is one file.
    pub whole: Option<Digest>,
    /// SHA-256 of the files that a counted signature covers, of a folder.
    pub files: BTreeMap<String, Digest>,
}

/// The verdicts, and what may be used where all of them allow.
#[derive(Debug)]
pub struct Done {
    /// One for each target, in order.
    pub verdicts: Vec<Verdict>,
    /// The targets, in order; empty unless every verdict allows.
    pub guarded: Vec<Guarded>,
}

impl Done {
    /// The verdict over all targets.
    pub fn outcome(&self) -> Outcome {
        self.verdicts
            .iter()
            .map(|v| v.outcome)
            .fold(Outcome::Allowed, Outcome::and)
    }
}

/// Verifies every target at stage startup. Copies come into their place only
/// when all are allowed: a start is of all of them or of none.
///
/// # Errors
/// Where a target cannot be read or copied; then nothing is left in `into`.
pub async fn guard(guard: &Guard<'_>, progress: &dyn Progress) -> Result<Done, Failure> {
    let places = places(guard)?;
    let mut verdicts = Vec::with_capacity(guard.targets.len());
    let mut held: Vec<(Guarded, Option<Staged>)> = Vec::new();
    for (target, place) in guard.targets.iter().zip(&places) {
        let request = Request {
            reading: Reading {
                artifact: target,
                name: guard.name,
                kind: guard.kind,
                symlinks: guard.symlinks.clone(),
                bundles: guard.bundles,
                signature: None,
                into: place.as_ref(),
                registries: guard.registries,
            },
            policies: guard.policies,
            stage: Stage::Startup,
            now: guard.now,
            source_of_promotion: false,
            everywhere: false,
            platform: guard.platform,
            children: false,
            listed: None,
            named: None,
        };
        let (mut gathered, verdict) = verify::judge(&request, progress).await?;
        let staged = gathered.staged.take();
        if let Some(target) = local_path(target) {
            held.push((guarded(target, &gathered, &verdict), staged));
        }
        verdicts.push(verdict);
    }
    let mut done = Done {
        verdicts,
        guarded: Vec::new(),
    };
    if done.outcome() == Outcome::Allowed {
        for (mut target, staged) in held {
            if let Some(staged) = staged {
                target.copy = Some(staged.commit()?);
            }
            done.guarded.push(target);
        }
    }
    Ok(done)
}

/// Writes a report whole or not at all, in place of an older one.
///
/// # Errors
/// Where it cannot be written; then the older one still stands.
pub fn write_report(path: &Path, text: &[u8]) -> Result<(), Failure> {
    Ok(durable::write(path, text, 0o644, Existing::Replace)?)
}

/// What may be run of a target: what a signature that counts covers, and no evidence.
fn guarded(target: PathBuf, gathered: &Gathered, verdict: &Verdict) -> Guarded {
    let folder = gathered.artifact.read_as == "directory";
    let mut files = BTreeMap::new();
    if folder {
        for file in &gathered.observed.files {
            if let (Some(digest), true) = (file.sha256, file.standing != Standing::Evidence)
                && verdict.unsigned_files.binary_search(&file.path).is_err()
            {
                files.insert(file.path.clone(), digest);
            }
        }
    }
    let sha256 = gathered.observed.digests(Algorithm::Sha256).next().copied();
    Guarded {
        target,
        copy: None,
        whole: sha256.filter(|_| !folder),
        files,
    }
}

fn local_path(target: &ArtifactRef) -> Option<PathBuf> {
    match target {
        ArtifactRef::Path { path, .. } => Some(PathBuf::from(path)),
        _ => None,
    }
}

/// Where each target's copy goes: into the folder, under the target's own name.
fn places(guard: &Guard<'_>) -> Result<Vec<Option<PathBuf>>, Failure> {
    if guard.targets.len() > 1 && guard.name.is_some() {
        return Err(Failure::new(
            Exit::Usage,
            "--name is for one target, and several were given",
        )
        .hint("guard them one by one, or let each go by its path"));
    }
    let Some(into) = guard.into else {
        return Ok(vec![None; guard.targets.len()]);
    };
    // Whatever the umask: who may write there can put another folder in a copy's place.
    let made = DirBuilder::new().recursive(true).mode(0o755).create(into);
    made.map_err(|e| {
        Failure::new(
            Exit::Undetermined,
            format!("cannot create {}", into.display()),
        )
        .cause(e)
    })?;
    let mut places: Vec<Option<PathBuf>> = Vec::with_capacity(guard.targets.len());
    for target in guard.targets {
        let Some(path) = local_path(target) else {
            return Err(Failure::new(
                Exit::Usage,
                format!("{target} is not a file or folder, so --into cannot copy it"),
            )
            .hint("pull it first: obreia pull REF DIR"));
        };
        let name = path
            .canonicalize()
            .ok()
            .and_then(|p| p.file_name().map(ToOwned::to_owned))
            .ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    format!("{target} has no name to copy it under"),
                )
            })?;
        let place = Some(into.join(name));
        if places.contains(&place) {
            return Err(Failure::new(
                Exit::Usage,
                format!("two targets would be copied to the same place, {target} is the second"),
            ));
        }
        places.push(place);
    }
    Ok(places)
}
