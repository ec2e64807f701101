use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::PROVIDER;
use super::child::{CallFault, Child};
use super::known::Shown;
use super::module::{Module, beside_the_point};
use super::open;
use super::pin::Pin;
use super::public::signature;
use super::uri::Uri;
use super::wire::{Answer, Ask, Trouble, TroubleKind};
use crate::crypto::{PublicKey, Scheme};
use crate::custody::KeyInfo;
use crate::digest::Digest;
use crate::keys::{BoxFuture, KeyFault, PrehashSigner, Signer, prehash};
use crate::limits;

/// A private key in a token.
pub(super) struct TokenSigner {
    info: KeyInfo,
    shown: Shown,
    uri: Uri,
    module: Arc<Module>,
    held: Mutex<Held>,
    /// The token signs no digests, as its first signature showed.
    whole_messages: AtomicBool,
}

/// By what a private key is used, as long as that process lives.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) child: Arc<Child>,
    pub(super) key: u64,
}

/// What is sent to be signed.
#[derive(Clone, Copy)]
enum Input<'a> {
    Digest(&'a [u8]),
    Message(&'a [u8]),
}

impl TokenSigner {
    pub(super) fn new(shown: Shown, uri: Uri, module: Arc<Module>, held: Held) -> Self {
        Self {
            info: shown.info(),
            shown,
            uri,
            module,
            held: Mutex::new(held),
            whole_messages: AtomicBool::new(false),
        }
    }

    fn held(&self) -> Held {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    /// Opens the key anew, in the process that there is now.
    async fn reopen(&self) -> Result<Held, KeyFault> {
        let (shown, held) = open::private(&self.module, &self.uri, Pin::Kept).await?;
        if shown.public != self.shown.public {
            return Err(KeyFault::PublicKeyChanged {
                provider: PROVIDER,
                key: self.shown.path.clone(),
            });
        }
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held.clone();
        Ok(held)
    }

    /// One signature. A session or login that was lost, or a process that
    /// ended since, is replaced once; a process that ends meanwhile is a fault.
    async fn ask(&self, input: Input<'_>) -> Result<Result<Vec<u8>, Trouble>, KeyFault> {
        let mut held = self.held();
        if !held.child.is_alive() {
            held = self.reopen().await?;
        }
        let (digest, body) = match input {
            Input::Digest(digest) => (true, digest),
            Input::Message(message) => (false, message),
        };
        // The request's head fits into what is above the largest statement.
        if body.len() as u64 > limits::STATEMENT {
            return Err(KeyFault::BadRequest {
                key: self.info.to_string(),
                why: format!(
                    "{} bytes are more than are sent to a token ({})",
                    body.len(),
                    limits::STATEMENT
                ),
            });
        }
        let mut again = true;
        loop {
            let ask = Ask::Sign {
                key: held.key,
                scheme: self.shown.scheme.to_string(),
                digest,
            };
            let answer = held.child.ask(ask, body, self.module.deadline).await;
            let fault = match answer {
                Ok((Answer::Done, signed)) => return self.written(signed.expose()).map(Ok),
                Ok(_) => beside_the_point(),
                Err(CallFault::Trouble(trouble)) if trouble.kind == TroubleKind::Mechanism => {
                    return Ok(Err(trouble));
                }
                Err(fault) => fault,
            };
            if !again || !fault.is_loss() {
                return Err(self.module.about(&self.uri).fault(fault));
            }
            again = false;
            held = self.reopen().await?;
        }
    }

    fn written(&self, signed: &[u8]) -> Result<Vec<u8>, KeyFault> {
        signature(self.shown.scheme, signed).ok_or_else(|| KeyFault::Provider {
            provider: PROVIDER,
            cause: format!(
                "{} bytes came back, which are no {} signature",
                signed.len(),
                self.shown.scheme
            ),
        })
    }

    fn refused(&self, trouble: Trouble) -> KeyFault {
        let about = self.module.about(&self.uri);
        about.fault(CallFault::Trouble(trouble))
    }

    /// Tokens sign digests, messages or both, and their lists of mechanisms
    /// are not to be relied on: what worked is what holds.
    async fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
        if let Some(hash) = self.shown.scheme.hash()
            && !self.whole_messages.load(Ordering::Relaxed)
        {
            let digest = prehash::digest_of(hash, message);
            match self.ask(Input::Digest(digest.bytes())).await? {
                Ok(signature) => return Ok(signature),
                Err(first) => {
                    let second = self.ask(Input::Message(message)).await?;
                    // The first refusal is what most people can act on.
                    let signature = second.map_err(|_| self.refused(first))?;
                    self.whole_messages.store(true, Ordering::Relaxed);
                    return Ok(signature);
                }
            }
        }
        let signature = self.ask(Input::Message(message)).await?;
        signature.map_err(|trouble| self.refused(trouble))
    }
}

impl Signer for TokenSigner {
    fn key(&self) -> &KeyInfo {
        &self.info
    }

    fn public_key(&self) -> &PublicKey {
        &self.shown.public
    }

    fn scheme(&self) -> Scheme {
        self.shown.scheme
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(self.sign_message(message))
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        self.shown.scheme.hash().map(|_| self as &dyn PrehashSigner)
    }
}

impl PrehashSigner for TokenSigner {
    fn sign_digest<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            prehash::fits(self.shown.scheme, digest, &self.info)?;
            let signature = self.ask(Input::Digest(digest.bytes())).await?;
            signature.map_err(|trouble| self.refused(trouble))
        })
    }
}
