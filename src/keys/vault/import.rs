//! A key goes in wrapped: under a fresh AES key (RFC 5649), and that under
//! the engine's own RSA key (RSA-OAEP with SHA-256).

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded as _};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::call::Call;
use super::create::{new_name, type_of};
use super::refusal::Refusal;
use super::{PROVIDER, VaultKeys, Vaults};
use crate::crypto::{PrivateKey, PublicKey};
use crate::http::Method;
use crate::keys::id::fill;
use crate::keys::{BoxFuture, Described, ImportKey, KeyFault, NewKey, Unlock, provenance};

impl ImportKey for VaultKeys {
    fn import<'a>(
        &'a self,
        new: &'a NewKey,
        private: &'a PrivateKey,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(self.0.import(new, private))
    }
}

#[derive(Deserialize)]
struct Answer {
    data: WrappingKey,
}

#[derive(Deserialize)]
struct WrappingKey {
    public_key: String,
}

impl Vaults {
    async fn import(&self, new: &NewKey, private: &PrivateKey) -> Result<Described, KeyFault> {
        let name = new_name(new)?;
        let kind = type_of(&name, private.public_key().kind())?;
        self.absent(&name).await?;
        let call = Call {
            method: Method::Get,
            path: "wrapping_key".to_owned(),
            body: None,
            repeatable: true,
            key: &name,
        };
        let answer: Answer = self.ask(&call).await?;
        let wrapping = PublicKey::from_pem(answer.data.public_key.as_bytes())
            .map_err(|e| Refusal::garbled(&format!("the wrapping key: {e}")))?;
        let call = Call {
            method: Method::Put,
            path: format!("keys/{}/import", name.name),
            body: Some(json!({
                "ciphertext": STANDARD.encode(wrap(&wrapping, private)?),
                "hash_function": "SHA256",
                "type": kind,
                "allow_rotation": true,
            })),
            repeatable: false,
            key: &name,
        };
        self.call(&call).await?;
        provenance::acknowledged(true);
        let shown = self.look(&name).await?;
        if shown.versions[0].public_key != *private.public_key() {
            provenance::acknowledged(false);
            return Err(KeyFault::Provider {
                provider: PROVIDER,
                cause: format!("{} is not the key that was imported", name.shown),
            });
        }
        self.described(&name, &shown)
    }
}

fn wrap(wrapping: &PublicKey, private: &PrivateKey) -> Result<Vec<u8>, KeyFault> {
    let failed = |what: &'static str| {
        move || KeyFault::Provider {
            provider: PROVIDER,
            cause: format!("{what} failed in the cryptographic library"),
        }
    };
    let der = private.to_pkcs8_der().map_err(|e| KeyFault::Provider {
        provider: PROVIDER,
        cause: e.to_string(),
    })?;
    let mut once = Zeroizing::new([0; 32]);
    fill(once.as_mut_slice())?;
    let under_rsa = PublicEncryptingKey::from_der(wrapping.spki_der())
        .ok()
        .and_then(|key| OaepPublicEncryptingKey::new(key).ok())
        .ok_or_else(|| Refusal::garbled("the wrapping key is no RSA key"))?;
    let mut wrapped = vec![0; under_rsa.ciphertext_size()];
    let sealed = under_rsa
        .encrypt(&OAEP_SHA256_MGF1SHA256, once.as_slice(), &mut wrapped, None)
        .map_err(|_| failed("wrapping under RSA")())?
        .len();
    wrapped.truncate(sealed);
    // At most a whole block and a half longer (RFC 5649, section 4.1).
    let mut inner = vec![0; der.expose().len() + 24];
    let inner = AesKek::new(&AES_256, once.as_slice())
        .and_then(|kek| {
            kek.wrap_with_padding(der.expose(), &mut inner)
                .map(|part| part.to_vec())
        })
        .map_err(|_| failed("wrapping under AES")())?;
    wrapped.extend_from_slice(&inner);
    Ok(wrapped)
}
