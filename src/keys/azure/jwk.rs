//! Public keys as Key Vault writes them (RFC 7517) into what everything else
//! here has: DER `SubjectPublicKeyInfo`.

use azure_security_keyvault_keys::models::{CurveName, JsonWebKey, KeyType};

use crate::crypto::{KeyKind, PublicKey, PublicParts, curve_der};
use crate::keys::KeyFault;

/// The public key of `jwk`; `key` is its name, for messages.
///
/// # Errors
/// `WrongUsage` for a symmetric key, `WrongAlgorithm` for a curve or size that
/// is not used here, `Provider` for what is no key.
pub(super) fn public_key(jwk: &JsonWebKey, key: &str) -> Result<PublicKey, KeyFault> {
    let der = match &jwk.kty {
        Some(KeyType::Ec | KeyType::EcHsm) => elliptic(jwk, key)?,
        Some(KeyType::Rsa | KeyType::RsaHsm) => rsa(jwk)?,
        Some(KeyType::Oct | KeyType::OctHsm) => {
            return Err(KeyFault::WrongUsage {
                key: key.to_owned(),
                usage: "encryption".to_owned(),
            });
        }
        other => {
            let kind = other.as_ref().map_or("none", AsRef::as_ref);
            return Err(KeyFault::WrongAlgorithm {
                key: key.to_owned(),
                why: format!("its type {kind:?} is not one that is used here"),
            });
        }
    };
    PublicKey::from_spki_der(&der).map_err(|e| KeyFault::WrongAlgorithm {
        key: key.to_owned(),
        why: e.to_string(),
    })
}

fn elliptic(jwk: &JsonWebKey, key: &str) -> Result<Vec<u8>, KeyFault> {
    let (curve, length) = match &jwk.crv {
        Some(CurveName::P256) => (KeyKind::EcP256, 32_usize),
        Some(CurveName::P384) => (KeyKind::EcP384, 48),
        Some(CurveName::P521) => (KeyKind::EcP521, 66),
        other => {
            let name = other.as_ref().map_or("none", AsRef::as_ref);
            return Err(KeyFault::WrongAlgorithm {
                key: key.to_owned(),
                why: format!("curve {name} is not supported; use P-256, P-384 or P-521"),
            });
        }
    };
    let mut point = vec![4];
    for part in [&jwk.x, &jwk.y] {
        let part = part.as_deref().unwrap_or_default();
        let padding = match length.checked_sub(part.len()) {
            Some(padding) if !part.is_empty() => padding,
            _ => return Err(malformed()),
        };
        point.extend(std::iter::repeat_n(0, padding));
        point.extend_from_slice(part);
    }
    let curve = curve_der(curve).ok_or_else(malformed)?;
    let parts = PublicParts::Point {
        curve: &curve,
        point: &point,
    };
    parts.spki_der().ok_or_else(malformed)
}

fn rsa(jwk: &JsonWebKey) -> Result<Vec<u8>, KeyFault> {
    let parts = PublicParts::Rsa {
        n: jwk.n.as_deref().unwrap_or_default(),
        e: jwk.e.as_deref().unwrap_or_default(),
    };
    parts.spki_der().ok_or_else(malformed)
}

fn malformed() -> KeyFault {
    KeyFault::Provider {
        provider: super::PROVIDER,
        cause: "it showed a public key that is none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PrivateKey;

    fn ec(curve: CurveName, x: Vec<u8>, y: Vec<u8>) -> JsonWebKey {
        JsonWebKey {
            kty: Some(KeyType::EcHsm),
            crv: Some(curve),
            x: Some(x),
            y: Some(y),
            ..JsonWebKey::default()
        }
    }

    #[test]
    fn a_point_becomes_the_key_it_is() {
        for (kind, curve, length) in [
            (KeyKind::EcP256, CurveName::P256, 32),
            (KeyKind::EcP384, CurveName::P384, 48),
            (KeyKind::EcP521, CurveName::P521, 66),
        ] {
            let private = PrivateKey::generate(kind).unwrap();
            let der = private.public_key().spki_der();
            let (x, y) = der[der.len() - 2 * length..].split_at(length);
            // Leading zeros may be left out.
            let short = x.iter().skip_while(|b| **b == 0).copied().collect();
            let found = public_key(&ec(curve, short, y.to_vec()), "k").unwrap();
            assert_eq!(&found, private.public_key());
        }
    }

    #[test]
    fn a_modulus_becomes_the_key_it_is() {
        let mut jwk = JsonWebKey {
            kty: Some(KeyType::Rsa),
            n: Some([&[0x80][..], &[1; 255]].concat()),
            e: Some(vec![1, 0, 1]),
            ..JsonWebKey::default()
        };
        let found = public_key(&jwk, "k").unwrap();
        assert_eq!(found.kind(), KeyKind::Rsa { bits: 2048 });
        jwk.n = Some(vec![0x80; 128]);
        let small = public_key(&jwk, "k");
        assert!(
            matches!(small, Err(KeyFault::WrongAlgorithm { .. })),
            "{small:?}"
        );
        jwk.n = None;
        assert!(public_key(&jwk, "k").is_err());
    }

    #[test]
    fn what_is_no_key_to_sign_with_is_refused() {
        let broken = [
            ec(CurveName::P256, vec![1; 33], vec![1; 32]),
            ec(CurveName::P256, Vec::new(), vec![1; 32]),
        ];
        for jwk in broken {
            assert!(matches!(
                public_key(&jwk, "k"),
                Err(KeyFault::Provider { .. })
            ));
        }
        let other = ec(CurveName::P256K, vec![1; 32], vec![1; 32]);
        assert!(matches!(
            public_key(&other, "k"),
            Err(KeyFault::WrongAlgorithm { .. })
        ));
        let symmetric = JsonWebKey {
            kty: Some(KeyType::OctHsm),
            ..JsonWebKey::default()
        };
        assert!(matches!(
            public_key(&symmetric, "k"),
            Err(KeyFault::WrongUsage { .. })
        ));
        assert!(public_key(&JsonWebKey::default(), "k").is_err());
    }
}
