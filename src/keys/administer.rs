use super::record::{Recorder, Subject};
use super::{Described, KeyFault, KeyProvider, Keyring, Unlock};
use crate::audit::KeyRecord;
use crate::crypto::{KeyKind, PrivateKey};
use crate::custody::{self, Caller, Decision, KeyInfo, KeyState, Operation, Request};
use crate::reference::{KeyPath, KeyRef};
use crate::time::Span;
use crate::trust::VersionState;

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// `kms://purpose/environment/…`, or another provider's URI.
    pub key: KeyRef,
    /// Other names, one segment each.
    pub aliases: Vec<KeyPath>,
    /// Whether a signing purpose that is not a known one may be used.
    pub new_purpose: bool,
}

/// What is to be changed.
#[derive(Debug)]
pub enum Administer<'a> {
    /// Make a key.
    Create {
        /// Its names.
        new: &'a NewKey,
        /// Its family and size.
        kind: KeyKind,
    },
    /// Take in a key file.
    Import {
        /// Its names.
        new: &'a NewKey,
        /// The key.
        private: &'a PrivateKey,
    },
    /// Make a new version that takes over.
    Rotate {
        /// The key, by path or alias.
        key: &'a KeyRef,
        /// How long the old version counts as in grace.
        grace: Span,
    },
    /// Let it be used again.
    Enable(&'a KeyRef),
    /// Stop all use.
    Disable(&'a KeyRef),
    /// Let a version verify nothing any more.
    Retire {
        /// The key, by path or alias.
        key: &'a KeyRef,
        /// The version; not the active one.
        version: u32,
    },
}

impl Administer<'_> {
    const fn operation(&self) -> Operation {
        match self {
            Self::Create { .. } => Operation::Create,
            Self::Import { .. } => Operation::Import,
            Self::Rotate { .. } => Operation::Rotate,
            Self::Enable(_) => Operation::Enable,
            Self::Disable(_) => Operation::Disable,
            Self::Retire { .. } => Operation::Retire,
        }
    }

    const fn key(&self) -> &KeyRef {
        match self {
            Self::Create { new, .. } | Self::Import { new, .. } => &new.key,
            Self::Rotate { key, .. } | Self::Retire { key, .. } => key,
            Self::Enable(key) | Self::Disable(key) => key,
        }
    }

    const fn makes_a_key(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Import { .. })
    }
}

impl Keyring {
    /// Changes keys, through the same pipeline as using them: custody decides,
    /// the intent is durable, the change is durable, the outcome is durable.
    ///
    /// # Errors
    /// `KeyFault`. After `Audit` for the outcome the change stands, and the
    /// log tells of the intent alone.
    pub async fn administer(
        &self,
        change: Administer<'_>,
        caller: &Caller,
        unlock: &dyn Unlock,
    ) -> Result<Described, KeyFault> {
        super::harden::no_dumps();
        let provider = self.adapter(change.key())?;
        let known = if change.makes_a_key() {
            None
        } else {
            let described = describe(provider, change.key()).await?;
            Some(as_info(&described))
        };
        let decision = custody::decide(&Request {
            operation: change.operation(),
            key: known.as_ref(),
            caller,
            now: self.clock().now(),
        });
        let subject = Subject {
            operation: change.operation(),
            key: Some(known.as_ref().map_or_else(
                || KeyRecord {
                    id: None,
                    path: change.key().to_string(),
                    version: None,
                },
                KeyRecord::from,
            )),
            provider: Some(provider.name()),
            caller,
            decision: &decision,
            payload: None,
        };
        let recorder = Recorder::new(self.settings(), self.clock());
        if let Decision::Deny { rule, why } = &decision {
            recorder.denied(&subject).await?;
            return Err(KeyFault::NotPermitted {
                rule,
                why: why.clone(),
            });
        }
        let pending = recorder.begin(&subject).await?;
        match apply(provider, &change, unlock).await {
            Ok(described) => {
                recorder.end(pending, "ok", described.generation).await?;
                Ok(described)
            }
            Err(fault) => {
                recorder.end(pending, fault.code(), None).await?;
                Err(fault)
            }
        }
    }

    /// One key with its versions, without unlocking.
    ///
    /// # Errors
    /// `KeyFault`.
    pub async fn describe(&self, key: &KeyRef) -> Result<Described, KeyFault> {
        describe(self.adapter(key)?, key).await
    }

    /// All keys of the keystore, without unlocking.
    ///
    /// # Errors
    /// `KeyFault`.
    pub async fn list(&self) -> Result<Vec<Described>, KeyFault> {
        let any = KeyRef::Kms {
            path: KeyPath::parse("any").map_err(|e| KeyFault::NoProvider(e.to_string()))?,
            version: None,
        };
        let provider = self.adapter(&any)?;
        match provider.capabilities().describe {
            Some(keys) => keys.list().await,
            None => Err(cannot(provider, "listed")),
        }
    }

    /// The private key in a file, for [`Administer::Import`].
    ///
    /// # Errors
    /// `KeyFault`.
    pub fn load_file(&self, path: &str, unlock: &dyn Unlock) -> Result<PrivateKey, KeyFault> {
        super::file::load(path, unlock)
    }
}

async fn apply(
    provider: &dyn KeyProvider,
    change: &Administer<'_>,
    unlock: &dyn Unlock,
) -> Result<Described, KeyFault> {
    let can = provider.capabilities();
    let without = |what| move || cannot(provider, what);
    match change {
        Administer::Create { new, kind } => {
            let keys = can.generate.ok_or_else(without("made"))?;
            keys.generate(new, *kind, unlock).await
        }
        Administer::Import { new, private } => {
            let keys = can.import.ok_or_else(without("imported"))?;
            keys.import(new, private, unlock).await
        }
        Administer::Rotate { key, grace } => {
            let keys = can.rotate.ok_or_else(without("rotated"))?;
            keys.rotate(key, *grace, unlock).await
        }
        Administer::Enable(key) => {
            let keys = can.lifecycle.ok_or_else(without("enabled"))?;
            keys.set_state(key, KeyState::Enabled, unlock).await
        }
        Administer::Disable(key) => {
            let keys = can.lifecycle.ok_or_else(without("disabled"))?;
            keys.set_state(key, KeyState::Disabled, unlock).await
        }
        Administer::Retire { key, version } => {
            let keys = can.lifecycle.ok_or_else(without("retired"))?;
            keys.retire(key, *version, unlock).await
        }
    }
}

async fn describe(provider: &dyn KeyProvider, key: &KeyRef) -> Result<Described, KeyFault> {
    match provider.capabilities().describe {
        Some(keys) => keys.describe(key).await,
        None => Err(cannot(provider, "described")),
    }
}

fn cannot(provider: &dyn KeyProvider, what: &'static str) -> KeyFault {
    KeyFault::Unsupported {
        provider: provider.name(),
        what,
    }
}

fn as_info(described: &Described) -> KeyInfo {
    KeyInfo {
        id: described.id.clone(),
        path: described.path.clone(),
        version: None,
        purpose: described.purpose.clone(),
        state: described.state,
        version_state: VersionState::Active,
        provider: described.provider,
    }
}
