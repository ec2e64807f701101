//! Signing. Where a token signs digests, it gets the digest: that works with
//! all of them, and with content that obreia has read once already.

use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::types::Ulong;

use super::held::{Held, Sessions};
use super::trouble::{told, trouble};
use crate::crypto::Scheme;
use crate::digest::Algorithm;
use crate::keys::pkcs11::wire::{Trouble, TroubleKind};

/// The DER of a `DigestInfo` up to the digest (RFC 8017, section 9.2, note 1).
const SHA256_INFO: &[u8] = &[
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
const SHA384_INFO: &[u8] = &[
    0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05,
    0x00, 0x04, 0x30,
];
const SHA512_INFO: &[u8] = &[
    0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05,
    0x00, 0x04, 0x40,
];

impl Held {
    /// Signs `data`, a digest or a whole message; the signature is as the
    /// token gives it.
    pub(super) fn sign(
        &self,
        sessions: &mut Sessions,
        key: u64,
        scheme: &str,
        digest: bool,
        data: &[u8],
    ) -> Result<Vec<u8>, Trouble> {
        let key = self.key(key)?;
        let unknown = || told(TroubleKind::Other, format!("{scheme} is no scheme"));
        let scheme = Scheme::from_name(scheme).ok_or_else(unknown)?;
        let mechanism = mechanism(scheme, digest);
        let prefixed;
        let data = match (scheme, digest) {
            (Scheme::RsaPkcs1(hash), true) => {
                prefixed = [info(hash), data].concat();
                &prefixed
            }
            _ => data,
        };
        self.with_session(sessions, key.slot, |session, epoch| {
            if epoch != key.epoch {
                return Err(told(
                    TroubleKind::Lost,
                    "the sessions with the token were lost",
                ));
            }
            session
                .sign(&mechanism, key.handle, data)
                .map_err(|e| trouble(&e))
        })
    }
}

fn mechanism(scheme: Scheme, digest: bool) -> Mechanism<'static> {
    match (scheme, digest) {
        (Scheme::EcdsaP256Sha256 | Scheme::EcdsaP384Sha384 | Scheme::EcdsaP521Sha512, true) => {
            Mechanism::Ecdsa
        }
        (Scheme::EcdsaP256Sha256, false) => Mechanism::EcdsaSha256,
        (Scheme::EcdsaP384Sha384, false) => Mechanism::EcdsaSha384,
        (Scheme::EcdsaP521Sha512, false) => Mechanism::EcdsaSha512,
        (Scheme::Ed25519, _) => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)),
        (Scheme::RsaPkcs1(_), true) => Mechanism::RsaPkcs,
        (Scheme::RsaPkcs1(Algorithm::Sha256), false) => Mechanism::Sha256RsaPkcs,
        (Scheme::RsaPkcs1(Algorithm::Sha384), false) => Mechanism::Sha384RsaPkcs,
        (Scheme::RsaPkcs1(Algorithm::Sha512), false) => Mechanism::Sha512RsaPkcs,
        (Scheme::RsaPss(hash), true) => Mechanism::RsaPkcsPss(pss(hash)),
        (Scheme::RsaPss(hash), false) => match hash {
            Algorithm::Sha256 => Mechanism::Sha256RsaPkcsPss(pss(hash)),
            Algorithm::Sha384 => Mechanism::Sha384RsaPkcsPss(pss(hash)),
            Algorithm::Sha512 => Mechanism::Sha512RsaPkcsPss(pss(hash)),
        },
    }
}

/// MGF1 with the same hash, and a salt as long as it.
fn pss(hash: Algorithm) -> PkcsPssParams {
    let (hash_alg, mgf, length) = match hash {
        Algorithm::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
        Algorithm::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        Algorithm::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
    };
    PkcsPssParams {
        hash_alg,
        mgf,
        s_len: Ulong::new(length),
    }
}

const fn info(hash: Algorithm) -> &'static [u8] {
    match hash {
        Algorithm::Sha256 => SHA256_INFO,
        Algorithm::Sha384 => SHA384_INFO,
        Algorithm::Sha512 => SHA512_INFO,
    }
}
