use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::Hasher;
use crate::digest::{Algorithm, Digest};

/// A hash of a Merkle tree: SHA-256 with the prefixes of RFC 6962, section 2.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; Self::LEN]);

impl Hash {
    /// Bytes of a hash.
    pub const LEN: usize = 32;

    /// The hash of a leaf: `SHA-256(0x00 || entry)`.
    pub fn of_leaf(entry: &[u8]) -> Self {
        sha256(&[&[0], entry])
    }

    /// The hash of a node: `SHA-256(0x01 || left || right)`.
    pub fn of_node(left: &Self, right: &Self) -> Self {
        sha256(&[&[1], &left.0, &right.0])
    }

    /// From exactly 32 bytes; `None` for another number.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// From standard base64 with padding; `None` when it is not 32 bytes.
    pub fn from_base64(text: &str) -> Option<Self> {
        Self::from_bytes(&STANDARD.decode(text).ok()?)
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Standard base64 with padding, as notes write it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The same as a content digest.
    pub fn digest(&self) -> Digest {
        match Digest::new(Algorithm::Sha256, &self.0) {
            Ok(digest) => digest,
            Err(_) => unreachable!("both have 32 bytes"),
        }
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

/// The root over `hashes`, each of a complete subtree of one size, but that
/// the last one may be of a smaller subtree (RFC 6962, section 2.1: a tree is
/// split at the largest power of two below its size). Of none at all, the
/// hash of the empty tree.
pub fn root_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => sha256(&[]),
        [only] => *only,
        _ => {
            let (left, right) = hashes.split_at(split(hashes.len() as u64) as usize);
            Hash::of_node(&root_of(left), &root_of(right))
        }
    }
}

/// The largest power of two below `n`, which is at least 2.
pub(super) const fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    for part in parts {
        hasher.update(part);
    }
    match Hash::from_bytes(hasher.finish().bytes()) {
        Some(hash) => hash,
        None => unreachable!("SHA-256 has 32 bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries and roots that Certificate Transparency's implementations share.
    const ENTRIES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_roots_that_others_compute() {
        let leaves: Vec<Hash> = ENTRIES
            .iter()
            .map(|entry| Hash::of_leaf(&hex::decode(entry).unwrap()))
            .collect();
        for (size, root) in ROOTS.iter().enumerate() {
            assert_eq!(hex::encode(root_of(&leaves[..size]).bytes()), *root);
        }
    }

    #[test]
    fn base64_of_another_length_is_no_hash() {
        let hash = Hash::of_leaf(b"a");
        assert_eq!(Hash::from_base64(&hash.to_base64()), Some(hash));
        for bad in ["", "AAAA", "not base64!", &format!("{}=", hash.to_base64())] {
            assert_eq!(Hash::from_base64(bad), None, "{bad}");
        }
    }
}
