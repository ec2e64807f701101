use std::sync::Arc;

use aws_sdk_kms::operation::sign::SignOutput;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::MessageType;

use super::fault::{Asked, note};
use super::name::{Name, same_key};
use super::place::Place;
use super::show::{doubt, replaced};
use super::{PROVIDER, spec};
use crate::crypto::{PublicKey, Scheme};
use crate::custody::KeyInfo;
use crate::digest::Digest;
use crate::keys::known::KnownKeys;
use crate::keys::{BoxFuture, KeyFault, PrehashSigner, Signer, prehash};
use crate::reference::KeyRef;

/// Longest message that AWS KMS takes whole, in bytes.
const WHOLE: usize = 4096;

/// A key that was opened: one request for each signature.
pub(super) struct AwsSigner {
    pub(super) place: Arc<Place>,
    pub(super) name: Name,
    pub(super) info: KeyInfo,
    pub(super) public_key: PublicKey,
    pub(super) scheme: Scheme,
    /// What is known of keys, of this one under this name at that place.
    pub(super) notes: (KnownKeys, KeyRef, String),
}

impl AwsSigner {
    async fn signature(&self, bytes: &[u8], kind: MessageType) -> Result<Vec<u8>, KeyFault> {
        let signed = self.request(bytes, kind).await;
        let (notes, key, at) = &self.notes;
        let output = signed.inspect_err(|fault| doubt(notes, key, at, fault))?;
        // The key is asked for by the name that was given, as the caller's
        // rights may hang on the alias; which key answered is checked here.
        let lacks = |what| KeyFault::Provider {
            provider: PROVIDER,
            cause: format!("it signed with {} without {what}", self.name.shown),
        };
        let id = output.key_id().ok_or_else(|| lacks("naming the key"))?;
        if !same_key(id, &self.info.id) {
            return Err(replaced(&self.name, &self.info.id, id));
        }
        if output.signing_algorithm() != Some(&spec::algorithm(self.scheme)) {
            return Err(lacks("naming the algorithm that it was asked for"));
        }
        let signature = output.signature.ok_or_else(|| lacks("a signature"))?;
        Ok(signature.into_inner())
    }

    /// `Sign`. AWS' id of the request goes to the record.
    async fn request(&self, bytes: &[u8], kind: MessageType) -> Result<SignOutput, KeyFault> {
        let asked = Asked {
            place: &self.place,
            key: &self.name.shown,
            action: "kms:Sign",
        };
        let sent = self
            .place
            .client
            .sign()
            .key_id(&self.name.id)
            .message(Blob::new(bytes))
            .message_type(kind)
            .signing_algorithm(spec::algorithm(self.scheme))
            .send()
            .await;
        note(&sent);
        sent.map_err(|e| asked.failed(&e))
    }
}

impl Signer for AwsSigner {
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
            let Some(hash) = self.scheme.hash() else {
                if message.is_empty() || message.len() > WHOLE {
                    return Err(KeyFault::WrongAlgorithm {
                        key: self.name.shown.clone(),
                        why: format!(
                            "AWS KMS signs messages of 1 to {WHOLE} bytes with Ed25519, and this one has {}; sign with a P-256 key",
                            message.len()
                        ),
                    });
                }
                return self.signature(message, MessageType::Raw).await;
            };
            self.sign_digest(&prehash::digest_of(hash, message)).await
        })
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        self.scheme.hash().map(|_| self as &dyn PrehashSigner)
    }
}

impl PrehashSigner for AwsSigner {
    fn sign_digest<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            prehash::fits(self.scheme, digest, &self.info)?;
            self.signature(digest.bytes(), MessageType::Digest).await
        })
    }
}
