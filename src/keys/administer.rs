use super::record::{Recorder, Subject};
use super::{Described, GenerateKey, KeyFault, KeyProvider, Keyring, Lifecycle, Unlock};
use crate::audit::KeyRecord;
use crate::crypto::{KeyKind, PrivateKey};
use crate::custody::{self, Caller, Decision, KeyInfo, KeyState, Operation, Request};
use crate::reference::{KeyPath, KeyRef};
use crate::time::Span;
use crate::trust::VersionState;

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its canonical path: purpose, environment, and what else names it.
    pub path: KeyPath,
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
        key: &'a KeyPath,
        /// How long the old version counts as in grace.
        grace: Span,
    },
    /// Let it be used again.
    Enable(&'a KeyPath),
    /// Stop all use.
    Disable(&'a KeyPath),
    /// Let a version verify nothing any more.
    Retire {
        /// The key, by path or alias.
        key: &'a KeyPath,
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

    const fn path(&self) -> &KeyPath {
        match self {
            Self::Create { new, .. } | Self::Import { new, .. } => &new.path,
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
        let provider = self.adapter(&kms(change.path()))?;
        let known = if change.makes_a_key() {
            None
        } else {
            let described = lifecycle(provider, &change)?
                .describe(change.path())
                .await?;
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
                    path: kms(change.path()).to_string(),
                    version: None,
                },
                KeyRecord::from,
            )),
            provider: Some(PROVIDER),
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
                recorder
                    .end(pending, "ok", Some(described.generation))
                    .await?;
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
    pub async fn describe(&self, key: &KeyPath) -> Result<Described, KeyFault> {
        let provider = self.adapter(&kms(key))?;
        described_by(provider)?.describe(key).await
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
        described_by(self.adapter(&any)?)?.list().await
    }

    /// The private key in a file, for [`Administer::Import`].
    ///
    /// # Errors
    /// `KeyFault`.
    pub fn load_file(&self, path: &str, unlock: &dyn Unlock) -> Result<PrivateKey, KeyFault> {
        super::file::load(path, unlock)
    }
}

const PROVIDER: &str = "embedded";

async fn apply(
    provider: &dyn KeyProvider,
    change: &Administer<'_>,
    unlock: &dyn Unlock,
) -> Result<Described, KeyFault> {
    match change {
        Administer::Create { new, kind } => generates(provider)?.generate(new, *kind, unlock).await,
        Administer::Import { new, private } => {
            generates(provider)?.import(new, private, unlock).await
        }
        Administer::Rotate { key, grace } => {
            lifecycle(provider, change)?
                .rotate(key, *grace, unlock)
                .await
        }
        Administer::Enable(key) => {
            lifecycle(provider, change)?
                .set_state(key, KeyState::Enabled, unlock)
                .await
        }
        Administer::Disable(key) => {
            lifecycle(provider, change)?
                .set_state(key, KeyState::Disabled, unlock)
                .await
        }
        Administer::Retire { key, version } => {
            lifecycle(provider, change)?
                .retire(key, *version, unlock)
                .await
        }
    }
}

fn generates(provider: &dyn KeyProvider) -> Result<&dyn GenerateKey, KeyFault> {
    provider.generates().ok_or(KeyFault::Unsupported {
        provider: PROVIDER,
        what: "made",
    })
}

fn lifecycle<'a>(
    provider: &'a dyn KeyProvider,
    change: &Administer<'_>,
) -> Result<&'a dyn Lifecycle, KeyFault> {
    provider.lifecycle().ok_or(KeyFault::Unsupported {
        provider: PROVIDER,
        what: match change.operation() {
            Operation::Rotate => "rotated",
            _ => "changed",
        },
    })
}

fn described_by(provider: &dyn KeyProvider) -> Result<&dyn Lifecycle, KeyFault> {
    provider.lifecycle().ok_or(KeyFault::Unsupported {
        provider: PROVIDER,
        what: "listed",
    })
}

fn kms(path: &KeyPath) -> KeyRef {
    KeyRef::Kms {
        path: path.clone(),
        version: None,
    }
}

fn as_info(described: &Described) -> KeyInfo {
    KeyInfo {
        id: described.id.clone(),
        path: format!("kms://{}", described.path),
        version: None,
        purpose: Some(described.purpose.clone()),
        state: described.state,
        version_state: VersionState::Active,
        provider: PROVIDER,
    }
}
