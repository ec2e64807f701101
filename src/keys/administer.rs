use super::deadline::{Asking, within, within_but};
use super::record::{Recorder, Subject, unrecorded};
use super::{Described, KeyFault, KeyProvider, Keyring, Keys, Route, Unlock, provenance};
use crate::crypto::{KeyKind, PrivateKey};
use crate::custody::{self, Caller, Decision, KeyInfo, KeyState, Operation, Purpose, Request};
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

    /// Where a change that does harm twice may have been made, says so.
    fn doubted(&self, fault: KeyFault) -> KeyFault {
        let once = matches!(
            self,
            Self::Create { .. } | Self::Import { .. } | Self::Rotate { .. }
        );
        match fault {
            KeyFault::Deadline { .. }
            | KeyFault::Unreachable { .. }
            | KeyFault::Provider { .. }
            | KeyFault::Plugin { .. }
                if once =>
            {
                KeyFault::Unsure {
                    fault: Box::new(fault),
                }
            }
            fault => fault,
        }
    }

    /// Whether it can be decided on without the key's being shown: to disable
    /// one is most urgent where it was replaced, and those who may do that need
    /// not be those who may see it.
    fn goes_without(&self, fault: &KeyFault) -> bool {
        let shown = fault.root();
        matches!(self, Self::Disable(_))
            && matches!(
                shown,
                KeyFault::PublicKeyChanged { .. } | KeyFault::Refused { .. }
            )
    }

    /// What is to be made, where a key is.
    const fn new_key(&self) -> Option<&NewKey> {
        match self {
            Self::Create { new, .. } | Self::Import { new, .. } => Some(new),
            Self::Rotate { .. } | Self::Enable(_) | Self::Disable(_) | Self::Retire { .. } => None,
        }
    }
}

