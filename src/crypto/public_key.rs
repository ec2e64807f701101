use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Reader, SliceReader};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::hash::sha256;
use super::scheme::Scheme;
use crate::digest::{Algorithm, Digest};

pub(super) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(super) const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The family and size of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Elliptic curve P-256 (secp256r1).
    EcP256,
    /// Elliptic curve P-384 (secp384r1).
    EcP384,
    /// Elliptic curve P-521 (secp521r1).
    EcP521,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// RSA with a modulus of that many bits, 2048 to 8192.
    Rsa {
        /// Bits of the modulus.
        bits: u32,
    },
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EcP256 => f.write_str("ecdsa-p256"),
            Self::EcP384 => f.write_str("ecdsa-p384"),
            Self::EcP521 => f.write_str("ecdsa-p521"),
            Self::Ed25519 => f.write_str("ed25519"),
            Self::Rsa { bits } => write!(f, "rsa-{bits}"),
        }
    }
}

/// A public key: a DER `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7)
/// whose family is known.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
    kind: KeyKind,
    id: Digest,
}

impl PublicKey {
    /// From a DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// `KeyError` naming what is wrong: not DER, an algorithm or curve that is
    /// not supported, an RSA modulus outside 2048 to 8192 bits.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::NotSpki)?;
        let kind = kind_of(&spki)?;
        Ok(Self {
            der: der.to_vec(),
            kind,
            id: sha256(der),
        })
    }

    /// From PEM with the label `PUBLIC KEY` (RFC 7468, section 13).
    ///
    /// # Errors
    /// As [`PublicKey::from_spki_der`]; `NotPem` and `WrongLabel` too.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let (label, der) =
            pem_rfc7468::decode_vec(pem.trim_ascii()).map_err(|_| KeyError::NotPem)?;
        if label != "PUBLIC KEY" {
            return Err(KeyError::WrongLabel(label.chars().take(64).collect()));
        }
        Self::from_spki_der(&der)
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn spki_der(&self) -> &[u8] {
        &self.der
    }

    /// PEM as OpenSSL and Go write it: 64 columns, LF, one final newline.
    pub fn to_pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let mut pem = String::with_capacity(text.len() + 80);
        pem.push_str("-----BEGIN PUBLIC KEY-----\n");
        for (i, c) in text.chars().enumerate() {
            if i > 0 && i % 64 == 0 {
                pem.push('\n');
            }
            pem.push(c);
        }
        pem.push_str("\n-----END PUBLIC KEY-----\n");
        pem
    }

    /// Family and size.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key's identity: SHA-256 of its DER `SubjectPublicKeyInfo`.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// The hint that Sigstore clients write into a bundle: base64 of [`PublicKey::id`].
    pub fn sigstore_hint(&self) -> String {
        STANDARD.encode(self.id.bytes())
    }

    /// The hint that OpenSSF model-signing writes: hex SHA-256 of the PEM text.
    pub fn model_signing_hint(&self) -> String {
        sha256(self.to_pem().as_bytes()).hex()
    }

    /// Whether a signer's hint names this key, in any form that signers write.
    pub fn is_hinted_by(&self, hint: &str) -> bool {
        hint == self.sigstore_hint() || hint == self.id.hex() || hint == self.model_signing_hint()
    }

    /// The scheme that holds for this key where nothing else was stated: hash
    /// by curve, and PKCS #1 v1.5 with SHA-256 for RSA (Sigstore's
    /// `PublicKeyDetails` defaults).
    pub const fn default_scheme(&self) -> Scheme {
        match self.kind {
            KeyKind::EcP256 => Scheme::EcdsaP256Sha256,
            KeyKind::EcP384 => Scheme::EcdsaP384Sha384,
            KeyKind::EcP521 => Scheme::EcdsaP521Sha512,
            KeyKind::Ed25519 => Scheme::Ed25519,
            KeyKind::Rsa { .. } => Scheme::RsaPkcs1(Algorithm::Sha256),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.kind, self.id)
    }
}

fn kind_of(spki: &SubjectPublicKeyInfoRef<'_>) -> Result<KeyKind, KeyError> {
    if let Some(kind) = kind_of_algorithm(&spki.algorithm)? {
        return Ok(kind);
    }
    let bits = rsa_bits(spki.subject_public_key.raw_bytes())?;
    if (2048..=8192).contains(&bits) {
        Ok(KeyKind::Rsa { bits })
    } else {
        Err(KeyError::RsaSize(bits))
    }
}

/// The family and curve that an `AlgorithmIdentifier` names; `None` for RSA,
/// whose size only the key tells.
pub(super) fn kind_of_algorithm(
    algorithm: &AlgorithmIdentifierRef<'_>,
) -> Result<Option<KeyKind>, KeyError> {
    match algorithm.oid {
        EC_PUBLIC_KEY => {
            let curve = algorithm
                .parameters_oid()
                .map_err(|_| KeyError::UnsupportedCurve("explicit parameters".to_owned()))?;
            match curve {
                P256 => Ok(Some(KeyKind::EcP256)),
                P384 => Ok(Some(KeyKind::EcP384)),
                P521 => Ok(Some(KeyKind::EcP521)),
                other => Err(KeyError::UnsupportedCurve(other.to_string())),
            }
        }
        ED25519 => Ok(Some(KeyKind::Ed25519)),
        RSA => Ok(None),
        other => Err(KeyError::UnsupportedAlgorithm(other.to_string())),
    }
}

/// Bits of the modulus in an `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn rsa_bits(der: &[u8]) -> Result<u32, KeyError> {
    let modulus_bits = |reader: &mut SliceReader<'_>| {
        reader.sequence(|inner| {
            let modulus: UintRef<'_> = inner.decode()?;
            let _exponent: UintRef<'_> = inner.decode()?;
            let bytes = modulus.as_bytes();
            let leading = bytes.first().map_or(0, |b| b.leading_zeros());
            Ok((bytes.len() as u32)
                .saturating_mul(8)
                .saturating_sub(leading))
        })
    };
    let mut reader = SliceReader::new(der).map_err(|_| KeyError::NotSpki)?;
    modulus_bits(&mut reader).map_err(|_: der::Error| KeyError::NotSpki)
}

/// Why bytes are not a usable key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one PEM block.
    #[error("not a PEM document")]
    NotPem,
    /// A PEM block of another kind.
    #[error("PEM block is {0:?}, expected \"PUBLIC KEY\"")]
    WrongLabel(String),
    /// Not a DER `SubjectPublicKeyInfo`.
    #[error("not a SubjectPublicKeyInfo")]
    NotSpki,
    /// An algorithm that obreia does not verify.
    #[error("key algorithm {0} is not supported; use ECDSA P-256, P-384 or P-521, Ed25519 or RSA")]
    UnsupportedAlgorithm(String),
    /// A curve that obreia does not verify.
    #[error("curve {0} is not supported; use P-256, P-384 or P-521")]
    UnsupportedCurve(String),
    /// An RSA modulus that is too small to be safe or too large to be sane.
    #[error("RSA key has {0} bits; 2048 to 8192 are accepted")]
    RsaSize(u32),
}
