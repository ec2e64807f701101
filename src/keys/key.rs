use std::time::{Duration, Instant};

use super::record::{Recorder, Subject, unrecorded};
use super::{KeyFault, Route, Signer, prehash, provenance};
use crate::audit::Receipt;
use crate::crypto::{PublicKey, Scheme, sha256};
use crate::custody::{self, Caller, Decision, KeyInfo, Request};
use crate::digest::Digest;
use crate::time::Clock;

/// An opened key version; the only thing that uses it is [`Key::perform`].
pub struct Key {
    signer: Box<dyn Signer>,
    info: KeyInfo,
    route: Route,
    recorder: Recorder,
    clock: std::sync::Arc<dyn Clock>,
    deadline: Duration,
}

/// What is to be done with a key.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// Sign.
    Sign(SignInput<'a>),
    /// See whether it signs.
    Probe,
}

/// What is to be signed.
#[derive(Clone, Copy, Debug)]
pub enum SignInput<'a> {
    /// A message.
    Message(&'a [u8]),
    /// A message of which only the digest is known, in the scheme's hash;
    /// never for Ed25519.
    Digest(Digest),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Performed {
    /// Signed.
    Signed(Signed),
    /// Tried.
    Probed(Probed),
}

/// That a key signs. The signature itself was thrown away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// How long the provider took.
    pub sign: Duration,
    /// How long verifying took, here.
    pub verify: Duration,
    /// It does not sign digests, as files need it, but whole messages alone:
    /// why not.
    pub whole_messages_only: Option<KeyFault>,
}

/// A use of the key that came to its end.
struct Used {
    signature: Vec<u8>,
    sign: Duration,
    verify: Duration,
    receipt: Option<Receipt>,
}

/// A signature, verified with the key's own public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The signature's bytes: ASN.1 DER for ECDSA, raw for the others.
    pub signature: Vec<u8>,
    /// The scheme it was made under.
    pub scheme: Scheme,
    /// Its record in the audit log; `None` where no state folder is
    /// configured, so that there is no log.
    pub receipt: Option<Receipt>,
}

impl Key {
    pub(super) fn new(
        signer: Box<dyn Signer>,
        route: Route,
        recorder: Recorder,
        clock: std::sync::Arc<dyn Clock>,
        deadline: Duration,
    ) -> Self {
        Self {
            info: route.canonical(signer.key()),
            signer,
            route,
            recorder,
            clock,
            deadline,
        }
    }

    /// What is known of it, under its canonical path.
    pub const fn info(&self) -> &KeyInfo {
        &self.info
    }

    /// How its name was resolved.
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// Its public key.
    pub fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    /// The one scheme it signs under.
    pub fn scheme(&self) -> Scheme {
        self.signer.scheme()
    }

    /// Uses the key:
    ///
    /// 1. custody decides, and a denial is recorded;
    /// 2. the intent is durable in the audit log;
    /// 3. the provider signs, within the deadline;
    /// 4. the signature is verified with the public key as of opening;
    /// 5. the outcome is durable in the audit log.
    ///
    /// Only then is the signature handed out; one that fails in 4 or 5 is
    /// thrown away.
    ///
    /// # Errors
    /// `KeyFault`: `NotPermitted` from custody, `Audit` when the log does not
    /// take a record, `Deadline`, `SelfCheck`, and what the provider says.
    pub async fn perform(
        &self,
        operation: Operation<'_>,
        caller: &Caller,
    ) -> Result<Performed, KeyFault> {
        match operation {
            Operation::Sign(input) => self.sign(input, caller).await.map(Performed::Signed),
            Operation::Probe => self.probe(caller).await.map(Performed::Probed),
        }
    }

    /// [`Key::perform`] for [`Operation::Sign`].
    ///
    /// # Errors
    /// As [`Key::perform`].
    pub async fn sign(&self, input: SignInput<'_>, caller: &Caller) -> Result<Signed, KeyFault> {
        let used = self.used(custody::Operation::Sign, input, caller).await?;
        Ok(Signed {
            signature: used.signature,
            scheme: self.signer.scheme(),
            receipt: used.receipt,
        })
    }

