//! cosign's private keys: PEM around JSON, scrypt and NaCl secretbox
//! (secure-systems-lab/go-securesystemslib, `encrypted`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead, KeyInit};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::read::bad;
use crate::canon;
use crate::crypto::PrivateKey;
use crate::keys::KeyFault;
use crate::limits;
use crate::secret::Secret;

/// Most memory that a file may make us use, in bytes (cosign's own: 64 MiB).
const MEMORY: u64 = 256 << 20;
/// Most work, as N·r·p (cosign's own: 2¹⁹).
const WORK: u64 = 1 << 23;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: String,
    nonce: String,
}

pub(super) fn is_label(label: &str) -> bool {
    matches!(
        label,
        "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY"
    )
}

/// Opens a key file of cosign's with its password, which may be empty.
pub(super) fn open(path: &str, pem: &Secret, password: &Secret) -> Result<PrivateKey, KeyFault> {
    let (_, json) = pem_rfc7468::decode_vec(pem.expose().trim_ascii())
        .map_err(|_| bad(path, "it is not a PEM document"))?;
    let sealed: Sealed = canon::parse_as(&json, limits::KEY_FILE)
        .map_err(|e| bad(path, &format!("the encrypted key inside is malformed: {e}")))?;
    let field = |name: &str, text: &str| {
        STANDARD
            .decode(text)
            .map_err(|_| bad(path, &format!("{name} is not base64")))
    };
    let nonce = field("the nonce", &sealed.cipher.nonce)?;
    let salt = field("the salt", &sealed.kdf.salt)?;
    let ciphertext = field("the ciphertext", &sealed.ciphertext)?;
    if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" || nonce.len() != 24 {
        return Err(bad(
            path,
            "it is encrypted with something else than scrypt and nacl/secretbox",
        ));
    }
    let params = bounded(path, &sealed.kdf.params)?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(password.expose(), &salt, &params, key.as_mut_slice())
        .map_err(|_| bad(path, "its scrypt parameters are not usable"))?;
    let opened = XSalsa20Poly1305::new(Key::from_slice(key.as_slice()))
        .decrypt(Nonce::from_slice(&nonce), ciphertext.as_slice())
        .map_err(|_| KeyFault::WrongPassphrase(path.to_owned()))?;
    PrivateKey::from_pkcs8_der(Secret::new(opened).expose())
        .map_err(|e| bad(path, &format!("the key inside: {e}")))
}

fn bounded(path: &str, params: &Params) -> Result<scrypt::Params, KeyFault> {
    let memory = params.n.saturating_mul(128).saturating_mul(params.r.into());
    let work = params
        .n
        .saturating_mul(params.r.into())
        .saturating_mul(params.p.into());
    let sane = params.n.is_power_of_two()
        && params.n >= 2
        && params.r >= 1
        && params.p >= 1
        && memory <= MEMORY
        && work <= WORK;
    if !sane {
        return Err(bad(
            path,
            &format!(
                "its scrypt parameters N={}, r={}, p={} are not within {} MiB of memory and N·r·p of {WORK}",
                params.n,
                params.r,
                params.p,
                MEMORY >> 20
            ),
        ));
    }
    let log_n = u8::try_from(params.n.trailing_zeros()).unwrap_or(u8::MAX);
    scrypt::Params::new(log_n, params.r, params.p, scrypt::Params::RECOMMENDED_LEN)
        .map_err(|_| bad(path, "its scrypt parameters are not usable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_bounded() {
        let check = |n, r, p| bounded("k", &Params { n, r, p }).is_ok();
        assert!(check(32_768, 8, 1));
        assert!(check(65_536, 8, 1));
        for (n, r, p) in [
            (0, 8, 1),
            (1, 8, 1),
            (65_535, 8, 1),
            (1 << 30, 8, 1),
            (1 << 63, u32::MAX, u32::MAX),
            (65_536, 0, 1),
            (65_536, 8, 0),
            (65_536, 64, 1),
            (1_024, 8, 1 << 20),
        ] {
            assert!(!check(n, r, p), "{n} {r} {p}");
        }
    }
}
