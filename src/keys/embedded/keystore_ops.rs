use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::draft::Draft;
use super::vault::Vault;
use super::{EmbeddedKeys, KEYSTORE};
use crate::audit;
use crate::custody::{self, Caller, Decision, Operation, Request};
use crate::keys::id::new_id;
use crate::keys::record::{Recorder, Subject, unrecorded};
use crate::keys::{KeyFault, Keyring, Settings, Unlock};
use crate::secret::Secret;
use crate::storage::{KeystoreTables, SqliteKeystore, StorageFault};
use crate::time::Clock;

/// Largest backup that is read, in bytes.
const BACKUP: u64 = 4 << 30;

/// What a restore put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// How many keys it holds.
    pub keys: usize,
    /// Its new generation.
    pub generation: u64,
    /// Where what stood there before is kept.
    pub kept: Option<PathBuf>,
}

/// Makes the state folder `state` with an empty keystore and its audit log.
///
/// # Errors
/// `Exists` when there is a keystore already, which is left alone.
pub async fn init(
    state: &Path,
    passphrase: &Secret,
    caller: &Caller,
    clock: Arc<dyn Clock>,
) -> Result<(), KeyFault> {
    let path = state.join(KEYSTORE);
    let shown = path.display().to_string();
    if path.symlink_metadata().is_ok() {
        return Err(KeyFault::Exists(format!("a keystore at {shown}")));
    }
    match DirBuilder::new().mode(0o700).create(state) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(unavailable("make", state, &e));
        }
        Ok(()) | Err(_) => {}
    }
    audit::create(state, &format!("obreia.dev/audit/{}", new_id()?))?;
    let settings = Settings {
        state: Some(state.to_owned()),
        ..Settings::default()
    };
    let keyring = Keyring::new(settings, clock);
    keyring
        .recorded(Operation::InitKeystore, caller, async {
            let (vault, slot, row) = Vault::create(passphrase)?;
            let mut draft = Draft::first(new_id()?);
            draft.slot(slot);
            draft.keyring(row);
            let first = draft.finish(&vault, 0);
            SqliteKeystore::create(&path, &first)
                .await
                .map_err(|e| match e {
                    StorageFault::Exists => KeyFault::Exists(format!("a keystore at {shown}")),
                    e => super::storage_fault(&shown, e),
                })?;
            Ok(((), Some(first.head.generation)))
        })
        .await
}

impl Keyring {
    /// Copies the keystore, sealed as it is, to `to`: whole or not at all.
    ///
    /// # Errors
    /// `Exists` when there is a file at `to` and `replace` is not given.
    pub async fn backup(&self, to: &Path, replace: bool, caller: &Caller) -> Result<(), KeyFault> {
        let keys = self.embedded()?;
        self.recorded(Operation::Backup, caller, async {
            keys.read().await?;
            keys.tables
                .copy_to(to, replace)
                .await
                .map_err(|e| match e {
                    StorageFault::Exists => KeyFault::Exists(format!("a file at {}", to.display())),
                    e => keys.storage(e),
                })?;
            Ok(((), None))
        })
        .await
    }

    /// Changes the passphrase: `unlock` gives the old one.
    ///
    /// # Errors
    /// `KeyFault`; the old one still holds then, but for `Audit` of the outcome.
    pub async fn change_passphrase(
        &self,
        unlock: &dyn Unlock,
        new: &Secret,
        caller: &Caller,
    ) -> Result<(), KeyFault> {
        let keys = self.embedded()?;
        self.recorded(Operation::ChangePassphrase, caller, async {
            let snapshot = keys
                .change(unlock, |_, vault, draft| {
                    draft.slot(vault.new_slot(new)?);
                    Ok(())
                })
                .await?;
            Ok(((), Some(snapshot.head.generation)))
        })
        .await
    }

    /// Puts a copy in the keystore's place, after every page, seal and the
    /// keyed hash of the copy were verified; `unlock` gives the copy's
    /// passphrase. What stood there is kept beside it.
    ///
    /// # Errors
    /// `Exists` when there is a keystore and `replace` is not given; `Busy`
    /// while another process uses it.
    pub async fn restore(
        &self,
        from: &Path,
        replace: bool,
        unlock: &dyn Unlock,
        caller: &Caller,
    ) -> Result<Restored, KeyFault> {
        let keys = self.embedded()?;
        if !replace && keys.tables.path().symlink_metadata().is_ok() {
            return Err(KeyFault::Exists(format!("a keystore at {}", keys.shown())));
        }
        self.recorded(Operation::Restore, caller, async {
            let restored = keys.put_copy(from, unlock).await?;
            let generation = restored.generation;
            Ok((restored, Some(generation)))
        })
        .await
    }

