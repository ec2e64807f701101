//! Public keys out of what tokens show, and signatures out of what they give.

use der::asn1::{BitStringRef, OctetStringRef};
use der::{AnyRef, Decode, Reader, SliceReader, Tag, Tagged};

use super::wire::{Facts, Family};
use crate::crypto::{KeyError, PublicKey, PublicParts, Scheme, ecdsa_der};

/// The public key: as the token states it whole, else from its parts, else
/// from the certificate that goes with it. `None` where it shows none.
///
/// # Errors
/// `KeyError` where it shows one that is not supported.
pub(super) fn public_key(facts: &Facts) -> Result<Option<PublicKey>, KeyError> {
    let stated = facts.spki.clone().filter(|der| !der.is_empty());
    let der = stated
        .or_else(|| match facts.family {
            Family::Rsa => rsa(facts),
            Family::Ec => ec(facts),
            Family::Edwards => edwards(facts),
            Family::Other => None,
        })
        .or_else(|| facts.certificate.as_deref().and_then(of_certificate));
    match der {
        Some(der) => PublicKey::from_spki_der(&der).map(Some),
        None if facts.family == Family::Other => Err(KeyError::UnsupportedAlgorithm(
            "of neither RSA, ECDSA nor EdDSA".to_owned(),
        )),
        None => Ok(None),
    }
}

fn rsa(facts: &Facts) -> Option<Vec<u8>> {
    let n = facts.modulus.as_deref().filter(|m| !m.is_empty())?;
    let e = facts.exponent.as_deref()?;
    PublicParts::Rsa { n, e }.spki_der()
}

fn ec(facts: &Facts) -> Option<Vec<u8>> {
    let curve = facts.ec_params.as_deref()?;
    let point = &point(facts.ec_point.as_deref()?)?;
    PublicParts::Point { curve, point }.spki_der()
}

/// The curve is named in as many ways as there are versions of PKCS #11; a
/// point of 32 bytes settles that it is Ed25519, for Ed448 has 57.
fn edwards(facts: &Facts) -> Option<Vec<u8>> {
    PublicParts::Ed25519(&point(facts.ec_point.as_deref()?)?).spki_der()
}

/// `CKA_EC_POINT` is an OCTET STRING, and with some tokens what is in it.
fn point(stated: &[u8]) -> Option<Vec<u8>> {
    if let Ok(inside) = OctetStringRef::from_der(stated) {
        return Some(inside.as_bytes().to_owned());
    }
    // Some wrap it in a BIT STRING, as a certificate does.
    if let Ok(inside) = BitStringRef::from_der(stated) {
        return inside.as_bytes().map(ToOwned::to_owned);
    }
    (!stated.is_empty()).then(|| stated.to_owned())
}

/// The `SubjectPublicKeyInfo` in a certificate (RFC 5280, section 4.1), which
/// is believed in nothing else: the key signs, and its signature is checked.
fn of_certificate(der: &[u8]) -> Option<Vec<u8>> {
    let whole = AnyRef::from_der(der).ok()?;
    let mut certificate = SliceReader::new(sequence(whole)?).ok()?;
    let signed: AnyRef<'_> = certificate.decode().ok()?;
    let mut fields = SliceReader::new(sequence(signed)?).ok()?;
    let mut before = 5; // serial number, signature, issuer, validity, subject
    if fields.peek_tag().ok()?.is_context_specific() {
        before += 1; // version
    }
    for _ in 0..before {
        fields.tlv_bytes().ok()?;
    }
    fields.tlv_bytes().ok().map(ToOwned::to_owned)
}

fn sequence(any: AnyRef<'_>) -> Option<&[u8]> {
    (any.tag() == Tag::Sequence).then(|| any.value())
}

/// The signature as everybody else writes it: tokens give ECDSA's as two
/// numbers of the curve's size. `None` where it is not that.
pub(super) fn signature(scheme: Scheme, given: &[u8]) -> Option<Vec<u8>> {
    let size = match scheme {
        Scheme::EcdsaP256Sha256 => 32,
        Scheme::EcdsaP384Sha384 => 48,
        Scheme::EcdsaP521Sha512 => 66,
        Scheme::Ed25519 | Scheme::RsaPkcs1(_) | Scheme::RsaPss(_) => {
            return Some(given.to_owned());
        }
    };
    if given.len() != 2 * size {
        return None;
    }
    ecdsa_der(given)
}

#[cfg(test)]
mod tests {
    use der::Encode;
    use der::asn1::{ObjectIdentifier, UintRef};
    use spki::SubjectPublicKeyInfoRef;

    use super::*;

    const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

