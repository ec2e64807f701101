use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::known::Shown;
use super::module::{Found, Module, beside_the_point};
use super::pin::Pin;
use super::place::Named;
use super::signer::{Held, TokenSigner};
use super::uri::Uri;
use super::wire::{Answer, Ask, Kind};
use super::{PROVIDER, Pkcs11Keys};
use crate::crypto::KeyKind;
use crate::keys::{BoxFuture, Described, GenerateKey, KeyFault, NewKey, Signer, Unlock};

/// How long another process may take to make its key.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a new key proves itself with.
const TRIAL: &[u8] = b"obreia: the first signature of a new key";

impl GenerateKey for Pkcs11Keys {
    fn generate<'a>(
        &'a self,
        new: &'a NewKey,
        kind: KeyKind,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let (uri, module) = self.named(&new.key, Named::ByOperator)?;
            let label = nameable(&uri, new)?;
            let id = match &uri.object.id {
                Some(id) => id.clone(),
                None => {
                    let mut id = vec![0; 16];
                    crate::keys::id::fill(&mut id)?;
                    id
                }
            };
            let _alone = self.alone().await?;
            let (found, _) = module.ask(&uri, Pin::From(unlock), |_| Ask::Tokens).await?;
            let ask = Ask::Generate {
                slot: found.token.slot,
                kind: wire_kind(&uri, kind)?,
                label,
                id,
            };
            let fault = |fault| module.about(&uri).fault(fault);
            let asked = found.child.ask(ask, &[], module.deadline).await;
            let (Answer::Key(facts), _) = asked.map_err(fault)? else {
                return Err(fault(beside_the_point()));
            };
            let tried = self.tried(&module, &found, &uri, &facts).await;
            if let Err(why) = &tried {
                // What does not sign is not left behind under a good name.
                let ask = Ask::Destroy { key: facts.key };
                let destroyed = found.child.ask(ask, &[], module.deadline).await;
                destroyed.map_err(|left| KeyFault::Unavailable {
                    doing: "destroy",
                    what: new.key.to_string(),
                    cause: format!(
                        "{}; it was made, and did not show that it signs: {why}",
                        fault(left)
                    ),
                })?;
            }
            tried
        })
    }
}

impl Pkcs11Keys {
    /// Whether the new key does what it is for, shown by doing it: lists of
    /// mechanisms promise more than tokens keep.
    async fn tried(
        &self,
        module: &Arc<Module>,
        found: &Found,
        uri: &Uri,
        facts: &super::wire::Facts,
    ) -> Result<Described, KeyFault> {
        let shown = Shown::new(module, found, uri, facts)?;
        let held = Held {
            child: Arc::clone(&found.child),
            key: facts.key,
        };
        let signer = TokenSigner::new(shown.clone(), uri.clone(), Arc::clone(module), held);
        let signature = signer.sign(TRIAL).await?;
        shown
            .scheme
            .verify(&shown.public, TRIAL, &signature)
            .map_err(|_| KeyFault::SelfCheck {
                key: shown.path.clone(),
            })?;
        self.learn(uri, &module.place, &shown)?;
        Ok(shown.described())
    }

    /// Keeps other processes with the same state folder from making a key at
    /// the same time: tokens take any number under one name. Held until dropped.
    async fn alone(&self) -> Result<Option<File>, KeyFault> {
        let Some(state) = &self.state else {
            return Ok(None);
        };
        let path = state.join("pkcs11.lock");
        let unavailable = |cause: std::io::Error| KeyFault::Unavailable {
            doing: "lock",
            what: path.display().to_string(),
            cause: cause.to_string(),
        };
        let file = File::create(&path).map_err(unavailable)?;
        let begun = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(file)),
                Err(Errno::AGAIN) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(Errno::AGAIN) => return Err(KeyFault::Busy(path.display().to_string())),
                Err(e) => return Err(unavailable(e.into())),
            }
        }
    }
}

/// The label of the new key.
fn nameable(uri: &Uri, new: &NewKey) -> Result<String, KeyFault> {
    let bad = |why: &str| KeyFault::BadName {
        name: uri.canonical(),
        why: why.to_owned(),
    };
    new.has_one_name(PROVIDER)?;
    match &uri.object.label {
        Some(label) if label.len() <= 255 => Ok(label.clone()),
        Some(_) => Err(bad("its object=… has more than 255 bytes")),
        None => Err(bad("it needs object=…, the label in the token")),
    }
}

fn wire_kind(uri: &Uri, kind: KeyKind) -> Result<Kind, KeyFault> {
    let kind_asked = match kind {
        KeyKind::EcP256 => Kind::P256,
        KeyKind::EcP384 => Kind::P384,
        KeyKind::EcP521 => Kind::P521,
        KeyKind::Ed25519 => Kind::Ed25519,
        KeyKind::Rsa { bits } => Kind::Rsa(bits),
    };
    match uri.scheme {
        Some(scheme) if !scheme.fits(kind) => Err(KeyFault::WrongAlgorithm {
            key: uri.canonical(),
            why: format!("a {kind} key does not sign under {scheme}"),
        }),
        _ => Ok(kind_asked),
    }
}
