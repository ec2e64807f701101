//! What a model's signature covers, and how a model compares with it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use super::files::{HashRequest, HashedFile, Standing};
use super::ignore::IgnoreRules;
use super::name;
use super::oms::ManifestError;
use crate::crypto::Hasher;
use crate::digest::{Algorithm, Digest};

/// As many missing files are looked for under other names.
const EXPLAINED: usize = 16;

/// How the model was cut into resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One resource per file.
    Files,
    /// One resource per piece of a file, of that many bytes; it cannot cover an empty file.
    Shards(NonZeroU64),
}

/// One covered file, or one covered piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The file's path inside the model, or [`name::SINGLE`].
    pub path: String,
    /// Its first byte and the byte after its last, of a piece.
    pub range: Option<(u64, u64)>,
    /// SHA-256.
    pub digest: Digest,
}

/// The files of a model as its signer saw them: an OpenSSF model-signing
/// manifest. Reading and writing it is in [`super::oms`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelManifest {
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) allow_symlinks: bool,
    pub(super) ignore_paths: Vec<String>,
    pub(super) resources: Vec<Resource>,
}

impl ModelManifest {
    /// The manifest of `files` but for evidence and what `ignore` leaves out.
    ///
    /// `name` is what people call the model; it is signed, and says nothing
    /// about which model it is. `allow_symlinks` records whether links were
    /// followed.
    ///
    /// # Errors
    /// `NoResources` where nothing is left to sign; `NotHashed` where a file
    /// lacks the digests that `method` needs; `EmptyFile` and `Colon` where
    /// the shards method cannot cover a file.
    pub fn of(
        name: &str,
        files: &[HashedFile],
        method: Method,
        ignore: &IgnoreRules,
        allow_symlinks: bool,
    ) -> Result<Self, ManifestError> {
        let mut covered: Vec<_> = files
            .iter()
            .filter(|f| f.standing != Standing::Evidence && !ignore.covers(&f.path))
            .collect();
        covered.sort_by(|a, b| name::by_parts(&a.path, &b.path));
        let mut resources = Vec::with_capacity(covered.len());
        for file in covered {
            cut(file, method, &mut resources)?;
        }
        if resources.is_empty() {
            return Err(ManifestError::NoResources);
        }
        let mut ignore_paths = ignore.paths().to_vec();
        for file in files.iter().filter(|f| f.standing == Standing::Evidence) {
            if !ignore.covers(&file.path) {
                ignore_paths.push(file.path.clone());
            }
        }
        Ok(Self {
            name: name.to_owned(),
            method,
            allow_symlinks,
            ignore_paths,
            resources,
        })
    }

    /// What the signer calls the model: for people, never to match.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the model was cut into resources.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Whether the signer followed symlinks.
    pub const fn allow_symlinks(&self) -> bool {
        self.allow_symlinks
    }

    /// What the signer left out, as it states it: for people, never to excuse a file.
    pub fn ignore_paths(&self) -> &[String] {
        &self.ignore_paths
    }

    /// What is covered, in the signer's order.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// model-signing's own digest: SHA-256 over the resources' raw digests in
    /// their order. It ignores names, so it identifies no model.
    pub fn root_digest(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for resource in &self.resources {
            hasher.update(resource.digest.bytes());
        }
        hasher.finish()
    }

    /// What must be hashed of a model so that it can be compared, and has an identity.
    pub fn request(&self) -> HashRequest {
        HashRequest {
            whole: true,
            shard_sizes: match self.method {
                Method::Files => BTreeSet::new(),
                Method::Shards(size) => BTreeSet::from([size]),
            },
            also: self.resources.iter().map(|r| r.path.clone()).collect(),
        }
    }

