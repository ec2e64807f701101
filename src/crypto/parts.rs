//! Public keys as others show them: in parts.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Tag};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::public_key::{EC_PUBLIC_KEY, ED25519, KeyKind, P256, P384, P521, PublicKey, RSA};

/// The parts of a public key.
#[derive(Clone, Copy, Debug)]
pub enum PublicParts<'a> {
    /// Modulus and public exponent, unsigned and big-endian (RFC 8017, section
    /// 3.1).
    Rsa {
        /// Modulus.
        n: &'a [u8],
        /// Public exponent.
        e: &'a [u8],
    },
    /// A point (SEC 1, section 2.3.3) of the curve that the DER parameters name
    /// (RFC 5480, section 2.1.1).
    Point {
        /// The parameters.
        curve: &'a [u8],
        /// The point.
        point: &'a [u8],
    },
    /// The 32 bytes of an Ed25519 key (RFC 8032, section 5.1.5).
    Ed25519(&'a [u8]),
}

impl PublicParts<'_> {
    /// The key as everything here has it, a DER `SubjectPublicKeyInfo`; `None`
    /// where the parts are none. What key it is shows when that is read.
    pub fn spki_der(&self) -> Option<Vec<u8>> {
        match *self {
            // RFC 8017, appendix A.1.1.
            Self::Rsa { n, e } => spki(RSA, Some(AnyRef::NULL), &two_numbers(n, e)?),
            Self::Point { curve, point } => {
                spki(EC_PUBLIC_KEY, Some(AnyRef::from_der(curve).ok()?), point)
            }
            Self::Ed25519(point) if point.len() == 32 => spki(ED25519, None, point),
            Self::Ed25519(_) => None,
        }
    }
}

/// The DER parameters that name the curve of keys of that kind; `None` for kinds
/// that have none.
pub fn curve_der(kind: KeyKind) -> Option<Vec<u8>> {
    let curve = match kind {
        KeyKind::EcP256 => P256,
        KeyKind::EcP384 => P384,
        KeyKind::EcP521 => P521,
        KeyKind::Ed25519 | KeyKind::Rsa { .. } => return None,
    };
    curve.to_der().ok()
}

impl PublicKey {
    /// The 32 bytes of an Ed25519 key; `None` of a key of another kind.
    pub fn edwards_point(&self) -> Option<&[u8]> {
        // The whole of the BIT STRING at the end.
        let at = self.spki_der().len().checked_sub(32)?;
        (self.kind() == KeyKind::Ed25519).then(|| &self.spki_der()[at..])
    }

    /// The same for every encoding of the key: of a point on a curve only its
    /// first coordinate, which compressed and uncompressed forms share.
    pub fn fingerprint(&self) -> Vec<u8> {
        let der = self.spki_der();
        let bits = SubjectPublicKeyInfoRef::try_from(der)
            .map_or(der, |spki| spki.subject_public_key.raw_bytes());
        let size = match self.kind() {
            KeyKind::EcP256 => 32,
            KeyKind::EcP384 => 48,
            KeyKind::EcP521 => 66,
            KeyKind::Ed25519 | KeyKind::Rsa { .. } => bits.len(),
        };
        let skip = usize::from(size < bits.len());
        let family: &[u8] = match self.kind() {
            KeyKind::EcP256 => b"p256:",
            KeyKind::EcP384 => b"p384:",
            KeyKind::EcP521 => b"p521:",
            KeyKind::Ed25519 => b"ed25519:",
            KeyKind::Rsa { .. } => b"rsa:",
        };
        let coordinate = bits.iter().skip(skip).take(size);
        family.iter().chain(coordinate).copied().collect()
    }
}

fn spki(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Option<Vec<u8>> {
    SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid, parameters },
        subject_public_key: BitStringRef::from_bytes(key).ok()?,
    }
    .to_der()
    .ok()
}

/// A SEQUENCE of two INTEGERs, given as unsigned big-endian bytes.
pub(super) fn two_numbers(one: &[u8], two: &[u8]) -> Option<Vec<u8>> {
    let mut both = UintRef::new(one).ok()?.to_der().ok()?;
    both.extend(UintRef::new(two).ok()?.to_der().ok()?);
    AnyRef::new(Tag::Sequence, &both).ok()?.to_der().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> PublicKey {
        let path = format!("{}/testdata/keys/{name}", env!("CARGO_MANIFEST_DIR"));
        PublicKey::from_pem(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn parts_make_the_key_whose_parts_they_are() {
        for (name, length) in [
            ("p256.pub.pem", 65),
            ("p384.pub.pem", 97),
            ("p521.pub.pem", 133),
        ] {
            let whole = key(name);
            let der = whole.spki_der();
            let curve = curve_der(whole.kind()).unwrap();
            let parts = PublicParts::Point {
                curve: &curve,
                point: &der[der.len() - length..],
            };
            assert_eq!(parts.spki_der().unwrap(), der, "{name}");
        }
        let edwards = key("ed25519.pub.pem");
        let point = edwards.edwards_point().unwrap();
        let parts = PublicParts::Ed25519(point);
        assert_eq!(parts.spki_der().unwrap(), edwards.spki_der());
        assert_eq!(PublicParts::Ed25519(&point[1..]).spki_der(), None);
        assert_eq!(curve_der(edwards.kind()), None);
        assert_eq!(key("p256.pub.pem").edwards_point(), None);
        let broken = PublicParts::Point {
            curve: b"\x06",
            point: &[4; 65],
        };
        assert_eq!(broken.spki_der(), None);
    }
}
