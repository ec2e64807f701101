//! Content digests: `sha256:<hex>` as the OCI image specification, section
//! "Digests", and in-toto's `DigestSet` write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A hash algorithm that obreia computes and accepts.
///
/// SHA-1, MD5 and truncated hashes are absent by design: a digest in one of
/// them identifies nothing that anybody should start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4), 32 bytes.
    Sha256,
    /// SHA-384 (FIPS 180-4), 48 bytes.
    Sha384,
    /// SHA-512 (FIPS 180-4), 64 bytes.
    Sha512,
}

impl Algorithm {
    /// Length of a digest in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no digest is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Name as OCI descriptors and in-toto digest sets write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm of that name, or `None`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// A digest: an algorithm and exactly its number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    // 64 bytes, zero-padded: a digest is compared and copied far more often than it is stored.
    bytes: [u8; 64],
}

impl Digest {
    /// A digest of `algorithm` from raw bytes.
    ///
    /// # Errors
    /// `DigestError::Length` when `bytes` is not exactly `algorithm.len()` long.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, DigestError> {
        if bytes.len() != algorithm.len() {
            return Err(DigestError::Length {
                algorithm,
                found: bytes.len(),
            });
        }
        let mut padded = [0; 64];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Self {
            algorithm,
            bytes: padded,
        })
    }

    /// A digest from an algorithm's name and lower-case hex, as in a `DigestSet`.
    ///
    /// # Errors
    /// As [`Digest::from_str`].
    pub fn from_hex(algorithm: &str, hex_digits: &str) -> Result<Self, DigestError> {
        let algorithm = Algorithm::from_name(algorithm)
            .ok_or_else(|| DigestError::Algorithm(algorithm.chars().take(32).collect()))?;
        // Upper-case hex is refused: two spellings of one digest would make two names of one artifact.
        if hex_digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(DigestError::Hex);
        }
        let bytes = hex::decode(hex_digits).map_err(|_| DigestError::Hex)?;
        Self::new(algorithm, &bytes)
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.len()]
    }

    /// Lower-case hex without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (algorithm, hex_digits) = s.split_once(':').ok_or(DigestError::Form)?;
        Self::from_hex(algorithm, hex_digits)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let s = String::deserialize(deserializer)?;
        s.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No `algorithm:hex` form.
    #[error("a digest is written algorithm:hex, for example sha256:…")]
    Form,
    /// An algorithm outside SHA-256, SHA-384 and SHA-512.
    #[error("digest algorithm {0:?} is not one of sha256, sha384, sha512")]
    Algorithm(String),
    /// Not lower-case hex.
    #[error("digest is not lower-case hex")]
    Hex,
    /// The wrong number of bytes for the algorithm.
    #[error("a {} digest has {} bytes, found {found}", .algorithm.name(), .algorithm.len())]
    Length {
        /// The algorithm named.
        algorithm: Algorithm,
        /// The number of bytes found.
        found: usize,
    },
}

/// What an artifact is, unambiguously: the name that attestations, caches and
/// verdicts use for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// The digest of a file's or manifest's bytes.
    Content(Digest),
    /// in-toto's `dirHash` of a directory: SHA-256 over the sorted lines
    /// `hex(sha256(file))  name\n` (Go's `dirhash.Hash1`), so that names count
    /// as well as contents.
    Directory(Digest),
}

impl Identity {
    /// The key under which a statement's `DigestSet` holds it.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Content(digest) => digest.algorithm().name(),
            Self::Directory(_) => "dirHash",
        }
    }

    /// The digest, whatever it is over.
    pub const fn digest(&self) -> &Digest {
        match self {
            Self::Content(digest) | Self::Directory(digest) => digest,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.method(), self.digest().hex())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Identity {
    type Err = DigestError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.strip_prefix("dirHash:") {
            Some(digits) => Digest::from_hex("sha256", digits).map(Self::Directory),
            None => s.parse().map(Self::Content),
        }
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let text = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
    }

    #[test]
    fn refusals() {
        let upper = format!("sha256:{}", "AB".repeat(32));
        assert_eq!(upper.parse::<Digest>(), Err(DigestError::Hex));
        assert_eq!("sha256".parse::<Digest>(), Err(DigestError::Form));
        assert_eq!(
            "sha1:00".parse::<Digest>(),
            Err(DigestError::Algorithm("sha1".into()))
        );
        let short = format!("sha512:{}", "ab".repeat(32));
        assert_eq!(
            short.parse::<Digest>(),
            Err(DigestError::Length {
                algorithm: Algorithm::Sha512,
                found: 32
            })
        );
    }
}
