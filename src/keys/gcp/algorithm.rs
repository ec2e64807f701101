//! What a key version signs under: at Google its algorithm says all of it.

use google_cloud_kms_v1::model::crypto_key_version::CryptoKeyVersionAlgorithm as Algorithm;

use crate::crypto::{KeyKind, Scheme};
use crate::digest::Algorithm::{Sha256, Sha512};
use crate::keys::KeyFault;

/// The scheme of `algorithm`; `key` is the key's name, for messages.
///
/// # Errors
/// `WrongUsage` for a key that does not sign, `WrongAlgorithm` for one that
/// signs in a way that is not used here.
pub(super) fn scheme(algorithm: &Algorithm, key: &str) -> Result<Scheme, KeyFault> {
    match algorithm {
        Algorithm::EcSignP256Sha256 => Ok(Scheme::EcdsaP256Sha256),
        Algorithm::EcSignP384Sha384 => Ok(Scheme::EcdsaP384Sha384),
        Algorithm::EcSignEd25519 => Ok(Scheme::Ed25519),
        Algorithm::RsaSignPss2048Sha256
        | Algorithm::RsaSignPss3072Sha256
        | Algorithm::RsaSignPss4096Sha256 => Ok(Scheme::RsaPss(Sha256)),
        Algorithm::RsaSignPss4096Sha512 => Ok(Scheme::RsaPss(Sha512)),
        Algorithm::RsaSignPkcs12048Sha256
        | Algorithm::RsaSignPkcs13072Sha256
        | Algorithm::RsaSignPkcs14096Sha256 => Ok(Scheme::RsaPkcs1(Sha256)),
        Algorithm::RsaSignPkcs14096Sha512 => Ok(Scheme::RsaPkcs1(Sha512)),
        other => {
            let name = other.name().unwrap_or("an unknown algorithm");
            let key = key.to_owned();
            // EC_SIGN_…, RSA_SIGN_…, PQ_SIGN_…
            if name.contains("_SIGN_") {
                return Err(KeyFault::WrongAlgorithm {
                    key,
                    why: format!(
                        "{name} is not supported; use ECDSA on P-256 or P-384, Ed25519, or RSA with a hash"
                    ),
                });
            }
            Err(KeyFault::WrongUsage {
                key,
                usage: name.to_owned(),
            })
        }
    }
}

/// What RSA keys that are made sign under where nobody says otherwise: what
/// Sigstore's clients verify by default, as at the other providers.
pub(super) const RSA: Scheme = Scheme::RsaPkcs1(Sha256);

/// The algorithm of a key that is to be made, an RSA key's under `rsa`.
///
/// # Errors
/// `WrongAlgorithm` for what Google does not make.
pub(super) fn algorithm(kind: KeyKind, rsa: Scheme, key: &str) -> Result<Algorithm, KeyFault> {
    let wrong = |what: String| KeyFault::WrongAlgorithm {
        key: key.to_owned(),
        why: format!("Cloud KMS makes no {what}"),
    };
    Ok(match kind {
        KeyKind::EcP256 => Algorithm::EcSignP256Sha256,
        KeyKind::EcP384 => Algorithm::EcSignP384Sha384,
        KeyKind::Ed25519 => Algorithm::EcSignEd25519,
        KeyKind::EcP521 => return Err(wrong(format!("{kind} keys"))),
        KeyKind::Rsa { bits } => match (bits, rsa) {
            (2048, Scheme::RsaPkcs1(Sha256)) => Algorithm::RsaSignPkcs12048Sha256,
            (3072, Scheme::RsaPkcs1(Sha256)) => Algorithm::RsaSignPkcs13072Sha256,
            (4096, Scheme::RsaPkcs1(Sha256)) => Algorithm::RsaSignPkcs14096Sha256,
            (4096, Scheme::RsaPkcs1(Sha512)) => Algorithm::RsaSignPkcs14096Sha512,
            (2048, Scheme::RsaPss(Sha256)) => Algorithm::RsaSignPss2048Sha256,
            (3072, Scheme::RsaPss(Sha256)) => Algorithm::RsaSignPss3072Sha256,
            (4096, Scheme::RsaPss(Sha256)) => Algorithm::RsaSignPss4096Sha256,
            (4096, Scheme::RsaPss(Sha512)) => Algorithm::RsaSignPss4096Sha512,
            _ => return Err(wrong(format!("{kind} keys for {rsa} (rsa in [keys.gcp])"))),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm::Sha384;

    #[test]
    fn what_is_made_signs_under_a_scheme_of_its_kind() {
        for kind in [
            KeyKind::EcP256,
            KeyKind::EcP384,
            KeyKind::Ed25519,
            KeyKind::Rsa { bits: 2048 },
            KeyKind::Rsa { bits: 3072 },
            KeyKind::Rsa { bits: 4096 },
        ] {
            for rsa in [RSA, Scheme::RsaPss(Sha256)] {
                let algorithm = algorithm(kind, rsa, "k").unwrap();
                let scheme = scheme(&algorithm, "k").unwrap();
                assert!(scheme.fits(kind), "{kind}");
                let is_rsa = matches!(kind, KeyKind::Rsa { .. });
                assert_eq!(scheme == rsa, is_rsa, "{kind}");
            }
        }
        let longest = KeyKind::Rsa { bits: 4096 };
        for rsa in [Scheme::RsaPkcs1(Sha512), Scheme::RsaPss(Sha512)] {
            let algorithm = algorithm(longest, rsa, "k").unwrap();
            assert_eq!(scheme(&algorithm, "k").unwrap(), rsa);
        }
        for (kind, rsa) in [
            (KeyKind::EcP521, RSA),
            (KeyKind::Rsa { bits: 8192 }, RSA),
            (KeyKind::Rsa { bits: 2048 }, Scheme::RsaPss(Sha512)),
            (longest, Scheme::RsaPss(Sha384)),
        ] {
            let refused = algorithm(kind, rsa, "k");
            assert!(
                matches!(refused, Err(KeyFault::WrongAlgorithm { .. })),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn keys_that_do_not_sign_or_not_so_are_told_apart() {
        for algorithm in [
            Algorithm::GoogleSymmetricEncryption,
            Algorithm::RsaDecryptOaep2048Sha256,
            Algorithm::HmacSha256,
            Algorithm::Unspecified,
        ] {
            let refused = scheme(&algorithm, "k");
            assert!(
                matches!(refused, Err(KeyFault::WrongUsage { .. })),
                "{refused:?}"
            );
        }
        for algorithm in [
            Algorithm::EcSignSecp256K1Sha256,
            Algorithm::RsaSignRawPkcs12048,
            Algorithm::PqSignMlDsa65,
        ] {
            let refused = scheme(&algorithm, "k");
            assert!(
                matches!(refused, Err(KeyFault::WrongAlgorithm { .. })),
                "{refused:?}"
            );
        }
    }
}
