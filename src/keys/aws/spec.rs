//! What AWS calls families, sizes and schemes.

use aws_sdk_kms::types::{KeySpec, SigningAlgorithmSpec};

use crate::crypto::{KeyKind, Scheme};
use crate::digest::Algorithm;

/// The scheme that a key of `kind` signs under; `rsa` where it is an RSA key.
/// `None` where a scheme of RSA keys was asked of another.
pub(super) const fn scheme_of(kind: KeyKind, named: Option<Scheme>, rsa: Scheme) -> Option<Scheme> {
    let scheme = match kind {
        KeyKind::EcP256 => Scheme::EcdsaP256Sha256,
        KeyKind::EcP384 => Scheme::EcdsaP384Sha384,
        KeyKind::EcP521 => Scheme::EcdsaP521Sha512,
        KeyKind::Ed25519 => Scheme::Ed25519,
        KeyKind::Rsa { .. } => match named {
            Some(named) => return Some(named),
            None => rsa,
        },
    };
    match named {
        Some(_) => None,
        None => Some(scheme),
    }
}

/// AWS' name of a scheme.
pub(super) const fn algorithm(scheme: Scheme) -> SigningAlgorithmSpec {
    use SigningAlgorithmSpec as Spec;
    match scheme {
        Scheme::EcdsaP256Sha256 => Spec::EcdsaSha256,
        Scheme::EcdsaP384Sha384 => Spec::EcdsaSha384,
        Scheme::EcdsaP521Sha512 => Spec::EcdsaSha512,
        // Pure Ed25519; the one with PH in its name is another scheme.
        Scheme::Ed25519 => Spec::Ed25519Sha512,
        Scheme::RsaPkcs1(Algorithm::Sha256) => Spec::RsassaPkcs1V15Sha256,
        Scheme::RsaPkcs1(Algorithm::Sha384) => Spec::RsassaPkcs1V15Sha384,
        Scheme::RsaPkcs1(Algorithm::Sha512) => Spec::RsassaPkcs1V15Sha512,
        Scheme::RsaPss(Algorithm::Sha256) => Spec::RsassaPssSha256,
        Scheme::RsaPss(Algorithm::Sha384) => Spec::RsassaPssSha384,
        Scheme::RsaPss(Algorithm::Sha512) => Spec::RsassaPssSha512,
    }
}

/// AWS' name of a family and size; `None` for those it does not make.
pub(super) const fn key_spec(kind: KeyKind) -> Option<KeySpec> {
    Some(match kind {
        KeyKind::EcP256 => KeySpec::EccNistP256,
        KeyKind::EcP384 => KeySpec::EccNistP384,
        KeyKind::EcP521 => KeySpec::EccNistP521,
        KeyKind::Ed25519 => KeySpec::EccNistEdwards25519,
        KeyKind::Rsa { bits: 2048 } => KeySpec::Rsa2048,
        KeyKind::Rsa { bits: 3072 } => KeySpec::Rsa3072,
        KeyKind::Rsa { bits: 4096 } => KeySpec::Rsa4096,
        KeyKind::Rsa { .. } => return None,
    })
}

/// The family and size that AWS calls so; `None` for those obreia has not.
pub(super) fn kind_of(spec: &KeySpec) -> Option<KeyKind> {
    [
        KeyKind::EcP256,
        KeyKind::EcP384,
        KeyKind::EcP521,
        KeyKind::Ed25519,
        KeyKind::Rsa { bits: 2048 },
        KeyKind::Rsa { bits: 3072 },
        KeyKind::Rsa { bits: 4096 },
    ]
    .into_iter()
    .find(|kind| key_spec(*kind).as_ref() == Some(spec))
}