/// A key that a rule sends to a provider: what the keystore asks of a name
/// holds for its own purpose and aliases as well.
fn check_new(new: &NewKey, route: &Route) -> Result<(), KeyFault> {
    let (Some(path), Some(_)) = (&route.path, &route.by) else {
        return Ok(());
    };
    let bad = |why: String| KeyFault::BadName {
        name: format!("kms://{path}"),
        why,
    };
    Purpose::for_new_key(path.purpose(), new.new_purpose).map_err(|e| bad(e.to_string()))?;
    if new.aliases.is_empty() {
        return Ok(());
    }
    Err(bad(
        "aliases of keys that a rule sends elsewhere stand in [keys.alias]".to_owned(),
    ))
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
        let route = self.route(change.key())?;
        let provider = self.adapter(&route)?;
        let known = match change.new_key() {
            Some(new) => {
                check_new(new, &route)?;
                None
            }
            None => Some(match self.describe(change.key()).await {
                Err(fault) if change.goes_without(&fault) => route.canonical(&KeyInfo {
                    id: route.target.without_version().to_string(),
                    path: route.target.without_version().to_string(),
                    version: None,
                    purpose: None,
                    state: KeyState::Enabled,
                    version_state: VersionState::Active,
                    provider: provider.name(),
                }),
                told => as_info(&told?),
            }),
        };
        let decision = custody::decide(&Request {
            operation: change.operation(),
            key: known.as_ref(),
            caller,
            now: self.clock().now(),
        });
        let subject = Subject {
            operation: change.operation(),
            key: Some(match &known {
                Some(info) => route.record(info),
                None => route.record_of_new(),
            }),
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
        let asking = Asking::of(unlock);
        let work = Box::pin(apply(provider, &change, &route.target, &asking));
        let work = within_but(self.settings().deadline, provider, &asking, work);
        let (done, noted) = provenance::of(work).await;
        let pending = pending.known_as(noted.request);
        let done = done.map_err(|fault| match noted.acknowledged {
            true => fault.after(&route.target.to_string()),
            false => change.doubted(fault),
        });
        match done {
            Ok(described) => {
                let recorded = recorder.end(pending, "ok", described.generation).await;
                recorded.map_err(unrecorded("the change was made and stands"))?;
                Ok(route.canonical_described(described))
            }
            Err(fault) => {
                let result = match &fault {
                    KeyFault::NotShown { .. } => "ok",
                    fault => fault.code(),
                };
                let recorded = recorder.end(pending, result, None).await;
                let told = route.told(fault);
                recorded.map_err(unrecorded(told.to_string()))?;
                Err(told)
            }
        }
    }

    /// One key with its versions, without unlocking.
    ///
    /// # Errors
    /// `KeyFault`.
    pub async fn describe(&self, key: &KeyRef) -> Result<Described, KeyFault> {
        let route = self.route(key)?;
        let provider = self.adapter(&route)?;
        let work = match provider.capabilities().describe {
            Some(keys) => keys.describe(&route.target),
            None => return Err(route.told(cannot(provider, "described"))),
        };
        let described = within(self.settings().deadline, provider, work)
            .await
            .map_err(|fault| route.told(fault))?;
        route.still_its_own(&self.settings().keys, &described.path)?;
        Ok(route.canonical_described(described))
    }

    /// The name of the provider that `key` leads to. Asks nobody.
    ///
    /// # Errors
    /// `KeyFault`, where there is none.
    pub fn provider(&self, key: &KeyRef) -> Result<&'static str, KeyFault> {
        Ok(self.adapter(&self.route(key)?)?.name())
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
        let route = Route::of(&Keys::default(), &any)?;
        let provider = self.adapter(&route)?;
        match provider.capabilities().describe {
            Some(keys) => within(self.settings().deadline, provider, keys.list()).await,
            None => Err(cannot(provider, "listed")),
        }
    }

    /// All keys of the provider that `place` is the scheme of, as in
    /// `openbao://`, or of the token, mount or vault in it that `place` names.
    ///
    /// # Errors
    /// `KeyFault`; `BadUri` where the provider has no such place.
    pub async fn list_at(&self, place: &KeyRef) -> Result<Vec<Described>, KeyFault> {
        let provider = self.adapter(&self.route(place)?)?;
        match provider.capabilities().describe {
            Some(keys) => within(self.settings().deadline, provider, keys.list_in(place)).await,
            None => Err(cannot(provider, "listed")),
        }
    }

    /// Forgets the public keys that `key`'s provider showed; tells whether
    /// there were any.
    ///
    /// # Errors
    /// `KeyFault`; `Unsupported` for keys of which nothing is noted.
    pub fn forget(&self, key: &KeyRef) -> Result<bool, KeyFault> {
        let route = self.route(key)?;
        let adapter = self.adapter(&route)?;
        if !matches!(route.target, KeyRef::Provider { .. }) {
            return Err(KeyFault::Unsupported {
                provider: adapter.name(),
                what: "forgotten: they are read where they are each time",
            });
        }
        let mut any = false;
        for note in adapter.noted_as(&route.target)? {
            any |= self.registered.known.forget(&note)?;
        }
        Ok(any)
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
    target: &KeyRef,
    unlock: &dyn Unlock,
) -> Result<Described, KeyFault> {
    let at_target = |new: &NewKey| NewKey {
        key: target.clone(),
        ..new.clone()
    };
    let can = provider.capabilities();
    let without = |what| move || cannot(provider, what);
    match change {
        Administer::Create { new, kind } => {
            let keys = can.generate.ok_or_else(without("made"))?;
            keys.generate(&at_target(new), *kind, unlock).await
        }
        Administer::Import { new, private } => {
            let keys = can.import.ok_or_else(without("imported"))?;
            keys.import(&at_target(new), private, unlock).await
        }
        Administer::Rotate { grace, .. } => {
            let keys = can.rotate.ok_or_else(without("rotated"))?;
            keys.rotate(target, *grace, unlock).await
        }
        Administer::Enable(_) => {
            let keys = can.lifecycle.ok_or_else(without("enabled"))?;
            keys.set_state(target, KeyState::Enabled, unlock).await
        }
        Administer::Disable(_) => {
            let keys = can.lifecycle.ok_or_else(without("disabled"))?;
            keys.set_state(target, KeyState::Disabled, unlock).await
        }
        Administer::Retire { version, .. } => {
            let keys = can.retire.ok_or_else(without("retired"))?;
            keys.retire(target, *version, unlock).await
        }
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
