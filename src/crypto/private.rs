use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
};
use pkcs8::PrivateKeyInfo;

use super::hash::native;
use super::public_key::{KeyError, KeyKind, PublicKey, kind_of_algorithm};
use super::scheme::{Scheme, SignatureError};
use crate::digest::{Algorithm, Digest};
use crate::secret::Secret;

/// A private key in this process's memory, with its public key.
///
/// The material lies in the cryptographic library's own memory, which wipes
/// it when the key is dropped.
pub struct PrivateKey {
    material: Material,
    public: PublicKey,
}

enum Material {
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl PrivateKey {
    /// A new key of `kind`; RSA in 2048, 3072, 4096 and 8192 bits.
    ///
    /// # Errors
    /// `Size` for another RSA size, `Failed` when the random generator fails.
    pub fn generate(kind: KeyKind) -> Result<Self, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Failed("generating a key");
        let material = match kind {
            KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521 => {
                Material::Ec(EcdsaKeyPair::generate(curve(kind)?).map_err(failed)?)
            }
            KeyKind::Ed25519 => Material::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            KeyKind::Rsa { bits } => {
                let size = match bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    8192 => KeySize::Rsa8192,
                    _ => return Err(PrivateKeyError::Size(bits)),
                };
                Material::Rsa(RsaKeyPair::generate(size).map_err(failed)?)
            }
        };
        Self::new(material)
    }

    /// From PEM (RFC 7468) with the label `PRIVATE KEY` (PKCS #8), `EC
    /// PRIVATE KEY` (SEC 1) or `RSA PRIVATE KEY` (PKCS #1), none encrypted.
    ///
    /// # Errors
    /// `PrivateKeyError` naming what is wrong; `Encrypted` for a key that
    /// needs a password.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PrivateKeyError> {
        // RFC 1421 headers stand only in OpenSSL's old encrypted form.
        if contains(pem, b"Proc-Type:") {
            return Err(PrivateKeyError::Encrypted);
        }
        // `openssl ecparam -genkey` writes the curve first, as a block of its own.
        let pem = match find(pem, b"-----BEGIN EC PRIVATE KEY-----") {
            Some(at) if contains(&pem[..at], b"EC PARAMETERS") => &pem[at..],
            _ => pem,
        };
        let (label, der) =
            pem_rfc7468::decode_vec(pem.trim_ascii()).map_err(|_| PrivateKeyError::NotPem)?;
        let der = Secret::new(der);
        match label {
            "PRIVATE KEY" => Self::from_pkcs8_der(der.expose()),
            "EC PRIVATE KEY" => Self::from_sec1_der(der.expose()),
            "RSA PRIVATE KEY" => Self::from_pkcs1_der(der.expose()),
            "ENCRYPTED PRIVATE KEY" => Err(PrivateKeyError::Encrypted),
            other => Err(PrivateKeyError::Label(other.chars().take(64).collect())),
        }
    }

    /// From an unencrypted PKCS #8 `PrivateKeyInfo` (RFC 5208, RFC 5958), DER.
    ///
    /// # Errors
    /// `PrivateKeyError` naming what is wrong.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, PrivateKeyError> {
        let info = PrivateKeyInfo::try_from(der).map_err(|_| PrivateKeyError::NotPkcs8)?;
        let rejected = |_| PrivateKeyError::Rejected;
        let material = match kind_of_algorithm(&info.algorithm)? {
            Some(KeyKind::Ed25519) => {
                Material::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(rejected)?)
            }
            Some(kind) => {
                Material::Ec(EcdsaKeyPair::from_pkcs8(curve(kind)?, der).map_err(rejected)?)
            }
            None => Material::Rsa(RsaKeyPair::from_pkcs8(der).map_err(rejected)?),
        };
        Self::new(material)
    }

    /// From an `ECPrivateKey` (SEC 1, RFC 5915) that names its curve, DER.
    ///
    /// # Errors
    /// `Rejected` when it is not one on P-256, P-384 or P-521.
    pub fn from_sec1_der(der: &[u8]) -> Result<Self, PrivateKeyError> {
        for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521] {
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve(kind)?, der) {
                return Self::new(Material::Ec(pair));
            }
        }
        Err(PrivateKeyError::Rejected)
    }

    /// From an `RSAPrivateKey` (PKCS #1, RFC 8017), DER.
    ///
    /// # Errors
    /// `Rejected` when it is not one, `Public` when its size is not accepted.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, PrivateKeyError> {
        let pair = RsaKeyPair::from_der(der).map_err(|_| PrivateKeyError::Rejected)?;
        Self::new(Material::Rsa(pair))
    }

    /// PKCS #8 v1 (RFC 5208), DER, unencrypted.
    ///
    /// # Errors
    /// `Failed` when the library cannot encode it.
    pub fn to_pkcs8_der(&self) -> Result<Secret, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Failed("encoding a key");
        let der = match &self.material {
            Material::Ec(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Material::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Material::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                der.as_ref().to_vec()
            }
        };
        Ok(Secret::new(der))
    }

    /// The public key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message` under `scheme`.
    ///
    /// # Errors
    /// `Scheme` if the key is of another family, `Failed` if the library fails.
    pub fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, PrivateKeyError> {
        self.check(scheme)?;
        let failed = |_| PrivateKeyError::Failed("signing");
        let random = SystemRandom::new();
        match &self.material {
            Material::Ec(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().into()),
            Material::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().into()),
            Material::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding(scheme)?, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }

    /// Signs a message of which only the digest is known.
    ///
    /// # Errors
    /// As [`PrivateKey::sign`]; `Scheme` too for Ed25519, and for a digest of
    /// another hash than the scheme's.
    pub fn sign_digest(&self, scheme: Scheme, digest: &Digest) -> Result<Vec<u8>, PrivateKeyError> {
        self.check(scheme)?;
        scheme.check_digest(digest)?;
        let failed = |_| PrivateKeyError::Failed("signing");
        let digest =
            aws_lc_rs::digest::Digest::import_less_safe(digest.bytes(), native(digest.algorithm()))
                .map_err(failed)?;
        match &self.material {
            Material::Ec(pair) => Ok(pair.sign_digest(&digest).map_err(failed)?.as_ref().into()),
            Material::Ed25519(_) => Err(SignatureError::NeedsMessage.into()),
            Material::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(padding(scheme)?, &digest, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }

    fn new(material: Material) -> Result<Self, PrivateKeyError> {
        let failed = |_| PrivateKeyError::Failed("deriving the public key");
        let spki: PublicKeyX509Der<'_> = match &material {
            Material::Ec(pair) => pair.public_key().as_der().map_err(failed)?,
            Material::Ed25519(pair) => pair.public_key().as_der().map_err(failed)?,
            Material::Rsa(pair) => pair.public_key().as_der().map_err(failed)?,
        };
        let public = PublicKey::from_spki_der(spki.as_ref())?;
        Ok(Self { material, public })
    }

    fn check(&self, scheme: Scheme) -> Result<(), PrivateKeyError> {
        if scheme.fits(self.public.kind()) {
            Ok(())
        } else {
            Err(SignatureError::KeyMismatch {
                scheme,
                key: self.public.kind(),
            }
            .into())
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.public)
    }
}

