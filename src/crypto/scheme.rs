use std::fmt;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::hash::native;
use super::public_key::{KeyKind, PublicKey};
use crate::digest::{Algorithm, Digest};

/// A signature scheme, complete: key family, hash and padding.
///
/// A signature is never tried under a second scheme; which one holds is
/// settled by the key before the signature is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// ECDSA on P-256 over SHA-256, signature in ASN.1 DER.
    EcdsaP256Sha256,
    /// ECDSA on P-384 over SHA-384, signature in ASN.1 DER.
    EcdsaP384Sha384,
    /// ECDSA on P-521 over SHA-512, signature in ASN.1 DER.
    EcdsaP521Sha512,
    /// Pure Ed25519 (RFC 8032): signs the message itself, so it cannot stream.
    Ed25519,
    /// RSASSA-PKCS1-v1_5 (RFC 8017), 2048 to 8192 bits.
    RsaPkcs1(Algorithm),
    /// RSASSA-PSS (RFC 8017), salt as long as the hash, 2048 to 8192 bits.
    RsaPss(Algorithm),
}

impl Scheme {
    /// The hash that is signed, or `None` for a scheme that signs the message itself.
    pub const fn hash(self) -> Option<Algorithm> {
        match self {
            Self::EcdsaP256Sha256 => Some(Algorithm::Sha256),
            Self::EcdsaP384Sha384 => Some(Algorithm::Sha384),
            Self::EcdsaP521Sha512 => Some(Algorithm::Sha512),
            Self::Ed25519 => None,
            Self::RsaPkcs1(hash) | Self::RsaPss(hash) => Some(hash),
        }
    }

    /// Whether keys of `kind` sign under this scheme.
    pub const fn fits(self, kind: KeyKind) -> bool {
        matches!(
            (self, kind),
            (Self::EcdsaP256Sha256, KeyKind::EcP256)
                | (Self::EcdsaP384Sha384, KeyKind::EcP384)
                | (Self::EcdsaP521Sha512, KeyKind::EcP521)
                | (Self::Ed25519, KeyKind::Ed25519)
                | (Self::RsaPkcs1(_) | Self::RsaPss(_), KeyKind::Rsa { .. })
        )
    }

    /// Whether a key signs the same message the same way each time.
    pub const fn is_deterministic(self) -> bool {
        matches!(self, Self::Ed25519 | Self::RsaPkcs1(_))
    }

    /// Verifies `signature` over `message`.
    ///
    /// # Errors
    /// `KeyMismatch` if the key is of another family, `Invalid` if the
    /// signature is not one of this message by this key.
    pub fn verify(
        self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        self.check_key(key)?;
        UnparsedPublicKey::new(self.native(), key.spki_der())
            .verify(message, signature)
            .map_err(|_| SignatureError::Invalid)
    }

    /// Verifies `signature` over a message of which only the digest is known.
    ///
    /// # Errors
    /// As [`Scheme::verify`]; `NeedsMessage` for Ed25519; `WrongHash` if
    /// `digest` is not of this scheme's hash.
    pub fn verify_digest(
        self,
        key: &PublicKey,
        digest: &Digest,
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        self.check_key(key)?;
        self.check_digest(digest)?;
        let digest =
            aws_lc_rs::digest::Digest::import_less_safe(digest.bytes(), native(digest.algorithm()))
                .map_err(|_| SignatureError::Invalid)?;
        UnparsedPublicKey::new(self.native(), key.spki_der())
            .verify_digest(&digest, signature)
            .map_err(|_| SignatureError::Invalid)
    }

