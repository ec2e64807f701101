use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::name::Name;
use super::refusal::Refusal;
use super::{PROVIDER, Vaults};
use crate::crypto::{PublicKey, Scheme};
use crate::custody::KeyInfo;
use crate::digest::{Algorithm, Digest};
use crate::http::Method;
use crate::keys::{BoxFuture, KeyFault, PrehashSigner, Signer, prehash};

/// One version of a key in a transit engine.
pub(super) struct VaultSigner {
    pub(super) vaults: Arc<Vaults>,
    /// With its version.
    pub(super) name: Name,
    pub(super) version: u32,
    pub(super) info: KeyInfo,
    pub(super) public_key: PublicKey,
    pub(super) scheme: Scheme,
}

impl Signer for VaultSigner {
    fn key(&self) -> &KeyInfo {
        &self.info
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn scheme(&self) -> Scheme {
        self.scheme
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            match self.scheme.hash() {
                None => self.request(message, None).await,
                Some(hash) => {
                    let digest = prehash::digest_of(hash, message);
                    self.request(digest.bytes(), Some(hash)).await
                }
            }
        })
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        self.scheme.hash().map(|_| self as &dyn PrehashSigner)
    }
}

impl PrehashSigner for VaultSigner {
    fn sign_digest<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            prehash::fits(self.scheme, digest, &self.info)?;
            self.request(digest.bytes(), self.scheme.hash()).await
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Signature,
}

#[derive(Deserialize)]
struct Signature {
    signature: String,
}

impl VaultSigner {
    async fn request(&self, input: &[u8], hash: Option<Algorithm>) -> Result<Vec<u8>, KeyFault> {
        let mut body = json!({
            "input": STANDARD.encode(input),
            // The one that was opened, and no newer one: its public key is known.
            "key_version": self.version,
        });
        // The path that cosign uses, so that one policy at the server does for both.
        let mut path = format!("sign/{}", self.name.name);
        if let Some(hash) = hash {
            body["prehashed"] = json!(true);
            path.push_str(match hash {
                Algorithm::Sha256 => "/sha2-256",
                Algorithm::Sha384 => "/sha2-384",
                Algorithm::Sha512 => "/sha2-512",
            });
        }
        match self.scheme {
            Scheme::RsaPkcs1(_) => body["signature_algorithm"] = json!("pkcs1v15"),
            Scheme::RsaPss(_) => {
                body["signature_algorithm"] = json!("pss");
                body["salt_length"] = json!("hash");
            }
            Scheme::EcdsaP256Sha256 | Scheme::EcdsaP384Sha384 | Scheme::EcdsaP521Sha512 => {
                body["marshaling_algorithm"] = json!("asn1");
            }
            Scheme::Ed25519 => {}
        }
        let call = Call {
            method: Method::Put,
            path,
            body: Some(body),
            repeatable: false,
            key: &self.name,
        };
        let answer: Answer = self
            .vaults
            .ask(&call)
            .await
            .inspect_err(|fault| self.vaults.doubt(&self.name, fault))?;
        self.decode(&answer.data.signature)
    }

    /// `vault:v1:BASE64`.
    fn decode(&self, signature: &str) -> Result<Vec<u8>, KeyFault> {
        let mut parts = signature.splitn(3, ':');
        let (prefix, version, text) = (parts.next(), parts.next(), parts.next());
        let (Some("vault"), Some(version), Some(text)) = (prefix, version, text) else {
            return Err(Refusal::garbled("it is no signature"));
        };
        if version != format!("v{}", self.version) {
            return Err(KeyFault::Provider {
                provider: PROVIDER,
                cause: format!(
                    "it signed with another version than {}, which was asked for",
                    self.version
                ),
            });
        }
        STANDARD
            .decode(text)
            .map_err(|_| Refusal::garbled("the signature is not base64"))
    }
}