fn curve(kind: KeyKind) -> Result<&'static EcdsaSigningAlgorithm, PrivateKeyError> {
    match kind {
        KeyKind::EcP256 => Ok(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyKind::EcP384 => Ok(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyKind::EcP521 => Ok(&signature::ECDSA_P521_SHA512_ASN1_SIGNING),
        KeyKind::Ed25519 | KeyKind::Rsa { .. } => Err(PrivateKeyError::Rejected),
    }
}

fn padding(scheme: Scheme) -> Result<&'static dyn RsaEncoding, PrivateKeyError> {
    match scheme {
        Scheme::RsaPkcs1(Algorithm::Sha256) => Ok(&signature::RSA_PKCS1_SHA256),
        Scheme::RsaPkcs1(Algorithm::Sha384) => Ok(&signature::RSA_PKCS1_SHA384),
        Scheme::RsaPkcs1(Algorithm::Sha512) => Ok(&signature::RSA_PKCS1_SHA512),
        Scheme::RsaPss(Algorithm::Sha256) => Ok(&signature::RSA_PSS_SHA256),
        Scheme::RsaPss(Algorithm::Sha384) => Ok(&signature::RSA_PSS_SHA384),
        Scheme::RsaPss(Algorithm::Sha512) => Ok(&signature::RSA_PSS_SHA512),
        Scheme::EcdsaP256Sha256
        | Scheme::EcdsaP384Sha384
        | Scheme::EcdsaP521Sha512
        | Scheme::Ed25519 => Err(PrivateKeyError::Rejected),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}

/// Why bytes are not a usable private key, or why it did not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// Not one PEM block.
    #[error("not a PEM document")]
    NotPem,
    /// A PEM block of another kind.
    #[error(
        "PEM block is {0:?}, expected \"PRIVATE KEY\", \"EC PRIVATE KEY\" or \"RSA PRIVATE KEY\""
    )]
    Label(String),
    /// A key that needs a password, in a form that is not opened.
    #[error("the key is encrypted in OpenSSL's way, which is not supported")]
    Encrypted,
    /// Not a PKCS #8 document.
    #[error("not a PKCS #8 private key")]
    NotPkcs8,
    /// The right form, but not a consistent key.
    #[error("the private key is malformed, inconsistent or of an unsupported kind")]
    Rejected,
    /// Its public key is not one that obreia verifies.
    #[error(transparent)]
    Public(#[from] KeyError),
    /// RSA in a size that is not generated.
    #[error("RSA keys are generated with 2048, 3072, 4096 or 8192 bits, not {0}")]
    Size(u32),
    /// The key and the scheme or digest do not go together.
    #[error(transparent)]
    Scheme(#[from] SignatureError),
    /// The cryptographic library failed.
    #[error("{0} failed in the cryptographic library")]
    Failed(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sha256;

    const KINDS: [KeyKind; 5] = [
        KeyKind::EcP256,
        KeyKind::EcP384,
        KeyKind::EcP521,
        KeyKind::Ed25519,
        KeyKind::Rsa { bits: 2048 },
    ];

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        for kind in KINDS {
            let key = PrivateKey::generate(kind).unwrap();
            let scheme = key.public_key().default_scheme();
            let signature = key.sign(scheme, b"abc").unwrap();
            scheme
                .verify(key.public_key(), b"abc", &signature)
                .unwrap_or_else(|e| panic!("{kind}: {e}"));
            assert!(scheme.verify(key.public_key(), b"abd", &signature).is_err());
        }
    }

    #[test]
    fn pkcs8_there_and_back() {
        for kind in KINDS {
            let key = PrivateKey::generate(kind).unwrap();
            let der = key.to_pkcs8_der().unwrap();
            let again = PrivateKey::from_pkcs8_der(der.expose()).unwrap();
            assert_eq!(key.public_key(), again.public_key());
            for cut in [1, der.expose().len() / 2, der.expose().len() - 1] {
                assert!(PrivateKey::from_pkcs8_der(&der.expose()[..cut]).is_err());
            }
        }
    }

    #[test]
    fn a_signature_is_never_tried_under_another_familys_scheme() {
        let key = PrivateKey::generate(KeyKind::EcP256).unwrap();
        let signature = key.sign(Scheme::EcdsaP256Sha256, b"abc").unwrap();
        for scheme in [
            Scheme::EcdsaP384Sha384,
            Scheme::Ed25519,
            Scheme::RsaPkcs1(Algorithm::Sha256),
        ] {
            let error = scheme.verify(key.public_key(), b"abc", &signature);
            assert!(
                matches!(error, Err(SignatureError::KeyMismatch { .. })),
                "{scheme}: {error:?}"
            );
        }
    }

    #[test]
    fn a_digest_of_the_wrong_hash_is_refused() {
        let key = PrivateKey::generate(KeyKind::EcP384).unwrap();
        let error = key
            .sign_digest(Scheme::EcdsaP384Sha384, &sha256(b"abc"))
            .unwrap_err();
        assert!(matches!(
            error,
            PrivateKeyError::Scheme(SignatureError::WrongHash { .. })
        ));
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        assert_eq!(
            key.sign_digest(Scheme::Ed25519, &sha256(b"abc")),
            Err(SignatureError::NeedsMessage.into())
        );
    }

    #[test]
    fn a_scheme_of_another_family_is_refused() {
        let key = PrivateKey::generate(KeyKind::EcP256).unwrap();
        for scheme in [
            Scheme::Ed25519,
            Scheme::EcdsaP384Sha384,
            Scheme::RsaPkcs1(Algorithm::Sha256),
        ] {
            assert!(key.sign(scheme, b"abc").is_err(), "{scheme}");
        }
    }

    #[test]
    fn nothing_of_the_key_is_printed() {
        let key = PrivateKey::generate(KeyKind::EcP256).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.starts_with("PrivateKey(PublicKey(ecdsa-p256, sha256:"));
        assert!(shown.len() < 120, "{shown}");
    }
}