    /// How `files` differ from what was signed.
    ///
    /// The signer's own list of ignored paths excuses nothing: whatever is in
    /// `files`, is not covered and is not evidence is uncovered.
    pub fn compare(&self, files: &[HashedFile]) -> Comparison {
        let mut signed: BTreeMap<&str, Vec<&Resource>> = BTreeMap::new();
        for resource in &self.resources {
            signed.entry(&resource.path).or_default().push(resource);
        }
        let mut result = Comparison::default();
        let mut uncovered = Vec::new();
        let mut present = BTreeSet::new();
        for file in files {
            let Some(resources) = signed.get(file.path.as_str()) else {
                if file.standing != Standing::Evidence {
                    uncovered.push(file);
                }
                continue;
            };
            present.insert(file.path.as_str());
            match self.agrees(file, resources) {
                Some(true) => {}
                Some(false) => result.changed.push(file.path.clone()),
                None => result.not_hashed.push(file.path.clone()),
            }
        }
        let mut by_digest: BTreeMap<Digest, Vec<&HashedFile>> = BTreeMap::new();
        for file in &uncovered {
            if let Some(digest) = self.first_digest(file) {
                by_digest.entry(digest).or_default().push(file);
            }
        }
        for (path, resources) in &signed {
            if present.contains(path) {
                continue;
            }
            result.missing.push((*path).to_owned());
            // An explanation: not worth comparing every missing file with every other.
            if result.missing.len() > EXPLAINED {
                continue;
            }
            let moved = resources
                .first()
                .and_then(|r| by_digest.get(&r.digest))
                .into_iter()
                .flatten()
                .filter(|file| self.agrees(file, resources) == Some(true))
                .map(|file| (name::folded(&file.path) != name::folded(path), file))
                .min_by_key(|(other, _)| *other);
            if let Some((other, file)) = moved {
                let list = if other {
                    &mut result.renamed
                } else {
                    &mut result.case_changed
                };
                list.push(((*path).to_owned(), file.path.clone()));
            }
        }
        result.uncovered = uncovered.iter().map(|f| f.path.clone()).collect();
        result.changed.sort_unstable();
        result.uncovered.sort_unstable();
        result
    }

    /// The digest of the file's first resource, were it covered.
    fn first_digest(&self, file: &HashedFile) -> Option<Digest> {
        match self.method {
            Method::Files => file.sha256,
            Method::Shards(size) => file.shards_of(size)?.digests.first().copied(),
        }
    }

    /// Whether the file's bytes are those that were signed; `None` where it lacks the digests to tell.
    fn agrees(&self, file: &HashedFile, resources: &[&Resource]) -> Option<bool> {
        match self.method {
            Method::Files => {
                let found = file.sha256?;
                Some(resources.iter().all(|r| r.digest == found))
            }
            Method::Shards(size) => {
                // The size settles most cases without a digest; `oms` has
                // checked that the pieces lie end to end from the first byte.
                if resources.last().and_then(|r| r.range).map(|r| r.1) != Some(file.size) {
                    return Some(false);
                }
                let shards = file.shards_of(size)?;
                Some(
                    shards.digests.len() == resources.len()
                        && shards
                            .digests
                            .iter()
                            .zip(resources)
                            .all(|(d, r)| *d == r.digest),
                )
            }
        }
    }
}

fn cut(file: &HashedFile, method: Method, out: &mut Vec<Resource>) -> Result<(), ManifestError> {
    let not_hashed = || ManifestError::NotHashed(file.path.clone());
    match method {
        Method::Files => out.push(Resource {
            path: file.path.clone(),
            range: None,
            digest: file.sha256.ok_or_else(not_hashed)?,
        }),
        Method::Shards(size) => {
            if file.path.contains(':') {
                return Err(ManifestError::Colon(file.path.clone()));
            }
            if file.size == 0 {
                return Err(ManifestError::EmptyFile(file.path.clone()));
            }
            let shards = file.shards_of(size).ok_or_else(not_hashed)?;
            let mut start = 0_u64;
            for digest in &shards.digests {
                let end = start.saturating_add(size.get()).min(file.size);
                out.push(Resource {
                    path: file.path.clone(),
                    range: Some((start, end)),
                    digest: *digest,
                });
                start = end;
            }
        }
    }
    Ok(())
}

/// How a model differs from what was signed. All lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Covered, and not there.
    pub missing: Vec<String>,
    /// Covered, there, and other bytes.
    pub changed: Vec<String>,
    /// There, and not covered: whatever the signer ignored, `.git/` too.
    pub uncovered: Vec<String>,
    /// Of the first missing ones: where uncovered files with the same bytes stand
    /// under another name, from and to. Explains; excuses nothing.
    pub renamed: Vec<(String, String)>,
    /// Of the missing ones: the same, where the names differ in case only.
    pub case_changed: Vec<(String, String)>,
    /// Covered and there, but not hashed: the caller asked for too little
    /// ([`ModelManifest::request`]), and nothing is known about the bytes.
    pub not_hashed: Vec<String>,
}

impl Comparison {
    /// Whether every covered file is there with the signed bytes. Uncovered
    /// files are for the policy to judge.
    pub fn covered_files_agree(&self) -> bool {
        self.missing.is_empty() && self.changed.is_empty() && self.not_hashed.is_empty()
    }
}
