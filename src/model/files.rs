//! The files of a model as they were read, and what is to be read of them.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use super::dirhash::{self, DirHashError};
use super::name;
use crate::digest::{Digest, Identity};
use crate::limits;

/// What a file counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Part of the model: of its identity and of what a signature must cover.
    Content,
    /// Left out of the identity by the default rules (`.git` and the like);
    /// whatever no signature covers of it is an unsigned file all the same.
    Ignored,
    /// The signature file itself, or other evidence that the caller named.
    Evidence,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedFile {
    /// Path inside the model, or [`name::SINGLE`] where the model is one file.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// What it counts as.
    pub standing: Standing,
    /// SHA-256 of its bytes, where that was asked for.
    pub sha256: Option<Digest>,
    /// SHA-256 of each of its shards, for each size that was asked for.
    pub shards: Vec<Shards>,
}

impl HashedFile {
    /// Its shards of that size, where they were asked for.
    pub fn shards_of(&self, size: NonZeroU64) -> Option<&Shards> {
        self.shards.iter().find(|shards| shards.size == size)
    }
}

/// The digests of a file cut into pieces of equal size; the last may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shards {
    /// Size of a piece in bytes.
    pub size: NonZeroU64,
    /// SHA-256 of each piece, in order; none for an empty file.
    pub digests: Vec<Digest>,
}

/// What to hash of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashRequest {
    /// Whether each file is hashed as a whole.
    pub whole: bool,
    /// The sizes of the shards that are hashed, in bytes; each size is a hash
    /// of the whole model more, so at most [`limits::SHARD_SIZES`] are taken.
    pub shard_sizes: BTreeSet<NonZeroU64>,
    /// Files that are hashed although they are not [`Standing::Content`].
    pub also: BTreeSet<String>,
}

impl HashRequest {
    /// Every content file as a whole.
    pub const fn whole() -> Self {
        Self {
            whole: true,
            shard_sizes: BTreeSet::new(),
            also: BTreeSet::new(),
        }
    }

    /// Whether the file is to be read.
    pub fn wants(&self, path: &str, standing: Standing) -> bool {
        standing == Standing::Content || self.also.contains(path)
    }

    /// Both requests in one pass; of too many shard sizes this request's stay.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.whole |= other.whole;
        for size in other.shard_sizes {
            if self.shard_sizes.len() < limits::SHARD_SIZES {
                self.shard_sizes.insert(size);
            }
        }
        self.also.extend(other.also);
        self
    }
}

/// The identity of the model made of `files`: `dirHash` of its content files,
/// or the SHA-256 of a single file.
///
/// # Errors
/// `DirHashError::NoContent` when every file is ignored or evidence;
/// `DirHashError::NotHashed` when a content file has no digest; otherwise as
/// [`dirhash::dir_hash`].
pub fn identity(files: &[HashedFile]) -> Result<Identity, DirHashError> {
    let mut content = Vec::with_capacity(files.len());
    for file in files.iter().filter(|f| f.standing == Standing::Content) {
        let digest = file
            .sha256
            .ok_or_else(|| DirHashError::NotHashed(file.path.clone()))?;
        content.push((file.path.as_str(), digest));
    }
    match content.as_slice() {
        // All models without content would have one identity.
        [] => Err(DirHashError::NoContent),
        [(name::SINGLE, digest)] => Ok(Identity::Content(*digest)),
        _ => dirhash::dir_hash(&content),
    }
}