    /// Whether bytes of that number can be a signature of this scheme by
    /// `key`: at most two DER integers of the curve's size, or exactly the
    /// scheme's length. For explaining a refusal; it accepts nothing.
    pub fn can_be(self, key: &PublicKey, signature: &[u8]) -> bool {
        let length = signature.len();
        match (self, key.kind()) {
            (Self::EcdsaP256Sha256, _) => length <= 72,
            (Self::EcdsaP384Sha384, _) => length <= 104,
            (Self::EcdsaP521Sha512, _) => length <= 139,
            (Self::Ed25519, _) => length == 64,
            (Self::RsaPkcs1(_) | Self::RsaPss(_), KeyKind::Rsa { bits }) => {
                length == bits.div_ceil(8) as usize
            }
            (Self::RsaPkcs1(_) | Self::RsaPss(_), _) => false,
        }
    }

    /// Whether `digest` is one that this scheme signs.
    pub(super) fn check_digest(self, digest: &Digest) -> Result<(), SignatureError> {
        let wanted = self.hash().ok_or(SignatureError::NeedsMessage)?;
        if digest.algorithm() == wanted {
            return Ok(());
        }
        Err(SignatureError::WrongHash {
            wanted,
            found: digest.algorithm(),
        })
    }

    fn check_key(self, key: &PublicKey) -> Result<(), SignatureError> {
        if self.fits(key.kind()) {
            Ok(())
        } else {
            Err(SignatureError::KeyMismatch {
                scheme: self,
                key: key.kind(),
            })
        }
    }

    fn native(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
            Self::EcdsaP521Sha512 => &signature::ECDSA_P521_SHA512_ASN1,
            Self::Ed25519 => &signature::ED25519,
            Self::RsaPkcs1(Algorithm::Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::RsaPkcs1(Algorithm::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::RsaPkcs1(Algorithm::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::RsaPss(Algorithm::Sha256) => &signature::RSA_PSS_2048_8192_SHA256,
            Self::RsaPss(Algorithm::Sha384) => &signature::RSA_PSS_2048_8192_SHA384,
            Self::RsaPss(Algorithm::Sha512) => &signature::RSA_PSS_2048_8192_SHA512,
        }
    }
}

impl Scheme {
    /// The scheme that is written so, or `None`.
    pub fn from_name(name: &str) -> Option<Self> {
        let hash = Algorithm::from_name;
        match name {
            "ecdsa-p256-sha256" => Some(Self::EcdsaP256Sha256),
            "ecdsa-p384-sha384" => Some(Self::EcdsaP384Sha384),
            "ecdsa-p521-sha512" => Some(Self::EcdsaP521Sha512),
            "ed25519" => Some(Self::Ed25519),
            _ => {
                if let Some(rest) = name.strip_prefix("rsa-pkcs1-") {
                    hash(rest).map(Self::RsaPkcs1)
                } else {
                    name.strip_prefix("rsa-pss-")
                        .and_then(hash)
                        .map(Self::RsaPss)
                }
            }
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EcdsaP256Sha256 => f.write_str("ecdsa-p256-sha256"),
            Self::EcdsaP384Sha384 => f.write_str("ecdsa-p384-sha384"),
            Self::EcdsaP521Sha512 => f.write_str("ecdsa-p521-sha512"),
            Self::Ed25519 => f.write_str("ed25519"),
            Self::RsaPkcs1(hash) => write!(f, "rsa-pkcs1-{}", hash.name()),
            Self::RsaPss(hash) => write!(f, "rsa-pss-{}", hash.name()),
        }
    }
}

/// Why a signature was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not a signature of this message by this key.
    #[error("the signature is not one of these bytes by this key")]
    Invalid,
    /// A key of another family than the scheme's.
    #[error("a {key} key cannot have made a {scheme} signature")]
    KeyMismatch {
        /// The scheme asked for.
        scheme: Scheme,
        /// The key's family.
        key: KeyKind,
    },
    /// The scheme signs the message itself, and only a digest is at hand.
    #[error("ed25519 signs the message itself; its digest is not enough")]
    NeedsMessage,
    /// A digest of another hash than the scheme's.
    #[error("the scheme signs a {}, a {} is at hand", .wanted.name(), .found.name())]
    WrongHash {
        /// The scheme's hash.
        wanted: Algorithm,
        /// The digest's hash.
        found: Algorithm,
    },
}
