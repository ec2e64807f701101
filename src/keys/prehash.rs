//! What every signer of digests does alike, wherever its key is.

use super::KeyFault;
use crate::crypto::{Hasher, Scheme};
use crate::custody::KeyInfo;
use crate::digest::{Algorithm, Digest};

/// Refuses a digest in another hash than the scheme's: providers sign what they
/// are given, and nobody could verify it.
pub(super) fn fits(scheme: Scheme, digest: &Digest, key: &KeyInfo) -> Result<(), KeyFault> {
    if scheme.hash() == Some(digest.algorithm()) {
        return Ok(());
    }
    Err(KeyFault::BadRequest {
        key: key.to_string(),
        why: format!("{scheme} does not sign a {}", digest.algorithm().name()),
    })
}

/// The digest of a whole message.
pub(super) fn digest_of(hash: Algorithm, message: &[u8]) -> Digest {
    let mut hasher = Hasher::new(hash);
    hasher.update(message);
    hasher.finish()
}
