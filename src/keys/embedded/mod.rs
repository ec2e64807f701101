//! `kms://`: keys in a SQLite file, sealed under a root key that is never on
//! the disk in clear.
//!
//! A passphrase opens a *slot*, the slot holds the root key, the root key
//! opens the *keyring*, and the keyring opens the sealed private key of each
//! key version. What stands beside a sealed key in clear is its associated
//! data, each row's hash stands in a list of seals, and a keyed hash over
//! that list and the count of changes is written in the same transaction as
//! every change: a row that was altered, swapped, removed or put back in an
//! older state is noticed when the keystore is unlocked. Reading public keys
//! unlocks nothing, and so notices only what is inconsistent in itself.

mod change;
mod create;
mod describe;
mod draft;
mod encode;
mod keystore_ops;
mod lifecycle;
mod names;
mod seal;
mod signer;
mod slot;
mod vault;
mod verify;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    BoxFuture, Capabilities, Damage, KeyFault, KeyProvider, KeyReader, Signer, Unlock, Warning,
};
use crate::audit::{self, AuditFault, AuditSink, Generation};
use crate::crypto::Scheme;
use crate::reference::{KeyPath, KeyRef};
use crate::storage::{KeyRow, KeystoreTables, Snapshot, SqliteKeystore, StorageFault, VersionRow};
use crate::time::Clock;
use crate::trust::{TrustedKey, VersionState};
use vault::Vault;

pub use keystore_ops::{Restored, init};

/// The keystore's file in the state folder.
pub(super) const KEYSTORE: &str = "keystore.db";
const PROVIDER: &str = "embedded";
const FORMAT: i64 = 1;
/// How often a change is begun anew when somebody else was first.
const ATTEMPTS: u32 = 16;

/// Keys in the keystore of one state folder.
pub(super) struct EmbeddedKeys {
    tables: SqliteKeystore,
    state: PathBuf,
    audit: Arc<dyn AuditSink>,
    clock: Arc<dyn Clock>,
}

