//! Everything that a decision needs, read before it is made.

pub(super) mod evidence;
mod file;
pub(super) mod image;
mod model;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

pub use self::evidence::Further;
use super::Failure;
pub use super::remote::Unread;
use super::remote::{self, Named};
use crate::limits;
use crate::oci::Descriptor;
use crate::policy::{self, Policy};
use crate::reference::{ArtifactRef, PathKind};
use crate::source::registry::Registries;
use crate::source::stage::Staged;
use crate::source::tree::Symlinks;
use crate::source::{Progress, SourceError};
use crate::verify::{
    ArtifactFact, ArtifactKind, Evidence, ModelFacts, Observed, Reason, ReasonCode, Stage,
};

/// How many bytes of a file are looked at to see whether it is an SBOM or an
/// envelope's signed form.
pub const SNIFFED: usize = 64 << 10;

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// The artifact.
    pub artifact: &'a ArtifactRef,
    /// What the operator calls it, where that is not how it is written.
    pub name: Option<&'a str>,
    /// What the operator says that it is.
    pub kind: Option<ArtifactKind>,
    /// What becomes of symlinks in a model.
    pub symlinks: Symlinks,
    /// Bundles to look at instead of where evidence usually lies.
    pub bundles: &'a [PathBuf],
    /// A bare signature to look at.
    pub signature: Option<&'a PathBuf>,
    /// Where to put a private copy, made of the very bytes that are hashed.
    pub into: Option<&'a PathBuf>,
    /// How registries are reached.
    pub registries: &'a Registries,
}

/// An artifact and its evidence, read.
#[derive(Debug)]
pub struct Gathered {
    /// What was read.
    pub artifact: ArtifactFact,
    /// Everything that it counts as when a policy is looked for.
    pub kinds: Vec<ArtifactKind>,
    /// Its digests and files.
    pub observed: Observed<'static>,
    /// What was found about it.
    pub evidence: Vec<Evidence>,
    /// Look-ups that failed.
    pub failed: Vec<Reason>,
    /// Its files and their formats, where it is a model.
    pub model: Option<ModelFacts>,
    /// Configuration and children, where it is an image.
    pub image: Option<BTreeMap<String, Value>>,
    /// Every entry below it, where it is an index and was read.
    pub children: Option<Vec<Descriptor>>,
    /// Whether it can change before it is used.
    pub mutable: bool,
    /// The private copy, not in its place yet.
    pub staged: Option<Staged>,
    /// Where else evidence may lie.
    pub further: Option<Further>,
    /// What was not read of it, where its digest may suffice.
    pub unread: Option<Unread>,
}

impl Gathered {
    /// Every entry below it, as often as it is listed; `None` where it is no
    /// index, as far as it is known without reading it, unless that has to be
    /// `certain`.
    ///
    /// # Errors
    /// Where it has to be read for that, and cannot be.
    pub async fn below(&self, certain: bool) -> Result<Option<Vec<Descriptor>>, Failure> {
        match (&self.children, &self.unread) {
            (None, Some(unread)) => unread.below(certain).await,
            (known, _) => Ok(known.clone()),
        }
    }

    /// Reads the artifact itself too, where only its evidence was looked at.
    ///
    /// # Errors
    /// As [`gather`].
    pub async fn complete(
        mut self,
        policies: &[Policy],
        progress: &dyn Progress,
    ) -> Result<Self, Failure> {
        match self.unread.take() {
            None => Ok(self),
            Some(unread) => remote::complete(unread, self, policies, progress).await,
        }
    }

    /// Looks where evidence may lie that was not looked at yet; once.
    pub async fn look_further(&mut self) {
        if let Some(further) = self.further.take() {
            let (evidence, failed) = further.look().await;
            self.evidence.extend(evidence);
            self.failed.extend(failed);
            if self.evidence.len() > limits::EVIDENCE {
                let detail = format!(
                    "{} has more than {} pieces of evidence, the rest was not looked at",
                    self.artifact.name,
                    limits::EVIDENCE
                );
                let reason = Reason::new(ReasonCode::LimitExceeded, detail);
                self.failed
                    .push(reason.hint("name the evidence with --bundle"));
            }
        }
    }
}

/// Looks at the evidence about an artifact that a registry has, and at nothing
/// else of it, as far as its digest alone can decide; `None` where it cannot,
/// and for any other artifact. `listed` is how an index lists it.
///
/// # Errors
/// As [`gather`].
pub async fn glance(
    reading: &Reading<'_>,
    policies: &[Policy],
    stage: Stage,
    listed: Option<&Descriptor>,
) -> Result<Option<Gathered>, Failure> {
    let ArtifactRef::Registry {
        host,
        repository,
        select,
    } = reading.artifact
    else {
        return Ok(None);
    };
    let name = reading.called();
    if !policy::digest_decides(policies, &name, stage, listed.is_some()) {
        return Ok(None);
    }
    let at = Named {
        host,
        repository,
        select,
    };
    let signatures = policies.iter().all(Policy::asks_for_signatures_alone);
    let gathered = remote::glance(at, name, reading, signatures, listed).await?;
    Ok(Some(gathered))
}

impl Reading<'_> {
    /// What policies call it.
    pub fn called(&self) -> String {
        match self.name {
            Some(name) => name.to_owned(),
            None => self.artifact.to_string(),
        }
    }
}

/// Reads an artifact and everything that is kept about it.
///
/// # Errors
/// Where the artifact itself cannot be read. Evidence that cannot be looked up
/// is no error: it stands in [`Gathered::failed`].
pub async fn gather(
    reading: &Reading<'_>,
    policies: &[Policy],
    progress: &dyn Progress,
) -> Result<Gathered, Failure> {
    let named = reading.called();
    match reading.artifact {
        ArtifactRef::Path { path, forced } => {
            let path = PathBuf::from(path);
            let folder = match forced {
                Some(PathKind::Directory) => true,
                Some(PathKind::File) => false,
                None => path.metadata().map_err(|e| unreadable(&path, e))?.is_dir(),
            };
            if folder {
                super::folder_as(&path, reading.kind)?;
                model::gather(&path, named, reading, policies, progress).await
            } else {
                file::gather(&path, named, reading, policies, progress).await
            }
        }
        ArtifactRef::Layout { dir, select } => {
            image::gather(dir, select, named, reading, policies, progress).await
        }
        ArtifactRef::Digest(digest) => file::digest_only(digest, named, reading),
        ArtifactRef::Registry {
            host,
            repository,
            select,
        } => {
            let at = Named {
                host,
                repository,
                select,
            };
            remote::gather(at, named, reading, policies, progress).await
        }
    }
}

fn unreadable(path: &std::path::Path, source: std::io::Error) -> Failure {
    SourceError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    }
    .into()
}
