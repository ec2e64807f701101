use super::protocol::{Bytes, MessageCall, MessageOptions, SignMessage, hash_number};
use super::{PROVIDER, PluginKeys, rpc, silent};
use crate::crypto::{PublicKey, Scheme};
use crate::custody::{KeyInfo, KeyState};
use crate::digest::{Algorithm, Digest};
use crate::keys::{BoxFuture, KeyFault, PrehashSigner, Signer, prehash};
use crate::reference::KeyRef;
use crate::trust::VersionState;

/// A key behind a plugin, with the public key that it shows.
struct PluginSigner {
    keys: PluginKeys,
    key: KeyRef,
    info: KeyInfo,
    public: PublicKey,
    scheme: Scheme,
}

impl PluginKeys {
    pub(super) async fn open_signer(&self, key: &KeyRef) -> Result<Box<dyn Signer>, KeyFault> {
        // Signing runs the plugin: better said now than after hashing.
        self.target(key)?;
        self.may_run()?;
        let trusted = self.public(key).await?;
        let info = KeyInfo {
            id: trusted.key_id,
            path: trusted.path,
            version: trusted.version,
            purpose: None,
            state: KeyState::Enabled,
            // Which one is active only the plugin knows, and says by refusing.
            version_state: VersionState::Active,
            provider: PROVIDER,
        };
        Ok(Box::new(PluginSigner {
            keys: self.clone(),
            key: key.clone(),
            info,
            public: trusted.public_key,
            scheme: trusted.scheme,
        }))
    }
}

impl PluginSigner {
    /// The digest, and on standard input the message where it is at hand: some
    /// plugins look at the one, some at the other.
    async fn ask(&self, digest: Option<Digest>, message: Vec<u8>) -> Result<Vec<u8>, KeyFault> {
        let target = self.keys.target(&self.key)?;
        let hash = self.scheme.hash();
        let mut request =
            self.keys
                .request(&target, "signMessage", hash.unwrap_or(Algorithm::Sha256));
        request.sign_message = Some(SignMessage {
            sign_options: Some(MessageCall {
                rpc_options: rpc(&request.init_options),
                message_options: MessageOptions {
                    digest: digest.map(|digest| Bytes(digest.bytes().to_vec())),
                    hash_func: hash.map(hash_number),
                },
            }),
        });
        let (program, reply) = self.keys.ask(&target, &request, message).await?;
        let answer = reply.sign_message;
        Ok(answer
            .ok_or_else(|| silent(&program, "signMessage"))?
            .signature
            .0)
    }
}

impl Signer for PluginSigner {
    fn key(&self) -> &KeyInfo {
        &self.info
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn scheme(&self) -> Scheme {
        self.scheme
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            let hash = self.scheme.hash();
            let digest = hash.map(|hash| prehash::digest_of(hash, message));
            self.ask(digest, message.to_vec()).await
        })
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        self.scheme.hash().map(|_| self as &dyn PrehashSigner)
    }
}

impl PrehashSigner for PluginSigner {
    fn sign_digest<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            prehash::fits(self.scheme, digest, &self.info)?;
            self.ask(Some(*digest), Vec::new()).await
        })
    }
}
