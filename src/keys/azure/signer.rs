use std::sync::Arc;

use azure_security_keyvault_keys::models::{SignParameters, SignatureAlgorithm};

use super::PROVIDER;
use super::look_up::version_of;
use super::uri::Name;
use super::vault::Vault;
use crate::crypto::{PublicKey, Scheme, ecdsa_der};
use crate::custody::{KeyInfo, KeyState};
use crate::digest::{Algorithm, Digest};
use crate::keys::known::KnownKeys;
use crate::keys::{BoxFuture, KeyFault, PrehashSigner, Signer, prehash};
use crate::trust::VersionState;

/// One version of a key in a vault. What is signed is a digest, always.
pub(super) struct AzureSigner {
    info: KeyInfo,
    name: Name,
    version: String,
    public_key: PublicKey,
    scheme: Scheme,
    vault: Arc<Vault>,
    known: KnownKeys,
}

impl AzureSigner {
    pub(super) fn new(
        name: Name,
        version: String,
        public_key: PublicKey,
        scheme: Scheme,
        vault: Arc<Vault>,
        known: KnownKeys,
    ) -> Self {
        let info = KeyInfo {
            id: name.id(),
            // With its version, which is no number.
            path: name.one(&version).to_string(),
            version: None,
            purpose: None,
            state: KeyState::Enabled,
            // A version that is named may sign as long as the vault lets it.
            version_state: VersionState::Active,
            provider: PROVIDER,
        };
        Self {
            info,
            name,
            version,
            public_key,
            scheme,
            vault,
            known,
        }
    }

    async fn signature(&self, digest: &Digest) -> Result<Vec<u8>, KeyFault> {
        prehash::fits(self.scheme, digest, &self.info)?;
        let parameters = SignParameters {
            algorithm: Some(algorithm(self.scheme)?),
            value: Some(digest.bytes().to_vec()),
        };
        let signed = self.vault.sign(&self.name, &self.version, parameters).await;
        let signed = signed.inspect_err(|fault| self.doubt(fault))?;
        let broken = |cause: &str| KeyFault::Provider {
            provider: PROVIDER,
            cause: cause.to_owned(),
        };
        if version_of(&self.name, signed.kid.as_deref())? != self.version {
            return Err(broken(
                "it signed with another version than the one asked for",
            ));
        }
        let raw = signed.result.unwrap_or_default();
        match self.scheme {
            Scheme::RsaPkcs1(_) | Scheme::RsaPss(_) => Ok(raw),
            _ => ecdsa_der(&raw).ok_or_else(|| broken("it gave a signature that is none")),
        }
    }
}

impl AzureSigner {
    /// Lets the key be asked for anew where the vault said that what is noted
    /// no longer holds.
    fn doubt(&self, fault: &KeyFault) {
        let (notes, at) = (&self.known, self.vault.endpoint());
        let version = self.name.one(&self.version);
        match fault {
            KeyFault::Disabled(_) | KeyFault::PendingDeletion(_) => {
                notes.ended(PROVIDER, &version, at);
            }
            KeyFault::NoSuchKey(_) | KeyFault::Refused { .. } => {
                notes.doubt(PROVIDER, &version, at);
            }
            _ => return,
        }
        // What was remembered of the newest version may be what is wrong.
        for note in [self.name.newest(), self.name.whole()] {
            notes.doubt(PROVIDER, &note, at);
        }
    }
}

impl Signer for AzureSigner {
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
            let hash = self.scheme.hash().unwrap_or(Algorithm::Sha256);
            self.signature(&prehash::digest_of(hash, message)).await
        })
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        Some(self)
    }
}

impl PrehashSigner for AzureSigner {
    fn sign_digest<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(self.signature(digest))
    }
}

fn algorithm(scheme: Scheme) -> Result<SignatureAlgorithm, KeyFault> {
    use Algorithm::{Sha256, Sha384, Sha512};
    Ok(match scheme {
        Scheme::EcdsaP256Sha256 => SignatureAlgorithm::Es256,
        Scheme::EcdsaP384Sha384 => SignatureAlgorithm::Es384,
        Scheme::EcdsaP521Sha512 => SignatureAlgorithm::Es512,
        Scheme::RsaPkcs1(Sha256) => SignatureAlgorithm::Rs256,
        Scheme::RsaPkcs1(Sha384) => SignatureAlgorithm::Rs384,
        Scheme::RsaPkcs1(Sha512) => SignatureAlgorithm::Rs512,
        Scheme::RsaPss(Sha256) => SignatureAlgorithm::Ps256,
        Scheme::RsaPss(Sha384) => SignatureAlgorithm::Ps384,
        Scheme::RsaPss(Sha512) => SignatureAlgorithm::Ps512,
        Scheme::Ed25519 => {
            return Err(KeyFault::Unsupported {
                provider: PROVIDER,
                what: "used under Ed25519",
            });
        }
    })
}
