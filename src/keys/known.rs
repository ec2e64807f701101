//! Public keys that providers already showed, so that nobody asks twice.
//!
//! One file per key and place that showed it, in the state folder:
//! `known-keys/SHA-256-of-the-URI-hash-of-the-place.json`. A place is what the
//! URI leaves out: the server, cluster, endpoint or module that was asked.
//! Whoever can write there can also write the configuration, so it is trusted
//! as far as that is. A version's public key never changes: one that does is
//! a fault, also after the entry's age made it stale.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    /// What is known of `key` as it was shown at `place`, if it is fresh. What
    /// another server, cluster or module showed under the same name is another
    /// key.
    ///
    /// # Errors
    /// As [`KnownKeys::any`].
    pub(super) fn fresh(&self, key: &KeyRef, place: &str) -> Result<Option<Known>, KeyFault> {
        let known = self.any(key, place)?;
        Ok(known.filter(|known| {
            let age = self.clock.now().secs() - known.at.secs();
            (0..=AGE).contains(&age)
        }))
    }

    /// What is known of `key` at `place`, of whatever age: for those who may
    /// not ask.
    ///
    /// # Errors
    /// `Unavailable` where there is a note that cannot be read: without it a
    /// key that was replaced would go unnoticed.
    pub(super) fn any(&self, key: &KeyRef, place: &str) -> Result<Option<Known>, KeyFault> {
        match name(key, place) {
            Some(name) => self.noted(&name),
            None => Ok(None),
        }
    }

    /// What was shown last of `key`, wherever that was: for those who may not
    /// ask and do not know where they would.
    ///
    /// # Errors
    /// As [`KnownKeys::any`].
    pub(super) fn anywhere(&self, key: &KeyRef) -> Result<Option<Known>, KeyFault> {
        let mut last: Option<Known> = None;
        for name in self.names(key)? {
            let found = self.noted(&name)?;
            if let Some(found) = found
                && last.as_ref().is_none_or(|last| last.at < found.at)
            {
                last = Some(found);
            }
        }
        Ok(last)
    }

    fn noted(&self, name: &str) -> Result<Option<Known>, KeyFault> {
        if let Some(known) = self.seen().get(name) {
            return Ok(Some(known.clone()));
        }
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let path = folder.join(name);
        let broken = |cause: String| KeyFault::Unavailable {
            doing: "read",
            what: path.display().to_string(),
            cause: format!(
                "{cause}; if it cannot be put back, forget it with: obreia key forget KEY"
            ),
        };
        match durable::read(&path, limits::DOCUMENT) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(known) => Ok(Some(known)),
                Err(e) => Err(broken(format!("it is no note of a public key ({e})"))),
            },
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(broken(e.to_string())),
        }
    }

    /// The names of all notes of `key`.
    fn names(&self, key: &KeyRef) -> Result<Vec<String>, KeyFault> {
        let Some(prefix) = prefix(key) else {
            return Ok(Vec::new());
        };
        let mut names: BTreeSet<String> = self.seen().keys().cloned().collect();
        if let Some(folder) = &self.folder {
            let unreadable = |e: std::io::Error| KeyFault::Unavailable {
                doing: "read",
                what: folder.display().to_string(),
                cause: e.to_string(),
            };
            match std::fs::read_dir(folder) {
                Ok(entries) => {
                    for entry in entries {
                        let name = entry.map_err(unreadable)?.file_name();
                        names.extend(name.into_string());
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(unreadable(e)),
            }
        }
        names.retain(|name| name.starts_with(&prefix));
        Ok(names.into_iter().collect())
    }

    /// Takes note of what the provider showed now. Versions that it shows no
    /// more are kept as retired: they verify nothing, and one that comes back
    /// with another key is noticed.
    ///
    /// # Errors
    /// `PublicKeyChanged` where a version had another public key before, or
    /// the newest version is older than it was. That the note cannot be
    /// written is no error: the provider is asked again.
    pub(super) fn learn(
        &self,
        provider: &'static str,
        key: &KeyRef,
        place: &str,
        mut known: Known,
    ) -> Result<(), KeyFault> {
        let Some(name) = name(key, place) else {
            return Ok(());
        };
        if let Some(before) = self.noted(&name)? {
            let shown = key.without_version();
            known
                .goes_on_from(before)
                .map_err(|what| KeyFault::PublicKeyChanged {
                    provider,
                    key: format!("{shown}{what}"),
                })?;
        }
        if let (Some(folder), Ok(bytes)) = (&self.folder, serde_json::to_vec_pretty(&known)) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            if made.is_ok() {
                let _ = durable::write(&folder.join(&name), &bytes, 0o600, Existing::Replace);
            }
        }
        self.seen().insert(name, known);
        Ok(())
    }

    /// Lets the provider be asked anew: what is known may no longer hold. It is
    /// kept all the same, so that a public key that changes is noticed.
    pub(super) fn doubt(&self, provider: &'static str, key: &KeyRef, place: &str) {
        if let Ok(Some(known)) = self.any(key, place) {
            let at = Timestamp::from_secs(0);
            // The same keys as before, which cannot be a change.
            let _ = self.learn(provider, key, place, Known { at, ..known });
        }
    }

    /// Takes note that the provider lets no version of `key` be used now: for
    /// those who may not ask nothing verifies. Others ask anew, for that may
    /// change. It is not told where that cannot be noted: what counts is the
    /// refusal.
    pub(super) fn ended(&self, provider: &'static str, key: &KeyRef, place: &str) {
        if let Ok(Some(mut known)) = self.any(key, place) {
            known.at = Timestamp::from_secs(0);
            for version in &mut known.versions {
                version.state = VersionState::Retired.as_str().to_owned();
            }
            let _ = self.learn(provider, key, place, known);
        }
    }

    /// Forgets `key`, wherever it was shown; tells whether anything was known.
    ///
    /// # Errors
    /// `Unavailable` where a note cannot be removed.
    pub(super) fn forget(&self, key: &KeyRef) -> Result<bool, KeyFault> {
        let mut known = false;
        for name in self.names(key)? {
            known |= self.seen().remove(&name).is_some();
            let Some(folder) = &self.folder else { continue };
            match std::fs::remove_file(folder.join(&name)) {
                Ok(()) => known = true,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    return Err(KeyFault::Unavailable {
                        doing: "remove",
                        what: folder.join(&name).display().to_string(),
                        cause: e.to_string(),
                    });
                }
            }
        }
        Ok(known)
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock that ages go by.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Known {
    /// Takes over what is shown no more.
    ///
    /// # Errors
    /// What changed that never does, as it follows on the key's name.
    fn goes_on_from(&mut self, before: Self) -> Result<(), String> {
        let newest = |known: &Self| known.versions.iter().filter_map(|v| v.version).max();
        if let (Some(had), Some(shows)) = (newest(&before), newest(self))
            && shows < had
        {
            return Err(format!(
                " (it had version {had}, and shows {shows} as its newest)"
            ));
        }
        for old in before.versions {
            let same = |new: &&KnownVersion| (new.version, &new.name) == (old.version, &old.name);
            match self.versions.iter().find(same) {
                Some(new) if new.public_key != old.public_key => {
                    return Err(match (&old.name, old.version) {
                        (Some(name), _) => format!(" version {name}"),
                        (None, Some(number)) => format!(" version {number}"),
                        (None, None) => String::new(),
                    });
                }
                Some(_) => {}
                None => self.versions.push(KnownVersion {
                    state: VersionState::Retired.as_str().to_owned(),
                    ..old
                }),
            }
        }
        Ok(())
    }

    /// Whether any version does.
    fn verifies(&self) -> bool {
        let state = |version: &KnownVersion| VersionState::from_name(&version.state);
        let mut states = self.versions.iter().map(state);
        // What cannot be read is told where it is read.
        states.any(|state| state.is_none_or(VersionState::verifies))
    }

    /// The versions to verify `key` with, the active one first.
    ///
    /// # Errors
    /// `NoSuchVersion` and `Retired` for a version that is named, `Disabled`
    /// where no version verifies, and `Provider` where a note cannot be read.
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
            // When it was last looked at, nothing of it verified.
            (Some(_), Some(_)) if !self.verifies() => Err(KeyFault::Disabled(key.to_string())),
            (Some(version), Some(named)) if !named.state.verifies() => Err(KeyFault::Retired {
                key: shown,
                version,
            }),
            _ => {
                found.retain(|version| version.state.verifies());
                if found.is_empty() {
                    return Err(match self.versions.is_empty() {
                        true => KeyFault::NoSuchKey(shown),
                        false => KeyFault::Disabled(shown),
                    });
                }
                Ok(found)
            }
        }
    }
}

/// What the names of all notes of a key begin with.
fn prefix(key: &KeyRef) -> Option<String> {
    match key.without_version() {
        KeyRef::Provider { uri, .. } => Some(format!("{}-", sha256(uri.as_bytes()).hex())),
        KeyRef::Kms { .. } | KeyRef::File(_) => None,
    }
}

fn name(key: &KeyRef, place: &str) -> Option<String> {
    let place = sha256(place.as_bytes()).hex();
    Some(format!("{}{}.json", prefix(key)?, &place[..16]))
}

#[cfg(test)]
#[path = "known_tests.rs"]
mod tests;