    fn key(name: &str) -> PublicKey {
        let path = format!("{}/testdata/keys/{name}", env!("CARGO_MANIFEST_DIR"));
        PublicKey::from_pem(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The facts that a token would show of a public key.
    fn facts(name: &str) -> (PublicKey, Facts) {
        let public = key(name);
        let spki = SubjectPublicKeyInfoRef::from_der(public.spki_der()).unwrap();
        let bits = spki.subject_public_key.raw_bytes();
        let mut facts = Facts::default();
        if spki.algorithm.oid == RSA {
            let numbers = sequence(AnyRef::from_der(bits).unwrap()).unwrap();
            let mut numbers = SliceReader::new(numbers).unwrap();
            let mut next = || {
                let number: UintRef<'_> = numbers.decode().unwrap();
                Some(number.as_bytes().to_owned())
            };
            facts.family = Family::Rsa;
            facts.modulus = next();
            facts.exponent = next();
        } else {
            let curve = spki.algorithm.parameters;
            facts.family = if curve.is_some() {
                Family::Ec
            } else {
                Family::Edwards
            };
            facts.ec_params = curve.map(|curve| curve.to_der().unwrap());
            facts.ec_point = Some(OctetStringRef::new(bits).unwrap().to_der().unwrap());
        }
        (public, facts)
    }

    const ALL: [&str; 5] = [
        "p256.pub.pem",
        "p384.pub.pem",
        "p521.pub.pem",
        "ed25519.pub.pem",
        "rsa2048.pub.pem",
    ];

    #[test]
    fn parts_give_the_key_whose_parts_they_are() {
        for name in ALL {
            let (public, mut facts) = facts(name);
            assert_eq!(public_key(&facts), Ok(Some(public.clone())), "{name}");
            // Without the OCTET STRING around it.
            if let Some(point) = facts.ec_point.take() {
                let inside = OctetStringRef::from_der(&point).unwrap();
                facts.ec_point = Some(inside.as_bytes().to_owned());
                assert_eq!(public_key(&facts), Ok(Some(public.clone())), "{name}");
            }
            let whole = Facts {
                spki: Some(public.spki_der().to_owned()),
                ..Facts::default()
            };
            assert_eq!(public_key(&whole), Ok(Some(public)), "{name}");
        }
    }

    #[test]
    fn an_empty_statement_is_none() {
        let (public, facts) = facts("p256.pub.pem");
        let facts = Facts {
            spki: Some(Vec::new()),
            ..facts
        };
        assert_eq!(public_key(&facts), Ok(Some(public)));
    }

    #[test]
    fn what_is_no_key_or_not_supported() {
        let none = Facts {
            family: Family::Ec,
            ..Facts::default()
        };
        assert_eq!(public_key(&none), Ok(None));
        assert!(matches!(
            public_key(&Facts::default()),
            Err(KeyError::UnsupportedAlgorithm(_))
        ));
        let (_, mut curve) = facts("p256.pub.pem");
        let koblitz = ObjectIdentifier::new_unwrap("1.3.132.0.10");
        curve.ec_params = Some(koblitz.to_der().unwrap());
        assert!(matches!(
            public_key(&curve),
            Err(KeyError::UnsupportedCurve(_))
        ));
        let (_, mut short) = facts("ed25519.pub.pem");
        short.ec_point = Some(vec![1; 57]);
        assert_eq!(public_key(&short), Ok(None));
        let small = Facts {
            family: Family::Rsa,
            modulus: Some(vec![0xff; 128]),
            exponent: Some(vec![1, 0, 1]),
            ..Facts::default()
        };
        assert_eq!(public_key(&small), Err(KeyError::RsaSize(1024)));
        for garbage in [&b""[..], b"\x30", b"\x30\x03\x30\x01\x02", &[0x30; 64]] {
            let facts = Facts {
                family: Family::Ec,
                certificate: Some(garbage.to_owned()),
                ..Facts::default()
            };
            assert_eq!(public_key(&facts), Ok(None), "{garbage:?}");
        }
    }

    #[test]
    fn numbers_become_der_and_nothing_else_does() {
        let mut given = [0; 64];
        given[31] = 1;
        given[32] = 0x80;
        let der = signature(Scheme::EcdsaP256Sha256, &given).unwrap();
        assert_eq!(der[..5], [0x30, 0x26, 0x02, 0x01, 0x01]);
        assert_eq!(der[5..9], [0x02, 0x21, 0x00, 0x80]);
        for length in [0, 1, 63, 65, 70, 96] {
            assert_eq!(signature(Scheme::EcdsaP256Sha256, &vec![1; length]), None);
        }
        assert!(signature(Scheme::EcdsaP521Sha512, &[1; 132]).is_some());
        assert_eq!(signature(Scheme::Ed25519, b"abc"), Some(b"abc".to_vec()));
    }
}
