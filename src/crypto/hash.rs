use aws_lc_rs::digest::{Context, SHA256, SHA384, SHA512};

use crate::digest::{Algorithm, Digest};

pub(super) fn native(algorithm: Algorithm) -> &'static aws_lc_rs::digest::Algorithm {
    match algorithm {
        Algorithm::Sha256 => &SHA256,
        Algorithm::Sha384 => &SHA384,
        Algorithm::Sha512 => &SHA512,
    }
}

/// An incremental hash.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    context: Context,
}

impl Hasher {
    /// An empty hash of `algorithm`.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            context: Context::new(native(algorithm)),
        }
    }

    /// Adds `data`.
    pub fn update(&mut self, data: &[u8]) {
        self.context.update(data);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        from_native(self.algorithm, &self.context.finish())
    }
}

/// Several hashes of the same bytes in one pass.
#[derive(Clone)]
pub struct MultiHasher(Vec<Hasher>);

impl MultiHasher {
    /// One hash for each of `algorithms`, in that order, each once.
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let mut wanted = Vec::with_capacity(algorithms.len());
        for algorithm in algorithms {
            if !wanted.contains(algorithm) {
                wanted.push(*algorithm);
            }
        }
        Self(wanted.into_iter().map(Hasher::new).collect())
    }

    /// Adds `data` to each.
    pub fn update(&mut self, data: &[u8]) {
        for hasher in &mut self.0 {
            hasher.update(data);
        }
    }

    /// The digests, in the order asked for.
    pub fn finish(self) -> Vec<Digest> {
        self.0.into_iter().map(Hasher::finish).collect()
    }
}

/// SHA-256 of bytes that are at hand.
pub fn sha256(data: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(data);
    hasher.finish()
}

fn from_native(algorithm: Algorithm, digest: &aws_lc_rs::digest::Digest) -> Digest {
    match Digest::new(algorithm, digest.as_ref()) {
        Ok(digest) => digest,
        Err(_) => unreachable!("a hash has its algorithm's length"),
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    proptest::proptest! {
        // Oracle: RustCrypto's independent implementation.
        #[test]
        fn agrees_with_another_implementation(data: Vec<u8>, cut in 0usize..4096) {
            let cut = cut.min(data.len());
            let mut all = MultiHasher::new(&[Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]);
            all.update(&data[..cut]);
            all.update(&data[cut..]);
            let ours: Vec<_> = all.finish().iter().map(|d| d.bytes().to_vec()).collect();
            let theirs = vec![
                sha2::Sha256::digest(&data).to_vec(),
                sha2::Sha384::digest(&data).to_vec(),
                sha2::Sha512::digest(&data).to_vec(),
            ];
            proptest::prop_assert_eq!(ours, theirs);
        }
    }
}