impl EmbeddedKeys {
    pub(super) fn new(state: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            tables: SqliteKeystore::new(state.join(KEYSTORE)),
            audit: Arc::from(audit::open(state)),
            state: state.to_owned(),
            clock,
        }
    }

    fn shown(&self) -> String {
        self.tables.path().display().to_string()
    }

    fn damaged(&self, damage: Damage) -> KeyFault {
        KeyFault::Damaged {
            path: self.shown(),
            damage,
        }
    }

    fn storage(&self, fault: StorageFault) -> KeyFault {
        storage_fault(&self.shown(), fault)
    }

    /// All rows, consistent in themselves and no older than the audit log
    /// knows; whether they are genuine is for the vault to say.
    async fn read(&self) -> Result<Snapshot, KeyFault> {
        // Asked before loading: a change in between makes the log newer, not older.
        let seen = match self.audit.generation() {
            Ok(seen) => seen.newest,
            // A keystore to verify with may be a copy without its log.
            Err(AuditFault::Missing(_) | AuditFault::NotBegun(_)) => None,
            Err(fault) => return Err(fault.into()),
        };
        let snapshot = self.tables.load().await.map_err(|e| self.storage(e))?;
        self.not_older(&snapshot, seen)?;
        verify::consistent(&snapshot).map_err(|e| self.damaged(e.without_key(&snapshot)))?;
        Ok(snapshot)
    }

    /// All rows, genuine, and what opens them; `wanted` is looked up before
    /// anybody is asked for a passphrase.
    async fn unlock(
        &self,
        wanted: Option<&KeyPath>,
        unlock: &dyn Unlock,
    ) -> Result<(Snapshot, Vault), KeyFault> {
        let seen = self.audit.generation()?;
        let snapshot = self.tables.load().await.map_err(|e| self.storage(e))?;
        if let Some(path) = wanted {
            self.resolve(&snapshot, path)?;
        }
        let vault = Vault::unlock(&self.shown(), &snapshot, unlock)?;
        vault.verify(&snapshot).map_err(|e| self.damaged(e))?;
        // Last: a row that was tampered with is the more telling finding.
        self.not_older(&snapshot, seen.newest)?;
        self.log_not_older(&snapshot, seen)?;
        Ok((snapshot, vault))
    }

    /// Each change of the keystore has an intent before it, so the log allows
    /// for every generation that there can be.
    fn log_not_older(&self, snapshot: &Snapshot, seen: Generation) -> Result<(), KeyFault> {
        let found = snapshot.head.generation;
        if found <= seen.limit.unwrap_or(0) {
            return Ok(());
        }
        // Asked again: there may have been a change before the rows were loaded.
        let limit = self.audit.generation()?.limit.unwrap_or(0);
        if found > limit {
            return Err(AuditFault::OlderThanKeystore {
                path: audit::folder(&self.state),
                limit,
                found,
            }
            .into());
        }
        Ok(())
    }

    fn not_older(&self, snapshot: &Snapshot, seen: Option<u64>) -> Result<(), KeyFault> {
        let found = snapshot.head.generation;
        match seen {
            Some(seen) if found < seen => Err(self.damaged(Damage::Older { found, seen })),
            _ => Ok(()),
        }
    }

    /// The key that a path or alias names.
    fn resolve<'a>(&self, snapshot: &'a Snapshot, path: &KeyPath) -> Result<&'a KeyRow, KeyFault> {
        let name = path.as_str();
        let found = if path.is_alias() {
            snapshot
                .aliases
                .iter()
                .find(|row| row.alias == name)
                .and_then(|alias| snapshot.keys.iter().find(|key| key.id == alias.key))
        } else {
            snapshot.keys.iter().find(|key| key.path == name)
        };
        found.ok_or_else(|| KeyFault::NoSuchKey(format!("kms://{path}")))
    }

    fn scheme(&self, key: &KeyRow) -> Result<Scheme, KeyFault> {
        Scheme::from_name(&key.scheme)
            .ok_or_else(|| self.malformed(format!("scheme {:?} of kms://{}", key.scheme, key.path)))
    }

    fn malformed(&self, what: String) -> KeyFault {
        self.damaged(Damage::Malformed(format!(
            "{what} is not one that is known"
        )))
    }

    /// What a version may do now: grace ends by itself.
    fn state_now(&self, version: &VersionRow) -> Result<VersionState, KeyFault> {
        let state = VersionState::from_name(&version.state)
            .ok_or_else(|| self.malformed(format!("version state {:?}", version.state)))?;
        Ok(match (state, version.grace_until) {
            (VersionState::Grace, Some(until)) if until <= self.clock.now().nanos() => {
                VersionState::VerifyOnly
            }
            (state, _) => state,
        })
    }
}

impl KeyReader for EmbeddedKeys {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::Kms { .. })
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(self.trusted_versions(key))
    }
}

impl KeyProvider for EmbeddedKeys {
    fn schemes(&self) -> &'static [&'static str] {
        &["kms"]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(self.open_signer(key, unlock))
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async {
            let generation = self.tables.generation().await;
            generation.map_err(|e| self.storage(e))?;
            Ok(Vec::new())
        })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            describe: Some(self),
            generate: Some(self),
            import: Some(self),
            rotate: Some(self),
            lifecycle: Some(self),
            retire: Some(self),
        }
    }
}

/// The path in this keystore that `key` names; what changes whole keys takes no
/// version.
fn path_of(key: &KeyRef) -> Result<&KeyPath, KeyFault> {
    match key {
        KeyRef::Kms {
            path,
            version: None,
        } => Ok(path),
        KeyRef::Kms { .. } => Err(KeyFault::BadRequest {
            key: key.to_string(),
            why: "this concerns the whole key, without ?version=".to_owned(),
        }),
        KeyRef::File(_) | KeyRef::Provider { .. } => Err(KeyFault::NoProvider(key.to_string())),
    }
}

fn storage_fault(path: &str, fault: StorageFault) -> KeyFault {
    match fault {
        StorageFault::Missing => KeyFault::KeystoreMissing(path.to_owned()),
        StorageFault::Damaged(why) => KeyFault::Damaged {
            path: path.to_owned(),
            damage: Damage::NotADatabase(why),
        },
        StorageFault::Busy | StorageFault::Conflict => KeyFault::Busy(path.to_owned()),
        StorageFault::Exists => KeyFault::Exists(path.to_owned()),
        StorageFault::Io(cause) => KeyFault::Unavailable {
            doing: "use",
            what: path.to_owned(),
            cause,
        },
    }
}
