use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::keys::KeyFault;
use crate::keys::id::fill;
use crate::secret::Secret;

/// The layout: this byte, salt, commitment, ciphertext, tag.
const LAYOUT: u8 = 1;
const SALT: usize = 32;
const KEY: usize = 32;
const COMMITMENT: usize = 32;
const HEAD: usize = 1 + SALT + COMMITMENT;
const TAG: usize = 16;

/// Why sealed bytes do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// Not the layout.
    Malformed,
    /// Sealed under another key, or for another record.
    Commitment,
    /// Sealed for this record, but it or its context was altered since.
    Altered,
}

struct Derived {
    key: Zeroizing<[u8; KEY]>,
    nonce: [u8; NONCE_LEN],
    commitment: [u8; COMMITMENT],
}

/// Seals `plaintext` for the record named `identity`, bound to `context`.
///
/// AES-256-GCM under a key that HKDF-SHA256 derives from `key`, a fresh salt
/// and `identity`, so that no key seals twice. GCM alone does not bind its
/// key; the commitment, derived with it, does.
pub(super) fn seal(
    key: &[u8],
    identity: &[u8],
    context: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, KeyFault> {
    let mut salt = [0; SALT];
    fill(&mut salt)?;
    let failed = |_: Unspecified| KeyFault::Provider {
        provider: "the cryptographic library",
        cause: "sealing failed".to_owned(),
    };
    let derived = derive(key, &salt, identity).map_err(failed)?;
    let mut sealed = Vec::with_capacity(HEAD + plaintext.len() + TAG);
    sealed.push(LAYOUT);
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(&derived.commitment);
    // Encrypted in place: the plaintext is nowhere left behind.
    sealed.extend_from_slice(plaintext);
    let tag = aead(&derived)
        .and_then(|aead| {
            aead.seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(derived.nonce),
                Aad::from(context),
                &mut sealed[HEAD..],
            )
        })
        .map_err(failed)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what [`seal`] made; `key`, `identity` and `context` must be the same.
pub(super) fn open(
    key: &[u8],
    identity: &[u8],
    context: &[u8],
    sealed: &[u8],
) -> Result<Secret, Unopened> {
    if sealed.len() < HEAD + TAG || sealed[0] != LAYOUT {
        return Err(Unopened::Malformed);
    }
    let (salt, rest) = sealed[1..].split_at(SALT);
    let (commitment, ciphertext) = rest.split_at(COMMITMENT);
    let derived = derive(key, salt, identity).map_err(|_| Unopened::Malformed)?;
    verify_slices_are_equal(&derived.commitment, commitment).map_err(|_| Unopened::Commitment)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let plaintext = aead(&derived)
        .and_then(|aead| {
            aead.open_in_place(
                Nonce::assume_unique_for_key(derived.nonce),
                Aad::from(context),
                &mut buffer,
            )
        })
        .map_err(|_| Unopened::Altered)?;
    Ok(Secret::new(plaintext.to_vec()))
}

/// A key for another use, derived from the root key.
pub(super) fn subkey(root: &Secret, label: &str) -> Result<Secret, Unspecified> {
    let mut key = Zeroizing::new([0; KEY]);
    expand(
        root.expose(),
        &[],
        &[b"obreia keystore 1 ", label.as_bytes()],
        &mut *key,
    )?;
    Ok(Secret::new(key.to_vec()))
}

fn derive(key: &[u8], salt: &[u8], identity: &[u8]) -> Result<Derived, Unspecified> {
    let mut all = Zeroizing::new([0; KEY + NONCE_LEN + COMMITMENT]);
    expand(
        key,
        salt,
        &[b"obreia sealed record 1 ", identity],
        &mut *all,
    )?;
    let mut derived = Derived {
        key: Zeroizing::new([0; KEY]),
        nonce: [0; NONCE_LEN],
        commitment: [0; COMMITMENT],
    };
    derived.key.copy_from_slice(&all[..KEY]);
    derived.nonce.copy_from_slice(&all[KEY..KEY + NONCE_LEN]);
    derived.commitment.copy_from_slice(&all[KEY + NONCE_LEN..]);
    Ok(derived)
}

fn expand(key: &[u8], salt: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), Unspecified> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    Salt::new(HKDF_SHA256, salt)
        .extract(key)
        .expand(info, Length(out.len()))?
        .fill(out)
}

fn aead(derived: &Derived) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, derived.key.as_slice()).map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_identity_and_context() {
        let sealed = seal(&[1; 32], b"a", b"x", b"secret").unwrap();
        let same = open(&[1; 32], b"a", b"x", &sealed).unwrap();
        assert_eq!(same.expose(), b"secret");
        assert_eq!(
            open(&[2; 32], b"a", b"x", &sealed).err(),
            Some(Unopened::Commitment)
        );
        assert_eq!(
            open(&[1; 32], b"b", b"x", &sealed).err(),
            Some(Unopened::Commitment)
        );
        assert_eq!(
            open(&[1; 32], b"a", b"y", &sealed).err(),
            Some(Unopened::Altered)
        );
    }

    #[test]
    fn every_bit_counts() {
        let sealed = seal(&[1; 32], b"a", b"x", b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(open(&[1; 32], b"a", b"x", &flipped).is_err(), "byte {at}");
        }
        for len in 0..sealed.len() {
            assert!(open(&[1; 32], b"a", b"x", &sealed[..len]).is_err());
        }
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let one = seal(&[1; 32], b"a", b"x", b"secret").unwrap();
        let two = seal(&[1; 32], b"a", b"x", b"secret").unwrap();
        assert!(one[1..33] != two[1..33] && one[65..] != two[65..]);
    }
}
