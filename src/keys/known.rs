//! Public keys that providers already showed, so that nobody asks twice.
//!
//! One file per key in the state folder, `known-keys/SHA-256-of-the-URI.json`;
//! whoever can write there can also write the configuration, so it is trusted
//! as far as that is. A version's public key never changes: one that does is
//! a fault, also after the entry's age made it stale.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::KeyFault;
use crate::crypto::{PublicKey, Scheme, sha256};
use crate::durable::{self, Existing};
use crate::limits;
use crate::reference::KeyRef;
use crate::time::{Clock, Timestamp};
use crate::trust::{TrustedKey, VersionState};

/// How long it is taken as true which version is the newest and what versions
/// may do, in seconds: as long as cosign believes it.
const AGE: i64 = 300;

/// What a provider showed of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// When it was shown.
    pub(super) at: Timestamp,
    /// The provider's own id of the key.
    pub(super) id: String,
    /// The versions, newest first; the first is the active one.
    pub(super) versions: Vec<KnownVersion>,
}

/// One version's public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownVersion {
    /// From 1; `None` where the provider has no versions.
    pub(super) version: Option<u32>,
    /// The provider's own name of the version, where that is no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// PEM, `SubjectPublicKeyInfo`.
    pub(super) public_key: String,
    /// As [`Scheme`] is written.
    pub(super) scheme: String,
    /// As [`VersionState`] is written.
    pub(super) state: String,
}

/// The known keys of one state folder; without one they are known to the
/// process alone.
#[derive(Clone)]
pub(super) struct KnownKeys {
    folder: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    seen: Arc<Mutex<BTreeMap<String, Known>>>,
}

impl KnownKeys {
    pub(super) fn new(state: Option<&std::path::Path>, clock: &Arc<dyn Clock>) -> Self {
        Self {
            folder: state.map(|state| state.join("known-keys")),
            clock: Arc::clone(clock),
            seen: Arc::default(),
        }
    }

    /// What is known of `key`, if it is fresh. A file that cannot be read is
    /// as none: the provider is asked again.
    pub(super) fn fresh(&self, key: &KeyRef) -> Option<Known> {
        let known = self.any(key)?;
        let age = self.clock.now().secs() - known.at.secs();
        (0..=AGE).contains(&age).then_some(known)
    }

    /// What is known of `key`, of whatever age: for those who may not ask.
    pub(super) fn any(&self, key: &KeyRef) -> Option<Known> {
        let name = name(key)?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get(&name) {
            return Some(known.clone());
        }
        drop(seen);
        let bytes = durable::read(&self.folder.as_ref()?.join(&name), limits::DOCUMENT).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Takes note of what the provider showed now.
    ///
    /// # Errors
    /// `PublicKeyChanged` where a version had another public key before. That
    /// the note cannot be written is no error: the provider is asked again.
    pub(super) fn learn(
        &self,
        provider: &'static str,
        key: &KeyRef,
        known: Known,
    ) -> Result<(), KeyFault> {
        let Some(name) = name(key) else { return Ok(()) };
        if let Some(before) = self.any(key) {
            for version in &known.versions {
                let changed = before.versions.iter().any(|old| {
                    (old.version, &old.name) == (version.version, &version.name)
                        && old.public_key != version.public_key
                });
                if changed {
                    let shown = match (&version.name, version.version) {
                        (Some(name), _) => format!(" version {name}"),
                        (None, Some(number)) => format!(" version {number}"),
                        (None, None) => String::new(),
                    };
                    return Err(KeyFault::PublicKeyChanged {
                        provider,
                        key: format!("{}{shown}", key.without_version()),
                    });
                }
            }
        }
        if let (Some(folder), Ok(bytes)) = (&self.folder, serde_json::to_vec_pretty(&known)) {
            let made = std::fs::create_dir_all(folder);
            if made.is_ok() {
                let _ = durable::write(&folder.join(&name), &bytes, 0o600, Existing::Replace);
            }
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(name, known);
        Ok(())
    }

    /// Forgets `key`; tells whether anything was known.
    ///
    /// # Errors
    /// `Unavailable` where the note cannot be removed.
    pub(super) fn forget(&self, key: &KeyRef) -> Result<bool, KeyFault> {
        let Some(name) = name(key) else {
            return Ok(false);
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.remove(&name).is_some();
        drop(seen);
        let Some(folder) = &self.folder else {
            return Ok(known);
        };
        match std::fs::remove_file(folder.join(&name)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(known),
            Err(e) => Err(KeyFault::Unavailable {
                doing: "remove",
                what: folder.join(&name).display().to_string(),
                cause: e.to_string(),
            }),
        }
    }

    /// The clock that ages go by.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Known {
    /// The versions to verify `key` with, the active one first.
    ///
    /// # Errors
    /// `NoSuchVersion` and `Retired` for a version that is named, and
    /// `Provider` where a note cannot be read.
    pub(super) fn trusted(
        &self,
        provider: &'static str,
        key: &KeyRef,
    ) -> Result<Vec<TrustedKey>, KeyFault> {
        let shown = key.without_version().to_string();
        let mut found = Vec::new();
        for version in &self.versions {
            if key.version().is_some() && key.version() != version.version {
                continue;
            }
            let broken = || KeyFault::Provider {
                provider,
                cause: format!("what is known of {shown} cannot be read"),
            };
            found.push(TrustedKey {
                public_key: PublicKey::from_pem(version.public_key.as_bytes())
                    .map_err(|_| broken())?,
                scheme: Scheme::from_name(&version.scheme).ok_or_else(broken)?,
                key_id: self.id.clone(),
                path: shown.clone(),
                version: version.version,
                state: VersionState::from_name(&version.state).ok_or_else(broken)?,
            });
        }
        match (key.version(), found.first()) {
            (Some(version), None) => Err(KeyFault::NoSuchVersion {
                key: shown,
                version,
            }),
            (Some(version), Some(named)) if !named.state.verifies() => Err(KeyFault::Retired {
                key: shown,
                version,
            }),
            _ => {
                found.retain(|version| version.state.verifies());
                if found.is_empty() {
                    return Err(KeyFault::NoSuchKey(shown));
                }
                Ok(found)
            }
        }
    }
}

fn name(key: &KeyRef) -> Option<String> {
    match key.without_version() {
        KeyRef::Provider { uri, .. } => Some(format!("{}.json", sha256(uri.as_bytes()).hex())),
        KeyRef::Kms { .. } | KeyRef::File(_) => None,
    }
}

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