    fn embedded(&self) -> Result<EmbeddedKeys, KeyFault> {
        match &self.settings().state {
            Some(state) => Ok(EmbeddedKeys::new(state, Arc::clone(self.clock()))),
            None => Err(KeyFault::NoKeystore("the keystore".to_owned())),
        }
    }

    /// Custody, intent, `work`, outcome with the generation that `work` tells.
    async fn recorded<T>(
        &self,
        operation: Operation,
        caller: &Caller,
        work: impl Future<Output = Result<(T, Option<u64>), KeyFault>>,
    ) -> Result<T, KeyFault> {
        crate::keys::harden::no_dumps();
        let decision = custody::decide(&Request {
            operation,
            key: None,
            caller,
            now: self.clock().now(),
        });
        let subject = Subject {
            operation,
            key: None,
            provider: Some(super::PROVIDER),
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
        match work.await {
            Ok((done, generation)) => {
                let recorded = recorder.end(pending, "ok", generation).await;
                recorded.map_err(unrecorded("the change was made and stands"))?;
                Ok(done)
            }
            Err(fault) => {
                let recorded = recorder.end(pending, fault.code(), None).await;
                recorded.map_err(unrecorded(fault.to_string()))?;
                Err(fault)
            }
        }
    }
}

impl EmbeddedKeys {
    async fn put_copy(&self, from: &Path, unlock: &dyn Unlock) -> Result<Restored, KeyFault> {
        let folder = tempfile::Builder::new()
            .prefix(".restore-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&self.state)
            .map_err(|e| unavailable("write into", &self.state, &e))?;
        let copy = folder.path().join(KEYSTORE);
        copy_file(from, &copy)?;
        let candidate = SqliteKeystore::new(&copy);
        let shown = from.display().to_string();
        let storage = |e| super::storage_fault(&shown, e);
        candidate.check_pages().await.map_err(storage)?;
        let snapshot = candidate.load().await.map_err(storage)?;
        let vault = Vault::unlock(&shown, &snapshot, unlock)?;
        vault
            .verify(&snapshot)
            .map_err(|damage| KeyFault::Damaged {
                path: shown.clone(),
                damage,
            })?;
        let mut exclusive = self.tables.exclusive().await.map_err(|e| self.storage(e))?;
        // Newer than all that the log and the file in place have seen, so that
        // neither of them makes the restored one look rolled back. The file is
        // ahead of the log where a process was killed between the two.
        let logged = self.audit.generation()?.newest;
        let seen = logged.max(exclusive.generation().await).unwrap_or_default();
        let change = Draft::of(&snapshot).finish(&vault, seen.saturating_add(1));
        candidate
            .commit(snapshot.head.generation, &change)
            .await
            .map_err(storage)?;
        let suffix = format!(".before-{}", change.head.generation);
        let kept = self
            .tables
            .replace_by(&copy, exclusive, &suffix)
            .await
            .map_err(|e| self.storage(e))?;
        Ok(Restored {
            keys: snapshot.keys.len(),
            generation: change.head.generation,
            kept,
        })
    }
}

fn copy_file(from: &Path, to: &Path) -> Result<(), KeyFault> {
    let mut source = File::open(from).map_err(|e| unavailable("read", from, &e))?;
    let meta = source
        .metadata()
        .map_err(|e| unavailable("read", from, &e))?;
    if !meta.is_file() || meta.len() > BACKUP {
        return Err(KeyFault::BadRequest {
            key: from.display().to_string(),
            why: format!("not a regular file of at most {} GiB", BACKUP >> 30),
        });
    }
    let mut target = File::create_new(to).map_err(|e| unavailable("write", to, &e))?;
    io::copy(&mut source, &mut target)
        .and_then(|_| target.sync_all())
        .and_then(|()| fs::set_permissions(to, fs::Permissions::from_mode(0o600)))
        .map_err(|e| unavailable("write", to, &e))
}

fn unavailable(doing: &'static str, what: &Path, cause: &io::Error) -> KeyFault {
    KeyFault::Unavailable {
        doing,
        what: what.display().to_string(),
        cause: cause.to_string(),
    }
}