    /// [`Key::perform`] for [`Operation::Probe`]: a use like any other, by the
    /// same rules and on record, of words that state nothing about anything.
    /// Where the key signs no digest it is tried with the words themselves,
    /// which is another use.
    ///
    /// # Errors
    /// As [`Key::perform`].
    pub async fn probe(&self, caller: &Caller) -> Result<Probed, KeyFault> {
        let words = format!(
            "obreia tries this key; it states nothing about anything\n{}\n{}\n",
            self.clock.now(),
            super::id::new_id()?
        );
        let message = SignInput::Message(words.as_bytes());
        let (input, digest) = match self.signer.scheme().hash() {
            Some(hash) => {
                let digest = prehash::digest_of(hash, words.as_bytes());
                (SignInput::Digest(digest), true)
            }
            None => (message, false),
        };
        let first = self.used(custody::Operation::Probe, input, caller).await;
        let (used, whole_messages_only) = match first {
            Err(fault) if digest && refuses_the_digest(&fault) => {
                let second = self.used(custody::Operation::Probe, message, caller);
                // The first refusal is what most people can act on.
                match second.await {
                    Ok(used) => (used, Some(fault)),
                    Err(_) => return Err(fault),
                }
            }
            first => (first?, None),
        };
        Ok(Probed {
            sign: used.sign,
            verify: used.verify,
            whole_messages_only,
        })
    }

    async fn used(
        &self,
        operation: custody::Operation,
        input: SignInput<'_>,
        caller: &Caller,
    ) -> Result<Used, KeyFault> {
        let info = &self.info;
        let decision = custody::decide(&Request {
            operation,
            key: Some(info),
            caller,
            now: self.clock.now(),
        });
        let subject = Subject {
            operation,
            key: Some(self.route.record(info)),
            provider: Some(info.provider),
            caller,
            decision: &decision,
            payload: Some(match input {
                SignInput::Message(message) => sha256(message),
                SignInput::Digest(digest) => digest,
            }),
        };
        if let Decision::Deny { rule, why } = &decision {
            self.recorder.denied(&subject).await?;
            return Err(KeyFault::NotPermitted {
                rule,
                why: why.clone(),
            });
        }
        let pending = self.recorder.begin(&subject).await?;
        let (checked, noted) = provenance::of(self.checked(input)).await;
        let pending = pending.known_as(noted.request);
        match checked {
            Ok((signature, sign, verify)) => {
                let recorded = self.recorder.end(pending, "ok", None).await;
                let thrown_away = unrecorded("the signature was made and thrown away");
                Ok(Used {
                    signature,
                    sign,
                    verify,
                    receipt: recorded.map_err(thrown_away)?,
                })
            }
            Err(fault) => {
                let recorded = self.recorder.end(pending, fault.code(), None).await;
                let told = self.route.told(fault);
                recorded.map_err(unrecorded(told.to_string()))?;
                Err(told)
            }
        }
    }

    /// A signature that verifies, and how long making it and verifying took.
    async fn checked(
        &self,
        input: SignInput<'_>,
    ) -> Result<(Vec<u8>, Duration, Duration), KeyFault> {
        let signing = async {
            match input {
                SignInput::Message(message) => self.signer.sign(message).await,
                SignInput::Digest(digest) => match self.signer.prehashed() {
                    Some(signer) => signer.sign_digest(&digest).await,
                    None => Err(KeyFault::BadRequest {
                        key: self.info.to_string(),
                        why: format!(
                            "{} signs the message itself; its digest is not enough",
                            self.signer.scheme()
                        ),
                    }),
                },
            }
        };
        let begun = Instant::now();
        let signature = tokio::time::timeout(self.deadline, signing)
            .await
            .map_err(|_| KeyFault::Deadline {
                provider: self.info.provider,
                seconds: self.deadline.as_secs(),
            })??;
        let sign = begun.elapsed();
        let (scheme, public) = (self.signer.scheme(), self.signer.public_key());
        match input {
            SignInput::Message(message) => scheme.verify(public, message, &signature),
            SignInput::Digest(digest) => scheme.verify_digest(public, &digest, &signature),
        }
        .map_err(|_| KeyFault::SelfCheck {
            key: self.info.to_string(),
        })?;
        Ok((signature, sign, begun.elapsed().saturating_sub(sign)))
    }
}

/// Whether the key may sign all the same, if not this.
fn refuses_the_digest(fault: &KeyFault) -> bool {
    matches!(
        fault.root(),
        KeyFault::WrongAlgorithm { .. } | KeyFault::BadRequest { .. }
    )
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, {:?})", self.info(), self.public_key())
    }
}
