//! in-toto's `dirHash` (attestation framework, `digest_set.md`): Go's
//! `dirhash.Hash1` in hex instead of base64, over names relative to the folder.

use crate::crypto::Hasher;
use crate::digest::{Algorithm, Digest, Identity};

/// The identity of a folder of files: SHA-256 over one line
/// `hex(sha256(file))  name\n` per file, sorted by the names' bytes.
///
/// # Errors
/// `DirHashError`, where lines could be read two ways or are not of SHA-256.
pub fn dir_hash<S: AsRef<str>>(files: &[(S, Digest)]) -> Result<Identity, DirHashError> {
    let mut sorted: Vec<(&str, &Digest)> = files.iter().map(|(n, d)| (n.as_ref(), d)).collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut previous = None;
    for (name, digest) in sorted {
        if name.contains('\n') {
            return Err(DirHashError::Newline(name.to_owned()));
        }
        if previous == Some(name) {
            return Err(DirHashError::Duplicate(name.to_owned()));
        }
        if digest.algorithm() != Algorithm::Sha256 {
            return Err(DirHashError::Algorithm(name.to_owned()));
        }
        hasher.update(format!("{}  {name}\n", digest.hex()).as_bytes());
        previous = Some(name);
    }
    Ok(Identity::Directory(hasher.finish()))
}

/// Why files have no `dirHash`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirHashError {
    /// Nothing but ignored files and evidence.
    #[error("the model has no file that counts: only ignored ones such as .git, or evidence")]
    NoContent,
    /// A newline in a name would make one line two.
    #[error("file name {0:?} has a newline; rename it")]
    Newline(String),
    /// The same name twice.
    #[error("file {0:?} is listed twice")]
    Duplicate(String),
    /// A digest that is not SHA-256.
    #[error("file {0:?} is not hashed with SHA-256")]
    Algorithm(String),
    /// A file that was not hashed as a whole.
    #[error("file {0:?} was not hashed as a whole")]
    NotHashed(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sha256;

    // Vectors: `find . -type f | cut -c3- | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum`
    // over files with these contents, and the same formula in Python's hashlib.
    #[test]
    fn agrees_with_coreutils() {
        let hash = |files: &[(&str, &str)]| {
            let files: Vec<_> = files
                .iter()
                .map(|(n, c)| (*n, sha256(c.as_bytes())))
                .collect();
            dir_hash(&files).unwrap().to_string()
        };
        assert_eq!(
            hash(&[
                ("b.txt", "two\n"),
                ("a/c", ""),
                ("a-b", "one\n"),
                ("ü", "3")
            ]),
            "dirHash:cef2ef08bb80dcd09e45a2ed4761c44b6c0e8a139767085ddfe1474c0fbe656e"
        );
        assert_eq!(
            hash(&[("x", "two\n"), ("a/c", ""), ("a-b", "one\n"), ("ü", "3")]),
            "dirHash:f91da9844d37fd761111d98063afa19a4a5f47c9eaf7b93b9972ed8c8f4354c3"
        );
        assert_eq!(
            hash(&[]),
            "dirHash:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn names_count() {
        let d = sha256(b"same");
        assert_ne!(
            dir_hash(&[("a", d), ("b", d)]),
            dir_hash(&[("a", d), ("c", d)])
        );
        assert_eq!(
            dir_hash(&[("a", d), ("b", d)]),
            dir_hash(&[("b", d), ("a", d)])
        );
    }

    #[test]
    fn refusals() {
        let d = sha256(b"x");
        assert_eq!(
            dir_hash(&[("a\n", d)]),
            Err(DirHashError::Newline("a\n".into()))
        );
        assert_eq!(
            dir_hash(&[("a", d), ("a", d)]),
            Err(DirHashError::Duplicate("a".into()))
        );
        let long = Digest::new(Algorithm::Sha512, &[0; 64]).unwrap();
        assert_eq!(
            dir_hash(&[("a", long)]),
            Err(DirHashError::Algorithm("a".into()))
        );
    }
}
