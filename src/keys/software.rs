use super::{BoxFuture, KeyFault, PrehashSigner, Signer};
use crate::crypto::{PrivateKey, PrivateKeyError, PublicKey, Scheme};
use crate::custody::{KeyInfo, KeyState};
use crate::digest::Digest;
use crate::trust::VersionState;

/// A key whose material is in this process's memory.
pub(super) struct SoftwareSigner {
    info: KeyInfo,
    scheme: Scheme,
    private: PrivateKey,
}

impl SoftwareSigner {
    pub(super) fn new(info: KeyInfo, scheme: Scheme, private: PrivateKey) -> Self {
        Self {
            info,
            scheme,
            private,
        }
    }

    /// A key that has no version, purpose or state beside its material, in
    /// the place called `path`.
    pub(super) fn bare(provider: &'static str, path: &str, private: PrivateKey) -> Self {
        let public = private.public_key();
        let info = KeyInfo {
            id: public.id().hex(),
            path: path.to_owned(),
            version: None,
            purpose: None,
            state: KeyState::Enabled,
            version_state: VersionState::Active,
            provider,
        };
        Self::new(info, public.default_scheme(), private)
    }

    fn fault(&self, error: PrivateKeyError) -> KeyFault {
        match error {
            PrivateKeyError::Scheme(error) => KeyFault::BadRequest {
                key: self.info.to_string(),
                why: error.to_string(),
            },
            error => KeyFault::Provider {
                provider: self.info.provider,
                cause: error.to_string(),
            },
        }
    }
}

impl Signer for SoftwareSigner {
    fn key(&self) -> &KeyInfo {
        &self.info
    }

    fn public_key(&self) -> &PublicKey {
        self.private.public_key()
    }

    fn scheme(&self) -> Scheme {
        self.scheme
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            self.private
                .sign(self.scheme, message)
                .map_err(|e| self.fault(e))
        })
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        self.scheme.hash().map(|_| self as &dyn PrehashSigner)
    }
}

impl PrehashSigner for SoftwareSigner {
    fn sign_digest<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            self.private
                .sign_digest(self.scheme, digest)
                .map_err(|e| self.fault(e))
        })
    }
}
