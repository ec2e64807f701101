use std::sync::Arc;

use google_cloud_kms_v1::model::{AsymmetricSignRequest, Digest as SdkDigest};

use super::crc32c::crc32c;
use super::look_up::{LookUp, Seen};
use super::service::Service;
use super::uri::Name;
use super::{PROVIDER, broken};
use crate::crypto::{PublicKey, Scheme};
use crate::custody::{KeyInfo, KeyState};
use crate::digest::{Algorithm, Digest};
use crate::keys::known::KnownKeys;
use crate::keys::{BoxFuture, KeyFault, PrehashSigner, Signer, prehash};
use crate::trust::VersionState;

/// Longest message that Cloud KMS takes whole, which only Ed25519 needs, in
/// bytes.
const WHOLE: usize = 64 << 10;

/// One version of a key. What is signed is a digest, but for Ed25519.
pub(super) struct GcpSigner {
    info: KeyInfo,
    name: Name,
    seen: Seen,
    service: Arc<Service>,
    known: KnownKeys,
}

impl GcpSigner {
    pub(super) fn new(name: Name, seen: Seen, service: Arc<Service>, known: KnownKeys) -> Self {
        let info = KeyInfo {
            id: name.key.clone(),
            path: name.whole().to_string(),
            version: Some(seen.version),
            purpose: None,
            state: KeyState::Enabled,
            // A version that is named may sign as long as the service lets it.
            version_state: VersionState::Active,
            provider: PROVIDER,
        };
        Self {
            info,
            name,
            seen,
            service,
            known,
        }
    }

    async fn of_digest(&self, digest: &Digest) -> Result<Vec<u8>, KeyFault> {
        prehash::fits(self.seen.scheme, digest, &self.info)?;
        let bytes = digest.bytes().to_vec();
        let crc = crc32c(&bytes);
        let sent = match digest.algorithm() {
            Algorithm::Sha256 => SdkDigest::new().set_sha256(bytes),
            Algorithm::Sha384 => SdkDigest::new().set_sha384(bytes),
            Algorithm::Sha512 => SdkDigest::new().set_sha512(bytes),
        };
        let request = AsymmetricSignRequest::new()
            .set_digest(sent)
            .set_digest_crc32c(crc);
        self.signature(request, true).await
    }

    async fn of_message(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        if message.is_empty() || message.len() > WHOLE {
            return Err(KeyFault::WrongAlgorithm {
                key: self.info.to_string(),
                why: format!(
                    "Cloud KMS signs messages of 1 to {WHOLE} bytes with Ed25519, and this one has {}; sign with a P-256 key",
                    message.len()
                ),
            });
        }
        let request = AsymmetricSignRequest::new()
            .set_data(message.to_vec())
            .set_data_crc32c(crc32c(message));
        self.signature(request, false).await
    }

    async fn signature(
        &self,
        request: AsymmetricSignRequest,
        digest: bool,
    ) -> Result<Vec<u8>, KeyFault> {
        let version = self.seen.version;
        let resource = self.name.resource(version);
        let request = request.set_name(resource.clone());
        let signed = match self.service.sign(&self.name, version, request).await {
            Ok(signed) => signed,
            Err(fault) => {
                let look_up = LookUp {
                    service: &self.service,
                    known: &self.known,
                };
                let fault = look_up.reason(&self.name, version, fault).await;
                if matches!(
                    fault,
                    KeyFault::Disabled(_)
                        | KeyFault::PendingDeletion(_)
                        | KeyFault::NoSuchVersion { .. }
                        | KeyFault::Refused { .. }
                ) {
                    look_up.doubt(&self.name, version);
                }
                return Err(fault);
            }
        };
        if signed.name != resource {
            return Err(broken(
                "it signed with another version than the one that was asked for",
            ));
        }
        let checked = if digest {
            signed.verified_digest_crc32c
        } else {
            signed.verified_data_crc32c
        };
        if !checked {
            return Err(broken("it did not check that what it signed arrived whole"));
        }
        if signed.signature_crc32c != Some(crc32c(&signed.signature)) {
            return Err(broken(
                "the signature was damaged on its way: its checksum is not right",
            ));
        }
        Ok(signed.signature.to_vec())
    }
}

impl Signer for GcpSigner {
    fn key(&self) -> &KeyInfo {
        &self.info
    }

    fn public_key(&self) -> &PublicKey {
        &self.seen.public_key
    }

    fn scheme(&self) -> Scheme {
        self.seen.scheme
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            match self.seen.scheme.hash() {
                None => self.of_message(message).await,
                Some(hash) => self.of_digest(&prehash::digest_of(hash, message)).await,
            }
        })
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        self.seen.scheme.hash().map(|_| self as &dyn PrehashSigner)
    }
}

impl PrehashSigner for GcpSigner {
    fn sign_digest<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(self.of_digest(digest))
    }
}
