use super::draft::Draft;
use super::vault::Vault;
use super::{ATTEMPTS, EmbeddedKeys};
use crate::keys::{Damage, KeyFault, Unlock};
use crate::storage::{Change, KeystoreTables, Snapshot, StorageFault};

impl EmbeddedKeys {
    /// Unlocks, lets `edit` draft a change, and writes it; begins anew with
    /// fresh rows when another process was first. Durable on return; the
    /// answer is the keystore with the change.
    pub(super) async fn change(
        &self,
        unlock: &dyn Unlock,
        edit: impl Fn(&Snapshot, &Vault, &mut Draft) -> Result<(), KeyFault> + Send + Sync,
    ) -> Result<Snapshot, KeyFault> {
        let (mut snapshot, vault) = self.unlock(None, unlock).await?;
        for _ in 0..ATTEMPTS {
            let mut draft = Draft::of(&snapshot);
            edit(&snapshot, &vault, &mut draft)?;
            let change = draft.finish(&vault, 0);
            let base = snapshot.head.generation;
            match self.tables.commit(base, &change).await {
                Ok(()) => {
                    apply(&mut snapshot, change);
                    return Ok(snapshot);
                }
                Err(StorageFault::Conflict) => {
                    snapshot = self.tables.load().await.map_err(|e| self.storage(e))?;
                    // Still under the same root key, or this fails.
                    vault.verify(&snapshot).map_err(|e| self.damaged(e))?;
                    let found = snapshot.head.generation;
                    if found < base {
                        return Err(self.damaged(Damage::Older { found, seen: base }));
                    }
                }
                Err(fault) => return Err(self.storage(fault)),
            }
        }
        Err(KeyFault::Busy(self.shown()))
    }
}

/// What the tables hold after `change`.
fn apply(snapshot: &mut Snapshot, change: Change) {
    snapshot.head = change.head;
    for row in change.keys {
        replace(&mut snapshot.keys, row, |row| row.id.clone());
    }
    for row in change.versions {
        replace(&mut snapshot.versions, row, |row| {
            (row.key.clone(), row.version)
        });
    }
    for row in change.aliases {
        replace(&mut snapshot.aliases, row, |row| row.alias.clone());
    }
    for row in change.slots {
        replace(&mut snapshot.slots, row, |row| row.id);
    }
    for row in change.seals {
        replace(&mut snapshot.seals, row, |row| row.record.clone());
    }
}

fn replace<T, K: Ord>(rows: &mut Vec<T>, row: T, key: impl Fn(&T) -> K) {
    match rows.binary_search_by(|there| key(there).cmp(&key(&row))) {
        Ok(at) => rows[at] = row,
        Err(at) => rows.insert(at, row),
    }
}
